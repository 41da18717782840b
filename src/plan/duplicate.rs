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
/// Secret, or what its service was asked about has the same id. A webhook has no credentials.
pub fn serves(
    other: &SpotifyAccount,
    account: &SpotifyAccount,
    entry: &AccountTarget,
    namespace: &str,
    credentials_id: Option<&str>,
) -> bool {
    let their_namespace = other.metadata.namespace.as_deref().unwrap_or_default();
    let known = |account: &SpotifyAccount, name: &str| account.status.as_ref()?.target(name)?.credentials_id.clone();
    let own = credentials_id.map(str::to_owned).or_else(|| known(account, &entry.name));
    other.spec.targets.iter().any(|theirs| {
        let same_target = theirs.target_ref.name == entry.target_ref.name
            && theirs.target_ref.namespace_or(their_namespace) == entry.target_ref.namespace_or(namespace);
        let same_reference = their_namespace == namespace && theirs.credentials_ref == entry.credentials_ref;
        let none = theirs.credentials_ref.is_none() && entry.credentials_ref.is_none();
        let same_value = own.is_some() && own == known(other, &theirs.name);
        same_target && (none || (entry.credentials_ref.is_some() && same_reference) || same_value)
    })
}
