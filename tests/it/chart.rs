//! The chart: what it renders without a cluster, and what a release of it is allowed and leaves behind.

mod definitions;
mod hook;
mod options;
mod readme;
mod releases;
mod render;
mod review;
mod rights;
mod schema;
mod users;

use scrobble_harness::ControlPlane;
use serde::Deserialize as _;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The name that the harness gives to releases.
const RELEASE: &str = "scrobble-operator";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    root().join("charts/scrobble-operator")
}

pub fn path() -> String {
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

pub async fn plane() -> &'static ControlPlane {
    ControlPlane::shared().await.unwrap()
}

/// The documents of a YAML stream, without the empty ones.
fn parse(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}

/// A file of the chart's `ci/`.
fn values_file(name: &str) -> String {
    folder().join("ci").join(name).display().to_string()
}

/// The documents that the chart renders as the release `demo` in the namespace `music`.
pub async fn render(settings: &[&str]) -> Vec<Value> {
    render_with(settings, &[]).await
}

/// The same, with further arguments of `helm template`.
async fn render_with(settings: &[&str], further: &[&str]) -> Vec<Value> {
    let chart = path();
    let mut arguments = vec!["template", "demo", &chart, "--namespace", "music"];
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(further);
    parse(&plane().await.helm(&arguments).await.unwrap().stdout)
}

pub fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// The one document of this kind.
pub fn only<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(documents, kind);
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}
