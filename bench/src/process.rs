//! What the kernel tells of processes (`proc(5)`).

use std::fs;
use std::time::Duration;

use crate::failure::Failure;

/// The kernel's unit of CPU time, of which `/proc` has 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);
/// `/proc` speaks of KiB.
const KIB: u64 = 1024;

/// A process's memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is resident now.
    pub now: u64,
    /// The most that ever was.
    pub peak: u64,
}

/// The CPU time that a process has used, in user and kernel mode, over all of its threads.
pub fn cpu(id: u32) -> Result<Duration, Failure> {
    parse_cpu(&read(&format!("/proc/{id}/stat"))?).ok_or_else(|| unreadable(id))
}

/// A process's memory.
pub fn memory(id: u32) -> Result<Memory, Failure> {
    parse_memory(&read(&format!("/proc/{id}/status"))?).ok_or_else(|| unreadable(id))
}

/// The CPU time that all processes of the machine have used.
pub fn machine() -> Result<Duration, Failure> {
    parse_machine(&read("/proc/stat")?).ok_or_else(|| Failure::Broken("/proc/stat cannot be read".to_owned()))
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Broken(format!("could not read {path}: {error}")))
}

fn unreadable(id: u32) -> Failure {
    Failure::Broken(format!("what the kernel tells of process {id} cannot be read"))
}

fn ticks(count: u64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(u32::MAX)
}

fn parse_cpu(text: &str) -> Option<Duration> {
    // The name stands in parentheses and may hold anything. After it come the state, and as the 12th and 13th the times.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(ticks(user + system))
}

fn parse_memory(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * KIB)
    };
    Some(Memory { now: field("VmRSS")?, peak: field("VmHWM")? })
}

/// User, nice, system, idle, waiting for I/O, interrupts, soft interrupts; what a host took away is not counted.
fn parse_machine(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6].map(|at| fields.get(at).copied());
    busy.into_iter().sum::<Option<u64>>().map(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_kernel_time() {
        let line =
            "42 (a (b) c) S 1 42 42 0 -1 4194560 2000 0 3 0 150 25 7 8 20 0 4 0 12345 1000 200 18446744073709551615";
        assert_eq!(parse_cpu(line), Some(Duration::from_millis(1_750)));
        assert_eq!(parse_cpu("42 (half"), None);
        assert_eq!(parse_cpu("42 (half) S 1 2"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "Name:\tprogram\nVmPeak:\t  999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_memory(text), Some(Memory { now: 1_048_576, peak: 2_097_152 }));
        assert_eq!(parse_memory("Name:\tprogram\n"), None, "a process that has ended has no memory");
    }

    #[test]
    fn the_machine_is_busy_where_it_is_not_idle() {
        let text = "cpu  100 10 20 9000 800 3 7 55 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(parse_machine(text), Some(Duration::from_millis(1_400)));
        assert_eq!(parse_machine("cpu 1 2 3\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let own = std::process::id();
        assert!(memory(own).unwrap().now > 0);
        assert!(cpu(own).is_ok() && machine().unwrap() > Duration::ZERO);
        assert!(memory(u32::MAX).is_err());
    }
}
