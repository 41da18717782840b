//! Tokens that Spotify replaces, that people replace, and that come back from a repository or a backup.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::condition::find_condition;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Endpoint, NewAccount, RecordFilter, Rotation};
use scrobble_simulator::sha256;
use serde_json::json;

use super::repository::{Manifest, Way};
use super::tokens::{
    assert_stored, assert_used_once, exchanges, held, operator, put, report, state_name, text, wait_for_exchanges,
    wait_until_settled, world,
};
use crate::world::{CLIENT_ID, DEADLINE};

#[tokio::test]
async fn ten_refreshes_without_rotation() {
    ten_refreshes("refresh-never", Rotation::Never).await;
}

#[tokio::test]
async fn ten_refreshes_with_grace() {
    ten_refreshes("refresh-grace", Rotation::Grace).await;
}

#[tokio::test]
async fn ten_refreshes_of_single_use_tokens() {
    ten_refreshes("refresh-single-use", Rotation::SingleUse).await;
}

#[tokio::test]
async fn ten_refreshes_of_strict_tokens() {
    ten_refreshes("refresh-strict", Rotation::Strict).await;
}

async fn ten_refreshes(test: &str, rotation: Rotation) {
    let world = world(test, rotation, 2).await;
    world.account("alice", "1s").await;
    let first = held(&world, "alice").await.unwrap();
    let mut operator = operator(&world).start().await.unwrap();
    let ready = world.wait_ready("alice", "True", "Succeeded").await;
    wait_for_exchanges(&world, 10).await;
    assert!(operator.terminate().await.unwrap().success());

    let tokens = report(&world, "alice").await;
    assert_used_once(&tokens);
    assert_stored(&world, "alice").await;
    let account = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    let since = |account: &SpotifyAccount| {
        let conditions = &account.status.as_ref().unwrap().conditions;
        let ready = find_condition(conditions, ConditionType::Ready).unwrap();
        (ready.status.clone(), ready.last_transition_time.clone())
    };
    assert_eq!(since(&account), since(&ready), "Ready all the time");
    let status = account.status.clone().unwrap();
    assert_eq!(status.failures, None);
    let token = status.token.unwrap();
    let state: Option<Secret> = world.secrets().get_opt(&state_name(&world, "alice").await).await.unwrap();
    if rotation == Rotation::Never {
        assert_eq!(tokens.rotations.len(), 0);
        assert_eq!(held(&world, "alice").await.unwrap(), first, "the token that was not replaced stays");
        assert!(state.is_none());
        assert!(account.finalizers().is_empty());
        assert_eq!(token.last_rotation_time, None);
        return;
    }
    assert!(tokens.rotations.len() >= 10);
    assert_eq!(token.last_rotation_time, token.last_refresh_time);
    assert_eq!(account.finalizers(), ["scrobble-operator.io/token-handback"]);
    let state = state.unwrap();
    let owners: Vec<&str> = state.owner_references().iter().map(|owner| owner.uid.as_str()).collect();
    assert_eq!(owners, [account.uid().unwrap()]);
    assert_eq!(state.labels()["scrobble-operator.io/use"], "state");
    let replaced = &state.data.unwrap()["replaced"].0;
    assert_eq!(replaced.len(), 32 * tokens.rotations.len(), "a hash of each token that was replaced");
}

#[tokio::test]
async fn a_replaced_token_that_comes_back_is_not_used_and_said_once() {
    let world = world("put-back", Rotation::Strict, 2).await;
    world.account("alice", "1s").await;
    let manifest = Manifest::of(&world, "alice").await;
    let mut operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_for_exchanges(&world, 2).await;
    for way in [Way::Replace, Way::Apply, Way::Replace] {
        // One that comes while the newest is being stored is written over unseen.
        wait_until_settled(&world, "alice").await;
        manifest.apply(&world.secrets(), way).await;
        wait_for_exchanges(&world, 2).await;
    }
    let said = async || {
        let events = world.events("alice").await;
        events.into_iter().filter(|(_, note)| note.contains("was put back")).count()
    };
    wait_until("the Event", DEADLINE, async || (said().await > 0).then_some(())).await.unwrap();

    assert!(operator.terminate().await.unwrap().success());
    assert_used_once(&report(&world, "alice").await);
    assert_stored(&world, "alice").await;
    assert_eq!(said().await, 1);
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!(status.failures, None);

    // Also where nobody remembers: the token is put back while no operator runs.
    manifest.apply(&world.secrets(), Way::Replace).await;
    operator.restart().await.unwrap();
    wait_for_exchanges(&world, 1).await;
    wait_until_settled(&world, "alice").await;
    assert!(operator.terminate().await.unwrap().success());
    assert_used_once(&report(&world, "alice").await);
    assert_eq!(said().await, 1, "a restart does not say it again");
    let status = world.api::<SpotifyAccount>().get("alice").await.unwrap().status.unwrap();
    assert!(status.authorization.unwrap().put_back_time.is_some());
}

#[tokio::test]
async fn a_new_token_of_the_listener_is_taken_up_on_request_and_with_the_next_refresh() {
    let world = world("new-token", Rotation::SingleUse, 8).await;
    world.account("alice", "1s").await;
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    let uses = async |sha256: &str| {
        let sent = exchanges(&world, 0).await;
        sent.iter().filter(|record| record.facts.refresh_token_sent.as_deref() == Some(sha256)).count()
    };
    for requested in [true, false] {
        let minted = world.script.mint_tokens("alice").await.unwrap();
        put(&world, "alice", json!({"refresh-token": minted.refresh_token})).await;
        if requested {
            world.request("alice", "now").await;
        }
        wait_until("the new token to be used", DEADLINE, async || {
            (uses(&minted.refresh_token_sha256).await == 1).then_some(())
        })
        .await
        .unwrap();
        wait_until_settled(&world, "alice").await;
    }
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_used_once(&report(&world, "alice").await);
    // The token is stored before Spotify is asked whose it is.
    wait_until("Spotify to be asked whose each token is", DEADLINE, async || {
        let asked = world.script.requests(&RecordFilter::at(Endpoint::Me)).await.ok()?;
        (asked.len() >= 3).then_some(())
    })
    .await
    .unwrap();
    let identified = world.script.requests(&RecordFilter::at(Endpoint::Me)).await.unwrap();
    assert_eq!(identified.len(), 3, "Spotify is asked once for each new token whose it is");
}

#[tokio::test]
async fn a_token_of_another_listener_reads_and_delivers_nothing() {
    let world = world("mismatch", Rotation::Never, 3600).await;
    world.account("alice", "1s").await;
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    let mallory = world.script.add_account(&NewAccount::new("mallory", CLIENT_ID)).await.unwrap();
    world.play("mallory", 3, 0).await;
    let before = text(&world, "alice-spotify", "refresh-token").await.unwrap();
    put(&world, "alice", json!({"refresh-token": mallory.refresh_token})).await;
    world.request("alice", "now").await;
    let account = world.wait_ready("alice", "False", "ListenerMismatch").await;
    let seq = world.script.last_seq().await.unwrap();
    let conditions = &account.status.as_ref().unwrap().conditions;
    assert_eq!(find_condition(conditions, ConditionType::Stalled).unwrap().status, "True");

    put(&world, "alice", json!({"refresh-token": before})).await;
    world.request("alice", "again").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of("mallory")).await.unwrap();
    assert_eq!(reads.len(), 0);
    assert_eq!(world.listens("alice").await, Vec::<String>::new());
    assert_eq!(world.script.deliveries("hook").await.unwrap().len(), 0);
    let after = exchanges(&world, seq).await;
    assert!(after.iter().all(|record| record.facts.refresh_token_sent.as_deref() == Some(&sha256(&before))));
}
