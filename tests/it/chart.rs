//! The chart: what it renders without a cluster, and what a release of it is allowed and leaves behind.

mod definitions;
mod render;
mod review;
mod rights;

use scrobble_harness::ControlPlane;
use std::path::{Path, PathBuf};

/// The name that the harness gives to releases.
const RELEASE: &str = "scrobble-operator";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    root().join("charts/scrobble-operator")
}

fn path() -> String {
    folder().display().to_string()
}

/// The files of `crds/` with their names.
fn definition_files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

async fn plane() -> &'static ControlPlane {
    ControlPlane::shared().await.unwrap()
}
