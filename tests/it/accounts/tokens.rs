//! What tests about tokens look at: Secrets, and what the simulator knows of the tokens in them.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use scrobble_harness::{Operator, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Endpoint, NewApp, Record, RecordFilter, Rotation, TokenReport};
use scrobble_simulator::sha256;
use serde_json::json;

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World};

/// A world whose tokens rotate in this way, with access tokens that live for so many seconds.
pub async fn world(test: &str, rotation: Rotation, access_token_seconds: i64) -> World {
    World::with_app(test, app(rotation, access_token_seconds)).await
}

/// The app of such a world. A replaced token outlives every wait of a test under `grace`.
pub fn app(rotation: Rotation, access_token_seconds: i64) -> NewApp {
    NewApp { rotation, access_token_seconds, grace_seconds: 600, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) }
}

/// The operator, which refreshes a second ahead.
pub fn operator(world: &World) -> Operator {
    world.operator().flag("refresh-buffer", "1s")
}

/// One key of a Secret as text; none where Secret or key are missing.
pub async fn text(world: &World, secret: &str, key: &str) -> Option<String> {
    let secret: Option<Secret> = world.secrets().get_opt(secret).await.unwrap();
    let value = secret?.data?.remove(key)?;
    Some(String::from_utf8(value.0).unwrap())
}

/// The hash of the refresh token in a listener's token Secret, as the simulator names tokens.
pub async fn held(world: &World, listener: &str) -> Option<String> {
    text(world, &format!("{listener}-spotify"), "refresh-token").await.map(sha256)
}

/// The name of an account's state Secret.
pub async fn state_name(world: &World, listener: &str) -> String {
    let account = world.api::<SpotifyAccount>().get(listener).await.unwrap();
    format!("scrobble-operator-state-{}", account.uid().unwrap())
}

/// Changes keys of a listener's token Secret, as a human does.
pub async fn put(world: &World, listener: &str, keys: serde_json::Value) {
    let patch = json!({"stringData": keys});
    world
        .secrets()
        .patch(&format!("{listener}-spotify"), &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}

/// What the simulator knows of a listener's refresh tokens.
pub async fn report(world: &World, listener: &str) -> TokenReport {
    world.script.tokens(listener).await.unwrap()
}

/// Requests to the token endpoint after this one.
pub async fn exchanges(world: &World, since: u64) -> Vec<Record> {
    world.script.requests(&RecordFilter::at(Endpoint::Token).since(since)).await.unwrap()
}

/// Waits for so many more requests to the token endpoint.
pub async fn wait_for_exchanges(world: &World, count: usize) -> Vec<Record> {
    let since = world.script.last_seq().await.unwrap();
    wait_until(&format!("{count} more exchanges"), DEADLINE, async || {
        let found = exchanges(world, since).await;
        if found.len() >= count { Ok(found) } else { Err(format!("{} exchanges", found.len())) }
    })
    .await
    .unwrap()
}

/// Waits until the token Secret holds the newest token of the listener, and no claim is open.
pub async fn wait_until_settled(world: &World, listener: &str) {
    wait_until("the newest token to be stored", DEADLINE, async || {
        let (held, current) = (held(world, listener).await, report(world, listener).await.current);
        let claim = text(world, &format!("{listener}-spotify"), "scrobble-operator.claim").await;
        if held == current && claim.is_none() { Ok(()) } else { Err(format!("{held:?}, {current:?}, {claim:?}")) }
    })
    .await
    .unwrap();
}

/// Nothing was ever presented again after it had been replaced.
pub fn assert_used_once(report: &TokenReport) {
    assert_eq!(report.reused, Vec::<String>::new());
    for token in &report.refresh_tokens {
        assert_eq!(token.uses_after_replacement, 0, "{token:?}");
    }
}

/// The newest token of the simulator is in the token Secret, and in the state Secret where there is one.
pub async fn assert_stored(world: &World, listener: &str) {
    let current = report(world, listener).await.current;
    assert!(current.is_some(), "a token of {listener} works");
    assert_eq!(held(world, listener).await, current, "the token Secret of {listener}");
    if let Some(newest) = text(world, &state_name(world, listener).await, "refresh-token").await {
        assert_eq!(Some(sha256(newest)), current, "the state Secret of {listener}");
    }
}
