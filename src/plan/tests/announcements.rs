//! Events: change, failure and recovery, and nothing else.

use std::sync::Arc;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::observations::token;
use super::plays::{evening, play};
use super::world::{Exchange, Script, World};
use crate::domain::answer::{ApiAnswer, Delivery, Refusal, Submission, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::play::Play;
use crate::domain::token_secret::ContentProblem;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, TokenView};

fn reading() -> World {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    world.pass();
    world
}

/// What was said since the last time, as `Warning Reason`.
fn said(world: &mut World) -> Vec<String> {
    let all = std::mem::take(&mut world.said);
    all.iter().map(|said| format!("{} {}", if said.warning { "Warning" } else { "Normal" }, said.reason)).collect()
}

#[test]
fn a_first_success_is_said_and_routine_is_not() {
    let mut world = reading();
    assert_eq!(said(&mut world), ["Normal Succeeded"]);
    world.pages.then = ApiAnswer::Found(Arc::new(evening(20, world.now)));
    world.exchanges.then = Exchange::Succeeds { life: minutes(30) };
    world.run_for(hours(12));
    assert_eq!(said(&mut world), Vec::<String>::new(), "reads, plays and refreshes are no events");
}

#[test]
fn a_failure_is_said_when_it_shows_and_its_end_too() {
    let mut world = reading();
    said(&mut world);
    world.pages.then = ApiAnswer::Failed(Trouble::Status(503));
    world.run_for(hours(6));
    assert_eq!(said(&mut world), ["Warning CircuitOpen"], "once, however often it fails");
    world.pages.then = ApiAnswer::Found(Arc::default());
    world.run_for(minutes(20));
    assert_eq!(said(&mut world), ["Normal Succeeded"]);
}

#[test]
fn a_day_of_mixed_trouble_is_a_handful_of_events_and_its_end_is_one() {
    let mut world = reading();
    said(&mut world);
    let troubles = [Trouble::Timeout, Trouble::Status(500), Trouble::Cut, Trouble::Status(503), Trouble::Unreachable];
    let mut failures = 0;
    let end = world.now + hours(24);
    while world.now < end {
        world.pages.then = ApiAnswer::Failed(troubles[failures % troubles.len()].clone());
        world.run_for(minutes(3));
        failures = world.reads();
    }
    assert!(failures > 90, "{failures}");
    assert_eq!(said(&mut world), ["Warning CircuitOpen"], "one for {failures} failures");
    world.pages.then = ApiAnswer::Found(Arc::default());
    world.run_for(hours(24));
    assert_eq!(said(&mut world), ["Normal Succeeded"]);
}

#[test]
fn trouble_that_is_passed_over_is_not_said() {
    let mut world = reading();
    said(&mut world);
    world.pages.next.extend([ApiAnswer::Failed(Trouble::Timeout), ApiAnswer::Failed(Trouble::Cut)]);
    world.run_for(hours(1));
    assert_eq!(said(&mut world), Vec::<String>::new());
}

#[test]
fn a_dead_token_is_said_once_and_another_reason_again() {
    let mut world = reading();
    said(&mut world);
    let refused = |expired| {
        Exchange::Ends(RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired }, interrupted: None })
    };
    world.exchanges.then = refused(false);
    world.secret.then = Ok(token(world.now));
    world.surroundings.token = Some(token(world.now));
    world.run_for(hours(30));
    assert_eq!(said(&mut world), ["Warning AuthorizationRevoked"], "Ready and Authorized say it together");
    world.exchanges.then = refused(true);
    world.run_for(hours(30));
    assert_eq!(said(&mut world), ["Warning AuthorizationExpired"]);
}

#[test]
fn each_target_is_heard_when_its_state_or_its_reason_changes() {
    let mut world = reading();
    said(&mut world);
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|entry, plays| match entry {
        "hook" => Submission::all(plays.len(), &Delivery::Unknown(Trouble::Timeout)),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    world.run_for(minutes(20));
    assert_eq!(said(&mut world), ["Warning TargetFailing"], "while Ready stays True");
    world.run_for(minutes(1));
    let hook = std::mem::replace(&mut world.surroundings.targets[1].target, Lookup::Missing);
    world.pass();
    assert_eq!(said(&mut world), ["Warning TargetNotFound"]);
    world.surroundings.targets[1].target = hook;
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    world.pass();
    assert_eq!(said(&mut world), ["Normal Succeeded"]);
}

#[test]
fn a_new_entry_that_works_is_not_said() {
    let mut world = reading();
    said(&mut world);
    world.account = world.account.clone().with_hook("third").edited();
    world.surroundings.targets = super::observations::around(&world.account).targets;
    world.pass();
    assert_eq!(said(&mut world), Vec::<String>::new());
}

#[test]
fn suspending_and_resuming_are_said_and_a_request_meanwhile_is_refused_aloud() {
    let mut world = reading();
    said(&mut world);
    world.account = world.account.clone().suspended().edited();
    world.run_for(hours(1));
    assert_eq!(said(&mut world), ["Normal Suspended"]);
    world.account = world.account.clone().requesting("now");
    world.run_for(hours(1));
    assert_eq!(said(&mut world), ["Warning Suspended"]);
    world.account.spec.suspend = false;
    world.account = world.account.clone().edited();
    world.pass();
    assert_eq!(said(&mut world), ["Normal Succeeded"]);
}

#[test]
fn an_authorization_that_ends_soon_is_said_once() {
    let mut world = World::of(account().with_target("brainz"));
    let authorized_at = Some(start() - hours(24 * 149));
    world.secret.then = Ok(TokenView { authorized_at, ..token(start() + seconds(3600)) });
    world.pass();
    said(&mut world);
    world.run_for(hours(24 * 3));
    assert_eq!(said(&mut world), ["Warning AuthorizationExpiring"]);
}

#[test]
fn another_reason_of_a_target_is_said_although_ready_speaks_of_another_target() {
    let secret = || ObjectName::new("music", "alice-other");
    let mut world = World::of(account().with_target("brainz").with_target("other"));
    world.surroundings.targets[0].target = Lookup::Missing;
    world.keys.insert("other".to_owned(), Script::of(Err(SecretTrouble::NotFound { secret: secret() })));
    world.pass();
    assert_eq!(said(&mut world), ["Warning TargetNotFound", "Normal Succeeded", "Warning SecretNotFound"]);
    let problem = ContentProblem::KeyMissing { key: "token".to_owned() };
    world.keys.insert("other".to_owned(), Script::of(Err(SecretTrouble::Content { secret: secret(), problem })));
    world.run_for(minutes(2));
    assert_eq!(said(&mut world), ["Warning SecretKeyMissing"]);
}

#[test]
fn plays_that_are_set_aside_are_said_with_how_many_and_why() {
    let mut world = reading();
    said(&mut world);
    let refused = |plays: &[Arc<Play>], titles: &[&str]| {
        let answer = |play: &Arc<Play>| {
            let is_refused = titles.iter().any(|title| play.uri.ends_with(title));
            if is_refused { Delivery::Never { reason: "too odd".to_owned() } } else { Delivery::Accepted }
        };
        Submission::Each(plays.iter().map(answer).collect())
    };
    let mut shown = ["c", "b", "a"].map(|track| play(track, world.now - seconds(60))).to_vec();
    world.shows(shown.clone());
    world.targets = Box::new(move |entry, plays| match entry {
        "hook" => refused(plays, &["a"]),
        _ => refused(plays, &["a", "b"]),
    });
    world.run_for(minutes(20));
    let notes: Vec<String> = world.said.iter().map(|said| said.note.clone()).collect();
    assert_eq!(said(&mut world), ["Warning TargetFailing", "Warning TargetFailing"]);
    for (note, start) in notes.iter().zip(["target brainz: 2 plays will", "target hook: 1 play will"]) {
        assert!(note.starts_with(start) && note.contains("too odd"), "{note}");
    }
    world.run_for(hours(2));
    assert_eq!(said(&mut world), Vec::<String>::new(), "once");

    // One more is one more, and what was asked for is said again where it is refused again.
    shown.insert(0, play("d", world.now));
    world.shows(shown);
    world.targets = Box::new(move |_, plays| refused(plays, &["a", "b", "d"]));
    world.run_for(minutes(21));
    let notes: Vec<String> = world.said.iter().map(|said| said.note.clone()).collect();
    said(&mut world);
    assert!(notes.iter().all(|note| note.contains(": 1 play will")) && notes.len() == 2, "{notes:?}");
    world.account = world.account.clone().retrying("again");
    world.pass();
    let notes: Vec<String> = world.said.iter().map(|said| said.note.clone()).collect();
    assert!(notes[0].starts_with("target brainz: 3 plays will"), "{notes:?}");
    assert!(notes[1].starts_with("target hook: 2 plays will"), "{notes:?}");
}
