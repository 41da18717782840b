//! What it ran on, in general words.

use std::fs;

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// What the processor calls itself.
    pub model: String,
}

impl Machine {
    /// This one.
    pub fn look() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: field(&memory, "MemTotal").and_then(kib).unwrap_or(0),
            model: field(&cpu, "model name").unwrap_or("an unknown processor").to_owned(),
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        let gib = self.memory.div_ceil(1 << 30);
        format!("{} processors ({}) and {gib} GiB of memory", self.processors, self.model)
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(':')?.1.trim()))
}

fn kib(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_told_in_general_words() {
        assert_eq!(field("vendor_id\t: A\nmodel name\t: A Processor\n", "model name"), Some("A Processor"));
        assert_eq!(kib("24684084 kB"), Some(25_276_502_016));
        let machine = Machine { processors: 2, memory: 25_276_502_016, model: "A Processor".to_owned() };
        assert_eq!(machine.text(), "2 processors (A Processor) and 24 GiB of memory");
    }
}
