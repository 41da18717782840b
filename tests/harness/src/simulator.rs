//! The simulated Spotify and scrobble services, as a process.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use scrobble_simulator::Client;

use crate::error::Error;
use crate::folder::Folder;
use crate::process::{Grace, Process, scrub_environment};
use crate::wait::wait_until;

/// How long the simulator may take until it listens.
const START: Duration = Duration::from_secs(30);
/// What it prints before its address.
const ANNOUNCEMENT: &str = "listening on ";

/// A running `scrobble-simulator`. Dropping it kills it and forgets its state.
#[derive(Debug)]
pub struct SimulatorProcess {
    process: Process,
    client: Client,
    // Dropped last: the process logs into it.
    _folder: Folder,
}

impl SimulatorProcess {
    /// Starts the program at this path on a free port, and returns when it answers.
    pub async fn start(binary: &Path) -> Result<Self, Error> {
        let folder = Folder::create("simulator")?;
        let mut command = Command::new(binary);
        scrub_environment(&mut command);
        command.args(["--address", "127.0.0.1:0"]).current_dir(folder.path());
        let log = folder.path().join("simulator.log");
        let mut process = Process::spawn("scrobble-simulator", &command, &log, Grace::None)?;
        let address = wait_until("the simulator to listen", START, async || {
            if let Err(ended) = process.ensure_running() {
                return Some(Err(ended));
            }
            let log = process.log();
            // The last line may be half written.
            let whole = log.rfind('\n').and_then(|end| log.get(..end)).unwrap_or_default();
            whole.lines().find_map(|line| line.strip_prefix(ANNOUNCEMENT)).map(|address| Ok(address.to_owned()))
        })
        .await??;
        let client = Client::new(address)
            .map_err(|error| Error::io("make a client of the simulator")(std::io::Error::other(error)))?;
        Ok(Self { process, client, _folder: folder })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Scripts it and reads its records.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An error with the end of its log if the process has ended.
    pub fn ensure_running(&mut self) -> Result<(), Error> {
        self.process.ensure_running()
    }
}
