//! Tries within one request: the reads of Spotify's Web API, and only where trying again at once may help.
//!
//! An exchange of a token is never repeated: its claim is for one request, and the answer that was lost may have replaced
//! the token. Deliveries are not repeated here either: each target has waits of its own, and its plays wait in the journal.

use jiff::SignedDuration;

use super::failure::{Failure, Retry};
use crate::api::v1alpha1::SpotifyAccountStatus;
use crate::domain::answer::ApiAnswer;

/// So many tries make one request.
const TRIES: u32 = 3;
/// The wait after the first try, doubling.
const BASE: SignedDuration = SignedDuration::from_millis(500);
/// No wait is longer.
const LONGEST: SignedDuration = SignedDuration::from_secs(30);
/// The most that chance adds to a wait, in milliseconds.
pub const LONGEST_JITTER_MS: u16 = 1000;

/// How often one request may be tried: an account that fails already is probed with one.
pub fn tries(status: Option<&SpotifyAccountStatus>) -> u32 {
    if status.is_some_and(|status| status.failures.is_some()) { 1 } else { TRIES }
}

/// How long to wait before the next try, after `made` of at most `tries`; none where this answer is the last. `jitter_ms`
/// is chance, from 0 to [`LONGEST_JITTER_MS`].
///
/// `Retry-After` and whatever only time, a human or another token can mend ([`Retry`]) end the request.
pub fn wait<T>(answer: &ApiAnswer<T>, made: u32, tries: u32, jitter_ms: u16) -> Option<SignedDuration> {
    let again = Failure::of_api(answer).is_some_and(|failure| failure.facts().retry == Retry::Now);
    (again && made < tries).then(|| {
        let doubled = BASE.saturating_mul(2_i32.saturating_pow(made.saturating_sub(1)));
        let jitter = SignedDuration::from_millis(i64::from(jitter_ms.min(LONGEST_JITTER_MS)));
        doubled.saturating_add(jitter).min(LONGEST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::FailureStatus;
    use crate::domain::answer::{Forbidden, Trouble};

    fn milliseconds(count: i64) -> SignedDuration {
        SignedDuration::from_millis(count)
    }

    #[test]
    fn waits_double_within_a_request_and_end_after_three_tries() {
        let busy: ApiAnswer<()> = ApiAnswer::Failed(Trouble::Status(503));
        for (made, tries, jitter, expected) in [
            (1, 3, 0, Some(500)),
            (1, 3, 1000, Some(1500)),
            (1, 3, u16::MAX, Some(1500)),
            (2, 3, 0, Some(1000)),
            (2, 3, 7, Some(1007)),
            (3, 3, 0, None),
            (4, 3, 0, None),
            (u32::MAX, 3, 0, None),
            (1, 1, 0, None),
            (6, 9, 0, Some(16_000)),
            (7, 9, 0, Some(30_000)),
            (99, u32::MAX, 1000, Some(30_000)),
        ] {
            assert_eq!(wait(&busy, made, tries, jitter), expected.map(milliseconds), "{made} of {tries}");
        }
    }

    #[test]
    fn only_what_trying_at_once_may_help_is_tried_at_once() {
        let retry_after = SignedDuration::from_secs(5);
        for (answer, again) in [
            (ApiAnswer::Found(()), false),
            (ApiAnswer::Unauthorized, false),
            (ApiAnswer::Forbidden(Forbidden::Scope), false),
            (ApiAnswer::Forbidden(Forbidden::NotAllowlisted), false),
            (ApiAnswer::Forbidden(Forbidden::OwnerNotPremium), false),
            (ApiAnswer::Forbidden(Forbidden::Other), false),
            (ApiAnswer::RateLimited { retry_after: None, quota: false }, false),
            (ApiAnswer::RateLimited { retry_after: Some(retry_after), quota: true }, false),
            (ApiAnswer::Failed(Trouble::Busy { status: 503, retry_after }), false),
            (ApiAnswer::Failed(Trouble::Status(302)), false),
            (ApiAnswer::Failed(Trouble::Status(404)), false),
            (ApiAnswer::Failed(Trouble::Unreadable), false),
            (ApiAnswer::Failed(Trouble::TooLarge), false),
            (ApiAnswer::Failed(Trouble::UrlRefused("it cannot be sent to")), false),
            (ApiAnswer::Failed(Trouble::Status(500)), true),
            (ApiAnswer::Failed(Trouble::Status(504)), true),
            (ApiAnswer::Failed(Trouble::Timeout), true),
            (ApiAnswer::Failed(Trouble::Unreachable), true),
            (ApiAnswer::Failed(Trouble::Cut), true),
        ] {
            assert_eq!(wait(&answer, 1, 3, 0).is_some(), again, "{answer:?}");
        }
    }

    #[test]
    fn an_account_that_fails_already_is_asked_for_once() {
        let failures = Some(FailureStatus::default());
        let failing = SpotifyAccountStatus { failures, ..SpotifyAccountStatus::default() };
        assert_eq!(tries(None), 3);
        assert_eq!(tries(Some(&SpotifyAccountStatus::default())), 3);
        assert_eq!(tries(Some(&failing)), 1);
    }
}
