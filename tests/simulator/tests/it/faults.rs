use jiff::SignedDuration;
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewAccount, NewFault, RecordFilter};
use serde_json::{Value, json};

use crate::stage::{ALICE, CLIENT, Stage, app, error};

async fn fault(stage: &Stage, fault: NewFault) -> u64 {
    stage.simulator.add_fault(&fault).await.unwrap()
}

#[tokio::test]
async fn both_kinds_of_429_look_as_seen() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let once = |effect| NewFault::new(effect).at(Endpoint::RecentlyPlayed).times(1);
    fault(&stage, once(Effect::RateLimited { retry_after_seconds: 7 })).await;
    let answer = stage.recently_played(&tokens.access_token, "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.json()["error"].get("reason"), None);
    fault(&stage, once(Effect::QuotaExceeded { retry_after_seconds: Some(48_925) })).await;
    let answer = stage.recently_played(&tokens.access_token, "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("48925")));
    let body = json!({"error": {"status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED"}});
    assert_eq!(answer.json(), body);
    fault(&stage, once(Effect::QuotaExceeded { retry_after_seconds: None })).await;
    assert_eq!(stage.recently_played(&tokens.access_token, "").await.header("retry-after"), None);
    assert_eq!(stage.recently_played(&tokens.access_token, "").await.status, 200);
}

#[tokio::test]
async fn other_statuses_come_as_json_text_html_or_nothing() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let types = [
        (BodyForm::Json, Some("application/json")),
        (BodyForm::Text, Some("text/plain; charset=utf-8")),
        (BodyForm::Html, Some("text/html; charset=utf-8")),
        (BodyForm::Empty, None),
    ];
    for (form, content_type) in types {
        fault(&stage, NewFault::new(Effect::status_as(503, form)).times(2)).await;
        for answer in [stage.me(&tokens.access_token).await, stage.refresh(&tokens.refresh_token).await] {
            assert_eq!((answer.status, answer.header("content-type")), (503, content_type), "{}", answer.text);
        }
    }
    fault(&stage, NewFault::new(Effect::status(500)).times(2)).await;
    let body = stage.me(&tokens.access_token).await.json();
    assert_eq!(body, json!({"error": {"status": 500, "message": "Internal Server Error"}}));
    assert_eq!(stage.refresh(&tokens.refresh_token).await.json()["error"], "server_error");
    let own =
        Effect::Status { status: 418, body: BodyForm::Text, text: Some("mine".into()), retry_after_seconds: Some(3) };
    fault(&stage, NewFault::new(own).times(1)).await;
    let answer = stage.me(&tokens.access_token).await;
    assert_eq!((answer.status, answer.text.as_str(), answer.header("retry-after")), (418, "mine", Some("3")));
}

#[tokio::test]
async fn refusals_of_spotify_can_be_scripted() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    for (effect, status, text) in [
        (Effect::AccessTokenExpired, 401, "The access token expired"),
        (Effect::UserNotAllowlisted, 403, "User not registered in the Developer Dashboard"),
        (Effect::OwnerNotPremium, 403, "Active premium subscription required"),
        (Effect::InsufficientScope, 403, "Insufficient client scope"),
    ] {
        fault(&stage, NewFault::new(effect).times(1)).await;
        let answer = stage.me(&tokens.access_token).await;
        assert_eq!(answer.status, status);
        assert!(answer.text.contains(text), "{}", answer.text);
    }
    let refusal = Effect::TokenError { error: "invalid_client".into(), description: None };
    fault(&stage, NewFault::new(refusal).at(Endpoint::Token).times(1)).await;
    let answer = stage.refresh(&tokens.refresh_token).await;
    assert_eq!(answer.json(), json!({"error": "invalid_client"}));
    assert_eq!(error(&answer).0, "invalid_client");
}

#[tokio::test]
async fn faults_strike_where_they_are_told_and_so_often() {
    let (stage, alice) = Stage::with_alice(app()).await;
    let bob = stage.simulator.add_account(&NewAccount::new("bob", CLIENT)).await.unwrap();
    let rule = NewFault { skip: 1, ..NewFault::new(Effect::status(500)).at(Endpoint::Me).of(ALICE).times(2) };
    let id = fault(&stage, rule).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(stage.me(&alice.access_token).await.status);
        assert_eq!(stage.me(&bob.access_token).await.status, 200);
        assert_eq!(stage.recently_played(&alice.access_token, "").await.status, 200);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    let report = stage.simulator.faults().await.unwrap();
    assert_eq!((report[0].id, report[0].matched, report[0].applied), (id, 3, 2));
    let records = stage.simulator.requests(&RecordFilter::at(Endpoint::Me).of(ALICE)).await.unwrap();
    let struck: Vec<_> = records.iter().map(|record| (record.fault_id, record.acted)).collect();
    assert_eq!(struck, [(None, true), (Some(id), false), (Some(id), false), (None, true)]);
    assert_eq!(records[1].fault, Some(Effect::status(500)));
    fault(&stage, NewFault { client_id: Some("other".into()), ..NewFault::new(Effect::status(500)) }).await;
    assert_eq!(stage.me(&alice.access_token).await.status, 200);
    let mine = fault(&stage, NewFault { client_id: Some(CLIENT.into()), ..NewFault::new(Effect::status(500)) }).await;
    assert_eq!(stage.me(&alice.access_token).await.status, 500);
    stage.simulator.remove_fault(mine).await.unwrap();
    assert_eq!(stage.me(&alice.access_token).await.status, 200);
    fault(&stage, NewFault::new(Effect::status(500))).await;
    stage.simulator.clear_faults().await.unwrap();
    assert_eq!(stage.me(&alice.access_token).await.status, 200);
    assert!(stage.simulator.faults().await.unwrap().is_empty());
}

#[tokio::test]
async fn faults_can_have_a_time() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let now = stage.now().await;
    let minutes = |number| Some(now + SignedDuration::from_mins(number));
    let rule = NewFault { from_time: minutes(10), until_time: minutes(20), ..NewFault::new(Effect::status(502)) };
    fault(&stage, rule).await;
    assert_eq!(stage.me(&tokens.access_token).await.status, 200);
    stage.advance(700).await;
    assert_eq!(stage.me(&tokens.access_token).await.status, 502);
    stage.advance(600).await;
    assert_eq!(stage.me(&tokens.access_token).await.status, 200);
}

#[tokio::test]
async fn chance_is_drawn_from_the_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let (stage, tokens) = Stage::with_alice(app()).await;
        fault(&stage, NewFault::new(Effect::status(500)).likely(0.3, seed)).await;
        let mut struck = Vec::new();
        for _ in 0..100 {
            struck.push(stage.me(&tokens.access_token).await.status == 500);
        }
        let count = struck.iter().filter(|struck| **struck).count();
        assert!((15..45).contains(&count), "{count}");
        runs.push(struck);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_spoiled_answer_means_that_the_server_acted() {
    let app = scrobble_simulator::api::NewApp { rotation: scrobble_simulator::api::Rotation::SingleUse, ..app() };
    let (stage, tokens) = Stage::with_alice(app).await;
    fault(&stage, NewFault::new(Effect::WrongJsonType).at(Endpoint::Token).times(1)).await;
    let answer = stage.refresh(&tokens.refresh_token).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert!(body["access_token"].is_number() && body["expires_in"].is_string() && body["refresh_token"].is_number());
    let fresh = stage.simulator.mint_tokens(ALICE).await.unwrap();
    fault(&stage, NewFault::new(Effect::HtmlBody).at(Endpoint::Token).times(1)).await;
    let answer = stage.refresh(&fresh.refresh_token).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(answer.text.starts_with("<!DOCTYPE html>"));
    let report = stage.simulator.tokens(ALICE).await.unwrap();
    assert_eq!(report.rotations.iter().map(|rotation| rotation.answered).collect::<Vec<_>>(), [false, false]);
}

#[tokio::test]
async fn pages_of_the_wrong_type_or_size_are_streamed() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    fault(&stage, NewFault::new(Effect::WrongJsonType).at(Endpoint::RecentlyPlayed).times(1)).await;
    let body = stage.recently_played(&tokens.access_token, "").await.json();
    assert!(body["items"].is_object() && body["limit"].is_string(), "{body}");
    fault(&stage, NewFault::new(Effect::OversizedBody { bytes: 0 }).times(1)).await;
    let answer = stage.recently_played(&tokens.access_token, "").await;
    assert!(answer.text.len() > 8 * 1024 * 1024);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.json()["items"], Value::Array(Vec::new()), "whoever reads on finds the true answer");
    fault(&stage, NewFault::new(Effect::OversizedBody { bytes: 100_000 }).times(1)).await;
    assert!((100_000..101_000).contains(&stage.me(&tokens.access_token).await.text.len()));
}

#[tokio::test]
async fn services_answer_429_and_5xx_in_their_own_words() {
    let stage = Stage::new().await;
    stage.simulator.put_listenbrainz_user("alice", "token").await.unwrap();
    let ask = async || {
        let request = stage.http.get(stage.url("/listenbrainz/1/validate-token"));
        stage.answer(request.header("authorization", "Token token")).await
    };
    fault(&stage, NewFault::new(Effect::RateLimited { retry_after_seconds: 3 }).of("alice").times(1)).await;
    let answer = ask().await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_i64(), answer.header("retry-after")),
        (429, Some(429), Some("3"))
    );
    fault(&stage, NewFault::new(Effect::status(503)).of("alice").times(1)).await;
    assert_eq!(ask().await.json(), json!({"code": 503, "error": "Service Unavailable"}));
    assert_eq!(ask().await.status, 200);
}
