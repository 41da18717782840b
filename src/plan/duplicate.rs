//! Two accounts of one listener: the older one serves a target that both name with the same credentials.

use super::reference::seniority;
use crate::api::v1alpha1::{AccountTarget, SpotifyAccount, TargetState};

/// The Spotify user that an account's status tells.
pub fn listener(account: &SpotifyAccount) -> Option<&str> {
    account.status.as_ref()?.authorization.as_ref()?.spotify_account_id.as_deref()
}

/// Whether another account is older and of the same Spotify user, `user`, as far as it has been told.
pub fn is_older_twin(other: &SpotifyAccount, account: &SpotifyAccount, user: &str) -> bool {
    other.metadata.uid != account.metadata.uid
        && other.metadata.deletion_timestamp.is_none()
        && listener(other) == Some(user)
        && seniority(other) < seniority(account)
}

/// Whether the status of an account tells that an entry is left to an older account.
pub fn is_idle(account: &SpotifyAccount, entry: &str) -> bool {
    let known = account.status.as_ref().and_then(|status| status.target(entry));
    known.is_some_and(|known| known.state == TargetState::Idle)
}

/// Whether another account delivers to what an entry refers to, with the same credentials: the same key of the same
/// Secret, or the same value where this process holds both (`holds_same`). A webhook has no credentials.
pub fn serves(
    other: &SpotifyAccount,
    entry: &AccountTarget,
    namespace: &str,
    holds_same: &dyn Fn(&AccountTarget) -> bool,
) -> bool {
    let their_namespace = other.metadata.namespace.as_deref().unwrap_or_default();
    other.spec.targets.iter().any(|theirs| {
        let same_target = theirs.target_ref.name == entry.target_ref.name
            && theirs.target_ref.namespace_or(their_namespace) == entry.target_ref.namespace_or(namespace);
        let same_credentials = match (&theirs.credentials_ref, &entry.credentials_ref) {
            (None, None) => true,
            (Some(one), Some(two)) => (their_namespace == namespace && one == two) || holds_same(theirs),
            _ => false,
        };
        same_target && same_credentials
    })
}
