//! `status.authorization` and `status.token`.

use jiff::{SignedDuration, Timestamp};

use crate::api::condition::{ConditionType, find_condition, whole_seconds};
use crate::api::v1alpha1::{AuthorizationFlow, AuthorizationStatus, SpotifyAccountStatus, TokenStatus};
use crate::domain::answer::{ApiAnswer, Refusal};
use crate::domain::token::Flow;
use crate::plan::observed::{Observed, TokenView};
use crate::plan::step::{Progress, RefreshOutcome};

/// The earliest reading of "six months" (Spotify, "Refresh token expiration", June 2026).
const AUTHORIZATION_LIFE: SignedDuration = SignedDuration::from_hours(24 * 180);
/// Before an id: the token works, and Spotify has not been asked whose it is.
const UNVERIFIED: &str = "unverified:";

pub(super) fn settle(status: &mut SpotifyAccountStatus, observed: &Observed, progress: &Progress, now: Timestamp) {
    let Some(token) = progress.token_view(observed.token.as_ref()) else { return };
    settle_token(status, observed, progress, token);
    let identified = match &progress.listener {
        Some(ApiAnswer::Found(listener)) => Some(listener.account_id.clone()),
        _ => None,
    };
    let refused = matches!(
        progress.refresh,
        Some(RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { .. }, .. })
    );
    let known = status.authorization.as_ref().and_then(|authorization| authorization.authorization_id.as_deref());
    let same = known.is_some_and(|known| known.trim_start_matches(UNVERIFIED) == token.authorization_id);
    if identified.is_none() && !refused {
        if same && super::refreshed(progress) && was_refused(status) {
            let authorization = status.authorization.get_or_insert_default();
            authorization.authorization_id = Some(format!("{UNVERIFIED}{}", token.authorization_id));
        }
        return;
    }
    let mut authorization = status.authorization.clone().unwrap_or_default();
    describe(&mut authorization, token, same, now);
    authorization.authorization_id = Some(token.authorization_id.clone());
    if authorization.spotify_account_id.is_none() {
        authorization.spotify_account_id = identified;
    }
    status.authorization = Some(authorization);
}

fn was_refused(status: &SpotifyAccountStatus) -> bool {
    find_condition(&status.conditions, ConditionType::Authorized).is_some_and(|authorized| authorized.status == "False")
}

fn describe(authorization: &mut AuthorizationStatus, token: &TokenView, same: bool, now: Timestamp) {
    let authorized = match (token.authorized_at, &authorization.authorized_time) {
        (Some(time), _) => time,
        (None, Some(known)) if same => known.0,
        (None, _) => now,
    };
    let expiry = authorized.saturating_add(AUTHORIZATION_LIFE).unwrap_or(Timestamp::MAX);
    let day = expiry.strftime("%Y-%m-%d");
    authorization.estimated = token.authorized_at.is_none();
    authorization.reauthorize_by =
        Some(if authorization.estimated { format!("at the latest {day}") } else { day.to_string() });
    authorization.authorized_time = Some(whole_seconds(authorized));
    authorization.expiry_time = Some(whole_seconds(expiry));
    authorization.flow = token.flow.map(|flow| match flow {
        Flow::Confidential => AuthorizationFlow::Confidential,
        Flow::Pkce => AuthorizationFlow::Pkce,
    });
    authorization.scopes.clone_from(&token.scopes);
}

fn settle_token(status: &mut SpotifyAccountStatus, observed: &Observed, progress: &Progress, token: &TokenView) {
    let Some(RefreshOutcome::Refreshed { time, rotated, .. }) = &progress.refresh else { return };
    let known = status.token.clone().unwrap_or_default();
    let next = token.expires_at.map(|end| end.saturating_sub(observed.settings.refresh_buffer).unwrap_or(end).max(*time));
    status.token = Some(TokenStatus {
        expiry_time: token.expires_at.map(whole_seconds),
        last_refresh_time: Some(whole_seconds(*time)),
        next_refresh_time: next.map(whole_seconds),
        last_rotation_time: if *rotated { Some(whole_seconds(*time)) } else { known.last_rotation_time },
    });
}
