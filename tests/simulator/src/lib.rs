//! Stands in for Spotify and the hosted scrobble services, in this process or as a program of its own.
//!
//! Everything is served on one port: `/spotify/accounts`, `/spotify/api`, `/listenbrainz`, `/lastfm/2.0/`,
//! `/webhook/<name>`, and `/_simulator/` for scripts and records. It follows what is known of the services, not what
//! the operator would like: an expired or revoked token never works, and a cut connection is really cut.
//!
//! Tests start a [`Simulator`], which is a [`Client`] too; other processes use [`Client::new`] with its address.

pub mod api;
mod call;
pub mod client;
pub mod clock;
mod control;
mod digest;
mod endpoints;
mod faults;
mod lastfm;
mod listenbrainz;
mod log;
mod server;
mod site;
mod spotify;
mod state;
mod table;
mod webhook;

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use client::{Client, ClientError};
pub use clock::Clock;
pub use digest::sha256;
pub use log::LogError;

/// How to start a simulator.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Where to keep state across restarts. Absent: in memory only.
    pub state_dir: Option<PathBuf>,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), state_dir: None, clock: Clock::real() }
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The state folder cannot be used.
    #[error("could not use the state folder")]
    State(#[from] LogError),
    /// The client could not be made.
    #[error("could not make the client")]
    Client(#[from] ClientError),
}

/// A simulator on a task of the runtime that started it; stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    client: Client,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Starts a simulator; it answers when this returns.
    ///
    /// # Errors
    /// The address is taken, or the state folder cannot be read.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let mut world = state::World::new();
        let log = options.state_dir.as_deref().map(|folder| log::Log::open(folder, &mut world)).transpose()?;
        let failed = |source| StartError::Listen { address: options.address, source };
        let listener = TcpListener::bind(options.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = site::Site::new(world, log, options.clock);
        let router = endpoints::router(&site).merge(control::router(site));
        let client = Client::new(format!("http://{address}"))?;
        let task = tokio::spawn(server::accept(listener, router));
        Ok(Self { client, address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of its own, for tasks that outlive this value.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Stops it: the port is free and every connection closed when this returns.
    pub async fn shutdown(mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }

    /// Waits until it stops, which it does not do by itself.
    pub async fn wait(mut self) {
        drop((&mut self.task).await);
    }
}

impl Deref for Simulator {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
