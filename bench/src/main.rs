//! `make bench`: the operator and a naive controller, one after the other, on the same load.
//!
//! | module | what it is |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`failure`] | why there is no table |
//! | [`progress`] | what is told while it runs |
//! | [`machine`] | what it ran on |
//! | [`stage`] | control plane, simulator, accounts |
//! | [`subject`] | the two programs that are measured |
//! | [`process`] | memory and CPU time of processes |
//! | [`requests`] | what the API server was asked |
//! | [`reads`] | when accounts were read |
//! | [`window`] | the three together, between two moments |
//! | [`trial`] | one subject with so many accounts, from beginning to end |
//! | [`numbers`], [`figures`] | what follows from what was measured |
//! | [`report`] | the table, beside the goals |
//!
//! `README.md` says how each figure is measured.

mod arguments;
mod failure;
mod figures;
mod machine;
mod numbers;
mod process;
mod progress;
mod reads;
mod report;
mod requests;
mod stage;
mod subject;
mod trial;
mod window;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser as _;
use failure::Failure;
use machine::Machine;
use progress::say;
use report::{Pair, report};
use subject::Kind;
use tokio::signal::unix::{SignalKind, signal};
use trial::{Figures, Plan};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return ExitCode::FAILURE };
    let ended = tokio::select! {
        ended = measure(&arguments) => ended,
        _ = interrupt.recv() => return ExitCode::from(INTERRUPTED),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.text());
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let mut pairs: Vec<Pair> = Vec::new();
    for &accounts in &arguments.accounts {
        let alone = pairs.is_empty();
        let operator = trial(arguments, Kind::Operator, accounts, alone).await?;
        let naive = trial(arguments, Kind::Naive, accounts, alone).await?;
        let interval = arguments.interval(accounts).as_secs();
        pairs.push(Pair { interval, operator, naive });
    }
    let text = report(&Machine::look(), &arguments.command(), &pairs);
    let path = arguments.report()?;
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, &text));
    written.map_err(|error| Failure::Broken(format!("could not write {}: {error}", path.display())))?;
    // Whoever has closed standard output still has the file.
    std::io::stdout().write_all(text.as_bytes()).ok();
    Ok(())
}

async fn trial(arguments: &Arguments, kind: Kind, accounts: u32, alone: bool) -> Result<Figures, Failure> {
    let program = match kind {
        Kind::Operator => "scrobble-operator",
        Kind::Naive => "naive",
    };
    trial::run(&Plan {
        kind,
        accounts,
        interval: arguments.interval(accounts),
        alone,
        program: arguments.program(program)?,
        simulator: arguments.program("scrobble-simulator")?,
    })
    .await
}
