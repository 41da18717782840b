//! What is worth an Event: change, failure and recovery, and nothing else.

use crate::api::RETRY_QUARANTINED_AT;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{SpotifyAccountStatus, TargetState};
use crate::plan::failure;
use crate::plan::token::known_authorization;

/// An Event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word of the closed set of reasons, or `SeatGranted`.
    pub reason: String,
    /// For people.
    pub note: String,
}

/// What changed between two statuses that people should hear of.
pub(super) fn between(before: &SpotifyAccountStatus, after: &SpotifyAccountStatus) -> Vec<Announcement> {
    let mut announcements = Vec::new();
    for kind in [ConditionType::Ready, ConditionType::Authorized] {
        let Some(now) = find_condition(&after.conditions, kind) else { continue };
        let known = find_condition(&before.conditions, kind);
        let changed = known.is_none_or(|known| known.status != now.status || known.reason != now.reason);
        let said = announcements.iter().any(|said: &Announcement| said.reason == now.reason);
        // Each warning of an authorization's end is said once, whatever else becomes of the condition.
        let told_apart = now.reason == Reason::AuthorizationExpiring.as_str();
        if changed && !said && !told_apart && now.status != "Unknown" {
            let warning = now.status == "False" && warns(&now.reason);
            announcements.push(Announcement { warning, reason: now.reason.clone(), note: now.message.clone() });
        }
    }
    announcements.extend(expiring(before, after));
    for target in &after.targets {
        let known = before.target(&target.name);
        let changed = match known {
            None => target.state != TargetState::Healthy,
            Some(known) => known.state != target.state || known.reason != target.reason,
        };
        let fails = target.state != TargetState::Healthy;
        let reason = if fails { target.reason.clone() } else { Some("Succeeded".to_owned()) };
        let Some(reason) = reason.filter(|reason| !announcements.iter().any(|said| said.reason == *reason)) else {
            continue;
        };
        if changed {
            let message = target.message.as_deref().unwrap_or("deliveries succeed again");
            let warning = fails && warns(&reason);
            announcements.push(Announcement { warning, reason, note: format!("target {}: {message}", target.name) });
        }
    }
    announcements.extend(quarantined(before, after));
    announcements.extend(too_old(before, after));
    announcements
}

/// Whether an Event with this reason warns: not what somebody wants, and no wait that somebody asked for.
fn warns(reason: &str) -> bool {
    let known = Reason::from_name(reason);
    known != Some(Reason::Suspended) && known.is_none_or(failure::warns)
}

/// Plays that wait become too old for a service soon, and that was not told before.
fn too_old(before: &SpotifyAccountStatus, after: &SpotifyAccountStatus) -> impl Iterator<Item = Announcement> {
    after.targets.iter().filter_map(|target| {
        let told = before.target(&target.name).is_some_and(|known| known.too_old_time.is_some());
        let end = target.too_old_time.as_ref().filter(|_| !told)?;
        Some(Announcement {
            warning: true,
            reason: Reason::TargetFailing.as_str().to_owned(),
            note: format!(
                "target {}: from {:.0} on the service takes the oldest of {} plays that wait no more: mend what keeps it from them",
                target.name, end.0, target.pending,
            ),
        })
    })
}

/// Targets refused plays for good: more than were set aside before, or those again that a human has asked for.
fn quarantined(before: &SpotifyAccountStatus, after: &SpotifyAccountStatus) -> impl Iterator<Item = Announcement> {
    let asked = before.last_handled_retry_at != after.last_handled_retry_at;
    after.targets.iter().filter_map(move |target| {
        let known = before.target(&target.name).filter(|known| !asked && known.target_ref == target.target_ref);
        let news = target.quarantined - known.map_or(0, |known| known.quarantined);
        let reason = target.last_quarantine_reason.as_deref().unwrap_or("the target does not say why");
        (news > 0).then(|| Announcement {
            warning: true,
            reason: Reason::TargetFailing.as_str().to_owned(),
            note: format!(
                "target {}: {news} {} will never be accepted and {} set aside: {reason}. Annotation {RETRY_QUARANTINED_AT} sends {} again",
                target.name,
                if news == 1 { "play" } else { "plays" },
                if news == 1 { "is" } else { "are" },
                if news == 1 { "it" } else { "them" },
            ),
        })
    })
}

/// Something puts a token back that has been replaced since: nothing has to be done about it, and it is said once.
pub(super) fn put_back(
    before: &SpotifyAccountStatus,
    after: &SpotifyAccountStatus,
    secret: &str,
) -> Option<Announcement> {
    let known = |status: &SpotifyAccountStatus| {
        status.authorization.as_ref().is_some_and(|authorization| authorization.put_back_time.is_some())
    };
    (known(after) && !known(before)).then(|| Announcement {
        warning: true,
        reason: Reason::SecretInvalid.as_str().to_owned(),
        note: format!(
            "a refresh token that has been replaced since was put back into Secret {secret}: the newest one stays in use. Leave refresh-token out of what is applied again and again"
        ),
    })
}

/// A read may have missed plays: each gap is said once, although the condition says one after another.
pub(super) fn gap(before: &SpotifyAccountStatus, after: &SpotifyAccountStatus) -> Option<Announcement> {
    let found = |status: &SpotifyAccountStatus| status.sync.as_ref().map_or(0, |sync| sync.gaps_total);
    let told = find_condition(&after.conditions, ConditionType::Synced);
    let told = told.filter(|told| told.reason == Reason::GapDetected.as_str() && found(after) > found(before))?;
    Some(Announcement { warning: true, reason: told.reason.clone(), note: told.message.clone() })
}

/// A warning of the authorization's end was not given before.
fn expiring(before: &SpotifyAccountStatus, after: &SpotifyAccountStatus) -> Option<Announcement> {
    let warned = |status: &SpotifyAccountStatus| {
        let said = status.authorization.as_ref()?.last_warning_days?;
        Some((known_authorization(status).unwrap_or_default().to_owned(), said))
    };
    let new = warned(after).filter(|new| warned(before).as_ref() != Some(new));
    let said = find_condition(&after.conditions, ConditionType::Authorized).filter(|_| new.is_some())?;
    Some(Announcement { warning: true, reason: said.reason.clone(), note: said.message.clone() })
}

/// Somebody asks for a read of a suspended account.
pub(super) fn refused_while_suspended() -> Announcement {
    Announcement {
        warning: true,
        reason: "Suspended".to_owned(),
        note: "reconcile-requested-at is refused while the account is suspended: set spec.suspend to false".to_owned(),
    }
}
