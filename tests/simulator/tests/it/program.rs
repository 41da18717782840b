//! The program, started as a process and killed.

use std::process::Stdio;

use scrobble_simulator::Client;
use scrobble_simulator::api::{NewAccount, NewApp, RecordFilter, Rotation};
use scrobble_simulator::sha256;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::stage::{ALICE, CLIENT, SECRET, answer, app, http};

async fn start(state: &std::path::Path, clock: &str) -> (Child, Client) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_scrobble-simulator"))
        .args(["--address", "127.0.0.1:0", "--state-dir"])
        .arg(state)
        .env("SCROBBLE_OPERATOR_TEST_CLOCK", clock)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("the address");
    let address = line.strip_prefix("listening on ").expect("the address").to_owned();
    (program, Client::new(address).unwrap())
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_takes_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, client) = start(folder.path(), "+36500d").await;
    assert!(client.base_url().starts_with("http://127.0.0.1:"));
    assert!(client.is_healthy().await);
    assert!(client.now().await.unwrap() > crate::stage::at("2120-01-01T00:00:00Z"));
    let refused =
        Command::new(env!("CARGO_BIN_EXE_scrobble-simulator")).args(["--clock", "x2"]).output().await.unwrap();
    assert!(!refused.status.success());
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let http = http();
    let (mut program, mut client) = start(folder.path(), "").await;
    client.put_app(&NewApp { rotation: Rotation::SingleUse, ..app() }).await.unwrap();
    let mut token = client.add_account(&NewAccount::new(ALICE, CLIENT)).await.unwrap().refresh_token;
    let mut answered = 0;
    for round in 0..5 {
        for _ in 0..=round {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
            let request = http.post(format!("{}/api/token", client.spotify_accounts_url())).form(&form);
            let answer = answer(request.basic_auth(CLIENT, Some(SECRET))).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
            answered += 1;
        }
        program.kill().await.unwrap();
        (program, client) = start(folder.path(), "").await;
        let report = client.tokens(ALICE).await.unwrap();
        assert_eq!(report.valid, [sha256(&token)]);
        assert_eq!(report.rotations.len(), answered);
        assert_eq!(client.requests(&RecordFilter::default()).await.unwrap().len(), answered);
    }
    program.kill().await.unwrap();
}
