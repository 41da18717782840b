//! What an account is due for: every branch, and the slots of hours.

use jiff::SignedDuration;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::observations::{ObservedSentence, around};
use super::plays::evening;
use super::world::World;
use crate::api::condition::{ConditionType, Reason, whole_seconds};
use crate::api::v1alpha1::{SpotifyAccount, TargetState};
use crate::domain::name::ObjectName;
use crate::plan::observed::JournalView;
use crate::plan::schedule::{self, Due};
use crate::plan::seating::Seating;
use crate::plan::slot;
use crate::plan::{Lookup, Observed};

/// An account that was read ten minutes ago, and whose next slot is in the future.
fn on_schedule() -> (SpotifyAccount, Observed) {
    let account = account().with_target("brainz").ready_since(start() - minutes(10));
    let observed = around(&account).read_at(start());
    (account, observed)
}

fn due(account: &SpotifyAccount, observed: &Observed) -> Due {
    schedule::due(account, observed, start())
}

#[test]
fn an_account_on_schedule_waits_for_its_slot() {
    let (account, observed) = on_schedule();
    let Due::Read(next) = due(&account, &observed) else { panic!("a read is next") };
    assert!(next > start() && next <= start() + minutes(20));
    assert_eq!(schedule::due(&account, &observed, next), Due::Read(next), "the slot is the same when it has come");
    let uid = account.metadata.uid.as_deref().unwrap();
    assert_eq!(next, slot::slot_after(uid, minutes(20), start()));
}

#[test]
fn nothing_is_due_while_the_spec_or_an_object_forbids_it() {
    let (account, observed) = on_schedule();
    let of = |change: &dyn Fn(&mut Observed)| {
        let mut observed = observed.clone();
        change(&mut observed);
        observed
    };
    assert_eq!(due(&account.clone().suspended(), &observed), Due::Never);
    assert_eq!(due(&account.clone().suspended().requesting("now"), &observed), Due::Never);
    assert_eq!(due(&account, &of(&|observed| observed.app = Lookup::Missing)), Due::Never);
    assert_eq!(due(&account, &of(&|observed| observed.app = Lookup::Unreadable)), Due::Never);
    let holder = ObjectName::new("music", "older");
    assert_eq!(due(&account, &of(&|observed| observed.token_secret_holder = Some(holder.clone()))), Due::Never);
    let mut planned = account.clone().requesting("now");
    planned.spec.plan = Some("free".to_owned());
    let refused = Seating::Refused { plan: "free".to_owned() };
    assert_eq!(due(&planned, &of(&|observed| observed.seating = refused.clone())), Due::Never);
    assert_eq!(schedule::wake(&account.suspended(), &observed, start()), None);
}

#[test]
fn a_read_is_due_at_once_when_it_is_asked_for_when_the_spec_changes_and_when_a_reference_resolves() {
    let (account, observed) = on_schedule();
    for (why, account) in [
        ("never read", super::accounts::account().with_target("brainz")),
        ("requested", account.clone().requesting("now")),
        ("edited", account.clone().edited()),
        ("a target came", account.clone().with_target_state("brainz", TargetState::Failing, Reason::TargetNotFound)),
        (
            "a target is shared",
            account.clone().with_target_state("brainz", TargetState::Failing, Reason::ReferenceNotAllowed),
        ),
        ("the app came", account.clone().stalled_by(Reason::AppNotFound, ConditionType::Authorized)),
        ("the holder went", account.clone().stalled_by(Reason::SecretInUse, ConditionType::Authorized)),
        ("the app is readable", account.clone().stalled_by(Reason::ObjectUnreadable, ConditionType::Authorized)),
    ] {
        assert_eq!(due(&account, &observed), Due::Read(start()), "{why}");
    }
}

#[test]
fn a_request_is_answered_once() {
    let (account, observed) = on_schedule();
    let account =
        account.requesting("now").with_status(|status| status.last_handled_reconcile_at = Some("now".to_owned()));
    assert_eq!(schedule::requested(&account), None);
    assert!(matches!(due(&account, &observed), Due::Read(next) if next > start()));
    let account = account.requesting("again");
    assert_eq!(schedule::requested(&account), Some("again"));
    assert_eq!(due(&account, &observed), Due::Read(start()));
}

#[test]
fn a_target_that_is_still_missing_changes_no_slot() {
    let (account, observed) = on_schedule();
    let account = account.with_target_state("brainz", TargetState::Failing, Reason::TargetNotFound);
    let observed = observed.with_target_found("brainz", Lookup::Missing);
    assert!(matches!(due(&account, &observed), Due::Read(next) if next > start()));
}

#[test]
fn after_a_failure_the_next_attempt_is_kept() {
    let (account, observed) = on_schedule();
    for (wait, reason) in [(minutes(3), Reason::NetworkError), (minutes(-3), Reason::UpstreamUnavailable)] {
        let next = start() + wait;
        let account = account.clone().trying_again_at(reason, next);
        assert_eq!(due(&account, &observed), Due::Read(next), "{reason}");
    }
}

#[test]
fn a_request_passes_over_a_failure_but_not_over_a_wait_that_spotify_asked_for() {
    let (account, observed) = on_schedule();
    let next = start() + hours(14);
    let failing = |reason| account.clone().requesting("now").edited().trying_again_at(reason, next);
    assert_eq!(due(&failing(Reason::NetworkError), &observed), Due::Read(start()));
    assert_eq!(due(&failing(Reason::AuthorizationRevoked), &observed), Due::Read(start()));
    assert_eq!(due(&failing(Reason::RateLimited), &observed), Due::Read(next));
    assert_eq!(due(&failing(Reason::QuotaExceeded), &observed), Due::Read(next));
}

#[test]
fn a_stopped_account_polls_its_secrets_until_the_next_probe() {
    let (account, observed) = on_schedule();
    for reason in [
        Reason::SecretNotFound,
        Reason::SecretKeyMissing,
        Reason::SecretInvalid,
        Reason::SecretNotLabelled,
        Reason::SecretImmutable,
        Reason::SecretWriteForbidden,
        Reason::AuthorizationRevoked,
        Reason::AuthorizationExpired,
        Reason::RefreshInterrupted,
        Reason::ListenerMismatch,
        Reason::ScopeInsufficient,
        Reason::ConfigurationInvalid,
    ] {
        let stopped = account.clone().stalled_by(reason, ConditionType::Authorized);
        assert_eq!(due(&stopped, &observed), Due::Poll, "{reason}, without a next attempt");
        assert_eq!(schedule::wake(&stopped, &observed, start()), Some(start() + schedule::SECRET_POLL), "{reason}");
        let probed = stopped.clone().trying_again_at(reason, start() + hours(1));
        assert_eq!(due(&probed, &observed), Due::Poll, "{reason}, before its probe");
        let late = stopped.trying_again_at(reason, start() - seconds(1));
        assert_eq!(due(&late, &observed), Due::Read(start() - seconds(1)), "{reason}, at its probe");
    }
}

#[test]
fn what_no_secret_can_mend_is_not_polled() {
    let (account, observed) = on_schedule();
    let next = start() + minutes(15);
    for reason in [Reason::UserNotAllowlisted, Reason::AppOwnerNotPremium] {
        let stopped = account.clone().stalled_by(reason, ConditionType::Authorized).trying_again_at(reason, next);
        assert_eq!(due(&stopped, &observed), Due::Read(next), "{reason}");
    }
}

#[test]
fn a_target_that_stops_polls_between_the_slots_while_reads_go_on() {
    let (account, observed) = on_schedule();
    for reason in [Reason::SecretNotFound, Reason::TargetUnauthorized] {
        let state = if reason == Reason::TargetUnauthorized { TargetState::Unauthorized } else { TargetState::Failing };
        let account =
            account.clone().stalled_by(reason, ConditionType::Synced).with_target_state("brainz", state, reason);
        assert_eq!(due(&account, &observed), Due::Poll, "{reason}");
        let slot = schedule::next_read(&account, &observed, &account.status());
        assert_eq!(schedule::due(&account, &observed, slot), Due::Read(slot), "{reason}, its slot has come");
        let soon = slot - seconds(10);
        assert_eq!(schedule::wake(&account, &observed, soon), Some(slot), "{reason}: no poll delays the read");
    }
}

/// A play waits for the target, which may be tried again at a time.
fn waiting(account: SpotifyAccount, observed: Observed, wait: SignedDuration) -> (SpotifyAccount, Observed) {
    let next = whole_seconds(start() + wait);
    let account =
        account.with_target_state("brainz", TargetState::Failing, Reason::TargetFailing).with_status(|status| {
            status.targets[0].pending = 1;
            status.targets[0].next_attempt_time = Some(next);
        });
    (account, observed.with_waiting(evening(1, start())).with_journal_of("brainz"))
}

#[test]
fn plays_that_wait_are_offered_between_two_reads() {
    let (account, observed) = on_schedule();
    let slot = schedule::next_read(&account, &observed, &account.status());
    let (soon, with_page) = waiting(account.clone(), observed.clone(), seconds(60));
    assert!(slot > start() + seconds(60), "the uid's slot leaves room");
    assert_eq!(due(&soon, &with_page), Due::Deliver(start() + seconds(60)));
    let (now, _) = waiting(account.clone(), observed.clone(), seconds(-1));
    assert_eq!(due(&now, &with_page), Due::Deliver(start() - seconds(1)));
    let restarted = Observed { journal: JournalView::default(), ..observed.clone() };
    assert_eq!(due(&now, &restarted), Due::Deliver(start() - seconds(1)), "a restart changes nothing");
    let (late, _) = waiting(account, observed, hours(1));
    assert_eq!(due(&late, &with_page), Due::Read(slot), "the read comes first");
}

#[test]
fn plays_that_wait_are_offered_while_spotify_fails_or_the_token_is_dead() {
    let (account, observed) = on_schedule();
    let (account, observed) = waiting(account, observed, seconds(-1));
    let failing = account.clone().trying_again_at(Reason::NetworkError, start() + minutes(8));
    assert_eq!(due(&failing, &observed), Due::Deliver(start() - seconds(1)));
    let dead = account.stalled_by(Reason::AuthorizationRevoked, ConditionType::Authorized);
    assert_eq!(due(&dead, &observed), Due::Deliver(start() - seconds(1)));
}

#[test]
fn a_slot_that_fell_in_a_short_absence_is_made_up_once_and_later_ones_are_as_ever() {
    for number in 0..50 {
        let mut account = account().with_target("brainz").ready_since(start() - minutes(10));
        account.metadata.uid = Some(format!("uid-{number}"));
        let uid = account.metadata.uid.clone().unwrap();
        let back = start() + minutes(12);
        let observed = around(&account).on_duty_since(back, Some(start()));
        let missed = slot::slot_after(&uid, minutes(20), start());
        let regular = slot::slot_after(&uid, minutes(20), back);
        let Due::Read(next) = schedule::due(&account, &observed, back) else { panic!("a read is next") };
        if missed <= back {
            assert!(next >= back && next <= regular, "{uid}: made up before the next slot");
        } else {
            assert_eq!(next, regular, "{uid}: nothing was missed");
        }
        let after = schedule::due(&account, &observed.clone().read_at(next), next);
        assert_eq!(after, Due::Read(slot::slot_after(&uid, minutes(20), next)), "{uid}");
    }
}

#[test]
fn restarts_send_no_request_more_than_the_schedule() {
    let mut steady = World::of(account().with_target("brainz"));
    let mut restarted = World::of(account().with_target("brainz"));
    for _ in 0..10 {
        steady.run_for(minutes(7) + seconds(1));
        restarted.run_for(minutes(7));
        restarted.restart_after(seconds(1));
    }
    assert!((4..=5).contains(&steady.reads()), "{}", steady.reads());
    assert_eq!(restarted.reads(), steady.reads());
}

#[test]
fn ten_absences_of_minutes_cost_at_most_one_read_each() {
    let mut steady = World::of(account().with_target("brainz"));
    let mut absent = World::of(account().with_target("brainz"));
    for _ in 0..10 {
        steady.run_for(minutes(30));
        absent.run_for(minutes(25));
        absent.restart_after(minutes(5));
    }
    let (most, least) = (steady.reads() + 10, steady.reads() - 2);
    assert!((least..=most).contains(&absent.reads()), "{} against {}", absent.reads(), steady.reads());
}
