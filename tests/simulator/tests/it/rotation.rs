use jiff::SignedDuration;
use scrobble_simulator::api::{AccountChange, Effect, Endpoint, Flow, NewApp, NewFault, Rotation, TokenChange};
use scrobble_simulator::sha256;

use crate::stage::{ALICE, Stage, app, error, invalid_grant};

async fn refreshed(stage: &Stage, token: &str) -> String {
    let answer = stage.refresh(token).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["refresh_token"].as_str().expect("a new token").to_owned()
}

fn rotating(rotation: Rotation) -> NewApp {
    NewApp { rotation, grace_seconds: 60, ..app() }
}

#[tokio::test]
async fn never_keeps_the_token() {
    let (stage, tokens) = Stage::with_alice(rotating(Rotation::Never)).await;
    for _ in 0..3 {
        assert_eq!(stage.refresh(&tokens.refresh_token).await.json().get("refresh_token"), None);
    }
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    assert_eq!(report.current, Some(tokens.refresh_token_sha256));
    assert_eq!((report.refresh_tokens[0].uses, report.refresh_tokens[0].exchanges), (3, 3));
    assert!(report.rotations.is_empty() && report.reused.is_empty());
}

#[tokio::test]
async fn grace_lets_the_old_token_live_on_for_a_set_time() {
    let (stage, tokens) = Stage::with_alice(rotating(Rotation::Grace)).await;
    let second = refreshed(&stage, &tokens.refresh_token).await;
    let third = refreshed(&stage, &tokens.refresh_token).await;
    assert_ne!(second, third);
    stage.advance(30).await;
    refreshed(&stage, &tokens.refresh_token).await;
    stage.advance(31).await;
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
    refreshed(&stage, &second).await;
    let newest = refreshed(&stage, &third).await;
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    assert_eq!(report.current, Some(sha256(newest)));
    assert_eq!(report.reused, [tokens.refresh_token_sha256]);
}

#[tokio::test]
async fn single_use_kills_the_old_token_at_once_but_not_the_family() {
    let (stage, tokens) = Stage::with_alice(rotating(Rotation::SingleUse)).await;
    let second = refreshed(&stage, &tokens.refresh_token).await;
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
    let third = refreshed(&stage, &second).await;
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    assert_eq!(report.valid, [sha256(&third)]);
    assert_eq!(report.reused, std::slice::from_ref(&tokens.refresh_token_sha256));
    let chain: Vec<_> = report.rotations.iter().map(|rotation| (rotation.old.clone(), rotation.new.clone())).collect();
    assert_eq!(chain, [(tokens.refresh_token_sha256, sha256(&second)), (sha256(&second), sha256(&third))]);
}

#[tokio::test]
async fn strict_revokes_the_family_when_a_dead_token_comes_back() {
    let (stage, tokens) = Stage::with_alice(rotating(Rotation::Strict)).await;
    let answer = stage.refresh(&tokens.refresh_token).await.json();
    let (second, access_token) = (answer["refresh_token"].as_str().unwrap(), answer["access_token"].as_str().unwrap());
    assert_eq!(stage.me(access_token).await.status, 200);
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
    assert_eq!(error(&stage.refresh(second).await), invalid_grant("Refresh token revoked"));
    assert_eq!(stage.me(access_token).await.status, 401);
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    assert_eq!((report.current, report.valid.len()), (None, 0));
}

#[tokio::test]
async fn an_account_can_rotate_otherwise_than_its_app() {
    let (stage, tokens) = Stage::with_alice(rotating(Rotation::Never)).await;
    let change = AccountChange { rotation: Some(Rotation::Grace), grace_seconds: Some(5), ..Default::default() };
    stage.simulator.change_account(ALICE, &change).await.unwrap();
    let second = refreshed(&stage, &tokens.refresh_token).await;
    stage.advance(6).await;
    assert_eq!(stage.refresh(&tokens.refresh_token).await.status, 400);
    refreshed(&stage, &second).await;
}

#[tokio::test]
async fn public_clients_rotate_too() {
    let (stage, _) = Stage::with_alice(rotating(Rotation::SingleUse)).await;
    let mint = TokenChange::Mint { client_id: None, scope: None, flow: Some(Flow::Pkce), authorized_time: None };
    let tokens = stage.simulator.change_tokens(ALICE, &mint).await.unwrap().unwrap();
    let form = |token: &str| {
        [("grant_type", "refresh_token"), ("client_id", crate::stage::CLIENT), ("refresh_token", token)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let url = stage.url("/spotify/accounts/api/token");
    let answer = stage.answer(stage.http.post(&url).form(&form(&tokens.refresh_token))).await;
    let second = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let again = stage.answer(stage.http.post(&url).form(&form(&tokens.refresh_token))).await;
    assert_eq!(error(&again), invalid_grant("Refresh token revoked"));
    assert_eq!(stage.answer(stage.http.post(&url).form(&form(&second))).await.status, 200);
}

#[tokio::test]
async fn a_cut_after_the_server_acted_has_rotated_and_one_before_has_not() {
    let (stage, tokens) = Stage::with_alice(rotating(Rotation::SingleUse)).await;
    let url = stage.url("/spotify/accounts/api/token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
    let send = || {
        let request = stage.http.post(&url).form(&form);
        request.basic_auth(crate::stage::CLIENT, Some(crate::stage::SECRET)).send()
    };
    stage.simulator.add_fault(&NewFault::new(Effect::CutBefore).at(Endpoint::Token).times(1)).await.unwrap();
    assert!(send().await.is_err());
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    assert_eq!((report.current, report.refresh_tokens[0].uses), (Some(tokens.refresh_token_sha256.clone()), 0));
    stage.simulator.add_fault(&NewFault::new(Effect::CutAfter).at(Endpoint::Token).times(1)).await.unwrap();
    let before = stage.now().await;
    assert!(send().await.is_err());
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    let rotation = &report.rotations[0];
    assert_eq!(rotation.old, tokens.refresh_token_sha256);
    assert_eq!(Some(&rotation.new), report.current.as_ref());
    assert!(!rotation.answered);
    assert!(rotation.time >= before && rotation.time <= before + SignedDuration::from_secs(60));
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
}
