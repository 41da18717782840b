//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::failure::Failure;

/// Measures the operator beside a naive controller.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// How many accounts, one run for each number, separated by spaces.
    #[arg(long, env = "BENCH_ACCOUNTS", value_delimiter = ' ', default_value = "1000 10000")]
    pub accounts: Vec<u32>,
    /// Seconds between two reads of an account; absent: 12 ms for each account, at least 30 s.
    #[arg(long, env = "BENCH_INTERVAL")]
    interval: Option<u64>,
    /// The folder of the programs; this program's own if absent.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Where the report is written; `bench/report.md` beside the folder of the programs if absent.
    #[arg(long)]
    report: Option<PathBuf>,
}

impl Arguments {
    /// The time between two reads of one of so many accounts.
    pub fn interval(&self, accounts: u32) -> Duration {
        let usual = (u64::from(accounts) * 12 / 1_000).max(30);
        Duration::from_secs(self.interval.unwrap_or(usual).max(1))
    }

    /// The command that starts the same run.
    pub fn command(&self) -> String {
        let counts: Vec<String> = self.accounts.iter().map(ToString::to_string).collect();
        let interval = self.interval.map(|seconds| format!(" BENCH_INTERVAL={seconds}")).unwrap_or_default();
        format!("make bench BENCH_ACCOUNTS=\"{}\"{interval}", counts.join(" "))
    }

    /// The path of a program that `make bench` builds.
    pub fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        let program = self.folder()?.join(name);
        if program.is_file() {
            return Ok(program);
        }
        Err(Failure::Broken(format!(
            "{} is not there: start the benchmark by `make bench`, which builds it",
            program.display()
        )))
    }

    /// Where the report is written.
    pub fn report(&self) -> Result<PathBuf, Failure> {
        match &self.report {
            Some(path) => Ok(path.clone()),
            None => Ok(self.folder()?.join("../bench/report.md")),
        }
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.programs {
            return Ok(folder.clone());
        }
        let own = std::env::current_exe().map_err(|error| Failure::Broken(format!("no own path: {error}")))?;
        Ok(own.parent().map(PathBuf::from).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_accounts_are_separated_by_spaces() {
        let arguments = Arguments::parse_from(["bench", "--accounts", "20 300"]);
        assert_eq!(arguments.accounts, [20, 300]);
        assert_eq!(arguments.command(), "make bench BENCH_ACCOUNTS=\"20 300\"");
        assert_eq!(arguments.interval(1_000), Duration::from_secs(30));
        assert_eq!(arguments.interval(10_000), Duration::from_mins(2));
        assert_eq!(Arguments::parse_from(["bench", "--interval", "5"]).interval(10_000), Duration::from_secs(5));
    }

    #[test]
    fn a_program_that_is_missing_says_how_it_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = Arguments::parse_from(["bench", "--programs", &folder.path().display().to_string()]);
        assert!(arguments.program("naive").unwrap_err().text().contains("make bench"));
        assert_eq!(arguments.report().unwrap(), folder.path().join("../bench/report.md"));
    }
}
