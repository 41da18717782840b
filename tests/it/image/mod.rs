//! The container image, without a container engine: what the Dockerfile says, the files that it ships, and the operator that
//! runs in them as a pod would.

mod dockerfile;
mod files;
mod run;
mod scripts;

use std::path::{Path, PathBuf};

use scrobble_harness::rootfs;

/// Where further certificate authorities are read from.
pub const AUTHORITIES: &str = "/etc/pki/tls/certs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the image's files.
async fn folder() -> PathBuf {
    rootfs().await.unwrap().to_path_buf()
}
