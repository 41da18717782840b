//! Answers of the token endpoint that are spoiled on their way: Spotify has acted, and nobody can read what it said.

use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{FailureType, SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewFault, Rotation};

use super::stages::{POLICIES, account};
use super::tokens::{app, assert_stored, held, operator, report, state_name, text, wait_until_settled};
use crate::world::{CLIENT_ID, World, condition, ready};

fn effects() -> [(&'static str, Effect, &'static str); 6] {
    [
        ("cut", Effect::CutAfter, "NetworkError"),
        ("truncated", Effect::TruncatedBody, "NetworkError"),
        ("silent", Effect::HangAfter, "NetworkError"),
        ("html", Effect::HtmlBody, "UpstreamUnavailable"),
        ("oversized", Effect::OversizedBody { bytes: 0 }, "UpstreamUnavailable"),
        ("retyped", Effect::WrongJsonType, "UpstreamUnavailable"),
    ]
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_asked_for_once_more_and_is_lost_only_where_the_old_token_died() {
    let world = World::with_app("spoiled", app(Rotation::Never, 3600)).await;
    let mut accounts = Vec::new();
    for (what, effect, reason) in effects() {
        for (word, policy) in POLICIES {
            let name = format!("{what}-{word}");
            let listener = NewAccount { rotation: Some(policy), ..NewAccount::new(&name, CLIENT_ID) };
            account(&world, listener).await;
            let fault = NewFault::new(effect.clone()).at(Endpoint::Token).of(&name).times(1);
            world.script.add_fault(&fault).await.unwrap();
            let first = held(&world, &name).await.unwrap();
            accounts.push((name, policy, reason, first));
        }
    }
    let _operator = operator(&world).flag("concurrency", "100").start().await.unwrap();

    // Nobody knows whether Spotify has acted: the old token and the claim stay, and the next attempt is a minute away.
    for (name, policy, reason, first) in &accounts {
        let failed = |status: &SpotifyAccountStatus| status.failures.is_some();
        let status = world.wait(name, "a failure", failed).await.status.unwrap();
        let failures = status.failures.as_ref().unwrap();
        assert_eq!((failures.consecutive, failures.last_reason.as_deref()), (1, Some(*reason)), "{name}");
        let expected = if *reason == "NetworkError" { FailureType::Network } else { FailureType::Upstream };
        assert_eq!(failures.last_type, Some(expected), "{name}");
        assert!(failures.next_attempt_time.is_some(), "{name}");
        assert_eq!(condition(&status, ConditionType::Stalled), ("", ""), "{name}");
        assert_eq!(held(&world, name).await.as_ref(), Some(first), "{name}");
        assert!(text(&world, &format!("{name}-spotify"), "scrobble-operator.claim").await.is_some(), "{name}");
        assert_eq!(text(&world, &state_name(&world, name).await, "refresh-token").await, None, "{name}");
        let tokens = report(&world, name).await;
        assert_eq!(tokens.rotations.len(), usize::from(*policy != Rotation::Never), "{name}: Spotify has acted");
        assert_eq!(tokens.refresh_tokens[0].uses, 1, "{name}: not repeated in the request");
        world.request(name, "again").await;
    }

    for (name, policy, _, first) in &accounts {
        if matches!(policy, Rotation::Never | Rotation::Grace) {
            let status = world.wait_ready(name, "True", "Succeeded").await.status.unwrap();
            assert_eq!(status.failures, None, "{name}");
            let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
            assert_eq!(kinds, ["Ready", "Authorized", "Synced"], "{name}");
            wait_until_settled(&world, name).await;
            assert_stored(&world, name).await;
        } else {
            is_told(&world, name, first).await;
        }
        assert_eq!(report(&world, name).await.refresh_tokens[0].uses, 2, "{name}: tried once more");
    }
}

/// The old token is dead: the status says what happened, when, and what to do, and nothing is deleted.
async fn is_told(world: &World, name: &str, first: &str) {
    let account: SpotifyAccount = world.wait_ready(name, "False", "RefreshInterrupted").await;
    let status = account.status.unwrap();
    assert_eq!(ready(&status), ("False", "RefreshInterrupted"));
    for kind in [ConditionType::Authorized, ConditionType::Synced] {
        assert_eq!(condition(&status, kind), ("False", "RefreshInterrupted"), "{name}");
    }
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", "RefreshInterrupted"), "{name}");
    let claim = text(world, &format!("{name}-spotify"), "scrobble-operator.claim").await;
    let claim: serde_json::Value = serde_json::from_str(&claim.expect("the trace stays")).unwrap();
    let claimed: jiff::Timestamp = claim["claimedTime"].as_str().unwrap().parse().unwrap();
    let message = &find_condition(&status.conditions, ConditionType::Authorized).unwrap().message;
    let command = format!("scrobble-operator connect --namespace {} --account {name}", world.namespace);
    assert!(message.contains(&format!("cut off at {claimed:.0}")), "{name}: {message}");
    assert!(message.contains(&command), "{name}: {message}");
    assert_eq!(held(world, name).await.as_deref(), Some(first), "{name}");
    assert_eq!(text(world, &state_name(world, name).await, "refresh-token").await, None, "{name}");
}
