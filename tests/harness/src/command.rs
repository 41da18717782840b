//! kubectl and helm, as the admin.

use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::control_plane::ControlPlane;
use crate::error::Error;
use crate::process::{Grace, Process, append, scrub_environment};

/// How long a command may run.
const DEADLINE: Duration = Duration::from_mins(5);

/// What a command printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error: warnings, as the command succeeded.
    pub stderr: String,
}

impl ControlPlane {
    /// Runs kubectl as the admin and returns what it printed; a failure is [`Error::Command`], with what it printed.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Output, Error> {
        self.run("kubectl", arguments, "").await
    }

    /// Runs kubectl with this standard input, for `kubectl apply -f -`.
    pub async fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Result<Output, Error> {
        self.run("kubectl", arguments, input).await
    }

    /// Runs helm as the admin.
    pub async fn helm(&self, arguments: &[&str]) -> Result<Output, Error> {
        self.run("helm", arguments, "").await
    }

    /// The command with the environment that makes it work on this control plane, for who wants to run it otherwise.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.tools().program(program));
        scrub_environment(&mut command);
        command.env("KUBECONFIG", self.kubeconfig());
        // Caches, plugins and settings: none of the user's.
        command.env("HOME", self.folder().join("home"));
        command.env("KUBECACHEDIR", self.folder().join("home/kube-cache"));
        command.env("XDG_CACHE_HOME", self.folder().join("home/cache"));
        command.env("XDG_CONFIG_HOME", self.folder().join("home/config"));
        command.env("XDG_DATA_HOME", self.folder().join("home/data"));
        command
    }

    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<Output, Error> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder().join("commands");
        std::fs::create_dir_all(&folder).map_err(Error::io("make a folder for a command's output"))?;
        let [stdin, stdout, stderr] =
            ["in", "out", "err"].map(|stream| folder.join(format!("{number}-{program}.{stream}")));
        append(&stdin)?.write_all(input.as_bytes()).map_err(Error::io("write a command's input"))?;

        let inner = self.command(program);
        // The watcher takes standard input, so a shell opens the file.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "input=$1; shift; exec \"$@\" <\"$input\"", "sh"]).arg(&stdin);
        command.arg(inner.get_program()).args(arguments);
        for (key, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        let mut process =
            Process::spawn_with(program, &command, append(&stdout)?, append(&stderr)?, &stderr, Grace::None)?;
        let status = process.wait(DEADLINE).await?;
        let read = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let output = Output {
            stdout: read(&stdout).map_err(Error::io("read a command's output"))?,
            stderr: read(&stderr).map_err(Error::io("read a command's output"))?,
        };
        for file in [&stdin, &stdout, &stderr] {
            // What stays goes with the folder.
            std::fs::remove_file(file).ok();
        }
        if status.success() {
            return Ok(output);
        }
        Err(Error::Command {
            command: format!("{program} {}", arguments.join(" ")),
            status: status.to_string(),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}
