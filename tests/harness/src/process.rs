//! Child processes that end when this process ends, however it does.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::error::Error;

/// Leaves a watcher behind and becomes the program. The watcher reads a pipe whose other end only the starting process
/// holds: end of file says that this process is gone, by whatever way, and then the whole process group goes too.
/// `$$` in the watcher is the program's id, which is also the group's; the group cannot be anybody else's while the watcher
/// is in it.
const GUARD: &str = r#"
grace=$1
shift
exec 3<&0 </dev/null
(
    trap '' HUP INT QUIT TERM
    if read -r line; then exit 0; fi
    if [ "$grace" -gt 0 ]; then
        kill -TERM -$$
        kill -CONT -$$
        while [ "$grace" -gt 0 ] && kill -0 $$; do
            sleep 0.1
            grace=$((grace - 1))
        done
    fi
    kill -KILL -$$
) <&3 >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"#;

/// How long a program may take to end by itself after its test process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Killed at once.
    None,
    /// Asked by SIGTERM first, killed after about this many tenths of a second.
    Tenths(u32),
}

/// A running child process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// The pipe that the watcher reads.
    watcher: Option<ChildStdin>,
    exit: Option<ExitStatus>,
    log: PathBuf,
}

impl Process {
    /// Starts the command under a watcher, in a process group of its own, with standard output and standard error
    /// appended to the file `log`. The command's program, arguments, environment changes and folder are used; not its
    /// standard streams.
    pub fn spawn(name: &str, command: &Command, log: &Path, grace: Grace) -> Result<Self, Error> {
        let output = append(log)?;
        let errors = output.try_clone().map_err(Error::io("share a log file"))?;
        Self::spawn_with(name, command, output, errors, log, grace)
    }

    /// As [`Process::spawn`], with two files for the two streams; [`Process::log`] reads the one named `log`.
    pub fn spawn_with(
        name: &str,
        command: &Command,
        output: File,
        errors: File,
        log: &Path,
        grace: Grace,
    ) -> Result<Self, Error> {
        let grace = match grace {
            Grace::None => 0,
            Grace::Tenths(tenths) => tenths,
        };
        let mut guarded = Command::new("/bin/sh");
        guarded.args(["-c", GUARD, "guard", &grace.to_string()]);
        guarded.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded.process_group(0).stdin(Stdio::piped()).stdout(output).stderr(errors);
        let mut child = guarded.spawn().map_err(Error::io(format!("start {name}")))?;
        let watcher = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, watcher, exit: None, log: log.to_path_buf() })
    }

    /// What the process is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>, Error> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().map_err(Error::io(format!("look after {}", self.name)))?;
            if self.exit.is_some() {
                self.dismiss_watcher();
            }
        }
        Ok(self.exit)
    }

    /// Sends a signal; nothing happens if the process has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        rustix::process::kill_process(Pid::from_child(&self.child), signal)
            .map_err(|source| Error::Io { action: format!("signal {}", self.name), source: source.into() })
    }

    /// Waits until the process has ended; an error if it has not when the deadline is over.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                return Err(Error::Timeout {
                    what: format!("{} to end", self.name),
                    waited: deadline,
                    last: format!("it runs; the end of its log:\n{}", self.log_tail()),
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends SIGTERM and waits; an error if the process has not ended when the deadline is over (it goes on then).
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        self.signal(Signal::TERM)?;
        self.wait(deadline).await
    }

    /// Sends SIGKILL and reaps the process.
    pub fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::KILL)?;
        let status = match self.exit {
            Some(status) => status,
            None => self.child.wait().map_err(Error::io(format!("reap {}", self.name)))?,
        };
        self.exit = Some(status);
        self.dismiss_watcher();
        Ok(status)
    }

    /// The file that the process logs to.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All that the process has logged.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last 40 lines that the process has logged.
    pub fn log_tail(&self) -> String {
        tail(&self.log(), 40)
    }

    /// An error that says that the process ended when it should not have, if it has.
    pub fn ensure_running(&mut self) -> Result<(), Error> {
        match self.exit_status()? {
            None => Ok(()),
            Some(status) => {
                Err(Error::Ended { program: self.name.clone(), status: status.to_string(), log: self.log_tail() })
            }
        }
    }

    fn dismiss_watcher(&mut self) {
        if let Some(mut pipe) = self.watcher.take() {
            // A watcher that is gone already needs no dismissal.
            pipe.write_all(b"ended\n").ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell; if it fails, the watcher does the same when the pipe closes.
        self.kill().ok();
    }
}

/// Whether a process with this id runs: one that has ended and waits to be reaped does not.
pub fn is_running(id: u32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{id}/stat")) else {
        return false;
    };
    // The state comes after the name, which stands in parentheses and may hold anything.
    let state = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    !matches!(state, Some("Z" | "X"))
}

/// Opens a file for appending, and makes it if it is not there.
pub fn append(path: &Path) -> Result<File, Error> {
    File::options().create(true).append(true).open(path).map_err(Error::io(format!("open {}", path.display())))
}

/// Takes from the command's environment what would make it behave differently from machine to machine: proxies (every
/// server here is on this machine), the user's cluster and Helm settings, and the operator's own variables.
pub fn scrub_environment(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        if is_foreign(&key) {
            command.env_remove(&key);
        }
    }
}

fn is_foreign(key: &OsStr) -> bool {
    let key = key.to_string_lossy().to_ascii_uppercase();
    key.ends_with("_PROXY")
        || key.starts_with("KUBE")
        || key.starts_with("HELM_")
        || key.starts_with("SCROBBLE_OPERATOR_")
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all.get(from..).unwrap_or_default().join("\n")
}
