//! What stops an account, and what it costs while it is stopped: hours are lived through, and requests counted.

use std::sync::Arc;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::token;
use super::plays::{evening, play};
use super::world::{Deed, Exchange, Script, World};
use crate::api::condition::{ConditionType, Reason};
use crate::domain::answer::{ApiAnswer, Delivery, Forbidden, Refusal, Submission, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::token::Flow;
use crate::domain::token_secret::ContentProblem;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Interruption, Lookup, TokenView};

fn secret() -> ObjectName {
    ObjectName::new("music", "alice-spotify")
}

/// An account that reads and delivers, an hour after its first read.
fn settled_world() -> World {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    world.pass();
    world.run_for(hours(1));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    world.forget();
    world
}

fn refused(refusal: Refusal) -> Exchange {
    Exchange::Ends(RefreshOutcome::Refused { refusal, interrupted: None })
}

#[test]
fn a_dead_token_is_asked_about_after_an_hour_then_once_a_day() {
    let mut world = settled_world();
    world.exchanges.then = refused(Refusal::InvalidGrant { expired: false });
    world.surroundings.token = Some(token(world.now));
    world.secret.then = Ok(token(world.now));
    world.run_for(minutes(30));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True AuthorizationRevoked");
    assert_eq!(world.questions(), 1, "{:?}", world.passes);
    world.run_for(minutes(60));
    assert_eq!(world.questions(), 2, "one probe after an hour");
    world.run_for(hours(72));
    assert!((4..=6).contains(&world.questions()), "one probe a day: {}", world.questions());
}

#[test]
fn a_dead_token_is_asked_about_once_a_day_also_where_a_probe_was_cut_off() {
    let mut world = settled_world();
    world.exchanges.then = refused(Refusal::InvalidGrant { expired: false });
    world.surroundings.token = Some(token(world.now));
    world.secret.then = Ok(token(world.now));
    world.run_for(hours(3));
    let interrupted = Some(Interruption::Claimed { time: world.now });
    let refusal = Refusal::InvalidGrant { expired: false };
    world.exchanges.then = Exchange::Ends(RefreshOutcome::Refused { refusal, interrupted });
    world.forget();
    world.run_for(hours(71));
    assert_eq!(world.questions(), 3, "{:?}", world.passes.iter().filter(|pass| pass.len() > 1).collect::<Vec<_>>());
}

#[test]
fn every_refusal_that_waits_for_a_human_leaves_spotify_alone_until_its_own_probe() {
    let cases: Vec<(&str, Exchange, Reason)> = vec![
        ("request", refused(Refusal::InvalidRequest), Reason::ConfigurationInvalid),
        ("client", refused(Refusal::UnauthorizedClient), Reason::ConfigurationInvalid),
        ("grant type", refused(Refusal::UnsupportedGrantType), Reason::ConfigurationInvalid),
        ("expired", refused(Refusal::InvalidGrant { expired: true }), Reason::AuthorizationExpired),
        (
            "interrupted",
            Exchange::Ends(RefreshOutcome::Refused {
                refusal: Refusal::InvalidGrant { expired: false },
                interrupted: Some(Interruption::Claimed { time: start() }),
            }),
            Reason::RefreshInterrupted,
        ),
    ];
    for fresh in [false, true] {
        for (name, exchange, reason) in &cases {
            let mut world =
                if fresh { World::of(account().with_target("brainz").with_hook("hook")) } else { settled_world() };
            world.exchanges.then = exchange.clone();
            world.surroundings.token = None;
            world.secret.then = Ok(token(world.now));
            world.run_for(minutes(59));
            assert_eq!(world.status().condition(ConditionType::Stalled), format!("True {reason}"), "{name}");
            let asked = if fresh { 1..=1 } else { 0..=1 };
            assert!(asked.contains(&world.questions()), "{name}, fresh {fresh}: {:?}", world.passes);
            assert!(world.count(|deed| *deed == Deed::LoadedToken) >= 40, "{name}: a change is seen within a minute");
            assert!(world.passes.len() <= 90, "{name}: {} passes in an hour", world.passes.len());
        }
    }
}

#[test]
fn what_spotify_forbids_is_asked_about_once_an_hour() {
    for (forbidden, reason) in [
        (Forbidden::Scope, Reason::ScopeInsufficient),
        (Forbidden::NotAllowlisted, Reason::UserNotAllowlisted),
        (Forbidden::OwnerNotPremium, Reason::AppOwnerNotPremium),
    ] {
        for at_once in [true, false] {
            let mut world = World::of(account().with_target("brainz"));
            if at_once {
                world.listeners.then = ApiAnswer::Forbidden(forbidden);
            }
            world.pages.then = ApiAnswer::Forbidden(forbidden);
            world.run_for(hours(10));
            assert_eq!(world.status().condition(ConditionType::Stalled), format!("True {reason}"));
            let asked = world.count(|deed| matches!(deed, Deed::Identified | Deed::Read));
            assert!((9..=12).contains(&asked), "{reason}: {asked} in ten hours");
            world.listeners.then = World::of(account()).listeners.then;
            world.pages.then = ApiAnswer::Found(Arc::default());
            world.run_for(hours(1) + minutes(1));
            assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded", "{reason}, mended");
        }
    }
}

#[test]
fn a_missing_secret_is_looked_for_every_minute_and_taken_up_when_it_comes() {
    for trouble in [
        SecretTrouble::NotFound { secret: secret() },
        SecretTrouble::NotLabelled { secret: secret(), wanted: "token" },
        SecretTrouble::Immutable { secret: secret() },
        SecretTrouble::ReadForbidden { secret: secret() },
        SecretTrouble::Content {
            secret: secret(),
            problem: ContentProblem::KeyMissing { key: "refresh-token".to_owned() },
        },
    ] {
        let mut world = World::of(account().with_target("brainz"));
        world.secret.then = Err(trouble.clone());
        let passes = world.run_for(hours(1));
        assert_eq!(world.questions(), 0, "{trouble:?}");
        assert!((60..=90).contains(&passes), "{trouble:?}: {passes}");
        assert_eq!(world.writes, 2, "the first visit, and what is wrong: {trouble:?}");

        world.forget();
        world.secret.then = Ok(token(world.now + hours(1)));
        world.run_for(minutes(1));
        assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded", "{trouble:?}");
        assert_eq!(world.status().condition(ConditionType::Stalled), "");
        assert_eq!(world.writes, 1, "everything is clean in one write");
    }
}

#[test]
fn a_new_token_is_taken_up_within_a_minute_whatever_its_targets_say() {
    let mut world = settled_world();
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::CredentialsRefused));
    world.shows([play("a", world.now)]);
    world.run_for(minutes(20));
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetUnauthorized");
    world.exchanges.then = refused(Refusal::InvalidGrant { expired: false });
    world.secret.then = Ok(token(world.now));
    world.surroundings.token = Some(token(world.now));
    world.run_for(minutes(21));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True AuthorizationRevoked");

    world.exchanges.then = Exchange::Succeeds { life: seconds(3600) };
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..token(world.now) };
    world.secret.then = Ok(TokenView { token_id: "token-2".to_owned(), ..new });
    world.run_for(minutes(1));
    assert_eq!(world.status().condition(ConditionType::Authorized), "True Succeeded");
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
}

#[test]
fn another_token_of_a_refused_authorization_is_taken_up_within_a_minute_and_the_same_one_is_not() {
    let mut world = settled_world();
    let refusal = Refusal::InvalidGrant { expired: false };
    world.exchanges.then =
        Exchange::Ends(RefreshOutcome::Refused { refusal, interrupted: Some(Interruption::Claimed { time: start() }) });
    world.surroundings.token = Some(token(world.now));
    world.secret.then =
        Ok(TokenView { interrupted: Some(Interruption::Claimed { time: start() }), ..token(world.now) });
    world.run_for(minutes(30));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True RefreshInterrupted");
    world.secret.then = Ok(token(world.now));
    world.forget();
    world.run_for(minutes(10));
    assert_eq!(world.questions(), 0, "its trace is gone, and it is the token that was refused: {:?}", world.passes);

    // Who was cut off has stored what it got.
    world.secret.then = Ok(TokenView { token_id: "token-2".to_owned(), ..token(world.now) });
    world.exchanges.then = Exchange::Succeeds { life: minutes(60) };
    world.run_for(minutes(2));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(world.status().condition(ConditionType::Stalled), "");
    assert_eq!(world.status().authorization.as_ref().unwrap().refused_token_id, None);
}

#[test]
fn the_api_servers_silence_changes_nothing_about_a_stopped_account() {
    let mut world = World::of(account().with_target("brainz"));
    world.exchanges.then = refused(Refusal::InvalidGrant { expired: false });
    world.secret.then = Ok(token(world.now));
    world.pass();
    let before = world.status();
    world.secret.then = Err(SecretTrouble::Cluster);
    world.run_for(minutes(30));
    assert_eq!(world.questions(), 1);
    assert_eq!(world.status(), before);
}

#[test]
fn a_flow_that_contradicts_the_app_sends_nothing_even_while_the_access_token_is_good() {
    let mut world = World::of(account().with_target("brainz"));
    let pkce = crate::plan::TokenView { flow: Some(Flow::Pkce), ..token(world.now + hours(1)) };
    world.secret.then = Ok(pkce);
    world.run_for(minutes(30));
    assert_eq!(world.questions(), 0);
    assert_eq!(world.status().condition(ConditionType::Stalled), "True ConfigurationInvalid");
    assert!(world.status().message(ConditionType::Ready).contains("confidential client"));
    world.secret.then = Ok(token(world.now + hours(1)));
    world.run_for(minutes(1));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn a_flow_that_becomes_wrong_while_a_refusal_waits_for_its_probe_is_no_loop() {
    let mut world = World::of(account().with_target("brainz"));
    world.exchanges.then = refused(Refusal::InvalidRequest);
    world.secret.then = Ok(token(world.now));
    world.run_for(minutes(50));
    world.secret.then = Ok(crate::plan::TokenView { flow: Some(Flow::Pkce), ..token(world.now) });
    world.forget();
    let passes = world.run_for(hours(1));
    assert!(passes <= 90, "{passes} passes in an hour");
    assert_eq!(world.questions(), 0);
}

#[test]
fn objects_that_are_missing_cost_a_look_now_and_then_and_are_seen_when_they_come() {
    let mut world = World::of(account().with_target("brainz"));
    let found = world.surroundings.app.clone();
    world.surroundings.app = Lookup::Missing;
    let passes = world.run_for(hours(2));
    assert!(passes <= 13, "{passes} passes in two hours");
    assert_eq!(world.questions(), 0);
    assert_eq!(world.status().condition(ConditionType::Ready), "False AppNotFound");
    world.surroundings.app = found;
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(world.status().condition(ConditionType::Stalled), "");
}

#[test]
fn an_app_that_comes_helps_although_a_target_is_still_missing() {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    let app = std::mem::replace(&mut world.surroundings.app, Lookup::Missing);
    let hook = std::mem::replace(&mut world.surroundings.targets[1].target, Lookup::Missing);
    world.shows([play("a", world.now)]);
    world.run_for(minutes(10));
    world.surroundings.app = app;
    world.pass();
    assert_eq!(world.sent("brainz").len(), 1, "the other target delivers");
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetNotFound");
    let passes = world.run_for(hours(1));
    assert!(passes <= 12, "{passes} passes in an hour");
    world.surroundings.targets[1].target = hook;
    world.pass();
    assert_eq!(world.sent("hook").len(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn a_target_that_goes_away_is_told_at_once() {
    let mut world = settled_world();
    world.surroundings.targets[0].target = Lookup::Missing;
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetNotFound");
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
}

#[test]
fn a_refused_key_causes_no_read_until_the_next_slot_and_is_tried_when_it_is_replaced() {
    let mut world = settled_world();
    let plays: Vec<_> = evening(3, world.now).entries;
    world.pages.then = ApiAnswer::Found(Arc::new(crate::domain::play::Page { entries: plays, full: false }));
    world.targets = Box::new(|entry, plays| match entry {
        "brainz" => Submission::all(plays.len(), &Delivery::CredentialsRefused),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    world.run_for(minutes(20));
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetUnauthorized");
    assert_eq!(world.sent("hook").len(), 3, "the other target delivers");
    world.forget();
    world.run_for(minutes(40));
    assert_eq!(world.reads(), 2, "{:?}", world.passes);

    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    world.keys.insert("brainz".to_owned(), Script::of(Ok(2)));
    world.forget();
    world.run_for(minutes(1));
    assert_eq!(world.sent("brainz").len(), 3);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn a_request_tries_a_refused_key_again_at_once() {
    let mut world = settled_world();
    world.shows([play("a", world.now)]);
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::CredentialsRefused));
    world.run_for(minutes(21));
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    world.keys.insert("brainz".to_owned(), Script::of(Ok(2)));
    world.forget();
    world.account = world.account.clone().requesting("now");
    world.pass();
    assert_eq!(world.sent("brainz").len(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(world.status().last_handled_reconcile_at.as_deref(), Some("now"));
}

#[test]
fn a_target_that_fails_is_tried_again_while_another_ones_key_is_refused() {
    let mut world = settled_world();
    world.shows([play("a", world.now)]);
    let mut tries = 0;
    world.targets = Box::new(move |entry, plays| {
        if entry == "brainz" {
            return Submission::all(plays.len(), &Delivery::CredentialsRefused);
        }
        tries += 1;
        let busy = Delivery::NotNow { retry_after: None, trouble: Trouble::Status(503) };
        Submission::all(plays.len(), if tries > 1 { &Delivery::Accepted } else { &busy })
    });
    while world.sent("hook").is_empty() {
        let wait = world.pass().requeue;
        world.now += wait;
    }
    let reads = world.reads();
    world.run_for(minutes(2));
    assert_eq!(world.sent("hook").len(), 2, "a minute later, without a read");
    assert_eq!(world.reads(), reads);
}

#[test]
fn a_wait_that_spotify_asked_for_is_kept_whatever_a_human_asks() {
    let mut world = settled_world();
    world.pages.then = ApiAnswer::RateLimited { retry_after: Some(hours(14)), quota: true };
    world.run_for(minutes(21));
    assert_eq!(world.reads(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded", "for less than one interval");
    world.account = world.account.clone().requesting("now").edited();
    world.run_for(minutes(60));
    assert_eq!(world.reads(), 1, "Retry-After always wins");
    assert_eq!(world.status().last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(world.status().observed_generation, world.account.metadata.generation);
    assert_eq!(world.status().condition(ConditionType::Ready), "False QuotaExceeded");
    assert_eq!(world.status().condition(ConditionType::Stalled), "", "time helps");
    world.pages.then = ApiAnswer::Found(Arc::default());
    world.run_for(hours(14));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn nothing_is_done_for_a_suspended_account_and_a_request_is_refused_once() {
    let mut world = World::of(account().with_target("brainz").suspended().requesting("now"));
    world.run_for(hours(3));
    assert_eq!(world.passes.iter().flatten().count(), 0);
    assert!(world.passes.len() <= 19);
    assert_eq!(world.status().condition(ConditionType::Ready), "False Suspended");
    assert_eq!(world.status().last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(world.said.iter().filter(|said| said.note.contains("refused")).count(), 1, "{:?}", world.said);
    assert_eq!(world.writes, 1);
}

#[test]
fn a_flow_that_is_corrected_is_seen_within_a_minute_although_the_token_is_the_same() {
    let mut world = settled_world();
    let pkce = crate::plan::TokenView { flow: Some(Flow::Pkce), ..token(world.now) };
    world.surroundings.token = None;
    world.secret.then = Ok(pkce);
    world.run_for(minutes(21));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True ConfigurationInvalid");
    world.secret.then = Ok(token(world.now));
    world.run_for(minutes(1));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}
