//! Two accounts of one listener that name the same target with the same credentials: the older one serves it.

use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, TargetState};
use serde_json::json;

use super::stage::{fast, hook, keyed, target, tells, totals};
use crate::world::{DEADLINE, World, condition};

/// The listener `alice` with two tokens, and the account `older` that has read.
async fn older(world: &World) -> Vec<String> {
    world.hook_target("hook").await;
    world.hook_target("own").await;
    world.listenbrainz("alice").await;
    world.listener("alice").await;
    let titles = world.play("alice", 3, 60).await;
    let tokens = world.script.mint_tokens("alice").await.unwrap();
    world.secret("second-spotify", "token", &[("refresh-token", &tokens.refresh_token)]).await;
    let targets = json!([keyed("brainz", "listenbrainz", "alice-listenbrainz"), hook("hook", "hook")]);
    world.account_of("older", "alice", "2m", targets).await;
    titles
}

/// The account `younger` of the same listener, created in a later second.
async fn younger(world: &World, credentials: &str, interval: &str) {
    let created = |name: &'static str| async move {
        let account = world.api::<SpotifyAccount>().get(name).await.unwrap();
        account.metadata.creation_timestamp.unwrap().0
    };
    let first = created("older").await;
    let later = async || jiff::Timestamp::now().as_second() > first.as_second();
    wait_until("another second", DEADLINE, later).await.unwrap();
    let mut spec = world.spec("second", interval);
    spec["targets"] = json!([keyed("same", "listenbrainz", credentials), hook("hook", "hook"), hook("own", "own")]);
    world.create::<SpotifyAccount>("SpotifyAccount", "younger", &spec).await;
}

async fn assert_idle(world: &World) {
    let status = world.wait("younger", "both entries idle", |status| {
        tells("same", "DuplicateListener")(status) && tells("hook", "DuplicateListener")(status)
    });
    let status = status.await.status.unwrap();
    for entry in ["same", "hook"] {
        let known = status.target(entry).unwrap();
        assert_eq!((known.state, known.pending), (TargetState::Idle, 0), "{entry}");
        assert!(known.message.as_deref().unwrap().contains(&format!("{}/older", world.namespace)), "{known:?}");
    }
    let status = world.wait_ready("younger", "False", "DuplicateListener").await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"));
}

/// Every play once at ListenBrainz and at both webhooks.
async fn assert_once(world: &World, titles: &[String]) {
    world.assert_listens("alice", titles).await;
    for name in ["hook", "own"] {
        let deliveries = world.script.deliveries(name).await.unwrap();
        assert_eq!(deliveries.len(), titles.len(), "{name}");
        assert!(deliveries.iter().all(|delivery| delivery.received == 1), "{name}: {deliveries:?}");
    }
}

async fn takes_turns(test: &str, credentials: &str) {
    let world = fast(test).await;
    let mut titles = older(&world).await;
    if credentials != "alice-listenbrainz" {
        world.secret(credentials, "credentials", &[("token", "listenbrainz-token-of-alice")]).await;
    }
    let mut operator = world.start().await;
    world.wait("older", "three plays at both targets", totals(6, 0)).await;
    younger(&world, credentials, "2m").await;
    assert_idle(&world).await;
    world.wait("younger", "three plays at its own target", totals(3, 0)).await;
    assert_once(&world, &titles).await;
    titles.extend(world.play("alice", 1, 0).await);
    world.wait("older", "a new play at both targets", totals(8, 0)).await;
    world.wait("younger", "a new play at its own target", totals(4, 0)).await;
    assert_once(&world, &titles).await;

    // After a restart nobody forgets whose turn it is.
    assert!(operator.terminate().await.unwrap().success());
    titles.extend(world.play("alice", 1, 0).await);
    let mark = world.mark().await;
    operator.restart().await.unwrap();
    world.wait("older", "a new play at both targets", totals(10, 0)).await;
    world.wait("younger", "a new play at its own target", totals(5, 0)).await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 4).await;
    for status in world.statuses(mark, "younger").await {
        assert!(target("same", |known| known.state == TargetState::Idle)(&status), "{:?}", status.targets);
    }
    assert_once(&world, &titles).await;

    // The older one goes, and the younger one takes over at once.
    world.delete::<SpotifyAccount>("older").await;
    world.wait("younger", "its turn", target("same", |known| known.state == TargetState::Healthy)).await;
    titles.extend(world.play("alice", 1, 0).await);
    wait_until("the new play everywhere", DEADLINE, async || {
        let listens = world.listens("alice").await.len();
        let hooks = world.script.deliveries("hook").await.unwrap().len();
        if (listens, hooks) == (titles.len(), titles.len()) { Ok(()) } else { Err(format!("{listens}, {hooks}")) }
    })
    .await
    .unwrap();
    world.wait_ready("younger", "True", "Succeeded").await;
    let mut expected = titles.clone();
    expected.sort();
    assert_eq!(world.listens("alice").await, expected, "none is doubled");
    for name in ["hook", "own"] {
        let deliveries = world.script.deliveries(name).await.unwrap();
        assert_eq!(deliveries.len(), titles.len(), "{name}: repeats have the same key");
    }
}

#[tokio::test]
async fn with_one_secret() {
    takes_turns("duplicate-secret", "alice-listenbrainz").await;
}

#[tokio::test]
async fn with_two_secrets_of_the_same_value() {
    takes_turns("duplicate-value", "alice-other").await;
}

#[tokio::test]
async fn the_younger_one_learns_at_once_that_the_older_one_is_gone() {
    // In real time, where nobody looks again by himself within a test.
    let world = World::new("duplicate-gone").await;
    older(&world).await;
    let _operator = world.start().await;
    world.wait("older", "three plays at both targets", totals(6, 0)).await;
    younger(&world, "alice-listenbrainz", "24h").await;
    assert_idle(&world).await;
    world.delete::<SpotifyAccount>("older").await;
    world.wait_ready("younger", "True", "Succeeded").await;
}
