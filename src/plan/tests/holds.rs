//! An account and a target whose breaker is open: it sends nothing, says whose fault it is, and comes back in its turn.

use jiff::SignedDuration;

use super::accounts::{AccountSentence, StatusQuestion, account, minutes, seconds, start};
use super::plays::play;
use super::standings::{PROBE, fails, limits, open, told};
use super::world::{Deed, World};
use crate::api::condition::ConditionType;
use crate::api::v1alpha1::{BreakerOwner, TargetState};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Trouble};
use crate::plan::Lookup;
use crate::plan::target_hold::{LONGEST_SPREAD, turn};
use crate::plan::target_standing::Standing;

/// A target whose breaker is open or not, to an account whose plays wait there.
fn sees(world: &mut World, standing: &Standing, accounts: i32) {
    let target = told(standing, accounts, world.now);
    world.surroundings.targets[0].target = Lookup::Found(std::sync::Arc::new(target));
}

/// An account with one play, whose target failed once.
fn failed_once() -> World {
    let mut world = World::of(account().with_target("brainz"));
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Unknown(Trouble::Timeout)));
    world.shows([play("a", start() - minutes(3))]);
    world.pass();
    assert_eq!(world.status().target("brainz").unwrap().consecutive_failures, 1);
    world
}

fn sends(world: &World) -> usize {
    world.count(|deed| matches!(deed, Deed::Sent { .. } | Deed::Verified(_)))
}

#[test]
fn an_account_sends_nothing_while_the_breaker_is_open_and_says_whose_it_is() {
    let mut world = failed_once();
    sees(&mut world, &open(), 30);
    world.forget();
    world.pass();
    let target = world.status().target("brainz").cloned().unwrap();
    assert_eq!((target.state, target.circuit_breaker_of), (TargetState::CircuitOpen, Some(BreakerOwner::Target)));
    assert_eq!(target.reason.as_deref(), Some("TargetFailing"));
    assert_eq!((target.consecutive_failures, target.pending), (1, 1), "its own count stays alone");
    assert_eq!(target.circuit_breaker, open().breaker);
    let message = target.message.unwrap();
    assert!(message.starts_with("ScrobbleTarget music/brainz: the service gives no usable answer"), "{message}");
    let next = target.next_attempt_time.unwrap().0;
    let probe = open().next_probe().unwrap();
    assert!(next >= probe && next <= probe + seconds(30), "{next}");
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetFailing");
    assert_eq!(world.status().condition(ConditionType::Stalled), "");
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
    world.forget();
    while world.now < probe - seconds(1) {
        let wait = world.pass().requeue;
        world.now = (world.now + wait).min(probe - seconds(1));
    }
    assert_eq!((sends(&world), world.writes), (0, 0), "and it writes nothing meanwhile");
    // Another account's probe is on its way.
    world.now = next + seconds(1);
    world.surroundings.targets[0].view.probing = true;
    let wait = world.pass().requeue;
    assert_eq!(sends(&world), 0);
    assert!(wait >= seconds(5), "it does not ask again and again: {wait}");
    world.surroundings.targets[0].view.probing = false;
    world.pass();
    assert_eq!(sends(&world), 1, "its turn to probe");
    let known = world.status().target("brainz").cloned().unwrap();
    assert_eq!(known.consecutive_failures, 1, "a probe counts for the target");
}

#[test]
fn those_that_wait_come_back_one_after_the_other_in_one_write_each() {
    let mut world = failed_once();
    sees(&mut world, &open(), 30);
    world.pass();
    world.forget();
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    let closed = world.now + minutes(2);
    world.now = closed;
    sees(&mut world, &Standing::default(), 30);
    world.surroundings.targets[0].view.closed_time = Some(closed);
    let uid = world.account.metadata.uid.clone().unwrap_or_default();
    let turn = turn(&uid, 30);
    assert!(turn > seconds(1), "{turn}");
    while world.now < closed + turn {
        let wait = world.pass().requeue;
        assert_eq!((sends(&world), world.writes), (0, 0), "not its turn at {}", world.now);
        world.now += wait;
    }
    assert!(world.now <= closed + turn + seconds(1));
    world.pass();
    assert_eq!((sends(&world), world.writes), (1, 1));
    let status = world.status();
    let known = status.target("brainz").unwrap();
    assert_eq!((known.state, known.pending, known.consecutive_failures), (TargetState::Healthy, 0, 0));
    assert_eq!((&known.circuit_breaker, known.circuit_breaker_of, &known.message), (&None, None, &None));
    assert_eq!(status.condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn an_account_without_plays_says_so_and_follows_no_probe_with_a_write() {
    let mut world = World::of(account().with_target("brainz"));
    world.shows([play("a", start() - minutes(3))]);
    world.pass();
    world.account = world.account.clone().with_status(|status| {
        status.targets[0].credentials_id = Some("looked at".to_owned());
    });
    sees(&mut world, &open(), 30);
    world.pass();
    let known = world.status().target("brainz").cloned().unwrap();
    assert_eq!(
        (known.state, &known.next_attempt_time, &known.circuit_breaker),
        (TargetState::CircuitOpen, &None, &None)
    );
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetFailing");
    world.forget();
    let due = open().next_probe().unwrap();
    world.now = due;
    let again = open().after(&fails(), PROBE, limits(), due);
    sees(&mut world, &again, 30);
    world.pass();
    assert_eq!((sends(&world), world.writes), (0, 0));
    sees(&mut world, &Standing::default(), 30);
    world.surroundings.targets[0].view.closed_time = Some(world.now);
    world.run_for(minutes(1));
    assert_eq!((sends(&world), world.writes), (0, 1));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn what_is_an_accounts_own_stays_its_own() {
    let mut world = World::of(account().with_target("brainz"));
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::CredentialsRefused));
    world.shows([play("a", start() - minutes(3))]);
    world.pass();
    sees(&mut world, &open(), 30);
    world.pass();
    let known = world.status().target("brainz").cloned().unwrap();
    assert_eq!((known.state, known.circuit_breaker_of), (TargetState::Unauthorized, None));
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetUnauthorized");
}

#[test]
fn turns_spread_evenly_and_are_over_soon() {
    assert_eq!(turn("the only one", 1), SignedDuration::ZERO);
    assert_eq!(turn("nobody knows how many", 0), SignedDuration::ZERO);
    for accounts in [2, 30, 200, 10_000] {
        let bound = (seconds(1) * accounts).min(LONGEST_SPREAD);
        let mut turns: Vec<SignedDuration> = (0..accounts).map(|uid| turn(&format!("uid-{uid}"), accounts)).collect();
        turns.sort();
        assert!(turns.last().unwrap() <= &bound, "{accounts}");
        if accounts >= 200 {
            let first_half = turns.iter().filter(|turn| **turn * 2 < bound).count();
            let first_half = i32::try_from(first_half).unwrap();
            assert!((accounts * 2 / 5..accounts * 3 / 5).contains(&first_half), "{first_half}");
        }
    }
}

#[test]
fn a_look_at_a_key_is_no_proof_that_a_service_takes_plays() {
    // Held, with a play: it is the play that probes, not the key.
    let mut world = failed_once();
    world.account = world.account.clone().with_status(|status| status.targets[0].credentials_id = None);
    world.surroundings.targets[0].credentials_id = Some("anything".to_owned());
    sees(&mut world, &open(), 1);
    world.pass();
    world.forget();
    world.now = open().next_probe().unwrap() + seconds(1);
    world.pages.then = ApiAnswer::Failed(Trouble::Timeout);
    // The read that is due as well comes first, and tells nothing.
    world.pass();
    world.now += seconds(1);
    world.pass();
    assert_eq!(world.count(|deed| matches!(deed, Deed::Verified(_))), 0);
    assert_eq!(world.count(|deed| matches!(deed, Deed::Sent { .. })), 1);
}
