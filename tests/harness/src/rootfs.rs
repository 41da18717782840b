//! The root filesystem of the operator's image.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::sync::OnceCell;

use crate::error::Error;
use crate::repository_root;

/// The program in it, from its root.
const PROGRAM: &str = "scrobble-operator";

static LAID_OUT: OnceCell<PathBuf> = OnceCell::const_new();

/// The folder that the environment variable `SCROBBLE_OPERATOR_ROOTFS` names, as `make test` sets it; without it the one that
/// `tools/rootfs` lays out, which shows its progress on standard error and takes minutes the first time.
///
/// # Errors
/// There is none, and the error says how to get it.
pub async fn rootfs() -> Result<&'static Path, Error> {
    let folder = LAID_OUT.get_or_try_init(async || {
        match std::env::var_os("SCROBBLE_OPERATOR_ROOTFS").filter(|folder| !folder.is_empty()) {
            Some(folder) => check(PathBuf::from(folder)),
            None => lay_out().await,
        }
    });
    folder.await.map(PathBuf::as_path)
}

async fn lay_out() -> Result<PathBuf, Error> {
    let mut command = tokio::process::Command::new(repository_root().join("tools/rootfs"));
    command.args(["--profile", "dev"]).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await.map_err(Error::io("run tools/rootfs"))?;
    if !output.status.success() {
        return Err(Error::RootfsBuild { status: output.status.to_string() });
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    check(PathBuf::from(printed.lines().last().unwrap_or_default()))
}

fn check(folder: PathBuf) -> Result<PathBuf, Error> {
    if folder.join(PROGRAM).is_file() { Ok(folder) } else { Err(Error::RootfsMissing { folder }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_program_is_refused_by_saying_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();

        let message = check(folder.path().to_path_buf()).unwrap_err().to_string();

        assert!(message.contains("make image-rootfs"), "{message}");
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        check(folder.path().to_path_buf()).unwrap();
    }
}
