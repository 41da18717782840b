use jiff::SignedDuration;
use scrobble_simulator::Options;
use scrobble_simulator::api::{
    Effect, Endpoint, LastfmApp, LastfmUser, NewAccount, NewApp, NewFault, NewGenerator, NewPlay, RecordFilter,
    Rotation,
};
use serde_json::json;

use crate::stage::{ALICE, CLIENT, Stage, app, error, invalid_grant};

fn options(folder: &tempfile::TempDir) -> Options {
    Options { state_dir: Some(folder.path().join("state")), ..Options::default() }
}

#[tokio::test]
async fn everything_is_as_before_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::with(options(&folder)).await;
    let simulator = &stage.simulator;
    simulator.put_app(&NewApp { rotation: Rotation::SingleUse, ..app() }).await.unwrap();
    let tokens = simulator.add_account(&NewAccount::new(ALICE, CLIENT)).await.unwrap();
    let body = stage.refresh(&tokens.refresh_token).await.json();
    let second = body["refresh_token"].as_str().unwrap().to_owned();
    let now = stage.now().await;
    simulator.add_plays(ALICE, &[NewPlay::new(now - SignedDuration::from_secs(1))]).await.unwrap();
    let rule =
        NewGenerator { start_time: Some(now - SignedDuration::from_mins(10)), ..NewGenerator::steady(1, 60_000) };
    simulator.add_generator(ALICE, &rule).await.unwrap();
    simulator.put_listenbrainz_user("alice", "token").await.unwrap();
    simulator
        .put_lastfm_app(&LastfmApp {
            api_key: "k".into(),
            shared_secret: "s".into(),
            suspended: false,
            errors_with_200: false,
        })
        .await
        .unwrap();
    simulator.put_lastfm_user(&LastfmUser::new("alice", "sk")).await.unwrap();
    let listen = json!({"listened_at": now.as_second(), "track_metadata": {"artist_name": "A", "track_name": "T"}});
    let submit = stage.http.post(stage.url("/listenbrainz/1/submit-listens")).header("authorization", "Token token");
    stage.answer(submit.json(&json!({"listen_type": "single", "payload": [listen]}))).await;
    stage.answer(stage.http.post(stage.url("/webhook/hook")).header("idempotency-key", "k").body("b")).await;
    simulator.add_fault(&NewFault::new(Effect::status(500)).at(Endpoint::Me).times(2)).await.unwrap();
    stage.me(body["access_token"].as_str().unwrap()).await;
    stage.advance(60).await;
    let before = (
        simulator.requests(&RecordFilter::default()).await.unwrap(),
        simulator.plays(ALICE).await.unwrap(),
        simulator.tokens(ALICE).await.unwrap(),
        simulator.listens("alice").await.unwrap(),
        simulator.deliveries("hook").await.unwrap(),
        simulator.faults().await.unwrap(),
        simulator.account(ALICE).await.unwrap(),
    );
    assert!(before.1.len() > 10);
    stage.simulator.shutdown().await;

    let stage = Stage::with(options(&folder)).await;
    let simulator = &stage.simulator;
    let after = (
        simulator.requests(&RecordFilter::default()).await.unwrap(),
        simulator.plays(ALICE).await.unwrap(),
        simulator.tokens(ALICE).await.unwrap(),
        simulator.listens("alice").await.unwrap(),
        simulator.deliveries("hook").await.unwrap(),
        simulator.faults().await.unwrap(),
        simulator.account(ALICE).await.unwrap(),
    );
    assert_eq!(after, before);
    assert!(stage.now().await >= now + SignedDuration::from_secs(60));
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
    let answer = stage.refresh(&second).await;
    assert_eq!(answer.status, 200);
    let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(stage.me(&access_token).await.status, 500, "one of two strikes was left");
    assert_eq!(stage.me(&access_token).await.status, 200);
    assert_eq!(stage.simulator.last_seq().await.unwrap(), before.0.len() as u64 + 4);
}

#[tokio::test]
async fn a_torn_line_at_the_end_is_a_request_that_was_never_answered() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::with(options(&folder)).await;
    stage.simulator.put_app(&app()).await.unwrap();
    stage.simulator.shutdown().await;
    let path = folder.path().join("state/state.log");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"[["apps","torn",{"client_id"#).unwrap();
    drop(file);
    let stage = Stage::with(options(&folder)).await;
    let tokens = stage.simulator.add_account(&NewAccount::new(ALICE, CLIENT)).await.unwrap();
    stage.simulator.shutdown().await;
    let stage = Stage::with(options(&folder)).await;
    assert_eq!(stage.refresh(&tokens.refresh_token).await.status, 200);
}

#[tokio::test]
async fn what_is_no_state_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    std::fs::write(folder.path().join("state/state.log"), "[]\nnonsense\n").unwrap();
    let error = scrobble_simulator::Simulator::start(options(&folder)).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("line 2 of "), "{cause}");
}

#[tokio::test]
async fn tokens_are_stored_as_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::with(options(&folder)).await;
    stage.simulator.put_app(&app()).await.unwrap();
    let tokens = stage.simulator.add_account(&NewAccount::new(ALICE, CLIENT)).await.unwrap();
    stage.refresh(&tokens.refresh_token).await;
    let text = std::fs::read_to_string(folder.path().join("state/state.log")).unwrap();
    assert!(text.contains(&tokens.refresh_token_sha256));
    assert!(!text.contains(&tokens.refresh_token) && !text.contains(&tokens.access_token));
}
