//! The command line of the demo.

use std::path::PathBuf;

use clap::Parser;

use crate::failure::Failure;

/// Shows plays travel from a simulated Spotify, through the operator, to two services.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// Leave everything running until Ctrl-C.
    #[arg(long)]
    pub keep: bool,
    /// The folder of `scrobble-operator` and `scrobble-simulator`; this program's own if absent.
    #[arg(long)]
    programs: Option<PathBuf>,
}

impl Arguments {
    /// The path of a program that `make demo` builds.
    pub fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = if let Some(folder) = &self.programs {
            folder.clone()
        } else {
            let own = std::env::current_exe().map_err(|error| Failure::Story(format!("no own path: {error}")))?;
            own.parent().map(PathBuf::from).unwrap_or_default()
        };
        let program = folder.join(name);
        if program.is_file() {
            return Ok(program);
        }
        Err(Failure::Story(format!(
            "{} is not there: start the demo by `make demo`, which builds it",
            program.display()
        )))
    }
}
