use reqwest::Url;
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter};
use scrobble_simulator::sha256;

use crate::stage::{ALICE, Answer, CLIENT, SECRET, Stage, app, error, invalid_grant};

const REDIRECT: &str = "http://127.0.0.1:8080/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn authorize(stage: &Stage, more: &[(&str, &str)]) -> Answer {
    let mut query = vec![
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "user-read-recently-played"),
        ("state", "abc"),
    ];
    for (name, value) in more {
        query.retain(|(known, _)| known != name);
        query.push((name, value));
    }
    stage.answer(stage.http.get(stage.url("/spotify/accounts/authorize")).query(&query)).await
}

fn returned(answer: &Answer, name: &str) -> Option<String> {
    let location = Url::parse(answer.header("location").expect("a redirect")).unwrap();
    assert!(location.as_str().starts_with(REDIRECT), "{location}");
    location.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

async fn code(stage: &Stage, more: &[(&str, &str)]) -> String {
    let answer = authorize(stage, more).await;
    assert_eq!(answer.status, 303);
    assert_eq!(returned(&answer, "state").as_deref(), Some("abc"));
    returned(&answer, "code").unwrap()
}

fn exchange<'a>(code: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)], more].concat()
}

#[tokio::test]
async fn a_code_becomes_tokens_once() {
    let (stage, _) = Stage::with_alice(app()).await;
    let code = code(&stage, &[]).await;
    let elsewhere = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://x.test/")];
    assert_eq!(error(&stage.token(&elsewhere).await).0, "invalid_grant");
    let answer = stage.token(&exchange(&code, &[])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["scope"], "user-read-recently-played");
    assert_eq!(stage.me(body["access_token"].as_str().unwrap()).await.json()["id"], ALICE);
    let refresh_token = body["refresh_token"].as_str().unwrap();
    assert_eq!(stage.refresh(refresh_token).await.status, 200);
    assert_eq!(error(&stage.token(&exchange(&code, &[])).await), invalid_grant("Invalid authorization code"));
    let record = &stage.simulator.requests(&RecordFilter::default()).await.unwrap()[2];
    assert_eq!(record.account.as_deref(), Some(ALICE));
    assert_eq!(record.facts.refresh_token_issued, Some(sha256(refresh_token)));
}

#[tokio::test]
async fn a_code_dies_after_ten_minutes() {
    let (stage, _) = Stage::with_alice(app()).await;
    let code = code(&stage, &[]).await;
    stage.advance(600).await;
    assert_eq!(error(&stage.token(&exchange(&code, &[])).await), invalid_grant("Authorization code expired"));
}

#[tokio::test]
async fn pkce_is_checked() {
    let (stage, _) = Stage::with_alice(app()).await;
    let challenged = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let code = code(&stage, &challenged).await;
    let public = |more: &[(&'static str, &'static str)]| [&[("client_id", CLIENT)], more].concat();
    let other = "x".repeat(43);
    let wrong = [exchange(&code, &public(&[])), vec![("code_verifier", other.as_str())]].concat();
    assert_eq!(error(&stage.public_token(&wrong).await), invalid_grant("code_verifier was incorrect"));
    let none = stage.public_token(&exchange(&code, &public(&[]))).await;
    assert_eq!(error(&none).0, "invalid_request");
    let short = stage.public_token(&exchange(&code, &public(&[("code_verifier", "short")]))).await;
    assert_eq!(error(&short).0, "invalid_request");
    let answer = stage.public_token(&exchange(&code, &public(&[("code_verifier", VERIFIER)]))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let refresh_token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("client_id", CLIENT)];
    assert_eq!(stage.public_token(&form).await.status, 200, "minted without the secret, refreshed without it");
}

#[tokio::test]
async fn a_code_without_a_challenge_needs_the_secret() {
    let (stage, _) = Stage::with_alice(app()).await;
    let code = code(&stage, &[]).await;
    let answer = stage.public_token(&exchange(&code, &[("client_id", CLIENT)])).await;
    assert_eq!(error(&answer).0, "invalid_request");
    let answer = stage.public_token(&exchange(&code, &[("client_id", CLIENT), ("client_secret", SECRET)])).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_public_client_must_send_a_challenge_by_sha256() {
    let (stage, _) = Stage::with_alice(NewApp::public(CLIENT)).await;
    assert_eq!(returned(&authorize(&stage, &[]).await, "error").as_deref(), Some("invalid_request"));
    let plain = [("code_challenge", CHALLENGE), ("code_challenge_method", "plain")];
    assert_eq!(returned(&authorize(&stage, &plain).await, "error").as_deref(), Some("invalid_request"));
    let challenged = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    code(&stage, &challenged).await;
}

#[tokio::test]
async fn a_listener_can_say_no() {
    let (stage, _) = Stage::with_alice(app()).await;
    stage.simulator.add_fault(&NewFault::new(Effect::AccessDenied).at(Endpoint::Authorize).times(1)).await.unwrap();
    let answer = authorize(&stage, &[]).await;
    assert_eq!(returned(&answer, "error").as_deref(), Some("access_denied"));
    assert_eq!(returned(&answer, "state").as_deref(), Some("abc"));
    assert_eq!(returned(&answer, "code"), None);
    code(&stage, &[]).await;
}

#[tokio::test]
async fn the_listener_is_the_one_who_is_signed_in() {
    let (stage, _) = Stage::with_alice(app()).await;
    stage.simulator.add_account(&NewAccount::new("bob", CLIENT)).await.unwrap();
    assert_eq!(authorize(&stage, &[]).await.status, 400, "two listeners, none signed in");
    let who = async |more: &[(&str, &str)]| {
        let code = code(&stage, more).await;
        let body = stage.token(&exchange(&code, &[])).await.json();
        stage.me(body["access_token"].as_str().unwrap()).await.json()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(who(&[("user", "bob")]).await, "bob");
    stage.simulator.sign_in(CLIENT, ALICE).await.unwrap();
    assert_eq!(who(&[]).await, ALICE);
    assert_eq!(who(&[("user", "bob")]).await, "bob");
    assert_eq!(authorize(&stage, &[("user", "nobody")]).await.status, 400);
}

#[tokio::test]
async fn redirect_uris_follow_spotifys_rules() {
    let registered = ["https://app.example.org/callback", "http://127.0.0.1/callback"].map(str::to_owned).to_vec();
    let (stage, _) = Stage::with_alice(NewApp { redirect_uris: registered, ..app() }).await;
    code(&stage, &[]).await;
    for (uri, message) in [
        ("http://localhost:8080/callback", "INVALID_CLIENT: Insecure redirect URI"),
        ("http://10.0.0.1/callback", "INVALID_CLIENT: Insecure redirect URI"),
        ("https://app.example.org/callback/", "INVALID_CLIENT: Invalid redirect URI"),
        ("https://app.example.org/Callback", "INVALID_CLIENT: Invalid redirect URI"),
        ("http://127.0.0.1:8080/other", "INVALID_CLIENT: Invalid redirect URI"),
        ("nonsense", "INVALID_CLIENT: Invalid redirect URI"),
    ] {
        let answer = authorize(&stage, &[("redirect_uri", uri)]).await;
        assert_eq!((answer.status, answer.text.as_str()), (400, message), "{uri}");
        assert_eq!(answer.header("location"), None);
    }
    let answer = authorize(&stage, &[("client_id", "nobody")]).await;
    assert_eq!(answer.text, "INVALID_CLIENT: Invalid client");
}
