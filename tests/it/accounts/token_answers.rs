//! What the token endpoint may answer to a refresh: an account for each answer, all at one operator. Nothing but
//! `invalid_grant` with 400 stops an account for its token, and nothing at all touches the token.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter};
use serde_json::json;

use super::tokens::put;
use crate::world::{CLIENT_ID, CLIENT_SECRET, World, condition, ready};

const PASSING: [&str; 3] = ["UpstreamUnavailable", "NetworkError", "RateLimited"];

fn answer(status: u16, text: &str) -> Effect {
    Effect::Status { status, body: BodyForm::Json, text: Some(text.to_owned()), retry_after_seconds: None }
}

/// Answers that say nothing about anybody.
fn troubles() -> Vec<(String, Effect)> {
    let html = "<html><body>Just a moment</body></html>";
    let grant = r#"{"error": "invalid_grant", "error_description": "Refresh token revoked"}"#;
    let client = r#"{"error": "invalid_client"}"#;
    let mut troubles: Vec<(String, Effect)> = [
        (200, "empty", ""),
        (200, "braces", "{}"),
        (200, "html", html),
        (200, "list", "[]"),
        (200, "null", "null"),
        (200, "half", r#"{"access_token": "hunter-half"#),
        (200, "number", r#"{"access_token": 7, "token_type": "Bearer", "expires_in": 3600}"#),
        (200, "no-token", r#"{"token_type": "Bearer", "expires_in": 3600, "refresh_token": "hunter-new"}"#),
        (200, "grant", grant),
        (204, "empty", ""),
        (301, "html", html),
        (302, "empty", ""),
        (400, "empty", ""),
        (400, "html", html),
        (400, "text", "invalid_grant"),
        (400, "half", r#"{"error": "invalid_grant"#),
        (400, "number", r#"{"error": 400}"#),
        (400, "object", r#"{"error": {"status": 400, "message": "invalid_grant"}}"#),
        (400, "other", r#"{"error": "temporarily_unavailable"}"#),
        (400, "description", r#"{"error_description": "Refresh token revoked"}"#),
        (401, "grant", grant),
        (401, "empty", ""),
        (403, "grant", grant),
        (403, "client", client),
        (404, "html", html),
        (408, "empty", ""),
        (429, "grant", grant),
        (500, "grant", grant),
        (500, "client", client),
        (502, "html", html),
        (503, "text", "upstream connect error or disconnect/reset before headers"),
        (504, "empty", ""),
    ]
    .into_iter()
    .map(|(status, form, text)| (format!("t{status}-{form}"), answer(status, text)))
    .collect();
    let others = [
        ("truncated", Effect::TruncatedBody),
        ("oversized", Effect::OversizedBody { bytes: 0 }),
        ("retyped", Effect::WrongJsonType),
        ("html", Effect::HtmlBody),
        ("cut-before", Effect::CutBefore),
        ("cut-after", Effect::CutAfter),
    ];
    troubles.extend(others.map(|(name, effect)| (name.to_owned(), effect)));
    troubles
}

/// A world in which an hour takes a minute.
async fn fast_world(test: &str) -> World {
    let world = World::at_rate(test, NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 60).await;
    world.webhook().await;
    world
}

/// What a listener's token Secret holds, the claim apart.
async fn stored(world: &World, name: &str) -> BTreeMap<String, ByteString> {
    let secret = world.secrets().get(&format!("{name}-spotify")).await.unwrap();
    let mut data = secret.data.unwrap();
    data.remove("scrobble-operator.claim");
    data
}

/// The app is no worse for what its accounts were answered.
async fn assert_app_is_fine(world: &World) {
    let app = world.api::<SpotifyApp>().get("main").await.unwrap().status.unwrap();
    assert_eq!(find_condition(&app.conditions, ConditionType::Ready).unwrap().status, "True");
    assert_eq!((app.circuit_breaker, app.refused_client), (None, None));
}

#[tokio::test]
async fn an_answer_that_says_nothing_touches_nothing() {
    let world = fast_world("token-answers").await;
    let troubles = troubles();
    for (name, _) in &troubles {
        // Every read needs a new one.
        world
            .hooked_alone(NewAccount { access_token_seconds: Some(310), ..NewAccount::new(name, CLIENT_ID) }, "5m")
            .await;
    }
    let operator = world.start().await;
    for (name, _) in &troubles {
        world.wait_ready(name, "True", "Succeeded").await;
    }
    let mark = world.plane.audit().marker().unwrap();
    let mut faults = Vec::new();
    for (name, effect) in &troubles {
        let fault = NewFault::new(effect.clone()).at(Endpoint::Token).of(name);
        faults.push(world.script.add_fault(&fault).await.unwrap());
    }
    for ((name, effect), fault) in troubles.iter().zip(&faults) {
        world.struck(*fault, 1).await;
        // Nothing is stored from here on.
        let before = stored(&world, name).await;
        world.struck(*fault, 2).await;
        let told = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
            // A wait that Spotify asked for is told, and counts for the app.
            status.failures.is_some()
        };
        let failures = world.wait(name, "a failure", told).await.status.unwrap().failures.unwrap();
        let reason = failures.last_reason.unwrap();
        assert!(PASSING.contains(&reason.as_str()), "{name}: {reason}");
        assert_eq!(reason == "RateLimited", name.starts_with("t429"), "{name}: {reason}");
        assert_eq!(stored(&world, name).await, before, "{name}: {effect:?}");
    }
    assert_app_is_fine(&world).await;
    world.script.clear_faults().await.unwrap();
    for (name, _) in &troubles {
        world.wait(name, "recovered", |status| ready(status).0 == "True" && status.failures.is_none()).await;
        for status in world.statuses(mark, name).await {
            assert_eq!(condition(&status, ConditionType::Authorized), ("True", "Succeeded"), "{name}");
            assert_eq!(condition(&status, ConditionType::Stalled), ("", ""), "{name}");
        }
    }
    assert!(!operator.log().contains("panicked"));
    assert!(!operator.log().contains("hunter"), "no body is logged");
}

#[tokio::test]
async fn a_token_that_does_not_fit_the_app_is_its_accounts_own_configuration() {
    let world = fast_world("token-configuration").await;
    let cases = ["invalid_request", "unauthorized_client", "unsupported_grant_type"];
    let name = |error: &str| error.replace('_', "-");
    for error in cases {
        world.hooked(NewAccount::new(name(error), CLIENT_ID), "5m").await;
        let effect = Effect::TokenError { error: error.to_owned(), description: None };
        let fault = NewFault::new(effect).at(Endpoint::Token).of(name(error));
        world.script.add_fault(&fault).await.unwrap();
    }
    world.listener("contradicting").await;
    put(&world, "contradicting", json!({"flow": "pkce"})).await;
    let mut spec = world.spec("contradicting", "5m");
    spec["targets"] = json!([spec["targets"][1]]);
    world.create::<SpotifyAccount>("SpotifyAccount", "contradicting", &spec).await;
    world.hooked(NewAccount::new("bystander", CLIENT_ID), "1m").await;
    let _operator = world.start().await;
    for (account, word) in
        cases.iter().map(|error| (name(error), *error)).chain([("contradicting".into(), "flow: pkce")])
    {
        let status = world.wait_ready(&account, "False", "ConfigurationInvalid").await.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("True", "ConfigurationInvalid"), "{account}");
        let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
        assert!(message.contains(word), "{message}");
        assert!(message.contains(&format!("SpotifyApp {}/main", world.namespace)), "{message}");
        assert!(message.contains("scrobble-operator connect"), "{message}");
    }
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("bystander", seq, 10).await;
    world.wait_ready("bystander", "True", "Succeeded").await;
    assert_app_is_fine(&world).await;
    for error in cases {
        let asked = world.script.requests(&RecordFilter::default().of(name(error))).await.unwrap();
        let hour = asked.iter().filter(|request| request.time.duration_since(asked[0].time).as_mins() < 60);
        assert_eq!(hour.count(), 1, "{error}: once an hour");
    }
    let asked = world.script.requests(&RecordFilter::default().of("contradicting")).await.unwrap();
    assert!(asked.is_empty(), "a flow that contradicts the app sends nothing: {asked:?}");

    world.script.clear_faults().await.unwrap();
    put(&world, "contradicting", json!({"flow": "confidential"})).await;
    world.wait_ready("contradicting", "True", "Succeeded").await;
    for error in cases {
        world.request(&name(error), "mended").await;
        world.wait_ready(&name(error), "True", "Succeeded").await;
    }
}
