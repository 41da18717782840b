//! `make demo`: plays travel from a simulated Spotify, through the operator, to two services, on a real API server.
//!
//! | module | what it is |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`failure`] | why the demo stopped |
//! | [`terminal`] | what is printed, and how long each section took |
//! | [`shell`] | commands, printed and then run |
//! | [`cast`] | the listeners and what they hear |
//! | [`stage`] | control plane, simulator and operator: what runs |
//! | [`evidence`] | what the services received, held against what was heard |
//! | [`owner`] | what a broken account's status tells its owner |
//! | [`story`] | the demo, section by section |

mod arguments;
mod cast;
mod evidence;
mod failure;
mod owner;
mod shell;
mod stage;
mod story;
mod terminal;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser as _;
use stage::Stage;
use terminal::Terminal;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut terminal = Terminal::new();
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            terminal.failure(&format!("could not listen for signals: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut stage = Stage::default();
    let ended = tokio::select! {
        outcome = story::tell(&mut stage, &mut terminal, &arguments) => Some(outcome),
        () = signals.next() => None,
    };
    if let Some(Err(failure)) = &ended {
        terminal.failure(&failure.text());
        terminal.output(&stage.operator_log_tail());
    }
    if arguments.keep && stage.is_complete() && ended.is_some() {
        stage.explain_how_to_stop(&mut terminal);
        signals.next().await;
    }
    let closed = tokio::select! {
        closed = stage.close(&mut terminal) => closed,
        // A second Ctrl-C: everything is killed when the stage is dropped.
        () = signals.next() => Ok(()),
    };
    drop(stage);
    if let Err(failure) = &closed {
        terminal.failure(&failure.text());
    }
    match (ended, closed) {
        (None, _) => ExitCode::from(INTERRUPTED),
        (Some(Ok(())), Ok(())) => {
            terminal.summary();
            terminal.gap();
            terminal.text("Everything arrived exactly once.");
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// The wishes of whoever started the demo that it ends.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let [interrupt, terminate, hang_up] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hang_up?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}
