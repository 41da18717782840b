//! What conditions say of trouble that passes by itself: nobody has to act, nothing is hidden, and when it is tried again.

use crate::api::v1alpha1::SpotifyAccountStatus;
use crate::plan::problem::Problem;

/// The message of `Ready` while it is True.
pub(super) fn ready(status: &SpotifyAccountStatus) -> String {
    let told = || status.targets.iter().filter(|target| target.message.is_some());
    let waiting: Vec<&str> = told().map(|target| target.name.as_str()).collect();
    let read = status.failures.is_some().then(|| "Spotify is asked again later (see the condition Synced)".to_owned());
    let delivered = (!waiting.is_empty())
        .then(|| format!("plays for {} wait and are sent again (see status.targets)", waiting.join(", ")));
    let parts: Vec<String> = read.into_iter().chain(delivered).collect();
    if parts.is_empty() {
        return "plays are read and delivered".to_owned();
    }
    // Where plays wait for their own sake, the target's message says whether somebody has to.
    let is_trouble = told().all(|target| target.reason.is_some());
    let begin = if is_trouble { "nobody has to act yet" } else { "plays are read" };
    format!("{begin}: {}", parts.join(", and "))
}

/// The message of `Synced` while it is True, after a request that failed.
pub(super) fn synced(status: &SpotifyAccountStatus, problem: &Problem) -> String {
    let next = status.failures.as_ref().and_then(|failures| failures.next_attempt_time.as_ref());
    match next {
        Some(_) => format!("nobody has to act yet: {}", tried_again(status, &problem.message)),
        None => format!("plays are read on schedule; {}; tried again by itself", problem.message),
    }
}

/// A message, and when a request is made again.
pub(super) fn tried_again(status: &SpotifyAccountStatus, message: &str) -> String {
    let next = status.failures.as_ref().and_then(|failures| failures.next_attempt_time.as_ref());
    next.map_or_else(|| message.to_owned(), |next| format!("{message}; tried again at {:.0}", next.0))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::condition::whole_seconds;
    use crate::api::v1alpha1::{AccountTargetStatus, FailureStatus};
    use crate::plan::failure::Failure;

    fn status(failed: bool, targets: &[(&str, bool)]) -> SpotifyAccountStatus {
        let target = |(name, waits): &(&str, bool)| AccountTargetStatus {
            name: (*name).to_owned(),
            reason: waits.then(|| "TargetFailing".to_owned()),
            message: waits.then(|| "the last delivery failed".to_owned()),
            ..AccountTargetStatus::default()
        };
        SpotifyAccountStatus {
            failures: failed.then(FailureStatus::default),
            targets: targets.iter().map(target).collect(),
            ..SpotifyAccountStatus::default()
        }
    }

    #[test]
    fn ready_says_that_all_is_well_only_where_it_is() {
        let read = "Spotify is asked again later (see the condition Synced)";
        for (failed, targets, expected) in [
            (false, &[("one", false), ("two", false)][..], "plays are read and delivered".to_owned()),
            (true, &[("one", false)], format!("nobody has to act yet: {read}")),
            (
                false,
                &[("one", true), ("two", false), ("three", true)],
                "nobody has to act yet: plays for one, three wait and are sent again (see status.targets)".to_owned(),
            ),
            (
                true,
                &[("one", true)],
                format!(
                    "nobody has to act yet: {read}, and plays for one wait and are sent again (see status.targets)"
                ),
            ),
        ] {
            assert_eq!(ready(&status(failed, targets)), expected);
        }
        let mut too_new = status(false, &[("one", true)]);
        too_new.targets[0].reason = None;
        let expected = "plays are read: plays for one wait and are sent again (see status.targets)";
        assert_eq!(ready(&too_new), expected);
    }

    #[test]
    fn synced_says_what_failed_and_when_it_is_tried_again() {
        let problem = Problem::of(Failure::ApiTrouble, "HTTP status 500".to_owned());
        let mut status = status(true, &[]);
        assert_eq!(synced(&status, &problem), "plays are read on schedule; HTTP status 500; tried again by itself");
        let next: Timestamp = "2026-11-23T10:01:00Z".parse().unwrap();
        status.failures.as_mut().unwrap().next_attempt_time = Some(whole_seconds(next));
        assert_eq!(
            synced(&status, &problem),
            "nobody has to act yet: HTTP status 500; tried again at 2026-11-23T10:01:00Z"
        );
    }
}
