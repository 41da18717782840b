//! `scrobble-simulator`: the simulated services as a program.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use scrobble_simulator::{Clock, Options, Simulator};
use tracing_subscriber::EnvFilter;

/// Stands in for Spotify, ListenBrainz, Last.fm and webhooks on one port.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Where to keep state across restarts; in memory only if absent.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Simulated time, such as `+183d,x120,@2026-11-23T10:00:00Z`.
    #[arg(long, env = scrobble_simulator::clock::VARIABLE, value_parser = Clock::parse, default_value = "")]
    clock: Clock,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let Arguments { address, state_dir, clock } = Arguments::parse();
    let simulator = match Simulator::start(Options { address, state_dir, clock }).await {
        Ok(simulator) => simulator,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, cause, "could not start");
            return ExitCode::FAILURE;
        }
    };
    let mut stdout = std::io::stdout();
    // Whoever started this process may have closed the pipe; the port serves all the same.
    drop(writeln!(stdout, "listening on {}", simulator.base_url()).and_then(|()| stdout.flush()));
    simulator.wait().await;
    ExitCode::SUCCESS
}
