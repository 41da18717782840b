//! The demo as a program: it proves what it says, fails when nothing arrives, and leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails may fail loudly")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use scrobble_harness::process::{Grace, Process};
use scrobble_harness::wait_until;

/// More than the demo needs on a slow machine.
const DEADLINE: Duration = Duration::from_mins(4);

/// The demo with its output in a file.
fn start(folder: &Path, arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments);
    Process::spawn("demo", &command, &folder.join("output"), Grace::None).unwrap()
}

/// The folder of the control plane, from the line that exports its kubeconfig.
fn control_plane(output: &str) -> PathBuf {
    let line = output.lines().find_map(|line| line.split_once("export KUBECONFIG=")).unwrap();
    Path::new(line.1).parent().unwrap().to_path_buf()
}

#[tokio::test]
async fn the_demo_that_is_kept_runs_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = start(folder.path(), &["--keep"]);
    wait_until("the demo to say how to stop it", DEADLINE, async || {
        demo.ensure_running().map_err(|error| error.to_string())?;
        let output = demo.log();
        if output.contains(&format!("kill {}\n", demo.id())) { Ok(()) } else { Err(output) }
    })
    .await
    .unwrap();
    let output = demo.log();
    assert!(output.contains("is at both services exactly once"), "{output}");
    let control_plane = control_plane(&output);
    let kubectl =
        PathBuf::from(output.split("export PATH=").nth(1).unwrap().split(':').next().unwrap()).join("kubectl");
    let mut list = Command::new(kubectl);
    list.env("KUBECONFIG", control_plane.join("admin.kubeconfig")).env("KUBECACHEDIR", folder.path());
    let listed = list.args(["-n", "music", "get", "spotifyaccounts"]).stdin(Stdio::null()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for expected in ["alice   True    Succeeded", "bob     True    Succeeded", "carol   False   AuthorizationRevoked"] {
        assert!(listed.contains(expected), "{listed}");
    }

    let status = demo.terminate(DEADLINE).await.unwrap();

    let output = demo.log();
    assert!(status.success(), "{output}");
    assert!(output.trim_end().ends_with("Everything arrived exactly once."), "{output}");
    assert!(!control_plane.exists());
}

#[tokio::test]
async fn a_demo_whose_operator_ends_fails_and_shows_why() {
    let folder = tempfile::tempdir().unwrap();
    let own = Path::new(env!("CARGO_BIN_EXE_demo")).parent().unwrap();
    std::os::unix::fs::symlink(own.join("scrobble-simulator"), folder.path().join("scrobble-simulator")).unwrap();
    let operator = folder.path().join("scrobble-operator");
    fs::write(&operator, "#!/bin/sh\necho no play today >&2\nexit 3\n").unwrap();
    fs::set_permissions(&operator, fs::Permissions::from_mode(0o700)).unwrap();

    let mut demo = start(folder.path(), &["--programs", &folder.path().display().to_string()]);
    let status = demo.wait(DEADLINE).await.unwrap();

    let output = demo.log();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("FAILED") && output.contains("no play today"), "{output}");
    assert!(!output.contains("exactly once"), "{output}");
    assert!(!control_plane(&output).exists());
}
