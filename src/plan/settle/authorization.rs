//! `status.authorization` and `status.token`.

use jiff::{SignedDuration, Timestamp};

use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{AuthorizationFlow, AuthorizationStatus, SpotifyAccountStatus, TokenStatus};
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal};
use crate::domain::token::Flow;
use crate::plan::observed::{Observed, TokenView};
use crate::plan::step::{Progress, RefreshOutcome};
use crate::plan::token::{UNVERIFIED, is_known, known_authorization};

use super::expiry;

/// The earliest reading of "six months" (Spotify, "Refresh token expiration", June 2026).
pub(in crate::plan) const AUTHORIZATION_LIFE: SignedDuration = SignedDuration::from_hours(24 * 180);

pub(super) fn settle(status: &mut SpotifyAccountStatus, observed: &Observed, progress: &Progress, now: Timestamp) {
    let Some(token) = progress.token_view(observed.token.as_ref()) else { return };
    settle_token(status, progress, token);
    remember_refused(status, progress);
    let identified = match &progress.listener {
        Some(ApiAnswer::Found(listener)) => Some(listener.account_id.clone()),
        _ => None,
    };
    let mut authorization = status.authorization.clone().unwrap_or_default();
    let known = authorization.authorization_id.as_deref();
    let same = is_known(status, token);
    let verified = same && !known.is_some_and(|known| known.starts_with(UNVERIFIED));
    // Somebody else's token, perhaps: what is known of the one before stays until it is known whose this is. The first
    // one counts from its first sight; one that takes the place of another is shown from its first exchange on, for what
    // was known is no longer about it.
    let is_taken_up = known.is_none() || matches!(progress.refresh, Some(RefreshOutcome::Refreshed { .. }));
    if !same && identified.is_none() && !is_refused(progress) && !is_taken_up {
        return;
    }
    describe(&mut authorization, token, same, now);
    let known = authorization.spotify_account_id.clone();
    let owned = match (&identified, &known) {
        (None, _) => verified,
        (Some(id), known) => known.as_ref().is_none_or(|known| known == id),
    };
    let prefix = if owned { "" } else { UNVERIFIED };
    authorization.authorization_id = Some(format!("{prefix}{}", token.authorization_id));
    authorization.spotify_account_id = known.or(identified);
    if matches!(progress.refresh, Some(RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { .. }, .. })) {
        authorization.refused_token_id = Some(token.token_id.clone());
    }
    status.authorization = Some(authorization);
}

/// Whether a human's new token was exchanged or refused in this pass: what failed before was about another one.
pub(super) fn is_taken_up(before: &SpotifyAccountStatus, observed: &Observed, progress: &Progress) -> bool {
    let asked = matches!(progress.refresh, Some(RefreshOutcome::Refreshed { .. } | RefreshOutcome::Refused { .. }));
    let token = progress.token_view(observed.token.as_ref());
    asked && token.is_some_and(|token| known_authorization(before).is_some() && !is_known(before, token))
}

/// Whether Spotify said no to this token, so that it is known although nobody knows whose it is.
fn is_refused(progress: &Progress) -> bool {
    let refusal = match &progress.refresh {
        Some(RefreshOutcome::Refused { refusal, .. }) => Some(refusal),
        _ => None,
    };
    refusal.is_some_and(|refusal| *refusal != Refusal::InvalidClient)
        || matches!(progress.listener, Some(ApiAnswer::Forbidden(Forbidden::Scope)))
}

/// A token that was taken up or that works ends what was known of a refused one.
fn remember_refused(status: &mut SpotifyAccountStatus, progress: &Progress) {
    if let (Some(known), Some(RefreshOutcome::Refreshed { .. })) = (&mut status.authorization, &progress.refresh) {
        known.refused_token_id = None;
    }
}

fn describe(authorization: &mut AuthorizationStatus, token: &TokenView, same: bool, now: Timestamp) {
    let put_back = authorization.put_back_time.take().filter(|_| same);
    authorization.put_back_time = put_back.or_else(|| token.put_back.then(|| whole_seconds(now)));
    let was_given = authorization.authorized_time.is_some() && !authorization.estimated;
    let authorized = match (token.authorized_at, &authorization.authorized_time) {
        (Some(time), _) => time,
        (None, Some(known)) if same => known.0,
        (None, _) => now,
    };
    let expiry = authorized.saturating_add(AUTHORIZATION_LIFE).unwrap_or(Timestamp::MAX);
    let known_expiry = authorization.expiry_time.replace(whole_seconds(expiry));
    let day = expiry.strftime("%Y-%m-%d");
    // A time that somebody once gave for this very authorization stays known, whatever wiped the Secret.
    authorization.estimated = token.authorized_at.is_none() && !(same && was_given);
    authorization.reauthorize_by =
        Some(if authorization.estimated { format!("at the latest {day}") } else { day.to_string() });
    authorization.authorized_time = Some(whole_seconds(authorized));
    if !same {
        authorization.last_warning_days = None;
    } else if known_expiry != authorization.expiry_time {
        expiry::moved(authorization, now);
    }
    authorization.flow = token.flow.map(|flow| match flow {
        Flow::Confidential => AuthorizationFlow::Confidential,
        Flow::Pkce => AuthorizationFlow::Pkce,
    });
    authorization.scopes.clone_from(&token.scopes);
}

fn settle_token(status: &mut SpotifyAccountStatus, progress: &Progress, token: &TokenView) {
    let Some(RefreshOutcome::Refreshed { time, rotated, .. }) = &progress.refresh else {
        return found(status, progress);
    };
    let known = status.token.clone().unwrap_or_default();
    status.token = Some(TokenStatus {
        expiry_time: token.expires_at.map(whole_seconds),
        last_refresh_time: Some(whole_seconds(*time)),
        next_refresh_time: known.next_refresh_time,
        last_rotation_time: if *rotated { Some(whole_seconds(*time)) } else { known.last_rotation_time },
    });
}

/// Another access token is in the Secret than the status tells of: a process stored it, and ended before it could say so.
fn found(status: &mut SpotifyAccountStatus, progress: &Progress) {
    let (Some(Ok(loaded)), Some(known)) = (&progress.token, &mut status.token) else { return };
    let Some(expires_at) = loaded.expires_at.map(whole_seconds) else { return };
    if let Some(before) = known.expiry_time.replace(expires_at.clone()).filter(|before| *before != expires_at) {
        let life = known.last_refresh_time.as_ref().map(|begin| before.0.duration_since(begin.0));
        known.last_refresh_time = life.and_then(|life| expires_at.0.checked_sub(life).ok()).map(whole_seconds);
    }
}
