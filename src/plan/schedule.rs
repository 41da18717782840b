//! When an account is read next.
//!
//! Due times are a pure function of the account's uid, the interval, the stored play times and now. Each account has
//! its own phase in the interval, so that many accounts spread evenly and a restart changes nothing: whoever is on duty
//! computes the same times.

use std::hash::Hasher as _;

use jiff::{SignedDuration, Timestamp};

use super::observed::{Duty, Lookup, Observed, TargetEntry};
use super::{client, delivery, problem, reference};
use crate::api::RECONCILE_REQUESTED_AT;
use crate::api::condition::{ConditionType, Reason, find_condition, is_condition_true};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::ledger::Ledger;
use crate::domain::ledger_codec;

/// How long an account that waits for a Secret is left before the Secret is looked at again: a change is seen within
/// a minute.
pub const SECRET_POLL: SignedDuration = SignedDuration::from_secs(45);
/// Spotify shows so many plays and no more.
const SHOWN_PLAYS: i64 = 50;
/// Spotify lists what was played for longer than this, so that plays cannot follow one another faster.
const SHORTEST_PLAY: SignedDuration = SignedDuration::from_secs(30);
/// So many plays in a row tell how fast somebody listens.
const PACE_PLAYS: usize = 10;
/// Reads come after so many plays at that pace: the rest is room for a late read and for the listener speeding up.
const PLAYS_BETWEEN_READS: i64 = 35;

/// What an account is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it is suspended, or an object that it refers to keeps it from working. The watches tell of a change.
    Never,
    /// A look at its Secrets: a human has to change one.
    Poll,
    /// A read.
    Read(Timestamp),
    /// A delivery of plays that were read before and wait for a target.
    Deliver(Timestamp),
}

/// What an account is due for, and when.
pub fn due(account: &SpotifyAccount, observed: &Observed, now: Timestamp) -> Due {
    if account.spec.suspend || problem::blocking(account, observed).is_some() {
        return Due::Never;
    }
    let status = account.status.clone().unwrap_or_default();
    let read = next_question(account, observed, &status, now);
    let delivery = next_delivery(&status, observed);
    match delivery {
        _ if read <= now => Due::Read(read),
        Some(delivery) if delivery <= now => Due::Deliver(delivery),
        _ if waits_for_secret(&status) => Due::Poll,
        Some(delivery) if delivery < read => Due::Deliver(delivery),
        _ => Due::Read(read),
    }
}

/// When to look at an account again, if nothing happens before; none where nothing but a change can help.
pub fn wake(account: &SpotifyAccount, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    match due(account, observed, now) {
        Due::Never => None,
        Due::Poll => {
            let status = account.status.clone().unwrap_or_default();
            let read = next_question(account, observed, &status, now);
            let next = next_delivery(&status, observed).map_or(read, |delivery| delivery.min(read));
            Some(next.min(now + SECRET_POLL))
        }
        Due::Read(time) | Due::Deliver(time) => Some(time),
    }
}

/// When Spotify is asked next; the end of time where only a change of a Secret or an object can help.
fn next_question(
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
    now: Timestamp,
) -> Timestamp {
    if let Some(next) = client::next_probe(account, observed, status, now) {
        return next;
    }
    if client::is_said(status) {
        // Spotify accepts the app's credentials again.
        return now;
    }
    let attempt = status.failures.as_ref().and_then(|failures| failures.next_attempt_time.as_ref()).map(|next| next.0);
    if let Some(until) = attempt.filter(|until| *until > now && is_asked_to_wait(status)) {
        return until;
    }
    if requested(account).is_some() || is_changed(account) || reference_resolved(status, observed) {
        return now;
    }
    if let Some(attempt) = attempt {
        return attempt;
    }
    let stalled = is_condition_true(&status.conditions, ConditionType::Stalled);
    if stalled && !is_condition_true(&status.conditions, ConditionType::Synced) {
        return Timestamp::MAX;
    }
    if status.sync.as_ref().is_none_or(|sync| sync.last_sync_time.is_none()) {
        return now;
    }
    next_read(account, observed, status)
}

/// Whether the account's spec is another one than the status speaks of.
pub fn is_changed(account: &SpotifyAccount) -> bool {
    let seen = account.status.as_ref().and_then(|status| status.observed_generation);
    seen != account.metadata.generation
}

/// Whether the last failure is a wait that Spotify asked for: nothing but time ends it.
pub fn is_asked_to_wait(status: &SpotifyAccountStatus) -> bool {
    let reason = status.failures.as_ref().and_then(|failures| failures.last_reason.as_deref());
    matches!(reason.and_then(Reason::from_name), Some(Reason::RateLimited | Reason::QuotaExceeded))
}

/// The value of `reconcile-requested-at` that was not acknowledged yet.
pub fn requested(account: &SpotifyAccount) -> Option<&String> {
    let value = account.metadata.annotations.as_ref()?.get(RECONCILE_REQUESTED_AT)?;
    let handled = account.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    (handled != Some(value)).then_some(value)
}

/// An object that was missing or not shared is there now. The watches tell.
fn reference_resolved(status: &SpotifyAccountStatus, observed: &Observed) -> bool {
    let ready = find_condition(&status.conditions, ConditionType::Ready);
    let reads = is_condition_true(&status.conditions, ConditionType::Synced);
    // What kept the account itself from working is gone: the caller has looked.
    let account = !reads && ready.is_some_and(|ready| is_by_reference(Some(&ready.reason)));
    let waits =
        |entry: &TargetEntry| status.target(&entry.entry).is_some_and(|known| is_by_reference(known.reason.as_deref()));
    account || observed.targets.iter().any(|entry| waits(entry) && reference::target(entry, observed).is_ok())
}

/// Whether a reason speaks of an object that is missing, not shared, unreadable or taken.
pub fn is_by_reference(reason: Option<&str>) -> bool {
    matches!(
        reason.and_then(Reason::from_name),
        Some(
            Reason::AppNotFound
                | Reason::TargetNotFound
                | Reason::PlanNotFound
                | Reason::ReferenceNotAllowed
                | Reason::SecretInUse
                | Reason::ObjectUnreadable
        )
    )
}

/// Whether a change of a Secret would help, which no watch tells.
pub fn waits_for_secret(status: &SpotifyAccountStatus) -> bool {
    if is_condition_true(&status.conditions, ConditionType::Synced)
        && status.targets.iter().any(delivery::waits_for_secret)
    {
        return true;
    }
    let stalled = find_condition(&status.conditions, ConditionType::Stalled);
    let reason = stalled.and_then(|stalled| Reason::from_name(&stalled.reason));
    is_condition_true(&status.conditions, ConditionType::Stalled)
        && matches!(
            reason,
            Some(
                Reason::SecretNotFound
                    | Reason::SecretKeyMissing
                    | Reason::SecretInvalid
                    | Reason::SecretNotLabelled
                    | Reason::SecretImmutable
                    | Reason::SecretWriteForbidden
                    | Reason::AuthorizationRequired
                    | Reason::AuthorizationRevoked
                    | Reason::AuthorizationExpired
                    | Reason::RefreshInterrupted
                    | Reason::ListenerMismatch
                    | Reason::ScopeInsufficient
                    | Reason::ConfigurationInvalid
                    | Reason::TargetUnauthorized
            )
        )
}

/// When plays that wait are next offered to a target; none where none waits.
fn next_delivery(status: &SpotifyAccountStatus, observed: &Observed) -> Option<Timestamp> {
    observed.waiting_page.as_ref()?;
    let waiting = status.targets.iter().filter(|target| target.pending > 0);
    waiting.filter_map(|target| target.next_attempt_time.as_ref().map(|next| next.0)).min()
}

/// When the account is read next, all being well.
pub fn next_read(account: &SpotifyAccount, observed: &Observed, status: &SpotifyAccountStatus) -> Timestamp {
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let ledger = status.ledger.as_deref().and_then(|text| ledger_codec::decode(text).ok()).unwrap_or_default();
    let interval = interval(account, observed, &ledger);
    next_slot(uid, interval, observed.last_read, &observed.duty, pace(&ledger))
}

/// The interval in force: the spec's, shorter for somebody who listens fast, never shorter than the plan and the
/// operator allow.
pub fn interval(account: &SpotifyAccount, observed: &Observed, ledger: &Ledger) -> SignedDuration {
    let plan = match &observed.plan {
        Some(Lookup::Found(plan)) => plan.spec.min_interval.duration(),
        _ => SignedDuration::ZERO,
    };
    let shortest = observed.settings.minimum_interval.max(plan).max(SignedDuration::from_secs(1));
    let wanted = account.spec.sync.interval.duration();
    let fast = pace(ledger).saturating_mul(i32::try_from(PLAYS_BETWEEN_READS).unwrap_or(i32::MAX));
    // 50 plays of 30 s last 25 minutes: a shorter interval cannot overflow whatever is played.
    let safe = SHORTEST_PLAY.saturating_mul(40);
    wanted.min(fast.max(safe)).max(shortest)
}

/// The shortest time between two plays that this listener kept up over ten plays, as far as the ledger knows.
pub fn pace(ledger: &Ledger) -> SignedDuration {
    let times: Vec<i64> = ledger.rows.iter().map(|row| row.played_ms).collect();
    let gaps = i64::try_from(PACE_PLAYS - 1).unwrap_or(i64::MAX);
    let fastest = times.windows(PACE_PLAYS).map(|window| (window[PACE_PLAYS - 1] - window[0]) / gaps).min();
    fastest.map_or(SignedDuration::from_hours(24), SignedDuration::from_millis).max(SHORTEST_PLAY)
}

/// The next slot of an account.
///
/// A slot that fell while nobody was on duty is made up once: at once where 50 plays could have been heard since the
/// slot before it, else spread, so that together with the slots that go on as ever the rate stays within 1.5 times the
/// steady one.
fn next_slot(
    uid: &str,
    interval: SignedDuration,
    last_read: Option<Timestamp>,
    duty: &Duty,
    pace: SignedDuration,
) -> Timestamp {
    let regular = slot_after(uid, interval, last_read.unwrap_or(duty.since).max(duty.since));
    let (None, Some(before_until)) = (last_read, duty.before_until) else { return regular };
    let missed = slot_after(uid, interval, before_until);
    if missed > duty.since {
        return regular;
    }
    let away = duty.since.duration_since(before_until).min(interval);
    let spread = duty.since + fraction(uid, away.saturating_mul(2));
    let before = missed - interval;
    let overflow = pace.saturating_mul(i32::try_from(SHOWN_PLAYS).unwrap_or(i32::MAX));
    let at_once = spread.min(regular).duration_since(before) >= overflow;
    if at_once { duty.since } else { spread.min(regular) }
}

/// The first slot after a time: slots are `interval` apart and begin at the account's own phase.
pub fn slot_after(uid: &str, interval: SignedDuration, time: Timestamp) -> Timestamp {
    let milliseconds = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let phase = i64::try_from(fraction(uid, interval).as_millis()).unwrap_or(0);
    let into = (time.as_millisecond() - phase).rem_euclid(milliseconds);
    time_of(time.as_millisecond() - into + milliseconds)
}

fn time_of(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

/// A part of a duration that is the account's own.
fn fraction(uid: &str, whole: SignedDuration) -> SignedDuration {
    let mut hasher = Fnv1a::default();
    hasher.write(uid.as_bytes());
    let milliseconds = u64::try_from(whole.as_millis()).unwrap_or(0);
    let part = (u128::from(hasher.finish()) * u128::from(milliseconds)) >> 64;
    SignedDuration::from_millis(i64::try_from(part).unwrap_or(0))
}

/// FNV-1a with 64 bits and a final mix: one value for one uid on every machine and in every version.
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv1a {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::config;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn slot(uid: &str, last_read: Option<i64>, since: i64, before: Option<i64>) -> i64 {
        let duty = Duty { since: time(since), before_until: before.map(time) };
        let slow = seconds(3600);
        let next = next_slot(uid, seconds(1200), last_read.map(time), &duty, slow);
        next.duration_since(time(0)).as_secs()
    }

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn reads_are_never_further_apart_than_the_interval(uid in "[a-f0-9]{8}", interval in 1_i64..86_400, at in 0_i64..10_000_000) {
            let next = slot_after(&uid, seconds(interval), time(at));
            prop_assert!(next > time(at));
            prop_assert!(next.duration_since(time(at)) <= seconds(interval));
            prop_assert_eq!(slot_after(&uid, seconds(interval), next).duration_since(next), seconds(interval));
        }

        #[test]
        fn a_restart_between_two_slots_changes_nothing(uid in "[a-f0-9]{8}", read in 0_i64..100_000) {
            let next = slot(&uid, Some(read), 0, None);
            prop_assume!(next > read + 2);
            prop_assert_eq!(slot(&uid, None, read + 2, Some(read + 1)), next);
        }

        #[test]
        fn a_missed_slot_is_made_up_within_twice_the_absence(uid in "[a-f0-9]{8}", away in 1_i64..1_000) {
            let next = slot(&uid, None, away, Some(0));
            let missed = slot_after(&uid, seconds(1200), time(0)) <= time(away);
            if missed {
                prop_assert!(next <= away + 2 * away.min(1200));
            } else {
                prop_assert_eq!(time(next).as_second(), slot_after(&uid, seconds(1200), time(away)).as_second());
            }
        }
    }

    #[test]
    fn an_account_that_could_have_overflowed_is_read_at_once() {
        let duty = Duty { since: time(7200), before_until: Some(time(0)) };
        let fast = seconds(31);
        assert_eq!(next_slot("uid", seconds(1200), None, &duty, fast), time(7200));
    }

    #[test]
    fn accounts_spread_over_the_interval() {
        let mut quarters = [0; 4];
        for number in 0..400 {
            let part = fraction(&format!("account-{number}"), seconds(400)).as_secs();
            quarters[usize::try_from(part / 100).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|count| (60..140).contains(count)), "{quarters:?}");
    }

    #[test]
    fn the_pace_is_that_of_the_fastest_ten_plays() {
        let mut ledger = Ledger::default();
        assert_eq!(pace(&ledger), SignedDuration::from_hours(24));
        for number in 0..10 {
            ledger.insert(crate::domain::ledger::Identity { played_ms: number * 40_000, uri: 1, title: 1 });
        }
        for number in 1..5 {
            ledger.insert(crate::domain::ledger::Identity { played_ms: 10_000_000 * number, uri: 1, title: 1 });
        }
        assert_eq!(pace(&ledger), seconds(40));
    }
}
