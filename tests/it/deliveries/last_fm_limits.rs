//! Last.fm's own troubles: operations that fail, limits of the host, a listener's day.

use scrobble_operator::api::v1alpha1::{SpotifyAccountStatus, TargetState};
use scrobble_simulator::api::{Effect, Endpoint, LastfmUser, NewApp, NewFault, RecordFilter};
use serde_json::json;

use super::stage::{fast, keyed, target, tells, totals};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World, ready};

fn submissions(name: &str) -> RecordFilter {
    RecordFilter::at(Endpoint::LastfmScrobble).of(name)
}

/// Listeners with an account each that delivers to Last.fm only, and plays.
async fn listeners(world: &World, names: &[&str], interval: &str, plays: i64) {
    world.lastfm_target("fm", "PlayedAt", json!({})).await;
    for name in names {
        world.lastfm_user(name).await;
        world.listener(name).await;
        world.play(name, plays, 60).await;
        let entry = keyed("fm", "fm", &format!("{name}-lastfm"));
        world.account_of(name, name, interval, json!([entry])).await;
    }
}

#[tokio::test]
async fn an_operation_that_fails_is_tried_three_times_then_play_by_play() {
    let world = fast("fm-operation").await;
    listeners(&world, &["alice"], "2m", 3).await;
    // Three requests with all of them, then the first one alone.
    let broken = NewFault::new(Effect::LastfmError { code: 8, status: 500 }).at(Endpoint::LastfmScrobble).times(4);
    world.script.add_fault(&broken).await.unwrap();
    let _operator = world.start().await;
    let status = world.wait("alice", "two plays, and one set aside", totals(2, 0)).await.status.unwrap();
    let fm = status.target("fm").unwrap();
    assert_eq!((fm.quarantined, fm.state), (1, TargetState::Healthy));
    assert!(fm.last_quarantine_reason.as_deref().unwrap().contains("sent alone"), "{fm:?}");
    let requests = world.script.requests(&submissions("alice")).await.unwrap();
    let sizes: Vec<(u64, bool)> =
        requests.iter().map(|request| (request.facts.items.unwrap_or(0), request.fault.is_some())).collect();
    assert_eq!(sizes.len(), 6, "{sizes:?}");
    assert_eq!(&sizes[4..], [(1, false), (1, false)], "those that are left go alone: {sizes:?}");
    assert!(sizes[..4].iter().all(|(_, failed)| *failed), "{sizes:?}");
    let bytes: Vec<u64> = requests.iter().map(|request| request.body_bytes).collect();
    assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2] && bytes[3] < bytes[2], "{bytes:?}");
    assert_eq!(world.script.scrobbles("alice").await.unwrap().len(), 2);
}

/// One account is told to wait for so many seconds: the other one waits as well, and neither counts a failure.
async fn host_pauses(test: &str, effect: Effect, seconds: i64) {
    // An hour takes six minutes: reads come many times within the pause.
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate(test, app, 10).await;
    listeners(&world, &["alice", "bob"], "5s", 2).await;
    let _operator = world.start().await;
    for name in ["alice", "bob"] {
        world.wait(name, "two plays", totals(2, 0)).await;
    }
    let (seq, mark) = (world.script.last_seq().await.unwrap(), world.mark().await);
    let fault = NewFault::new(effect).at(Endpoint::LastfmScrobble).of("alice").times(1);
    world.script.add_fault(&fault).await.unwrap();
    world.play("alice", 1, 0).await;
    world.wait("alice", "to be told to wait", tells("fm", "RateLimited")).await;
    world.play("bob", 1, 0).await;
    for name in ["alice", "bob"] {
        world.wait(name, "three plays", totals(3, 0)).await;
    }
    let requests = world.script.requests(&RecordFilter::at(Endpoint::LastfmScrobble).since(seq)).await.unwrap();
    assert_eq!(requests.len(), 3, "one is told to wait, and then both are served: {requests:?}");
    let waited = requests[1].time.duration_since(requests[0].time).as_secs();
    assert!(waited >= seconds - 1, "nobody calls the host meanwhile: {waited} s, {requests:?}");
    for name in ["alice", "bob"] {
        for status in world.statuses(mark, name).await {
            let fm = status.target("fm").unwrap();
            assert_eq!((fm.consecutive_failures, ready(&status)), (0, ("True", "Succeeded")), "{name}: {fm:?}");
        }
    }
}

#[tokio::test]
async fn a_rate_limit_with_a_time_pauses_every_account_of_the_host() {
    host_pauses("fm-429", Effect::RateLimited { retry_after_seconds: 120 }, 120).await;
}

#[tokio::test]
async fn a_rate_limit_without_a_time_pauses_every_account_of_the_host() {
    host_pauses("fm-29", Effect::LastfmError { code: 29, status: 200 }, 60).await;
}

#[tokio::test]
async fn a_listeners_full_day_is_that_listeners_alone() {
    let world = fast("fm-day").await;
    listeners(&world, &["alice", "bob"], "2m", 5).await;
    let limited = LastfmUser { daily_limit: 3, ..LastfmUser::new("alice", "lastfm-session-of-alice") };
    world.script.put_lastfm_user(&limited).await.unwrap();
    let _operator = world.start().await;
    world.wait("bob", "five plays", totals(5, 0)).await;
    let status = world.wait("alice", "three plays, and two that wait", totals(3, 2)).await.status.unwrap();
    let fm = status.target("fm").unwrap();
    assert_eq!((fm.reason.as_deref(), fm.consecutive_failures), (Some("RateLimited"), 0), "{fm:?}");
    assert!(fm.message.as_deref().unwrap().contains("today"), "{fm:?}");
    let next = fm.next_attempt_time.clone().unwrap().0;
    let now = world.script.now().await.unwrap();
    assert!(next.duration_since(now).as_hours() >= 22, "a day later: {next}");
    world.play("alice", 1, 0).await;
    world.play("bob", 1, 0).await;
    world.wait("bob", "six plays", totals(6, 0)).await;
    let waits = |status: &SpotifyAccountStatus| totals(3, 3)(status) && tells("fm", "RateLimited")(status);
    world.wait("alice", "three plays that wait", waits).await;
    assert_eq!(world.count(&submissions("alice")).await, 1, "she is left alone");
    world.wait("bob", "a target that is well", target("fm", |fm| fm.state == TargetState::Healthy)).await;
}
