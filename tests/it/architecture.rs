//! The layers of `src/` are kept by these tests: who may import whom, what a decision may not contain, how long a file
//! may be and what it may be called. The rules themselves are in `rules`, and tested on sources that break them.

mod paths;
mod refused;
mod rules;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder, in order. What .gitignore names at the root is left out.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let top = path.parent() == Some(root());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == ".git" || (top && matches!(name.as_str(), "target" | "tmp")) {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

#[test]
fn the_source_keeps_the_layers() {
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        files(&root().join(folder), &mut sources);
    }
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let found: Vec<String> = sources
        .iter()
        .flat_map(|path| rules::violations(&relative(path), &fs::read_to_string(path).unwrap()))
        .collect();
    assert!(found.is_empty(), "{} broken rules:\n{}", found.len(), found.join("\n"));
}

/// Another type of target is one file of `adapters/targets`, one variant there and in the API, one block of settings.
/// Nothing else knows one type from another, but for rules that a service publishes and that are known before anything is
/// sent, and what is told of a shared Maloja.
#[test]
fn types_of_targets_are_told_apart_in_the_api_and_their_adapters_alone() {
    let known = ["src/api/v1alpha1/target.rs", "src/plan/acceptance.rs", "src/plan/target.rs"];
    let mut sources = Vec::new();
    files(&root().join("src"), &mut sources);
    let named = |path: &Path| {
        let source = fs::read_to_string(path).unwrap();
        let production = source.split("#[cfg(test)]").next().unwrap_or_default();
        ["LastFm", "ListenBrainz", "Maloja", "Webhook"].iter().any(|kind| {
            production.contains(&format!("TargetType::{kind}")) || production.contains(&format!("Service::{kind}"))
        })
    };
    let mut found: Vec<String> = sources.iter().filter(|path| named(path)).map(|path| relative(path)).collect();
    found.retain(|path| !path.starts_with("src/adapters/targets/") && !path.contains("/tests"));
    assert_eq!(found, known, "adding a type must not touch other files than its own");
}

/// Whoever reads a line finds out why without the source.
#[test]
fn every_line_of_a_pass_that_warns_names_a_reason() {
    let mut sources = Vec::new();
    files(&root().join("src/reconcile"), &mut sources);
    let mut found = Vec::new();
    let mut lines = 0;
    for path in sources {
        let source = fs::read_to_string(&path).unwrap();
        for level in ["tracing::warn!(", "tracing::error!("] {
            for said in source.split(level).skip(1) {
                lines += 1;
                let said = said.split(';').next().unwrap_or_default();
                if !said.contains("reason") {
                    found.push(format!("{}: {level}{said}", relative(&path)));
                }
            }
        }
    }
    assert!(lines > 10, "there are lines to look at");
    assert!(found.is_empty(), "without a reason:\n{}", found.join("\n"));
}

#[test]
fn every_layer_has_sources() {
    for layer in rules::folders() {
        let mut sources = Vec::new();
        files(&root().join("src").join(layer), &mut sources);
        assert!(
            !sources.is_empty(),
            "src/{layer}/ is empty: the layer map in tests/it/architecture/rules.rs is not true"
        );
    }
}

#[test]
fn every_file_of_this_test_program_is_part_of_it() {
    let folder = root().join("tests/it");
    let program = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(
            name == "main" || program.contains(&format!("mod {name};\n")),
            "tests/it/main.rs forgets `mod {name};`"
        );
    }
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let mut all = Vec::new();
    files(root(), &mut all);
    // Sums and locks are random letters between slashes.
    all.retain(|path| path.extension().is_none_or(|extension| extension != "sum" && extension != "lock"));
    let mut found = Vec::new();
    for path in all {
        let bytes = fs::read(&path).unwrap();
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            if names_a_machine(line) {
                found.push(format!("{}:{}: {}", relative(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "folders of one machine:\n{}", found.join("\n"));
}

/// Whether a line holds an absolute path below somebody's own folder.
fn names_a_machine(line: &str) -> bool {
    ["work", "farm", "root", "home", "Users"].iter().any(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|character| !character.is_alphanumeric() && !matches!(character, '_' | '.' | '}' | '~'))
        })
    })
}

#[test]
fn folders_of_one_machine_are_recognised() {
    let home = ["", "home", "somebody", "src"].join("/");
    assert!(names_a_machine(&home));
    assert!(names_a_machine(&format!("cd {home}")));
    assert!(names_a_machine(&format!("path = \"{home}\"")));
    assert!(!names_a_machine(&format!("https://example.org{home}")));
    assert!(!names_a_machine("$HOME/.cache and ~/.cache are everybody's"));
}
