//! What can go wrong with the servers and programs that a test needs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of the harness. `Debug` prints the same sentences as `Display`, with the causes, because `unwrap` prints `Debug`.
#[derive(thiserror::Error)]
pub enum Error {
    /// The folder of programs is incomplete.
    #[error(
        "{} does not hold {missing}: run `make tools`, or unset SCROBBLE_OPERATOR_TOOLS to have it built", folder.display()
    )]
    ToolsMissing {
        /// The folder that was looked into.
        folder: PathBuf,
        /// The programs that it lacks.
        missing: String,
    },
    /// `tools/build` failed; it has said why on standard error.
    #[error("tools/build failed ({status}): what it printed says what is missing and how to get it")]
    ToolsBuild {
        /// How it ended.
        status: String,
    },
    /// The folder of the Python environment does not hold Maloja.
    #[error("{} does not hold bin/maloja: run `make tools`, or unset SCROBBLE_OPERATOR_MALOJA to have it installed", folder.display())]
    MalojaMissing {
        /// The folder that was looked into.
        folder: PathBuf,
    },
    /// `tools/maloja` failed; it has said why on standard error.
    #[error("tools/maloja failed ({status}): what it printed says what is missing and how to get it")]
    MalojaInstallation {
        /// How it ended.
        status: String,
    },
    /// The folder does not hold the root filesystem of the image.
    #[error(
        "{} does not hold scrobble-operator: run `make image-rootfs`, or unset SCROBBLE_OPERATOR_ROOTFS to have it built", folder.display()
    )]
    RootfsMissing {
        /// The folder that was looked into.
        folder: PathBuf,
    },
    /// `tools/rootfs` failed; it has said why on standard error.
    #[error("tools/rootfs failed ({status}): what it printed says what is missing and how to get it")]
    RootfsBuild {
        /// How it ended.
        status: String,
    },
    /// The program of an image does not run in a root filesystem of its own, or this machine does not let it.
    #[error(
        "could not run the image's program as a container would ({tried}). Where this is not the program's own failure: it takes \
         root with CAP_SYS_ADMIN, or user namespaces that everybody may make and mount in (the sysctls \
         user.max_user_namespaces above 0, and kernel.apparmor_restrict_unprivileged_userns=0 where there is one); in a \
         container, one that is started with --privileged; and `unshare`, `setpriv` and `mount` of util-linux 2.36 or newer"
    )]
    Confinement {
        /// What was tried, and what came of it.
        tried: String,
    },
    /// The folder of Prometheus is incomplete.
    #[error(
        "{} does not hold {missing}: run `make tools`, or unset SCROBBLE_OPERATOR_PROMETHEUS to have it built", folder.display()
    )]
    PrometheusMissing {
        /// The folder that was looked into.
        folder: PathBuf,
        /// The programs that it lacks.
        missing: String,
    },
    /// A server gave another answer than was asked for.
    #[error("could not {action}: the answer was {status}, {body}")]
    Answer {
        /// What was attempted.
        action: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// A file, folder, process or socket of this machine refused.
    #[error("could not {action}")]
    Io {
        /// What was attempted.
        action: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key could not be made.
    #[error("could not make the certificates of the control plane")]
    Certificate(#[from] rcgen::Error),
    /// A server or the operator ended although it should run.
    #[error("{program} ended ({status}) before it was ready; the end of its log:\n{log}")]
    Ended {
        /// The program's name.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines that it logged.
        log: String,
    },
    /// A program that was run to its end failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed on standard output.
        stdout: String,
        /// What it printed on standard error.
        stderr: String,
    },
    /// The API server refused, or could not be reached.
    #[error("could not {action}")]
    Cluster {
        /// What was attempted.
        action: String,
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
    /// A kubeconfig could not be read back.
    #[error("could not use the kubeconfig")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// A condition did not come true in time.
    #[error("waited {waited:?} for {what}; last seen: {last}")]
    Timeout {
        /// The condition.
        what: String,
        /// The deadline that passed.
        waited: Duration,
        /// What the last look at it showed.
        last: String,
    },
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Misuse(String),
}

impl Error {
    /// An [`Error::Io`] that names what was attempted.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// An [`Error::Cluster`] that names what was attempted.
    pub fn cluster(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Cluster { action, source: Box::new(source) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
