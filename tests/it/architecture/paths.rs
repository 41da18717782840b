//! Finds every path that a source names: imports, also grouped and renamed ones, and paths written where they are used.
//! Paths into the crate come out absolute (`crate`, then the modules), whichever way they were written.

use super::tokens::{Placed, Token};
use std::collections::HashMap;

/// One path of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its parts; the first is `crate` or the name of another crate.
    pub parts: Vec<String>,
    /// Whether it imports everything below it.
    pub glob: bool,
    /// Its line.
    pub line: usize,
}

impl Path {
    /// The path as one would write it.
    pub fn text(&self) -> String {
        self.parts.join("::") + if self.glob { "::*" } else { "" }
    }

    /// Whether it names this path or something below it, or imports all that this path is part of.
    pub fn reaches(&self, path: &[&str]) -> bool {
        let shared = self.parts.iter().zip(path).take_while(|(mine, other)| mine == *other).count();
        shared == path.len() || (self.glob && shared == self.parts.len())
    }
}

/// All paths of the source of this module (`["plan", "token"]` for `src/plan/token.rs`).
pub fn paths(tokens: &[Placed], module: &[String]) -> Vec<Path> {
    let mut finder = Finder { tokens, at: 0, module: module.to_vec(), open: Vec::new(), depth: 0, ..Finder::default() };
    while finder.at < tokens.len() {
        finder.step();
    }
    finder.resolved()
}

/// A path as it is written, in the module it is written in.
struct Written {
    module: Vec<String>,
    parts: Vec<String>,
    glob: bool,
    line: usize,
}

#[derive(Default)]
struct Finder<'a> {
    tokens: &'a [Placed],
    at: usize,
    module: Vec<String>,
    /// The depth of braces at which each open inline module began.
    open: Vec<usize>,
    depth: usize,
    written: Vec<Written>,
    /// What an imported or declared name stands for, for each module.
    names: HashMap<(Vec<String>, String), Vec<String>>,
}

impl Finder<'_> {
    fn word(&self, at: usize) -> Option<&str> {
        self.tokens.get(at).and_then(Placed::word)
    }

    fn is(&self, at: usize, token: &Token) -> bool {
        self.tokens.get(at).is_some_and(|placed| placed.token == *token)
    }

    fn mark(&self, at: usize, mark: char) -> bool {
        self.is(at, &Token::Mark(mark))
    }

    fn step(&mut self) {
        match &self.tokens[self.at].token {
            Token::Mark('{') => {
                self.depth += 1;
                self.at += 1;
            }
            Token::Mark('}') => {
                self.depth = self.depth.saturating_sub(1);
                if self.open.last() == Some(&self.depth) {
                    self.open.pop();
                    self.module.pop();
                }
                self.at += 1;
            }
            Token::Word(word) => match word.as_str() {
                // `use<'a>` in a type is no import.
                "use" if !self.mark(self.at + 1, '<') => {
                    self.at += 1;
                    self.tree(Vec::new());
                }
                "extern" if self.word(self.at + 1) == Some("crate") => {
                    self.at += 2;
                    self.tree(Vec::new());
                }
                "mod" => self.module(),
                _ => self.inline(),
            },
            _ => self.at += 1,
        }
    }

    /// `mod name;` or `mod name {`
    fn module(&mut self) {
        self.at += 1;
        let Some(name) = self.word(self.at).map(str::to_owned) else { return };
        let mut target = vec!["crate".to_owned()];
        target.extend(self.module.iter().cloned());
        target.push(name.clone());
        self.names.insert((self.module.clone(), name.clone()), target);
        self.at += 1;
        if self.mark(self.at, '{') {
            self.open.push(self.depth);
            self.module.push(name);
        }
    }

    /// One branch of an import, up to the comma, brace or semicolon that ends it.
    fn tree(&mut self, mut parts: Vec<String>) {
        let line = self.tokens.get(self.at).map_or(0, |placed| placed.line);
        let mut name = None;
        let mut glob = false;
        while let Some(placed) = self.tokens.get(self.at) {
            match &placed.token {
                Token::Word(word) if word == "as" => {
                    name = self.word(self.at + 1).map(str::to_owned);
                    self.at += 1;
                }
                Token::Word(word) if word == "self" && !parts.is_empty() => {}
                Token::Word(word) => parts.push(word.clone()),
                Token::Mark('*') => glob = true,
                Token::Mark('{') => {
                    self.at += 1;
                    while self.at < self.tokens.len() && !self.mark(self.at, '}') {
                        self.tree(parts.clone());
                        if self.mark(self.at, ',') {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                Token::Mark(',' | '}' | ';') => break,
                _ => {}
            }
            self.at += 1;
        }
        if let (Some(name), false) = (name.or_else(|| parts.last().cloned()), glob) {
            self.names.insert((self.module.clone(), name), parts.clone());
        }
        self.written.push(Written { module: self.module.clone(), parts, glob, line });
    }

    /// A path of two parts or more, where it is used.
    fn inline(&mut self) {
        let line = self.tokens[self.at].line;
        let mut parts = Vec::new();
        while let Some(word) = self.word(self.at) {
            parts.push(word.to_owned());
            self.at += 1;
            if !self.is(self.at, &Token::Colons) {
                break;
            }
            self.at += 1;
        }
        if parts.len() > 1 {
            self.written.push(Written { module: self.module.clone(), parts, glob: false, line });
        }
    }

    fn resolved(self) -> Vec<Path> {
        let resolve = |written: &Written| Path {
            parts: self.absolute(&written.module, &written.parts),
            glob: written.glob,
            line: written.line,
        };
        self.written.iter().map(resolve).filter(|path| !path.parts.is_empty()).collect()
    }

    fn absolute(&self, module: &[String], parts: &[String]) -> Vec<String> {
        let mut parts = parts.to_vec();
        // Each round follows one rename; a chain of more is not written by anybody.
        for _ in 0..8 {
            match parts.first().map(String::as_str) {
                None | Some("crate") => break,
                Some("scrobble_operator") => "crate".clone_into(&mut parts[0]),
                Some("self" | "super") => parts = climb(module, &parts),
                Some(first) => match self.meaning(module, first) {
                    Some(target) if target.first().map(String::as_str) != Some(first) => {
                        parts.splice(0..1, target.iter().cloned());
                    }
                    _ => break,
                },
            }
        }
        parts
    }

    /// What a name stands for in a module, or in one of those around it.
    fn meaning(&self, module: &[String], name: &str) -> Option<&Vec<String>> {
        (0..=module.len()).rev().find_map(|length| self.names.get(&(module[..length].to_vec(), name.to_owned())))
    }
}

/// Makes a path that begins with `self` or `super` absolute.
fn climb(module: &[String], parts: &[String]) -> Vec<String> {
    let up = parts.iter().filter(|part| *part == "super").count();
    let rest = parts.iter().skip_while(|part| matches!(part.as_str(), "self" | "super"));
    let base = module[..module.len().saturating_sub(up)].iter();
    std::iter::once("crate".to_owned()).chain(base.cloned()).chain(rest.cloned()).collect()
}
