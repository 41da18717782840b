//! What the log says of a pass: each failure in a line, also one that changes nothing that people see, and every warning
//! that tells of something else.

use super::{Announcement, Verdict};
use crate::api::condition::Reason;
use crate::api::v1alpha1::{AccountTargetStatus, SpotifyAccountStatus};

/// The lines of what a pass has come to.
pub(super) fn of(
    before: &SpotifyAccountStatus,
    after: &SpotifyAccountStatus,
    verdict: &Verdict,
    announcements: &[Announcement],
) -> Vec<Announcement> {
    let wrong = match verdict {
        // What is wrong for as long as nobody mends it failed once.
        Verdict::Wrong(problem) if before.failures != after.failures => Some(problem),
        _ => None,
    };
    let own = wrong.map(|problem| line(problem.reason.as_str(), problem.message.clone()));
    let targets = after.targets.iter().filter(|target| has_failed(before, target)).map(|target| {
        let message = target.message.as_deref().unwrap_or("it fails");
        let reason = target.reason.as_deref().unwrap_or(Reason::TargetFailing.as_str());
        line(reason, format!("target {}: {message}", target.name))
    });
    let mut lines: Vec<Announcement> = own.into_iter().chain(targets).collect();
    // What the account says of its failure is the failure again.
    let is_told = |said: &Announcement, lines: &[Announcement]| {
        let of_account = wrong.is_some_and(|problem| said.reason == problem.reason.as_str());
        let opened = wrong.is_some() && said.reason == Reason::CircuitOpen.as_str();
        of_account || opened || lines.contains(said)
    };
    for said in announcements.iter().filter(|said| said.warning) {
        if !is_told(said, &lines) {
            lines.push(said.clone());
        }
    }
    lines
}

fn line(reason: &str, note: String) -> Announcement {
    Announcement { warning: true, reason: reason.to_owned(), note }
}

/// Whether a request to a target failed in this pass.
fn has_failed(before: &SpotifyAccountStatus, target: &AccountTargetStatus) -> bool {
    let known = before.target(&target.name).filter(|known| known.target_ref == target.target_ref);
    target.consecutive_failures > known.map_or(0, |known| known.consecutive_failures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::{FailureStatus, TargetState};
    use crate::plan::failure::Failure;
    use crate::plan::problem::Problem;

    fn status(failures: i32, of_target: i32) -> SpotifyAccountStatus {
        SpotifyAccountStatus {
            failures: (failures > 0).then(|| FailureStatus { consecutive: failures, ..FailureStatus::default() }),
            targets: vec![AccountTargetStatus {
                name: "hook".to_owned(),
                state: if of_target > 0 { TargetState::Failing } else { TargetState::Healthy },
                reason: (of_target > 0).then(|| "TargetFailing".to_owned()),
                message: (of_target > 0).then(|| "HTTP status 500".to_owned()),
                consecutive_failures: of_target,
                ..AccountTargetStatus::default()
            }],
            ..SpotifyAccountStatus::default()
        }
    }

    fn said(reason: &str, note: &str) -> Announcement {
        line(reason, note.to_owned())
    }

    #[test]
    fn a_failure_is_one_line_whether_or_not_it_changes_anything() {
        let wrong = Verdict::Wrong(Problem::of(Failure::ApiTrouble, "HTTP status 503".to_owned()));
        let reason = Failure::ApiTrouble.facts().reason.as_str();
        let own = said(reason, "HTTP status 503");
        let target = said("TargetFailing", "target hook: HTTP status 500");
        let expiring = said("AuthorizationExpiring", "sign in");
        let normal = Announcement { warning: false, ..said("Succeeded", "plays are read") };
        for (before, after, verdict, announcements, expected) in [
            ((0, 0), (1, 0), &wrong, vec![], vec![own.clone()]),
            ((1, 0), (2, 0), &wrong, vec![], vec![own.clone()]),
            ((2, 0), (2, 0), &wrong, vec![], vec![]),
            ((4, 0), (5, 0), &wrong, vec![said("CircuitOpen", "too many")], vec![own.clone()]),
            ((0, 0), (1, 0), &wrong, vec![said(reason, "it is tried again")], vec![own.clone()]),
            ((0, 0), (0, 1), &Verdict::Read, vec![target.clone()], vec![target.clone()]),
            ((0, 1), (0, 2), &Verdict::Delivered, vec![], vec![target.clone()]),
            ((0, 2), (0, 2), &Verdict::Waiting, vec![], vec![]),
            ((0, 0), (1, 1), &wrong, vec![], vec![own.clone(), target.clone()]),
            ((0, 1), (0, 0), &Verdict::Read, vec![normal], vec![]),
            ((0, 0), (1, 0), &wrong, vec![expiring.clone()], vec![own, expiring.clone()]),
            ((0, 0), (0, 0), &Verdict::Read, vec![expiring.clone()], vec![expiring]),
            (
                (0, 0),
                (0, 0),
                &Verdict::Waiting,
                vec![said("UpstreamUnavailable", "for too long")],
                vec![said("UpstreamUnavailable", "for too long")],
            ),
        ] {
            let [from, to] = [before, after].map(|(failures, of_target)| status(failures, of_target));
            assert_eq!(of(&from, &to, verdict, &announcements), expected, "{before:?} {after:?}");
        }
    }
}
