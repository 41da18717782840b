use jiff::SignedDuration;
use scrobble_simulator::api::{AccountChange, NewApp, TokenChange};
use serde_json::json;

use crate::stage::{ALICE, Stage, app};

#[tokio::test]
async fn me_tells_both_ids() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let answer = stage.me(&tokens.access_token).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    let account = stage.simulator.account(ALICE).await.unwrap();
    assert_eq!(body["id"], account.spotify_id);
    assert_eq!(body["account_id"], account.account_id);
    assert_eq!(body["display_name"], ALICE);
}

#[tokio::test]
async fn a_bad_token_is_refused_in_spotifys_words() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let url = stage.url("/spotify/api/v1/me");
    let none = stage.answer(stage.http.get(&url)).await;
    assert_eq!((none.status, none.json()), (401, json!({"error": {"status": 401, "message": "No token provided"}})));
    let basic = stage.answer(stage.http.get(&url).basic_auth("a", Some("b"))).await;
    let text = "Only valid bearer authentication supported";
    assert_eq!((basic.status, basic.json()["error"]["message"].as_str()), (400, Some(text)));
    let unknown = stage.me("garbage").await;
    assert_eq!((unknown.status, unknown.json()["error"]["message"].as_str()), (401, Some("Invalid access token")));
    let wrong_kind = stage.me(&tokens.refresh_token).await;
    assert_eq!(wrong_kind.status, 401, "a refresh token is no access token");
    stage.simulator.change_tokens(ALICE, &TokenChange::RevokeAccessTokens).await.unwrap();
    let revoked = stage.me(&tokens.access_token).await;
    assert_eq!((revoked.status, revoked.json()["error"]["message"].as_str()), (401, Some("Invalid access token")));
}

#[tokio::test]
async fn a_listener_off_the_allow_list_gets_tokens_but_no_data() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let off = AccountChange { allow_listed: Some(false), ..Default::default() };
    stage.simulator.change_account(ALICE, &off).await.unwrap();
    let body = stage.refresh(&tokens.refresh_token).await.json();
    let answer = stage.recently_played(body["access_token"].as_str().unwrap(), "").await;
    assert_eq!((answer.status, answer.text.as_str()), (403, "User not registered in the Developer Dashboard"));
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn an_owner_without_premium_stops_the_whole_app() {
    let (stage, tokens) = Stage::with_alice(NewApp { owner_premium: false, ..app() }).await;
    let answer = stage.me(&tokens.access_token).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.starts_with("Active premium subscription required for the owner of the app."));
    assert_eq!(answer.text.len(), 159);
}

#[tokio::test]
async fn plays_need_their_scope_and_me_needs_none() {
    let (stage, _) = Stage::with_alice(app()).await;
    let scope = Some("user-read-email".to_owned());
    let mint = TokenChange::Mint { client_id: None, scope, flow: None, authorized_time: None };
    let tokens = stage.simulator.change_tokens(ALICE, &mint).await.unwrap().unwrap();
    let answer = stage.recently_played(&tokens.access_token, "").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json(), json!({"error": {"status": 403, "message": "Insufficient client scope"}}));
    assert_eq!(stage.me(&tokens.access_token).await.status, 200);
}

#[tokio::test]
async fn the_rate_limit_rolls_over_thirty_seconds_for_the_whole_app() {
    let (stage, tokens) = Stage::with_alice(NewApp { requests_per_30_seconds: Some(2), ..app() }).await;
    for _ in 0..2 {
        assert_eq!(stage.me(&tokens.access_token).await.status, 200);
    }
    let answer = stage.recently_played(&tokens.access_token, "").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json(), json!({"error": {"status": 429, "message": "API rate limit exceeded"}}));
    let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait));
    stage.advance(wait).await;
    assert_eq!(stage.me(&tokens.access_token).await.status, 200);
}

#[tokio::test]
async fn the_quota_is_counted_for_the_developer_over_a_day() {
    let quota = |client: &str| NewApp {
        daily_quota: Some(2),
        developer: Some("acme".into()),
        ..NewApp::confidential(client, crate::stage::SECRET)
    };
    let (stage, tokens) = Stage::with_alice(quota(crate::stage::CLIENT)).await;
    stage.simulator.put_app(&quota("second")).await.unwrap();
    let mint = TokenChange::Mint { client_id: Some("second".into()), scope: None, flow: None, authorized_time: None };
    let other = stage.simulator.change_tokens(ALICE, &mint).await.unwrap().unwrap();
    assert_eq!(stage.me(&tokens.access_token).await.status, 200);
    assert_eq!(stage.me(&other.access_token).await.status, 200);
    let answer = stage.me(&tokens.access_token).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["error"]["reason"], "QUOTA_EXCEEDED");
    let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 80_000, "hours, not seconds: {wait}");
    let until = stage.now().await + SignedDuration::from_secs(wait);
    stage.advance(wait).await;
    assert!(stage.now().await >= until);
    assert_eq!(stage.refresh(&tokens.refresh_token).await.status, 200);
}
