//! Trouble that passes, and trouble of single targets: when it shows.

use std::sync::Arc;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::plays::play;
use super::states::{failing, reading, row};
use super::world::{Script, World};
use crate::api::condition::ConditionType::{CircuitOpen, Ready, Stalled, Synced};
use crate::api::v1alpha1::{BreakerState, TargetState};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Trouble};
use crate::domain::name::ObjectName;
use crate::plan::Lookup;
use crate::plan::step::SecretTrouble;

#[test]
fn trouble_is_passed_over_four_times_and_opens_the_breaker_at_the_fifth() {
    for (trouble, reason) in [(Trouble::Status(503), "UpstreamUnavailable"), (Trouble::Timeout, "NetworkError")] {
        let mut world = reading();
        world.account = world.account.clone().reading_every(hours(1)).edited();
        world.pass();
        world.forget();
        world.pages.then = failing(trouble);
        for failures in 1..=4 {
            while world.reads() < failures {
                let wait = world.pass().requeue;
                world.now += wait;
            }
            let status = world.status();
            assert_eq!(status.condition(Ready), "True Succeeded", "after {failures}");
            assert_eq!(status.failures.as_ref().unwrap().consecutive, i32::try_from(failures).unwrap());
            assert_eq!(status.failures.as_ref().unwrap().last_reason.as_deref(), Some(reason));
            assert_eq!(status.condition(CircuitOpen), "");
        }
        while world.reads() < 5 {
            let wait = world.pass().requeue;
            world.now += wait;
        }
        let status = world.status();
        assert_eq!(status.condition(Ready), "False CircuitOpen");
        assert_eq!(status.condition(CircuitOpen), "True CircuitOpen");
        assert_eq!(status.condition(Synced), format!("False {reason}"));
        assert_eq!(status.condition(Stalled), "", "no human can help");
        let breaker = status.circuit_breaker.unwrap();
        assert_eq!((breaker.state, breaker.trips), (BreakerState::Open, 1));
        assert!(breaker.next_probe_time.unwrap().0 > world.now - minutes(15));

        let reads = world.reads();
        world.run_for(minutes(61));
        assert!((4..=5).contains(&(world.reads() - reads)), "one probe each 15 minutes, however often it failed");
        world.forget();
        world.pages.then = ApiAnswer::Found(Arc::default());
        world.run_for(minutes(16));
        assert_eq!(
            row(&world.status()),
            ["Ready=True Succeeded", "Authorized=True Succeeded", "Synced=True Succeeded"]
        );
        assert_eq!(world.writes, 1, "everything is clean in one write");
        assert_eq!((world.status().failures, world.status().circuit_breaker), (None, None));
    }
}

#[test]
fn without_a_read_for_long_the_account_is_not_ready_however_few_the_failures() {
    let mut world = reading();
    let read = world.now;
    world.pages.then = failing(Trouble::Status(503));
    // One failure, and the next attempt far away: nothing but time passes.
    world.run_for(minutes(20));
    let next = world.now + hours(2);
    world.account = world.account.clone().with_status(|status| {
        let failures = status.failures.as_mut().unwrap();
        failures.consecutive = 1;
        failures.next_attempt_time = Some(crate::api::condition::whole_seconds(next));
    });
    while world.now <= read + minutes(40) {
        let wait = world.pass().requeue;
        assert_eq!(world.status().condition(Ready), "True Succeeded", "at {}", world.now);
        world.now += wait;
    }
    assert!(world.now <= read + minutes(40) + seconds(2), "the pass comes when patience ends: {}", world.now);
    world.pass();
    assert_eq!(world.status().condition(Ready), "False UpstreamUnavailable");
    assert_eq!(world.status().condition(Synced), "False UpstreamUnavailable");
    assert_eq!(world.status().condition(Stalled), "");
    assert!(world.status().message(Ready).contains("until 2026-11-23T"), "{}", world.status().message(Ready));
}

#[test]
fn a_wait_that_spotify_asked_for_is_shown_after_one_interval() {
    // Nothing but the quota asks for hours, whether or not the answer says so.
    for quota in [false, true] {
        let mut world = reading();
        world.pages.then = ApiAnswer::RateLimited { retry_after: Some(hours(2)), quota };
        while world.reads() == 0 {
            let wait = world.pass().requeue;
            world.now += wait.min(seconds(30));
        }
        let limited = world.now;
        while world.now < limited + minutes(19) {
            let wait = world.pass().requeue;
            assert_eq!(world.status().condition(Ready), "True Succeeded");
            world.now += wait.min(seconds(30));
        }
        world.run_for(minutes(2));
        assert_eq!(world.status().condition(Ready), "False QuotaExceeded");
        assert_eq!(world.status().condition(Stalled), "");
        assert_eq!(world.status().failures.unwrap().last_type.unwrap().as_str(), "RateLimited");
        assert_eq!(world.reads(), 1);
    }
}

#[test]
fn short_waits_that_spotify_asks_for_are_passed_over_and_open_no_breaker() {
    let mut world = reading();
    world.pages.next.extend((0..7).map(|_| ApiAnswer::RateLimited { retry_after: Some(seconds(30)), quota: false }));
    for _ in 0..40 {
        world.run_for(minutes(1));
        assert_eq!(world.status().condition(Ready), "True Succeeded");
        assert_eq!(world.status().circuit_breaker, None);
    }
    assert_eq!(world.status().failures, None);
}

#[test]
fn refused_credentials_of_one_target_are_said_while_the_rest_goes_on() {
    let mut world = reading();
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|entry, plays| match entry {
        "brainz" => Submission::all(plays.len(), &Delivery::CredentialsRefused),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    world.run_for(minutes(20));
    assert_eq!(
        row(&world.status()),
        [
            "Ready=False TargetUnauthorized",
            "Authorized=True Succeeded",
            "Synced=True Succeeded",
            "Stalled=True TargetUnauthorized",
        ]
    );
    assert!(world.status().message(Ready).contains("target brainz"), "{}", world.status().message(Ready));
    assert!(world.status().message(Ready).contains("replace key token of Secret alice-brainz"));
    assert_eq!(world.status().target("brainz").unwrap().state, TargetState::Unauthorized);
    assert_eq!(world.status().target("hook").unwrap().state, TargetState::Healthy);

    world.pages.then = failing(Trouble::Status(503));
    while world.status().failures.is_none() {
        let wait = world.pass().requeue;
        world.now += wait;
    }
    assert_eq!(
        world.status().condition(Stalled),
        "True TargetUnauthorized",
        "trouble that passes hides no human's task"
    );
}

#[test]
fn a_receiver_that_wants_no_more_is_said() {
    let mut world = reading();
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|entry, plays| match entry {
        "hook" => Submission::all(plays.len(), &Delivery::Suspended),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    world.run_for(minutes(20));
    assert_eq!(world.status().condition(Ready), "False TargetSuspended");
    assert_eq!(world.status().condition(Stalled), "True TargetSuspended");
    assert_eq!(world.status().target("hook").unwrap().state, TargetState::Suspended);
    assert_eq!(world.sent("brainz").len(), 1);
}

#[test]
fn a_target_that_fails_is_passed_over_until_its_breaker_opens() {
    let mut world = reading();
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|entry, plays| match entry {
        "hook" => Submission::all(plays.len(), &Delivery::Unknown(Trouble::Timeout)),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    for tries in 1..=5 {
        while world.sent("hook").len() < tries {
            let wait = world.pass().requeue;
            world.now += wait;
        }
        let status = world.status();
        let hook = status.target("hook").unwrap();
        assert_eq!(hook.consecutive_failures, i32::try_from(tries).unwrap());
        assert_eq!(hook.pending, 1);
        assert!(hook.next_attempt_time.as_ref().unwrap().0 > world.now - hours(1));
        let expected = if tries < 5 { "True Succeeded" } else { "False TargetFailing" };
        assert_eq!(status.condition(Ready), expected, "after {tries}");
        assert_eq!(status.condition(Stalled), "");
        assert_eq!(status.condition(CircuitOpen), "", "it speaks of the account's own breaker");
    }
    assert_eq!(world.status().target("hook").unwrap().state, TargetState::CircuitOpen);
    assert_eq!(world.sent("brainz").len(), 1, "it has the play");
    let before = world.sent("hook").len();
    world.run_for(hours(10));
    let probes = world.sent("hook").len() - before;
    assert!((10..=13).contains(&probes), "15 min, 30 min, then hourly: {probes}");
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    world.run_for(minutes(61));
    assert_eq!(row(&world.status()), ["Ready=True Succeeded", "Authorized=True Succeeded", "Synced=True Succeeded"]);
    assert_eq!(world.status().target("hook").unwrap().circuit_breaker, None);
}

#[test]
fn a_private_address_is_for_a_human() {
    let mut world = reading();
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|_, plays| {
        Submission::all(plays.len(), &Delivery::NotNow { retry_after: None, trouble: Trouble::AddressRefused })
    });
    world.run_for(minutes(20));
    assert_eq!(world.status().condition(Stalled), "True AddressRefused");
    assert!(world.status().message(Ready).contains("--allow-private-targets"));
}

#[test]
fn the_api_servers_silence_about_a_targets_secret_asks_nobody_to_act() {
    let mut world = World::of(account().with_target("brainz"));
    world.keys.insert("brainz".to_owned(), Script { next: [Err(SecretTrouble::Cluster)].into(), then: Ok(1) });
    world.shows([play("a", start())]);
    world.pass();
    assert_eq!(row(&world.status()), ["Ready=True Succeeded", "Authorized=True Succeeded", "Synced=True Succeeded"]);
    assert_eq!(world.status().targets[0].state, TargetState::Failing);
    assert_eq!(world.status().targets[0].reason.as_deref(), Some("NetworkError"));
    world.run_for(minutes(2));
    assert_eq!(world.sent("brainz").len(), 1, "a minute later");
    assert_eq!(world.status().targets[0].state, TargetState::Healthy);
}

#[test]
fn what_was_wrong_with_a_target_is_taken_back_although_there_is_nothing_to_send() {
    let missing = || SecretTrouble::NotFound { secret: ObjectName::new("music", "alice-brainz") };
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    let hook = std::mem::replace(&mut world.surroundings.targets[1].target, Lookup::Missing);
    world.keys.insert("brainz".to_owned(), Script::of(Err(missing())));
    world.pass();
    assert_eq!(world.status().target("brainz").unwrap().reason.as_deref(), Some("SecretNotFound"));
    assert_eq!(world.status().target("hook").unwrap().reason.as_deref(), Some("TargetNotFound"));

    world.surroundings.targets[1].target = hook;
    world.pass();
    assert_eq!(world.status().target("hook").unwrap().state, TargetState::Healthy);
    assert_eq!(world.status().condition(Ready), "False SecretNotFound");
    world.keys.clear();
    world.run_for(minutes(1));
    assert_eq!(world.status().target("brainz").unwrap().state, TargetState::Healthy);
    assert_eq!(world.status().condition(Ready), "True Succeeded");
}

#[test]
fn a_replaced_key_is_tried_with_the_play_that_waits_although_spotify_shows_it_no_longer() {
    let mut world = reading();
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::CredentialsRefused));
    world.run_for(minutes(21));
    assert_eq!(world.status().target("brainz").unwrap().state, TargetState::Unauthorized);
    world.shows([]);
    world.run_for(minutes(21));
    assert_eq!(world.status().target("brainz").unwrap().state, TargetState::Unauthorized, "it is the same key");
    world.keys.insert("brainz".to_owned(), Script::of(Ok(2)));
    world.keys.insert("hook".to_owned(), Script::of(Ok(2)));
    world.forget();
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    world.run_for(minutes(1));
    assert_eq!((world.sent("brainz").len(), world.sent("hook").len()), (1, 1));
    assert_eq!(world.status().condition(Ready), "True Succeeded");
}
