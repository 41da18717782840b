//! The programs that a test cluster is made of.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::error::Error;
use crate::repository_root;

/// What `tools/build` makes.
const PROGRAMS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"];

/// The folder that holds the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Takes the folder that the environment variable `SCROBBLE_OPERATOR_TOOLS` names, as `make test` sets it; without it
    /// runs `tools/build`, which shows its progress on standard error and takes minutes the first time.
    pub async fn locate() -> Result<Self, Error> {
        match std::env::var_os("SCROBBLE_OPERATOR_TOOLS").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::in_folder(Path::new(&folder)),
            None => Self::build().await,
        }
    }

    /// The programs in this folder; an error that names those that it lacks.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let missing: Vec<&str> = PROGRAMS.into_iter().filter(|program| !folder.join(program).is_file()).collect();
        if missing.is_empty() {
            Ok(Self { folder: folder.to_path_buf() })
        } else {
            Err(Error::ToolsMissing { folder: folder.to_path_buf(), missing: missing.join(", ") })
        }
    }

    async fn build() -> Result<Self, Error> {
        let mut command = tokio::process::Command::new(repository_root().join("tools/build"));
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        let output = command.output().await.map_err(Error::io("run tools/build"))?;
        if !output.status.success() {
            return Err(Error::ToolsBuild { status: output.status.to_string() });
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        Self::in_folder(Path::new(printed.lines().last().unwrap_or_default()))
    }

    /// Where the programs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of one of them.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_folder_is_refused_by_naming_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        for program in ["etcd", "kubectl", "helm"] {
            std::fs::write(folder.path().join(program), "").unwrap();
        }

        let error = Tools::in_folder(folder.path()).unwrap_err();

        let message = error.to_string();
        assert!(message.contains("kube-apiserver, kube-controller-manager"), "{message}");
        assert!(message.contains("make tools"), "{message}");
        assert!(!message.contains("kubectl"), "{message}");
    }
}
