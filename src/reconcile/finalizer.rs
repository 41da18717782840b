//! The finalizer stands while a state Secret exists: the newest token is handed back before an account goes.

use super::context::Context;
use crate::adapters::kube::ClusterError;
use crate::api::TOKEN_HANDBACK_FINALIZER;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;

/// How often it is tried against newer versions of the account.
const TRIES: usize = 5;

/// Sets the finalizer where it is missing. One that could not be set now is set by the next commit.
///
/// Answers the account as written, if it was at the version that the caller knows.
pub(super) async fn ensure(ctx: &Context, account: &SpotifyAccount, namespace: &str) -> Option<SpotifyAccount> {
    if stands(account) || account.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let name = ObjectName::new(namespace, account.metadata.name.clone().unwrap_or_default());
    match set(ctx, account, &name).await {
        Err(ClusterError::Conflict { .. }) => {}
        Err(error) => {
            let (reason, error) = (error.reason(), &error as &dyn std::error::Error);
            tracing::warn!(reason, error, "the finalizer is not set yet");
            return None;
        }
        Ok(written) => return Some(written),
    }
    for _ in 0..TRIES {
        let Ok(Some(current)) = ctx.cluster.read_again::<SpotifyAccount>(&name).await else { break };
        let gone = current.metadata.uid != account.metadata.uid || current.metadata.deletion_timestamp.is_some();
        if gone || stands(&current) {
            return None;
        }
        match set(ctx, &current, &name).await {
            Ok(_) => return None,
            Err(ClusterError::Conflict { .. }) => {}
            Err(_) => break,
        }
    }
    tracing::warn!(reason = "Conflict", "the finalizer is not set yet");
    None
}

async fn set(ctx: &Context, account: &SpotifyAccount, name: &ObjectName) -> Result<SpotifyAccount, ClusterError> {
    let mut finalizers = account.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(TOKEN_HANDBACK_FINALIZER.to_owned());
    let version = account.metadata.resource_version.clone().unwrap_or_default();
    ctx.cluster.set_finalizers::<SpotifyAccount>(name, &version, &finalizers).await
}

fn stands(account: &SpotifyAccount) -> bool {
    let finalizers = account.metadata.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|finalizer| finalizer == TOKEN_HANDBACK_FINALIZER)
}
