//! What the documents say about the code is held against the code.

use scrobble_harness::{ControlPlane, Options};
use scrobble_operator::api::condition::Reason;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let folders = [root().to_path_buf(), root().join("docs")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn the_table_of_reasons_is_complete_and_true() {
    let page = fs::read_to_string(root().join("docs/reasons.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), Reason::ALL.len(), "one row for each reason in docs/reasons.md");
    for (row, reason) in rows.iter().zip(Reason::ALL) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert_eq!(cells[0], format!("`{reason}`"), "the order is that of Reason::ALL");
        assert!(!cells[1].is_empty(), "who acts: {row}");
        assert_eq!(cells[2], reason.description(), "{reason}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let outside = link.contains("://") || file.is_empty();
            if !outside && !path.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The commands of a page: what stands in its `sh` blocks, `make` apart.
fn commands(page: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| !block.starts_with("make ")).collect()
}

#[tokio::test]
async fn every_command_of_the_pages_works_as_it_is_printed() {
    // The pages install the chart with its definitions, so this test has a cluster of its own.
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let path = std::env::join_paths(
        std::iter::once(plane.tools().folder().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .unwrap();
    for page in ["README.md", "docs/connect.md", "docs/secrets.md", "docs/reasons.md", "docs/tokens.md"] {
        let script = commands(page);
        assert!(script.contains("kubectl"), "{page} has commands");
        let mut shell = plane.command("/bin/sh");
        shell.args(["-euc", &script]).current_dir(root()).env("PATH", &path);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{page}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let columns = "jsonpath={.items[*].metadata.labels.scrobble-operator\\.io/use}";
    let secrets = ["get", "secrets", "--namespace", "music", "-o", columns, "--field-selector=type=Opaque"];
    assert_eq!(plane.kubectl(&secrets).await.unwrap().stdout, "credentials token client");
    let account = ["get", "spotifyaccount", "alice", "--namespace", "music", "-o", "jsonpath={.spec.sync.interval}"];
    assert_eq!(plane.kubectl(&account).await.unwrap().stdout, "20m");
}
