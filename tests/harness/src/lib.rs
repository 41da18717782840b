//! A real Kubernetes control plane and the operator as processes: what tests, demo and benchmarks share.
//!
//! | module | what it is |
//! |---|---|
//! | [`tools`] | the folder with etcd, kube-apiserver, kube-controller-manager, kubectl and helm |
//! | [`process`], [`folder`] | child processes and temporary folders that go when this process goes, however it ends |
//! | [`certificates`], [`port`] | what a server needs before it starts |
//! | [`control_plane`] | the three servers as one thing, clients and kubeconfig files for it |
//! | [`command`] | kubectl and helm |
//! | [`audit`] | what the API server was asked, by whom, and what it answered |
//! | [`namespace`] | a namespace for each test |
//! | [`install`] | the chart, installed by helm |
//! | [`operator`] | the operator under test |
//! | [`mod@rootfs`], [`container`] | its image's root filesystem, and a run in it |
//! | [`simulator`] | the simulated services, as a process |
//! | [`maloja`] | a real Maloja, and what may stand between it and its clients |
//! | [`prometheus`] | a real Prometheus, and promtool |
//! | [`wait`] | waiting for a condition, with a deadline |
//!
//! Nothing here belongs to one async runtime: a test's runtime may end while the shared control plane goes on.

#![allow(clippy::print_stderr, reason = "the end of a log is shown where the tests print")]

pub mod audit;
pub mod certificates;
pub mod command;
pub mod container;
pub mod control_plane;
pub mod error;
pub mod folder;
pub mod install;
pub mod maloja;
pub mod namespace;
pub mod operator;
pub mod port;
pub mod process;
pub mod prometheus;
pub mod rootfs;
pub mod simulator;
pub mod tools;
pub mod wait;

pub use audit::{AuditEntry, AuditLog};
pub use command::Output;
pub use container::{Confinement, Container};
pub use control_plane::{ControlPlane, Options};
pub use error::Error;
pub use install::{Chart, Installation};
pub use maloja::{Maloja, MalojaProxy, MalojaScrobble};
pub use namespace::TestNamespace;
pub use operator::{Operator, OperatorProcess};
pub use prometheus::{Prometheus, PrometheusTools};
pub use rootfs::rootfs;
pub use simulator::SimulatorProcess;
pub use wait::{wait_for_object, wait_until};

use std::path::{Path, PathBuf};

/// The root of the repository that this package was built from.
pub fn repository_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// Chooses the TLS implementation of every client in this process. Safe to call often.
pub fn install_crypto_provider() {
    rustls::crypto::ring::default_provider().install_default().ok();
}
