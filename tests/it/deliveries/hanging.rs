//! A target that hangs delays neither the account's other targets nor other accounts.

use jiff::Timestamp;
use scrobble_operator::api::v1alpha1::{SpotifyAccountStatus, TargetState};
use scrobble_simulator::api::{Effect, Endpoint, NewFault, Record, RecordFilter};
use serde_json::json;

use super::stage::{fast, hook, keyed, target, totals};
use crate::world::World;

/// When a service got its first request of a listener.
async fn first(world: &World, endpoint: Endpoint, of: &str) -> Timestamp {
    let requests = world.script.requests(&RecordFilter::at(endpoint).of(of)).await.unwrap();
    requests.first().map(|request| request.real_time).unwrap()
}

/// When the status of an account first showed this, by the audit log.
async fn shown(
    world: &World,
    mark: scrobble_harness::audit::Marker,
    name: &str,
    wanted: impl Fn(&SpotifyAccountStatus) -> bool,
) -> Timestamp {
    let writes = world.writes(mark).await;
    let mut statuses =
        writes.iter().filter(|entry| entry.is_about("spotifyaccounts/status") && entry.name.as_deref() == Some(name));
    let is_wanted = |entry: &&scrobble_harness::AuditEntry| {
        let status = entry.response.as_ref().unwrap()["status"].clone();
        wanted(&serde_json::from_value(status).unwrap())
    };
    statuses.find(is_wanted).unwrap().received_time
}

fn failing(entry: &str) -> impl Fn(&SpotifyAccountStatus) -> bool {
    target(entry, |known| known.state == TargetState::Failing)
}

#[tokio::test]
async fn a_webhook_that_is_slow_and_then_hangs_delays_nobody_else() {
    let world = fast("hanging").await;
    world.hook_target("slow").await;
    world.hook_target("quick").await;
    for name in ["alice", "bob"] {
        world.listenbrainz(name).await;
        world.listener(name).await;
        world.play(name, 3, 60).await;
    }
    let brainz = |name: &str| keyed("brainz", "listenbrainz", &format!("{name}-listenbrainz"));
    let targets = json!([hook("slow", "slow"), brainz("alice"), hook("quick", "quick")]);
    world.account_of("alice", "alice", "2m", targets).await;
    world.account_of("bob", "bob", "2m", json!([brainz("bob"), hook("quick", "quick")])).await;
    for effect in [Effect::DelayBefore { milliseconds: 5_000 }, Effect::Hang] {
        world.script.add_fault(&NewFault::new(effect).at(Endpoint::Webhook).of("slow").times(1)).await.unwrap();
    }
    let mark = world.mark().await;
    let _operator = world.start().await;

    world.wait("alice", "the hanging target to be told", failing("slow")).await;
    let told = shown(&world, mark, "alice", failing("slow")).await;
    let requests = world.script.requests(&RecordFilter::default()).await.unwrap();
    let at = |endpoint: Endpoint, of: &str| {
        let is_there = |record: &&Record| record.endpoint == endpoint && record.account.as_deref() == Some(of);
        requests.iter().filter(is_there).map(|record| record.seq).collect::<Vec<_>>()
    };
    let (slow, quick) = (at(Endpoint::Webhook, "slow"), at(Endpoint::Webhook, "quick"));
    assert_eq!(quick.len(), 6, "those of both accounts");
    assert!(slow.len() >= 2, "one was slow, one hangs, and perhaps one more was sent since: {slow:?}");
    let others = [at(Endpoint::ListenbrainzSubmit, "alice"), at(Endpoint::ListenbrainzSubmit, "bob"), quick].concat();
    assert!(others.iter().all(|seq| *seq < slow[1]), "nobody waits for the slow one: {slow:?}, {others:?}");
    assert!(shown(&world, mark, "bob", totals(6, 0)).await < told, "another account is served meanwhile");
    world.wait("alice", "every play everywhere", totals(9, 0)).await;
}

#[tokio::test]
async fn a_check_that_hangs_delays_no_other_target() {
    let world = fast("hanging-check").await;
    world.hook_target("quick").await;
    world.listenbrainz("alice").await;
    world.listener("alice").await;
    world.play("alice", 10, 60).await;
    let brainz = keyed("brainz", "listenbrainz", "alice-listenbrainz");
    world.account_of("alice", "alice", "2m", json!([brainz, hook("quick", "quick")])).await;
    let hang = NewFault::new(Effect::Hang).at(Endpoint::ListenbrainzValidate).times(1);
    world.script.add_fault(&hang).await.unwrap();
    let _operator = world.start().await;
    world.wait("alice", "every play everywhere", totals(20, 0)).await;
    let brainz = first(&world, Endpoint::ListenbrainzSubmit, "alice").await;
    let quick = world.script.requests(&RecordFilter::at(Endpoint::Webhook)).await.unwrap();
    assert_eq!(quick.len(), 10);
    // What follows on the check comes after all ten: they went out beside it.
    assert!(quick.iter().all(|request| request.real_time < brainz), "{brainz}: {quick:?}");
}
