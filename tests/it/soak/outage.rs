//! Services that are away for two days: the journal keeps what they cannot take, and they get it when they are back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{AccountTargetStatus, SpotifyAccount, SpotifyAccountStatus, TargetState};
use scrobble_simulator::api::{Effect, Endpoint, NewFault, NewPlay, Play, RecordFilter};
use serde_json::json;

use super::feed::newest_noted;
use super::kept::{journal, wait_for_empty_journal};
use super::stage::{self, Kind, Target};
use super::verdict::Tally;
use crate::world::{DEADLINE, World, condition};

/// Two days take a minute. The clock of Spotify is not under test here: a play is shown until it was read.
const RATE: u32 = 2_880;
const AWAY: SignedDuration = SignedDuration::from_hours(48);
/// Thirty an hour.
const BETWEEN_PLAYS: SignedDuration = SignedDuration::from_mins(2);
const PLAYS: i64 = 1_440;
/// Spotify shows 50: so many may be played that were not noted yet.
const MOST_UNNOTED: i64 = 40;
/// Longer than the two days take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(5);
/// The targets that are away, with the most plays that one request may carry.
const DOWN: [(Target, Endpoint, u64); 2] = [
    (Target { name: "fm", kind: Kind::LastFm }, Endpoint::LastfmScrobble, 50),
    (Target { name: "brainz", kind: Kind::ListenBrainz }, Endpoint::ListenbrainzSubmit, 100),
];

/// Lets an operator end between the status that tells of deliveries and the journal that does not hold them any more.
async fn end_between_status_and_journal(world: &World) {
    let delivered = async || {
        let sync = world.api::<SpotifyAccount>().get("alice").await.unwrap().status.unwrap().sync.unwrap();
        sync.scrobbled_total
    };
    let before = delivered().await;
    wait_until("a life that ends after deliveries", DEADLINE, async || {
        let operator = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", "settled");
        operator.start_unready().unwrap().wait(DEADLINE).await.unwrap();
        delivered().await > before
    })
    .await
    .unwrap();
    assert_eq!(journal(world, "alice").await.entries.len(), PLAYS as usize, "the journal holds them still");
}

/// Plays one track every two minutes, as the clock passes.
struct Days<'a> {
    world: &'a World,
    begun: Timestamp,
    played: i64,
}

impl Days<'_> {
    fn time(&self, number: i64) -> Timestamp {
        self.begun + SignedDuration::from_secs(BETWEEN_PLAYS.as_secs() * number)
    }

    /// Plays on until so many plays were noted and their time has passed.
    async fn until(&mut self, plays: i64) {
        wait_until(&format!("{plays} plays noted"), PATIENCE, async || {
            let now = self.world.script.now().await.unwrap();
            let status = self.world.api::<SpotifyAccount>().get("alice").await.unwrap().status.unwrap_or_default();
            let newest = newest_noted(&status).unwrap_or(self.begun);
            let noted = newest.duration_since(self.begun).as_secs() / BETWEEN_PLAYS.as_secs();
            let due = now.duration_since(self.begun).as_secs() / BETWEEN_PLAYS.as_secs();
            let last = plays.min(due).min(noted + MOST_UNNOTED);
            let title = |number: i64| format!("Title {number}");
            let new = (self.played + 1..=last)
                .map(|number| NewPlay::new(self.time(number)).titled(title(number), "The Simulated"));
            let new: Vec<NewPlay> = new.collect();
            if !new.is_empty() {
                self.world.script.add_plays("alice", &new).await.unwrap();
                self.played = last;
            }
            if noted >= plays { Ok(()) } else { Err(format!("{noted} noted, {} played, {due} due", self.played)) }
        })
        .await
        .unwrap();
    }

    /// Waits until the status tells of an outage: everything waits where the target is down, and nothing elsewhere.
    async fn wait_until_told(&self, plays: i64) {
        let told = |status: &SpotifyAccountStatus| {
            let of = |name: &str| status.target(name).cloned().unwrap_or_default();
            let waits = |target: &AccountTargetStatus| {
                (target.pending, target.state, target.dropped_total) == (plays, TargetState::CircuitOpen, 0)
                    && target.circuit_breaker.as_ref().is_some_and(|breaker| breaker.next_probe_time.is_some())
                    && target.reason.as_deref() == Some("TargetFailing")
            };
            DOWN.iter().all(|(target, _, _)| waits(&of(target.name)))
                && (of("hook").pending, of("hook").state) == (0, TargetState::Healthy)
                && condition(status, ConditionType::Ready) == ("False", "TargetFailing")
                && condition(status, ConditionType::Synced).0 == "True"
                && status
                    .sync
                    .as_ref()
                    .is_some_and(|sync| (sync.scrobbled_total, sync.pending_total) == (plays, 2 * plays))
        };
        self.world.wait("alice", &format!("{plays} plays that wait for two targets"), told).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_days_without_its_services_cost_a_listener_no_play() {
    let world = stage::world("outage", RATE).await;
    let targets = DOWN.map(|(target, _, _)| target);
    for (target, endpoint, _) in &DOWN {
        stage::target(&world, target).await;
        world.script.add_fault(&NewFault::new(Effect::status(503)).at(*endpoint)).await.unwrap();
    }
    world.webhook().await;
    stage::listener(&world, "alice", &targets).await;
    stage::account(&world, "alice", "20m", &targets).await;
    let mut spec = world.api::<SpotifyAccount>().get("alice").await.unwrap().spec.targets;
    spec.push(serde_json::from_value(json!({"name": "hook", "targetRef": {"name": "hook"}})).unwrap());
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"targets": spec}})).await;

    let now = world.script.now().await.unwrap();
    let mut days = Days { world: &world, begun: Timestamp::from_second(now.as_second()).unwrap(), played: 0 };
    let mut operator = world.start().await;
    days.until(PLAYS / 2).await;
    days.wait_until_told(PLAYS / 2).await;
    operator.kill().unwrap();
    operator.restart().await.unwrap();
    days.until(PLAYS).await;
    days.wait_until_told(PLAYS).await;

    let now = world.script.now().await.unwrap();
    assert!(now.duration_since(days.begun) >= AWAY, "the services were away for two days");
    assert_eq!(journal(&world, "alice").await.entries.len(), PLAYS as usize);
    assert_eq!(world.script.deliveries("hook").await.unwrap().len(), PLAYS as usize, "the webhook did not wait");
    operator.kill().unwrap();
    world.script.clear_faults().await.unwrap();
    let back = world.script.last_seq().await.unwrap();
    end_between_status_and_journal(&world).await;
    operator.restart().await.unwrap();
    let done = |status: &SpotifyAccountStatus| {
        let sync = status.sync.as_ref().unwrap();
        (sync.scrobbled_total, sync.pending_total) == (3 * PLAYS, 0)
    };
    let status = world.wait("alice", "every play at every target", done).await.status.unwrap();

    assert_eq!(condition(&status, ConditionType::Ready), ("True", "Succeeded"));
    let plays = world.script.plays("alice").await.unwrap();
    let plays: Vec<&Play> = plays.iter().collect();
    for (target, endpoint, most) in DOWN {
        let known = status.target(target.name).unwrap();
        assert_eq!((known.state, known.quarantined, known.dropped_total), (TargetState::Healthy, 0, 0));
        let user = stage::user("alice", target.name);
        let mut held = stage::held(&world, &user, target.kind).await;
        held.sort_by_key(|record| record.second);
        let mut tally = Tally::default();
        tally.add(target.name, &plays, &held);
        let requests = world.script.requests(&RecordFilter::at(endpoint).of(&user).since(back)).await.unwrap();
        println!("{}: {tally}, in {} requests", target.name, requests.len());
        assert!(tally.is_as_promised(), "{:?}", tally.mishaps);
        assert!(held.is_sorted_by_key(|record| record.first_time), "{}: oldest first", target.name);
        assert!(requests.iter().all(|request| request.facts.items.unwrap() <= most), "{}", target.name);
        assert_eq!(requests.iter().filter_map(|request| request.facts.items).sum::<u64>(), PLAYS as u64);
    }
    wait_for_empty_journal(&world, "alice").await;
}
