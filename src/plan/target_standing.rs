//! What is known of a target as a whole: its circuit breaker, and until when its service asks to be left alone.
//!
//! One broken service opens one breaker, not one for each account. It opens when the service fails for accounts alike, or
//! refuses the target's own keys; then no account sends there, and one request at a time probes, however many wait. What is
//! known is kept in the target's status, so that a restart sends nothing early.

use jiff::{SignedDuration, Timestamp};

use super::breaker;
use super::failure::Failure;
use super::problem::Problem;
use crate::api::condition::{ConditionType, Reason, find_condition, whole_seconds};
use crate::api::v1alpha1::{
    BreakerLimits, BreakerState, BreakerStatus, RateLimitStatus, ScrobbleTarget, ScrobbleTargetStatus, TargetType,
};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::digest::keyed_hash;

/// The longest time between two probes of a service that fails; only what a human must mend is left alone for longer.
const LONGEST_WAIT_FOR_TROUBLE: SignedDuration = SignedDuration::from_mins(15);
/// A rate limit that lasts at least so long is told in the target's status; a shorter one is over before it matters.
pub const SHORTEST_TOLD_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// A rate limit that lasts longer than this, the usual interval of reads, is more than a hitch.
const LONGEST_PASSED_OVER: SignedDuration = SignedDuration::from_mins(20);
/// Probes come up to this part earlier than their time, in hundredths, so that targets that failed together are not
/// probed together.
const JITTER_PERCENT: u64 = 10;

/// What is known of a target: the part of its status that tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Until when the service asks to be left alone.
    pub paused_until: Option<Timestamp>,
    /// The target's circuit breaker; none while it is closed.
    pub breaker: Option<BreakerStatus>,
    /// Why it is open.
    pub trouble: Option<TargetTrouble>,
    /// With which spec and Secrets it opened.
    pub version: Option<String>,
}

/// Why a target's breaker is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTrouble {
    /// The reason shown.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
}

/// What an answer says about the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The service does what it is there for.
    Works,
    /// The service answers by its own rules about this listener, or this play: it is not to blame.
    Own,
    /// The service fails.
    Fails {
        /// How.
        trouble: Trouble,
        /// How long it asks to be left alone, if it says.
        retry_after: Option<SignedDuration>,
    },
    /// The service refuses the target's own keys.
    KeysRefused {
        /// Why, in our words.
        reason: String,
    },
    /// The service asks to wait.
    Waits {
        /// For how long, if it says.
        retry_after: Option<SignedDuration>,
    },
    /// Nothing.
    Nothing,
}

/// What is known about a request.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// It was let through to probe an open breaker.
    pub probe: bool,
    /// So many failures in a row, of so many accounts, that the service is to blame.
    pub enough: bool,
    /// The spec and Secrets that it was made with.
    pub version: &'a str,
    /// The target's uid.
    pub uid: &'a str,
}

impl Standing {
    /// As a target's status tells it.
    pub fn of(target: &ScrobbleTarget) -> Self {
        let Some(status) = &target.status else { return Self::default() };
        let breaker = status.circuit_breaker.clone().filter(|breaker| breaker.state != BreakerState::Closed);
        let until = status.rate_limit.as_ref().and_then(|limit| limit.until_time.as_ref());
        Self {
            paused_until: until.map(|until| until.0),
            trouble: breaker.as_ref().map(|_| TargetTrouble::of(status)),
            version: breaker.as_ref().and(status.failing_version.clone()),
            breaker,
        }
    }

    /// Tells it in a target's status.
    pub fn write_to(&self, status: &mut ScrobbleTargetStatus, now: Timestamp) {
        let paused = self.paused_until.filter(|until| *until > now);
        status.rate_limit = paused.map(|until| RateLimitStatus { until_time: Some(whole_seconds(until)) });
        status.circuit_breaker.clone_from(&self.breaker);
        status.failing_version.clone_from(&self.version);
    }

    /// When one request may probe; none while the breaker is closed.
    pub fn next_probe(&self) -> Option<Timestamp> {
        let next = self.breaker.as_ref()?.next_probe_time.as_ref();
        Some(next.map_or(Timestamp::UNIX_EPOCH, |next| next.0))
    }

    /// Whether the service refuses the target's own keys.
    pub fn refuses_keys(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.reason == Reason::ClientCredentialsInvalid)
    }

    /// Whether a request may leave now; `probing` tells that one is on its way that is to find out.
    pub fn may_call(&self, probing: bool, now: Timestamp) -> bool {
        let paused = self.paused_until.is_some_and(|until| until > now);
        !paused && self.next_probe().is_none_or(|next| next <= now && !probing)
    }

    /// What is known after a request.
    #[must_use]
    pub fn after(&self, word: &Word, evidence: Evidence<'_>, limits: BreakerLimits, now: Timestamp) -> Self {
        let waits = self.next_probe().is_some_and(|next| next > now);
        let same = self.version.as_deref() == Some(evidence.version);
        let patient = BreakerLimits {
            probe_after: limits.probe_after.min(LONGEST_WAIT_FOR_TROUBLE),
            max_probe_after: limits.max_probe_after.min(LONGEST_WAIT_FOR_TROUBLE),
            ..limits
        };
        let again = |retry_after: Option<SignedDuration>| {
            self.probing_at(later(now, patient.probe_after.max(retry_after.unwrap_or_default())))
        };
        match word {
            Word::Works | Word::Own if evidence.probe => Self { paused_until: self.paused_until, ..Self::default() },
            // The answer to a request that left together with the one that told.
            Word::KeysRefused { .. } if waits && same && self.refuses_keys() => self.clone(),
            Word::KeysRefused { reason } => {
                let trips = if same && self.refuses_keys() { self.trips() } else { 0 };
                self.opened(trips, TargetTrouble::keys(reason), evidence, limits, None, now)
            }
            // The probe told nothing about the keys.
            Word::Fails { retry_after, .. } if evidence.probe && self.refuses_keys() => again(*retry_after),
            Word::Fails { trouble, retry_after } if evidence.probe || (evidence.enough && self.breaker.is_none()) => {
                let trips = if same { self.trips() } else { 0 };
                self.opened(trips, TargetTrouble::service(trouble), evidence, patient, *retry_after, now)
            }
            Word::Waits { retry_after } if evidence.probe => again(*retry_after),
            Word::Nothing if evidence.probe => again(None),
            Word::Works | Word::Own | Word::Fails { .. } | Word::Waits { .. } | Word::Nothing => self.clone(),
        }
    }

    /// What is known once the service has asked to be left alone.
    #[must_use]
    pub fn paused(&self, pause: SignedDuration, now: Timestamp) -> Self {
        if pause < SHORTEST_TOLD_PAUSE {
            return self.clone();
        }
        // Never shown as over before it is.
        let until = whole_seconds(later(now, pause).saturating_add(SignedDuration::from_millis(999)).unwrap_or(now)).0;
        Self { paused_until: self.paused_until.max(Some(until)), ..self.clone() }
    }

    /// What is known after a look at the target's spec and Secrets: with others, one request may probe at once.
    #[must_use]
    pub fn seen(&self, version: &str, now: Timestamp) -> Self {
        let other = self.version.as_deref() != Some(version);
        let waits = self.next_probe().is_some_and(|next| next > now);
        if other && waits { self.probing_at(now) } else { self.clone() }
    }

    /// What the target says while its breaker is open.
    pub fn problem(&self) -> Option<Problem> {
        let TargetTrouble { reason, message } = self.trouble.clone().filter(|_| self.breaker.is_some())?;
        let problem = Problem::target(reason, message);
        Some(Problem { stalled: reason == Reason::ClientCredentialsInvalid, ..problem })
    }

    /// What the target says while its service asks to be left alone for long. `said` tells that it says so already.
    pub fn long_pause(&self, said: bool, now: Timestamp) -> Option<Problem> {
        let until = self.paused_until.filter(|until| *until > now)?;
        let message = format!("the service asks to be left alone until {until:.0}: plays wait");
        let is_long = said || until.duration_since(now) > LONGEST_PASSED_OVER;
        is_long.then(|| Problem::of(Failure::TargetLimited, message))
    }

    pub(super) fn trips(&self) -> i32 {
        self.breaker.as_ref().map_or(0, |breaker| breaker.trips)
    }

    fn opened(
        &self,
        trips: i32,
        trouble: TargetTrouble,
        evidence: Evidence<'_>,
        limits: BreakerLimits,
        retry_after: Option<SignedDuration>,
        now: Timestamp,
    ) -> Self {
        let before = self.breaker.clone().map(|breaker| BreakerStatus { trips, ..breaker });
        let opened = breaker::opened(before.as_ref(), limits, now);
        let wait =
            breaker::doubled(limits.probe_after, u32::try_from(opened.trips).unwrap_or(0), limits.max_probe_after);
        let wait = jittered(wait, evidence.uid, opened.trips).max(retry_after.unwrap_or_default());
        let breaker = BreakerStatus { next_probe_time: Some(whole_seconds(later(now, wait))), ..opened };
        Self {
            paused_until: self.paused_until,
            breaker: Some(breaker),
            trouble: Some(trouble),
            version: Some(evidence.version.to_owned()),
        }
    }

    fn probing_at(&self, time: Timestamp) -> Self {
        let next_probe_time = Some(whole_seconds(time));
        Self {
            breaker: self.breaker.clone().map(|breaker| BreakerStatus { next_probe_time, ..breaker }),
            ..self.clone()
        }
    }
}

impl TargetTrouble {
    fn service(trouble: &Trouble) -> Self {
        let reason = if trouble.is_network() { Reason::NetworkError } else { Reason::UpstreamUnavailable };
        let message = format!(
            "the service gives no usable answer ({}): plays wait, and one request probes at status.circuitBreaker.nextProbeTime",
            described(trouble)
        );
        Self { reason, message }
    }

    fn keys(reason: &str) -> Self {
        let message = format!(
            "{reason}: the target's owner must correct the keys in the Secrets that it names, which are looked at every minute; plays wait, and one request probes at status.circuitBreaker.nextProbeTime"
        );
        Self { reason: Reason::ClientCredentialsInvalid, message }
    }

    /// As the conditions tell it.
    fn of(status: &ScrobbleTargetStatus) -> Self {
        let told = find_condition(&status.conditions, ConditionType::Ready);
        let told = told.and_then(|told| Reason::from_name(&told.reason));
        let known = [Reason::ClientCredentialsInvalid, Reason::NetworkError];
        let reason = told.filter(|reason| known.contains(reason)).unwrap_or(Reason::UpstreamUnavailable);
        let open = find_condition(&status.conditions, ConditionType::CircuitOpen);
        let message = open.map_or_else(|| "the service gives no usable answer".to_owned(), |open| open.message.clone());
        Self { reason, message }
    }
}

/// A service's trouble, and what to look at where waiting may not help.
pub fn described(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Status(300..=399) | Trouble::Busy { status: 300..=399, .. } => {
            format!("{trouble}; redirects are not followed: url of the ScrobbleTarget must name the place itself")
        }
        Trouble::Status(404 | 405) => format!("{trouble}; does url of the ScrobbleTarget lead to the service?"),
        _ => trouble.to_string(),
    }
}

/// What the answers to a request say about the target.
pub fn word(kind: TargetType, submission: &Submission) -> Word {
    let Submission::Each(deliveries) = submission else { return Word::Own };
    let words: Vec<Word> = deliveries.iter().map(|delivery| word_of(kind, delivery)).collect();
    let rank = |word: &Word| match word {
        Word::KeysRefused { .. } => 5,
        Word::Works => 4,
        Word::Fails { .. } => 3,
        Word::Waits { .. } => 2,
        Word::Own => 1,
        Word::Nothing => 0,
    };
    words.into_iter().max_by_key(rank).unwrap_or(Word::Nothing)
}

/// What one answer says about the target.
pub fn word_of(kind: TargetType, delivery: &Delivery) -> Word {
    match delivery {
        Delivery::Accepted | Delivery::AlreadyThere => Word::Works,
        Delivery::ClientRefused { reason } => Word::KeysRefused { reason: reason.clone() },
        // There is no listener's key: what is refused is the signature.
        Delivery::CredentialsRefused if kind.credentials_key().is_none() => {
            Word::KeysRefused { reason: "the receiver refuses the target's signature".to_owned() }
        }
        Delivery::CredentialsRefused | Delivery::Never { .. } | Delivery::Suspended => Word::Own,
        Delivery::NotNow { retry_after, trouble } => match trouble {
            Trouble::RateLimited => Word::Waits { retry_after: *retry_after },
            Trouble::DailyLimit | Trouble::TooNew | Trouble::SecondTaken => Word::Own,
            // Nothing was sent; or one play may be to blame.
            Trouble::AddressRefused | Trouble::UrlRefused(_) | Trouble::OperationFailed => Word::Nothing,
            other => Word::Fails { trouble: other.clone(), retry_after: *retry_after },
        },
        Delivery::Unknown(trouble) => Word::Fails { trouble: trouble.clone(), retry_after: None },
    }
}

/// Whether so many failures in a row, of so many accounts, are the service's rather than those accounts' own.
pub fn is_enough(failures: i32, accounts_that_failed: usize, accounts: i32, limits: BreakerLimits) -> bool {
    failures >= limits.failure_threshold && (accounts_that_failed > 1 || accounts <= 1)
}

/// A little earlier, by what depends on the target and on how often its breaker opened.
fn jittered(wait: SignedDuration, uid: &str, trips: i32) -> SignedDuration {
    let hash = keyed_hash(uid.as_bytes(), &[b"probe", &trips.to_be_bytes()]);
    let hundredths = u64::from(hash[0]) * JITTER_PERCENT / 256;
    let early = wait.as_secs() * i64::try_from(hundredths).unwrap_or(0) / 100;
    wait.saturating_sub(SignedDuration::from_secs(early))
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrong_url_looks_like_is_told() {
        for (trouble, expected) in [
            (Trouble::Status(500), "HTTP status 500"),
            (Trouble::Cut, "the connection ended before the answer did"),
            (Trouble::Status(404), "HTTP status 404; does url of the ScrobbleTarget lead to the service?"),
            (
                Trouble::Status(302),
                "HTTP status 302; redirects are not followed: url of the ScrobbleTarget must name the place itself",
            ),
        ] {
            assert_eq!(described(&trouble), expected);
        }
    }
}
