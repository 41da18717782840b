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
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the repository, but for what .gitignore names at the root.
fn documents() -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().to_path_buf()]);
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let top = folder == root();
            if path.is_dir() && name != ".git" && !(top && matches!(name.as_str(), "target" | "tmp")) {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
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

/// Where the links of a page go that stay in the repository: inline ones, and those that are defined on a line of their own.
/// What stands in a block of code is no link.
fn links(page: &str) -> Vec<&str> {
    let text = page.split("```").step_by(2);
    let found = text.flat_map(|text| {
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let defined = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, link)| link));
        inline.chain(defined)
    });
    found.filter(|link| !link.contains("://") && !link.starts_with("mailto:")).collect()
}

/// Links of a page that lead nowhere.
fn broken(path: &Path, text: &str) -> Vec<String> {
    let leads = |link: &&str| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { path.to_path_buf() } else { path.parent().unwrap().join(file) };
        let named = || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|known| known == anchor);
        target.exists() && (anchor.is_empty() || named())
    };
    links(text).into_iter().filter(|link| !leads(link)).map(|link| format!("{}: {link}", path.display())).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let pages = documents();
    assert!(pages.len() > 20, "{pages:#?}");
    let found: Vec<String> = pages.iter().flat_map(|path| broken(path, &fs::read_to_string(path).unwrap())).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn broken_links_are_found() {
    let page = root().join("README.md");
    let text = "[a](LICENSE) [b](docs/nowhere.md) [c](https://example.org/x)\n\n[d]: docs/image.md#nothing\n\n\
                ```\n[e](nowhere)\n```\n[f](#tests \"title\") [g](CONTRIBUTING.md#tests)\n";
    let found = broken(&page, text);
    let links: Vec<&str> = found.iter().map(|one| one.rsplit(": ").next().unwrap()).collect();
    assert_eq!(links, ["docs/nowhere.md", "docs/image.md#nothing", "#tests"]);
}

#[test]
fn contributing_tells_about_every_target_of_make() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    for target in phony.split(' ') {
        assert!(makefile.contains(&format!("\n{target}: ")), "make {target} is declared and does not exist");
        let help = makefile.lines().any(|line| line.starts_with(&format!("{target}: ")) && line.contains("## "));
        assert!(help, "make does not list {target}");
        let told = page.contains(&format!("| `make {target}` |")) || target == "help";
        assert!(told, "CONTRIBUTING.md does not tell about make {target}");
    }
    // What a page tells to run exists.
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for named in text.split("`make ").skip(1).filter_map(|rest| rest.split(['`', ' ']).next()) {
            assert!(phony.split(' ').any(|target| target == named), "{}: make {named}", path.display());
        }
    }
}

/// The flags among the words of a text.
pub fn flags(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| character.is_whitespace() || "`,".contains(character));
    words.filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// The table of flags on a page names those of the command, and no other; answers which they are.
pub fn assert_names_every_flag(page: &str, command: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_scrobble-operator")).args([command, "--help"]).output().unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    let table: String = rows.map(|line| line.split('|').nth(1).unwrap()).collect();
    let mut known = flags(&String::from_utf8(help.stdout).unwrap());
    known.remove("--help");
    assert_eq!(flags(&table), known);
    known
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
