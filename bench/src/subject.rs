//! The two programs that are measured.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use scrobble_harness::folder::Folder;
use scrobble_harness::process::{Grace, Process, scrub_environment};
use scrobble_harness::{Operator, OperatorProcess, wait_until};

use crate::failure::Failure;
use crate::stage::Stage;

/// How long a program may take until it has listed everything.
const START: Duration = Duration::from_mins(5);
/// How long a program may take to end.
const STOP: Duration = Duration::from_mins(2);
/// What the naive controller logs when it has listed all accounts.
const LISTED: &str = "all accounts are listed";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operator, as the chart starts it.
    Operator,
    /// The controller of `bench/naive`.
    Naive,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Operator => "operator",
            Self::Naive => "naive",
        })
    }
}

/// A running program.
pub struct Subject {
    running: Running,
    /// How long it took from its start until it had listed all accounts.
    pub listed: Duration,
}

enum Running {
    Operator(Box<OperatorProcess>),
    Naive(Process, Folder),
}

impl Subject {
    /// Starts a program and returns when it has listed all accounts.
    pub async fn start(kind: Kind, program: PathBuf, stage: &Stage, interval: Duration) -> Result<Self, Failure> {
        match kind {
            Kind::Operator => Self::operator(program, stage, interval).await,
            Kind::Naive => Self::naive(program, stage).await,
        }
    }

    async fn operator(program: PathBuf, stage: &Stage, interval: Duration) -> Result<Self, Failure> {
        // With an election it is ready before it has listed anything.
        let operator = Operator::installed(program, &stage.installation)
            .simulator(stage.script().base_url())
            .minimum_interval(&format!("{}s", interval.as_secs()))
            .flag("app-requests-per-30s", "1000000")
            .without("leader-elect");
        let begin = Instant::now();
        let mut operator = operator.start_unready()?;
        operator.wait_until_ready(START).await?;
        Ok(Self { listed: begin.elapsed(), running: Running::Operator(Box::new(operator)) })
    }

    async fn naive(program: PathBuf, stage: &Stage) -> Result<Self, Failure> {
        let folder = Folder::create("naive")?;
        let mut command = Command::new(program);
        scrub_environment(&mut command);
        command.env_remove("RUST_LOG").current_dir(folder.path());
        command.arg("--kubeconfig").arg(&stage.installation.kubeconfig);
        command.args(["--namespace", &stage.namespace]);
        command.args(["--spotify-accounts-url", &stage.script().spotify_accounts_url()]);
        command.args(["--spotify-api-url", &stage.script().spotify_api_url()]);
        let log = folder.path().join("naive.log");
        let begin = Instant::now();
        let mut process = Process::spawn("naive", &command, &log, Grace::None)?;
        wait_until("the naive controller to list all accounts", START, async || {
            if let Err(ended) = process.ensure_running() {
                return Some(Err(ended));
            }
            process.log().contains(LISTED).then_some(Ok(()))
        })
        .await??;
        Ok(Self { listed: begin.elapsed(), running: Running::Naive(process, folder) })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        match &self.running {
            Running::Operator(operator) => operator.id(),
            Running::Naive(process, _) => process.id(),
        }
    }

    /// How many lines of warning or error it has logged, and the last of them.
    pub fn complaints(&self) -> (usize, Option<String>) {
        let log = match &self.running {
            Running::Operator(operator) => operator.log(),
            Running::Naive(process, _) => process.log(),
        };
        let bad = |line: &&str| line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#);
        let lines: Vec<&str> = log.lines().filter(bad).collect();
        (lines.len(), lines.last().map(|line| (*line).to_owned()))
    }

    /// Asks it to end, and waits.
    pub async fn stop(self) -> Result<(), Failure> {
        match self.running {
            Running::Operator(mut operator) => operator.terminate().await.map(drop)?,
            Running::Naive(mut process, _folder) => process.terminate(STOP).await.map(drop)?,
        }
        Ok(())
    }
}
