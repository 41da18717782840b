//! The commit: new tokens are stored before anybody uses them, however long that takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;

use super::context::Context;
use super::exchange::{Exchange, Exchanged};
use super::failpoint;
use super::live::LiveToken;
use super::token::{load_state, state_secret_name};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::secrets::{DataChange, SecretContent};
use crate::api::TOKEN_HANDBACK_FINALIZER;
use crate::api::secret::{SecretUse, USE_LABEL};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::digest::TokenDigest;
use crate::domain::name::ObjectName;
use crate::domain::state_secret::StateSecret;
use crate::domain::token::{Access, Grant, RefreshToken};
use crate::domain::token_secret::{LineageMark, key};
use crate::plan::lineage::{TokenInUse, after_refresh, scopes};
use crate::plan::observed::TokenView;
use crate::plan::step::{RefreshOutcome, SecretTrouble};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// New tokens to store.
pub(super) struct Commit {
    pub(super) exchange: Exchange,
    /// The token Secret as the claim left it.
    pub(super) claimed: SecretContent,
    pub(super) grant: Grant,
    /// When the answer was complete.
    pub(super) answered: Instant,
}

/// Stores new tokens: a rotated one first in the state Secret, then in the token Secret. Tries as long as the process
/// lives; only another token in the Secret ends it otherwise.
pub(super) async fn commit(ctx: &Arc<Context>, commit: Commit) -> Exchanged {
    let uid = commit.exchange.uid().to_owned();
    let before = &commit.exchange.token;
    let rotated = commit.grant.refresh_token.clone().filter(|token| *token != before.in_use.refresh_token);
    let time = ctx.clock.now();
    let mark = after_refresh(&before.in_use.mark, rotated.as_ref(), &uid);
    let newest = rotated.clone().unwrap_or_else(|| before.in_use.refresh_token.clone());
    let state = match &rotated {
        None => before.state.clone(),
        Some(token) => Some(store_state(ctx, &commit, token, &mark).await),
    };
    failpoint::reached("state-stored");
    let expires_at = time.saturating_add(commit.grant.expires_in).unwrap_or(time);
    let access = Access { token: commit.grant.access_token.clone(), expires_at };
    let stored = store_token(ctx, &commit, &newest, &access, &mark, state.as_ref().map(|(state, _)| state)).await;
    failpoint::reached("committed");
    let secret = match stored {
        Ok(secret) => secret,
        Err(outcome) => return outcome.into(),
    };
    let view = TokenView {
        expires_at: Some(expires_at),
        authorization_id: mark.authorization.clone(),
        scopes: commit
            .grant
            .scope
            .as_deref()
            .map_or_else(|| before.in_use.view.scopes.clone(), |scope| scopes(Some(scope))),
        interrupted: None,
        ..before.in_use.view.clone()
    };
    let in_use = TokenInUse { refresh_token: newest, access: Some(access), view: view.clone(), mark, put_back: false };
    let outcome = RefreshOutcome::Refreshed { token: view, time, rotated: rotated.is_some() };
    tracing::info!(
        rotated = rotated.is_some(),
        milliseconds = commit.answered.elapsed().as_secs_f64() * 1000.0,
        "tokens stored"
    );
    Exchanged { outcome, token: Some(LiveToken { in_use, secret, state }) }
}

/// Waits that grow, for a commit that never gives up.
struct Backoff(Duration);

impl Backoff {
    async fn wait(&mut self, what: &str, error: &ClusterError) {
        tracing::warn!(error = error as &dyn std::error::Error, "new tokens are not stored yet ({what}); trying again");
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_WAIT);
    }
}

/// Stores a rotated token in the state Secret, and sees to the finalizer that goes with it.
async fn store_state(
    ctx: &Arc<Context>,
    commit: &Commit,
    token: &RefreshToken,
    mark: &LineageMark,
) -> (StateSecret, String) {
    let exchange = &commit.exchange;
    let name = state_secret_name(&exchange.namespace, exchange.uid());
    let mut known = exchange.token.state.clone();
    let mut backoff = Backoff(FIRST_WAIT);
    loop {
        let mut state = known.as_ref().map_or_else(
            || StateSecret { refresh_token: token.clone(), mark: mark.clone(), replaced: Vec::new() },
            |(state, _)| StateSecret {
                refresh_token: token.clone(),
                mark: mark.clone(),
                replaced: state.replaced.clone(),
            },
        );
        state.replace(TokenDigest::of(exchange.uid(), &exchange.token.in_use.refresh_token));
        let written = match &known {
            Some((_, version)) => {
                let change: DataChange = state.data().into_iter().map(|(key, value)| (key, Some(value))).collect();
                ctx.cluster.change_secret(&name, version, &change).await
            }
            None => create_state(ctx, &exchange.account, &name, &state).await,
        };
        match written {
            Ok(content) => {
                if known.is_none() {
                    add_finalizer(ctx, &exchange.account, &exchange.namespace).await;
                }
                return (state, content.resource_version);
            }
            Err(error) => {
                backoff.wait("state Secret", &error).await;
                if let Ok(found) = load_state(&exchange.namespace, exchange.uid(), ctx).await {
                    known = found;
                }
            }
        }
    }
}

async fn create_state(
    ctx: &Context,
    account: &SpotifyAccount,
    name: &ObjectName,
    state: &StateSecret,
) -> Result<SecretContent, ClusterError> {
    let data = state.data().into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect();
    let labels = BTreeMap::from([(USE_LABEL.to_owned(), SecretUse::State.as_str().to_owned())]);
    ctx.cluster.create_owned_secret(name, owner(account), labels, data).await
}

/// The account as owner of a Secret that goes with it.
fn owner(account: &SpotifyAccount) -> OwnerReference {
    account.controller_owner_ref(&()).unwrap_or_default()
}

/// The finalizer stands while a state Secret exists. One that could not be set now is set by the next rotation.
async fn add_finalizer(ctx: &Context, account: &SpotifyAccount, namespace: &str) {
    let name = ObjectName::new(namespace, account.metadata.name.clone().unwrap_or_default());
    for _ in 0..5 {
        let Ok(Some(current)) = ctx.cluster.read_again::<SpotifyAccount>(&name).await else { return };
        let mut finalizers = current.metadata.finalizers.clone().unwrap_or_default();
        if finalizers.iter().any(|finalizer| finalizer == TOKEN_HANDBACK_FINALIZER) {
            return;
        }
        finalizers.push(TOKEN_HANDBACK_FINALIZER.to_owned());
        let version = current.metadata.resource_version.clone().unwrap_or_default();
        match ctx.cluster.set_finalizers::<SpotifyAccount>(&name, &version, &finalizers).await {
            Err(ClusterError::Conflict { .. }) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the finalizer is not set yet");
                return;
            }
            Ok(_) => return,
        }
    }
}

/// Stores the tokens in the token Secret.
async fn store_token(
    ctx: &Context,
    commit: &Commit,
    newest: &RefreshToken,
    access: &Access,
    mark: &LineageMark,
    state: Option<&StateSecret>,
) -> Result<SecretContent, RefreshOutcome> {
    let exchange = &commit.exchange;
    let name = exchange.secret_name();
    let started_from = TokenDigest::of(exchange.uid(), &exchange.token.in_use.refresh_token);
    let mut secret = commit.claimed.clone();
    let mut backoff = Backoff(FIRST_WAIT);
    loop {
        let change = change(commit, newest, access, mark, &secret);
        match ctx.cluster.change_secret(&name, &secret.resource_version, &change).await {
            Ok(content) => return Ok(content),
            Err(error @ (ClusterError::NotFound { .. } | ClusterError::Conflict { .. })) => {
                backoff.wait("token Secret", &error).await;
            }
            Err(error) => backoff.wait("token Secret", &error).await,
        }
        match ctx.cluster.secret(&name).await {
            Ok(Some(found)) if holds(&found, exchange.uid(), &started_from, state) => secret = found,
            Ok(Some(_)) => {
                tracing::warn!(
                    "the token Secret holds another token by now: the new tokens of this exchange are dropped"
                );
                return Err(RefreshOutcome::Superseded);
            }
            Ok(None) => return Err(RefreshOutcome::TokenSecret(SecretTrouble::NotFound { secret: name })),
            Err(error) => backoff.wait("token Secret", &error).await,
        }
    }
}

/// Whether a Secret still holds the token that the exchange started from, or one that this lineage has replaced.
fn holds(secret: &SecretContent, uid: &str, started_from: &TokenDigest, state: Option<&StateSecret>) -> bool {
    let Some(value) = secret.data.get(key::REFRESH_TOKEN).and_then(|value| std::str::from_utf8(&value.0).ok()) else {
        return false;
    };
    let digest = TokenDigest::of(uid, &RefreshToken::new(value.to_owned()));
    digest == *started_from
        || state.is_some_and(|state| state.replaced.contains(&digest) || state.mark.token == digest.as_str())
}

fn change(
    commit: &Commit,
    newest: &RefreshToken,
    access: &Access,
    mark: &LineageMark,
    secret: &SecretContent,
) -> DataChange {
    let text = |text: &str| Some(text.as_bytes().to_vec());
    let authorized_at = secret.data.get(key::AUTHORIZED_AT).and_then(|value| String::from_utf8(value.0.clone()).ok());
    let mark = LineageMark { authorized_at: authorized_at.map(|text| text.trim().to_owned()), ..mark.clone() };
    let mut change = BTreeMap::from([
        (key::ACCESS_TOKEN, text(access.token.expose())),
        (key::EXPIRES_AT, text(&format!("{:.0}", access.expires_at))),
        (key::LINEAGE, serde_json::to_vec(&mark).ok()),
        (key::CLAIM, None),
    ]);
    let stored = secret.data.get(key::REFRESH_TOKEN).map(|value| value.0.as_slice());
    if stored != Some(newest.expose().as_bytes()) {
        change.insert(key::REFRESH_TOKEN, text(newest.expose()));
    }
    if let Some(scope) = commit.grant.scope.as_deref().filter(|scope| !scope.is_empty()) {
        change.insert(key::SCOPE, text(scope));
    }
    change
}
