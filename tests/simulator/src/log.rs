//! State on disk: one line per request with every row it changed, appended before the answer leaves.
//!
//! A line goes to the kernel in one write, so a killed process leaves whole lines and at most one torn one at the end,
//! whose request was never answered. The file is rewritten at each start.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::state::World;
use crate::table::Change;

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A line in the middle of the file is no state of this simulator's.
    #[error("line {line} of {} cannot be read", path.display())]
    Corrupt {
        /// Which line, from 1.
        line: usize,
        /// Of which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A row could not be put into words.
    #[error("could not serialize a row")]
    Serialize(#[from] serde_json::Error),
}

/// The open log of a state folder.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Reads what `folder` holds into `world` and opens it for more.
    pub(crate) fn open(folder: &Path, world: &mut World) -> Result<Self, LogError> {
        let path = folder.join("state.log");
        let failed = |action: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| LogError::Io { action, path, source }
        };
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
        if path.exists() {
            read(&path, world)?;
        }
        let fresh = folder.join("state.log.new");
        let mut file = File::create(&fresh).map_err(failed("create", &fresh))?;
        world.mark_all();
        for change in world.take_changes()? {
            file.write_all(&line(&[change])?).map_err(failed("write", &fresh))?;
        }
        file.sync_all().map_err(failed("write", &fresh))?;
        fs::rename(&fresh, &path).map_err(failed("replace", &path))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(failed("open", &path))?;
        Ok(Self { file, path })
    }

    /// Appends one request's changes.
    pub(crate) fn append(&mut self, changes: &[Change]) -> Result<(), LogError> {
        if changes.is_empty() {
            return Ok(());
        }
        let line = line(changes)?;
        self.file.write_all(&line).map_err(|source| LogError::Io {
            action: "append to",
            path: self.path.clone(),
            source,
        })
    }
}

fn line(changes: &[Change]) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(changes)?;
    line.push(b'\n');
    Ok(line)
}

fn read(path: &Path, world: &mut World) -> Result<(), LogError> {
    let failed = |source| LogError::Io { action: "read", path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let length = reader.read_until(b'\n', &mut text).map_err(failed)?;
        if length == 0 || text.last() != Some(&b'\n') {
            break;
        }
        let corrupt = |source| LogError::Corrupt { line: number, path: path.to_owned(), source };
        let changes: Vec<Change> = serde_json::from_slice(&text).map_err(corrupt)?;
        for change in changes {
            world.restore(change).map_err(corrupt)?;
        }
    }
    Ok(())
}
