//! What a panic leaves on its account. It asks for little: whatever panicked may panic again.

use jiff::{SignedDuration, Timestamp};

use super::{Settled, announcements, conditions, failures};
use crate::api::condition::Reason;
use crate::api::v1alpha1::{GoDuration, SpotifyAccount, SpotifyApp};
use crate::plan::failure::Failure;
use crate::plan::problem::Problem;
use crate::plan::{breaker, request, schedule};

/// The longest wait between tries, while the breaker is closed.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// Why a pass ended anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// It panicked.
    Panicked {
        /// File and line.
        place: String,
    },
    /// It took longer than a pass may.
    TooLong,
}

/// A pass over an account was cut off: that is told, counted, and backed off as any failure that passes by itself. `app`
/// bounds the account's breaker, if it is known.
pub fn cut_off(account: &SpotifyAccount, app: Option<&SpotifyApp>, why: &CutOff, now: Timestamp) -> Settled {
    let before = account.status.clone().unwrap_or_default();
    let mut status = before.clone();
    // A change of the spec, or a request, was good for this one try.
    status.observed_generation = account.metadata.generation;
    if let Some(requested) = schedule::requested(account) {
        status.last_handled_reconcile_at = Some(requested.to_owned());
        request::grant(&mut status, now);
    }
    let consecutive = status.failures.as_ref().map_or(0, |failures| failures.consecutive).saturating_add(1);
    let limits = failures::limits_by(app);
    let opened = breaker::after_failure(status.circuit_breaker.as_ref(), consecutive, limits, now);
    let interval = status.sync.as_ref().and_then(|sync| sync.interval.as_ref()).map(GoDuration::duration);
    let longest = interval.map_or(LONGEST_WAIT, |interval| interval.min(LONGEST_WAIT));
    let probe = opened.as_ref().and_then(|breaker| breaker.next_probe_time.as_ref()).map(|time| time.0);
    let next = failures::round_up(probe.unwrap_or_else(|| now + breaker::wait_after(consecutive, longest))).0;
    let (failure, what) = match why {
        CutOff::Panicked { place } => (Failure::PassPanicked, format!("a fault of the operator at {place}")),
        CutOff::TooLong => (Failure::PassTooLong, "a pass took longer than it may and was cut off".to_owned()),
    };
    let message = format!("{what}; the operator tries again at {next:.0}; please report it");
    let problem = Problem::of(failure, message);
    status.circuit_breaker = opened;
    failures::fail(&mut status, &problem, consecutive, Some(next), now);
    conditions::cut_off(&mut status, account.metadata.generation, &problem, now);
    let announcements = announcements::between(&before, &status);
    Settled { announcements, requeue: next.duration_since(now), ..Settled::plain(status) }
}

/// For how long an account is left alone after a pass that was cut off: whatever a pass would do may be what panicked.
/// None where it may be looked at now, be it because somebody asks for it or changed the account.
pub fn rest(account: &SpotifyAccount, now: Timestamp) -> Option<SignedDuration> {
    let failures = account.status.as_ref()?.failures.as_ref()?;
    let panicked = failures.last_reason.as_deref() == Some(Reason::InternalError.as_str());
    let asked = schedule::requested(account).is_some() || schedule::is_changed(account);
    let next = failures.next_attempt_time.as_ref().filter(|_| panicked && !asked)?.0;
    (next > now).then(|| next.duration_since(now))
}
