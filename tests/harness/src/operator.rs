//! The operator under test, as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;

use crate::container::Container;
use crate::error::Error;
use crate::folder::Folder;
use crate::install::Installation;
use crate::port::{free_port, lost_race};
use crate::process::{Grace, Process, scrub_environment, tail};
use crate::wait::wait_until;

/// How long the operator may take until it is ready.
const START: Duration = Duration::from_mins(1);
/// How long the operator may take to end after SIGTERM; the contract is 25 s when nothing is outstanding.
const STOP: Duration = Duration::from_mins(1);
/// How often the operator is started anew when another process took its port first.
const ATTEMPTS: usize = 5;

/// How to start the operator.
#[derive(Clone, Debug)]
#[must_use]
pub struct Operator {
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    http_port: Option<u16>,
    container: Option<Container>,
}

impl Operator {
    /// The operator at this path (in a test: `env!("CARGO_BIN_EXE_scrobble-operator")`) with this kubeconfig
    /// ([`crate::Installation::kubeconfig`]). Targets on 127.0.0.0/8 are allowed, where the simulator is.
    pub fn new(binary: impl Into<PathBuf>, kubeconfig: &Path) -> Self {
        let operator = Self {
            binary: binary.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            http_port: None,
            container: None,
        };
        operator
            .flag("kubeconfig", &kubeconfig.display().to_string())
            .flag("allow-private-targets", "127.0.0.0/8")
            .environment("RUST_BACKTRACE", "1")
    }

    /// The operator as the installed chart runs it: with the token of its `ServiceAccount`, and arguments and environment
    /// of its Deployment.
    pub fn installed(binary: impl Into<PathBuf>, installation: &Installation) -> Self {
        let mut operator = Self::new(binary, &installation.kubeconfig);
        for argument in installation.arguments.iter().filter(|argument| *argument != "run") {
            operator = match argument.strip_prefix("--").and_then(|flag| flag.split_once('=')) {
                // Every process gets a port of its own.
                Some(("http-addr", _)) => operator,
                Some((name, value)) => operator.flag(name, value),
                None => operator.argument(argument),
            };
        }
        installation.environment.iter().fold(operator, |operator, (name, value)| operator.environment(name, value))
    }

    /// Removes a flag, with its value if it has one.
    pub fn without(mut self, name: &str) -> Self {
        let (alone, prefix) = (format!("--{name}"), format!("--{name}="));
        self.arguments.retain(|argument| *argument != alone && !argument.starts_with(&prefix));
        self
    }

    /// Adds `--name=value`, in the place of the same flag given before.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        let prefix = format!("--{name}=");
        self.arguments.retain(|argument| !argument.starts_with(&prefix));
        self.arguments.push(format!("{prefix}{value}"));
        self
    }

    /// Adds an argument as it is.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(set, _)| set != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The namespaces to work in.
    pub fn namespaces(self, namespaces: &[&str]) -> Self {
        self.flag("namespaces", &namespaces.join(","))
    }

    /// Where Spotify is: the base URL of a simulator.
    pub fn simulator(self, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        self.flag("spotify-accounts-url", &format!("{url}/spotify/accounts"))
            .flag("spotify-api-url", &format!("{url}/spotify/api"))
    }

    /// The shortest interval between two reads, as `1s`.
    pub fn minimum_interval(self, interval: &str) -> Self {
        self.flag("minimum-interval", interval)
    }

    /// The test clock, as `+183d,x120,@2026-11-23T10:00:00Z`.
    pub fn clock(self, clock: &str) -> Self {
        self.environment("SCROBBLE_OPERATOR_TEST_CLOCK", clock)
    }

    /// Runs the program of a container in the place of this one, and without a kubeconfig.
    pub fn contained(self, container: Container) -> Self {
        Self { container: Some(container), ..self.without("kubeconfig") }
    }

    /// The port of probes and metrics; a free one otherwise.
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = Some(port);
        self
    }

    /// What it is started with, after `run`; the port is chosen at the start.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Starts it and returns when it is ready.
    pub async fn start(self) -> Result<OperatorProcess, Error> {
        let mut operator = self.start_unready()?;
        operator.wait_until_ready(START).await?;
        Ok(operator)
    }

    /// Starts it and returns at once, for starts that are meant to fail or to wait.
    pub fn start_unready(self) -> Result<OperatorProcess, Error> {
        crate::install_crypto_provider();
        let folder = Folder::create("operator")?;
        let (port, process) = self.spawn(&folder)?;
        Ok(OperatorProcess { process, port, operator: self, folder })
    }

    fn spawn(&self, folder: &Folder) -> Result<(u16, Process), Error> {
        let port = self.http_port.map_or_else(free_port, Ok)?;
        let program = || Command::new(&self.binary);
        let mut command =
            self.container.as_ref().map_or_else(program, |container| container.command(&self.environment));
        scrub_environment(&mut command);
        command.env_remove("RUST_LOG").current_dir(folder.path());
        command.arg("run").arg(format!("--http-addr=127.0.0.1:{port}")).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let log = folder.path().join("operator.log");
        Ok((port, Process::spawn("scrobble-operator", &command, &log, Grace::None)?))
    }
}

/// A running operator. Dropping it kills it; when a test panics, the end of its log is shown.
#[derive(Debug)]
pub struct OperatorProcess {
    process: Process,
    port: u16,
    operator: Operator,
    folder: Folder,
}

impl OperatorProcess {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The address of probes and metrics.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How the process ended, if it has.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.process.exit_status()
    }

    /// Waits until `/readyz` answers 200; an error with the log if the process ends before. A port that another process
    /// took first is exchanged for another one.
    pub async fn wait_until_ready(&mut self, deadline: Duration) -> Result<(), Error> {
        for _ in 1..ATTEMPTS {
            match self.poll_ready(deadline).await {
                Err(Error::Ended { log, .. }) if self.operator.http_port.is_none() && lost_race(&log) => {
                    (self.port, self.process) = self.operator.spawn(&self.folder)?;
                }
                answered => return answered,
            }
        }
        self.poll_ready(deadline).await
    }

    async fn poll_ready(&mut self, deadline: Duration) -> Result<(), Error> {
        let url = format!("{}/readyz", self.url());
        let client = local_client()?;
        wait_until("the operator to be ready", deadline, async || {
            if let Err(ended) = self.process.ensure_running() {
                return Ok(Err(ended));
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status() == 200 => Ok(Ok(())),
                Ok(answer) => Err(format!(
                    "/readyz answers {}; the end of the log:\n{}",
                    answer.status(),
                    self.process.log_tail()
                )),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?
    }

    /// Gets a page of the operator's own server: its status code and its text.
    pub async fn get(&self, path: &str) -> Result<(u16, String), Error> {
        let failed =
            |error: reqwest::Error| Error::io(format!("get {path} from the operator"))(std::io::Error::other(error));
        let answer = local_client()?.get(format!("{}{path}", self.url())).send().await.map_err(failed)?;
        Ok((answer.status().as_u16(), answer.text().await.map_err(failed)?))
    }

    /// All that the operator has logged, over all its restarts by [`OperatorProcess::restart`].
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The file that it logs to.
    pub fn log_path(&self) -> &Path {
        self.process.log_path()
    }

    /// Waits until the process has ended by itself.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        self.process.wait(deadline).await
    }

    /// Sends SIGTERM and returns how the process ended.
    pub async fn terminate(&mut self) -> Result<ExitStatus, Error> {
        self.process.terminate(STOP).await
    }

    /// Sends SIGTERM and returns at once.
    pub fn ask_to_end(&mut self) -> Result<(), Error> {
        self.process.signal(Signal::TERM)
    }

    /// Sends SIGKILL and returns when the process is gone.
    pub fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.process.kill()
    }

    /// Suspends the process (SIGSTOP).
    pub fn pause(&mut self) -> Result<(), Error> {
        self.process.signal(Signal::STOP)
    }

    /// Lets a suspended process go on (SIGCONT).
    pub fn resume(&mut self) -> Result<(), Error> {
        self.process.signal(Signal::CONT)
    }

    /// Starts the operator again after it ended, with the same flags and the same log file, and returns when it is ready.
    pub async fn restart(&mut self) -> Result<(), Error> {
        if self.process.exit_status()?.is_none() {
            return Err(Error::Misuse("the operator still runs: end it before it is started again".to_owned()));
        }
        (self.port, self.process) = self.operator.spawn(&self.folder)?;
        self.wait_until_ready(START).await
    }

    /// How it was started: change it and start another one.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of the operator's log:\n{}", tail(&self.process.log(), 80));
        }
    }
}

/// An HTTP client for servers of this machine.
fn local_client() -> Result<reqwest::Client, Error> {
    let built = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
    built.map_err(|error| Error::io("make an HTTP client")(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(arguments: &[&str]) -> Installation {
        Installation {
            namespace: "music".to_owned(),
            release: "release".to_owned(),
            service_account: "operator".to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: vec![("POD_NAMESPACE".to_owned(), "music".to_owned())],
            kubeconfig: PathBuf::from("/kubeconfig"),
        }
    }

    #[test]
    fn the_charts_arguments_are_taken_but_for_the_port() {
        let installed = installation(&["run", "--leader-elect", "--http-addr=0.0.0.0:8080", "--log-format=json"]);
        let operator = Operator::installed("operator", &installed).flag("log-format", "text");
        assert_eq!(
            operator.arguments,
            ["--kubeconfig=/kubeconfig", "--allow-private-targets=127.0.0.0/8", "--leader-elect", "--log-format=text"]
        );
        assert!(operator.environment.contains(&("POD_NAMESPACE".to_owned(), "music".to_owned())));
        assert!(!operator.without("leader-elect").arguments.contains(&"--leader-elect".to_owned()));
    }

    #[tokio::test]
    async fn a_start_that_fails_shows_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("operator");
        std::fs::write(&program, "#!/bin/sh\necho \"told to $1\" >&2\nexit 2\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();

        let error = Operator::new(&program, Path::new("/kubeconfig")).start().await.unwrap_err();

        assert!(matches!(&error, Error::Ended { log, .. } if log == "told to run"), "{error:?}");
    }
}
