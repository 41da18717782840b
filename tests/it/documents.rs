//! What the documents say about the code is held against the code.

use scrobble_harness::{ControlPlane, Options};
use scrobble_operator::api::condition::Reason;
use scrobble_operator::plan::failure::tables;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/runbooks", "charts/scrobble-operator"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// What `make generate` writes between two marks of a page.
pub fn generated(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no mark {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no mark {end}"));
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_tables_of_reasons_and_failures_are_what_the_code_says() {
    let path = root().join("docs/reasons.md");
    let found = fs::read_to_string(&path).unwrap();
    let expected = generated(&found, "reasons", &tables::reasons());
    let expected = generated(&expected, "failures", &tables::failures());
    if std::env::var_os("SCROBBLE_OPERATOR_GENERATE").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(found, expected, "docs/reasons.md is not what `make generate` writes");
    }
}

#[test]
fn every_reason_has_its_runbook() {
    let page = fs::read_to_string(root().join("docs/runbooks/reasons.md")).unwrap();
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let named: Vec<&str> = sections.iter().filter_map(|section| section.lines().next()).collect();
    for reason in Reason::ALL {
        let section = named.iter().position(|name| *name == reason.as_str());
        let section = section.map_or_else(|| panic!("{reason} has no runbook"), |at| sections[at]);
        assert!(section.contains(reason.as_str()) && section.lines().count() > 2, "{reason}: {section}");
        let ends = section.to_lowercase();
        assert!(ends.contains("over") || *reason == Reason::Succeeded, "{reason}: how one sees that it is over");
    }
    assert_eq!(named.len(), Reason::ALL.len(), "a section for each reason and no other");
}

/// The headings of a page, as links name them.
fn anchors(page: &str) -> Vec<String> {
    let mut fenced = false;
    let headings = page.lines().filter_map(|line| {
        fenced ^= line.starts_with("```");
        line.strip_prefix('#').filter(|_| !fenced)
    });
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = target.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|known| known == anchor));
            if !leads {
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

/// A shell in the repository that runs a script against a control plane, with its tools.
pub fn shell(plane: &ControlPlane, script: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(plane.tools().folder().to_path_buf()).chain(std::env::split_paths(&path));
    let mut shell = plane.command("/bin/sh");
    shell.args(["-euc", script]).current_dir(root()).env("PATH", std::env::join_paths(path).unwrap());
    shell
}

#[tokio::test]
async fn every_command_of_the_pages_works_as_it_is_printed() {
    // The pages install the chart with its definitions, so this test has a cluster of its own.
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let pages = [
        "README.md",
        "docs/connect.md",
        "docs/secrets.md",
        "docs/reasons.md",
        "docs/tokens.md",
        "docs/runbooks/reasons.md",
        "charts/scrobble-operator/README.md",
        "docs/operations.md",
        "docs/upgrade.md",
    ];
    for page in pages {
        let script = commands(page);
        assert!(script.contains("kubectl"), "{page} has commands");
        let output = shell(&plane, &script).output().unwrap();
        assert!(output.status.success(), "{page}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let columns = "jsonpath={.items[*].metadata.labels.scrobble-operator\\.io/use}";
    let secrets = ["get", "secrets", "--namespace", "music", "-o", columns, "--field-selector=type=Opaque"];
    assert_eq!(plane.kubectl(&secrets).await.unwrap().stdout, "credentials token client");
    let account = ["get", "spotifyaccount", "alice", "--namespace", "music", "-o", "jsonpath={.spec.sync.interval}"];
    assert_eq!(plane.kubectl(&account).await.unwrap().stdout, "20m");
}
