//! The command line: flags and subcommands; the only place that reads the environment.

mod check;
mod connect;
pub mod crds;
mod run;
mod spotify;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Carries Spotify plays to scrobble services.
#[derive(Debug, Parser)]
#[command(name = "scrobble-operator", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator
    Run(Box<run::RunArguments>),
    /// Sign a listener in to Spotify and store the tokens in the account's token Secret
    Connect(Box<connect::ConnectArguments>),
    /// Look at an account: refresh just in time, read its plays, and say how it stands; deliver and record nothing
    Check(Box<check::CheckArguments>),
    /// Print the custom resource definitions
    Crds(crds::CrdsArguments),
    /// Print the version
    Version,
}

/// Reads the arguments, does what they say and answers with the exit code.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Connect(arguments) => connect::run(*arguments),
        Command::Check(arguments) => return check::run(*arguments),
        Command::Crds(arguments) => crds::run(&arguments).map_err(|error| error.to_string()),
        Command::Version => writeln!(std::io::stdout(), "scrobble-operator {}", env!("CARGO_PKG_VERSION"))
            .map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "scrobble-operator: {message}");
            ExitCode::FAILURE
        }
    }
}
