//! An account whose app's gate is closed: it asks nothing before, says whose limit it is, and comes back in its turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::{app, around};
use super::world::World;
use crate::api::condition::{ConditionType, whole_seconds};
use crate::api::v1alpha1::{BreakerState, BreakerStatus, GoDuration, SpotifyApp};
use crate::domain::answer::{ApiAnswer, Forbidden, Trouble};
use crate::plan::Lookup;
use crate::plan::client::Standing;
use crate::plan::gate::{Gates, opening, spread};
use crate::plan::pacing::level_spacing;

const RATE: u32 = 60;

/// The app of so many accounts, with what is known of it.
fn known(standing: &Standing, accounts: i32) -> Lookup<SpotifyApp> {
    let mut app = app();
    let status = app.status.get_or_insert_default();
    status.accounts = accounts;
    standing.write_to(status);
    Lookup::Found(Arc::new(app))
}

fn limited(until: Timestamp) -> Standing {
    Standing { gates: Gates { rate_until: Some(until), ..Gates::default() }, ..Standing::default() }
}

fn spent(until: Timestamp) -> Standing {
    Standing { gates: Gates { quota_until: Some(until), ..Gates::default() }, ..Standing::default() }
}

fn away(until: Timestamp) -> Standing {
    let breaker = BreakerStatus {
        state: BreakerState::Open,
        opened_time: Some(whole_seconds(start())),
        next_probe_time: Some(whole_seconds(until)),
        trips: 1,
    };
    Standing { breaker: Some(breaker), ..Standing::default() }
}

/// An account that was read, in a process that has worked for a while.
fn reading() -> World {
    let mut world = World::of(account().with_target("brainz"));
    world.surroundings.settings.app_requests_per_30s = RATE;
    world.pass();
    world.forget();
    world
}

#[test]
fn nothing_is_asked_before_a_gate_opens_and_each_has_a_turn_of_its_own_after_it() {
    let until = start() + hours(3);
    for standing in [limited(until), spent(until), away(until)] {
        let mut world = reading();
        world.surroundings.app = known(&standing, 40);
        while world.now < until {
            let wait = world.pass().requeue;
            world.now = (world.now + wait).min(until);
        }
        assert_eq!(world.questions(), 0, "{standing:?}");
        let turn = opening(&world.account, &world.surroundings, until);
        assert!(turn >= until && turn <= until + spread(40, RATE), "{turn}");
        let failures = world.status().failures.unwrap();
        assert_eq!(failures.next_attempt_time.unwrap().0, turn, "it tells its turn");
        assert_eq!(failures.consecutive, 0, "no account is to blame");
        world.now = turn - seconds(1);
        world.pass();
        assert_eq!(world.questions(), 0, "not its turn yet: {standing:?}");
        world.surroundings.app = known(&Standing::default(), 40);
        world.now = turn;
        world.pass();
        assert_eq!(world.reads(), 1, "{standing:?}");
        assert_eq!(world.status().failures, None);
        assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    }
}

#[test]
fn the_turns_of_many_accounts_are_spread_over_what_the_pace_allows() {
    assert_eq!(spread(1, RATE), SignedDuration::ZERO);
    assert_eq!(spread(201, RATE), level_spacing(RATE) * 200);
    let until = start() + minutes(1);
    let turns: Vec<Timestamp> = (0..200)
        .map(|number| {
            let mut account = account();
            account.metadata.uid = Some(format!("uid-{number}"));
            let mut observed = around(&account);
            observed.settings.app_requests_per_30s = RATE;
            observed.app = known(&limited(until), 200);
            opening(&account, &observed, until)
        })
        .collect();
    let distinct: BTreeSet<Timestamp> = turns.iter().copied().collect();
    assert!(distinct.len() > 90, "{} seconds for 200 accounts", distinct.len());
    let (first, last) = (distinct.first().unwrap(), distinct.last().unwrap());
    assert!(*first >= until && *last <= until + spread(200, RATE) + seconds(1));
    assert!(last.duration_since(*first) > spread(200, RATE) * 9 / 10, "from {first} to {last}");
}

#[test]
fn whoever_waits_for_long_says_whose_limit_it_is_and_writes_once() {
    let until = start() + hours(14);
    for (standing, reason, words) in [
        (limited(until), "RateLimited", "asks SpotifyApp music/main to wait until"),
        (
            spent(until),
            "QuotaExceeded",
            "the daily quota of the Spotify developer account behind SpotifyApp music/main",
        ),
        (away(until), "UpstreamUnavailable", "no usable answer to any account of SpotifyApp music/main"),
    ] {
        let mut world = reading();
        world.surroundings.app = known(&standing, 40);
        world.run_for(hours(10));
        let status = world.status();
        assert_eq!(status.condition(ConditionType::Ready), format!("False {reason}"), "{standing:?}");
        assert_eq!(status.condition(ConditionType::Stalled), "", "nobody has to act");
        assert_eq!(status.condition(ConditionType::CircuitOpen), "", "its own breaker is closed");
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert!(ready.message.contains(words), "{}", ready.message);
        assert!(world.writes <= 2, "{} writes", world.writes);
    }
}

#[test]
fn whoever_meets_a_limit_tells_the_apps_gate_and_not_a_wait_of_its_own() {
    let mut world = reading();
    let now = start() + hours(1);
    let until = now + minutes(5);
    for answer in [
        ApiAnswer::RateLimited { retry_after: Some(minutes(5)), quota: false },
        ApiAnswer::Failed(Trouble::Status(503)),
    ] {
        world.now = now;
        world.pages.then = answer;
        world.surroundings.last_read = None;
        // What the answer said about the app is known by the time the pass is settled.
        let standing = if matches!(world.pages.then, ApiAnswer::Failed(_)) { away(until) } else { limited(until) };
        let mut progress = crate::plan::Progress { page: Some(world.pages.then.clone()), ..Default::default() };
        progress.read_time = Some(now);
        let mut observed = around(&world.account);
        observed.settings.app_requests_per_30s = RATE;
        observed.app = known(&standing, 40);
        let settled = crate::plan::settle(&world.account, &observed, &progress, now);
        let failures = settled.status.failures.unwrap();
        assert_eq!(failures.consecutive, 0, "{standing:?}");
        assert_eq!(failures.next_attempt_time.unwrap().0, opening(&world.account, &observed, until), "{standing:?}");
        assert_eq!(settled.status.circuit_breaker, None, "one breaker opens, and it is the app's");
    }
}

#[test]
fn an_owner_without_premium_is_one_breaker_and_all_accounts_say_what_to_do() {
    let until = start() + hours(1);
    let standing = away(until);
    let standing = Standing { unpaid: true, ..standing };
    // Whoever met it, and whoever did not.
    for met in [true, false] {
        let mut world = reading();
        world.surroundings.app = unpaid_app(&standing);
        let now = start() + minutes(30);
        let mut progress = crate::plan::Progress::default();
        if met {
            progress.page = Some(ApiAnswer::Forbidden(Forbidden::OwnerNotPremium));
            progress.read_time = Some(now);
        }
        let mut observed = around(&world.account);
        observed.app = world.surroundings.app.clone();
        let settled = crate::plan::settle(&world.account, &observed, &progress, now);
        let status = &settled.status;
        assert_eq!(status.condition(ConditionType::Ready), "False AppOwnerNotPremium", "{met}");
        assert_eq!(status.condition(ConditionType::Stalled), "True AppOwnerNotPremium", "{met}");
        let failures = status.failures.clone().unwrap();
        assert_eq!((failures.consecutive, status.circuit_breaker.clone()), (0, None), "the app's, and nobody else's");
        assert_eq!(failures.next_attempt_time.unwrap().0, opening(&world.account, &observed, until));
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert!(ready.message.contains("SpotifyApp music/main") && ready.message.contains("subscribe"), "{ready:?}");
    }
    let mut world = reading();
    world.surroundings.app = unpaid_app(&standing);
    while world.now < until {
        let wait = world.pass().requeue;
        world.now = (world.now + wait).min(until);
    }
    assert_eq!(world.questions(), 0);
    world.surroundings.app = known(&Standing::default(), 40);
    world.run_for(minutes(10));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!((world.status().condition(ConditionType::Stalled), world.status().failures), (String::new(), None));
}

/// The app as its status tells of it.
fn unpaid_app(standing: &Standing) -> Lookup<SpotifyApp> {
    let mut app = app();
    app.status = Some(crate::plan::app::settle(&app, &Ok(()), standing, 40, None, start()));
    Lookup::Found(Arc::new(app))
}

#[test]
fn an_accounts_own_breaker_probes_within_a_quarter_of_an_hour_whatever_the_app_says() {
    let mut world = reading();
    let mut patient = app();
    patient.spec.circuit_breaker.probe_after = GoDuration::from_hours(2);
    patient.spec.circuit_breaker.max_probe_after = GoDuration::from_hours(5);
    world.surroundings.app = Lookup::Found(Arc::new(patient));
    world.pages.then = ApiAnswer::Failed(Trouble::Status(503));
    world.run_for(hours(6));
    assert_eq!(world.status().condition(ConditionType::CircuitOpen), "True CircuitOpen");
    let before = world.reads();
    world.run_for(hours(1));
    assert!(world.reads() - before >= 4, "{} probes in an hour", world.reads() - before);
}
