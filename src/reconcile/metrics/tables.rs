//! The tables of `docs/metrics.md`.

use std::fmt::Write as _;

use super::names::{ALL, Part};

/// The metrics of one part, a row each.
pub fn of(part: Part) -> String {
    let mut table = "| metric | kind | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for name in ALL.iter().filter(|name| name.part == part) {
        let labels: Vec<String> = name.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String does not fail.
        let _ =
            writeln!(table, "| `{}` | {} | {} | {}. |", name.name, name.kind.as_str(), labels.join(", "), name.help);
    }
    table
}
