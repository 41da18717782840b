//! Another process's claim on a token: for how long the token is left alone.

use jiff::{SignedDuration, Timestamp};

use crate::domain::token_secret::Claim;

/// Claims live for seconds: one that names a longer life was written by nobody who keeps to it.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_mins(1);
/// Clocks of two machines of one cluster are never believed to differ by more.
const LARGEST_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A process that finds a claim.
#[derive(Clone, Copy, Debug)]
pub struct Finder<'a> {
    /// What it calls itself in claims of its own.
    pub holder: &'a str,
    /// Digest of the token that it wants to exchange.
    pub token: &'a str,
    /// How long ago it saw this claim first, by a clock that nobody sets.
    pub seen_for: SignedDuration,
    /// The time by its wall clock.
    pub now: Timestamp,
    /// The longest wait for an answer to an exchange.
    pub exchange_timeout: SignedDuration,
}

impl Finder<'_> {
    /// For how much longer the token is left alone; none where it may be exchanged.
    ///
    /// The holder sends nothing once its claim's life is over, and has its answer within the exchange timeout. Which of
    /// two wall clocks is ahead cannot be told, so that time counts from when this process first saw the claim. Only a
    /// claim that is older than clocks can differ is over without a wait.
    pub fn wait(&self, claim: &Claim) -> Option<SignedDuration> {
        // What was claimed was replaced since, and the new one is stored: nobody exchanges it.
        if claim.holder == self.holder || claim.token != self.token {
            return None;
        }
        let over = self.now.duration_since(claim.deadline_time);
        if over > LARGEST_SKEW + self.exchange_timeout {
            return None;
        }
        let life = claim.deadline_time.duration_since(claim.claimed_time);
        let left = life.clamp(SignedDuration::ZERO, LONGEST_LIFE) + self.exchange_timeout - self.seen_for;
        left.is_positive().then_some(left)
    }
}

/// For how much longer a token is left alone whose claim, if there was one, was wiped from its Secret; `on_duty_for` is
/// how long this process has been on duty.
///
/// Whoever was on duty before claimed before this process was: its claim's life, which holds for every holder, and the
/// exchange timeout count from then.
pub fn wait_for_unknown(
    on_duty_for: SignedDuration,
    claim_life: SignedDuration,
    exchange_timeout: SignedDuration,
) -> Option<SignedDuration> {
    let left = claim_life.saturating_add(exchange_timeout).saturating_sub(on_duty_for);
    left.is_positive().then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

    fn time(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    fn claim(claimed: &str, deadline: &str) -> Claim {
        Claim {
            holder: "one".into(),
            id: "1".into(),
            claimed_time: time(claimed),
            deadline_time: time(deadline),
            token: "a".into(),
            account: String::new(),
        }
    }

    fn finder(seen_for: i64, now: &str) -> Finder<'static> {
        let seen_for = SignedDuration::from_secs(seen_for);
        Finder { holder: "two", token: "a", seen_for, now: time(now), exchange_timeout: TIMEOUT }
    }

    #[test]
    fn a_claim_is_waited_for_by_the_finders_own_clock_whatever_the_wall_clocks_say() {
        let claim = claim("10:00:00", "10:00:05");
        for (seen_for, now, expected) in [
            (0, "10:00:00", Some(15)),
            (4, "10:00:04", Some(11)),
            (14, "10:00:14", Some(1)),
            (15, "10:00:15", None),
            // Found long after it was written, as after a restart: it may have been written by a clock that is behind.
            (0, "10:00:14", Some(15)),
            (0, "10:01:00", Some(15)),
            // The finder's clock is four minutes ahead.
            (0, "10:04:00", Some(15)),
            (14, "10:04:14", Some(1)),
            (15, "10:04:15", None),
            // The finder's clock is an hour behind.
            (0, "09:00:00", Some(15)),
            (15, "09:00:15", None),
            // Older than clocks can differ.
            (0, "10:05:15", Some(15)),
            (0, "10:05:16", None),
        ] {
            let wait = finder(seen_for, now).wait(&claim);
            assert_eq!(wait, expected.map(SignedDuration::from_secs), "{now}, seen for {seen_for} s");
        }
    }

    #[test]
    fn the_wait_is_bounded_whatever_a_claim_says() {
        for (claimed, deadline, expected) in [
            ("10:00:00", "23:00:00", 70),
            ("10:00:00", "10:00:00", 10),
            ("10:00:00", "09:59:00", 10),
            ("23:00:00", "23:00:05", 15),
        ] {
            let wait = finder(0, "10:00:00").wait(&claim(claimed, deadline));
            assert_eq!(wait, Some(SignedDuration::from_secs(expected)), "{claimed} to {deadline}");
        }
    }

    #[test]
    fn a_claim_that_was_wiped_is_over_so_long_after_this_process_went_on_duty() {
        let seconds = SignedDuration::from_secs;
        for (on_duty_for, expected) in [(0, Some(15)), (14, Some(1)), (15, None), (900, None)] {
            let wait = wait_for_unknown(seconds(on_duty_for), seconds(5), TIMEOUT);
            assert_eq!(wait, expected.map(seconds), "{on_duty_for} s on duty");
        }
        assert_eq!(wait_for_unknown(SignedDuration::MAX, seconds(5), TIMEOUT), None);
    }

    #[test]
    fn ones_own_claim_and_one_on_a_token_that_was_replaced_keep_nobody() {
        let claim = claim("10:00:00", "10:00:05");
        assert_eq!(Finder { holder: "one", ..finder(0, "10:00:00") }.wait(&claim), None);
        assert_eq!(Finder { token: "b", ..finder(0, "10:00:00") }.wait(&claim), None);
    }
}
