//! The end of an authorization: when it comes, and when the listener is warned of it.

use jiff::{SignedDuration, Timestamp};

use crate::api::condition::{ConditionType, is_condition_true};
use crate::api::v1alpha1::{AuthorizationStatus, SpotifyAccountStatus};
use crate::plan::observed::TokenView;
use crate::plan::token::is_known;

/// The listener is warned so many days before the end, each time once.
const WARNINGS: [i32; 3] = [30, 7, 1];

fn days(number: i32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(number))
}

fn time_of_warning(expiry: Timestamp, number: i32) -> Timestamp {
    expiry.saturating_sub(days(number)).unwrap_or(Timestamp::MIN)
}

/// The newest warning whose time has come, in days before the end.
fn due_warning(expiry: Timestamp, now: Timestamp) -> Option<i32> {
    WARNINGS.into_iter().filter(|number| time_of_warning(expiry, *number) <= now).min()
}

/// Another end became known for the same authorization: only what is still true counts as said.
pub(super) fn moved(authorization: &mut AuthorizationStatus, now: Timestamp) {
    let due = authorization.expiry_time.as_ref().and_then(|expiry| due_warning(expiry.0, now));
    let said = authorization.last_warning_days;
    authorization.last_warning_days = said.zip(due).map(|(said, due)| said.max(due));
}

/// Notes the newest warning whose time has come as given. One that was given stays given, also where the next operator's
/// clock is behind this one's.
pub(super) fn warn(authorization: &mut AuthorizationStatus, now: Timestamp) {
    let due = authorization.expiry_time.as_ref().and_then(|expiry| due_warning(expiry.0, now));
    authorization.last_warning_days = authorization.last_warning_days.into_iter().chain(due).min();
}

/// What is said once a warning was given; nothing before. It changes with each warning and at the end, not every day.
pub(super) fn message(authorization: &AuthorizationStatus, connect: &str, now: Timestamp) -> Option<String> {
    let (number, expiry) = (authorization.last_warning_days?, authorization.expiry_time.as_ref()?.0);
    let day = expiry.strftime("%Y-%m-%d");
    let when = if authorization.estimated {
        format!("at the latest {day} (an estimate: the token Secret has no authorized-at)")
    } else {
        format!("on {day} at the earliest")
    };
    Some(if now < expiry {
        let left = if number == 1 { "one day".to_owned() } else { format!("{number} days") };
        format!(
            "Spotify's six months for this authorization are over {when}, in less than {left}: the listener should authorize the app again before. {connect}"
        )
    } else {
        format!(
            "Spotify's six months for this authorization were over {when}; a token may outlive them and this one still works, but it can end at any time: the listener must authorize the app again. {connect}"
        )
    })
}

/// Whether the listener is to be warned, unless the Secret tells of another authorization by now.
pub(in crate::plan) fn is_warning_due(status: &SpotifyAccountStatus, held: Option<&TokenView>, now: Timestamp) -> bool {
    let Some(authorization) = &status.authorization else { return false };
    let due = authorization.expiry_time.as_ref().and_then(|expiry| due_warning(expiry.0, now));
    is_condition_true(&status.conditions, ConditionType::Authorized)
        && held.is_none_or(|token| is_known(status, token))
        && due.is_some_and(|due| authorization.last_warning_days.is_none_or(|said| due < said))
}

/// When there is next something to say; none where nobody has to be warned any more, or cannot be.
pub(super) fn next_warning(status: &SpotifyAccountStatus, now: Timestamp) -> Option<Timestamp> {
    let expiry = status.authorization.as_ref()?.expiry_time.as_ref()?.0;
    if !is_condition_true(&status.conditions, ConditionType::Authorized) {
        return None;
    }
    let times = WARNINGS.into_iter().map(|number| time_of_warning(expiry, number));
    times.chain([expiry]).filter(|time| *time > now).min()
}
