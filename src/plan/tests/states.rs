//! The states of an account as its conditions tell them.

use std::sync::Arc;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, start};
use super::observations::{ObservedSentence, ProgressSentence, around, progress, token};
use super::plays::{evening, page};
use super::world::{Exchange, World};
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::SpotifyAccountStatus;
use crate::domain::answer::{ApiAnswer, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::play::Page;
use crate::plan::step::{RefreshOutcome, SecretTrouble, TargetProgress};
use crate::plan::{Lookup, settle};

use ConditionType::{Authorized, CircuitOpen, Ready, Reconciling, Stalled, Suspended, Synced};

/// All conditions, absent ones as nothing, in the order of the documentation.
pub(super) fn row(status: &SpotifyAccountStatus) -> Vec<String> {
    [Ready, Authorized, Synced, Reconciling, Stalled, CircuitOpen, Suspended]
        .into_iter()
        .filter(|kind| !status.condition(*kind).is_empty())
        .map(|kind| format!("{kind}={}", status.condition(kind)))
        .collect()
}

pub(super) fn reading() -> World {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    world.pass();
    assert_eq!(row(&world.status()), ["Ready=True Succeeded", "Authorized=True Succeeded", "Synced=True Succeeded"]);
    world.forget();
    world
}

pub(super) fn failing(trouble: Trouble) -> ApiAnswer<Arc<Page>> {
    ApiAnswer::Failed(trouble)
}

#[test]
fn a_first_visit_is_progressing_and_only_the_first() {
    let account = account().with_target("brainz");
    let status = settle::first_visit(&account, start()).unwrap();
    assert_eq!(
        row(&status),
        [
            "Ready=Unknown Progressing",
            "Authorized=Unknown Progressing",
            "Synced=Unknown Progressing",
            "Reconciling=True Progressing",
        ]
    );
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(1)));
    let visited = account.clone().with_status(|known| *known = status);
    assert_eq!(settle::first_visit(&visited, start()), None);
    assert_eq!(settle::first_visit(&account.suspended(), start()), None);
}

#[test]
fn a_first_visit_is_over_whatever_came_of_it() {
    let mut world = World::of(account().with_target("brainz"));
    world.pages.then = failing(Trouble::Status(503));
    world.pass();
    assert_eq!(
        row(&world.status()),
        ["Ready=False UpstreamUnavailable", "Authorized=Unknown Progressing", "Synced=False UpstreamUnavailable"]
    );
}

#[test]
fn no_routine_sync_is_reconciling() {
    let mut world = reading();
    for _ in 0..50 {
        world.run_for(minutes(10));
        assert_eq!(world.status().condition(Reconciling), "");
    }
}

#[test]
fn a_suspended_account_says_so_and_nothing_else() {
    let mut world = reading();
    world.account = world.account.clone().suspended().edited();
    world.pass();
    assert_eq!(
        row(&world.status()),
        ["Ready=False Suspended", "Authorized=True Succeeded", "Synced=False Suspended", "Suspended=True Suspended"]
    );
    assert!(world.status().message(Ready).contains("spec.suspend"));
    assert_eq!(world.status().observed_generation, Some(2));

    world.account.spec.suspend = false;
    world.account = world.account.clone().edited();
    world.pass();
    assert_eq!(row(&world.status()), ["Ready=True Succeeded", "Authorized=True Succeeded", "Synced=True Succeeded"]);
}

#[test]
fn suspending_takes_back_what_asked_for_a_human() {
    let mut world = World::of(account().with_target("brainz"));
    world.secret.then = Err(SecretTrouble::NotFound { secret: ObjectName::new("music", "alice-spotify") });
    world.pass();
    assert_eq!(world.status().condition(Stalled), "True SecretNotFound");
    world.account = world.account.clone().suspended().edited();
    world.pass();
    assert_eq!(world.status().condition(Stalled), "");
}

#[test]
fn every_state_that_waits_for_a_human_is_stalled_names_what_to_do_and_is_read_by_kstatus() {
    let secret = || ObjectName::new("music", "alice-spotify");
    let cases: Vec<(SecretTrouble, &str, &str)> = vec![
        (SecretTrouble::NotFound { secret: secret() }, "SecretNotFound", "create it"),
        (
            SecretTrouble::NotLabelled { secret: secret(), wanted: "token" },
            "SecretNotLabelled",
            "scrobble-operator.io/use: token",
        ),
        (SecretTrouble::Immutable { secret: secret() }, "SecretImmutable", "replace it"),
        (SecretTrouble::ReadForbidden { secret: secret() }, "SecretWriteForbidden", "grant"),
        (SecretTrouble::NotOurs { secret: secret() }, "SecretInvalid", "remove it"),
    ];
    for (trouble, reason, remedy) in cases {
        let mut world = reading();
        world.secret.then = Err(trouble);
        world.surroundings.token = None;
        world.run_for(minutes(21));
        let expected = [
            format!("Ready=False {reason}"),
            format!("Authorized=False {reason}"),
            format!("Synced=False {reason}"),
            format!("Stalled=True {reason}"),
        ];
        assert_eq!(row(&world.status()), expected);
        let message = world.status().message(Ready);
        assert!(message.contains(remedy) && message.contains("music/alice-spotify"), "{message}");
        assert_eq!(world.status().observed_generation, Some(1));
        assert_eq!(world.status().failures.unwrap().last_type.unwrap().as_str(), "Configuration");
    }
}

#[test]
fn a_probe_that_finds_the_token_alive_recovers_in_the_write_of_its_read() {
    let mut world = reading();
    world.exchanges.next.push_back(Exchange::Ends(RefreshOutcome::Refused {
        refusal: crate::domain::answer::Refusal::InvalidGrant { expired: false },
        interrupted: None,
    }));
    world.secret.then = Ok(token(world.now));
    world.surroundings.token = Some(token(world.now));
    world.run_for(minutes(30));
    assert_eq!(world.status().condition(Stalled), "True AuthorizationRevoked");
    world.forget();
    world.run_for(minutes(61));
    assert_eq!(row(&world.status()), ["Ready=True Succeeded", "Authorized=True Succeeded", "Synced=True Succeeded"]);
    let recoveries = world.said.iter().filter(|said| said.reason == "Succeeded").count();
    assert_eq!(recoveries, 1, "{:?}", world.said);
}

#[test]
fn a_refresh_that_works_is_believed_although_the_read_after_it_fails() {
    let mut world = reading();
    world.account = world.account.clone().stalled_by(Reason::AuthorizationRevoked, Authorized).requesting("now");
    world.secret.then = Ok(token(world.now));
    world.pages.then = failing(Trouble::Status(503));
    world.pass();
    assert_eq!(
        row(&world.status()),
        ["Ready=False UpstreamUnavailable", "Authorized=True Succeeded", "Synced=False UpstreamUnavailable"]
    );
}

#[test]
fn transition_times_move_only_with_the_status_and_generations_with_every_write() {
    let mut world = reading();
    let since = |world: &World, kind| find_condition(&world.status().conditions, kind).unwrap().last_transition_time.0;
    let ready = since(&world, Ready);
    world.run_for(hours(3));
    world.account = world.account.clone().edited();
    world.pass();
    assert_eq!(since(&world, Ready), ready);
    assert!(world.status().conditions.iter().all(|condition| condition.observed_generation == Some(2)));

    world.surroundings.app = Lookup::Missing;
    world.now += minutes(1);
    world.pass();
    let lost = world.now;
    assert_eq!(since(&world, Ready), lost);
    world.surroundings.app = Lookup::Unreadable;
    world.now += minutes(1);
    world.pass();
    assert_eq!(world.status().condition(Ready), "False ObjectUnreadable");
    assert_eq!(since(&world, Ready), lost, "another reason is no transition");
    assert_eq!(since(&world, Stalled), lost);
}

#[test]
fn a_secret_that_another_account_holds_is_said() {
    let mut world = reading();
    world.surroundings.token_secret_holder = Some(ObjectName::new("music", "older"));
    world.pass();
    assert_eq!(world.status().condition(Stalled), "True SecretInUse");
    assert!(world.status().message(Ready).contains("music/older"));
    world.surroundings.token_secret_holder = None;
    world.pass();
    assert_eq!(world.status().condition(Ready), "True Succeeded");
}

#[test]
fn nothing_that_a_pass_left_undone_is_said_to_be_seen() {
    let account = account().with_target("brainz").ready_since(start() - hours(1)).edited().requesting("now");
    let observed = around(&account).with_token_expiring_in(hours(1));
    for unfinished in [progress(), progress().with_refreshed(start())] {
        let settled = settle(&account, &observed, &unfinished, start());
        assert_eq!(settled.status.observed_generation, Some(1));
        assert_eq!(settled.status.last_handled_reconcile_at, None);
    }
    let read = progress().with_page(page([]), start());
    let settled = settle(&account, &observed, &read, start());
    assert_eq!(settled.status.observed_generation, Some(2));
    assert_eq!(settled.status.last_handled_reconcile_at.as_deref(), Some("now"));
    assert!(settled.worth_writing);
}

#[test]
fn waiting_plays_that_are_delivered_make_no_unread_account_ready() {
    let account = account().with_target("brainz").ready_since(start() - hours(9));
    let account = account.stalled_by(Reason::AuthorizationRevoked, Authorized);
    let observed = around(&account).holding_credentials().with_waiting(evening(1, start()));
    let mut done = progress();
    done.deliveries.insert("brainz".to_owned(), TargetProgress::default());
    let settled = settle(&account, &observed, &done, start());
    assert_eq!(settled.status.condition(Ready), "False AuthorizationRevoked");
    assert_eq!(settled.status.condition(Stalled), "True AuthorizationRevoked");
}
