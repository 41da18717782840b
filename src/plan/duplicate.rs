//! Two accounts of one listener: the older one serves a target that both name with the same credentials.

use super::reference::seniority;
use crate::api::v1alpha1::{AccountTarget, SpotifyAccount};

/// Whether another account is older and of the same Spotify user, as far as both have been told.
pub fn is_older_twin(other: &SpotifyAccount, account: &SpotifyAccount) -> bool {
    let user = |account: &SpotifyAccount| account.status.as_ref()?.authorization.as_ref()?.spotify_account_id.clone();
    other.metadata.uid != account.metadata.uid
        && other.metadata.deletion_timestamp.is_none()
        && user(other).is_some_and(|theirs| Some(theirs) == user(account))
        && seniority(other) < seniority(account)
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
