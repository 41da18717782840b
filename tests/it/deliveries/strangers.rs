//! A Secret that has the journal's name and is not the operator's: refused, never adopted.

use kube::ResourceExt as _;
use kube::api::DeleteParams;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use serde_json::json;

use super::stage::{fast, hook, journal_name, keyed, totals};
use crate::world::{World, condition};

async fn stranger(world: &World, account: &SpotifyAccount) -> String {
    let name = journal_name(account);
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"scrobble-operator.io/use": "state"}},
        "stringData": {"journal": "somebody's own"},
    });
    world.put_secret(&manifest).await;
    name
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_left_alone_and_deliveries_go_on() {
    let world = fast("journal-stranger").await;
    world.hook_target("hook").await;
    world.listenbrainz("alice").await;
    let targets = json!([keyed("listenbrainz", "listenbrainz", "alice-listenbrainz"), hook("hook", "hook")]);
    let account = world.listening("alice", "2m", targets).await;
    let name = stranger(&world, &account).await;
    let before = world.secrets().get(&name).await.unwrap();
    world.hook_answers("hook", 503).await;
    let mut titles = world.play("alice", 3, 60).await;
    let _operator = world.start().await;

    world.wait("alice", "what works to be sent", totals(3, 3)).await;
    let status = world.wait_ready("alice", "False", "SecretInvalid").await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", "SecretInvalid"));
    assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"), "plays are read");
    let message = find_condition(&status.conditions, ConditionType::Ready).unwrap().message.clone();
    assert!(message.contains(&name), "{message}");
    titles.extend(world.play("alice", 1, 0).await);
    world.wait("alice", "what is new to be sent", totals(4, 4)).await;
    // What Spotify still shows is delivered without a journal.
    world.hook_answers("hook", 204).await;
    world.wait("alice", "everything to be sent", totals(8, 0)).await;
    let after = world.secrets().get(&name).await.unwrap();
    assert_eq!((after.resource_version(), after.data), (before.resource_version(), before.data), "nobody wrote it");
    world.assert_listens("alice", &titles).await;

    // It goes, and the account is well within a minute: unasked, and long before the next read.
    let patched = world.patch::<SpotifyAccount>("alice", json!({"spec": {"sync": {"interval": "24h"}}})).await;
    let seen = |status: &SpotifyAccountStatus| status.observed_generation == patched.metadata.generation;
    world.wait("alice", "the interval seen", seen).await;
    world.secrets().delete(&name, &DeleteParams::default()).await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    world.hook_answers("hook", 503).await;
    world.play("alice", 1, 0).await;
    world.request("alice", "read").await;
    world.wait("alice", "a play that waits", totals(9, 1)).await;
    assert_eq!(world.journal(&account).await.unwrap().entries.len(), 1);
}
