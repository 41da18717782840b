//! Temporary folders that go when this process goes, however it ends.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::Error;

/// Removes the folder when its standard input ends; tries again while processes that write into it are being killed.
const GUARD: &str = r#"
trap '' HUP INT QUIT TERM
if read -r line; then exit 0; fi
tries=300
while [ "$tries" -gt 0 ]; do
    rm -rf -- "$1"
    if ! [ -e "$1" ]; then exit 0; fi
    sleep 0.1
    tries=$((tries - 1))
done
"#;

/// A temporary folder. Dropping it removes it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    /// Makes a folder below the system's folder for temporary files that only this user may read.
    pub fn create(name: &str) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("scrobble-operator-{name}-"))
            .tempdir()
            .map_err(Error::io("make a temporary folder"))?;
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "guard"]).arg(folder.path());
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().map_err(Error::io("start the guard of a temporary folder"))?;
        Ok(Self { path: folder.keep(), guard })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it.
    pub fn make(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).map_err(Error::io(format!("make the folder {}", path.display())))?;
        Ok(path)
    }

    /// Writes a file in it that only this user may read.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf, Error> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;

        let path = self.path.join(name);
        std::fs::File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // If the guard cannot be waited for, it still does its work.
        self.guard.wait().ok();
    }
}
