//! Whether the token can be used, and what to do if not.

use jiff::Timestamp;

use super::observed::{Observed, TokenView};
use super::step::{Progress, RefreshOutcome, Step};
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::ApiAnswer;

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
    if !refreshed && !is_fresh(token, observed, now) {
        // A restart, or another process, may have left a newer token in the Secret than this process holds.
        let step = if progress.token.is_none() { Step::LoadToken } else { Step::Refresh { forced: false } };
        return Some(vec![step]);
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

/// Whether the access token has more than the buffer left, and no exchange of it may have been cut off.
fn is_fresh(token: &TokenView, observed: &Observed, now: Timestamp) -> bool {
    token.expires_at.is_some_and(|end| end.duration_since(now) > observed.settings.refresh_buffer)
}

/// Whether Spotify has told whom this authorization belongs to.
fn is_identified(account: &SpotifyAccount, token: &TokenView) -> bool {
    let known = account.status.as_ref().and_then(|status| status.authorization.as_ref());
    known.is_some_and(|known| {
        known.authorization_id.as_ref() == Some(&token.authorization_id) && known.spotify_account_id.is_some()
    }) && !is_mismatch(account)
}

/// Whether this is the listener whose plays the account has carried so far, or the first one.
pub(super) fn is_expected(account: &SpotifyAccount, account_id: &str) -> bool {
    let known = account.status.as_ref().and_then(|status| status.authorization.as_ref());
    known.and_then(|known| known.spotify_account_id.as_deref()).is_none_or(|known| known == account_id)
}

fn is_mismatch(account: &SpotifyAccount) -> bool {
    authorized_reason(account) == Some(Reason::ListenerMismatch)
}

fn authorized_reason(account: &SpotifyAccount) -> Option<Reason> {
    let conditions = &account.status.as_ref()?.conditions;
    let authorized = find_condition(conditions, ConditionType::Authorized)?;
    (authorized.status == "False").then(|| Reason::from_name(&authorized.reason))?
}

/// Whether the token is the one that Spotify refused, so that asking again is for the next probe alone.
pub(super) fn still_refused(account: &SpotifyAccount, progress: &Progress) -> bool {
    let token = match &progress.token {
        Some(Ok(token)) => token,
        Some(Err(_)) => return true,
        None => return false,
    };
    let refused = matches!(
        authorized_reason(account),
        Some(
            Reason::AuthorizationRevoked
                | Reason::AuthorizationExpired
                | Reason::RefreshInterrupted
                | Reason::ListenerMismatch
                | Reason::ScopeInsufficient
        )
    );
    let known = account.status.as_ref().and_then(|status| status.authorization.as_ref());
    refused && known.and_then(|known| known.authorization_id.as_ref()) == Some(&token.authorization_id)
}
