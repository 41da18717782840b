//! Whether the token can be used, and what to do if not.

use jiff::Timestamp;

use super::client;
use super::observed::{Lookup, Observed, TokenView};
use super::refresh;
use super::step::{Progress, RefreshOutcome, Step};
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::answer::ApiAnswer;
use crate::domain::token::Flow;

/// What has to be done before Spotify can be read: some steps, or none because it failed; `None` when the token can be
/// used.
pub(super) fn steps(
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Option<Vec<Step>> {
    let refreshed = match &progress.refresh {
        None => false,
        Some(RefreshOutcome::Refreshed { .. }) => true,
        Some(_) => return Some(Vec::new()),
    };
    let Some(token) = progress.token_view(observed.token.as_ref()) else {
        return Some(if progress.token.is_some() { Vec::new() } else { vec![Step::LoadToken] });
    };
    if contradicting_flow(observed, progress).is_some() {
        // The Secret may have been corrected since this process read it.
        return Some(if progress.token.is_none() { vec![Step::LoadToken] } else { Vec::new() });
    }
    // The app's credentials are refused: nothing is sent for it but a probe, which is an exchange.
    let closed_until = client::closed_until(observed);
    if closed_until.is_some_and(|until| until > now) {
        return Some(Vec::new());
    }
    if !refreshed && (closed_until.is_some() || !is_fresh_at(now, token.usable_until(), observed)) {
        let is_put_off = |status| refresh::is_put_off(status, token.usable_until(), now);
        match &progress.token {
            // A restart, or another process, may have left a newer token in the Secret than this process holds.
            None => return Some(vec![Step::LoadToken]),
            Some(_) if closed_until.is_none() && account.status.as_ref().is_some_and(is_put_off) => {}
            Some(_) => return Some(vec![Step::Refresh { forced: token.refused }]),
        }
    }
    if is_identified(account, token) {
        return None;
    }
    match &progress.listener {
        None => Some(vec![Step::Identify]),
        Some(ApiAnswer::Unauthorized) if !progress.forced => Some(vec![Step::Refresh { forced: true }]),
        Some(ApiAnswer::Found(listener)) if is_expected(account, &listener.account_id) => None,
        Some(_) => Some(Vec::new()),
    }
}

/// Whether an access token that can be used until then has more than the buffer left at a time.
pub(super) fn is_fresh_at(time: Timestamp, usable_until: Option<Timestamp>, observed: &Observed) -> bool {
    usable_until.is_some_and(|end| end.duration_since(time) > observed.settings.refresh_buffer)
}

/// Before an authorization's id: Spotify has not told yet whom it belongs to, or that it is somebody else.
pub(in crate::plan) const UNVERIFIED: &str = "unverified:";

/// The authorization that the status speaks of, whether or not Spotify has told whom it belongs to.
pub(in crate::plan) fn known_authorization(status: &SpotifyAccountStatus) -> Option<&str> {
    let id = status.authorization.as_ref()?.authorization_id.as_deref()?;
    Some(id.trim_start_matches(UNVERIFIED))
}

/// Whether a token is of the authorization that the status speaks of.
pub(in crate::plan) fn is_known(status: &SpotifyAccountStatus, token: &TokenView) -> bool {
    known_authorization(status) == Some(token.authorization_id.as_str())
}

/// Whether Spotify has told whom this authorization belongs to.
fn is_identified(account: &SpotifyAccount, token: &TokenView) -> bool {
    let known = account.status.as_ref().and_then(|status| status.authorization.as_ref());
    known.is_some_and(|known| {
        known.authorization_id.as_ref() == Some(&token.authorization_id) && known.spotify_account_id.is_some()
    })
}

/// The flow that the Secret names, if the app cannot have obtained a token that way.
pub(super) fn contradicting_flow(observed: &Observed, progress: &Progress) -> Option<Flow> {
    let Lookup::Found(app) = &observed.app else { return None };
    let flow = progress.token_view(observed.token.as_ref())?.flow?;
    let fitting = if app.spec.client_secret_ref.is_some() { Flow::Confidential } else { Flow::Pkce };
    (flow != fitting).then_some(flow)
}

/// Whether this is the listener whose plays the account has carried so far, or the first one.
pub(super) fn is_expected(account: &SpotifyAccount, account_id: &str) -> bool {
    let known = account.status.as_ref().and_then(|status| status.authorization.as_ref());
    known.and_then(|known| known.spotify_account_id.as_deref()).is_none_or(|known| known == account_id)
}

fn authorized_reason(status: &SpotifyAccountStatus) -> Option<Reason> {
    let authorized = find_condition(&status.conditions, ConditionType::Authorized)?;
    (authorized.status == "False").then(|| Reason::from_name(&authorized.reason))?
}

/// Whether the token is the one that Spotify refused, so that asking again is for the next probe alone.
pub(super) fn still_refused(account: &SpotifyAccount, progress: &Progress) -> bool {
    let token = match &progress.token {
        Some(Ok(token)) => token,
        Some(Err(_)) => return true,
        None => return false,
    };
    let Some(status) = &account.status else { return false };
    let refused_token = status.authorization.as_ref().and_then(|known| known.refused_token_id.as_ref());
    let refused = match authorized_reason(status) {
        // Another token of the same authorization may work: somebody who was cut off may have stored it after all.
        Some(Reason::AuthorizationRevoked | Reason::AuthorizationExpired | Reason::RefreshInterrupted) => {
            refused_token == Some(&token.token_id)
        }
        Some(Reason::ListenerMismatch | Reason::ScopeInsufficient | Reason::ConfigurationInvalid) => {
            is_known(status, token)
        }
        _ => false,
    };
    // What was decided without asking Spotify has no next attempt: a change of any key may have mended it.
    let probed = status.failures.as_ref().is_some_and(|failures| failures.next_attempt_time.is_some());
    refused && probed
}
