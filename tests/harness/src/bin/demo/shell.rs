//! Commands as a user types them: what is printed is what is run, by a shell in the root of the repository.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scrobble_harness::process::{Grace, Process};
use scrobble_harness::{ControlPlane, Error, repository_root};

use crate::failure::Failure;
use crate::terminal::Terminal;

/// How long a command may take.
const DEADLINE: Duration = Duration::from_mins(2);

/// A shell that finds kubectl, helm and the cluster.
#[derive(Debug)]
pub struct Shell {
    environment: Vec<(OsString, Option<OsString>)>,
    folder: PathBuf,
    counter: AtomicU64,
}

impl Shell {
    /// A shell of the admin of this control plane.
    pub fn new(plane: &ControlPlane) -> Self {
        let base = plane.command("kubectl");
        let mut environment: Vec<(OsString, Option<OsString>)> =
            base.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        let mut path = plane.tools().folder().as_os_str().to_owned();
        if let Some(inherited) = std::env::var_os("PATH") {
            path.push(":");
            path.push(inherited);
        }
        environment.push(("PATH".into(), Some(path)));
        Self { environment, folder: plane.folder().to_path_buf(), counter: AtomicU64::new(0) }
    }

    /// Sets a variable that commands may use: a token stands in no command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), Some(value.into())));
    }

    /// Prints the command, runs it and prints what it says.
    pub async fn run(&self, terminal: &Terminal, command: &str) -> Result<(), Failure> {
        terminal.command(command);
        let output = self.quietly(command).await?;
        terminal.output(&output);
        terminal.gap();
        Ok(())
    }

    /// Runs the command and returns what it says.
    pub async fn quietly(&self, command: &str) -> Result<String, Failure> {
        let log = self.folder.join(format!("demo-{}.out", self.counter.fetch_add(1, Ordering::Relaxed)));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-ec", command]).current_dir(repository_root());
        for (name, value) in &self.environment {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut process = Process::spawn("a command", &shell, &log, Grace::None)?;
        let status = process.wait(DEADLINE).await?;
        let output = process.log();
        // What stays goes with the folder.
        std::fs::remove_file(&log).ok();
        if status.success() {
            return Ok(output);
        }
        let (command, status, stderr) = (command.to_owned(), status.to_string(), output);
        Err(Error::Command { command, status, stdout: String::new(), stderr }.into())
    }
}
