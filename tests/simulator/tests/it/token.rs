use scrobble_simulator::api::{NewAccount, NewApp, RecordFilter, TokenChange};
use scrobble_simulator::sha256;

use crate::stage::{ALICE, CLIENT, SECRET, Stage, app, error, invalid_grant};

fn description(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn a_refresh_answers_an_access_token_and_nothing_else_new() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let answer = stage.refresh(&tokens.refresh_token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert!(body["access_token"].as_str().unwrap().len() > 200);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "user-read-recently-played");
    assert_eq!(body.get("refresh_token"), None);
    assert_eq!(stage.me(body["access_token"].as_str().unwrap()).await.status, 200);
    assert_eq!(stage.refresh(&tokens.refresh_token).await.status, 200);
}

#[tokio::test]
async fn clients_prove_themselves_by_basic_or_by_body_but_not_by_both() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let grant = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
    let with = |more: &[(&'static str, &'static str)]| [&grant[..], more].concat();
    let body = stage.public_token(&with(&[("client_id", CLIENT), ("client_secret", SECRET)])).await;
    assert_eq!(body.status, 200);
    let both = stage.token(&with(&[("client_id", CLIENT), ("client_secret", SECRET)])).await;
    assert_eq!(error(&both).0, "invalid_request");
    let named = stage.token(&with(&[("client_id", CLIENT)])).await;
    assert_eq!(named.status, 200, "a client id alone beside Basic is no second proof");
    let nobody = stage.public_token(&grant).await;
    assert_eq!(error(&nobody).0, "invalid_request");
    let without_secret = stage.public_token(&with(&[("client_id", CLIENT)])).await;
    assert_eq!(error(&without_secret).0, "invalid_request", "minted with a secret, so refreshed with it");
    let wrong = stage.public_token(&with(&[("client_id", CLIENT), ("client_secret", "wrong")])).await;
    assert_eq!(error(&wrong), (description("invalid_client"), description("Invalid client secret")));
    let unknown = stage.public_token(&with(&[("client_id", "nobody"), ("client_secret", "x")])).await;
    assert_eq!(error(&unknown), (description("invalid_client"), description("Invalid client")));
    let requests = stage.simulator.requests(&RecordFilter::default()).await.unwrap();
    let ways: Vec<_> = requests.iter().map(|record| record.facts.client_authentication.clone().unwrap()).collect();
    assert_eq!(ways, ["body", "basic+body", "basic", "none", "none", "body", "body"]);
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_first() {
    let stage = Stage::new().await;
    stage.simulator.put_app(&NewApp::confidential("an id: with &=%+", "a+secret/ü:%")).await.unwrap();
    let tokens = stage.simulator.add_account(&NewAccount::new(ALICE, "an id: with &=%+")).await.unwrap();
    let encoded = |text: &str| url_encoded(text);
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
    let request = stage.http.post(stage.url("/spotify/accounts/api/token")).form(&form);
    let right = request.basic_auth(encoded("an id: with &=%+"), Some(encoded("a+secret/ü:%")));
    assert_eq!(stage.answer(right).await.status, 200);
    let request = stage.http.post(stage.url("/spotify/accounts/api/token")).form(&form);
    let raw = stage.answer(request.basic_auth("an id", Some("a+secret/ü:%"))).await;
    assert_eq!(error(&raw).0, "invalid_client");
    let request = stage.http.post(stage.url("/spotify/accounts/api/token")).form(&form);
    let garbage = stage.answer(request.header("authorization", "Basic !!!")).await;
    assert_eq!(error(&garbage).0, "invalid_client");
}

fn url_encoded(text: &str) -> String {
    let pair = reqwest::Url::parse_with_params("http://x/", [("v", text)]).unwrap();
    pair.query().unwrap().trim_start_matches("v=").to_owned()
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_by_name() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    assert_eq!(error(&stage.token(&[]).await).0, "unsupported_grant_type");
    assert_eq!(error(&stage.token(&[("grant_type", "password")]).await).0, "unsupported_grant_type");
    assert_eq!(error(&stage.token(&[("grant_type", "refresh_token")]).await).0, "invalid_request");
    assert_eq!(error(&stage.token(&[("grant_type", "authorization_code")]).await).0, "invalid_request");
    assert_eq!(error(&stage.refresh("garbage").await), invalid_grant("Invalid refresh token"));
    assert_eq!(error(&stage.refresh(&tokens.access_token).await), invalid_grant("Invalid refresh token"));
    let get = stage.http.get(stage.url("/spotify/accounts/api/token"));
    assert_eq!(stage.answer(get).await.status, 405);
}

#[tokio::test]
async fn a_token_works_for_its_own_client_only() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    stage.simulator.put_app(&NewApp::confidential("other", "secret")).await.unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
    let request = stage.http.post(stage.url("/spotify/accounts/api/token")).form(&form);
    let answer = stage.answer(request.basic_auth("other", Some("secret"))).await;
    assert_eq!(error(&answer), invalid_grant("Invalid refresh token"));
}

#[tokio::test]
async fn a_revoked_authorization_is_dead_for_good() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    stage.simulator.revoke(ALICE).await.unwrap();
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
    let answer = stage.me(&tokens.access_token).await;
    assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (401, Some("Invalid access token")));
    let fresh = stage.simulator.mint_tokens(ALICE).await.unwrap();
    assert_eq!(stage.refresh(&fresh.refresh_token).await.status, 200);
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token revoked"));
}

#[tokio::test]
async fn tokens_expire_by_script() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    stage.simulator.change_tokens(ALICE, &TokenChange::ExpireRefreshTokens).await.unwrap();
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token expired"));
    assert_eq!(stage.me(&tokens.access_token).await.status, 200, "the access token lives out its life");
    stage.simulator.change_tokens(ALICE, &TokenChange::ExpireAccessTokens).await.unwrap();
    let answer = stage.me(&tokens.access_token).await;
    assert_eq!(answer.json()["error"]["message"], "The access token expired");
}

#[tokio::test]
async fn an_authorization_ends_after_its_days_whatever_was_refreshed() {
    let app = NewApp { authorization_lifetime_days: Some(180), access_token_seconds: 3600, ..app() };
    let (stage, tokens) = Stage::with_alice(app).await;
    stage.advance(179 * 86_400).await;
    let answer = stage.refresh(&tokens.refresh_token).await;
    assert_eq!(answer.status, 200);
    stage.advance(86_400).await;
    assert_eq!(error(&stage.refresh(&tokens.refresh_token).await), invalid_grant("Refresh token expired"));
    let long_ago = stage.now().await - jiff::SignedDuration::from_hours(181 * 24);
    let change = TokenChange::Mint { client_id: None, scope: None, flow: None, authorized_time: Some(long_ago) };
    let old = stage.simulator.change_tokens(ALICE, &change).await.unwrap().unwrap();
    assert_eq!(error(&stage.refresh(&old.refresh_token).await), invalid_grant("Refresh token expired"));
}

#[tokio::test]
async fn an_access_token_lives_as_long_as_said() {
    let (stage, tokens) = Stage::with_alice(NewApp { access_token_seconds: 30, ..app() }).await;
    let body = stage.refresh(&tokens.refresh_token).await.json();
    assert_eq!(body["expires_in"], 30);
    let access_token = body["access_token"].as_str().unwrap();
    assert_eq!(stage.me(access_token).await.status, 200);
    stage.advance(30).await;
    let answer = stage.me(access_token).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json(), serde_json::json!({"error": {"status": 401, "message": "The access token expired"}}));
}

#[tokio::test]
async fn records_tell_of_tokens_by_hash_only() {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let body = stage.refresh(&tokens.refresh_token).await.json();
    stage.me(body["access_token"].as_str().unwrap()).await;
    let records = stage.simulator.requests(&RecordFilter::default()).await.unwrap();
    assert_eq!(records[0].facts.grant_type.as_deref(), Some("refresh_token"));
    assert_eq!(records[0].facts.refresh_token_sent, Some(sha256(&tokens.refresh_token)));
    assert_eq!(records[0].facts.refresh_token_sent, Some(tokens.refresh_token_sha256.clone()));
    assert_eq!(records[0].facts.access_token_issued, Some(sha256(body["access_token"].as_str().unwrap())));
    assert_eq!(records[1].facts.access_token_sent, records[0].facts.access_token_issued);
    assert!(records.iter().all(|record| record.account.as_deref() == Some(ALICE)));
    assert!(records.iter().all(|record| record.client_id.as_deref() == Some(CLIENT)));
    let raw = stage.answer(stage.http.get(stage.url("/_simulator/requests"))).await.text;
    for secret in [&tokens.refresh_token, body["access_token"].as_str().unwrap(), SECRET] {
        assert!(!raw.contains(secret), "{raw}");
    }
}
