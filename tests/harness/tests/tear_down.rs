//! Nothing is left behind, however the process that started it ends.
//!
//! Each test starts this test program again with one of the `helper_` tests, which starts a child in a folder, prints where,
//! and then ends in its own way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails may fail loudly")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use scrobble_harness::folder::Folder;
use scrobble_harness::process::{Grace, Process, is_running};
use scrobble_harness::wait_until;

const DEADLINE: Duration = Duration::from_secs(30);

/// What a helper has started.
struct Started {
    helper: Child,
    process: u32,
    folder: PathBuf,
}

fn start(helper: &str) -> Started {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", helper, "--ignored", "--nocapture"]);
    let mut helper = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(helper.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find(|line| line.contains("started ")).unwrap();
    let (_, line) = line.split_once("started ").unwrap();
    let (process, folder) = line.split_once(' ').unwrap();
    Started { helper, process: process.parse().unwrap(), folder: folder.into() }
}

async fn assert_gone(mut started: Started) {
    started.helper.wait().unwrap();
    wait_until("the child and its folder to go", DEADLINE, async || match is_running(started.process) {
        true => Err(format!("process {} runs", started.process)),
        false if started.folder.exists() => Err(format!("{} is there", started.folder.display())),
        false => Ok(()),
    })
    .await
    .unwrap();
}

/// Starts a child that does not end when asked politely.
#[allow(clippy::print_stdout, reason = "the test reads it")]
fn start_child() -> (Process, Folder) {
    let folder = Folder::create("tear-down").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM INT HUP; touch data; while :; do sleep 0.05; touch data; done"]);
    command.current_dir(folder.path());
    let process = Process::spawn("child", &command, &folder.path().join("log"), Grace::Tenths(2)).unwrap();
    println!("started {} {}", process.id(), folder.path().display());
    (process, folder)
}

#[test]
#[ignore = "started by a_killed_process and an_interrupted_process in a process of its own"]
fn helper_that_waits() {
    let _started = start_child();
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "started by a_panicking_process in a process of its own"]
fn helper_that_panics() {
    let _started = start_child();
    panic!("as it should");
}

#[test]
#[ignore = "started by a_process_that_exits_without_dropping in a process of its own"]
fn helper_that_exits() {
    let _started = start_child();
    std::process::exit(0);
}

#[tokio::test]
async fn a_killed_process_leaves_nothing_behind() {
    let started = start("helper_that_waits");
    assert!(is_running(started.process));
    kill_process(Pid::from_child(&started.helper), Signal::KILL).unwrap();
    assert_gone(started).await;
}

#[tokio::test]
async fn an_interrupted_process_leaves_nothing_behind() {
    let started = start("helper_that_waits");
    kill_process(Pid::from_child(&started.helper), Signal::INT).unwrap();
    assert_gone(started).await;
}

#[tokio::test]
async fn a_panicking_process_leaves_nothing_behind() {
    assert_gone(start("helper_that_panics")).await;
}

#[tokio::test]
async fn a_process_that_exits_without_dropping_leaves_nothing_behind() {
    assert_gone(start("helper_that_exits")).await;
}

#[tokio::test]
async fn a_child_that_ends_by_itself_is_reported_with_its_log() {
    let folder = Folder::create("ends").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo the reason; exit 3"]);
    let mut process = Process::spawn("child", &command, &folder.path().join("log"), Grace::None).unwrap();

    let status = process.wait(DEADLINE).await.unwrap();

    assert_eq!(status.code(), Some(3));
    let error = process.ensure_running().unwrap_err().to_string();
    assert!(error.contains("the reason") && error.contains("child ended"), "{error}");
}

#[tokio::test]
async fn a_suspended_child_goes_too() {
    let folder = Folder::create("suspended").unwrap();
    let mut command = Command::new("sleep");
    command.arg("600");
    let mut process = Process::spawn("child", &command, &folder.path().join("log"), Grace::None).unwrap();
    process.signal(Signal::STOP).unwrap();
    let id = process.id();

    drop(process);

    assert!(!is_running(id));
}
