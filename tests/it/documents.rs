//! What the documents say about the code is held against the code.

mod blocks;
mod commands;
mod restore;
mod table;

use scrobble_harness::ControlPlane;
use scrobble_operator::api::condition::Reason;
use scrobble_operator::plan::failure::tables;
use scrobble_operator::reconcile::metrics::names::Part;
use scrobble_operator::reconcile::metrics::tables::of as tables_of;
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
fn the_tables_of_metrics_are_what_the_code_says() {
    let path = root().join("docs/metrics.md");
    let found = fs::read_to_string(&path).unwrap();
    let parts = [("process", Part::Process), ("store", Part::Store), ("account", Part::Account)];
    let expected = parts.into_iter().fold(found.clone(), |page, (name, part)| generated(&page, name, &tables_of(part)));
    if std::env::var_os("SCROBBLE_OPERATOR_GENERATE").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(found, expected, "docs/metrics.md is not what `make generate` writes");
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

/// A shell in the repository that runs a script against a control plane, with its tools and the operator.
pub fn shell(plane: &ControlPlane, script: &str) -> Command {
    let operator = Path::new(env!("CARGO_BIN_EXE_scrobble-operator")).parent().unwrap();
    let ours = [plane.tools().folder(), operator].map(Path::to_path_buf);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut shell = plane.command("/bin/sh");
    shell.args(["-euc", script]).current_dir(root()).env("PATH", path);
    shell
}

#[test]
fn files_that_documents_name_are_there() {
    let mut missing = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "docs/", "examples/", "charts/"].iter().any(|folder| name.starts_with(folder));
            if is_path && !name.contains(['…', '<', '*', ' ']) && !root().join(name).exists() {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
