//! Reading the token Secret and the state Secret of an account.

use super::context::Context;
use super::live::LiveToken;
use super::secret_access;
use crate::adapters::kube::ClusterError;
use crate::api::secret::{STATE_SECRET_PREFIX, SecretUse};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::domain::state_secret::StateSecret;
use crate::domain::token_secret::TokenSecret;
use crate::plan::lineage;
use crate::plan::step::SecretTrouble;

/// The state Secret's name.
pub(super) fn state_secret_name(namespace: &str, uid: &str) -> ObjectName {
    ObjectName::new(namespace, format!("{STATE_SECRET_PREFIX}{uid}"))
}

/// Reads the token that is in use.
pub(super) async fn load(account: &SpotifyAccount, namespace: &str, ctx: &Context) -> Result<LiveToken, SecretTrouble> {
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let name = ObjectName::new(namespace, &account.spec.token_secret_ref.name);
    let (secret, state) =
        tokio::join!(secret_access::read(&ctx.cluster, &name, SecretUse::Token), load_state(namespace, uid, ctx));
    let (secret, state) = (secret?, state?);
    if secret.immutable {
        return Err(SecretTrouble::Immutable { secret: name });
    }
    let content = TokenSecret::read(&secret.data, uid)
        .map_err(|problem| SecretTrouble::Content { secret: name.clone(), problem })?;
    let in_use = lineage::in_use(content, state.as_ref().map(|(state, _)| state), account, &ctx.traces.of(&name));
    if !ctx.exchanges.is_in_flight(&name) {
        ctx.traces.seen(&name, &in_use, &ctx.holder);
    }
    Ok(LiveToken { in_use, secret, state })
}

/// Reads the state Secret with its version, if there is one and it is ours.
pub(super) async fn load_state(
    namespace: &str,
    uid: &str,
    ctx: &Context,
) -> Result<Option<(StateSecret, String)>, SecretTrouble> {
    let name = state_secret_name(namespace, uid);
    match ctx.cluster.secret(&name).await {
        Ok(None) => Ok(None),
        Ok(Some(content)) if !content.owner_uids.iter().any(|owner| owner == uid) => {
            Err(SecretTrouble::NotOurs { secret: name })
        }
        Ok(Some(content)) => match StateSecret::read(&content.data, uid) {
            Some(state) => Ok(Some((state, content.resource_version.clone()))),
            None => Err(SecretTrouble::NotOurs { secret: name }),
        },
        Err(ClusterError::Forbidden { .. }) => Err(SecretTrouble::ReadForbidden { secret: name }),
        Err(_) => Err(SecretTrouble::Cluster),
    }
}
