//! Spotify is away: many accounts of one app fail alike, and one breaker opens, not each account's.
//!
//! Failures in a row, of at least two accounts, without a usable answer between them, open the app's breaker. While it is
//! open one request probes, every 15 minutes at the latest; a usable answer closes it. No account's failures are counted
//! meanwhile. Whoever is the app's only account has its own breaker for this.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::breaker;
use super::client::Standing;
use super::slot::fraction;
use super::step::RefreshOutcome;
use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{BreakerLimits, BreakerState};
use crate::domain::answer::{ApiAnswer, Forbidden, Trouble};

/// Spotify is asked at least so often whether it is back.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// A probe comes up to a tenth earlier: the apps of a cluster do not probe together.
const JITTER: i32 = 10;
/// Fewer accounts say nothing about Spotify.
const WITNESSES: usize = 2;

/// What a request says about Spotify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answers, whatever it says.
    Answers,
    /// It gives no usable answer.
    Away,
    /// It answers that the app's owner has no Premium ([`super::premium`]).
    Unpaid,
    /// Nothing was sent.
    None,
}

/// What the end of an exchange says about Spotify. A token endpoint that answers does not say that the Web API does.
pub fn sign_of_exchange(outcome: &RefreshOutcome) -> Sign {
    match outcome {
        RefreshOutcome::Failed(trouble) | RefreshOutcome::Ambiguous(trouble) => match sign_of_trouble(trouble) {
            Sign::Away => Sign::Away,
            Sign::Answers | Sign::Unpaid | Sign::None => Sign::None,
        },
        RefreshOutcome::Refreshed { .. }
        | RefreshOutcome::Refused { .. }
        | RefreshOutcome::RateLimited { .. }
        | RefreshOutcome::CommitPending
        | RefreshOutcome::Superseded
        | RefreshOutcome::TokenSecret(_)
        | RefreshOutcome::ClientSecret(_)
        | RefreshOutcome::FlowMismatch { .. }
        | RefreshOutcome::ClientAsked
        | RefreshOutcome::Claimed { .. }
        | RefreshOutcome::Conflict => Sign::None,
    }
}

/// What an answer of the Web API says about Spotify.
pub fn sign_of_answer<T>(answer: &ApiAnswer<T>) -> Sign {
    match answer {
        ApiAnswer::Forbidden(Forbidden::OwnerNotPremium) => Sign::Unpaid,
        ApiAnswer::Found(_) | ApiAnswer::Unauthorized | ApiAnswer::Forbidden(_) | ApiAnswer::RateLimited { .. } => {
            Sign::Answers
        }
        ApiAnswer::Failed(trouble) => sign_of_trouble(trouble),
    }
}

fn sign_of_trouble(trouble: &Trouble) -> Sign {
    match trouble {
        Trouble::Timeout | Trouble::Unreachable | Trouble::Cut | Trouble::Unreadable | Trouble::TooLarge => Sign::Away,
        Trouble::Status(status) | Trouble::Busy { status, .. } if *status >= 500 => Sign::Away,
        Trouble::Status(_) | Trouble::Busy { .. } => Sign::Answers,
        Trouble::AddressRefused
        | Trouble::UrlRefused(_)
        | Trouble::RateLimited
        | Trouble::DailyLimit
        | Trouble::OperationFailed
        | Trouble::TooNew
        | Trouble::SecondTaken
        | Trouble::Code(_)
        | Trouble::Ignored(_) => Sign::None,
    }
}

/// Failures of an app's accounts in a row.
#[derive(Clone, Debug, Default)]
pub struct Streak {
    failures: i32,
    accounts: BTreeSet<String>,
}

impl Streak {
    /// One more request of an account.
    pub fn note(&mut self, account: &str, sign: Sign) {
        match sign {
            Sign::Answers | Sign::Unpaid => *self = Self::default(),
            Sign::Away => {
                self.failures = self.failures.saturating_add(1);
                if self.accounts.len() < WITNESSES {
                    self.accounts.insert(account.to_owned());
                }
            }
            Sign::None => {}
        }
    }

    /// Whether it is Spotify that is away, not an account that is in trouble.
    pub fn is_outage(&self, limits: BreakerLimits) -> bool {
        self.failures >= limits.failure_threshold && self.accounts.len() >= WITNESSES
    }
}

impl Standing {
    /// When the next request may probe whether Spotify is back; none while it is not known to be away.
    pub fn outage_until(&self) -> Option<Timestamp> {
        let breaker = self.breaker.as_ref().filter(|breaker| breaker.state != BreakerState::Closed)?;
        let next = breaker.next_probe_time.as_ref().filter(|_| self.refused.is_none())?;
        Some(next.0)
    }

    /// Spotify is away, as far as is known at this moment. `app` is the app's uid. What was known already stays as it is
    /// until the time of the probe.
    #[must_use]
    pub fn away(&self, app: &str, limits: BreakerLimits, now: Timestamp) -> Self {
        if self.refused.is_some() || self.outage_until().is_some_and(|until| until > now) {
            return self.clone();
        }
        let wait = limits.probe_after.min(LONGEST_WAIT);
        let same = BreakerLimits { probe_after: wait, max_probe_after: wait, ..limits };
        let mut opened = breaker::opened(self.breaker.as_ref(), same, now);
        let earlier = fraction(&format!("{app}/{}", opened.trips), wait / JITTER);
        opened.next_probe_time = opened.next_probe_time.map(|next| whole_seconds(next.0 - earlier));
        Self { breaker: Some(opened), unpaid: false, ..self.clone() }
    }

    /// Spotify answers.
    #[must_use]
    pub fn back(&self) -> Self {
        let away = self.outage_until().is_some();
        Self { breaker: self.breaker.clone().filter(|_| !away), unpaid: false, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::RefusedClientStatus;

    fn limits() -> BreakerLimits {
        let probe_after = SignedDuration::from_mins(15);
        BreakerLimits { failure_threshold: 5, probe_after, max_probe_after: SignedDuration::from_hours(24) }
    }

    fn streak(signs: &[(&str, Sign)]) -> Streak {
        let mut streak = Streak::default();
        for (account, sign) in signs {
            streak.note(account, *sign);
        }
        streak
    }

    #[test]
    fn five_failures_of_two_accounts_without_an_answer_between_are_an_outage() {
        use Sign::{Answers, Away};
        let (alice, bob) = (("alice", Away), ("bob", Away));
        for (signs, is_outage) in [
            (vec![alice, alice, bob, alice, alice], true),
            (vec![alice, bob, alice, bob], false),
            (vec![alice; 9], false),
            (vec![alice, bob, alice, ("carol", Answers), bob, alice], false),
            (vec![alice, bob, ("carol", Sign::None), alice, bob, alice], true),
        ] {
            assert_eq!(streak(&signs).is_outage(limits()), is_outage, "{signs:?}");
        }
    }

    #[test]
    fn a_probe_comes_within_a_quarter_of_an_hour_each_time() {
        let mut now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let begin = now;
        let mut standing = Standing::default();
        for trip in 1..20 {
            standing = standing.away("uid", limits(), now);
            let next = standing.outage_until().unwrap();
            let wait = next.duration_since(now).as_secs();
            assert!((13 * 60..=15 * 60).contains(&wait), "{wait}");
            assert_eq!(standing.breaker.as_ref().unwrap().trips, trip);
            assert_eq!(standing.breaker.as_ref().unwrap().opened_time, Some(whole_seconds(begin)));
            assert_eq!(standing.away("uid", limits(), now), standing, "whoever was on the way changes nothing");
            now = next;
        }
        assert_eq!(standing.back(), Standing::default());
    }

    #[test]
    fn refused_credentials_have_the_breaker_for_themselves() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let refused = Standing { refused: Some(RefusedClientStatus::default()), ..Standing::default() }.away(
            "uid",
            limits(),
            now,
        );
        assert_eq!(refused.breaker, None);
        let breaker = Some(breaker::opened(None, limits(), now));
        let refused = Standing { breaker, ..refused };
        assert_eq!(refused.outage_until(), None);
        assert_eq!(refused.back(), refused);
    }

    #[test]
    fn what_spotify_says_is_told_from_its_silence() {
        for (trouble, sign) in [
            (Trouble::Timeout, Sign::Away),
            (Trouble::Status(503), Sign::Away),
            (Trouble::Unreadable, Sign::Away),
            (Trouble::Status(404), Sign::Answers),
            (Trouble::UrlRefused("it"), Sign::None),
        ] {
            assert_eq!(sign_of_answer::<()>(&ApiAnswer::Failed(trouble.clone())), sign, "{trouble:?}");
            let of_exchange = if sign == Sign::Away { Sign::Away } else { Sign::None };
            assert_eq!(sign_of_exchange(&RefreshOutcome::Failed(trouble)), of_exchange);
        }
        assert_eq!(sign_of_answer::<()>(&ApiAnswer::Unauthorized), Sign::Answers);
        assert_eq!(sign_of_exchange(&RefreshOutcome::Conflict), Sign::None);
    }
}
