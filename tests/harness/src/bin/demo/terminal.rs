//! What the demo prints: plain text, and how long each section took.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{Stdout, Write as _, stdout};
use std::time::{Duration, Instant};

const INDENT: &str = "   ";
const WIDTH: usize = 110;

/// Where the demo prints to. A reader that is gone does not stop it.
#[derive(Debug)]
pub struct Terminal {
    stdout: Stdout,
    /// Whether the last line is empty: no two are.
    blank: Cell<bool>,
    began: Instant,
    section: Option<(String, Instant)>,
    sections: Vec<(String, Duration)>,
}

impl Terminal {
    /// The clock of the whole demo starts here.
    pub fn new() -> Self {
        Self { stdout: stdout(), blank: Cell::new(false), began: Instant::now(), section: None, sections: Vec::new() }
    }

    /// The first line.
    pub fn title(&self, text: &str) {
        self.line(text);
        self.line(&"=".repeat(text.chars().count()));
    }

    /// Begins a section, and ends the one before.
    pub fn section(&mut self, name: &str) {
        self.end_section();
        self.line("");
        self.line(&format!("{}. {name}", self.sections.len() + 1));
        self.line("");
        self.section = Some((name.to_owned(), Instant::now()));
    }

    fn end_section(&mut self) {
        if let Some((name, start)) = self.section.take() {
            self.sections.push((name, start.elapsed()));
        }
    }

    /// A paragraph, wrapped.
    pub fn text(&self, text: &str) {
        for wrapped in wrap(text, WIDTH - INDENT.len()) {
            self.line(&format!("{INDENT}{wrapped}"));
        }
    }

    /// A word and what is said about it, wrapped beside it.
    pub fn definition(&self, term: &str, text: &str) {
        const TERM: usize = 8;
        for (number, wrapped) in wrap(text, WIDTH - INDENT.len() - TERM).into_iter().enumerate() {
            let term = if number == 0 { term } else { "" };
            self.line(&format!("{INDENT}{term:<TERM$}{wrapped}"));
        }
    }

    /// An empty line, unless the last one is.
    pub fn gap(&self) {
        self.line("");
    }

    /// A command as a user types it.
    pub fn command(&self, command: &str) {
        for (number, part) in command.lines().enumerate() {
            let prompt = if number == 0 { "$ " } else { "  " };
            self.line(&format!("{INDENT}{prompt}{part}"));
        }
    }

    /// What a command printed, as it is.
    pub fn output(&self, output: &str) {
        for printed in output.trim_end().lines() {
            self.line(format!("{INDENT}{printed}").trim_end());
        }
    }

    /// Aligned columns.
    pub fn table(&self, headings: &[&str], rows: &[Vec<String>]) {
        for row in columns(headings, rows) {
            self.line(&format!("{INDENT}{row}"));
        }
    }

    /// What went wrong.
    pub fn failure(&self, text: &str) {
        self.line("");
        for (number, part) in text.lines().enumerate() {
            let label = if number == 0 { "FAILED: " } else { "" };
            self.line(&format!("{INDENT}{label}{part}"));
        }
    }

    fn line(&self, text: &str) {
        if text.is_empty() && self.blank.replace(true) {
            return;
        }
        self.blank.set(text.is_empty());
        let mut stdout = self.stdout.lock();
        // Nobody is left to read: the exit status still tells.
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).ok();
    }

    /// The seconds since the section began.
    pub fn seconds(&self) -> Seconds {
        Seconds(self.section.as_ref().map_or(Duration::ZERO, |(_, start)| start.elapsed()))
    }

    /// The seconds of every section and of the whole.
    pub fn summary(&mut self) {
        self.end_section();
        self.line("");
        let mut rows: Vec<Vec<String>> = self
            .sections
            .iter()
            .map(|(name, took)| vec![name.clone(), format!("{:>6.1}", took.as_secs_f64())])
            .collect();
        rows.push(vec!["All of it".to_owned(), format!("{:>6.1}", self.began.elapsed().as_secs_f64())]);
        self.table(&["", "SECONDS"], &rows);
    }
}

/// A duration as a person says it.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:.1} s", self.0.as_secs_f64())
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(last) = lines.last_mut() else { break };
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn columns(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&headings).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let aligned = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    all.into_iter().map(aligned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_between_words() {
        assert_eq!(wrap("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("a-very-long-word b", 5), ["a-very-long-word", "b"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["ångström".to_owned(), String::new()]];
        assert_eq!(columns(&["WHO", "N"], &rows), ["WHO        N", "a          1", "ångström"]);
    }
}
