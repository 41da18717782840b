//! When tokens are refreshed: ahead of the read that needs it, and never more often than just before it.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::{ObservedSentence, around, token};
use super::world::{Deed, Exchange, World};
use crate::api::condition::{ConditionType, Reason, whole_seconds};
use crate::api::v1alpha1::{BreakerState, BreakerStatus, SpotifyAccount, TokenStatus};
use crate::domain::answer::{Refusal, Trouble};
use crate::domain::random::config;
use crate::plan::client::{ClientVersion, Standing};
use crate::plan::refresh::LEAD;
use crate::plan::schedule::{self, Due};
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Observed, TokenView, refresh, settle, slot};

const UID: &str = "0b9f3c9e-0000-4000-8000-000000000001";

fn is_refresh(deed: &Deed) -> bool {
    matches!(deed, Deed::Refreshed { .. })
}

/// A world that has read at its start, with a fresh token of this life.
fn world(interval: SignedDuration, life: SignedDuration) -> World {
    let mut world = World::of(account().with_target("brainz").reading_every(interval));
    world.secret.then = Ok(TokenView { expires_at: None, ..token(start()) });
    world.exchanges.then = Exchange::Succeeds { life };
    world.pass();
    world.forget();
    world
}

/// Reads that waited for a refresh of their own pass.
fn waiting_reads(world: &World) -> usize {
    let waits = |deeds: &&Vec<Deed>| deeds.contains(&Deed::Read) && deeds.iter().any(is_refresh);
    world.passes.iter().filter(waits).count()
}

/// How many refreshes it takes from a read at `first` until `end`, each just before the read that needs it.
fn just_in_time(
    interval: SignedDuration,
    life: SignedDuration,
    buffer: SignedDuration,
    takes: SignedDuration,
    end: Timestamp,
) -> usize {
    let (mut read, mut count) = (start() + takes, 0);
    let mut expires_at = read + life;
    loop {
        read = slot::slot_after(UID, interval, read);
        if read >= end {
            return count;
        }
        if expires_at.duration_since(read) <= buffer {
            read += takes;
            expires_at = read + life;
            count += 1;
        }
    }
}

#[test]
fn no_read_waits_and_nothing_is_refreshed_more_often() {
    for (what, interval, life) in [
        ("shorter than the token's life", minutes(20), hours(1)),
        ("a third of it and a little", minutes(25), hours(1)),
        ("as long", hours(1), hours(1)),
        ("longer", hours(3), hours(1)),
        ("a day", hours(24), hours(1)),
        ("ten minutes", minutes(10), hours(1)),
        ("a short token", minutes(20), minutes(10)),
    ] {
        let mut world = world(interval, life);
        world.run_for(days(3));
        assert_eq!(waiting_reads(&world), 0, "{what}");
        let least = just_in_time(interval, life, minutes(5), seconds(0), start() + days(3) + LEAD);
        let refreshes = world.count(is_refresh);
        assert!(refreshes <= least && refreshes + 1 >= least, "{what}: {refreshes}, just in time {least}");
        assert!(world.writes <= refreshes, "{what}: {} writes", world.writes);
    }
}

fn days(number: i64) -> SignedDuration {
    hours(24 * number)
}

#[test]
fn where_the_lead_would_cost_a_refresh_more_it_is_just_in_time() {
    for (what, interval, life) in [
        ("a slot just where the token goes stale", minutes(5), hours(1)),
        ("a slot a little later", seconds(3_325), hours(1)),
        ("a slot a little earlier", seconds(3_275), hours(1)),
        ("a life as short as the buffer", minutes(20), minutes(5)),
        ("a life of the buffer and the lead", minutes(20), minutes(5) + LEAD),
    ] {
        let mut world = world(interval, life);
        let before = world.status().token.unwrap().next_refresh_time.unwrap().0;
        let planned = refresh::next(&world.account, &world.surroundings, &world.status(), world.now).unwrap();
        assert_eq!(whole_seconds(planned).0, before, "{what}");
        assert_eq!(slot::slot_from(UID, interval, planned), planned, "{what}: at the read itself");
        world.run_for(days(1));
        assert_eq!(waiting_reads(&world), world.count(is_refresh), "{what}");
    }
}

#[test]
fn a_listener_read_every_second_is_refreshed_just_in_time_and_no_more_often() {
    let mut world = World::of(account().with_target("brainz").reading_every(seconds(1)));
    world.surroundings.settings.minimum_interval = seconds(1);
    world.surroundings.settings.refresh_buffer = seconds(6);
    world.secret.then = Ok(TokenView { expires_at: None, ..token(start()) });
    world.exchanges.then = Exchange::Succeeds { life: seconds(10) };
    world.pass();
    world.forget();
    world.run_for(minutes(5));
    assert_eq!(waiting_reads(&world), world.count(is_refresh));
    assert!((60..=75).contains(&world.count(is_refresh)), "{}", world.count(is_refresh));
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn there_are_never_more_refreshes_than_just_in_time(
        interval in 60_i64..9_000, life in 30_i64..9_000, buffer in 0_i64..4_000, takes in 0_i64..20,
    ) {
        let (interval, life, buffer, takes) = (seconds(interval), seconds(life), seconds(buffer), seconds(takes));
        let mut world = World::of(account().with_target("brainz").reading_every(interval));
        world.surroundings.settings.minimum_interval = seconds(60);
        world.surroundings.settings.refresh_buffer = buffer;
        world.secret.then = Ok(TokenView { expires_at: None, ..token(start()) });
        world.exchanges.then = Exchange::Succeeds { life };
        world.exchange_takes = takes;
        let end = start() + hours(12);
        world.run_for(hours(12));
        let least = just_in_time(interval, life, buffer, takes, end + LEAD) + 1;
        prop_assert!(world.count(is_refresh) <= least, "{} refreshes, just in time {least}", world.count(is_refresh));
        // Whatever is planned is shown, and what is shown is done.
        let next = world.status().token.unwrap().next_refresh_time.unwrap().0;
        prop_assert!(next >= whole_seconds(world.now).0 - interval, "{next} at {}", world.now);
    }

    #[test]
    fn restarts_neither_repeat_nor_skip_a_planned_refresh(
        interval in 600_i64..9_000, moments in proptest::collection::vec((1_i64..4_000, 0_i64..3), 1..20),
    ) {
        let interval = seconds(interval);
        let mut restarted = world(interval, hours(1));
        for (after, away) in moments {
            restarted.run_for(seconds(after));
            restarted.restart_after(seconds(away));
        }
        restarted.run_for(hours(1));
        let passed = restarted.now.duration_since(start());
        let least = just_in_time(interval, hours(1), minutes(5), seconds(0), start() + passed + LEAD);
        // A slot that fell into an absence is made up elsewhere, so that a token may last for one slot less.
        let most = least + 1;
        prop_assert!(restarted.count(is_refresh) <= most, "{} refreshes, steadily {least}", restarted.count(is_refresh));
    }
}

#[test]
fn what_is_shown_is_what_is_done() {
    for interval in [minutes(5), minutes(6), minutes(14), minutes(20), minutes(54), hours(1), hours(5)] {
        let mut world = world(interval, hours(1));
        for _ in 0..200 {
            let shown = world.status().token.unwrap().next_refresh_time.unwrap().0;
            let before = world.count(is_refresh);
            let now = world.now;
            let wait = world.pass().requeue;
            if world.count(is_refresh) > before {
                assert_eq!(whole_seconds(now).0, shown, "every {interval:?}");
            } else {
                assert!(shown >= whole_seconds(now).0, "every {interval:?}");
            }
            world.now += wait;
        }
        assert!(world.count(is_refresh) > 3 || interval > hours(4), "every {interval:?}");
    }
}

#[test]
fn another_schedule_is_shown_with_the_write_that_it_causes() {
    let mut world = world(minutes(20), hours(1));
    let shown = |world: &World| world.status().token.unwrap().next_refresh_time.map(|time| time.0);
    let first = shown(&world).unwrap();
    world.account = world.account.clone().reading_every(hours(3)).edited();
    world.pass();
    let second = shown(&world).unwrap();
    assert_ne!(first, second);
    assert_eq!(refresh::read_after(second).duration_since(second), LEAD);
    world.account = world.account.clone().suspended().edited();
    world.pass();
    assert_eq!(shown(&world), None, "nothing is asked while it is suspended");
    world.account.spec.suspend = false;
    world.account = world.account.clone().edited();
    world.pass();
    assert_eq!(shown(&world), Some(second));
}

/// A read ten minutes ago and a token that is stale at the next slot, with all that a plan rests on.
fn before_a_slot() -> (SpotifyAccount, Observed, Timestamp) {
    let account = account().with_target("brainz").ready_since(start() - minutes(10)).with_status(|status| {
        status.token = Some(TokenStatus {
            expiry_time: Some(whole_seconds(start())),
            last_refresh_time: Some(whole_seconds(start() - hours(1))),
            ..TokenStatus::default()
        });
    });
    let observed = around(&account).read_at(start() - minutes(10));
    let read = schedule::next_read(&account, &observed, &account.status());
    (account, observed, read - LEAD)
}

#[test]
fn only_an_account_on_schedule_is_refreshed_ahead() {
    let (account, observed, time) = before_a_slot();
    assert_eq!(schedule::due(&account, &observed, time), Due::Refresh(time));
    assert_eq!(schedule::wake(&account, &observed, time - seconds(9)), Some(time));
    let stalled = |reason, condition| account.clone().stalled_by(reason, condition);
    let failing = |reason| account.clone().trying_again_at(reason, time + seconds(1));
    let unread = account.clone().with_status(|status| status.sync = None);
    let unknown_life = account.clone().with_status(|status| status.token = None);
    for (what, other) in vec![
        ("suspended", account.clone().suspended()),
        ("a dead token", stalled(Reason::AuthorizationRevoked, ConditionType::Authorized)),
        ("a Secret that is missing", stalled(Reason::SecretNotFound, ConditionType::Authorized)),
        ("a target that waits for a human", stalled(Reason::TargetUnauthorized, ConditionType::Ready)),
        ("asked to wait", failing(Reason::RateLimited)),
        ("the quota is spent", failing(Reason::QuotaExceeded)),
        ("Spotify fails", failing(Reason::UpstreamUnavailable)),
        ("an open breaker", failing(Reason::CircuitOpen)),
        ("the app's fault", failing(Reason::ClientCredentialsInvalid)),
        ("never read", unread),
        ("a token whose life is not known", unknown_life),
        ("asked for now", account.clone().requesting("now")),
    ] {
        let due = schedule::due(&other, &observed, time);
        assert!(!matches!(due, Due::Refresh(_)), "{what}: {due:?}");
    }
    let mut blocked = observed.clone();
    blocked.app = crate::plan::Lookup::Missing;
    assert_eq!(schedule::due(&account, &blocked, time), Due::Never);
    assert_eq!(refresh::next(&account, &blocked, &account.status(), time), None);
    let mut app = super::observations::app();
    let breaker = BreakerStatus { next_probe_time: Some(whole_seconds(time + hours(1))), ..BreakerStatus::default() };
    let breaker = Some(BreakerStatus { state: BreakerState::Open, ..breaker });
    let standing = Standing { breaker, refused: Some((&ClientVersion::default()).into()), ..Standing::default() };
    standing.write_to(app.status.get_or_insert_default());
    let refused = observed.clone().with_app(crate::plan::Lookup::Found(std::sync::Arc::new(app)));
    let due = schedule::due(&account, &refused, time);
    assert!(matches!(due, Due::Read(probe) if probe > time), "the app's credentials are refused: {due:?}");
    let fresh = observed.with_token(token(time + hours(1)));
    assert!(matches!(schedule::due(&account, &fresh, time), Due::Read(_)), "what is held counts, not what was shown");
}

/// A world a minute before a refresh ahead of a read which the old token would still live for.
fn alive_at_its_slot() -> (World, Timestamp) {
    // Slots are 14 minutes apart: the fourth after a refresh comes when the token has four minutes left, or a little less.
    let mut world = world(minutes(14), hours(1));
    world.run_for(hours(2));
    let shown = world.status().token.unwrap();
    let read =
        refresh::read_after(refresh::next(&world.account, &world.surroundings, &world.status(), world.now).unwrap());
    assert!(shown.expiry_time.unwrap().0 > read, "it lives");
    world.run_for(read.duration_since(world.now) - minutes(1));
    world.forget();
    (world, read)
}

#[test]
fn a_refresh_ahead_that_fails_is_an_attempt_and_the_read_comes_in_its_slot() {
    for outcome in [
        RefreshOutcome::Failed(Trouble::Status(503)),
        RefreshOutcome::Ambiguous(Trouble::Timeout),
        RefreshOutcome::TokenSecret(SecretTrouble::Cluster),
    ] {
        let (mut world, read) = alive_at_its_slot();
        world.exchanges.next.push_back(Exchange::Ends(outcome.clone()));
        world.run_for(seconds(45));
        let status = world.status();
        let failures = status.failures.clone().unwrap();
        assert_eq!((failures.consecutive, failures.next_attempt_time), (1, None), "{outcome:?}: reads are on schedule");
        assert_eq!(status.condition(ConditionType::Ready), "True Succeeded");
        assert!(status.token.unwrap().next_refresh_time.unwrap().0 > read, "{outcome:?}: not before the read");
        assert_eq!((world.count(is_refresh), world.reads()), (1, 0));
        world.run_for(read.duration_since(world.now) + seconds(1));
        assert_eq!((world.count(is_refresh), world.reads()), (1, 1), "{outcome:?}: the token lives");
        assert_eq!(world.status().failures, None);
        world.run_for(minutes(15));
        assert_eq!((world.count(is_refresh), world.reads()), (2, 2), "{outcome:?}: ahead of the next one");
        assert_eq!(waiting_reads(&world), 0);
    }
}

#[test]
fn a_restart_does_not_forget_that_a_refresh_ahead_failed() {
    let (mut world, read) = alive_at_its_slot();
    world.exchanges.next.push_back(Exchange::Ends(RefreshOutcome::Failed(Trouble::Status(503))));
    world.run_for(seconds(40));
    world.restart_after(seconds(2));
    world.run_for(read.duration_since(world.now) + seconds(1));
    assert_eq!((world.count(is_refresh), world.reads()), (1, 1));
}

#[test]
fn a_token_that_does_not_live_until_the_read_waits_for_the_next_attempt() {
    let mut world = world(minutes(20), hours(1));
    let time = refresh::next(&world.account, &world.surroundings, &world.status(), world.now).unwrap();
    world.run_for(time.duration_since(world.now));
    world.forget();
    world.exchanges.next.push_back(Exchange::Ends(RefreshOutcome::Failed(Trouble::Status(503))));
    world.pass();
    let next = world.status().failures.unwrap().next_attempt_time.unwrap().0;
    assert_eq!(next, whole_seconds(time + minutes(1) + jiff::SignedDuration::from_millis(999)).0);
    assert_eq!(world.status().token.unwrap().next_refresh_time.unwrap().0, next);
    world.run_for(minutes(2));
    assert_eq!((world.count(is_refresh), world.reads()), (2, 1));
}

#[test]
fn a_refusal_ahead_of_time_stops_the_account_as_it_would_just_in_time() {
    for (outcome, reason) in [
        (
            RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired: false }, interrupted: None },
            "AuthorizationRevoked",
        ),
        (RefreshOutcome::Refused { refusal: Refusal::InvalidClient, interrupted: None }, "ClientCredentialsInvalid"),
    ] {
        let (mut world, _) = alive_at_its_slot();
        world.exchanges.then = Exchange::Ends(outcome);
        world.run_for(minutes(5));
        assert_eq!(world.status().condition(ConditionType::Stalled), format!("True {reason}"));
        assert_eq!((world.count(is_refresh), world.reads()), (1, 0), "{reason}");
    }
    let (mut world, _) = alive_at_its_slot();
    world.exchanges.next.push_back(Exchange::Ends(RefreshOutcome::RateLimited { retry_after: Some(minutes(7)) }));
    world.run_for(minutes(5));
    assert_eq!((world.count(is_refresh), world.reads()), (1, 0), "a wait that Spotify asked for holds for reads too");
}

#[test]
fn a_refresh_that_was_stored_and_not_told_is_found_and_not_repeated() {
    let mut world = world(minutes(20), hours(1));
    let old = world.status().token.unwrap();
    let time = refresh::next(&world.account, &world.surroundings, &world.status(), world.now).unwrap();
    world.run_for(time.duration_since(world.now) + seconds(1));
    world.run_for(seconds(5));
    let told = world.status().token.unwrap();
    assert!(told.last_refresh_time > old.last_refresh_time);
    world.account = world.account.clone().with_status(|status| status.token = Some(old));
    world.forget();
    world.restart_after(seconds(1));
    world.run_for(minutes(5));
    assert_eq!((world.count(is_refresh), world.reads()), (0, 1));
    assert_eq!(world.status().token.unwrap(), told, "what the Secret holds is told");
}

#[test]
fn plays_that_wait_for_a_target_do_not_hold_a_refresh_up() {
    let (account, observed, time) = before_a_slot();
    let account =
        account.with_target_state("brainz", crate::api::v1alpha1::TargetState::Failing, Reason::TargetFailing);
    let account = account.with_status(|status| {
        status.targets[0].pending = 1;
        status.targets[0].next_attempt_time = Some(whole_seconds(time - seconds(2)));
    });
    let observed = observed.with_waiting(super::plays::evening(1, start())).with_journal_of("brainz");
    assert_eq!(schedule::due(&account, &observed, time), Due::Refresh(time));
    assert!(matches!(schedule::due(&account, &observed, time - seconds(1)), Due::Deliver(_)));
}

#[test]
fn whoever_has_the_token_is_waited_for_longer_and_longer() {
    let waits: Vec<i64> = (0..8).map(|times| settle::contended_wait(times).as_secs()).collect();
    assert_eq!(waits, [1, 1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(settle::contended_wait(u32::MAX), seconds(30));
    for (outcome, contended) in [
        (RefreshOutcome::Claimed { until: start() }, true),
        (RefreshOutcome::Conflict, true),
        (RefreshOutcome::Superseded, true),
        (RefreshOutcome::ClientAsked, false),
        (RefreshOutcome::Failed(Trouble::Timeout), false),
    ] {
        let mut world = World::of(account().with_target("brainz"));
        world.secret.then = Ok(TokenView { expires_at: None, ..token(start()) });
        world.exchanges.then = Exchange::Ends(outcome.clone());
        assert_eq!(world.pass().contended, contended, "{outcome:?}");
    }
}
