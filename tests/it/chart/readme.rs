//! The chart's README: its table of values is written from the comments of values.yaml and from the schema.

use super::{folder, schema};
use crate::documents::generated;
use serde_json::Value;
use std::fs;

/// One value as values.yaml documents it.
pub struct Documented {
    /// The section it is in.
    section: String,
    /// Its keys, from the outermost.
    pub path: Vec<String>,
    text: String,
}

/// What has a comment `# -- …` above it in values.yaml, in order.
pub fn documented(values: &str) -> Vec<Documented> {
    let mut found: Vec<Documented> = Vec::new();
    let mut section = String::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in values.lines() {
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        if let Some(title) = text.strip_prefix("## ") {
            title.clone_into(&mut section);
        } else if let Some(first) = text.strip_prefix("# -- ") {
            comment = Some(first.to_owned());
        } else if let Some(more) = text.strip_prefix("# ") {
            if let Some(comment) = &mut comment {
                *comment = format!("{comment} {more}");
            }
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with("- ")) {
            open.retain(|(outer, _)| *outer < indentation);
            open.push((indentation, key.to_owned()));
            if let Some(text) = comment.take() {
                let path = open.iter().map(|(_, key)| key.clone()).collect();
                found.push(Documented { section: section.clone(), path, text });
            }
        }
    }
    found
}

/// The tables of all values, a section after the other.
fn tables() -> String {
    let text = fs::read_to_string(folder().join("values.yaml")).unwrap();
    let values: Value = serde_yaml::from_str(&text).unwrap();
    let schema = schema::read();
    let mut page = String::new();
    let mut section = "";
    let documented = documented(&text);
    for value in &documented {
        if value.section != section {
            section = &value.section;
            page = format!("{page}\n### {section}\n\n| value | what | type | default |\n|---|---|---|---|\n");
        }
        let pointer = format!("/{}", value.path.join("/"));
        let default = values.pointer(&pointer).unwrap();
        let kind = schema::kind(&schema, schema::at(&schema, &value.path).unwrap());
        let row = [format!("`{}`", value.path.join(".")), value.text.clone(), kind, format!("`{default}`")];
        page = format!("{page}| {} |\n", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    format!("{page}\n")
}

#[test]
fn its_tables_are_what_values_and_schema_say() {
    let path = folder().join("README.md");
    let found = fs::read_to_string(&path).unwrap();
    let expected = generated(&found, "values", &tables());
    if std::env::var_os("SCROBBLE_OPERATOR_GENERATE").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(found, expected, "the chart's README.md is not what `make generate` writes");
    }
}

#[test]
fn comments_are_read_with_their_place() {
    let values = "# File.\n\n## First\n\n# -- One,\n# and more.\na: 1\n\n## Second\n\nb:\n  # -- Two.\n  c:\n    d: [1]\n  \
                  # Not for the page.\n  e: 2\n";
    let found = documented(values);
    let seen: Vec<(&str, String, &str)> =
        found.iter().map(|one| (one.section.as_str(), one.path.join("."), one.text.as_str())).collect();
    assert_eq!(seen, [("First", "a".to_owned(), "One, and more."), ("Second", "b.c".to_owned(), "Two.")]);
}
