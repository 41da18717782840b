//! Nothing secret is ever shown, at any log level: neither by the command nor by the browser's page.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewFault};
use sha2::Digest as _;

use super::session::{Connect, consent, parameter, token_secret, visit, world};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

const LEVEL: &str = "log-level=trace,hyper=trace,h2=trace,kube=trace,kube_client=trace,reqwest=trace,oauth2=trace,rustls=trace,axum=trace,tower=trace";

/// Secrets by what they are, in all the forms in which one could slip out.
#[derive(Default)]
struct Planted(Vec<(&'static str, String)>);

impl Planted {
    fn plant(&mut self, what: &'static str, value: &str) {
        let escaped: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let part: String = value.chars().take(24).collect();
        for form in [value.to_owned(), STANDARD.encode(value), URL_SAFE_NO_PAD.encode(value), escaped, part] {
            self.0.push((what, form));
        }
    }

    fn assert_absent(&self, place: &str, text: &str) {
        for (what, form) in &self.0 {
            assert!(!text.contains(form.as_str()), "{place} shows {what}");
        }
    }
}

/// No part of a text is the verifier of this challenge (RFC 7636 section 4.2): it is known to the command alone.
fn assert_no_verifier(place: &str, text: &str, challenge: &str) {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    for word in text.as_bytes().split(|byte| !unreserved(*byte)).filter(|word| word.len() >= 43) {
        for verifier in word.windows(43) {
            assert_ne!(URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier)), challenge, "{place} shows the verifier");
        }
    }
}

/// One sign-in, and everything that it shows: what the browser gets, standard output, standard error.
async fn everything_shown(world: &World, planted: &mut Planted, flags: &[&str]) -> (i32, [(&'static str, String); 3]) {
    let connect = Connect::new(world, "alice").await.flag(LEVEL);
    let mut running = flags.iter().fold(connect, |connect, flag| connect.flag(flag)).start();
    let link = running.link().await;
    let answer = consent(&link).await;
    planted.plant("the code", &parameter(&answer, "code").unwrap());
    let page = visit(&answer).await;
    let ended = running.end().await;
    let page = format!("{:?}{}", page.headers, page.text);
    let shown = [("the page", page), ("standard output", ended.stdout), ("standard error", ended.stderr)];
    if let Some(challenge) = parameter(&link, "code_challenge") {
        for (place, text) in &shown {
            assert_no_verifier(place, text, &challenge);
        }
    }
    (ended.code, shown)
}

async fn plant_tokens(world: &World, planted: &mut Planted) {
    let secret = token_secret(world, "alice").await.unwrap();
    for (key, value) in secret.data.unwrap() {
        if key.ends_with("-token") {
            planted.plant("a token", std::str::from_utf8(&value.0).unwrap());
        }
    }
}

async fn nothing_secret_is_shown(test: &str, confidential: bool) {
    let world = world(test, confidential).await;
    let mut planted = Planted::default();
    planted.plant("the client secret", CLIENT_SECRET);
    planted.0.push(("the client's credentials", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"))));
    planted.plant("an upstream's body", "planted-upstream-body");
    let (code, shown) = everything_shown(&world, &mut planted, &[]).await;
    assert_eq!(code, 0, "{shown:?}");
    plant_tokens(&world, &mut planted).await;
    assert!(planted.0.len() > 20, "there is something to search for");
    for (place, text) in &shown {
        planted.assert_absent(place, text);
    }

    // A manifest is the one thing that shows tokens, and it is all that standard output has.
    let (code, [page, manifest, talk]) = everything_shown(&world, &mut planted, &["output=yaml"]).await;
    assert_eq!(code, 0);
    let printed: serde_json::Value = serde_yaml::from_str(&manifest.1).unwrap();
    let token = STANDARD.decode(printed["data"]["refresh-token"].as_str().unwrap()).unwrap();
    planted.plant("the printed token", std::str::from_utf8(&token).unwrap());
    planted.assert_absent(page.0, &page.1);
    planted.assert_absent(talk.0, &talk.1);

    // Whatever fails, fails without showing anything.
    let text = |status| Effect::Status {
        status,
        body: BodyForm::Text,
        text: Some("planted-upstream-body".to_owned()),
        retry_after_seconds: None,
    };
    let described =
        Effect::TokenError { error: "invalid_grant".into(), description: Some("planted-upstream-body".into()) };
    for (endpoint, effect) in [
        (Endpoint::Token, text(500)),
        (Endpoint::Token, text(200)),
        (Endpoint::Token, described),
        (Endpoint::Token, Effect::TruncatedBody),
        (Endpoint::Token, Effect::WrongJsonType),
        (Endpoint::Me, text(403)),
        (Endpoint::Me, Effect::TruncatedBody),
    ] {
        world.script.add_fault(&NewFault::new(effect.clone()).at(endpoint)).await.unwrap();
        let (code, shown) = everything_shown(&world, &mut planted, &[]).await;
        world.script.clear_faults().await.unwrap();
        assert_eq!(code, 1, "{effect:?}");
        for (place, text) in &shown {
            planted.assert_absent(place, text);
        }
    }
}

#[tokio::test]
async fn a_public_app_shows_nothing_secret() {
    nothing_secret_is_shown("connect-secrecy-public", false).await;
}

#[tokio::test]
async fn a_confidential_app_shows_nothing_secret() {
    nothing_secret_is_shown("connect-secrecy-confidential", true).await;
}
