//! The fenced blocks of the pages. A page's language names say what becomes of a block: `sh` is run, `console` is a
//! transcript, `yaml` is read and, where the API server knows the kind, tried on it.

use std::fmt;
use std::fs;

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The page's path in the repository.
    pub page: String,
    /// The line of its first line of text, from 1.
    pub line: usize,
    /// What follows the opening marks; empty where nothing does.
    pub language: String,
    /// The heading of the second level that it stands under; empty before the first.
    pub section: String,
    /// What stands in it.
    pub text: String,
}

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.page, self.line)
    }
}

impl Block {
    /// The commands of a transcript: what follows a `$`, with the lines that continue it.
    pub fn commands(&self) -> Vec<String> {
        let text = self.text.replace("\\\n", "");
        text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
    }

    /// The lines that begin a command, with the lines that continue them.
    pub fn beginnings(&self) -> Vec<String> {
        let text = self.text.replace("\\\n", "");
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with([' ', '#', '}', ')']))
            .map(str::to_owned)
            .collect()
    }
}

/// The pages, in the order in which their commands are run: READMEs, `docs/`, runbooks.
pub fn pages() -> Vec<String> {
    let folder = |name: &str| {
        let entries = fs::read_dir(super::root().join(name)).unwrap().map(|entry| entry.unwrap().path());
        let pages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
        let mut pages: Vec<String> =
            pages.map(|path| format!("{name}/{}", path.file_name().unwrap().to_string_lossy())).collect();
        pages.sort();
        pages
    };
    let mut pages = vec!["README.md".to_owned()];
    for name in ["charts/scrobble-operator", "docs", "docs/runbooks"] {
        pages.extend(folder(name));
    }
    pages
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(super::root().join(page)).unwrap();
    let (mut found, mut open, mut section): (Vec<Block>, Option<Block>, String) = (Vec::new(), None, String::new());
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let language = language.trim().to_owned();
                let section = section.clone();
                open = Some(Block { page: page.to_owned(), line: number + 2, language, section, text: String::new() });
            }
            (None, None) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    heading.clone_into(&mut section);
                }
            }
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "{page}: the last block does not end");
    found
}

/// The blocks of all pages.
pub fn all() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks(page)).collect()
}
