//! An account goes: the newest token goes back to the token Secret before the state Secret does. Spotify is not asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kube::Resource as _;

use super::context::Context;
use super::secret_access;
use super::token::load_state;
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::events::Announcement;
use crate::api::TOKEN_HANDBACK_FINALIZER;
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::digest::TokenDigest;
use crate::domain::name::ObjectName;
use crate::domain::token::RefreshToken;
use crate::domain::token_secret::key;
use crate::plan::step::SecretTrouble;

/// After this an account goes although its newest token could not be handed back.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);

/// Hands the newest token back and lets the account go. Answers when to try again (real time); none where it is done.
pub(super) async fn hand_back(ctx: &Context, account: &Arc<SpotifyAccount>, name: &ObjectName) -> Option<Duration> {
    let finalizers = account.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == TOKEN_HANDBACK_FINALIZER) {
        return None;
    }
    let secret = ObjectName::new(&name.namespace, &account.spec.token_secret_ref.name);
    let deleted = account.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let given_up = deleted.is_some_and(|deleted| ctx.clock.real_now().duration_since(deleted) >= PATIENCE);
    if ctx.exchanges.is_in_flight(&secret) && !given_up {
        return Some(RETRY);
    }
    if !ctx.tenure.holds() {
        return Some(RETRY);
    }
    match write_back(ctx, account, name, &secret).await {
        Ok(()) => {}
        Err(trouble) if given_up => give_up(ctx, account, &trouble).await,
        Err(_) => return Some(RETRY),
    }
    let kept: Vec<String> = finalizers.into_iter().filter(|finalizer| finalizer != TOKEN_HANDBACK_FINALIZER).collect();
    let version = account.metadata.resource_version.clone().unwrap_or_default();
    if !ctx.tenure.holds() {
        return Some(RETRY);
    }
    match ctx.cluster.set_finalizers::<SpotifyAccount>(name, &version, &kept).await {
        Ok(_) | Err(ClusterError::NotFound { .. }) => None,
        Err(_) => Some(RETRY),
    }
}

async fn write_back(
    ctx: &Context,
    account: &SpotifyAccount,
    name: &ObjectName,
    secret_name: &ObjectName,
) -> Result<(), SecretTrouble> {
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let Some((state, _)) = load_state(&name.namespace, uid, ctx).await? else { return Ok(()) };
    // Only a Secret that is labelled for tokens is written to, whatever the spec names by now.
    let secret = secret_access::read(&ctx.cluster, secret_name, SecretUse::Token).await?;
    let held = secret.data.get(key::REFRESH_TOKEN).and_then(|value| String::from_utf8(value.0.clone()).ok());
    let held = held.map(|token| TokenDigest::of(uid, &RefreshToken::new(token)));
    if held.is_some_and(|held| !state.replaced.contains(&held)) {
        // The newest token is there already, or a human's own.
        return Ok(());
    }
    let change = BTreeMap::from([(key::REFRESH_TOKEN, Some(state.refresh_token.expose().as_bytes().to_vec()))]);
    match ctx.cluster.change_secret(secret_name, &secret.resource_version, &change).await {
        Ok(_) => Ok(()),
        Err(ClusterError::Forbidden { .. }) => Err(SecretTrouble::WriteForbidden { secret: secret_name.clone() }),
        Err(ClusterError::Invalid { .. }) => Err(SecretTrouble::Immutable { secret: secret_name.clone() }),
        Err(_) => Err(SecretTrouble::Cluster),
    }
}

async fn give_up(ctx: &Context, account: &SpotifyAccount, trouble: &SecretTrouble) {
    let problem = crate::plan::problem::Problem::secret("the token Secret", trouble);
    let note = format!("the newest token could not be handed back to the token Secret: {}", problem.message);
    let announcement = Announcement { warning: true, reason: problem.reason.to_string(), action: "Delete", note };
    let mut about = account.object_ref(&());
    about.resource_version = None;
    ctx.cluster.announce(&about, &announcement).await;
}
