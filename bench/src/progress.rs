//! What is told while it runs, on standard error: standard output is the table's.

use std::io::Write as _;

/// Says what is done now.
pub fn say(text: &str) {
    // Whoever has closed standard error does not want to know.
    writeln!(std::io::stderr(), "{text}").ok();
}
