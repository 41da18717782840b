//! The commit: new tokens are stored before anybody uses them, however long that takes. What it does about each failure
//! and conflict: `docs/tokens.md`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::exchange::{Exchange, Exchanged};
use super::live::LiveToken;
use super::store::{Store, Stored};
use super::{failpoint, finalizer, refusal};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::secrets::SecretContent;
use crate::domain::token::{Access, Grant, RefreshToken};
use crate::domain::token_secret::LineageMark;
use crate::plan::lineage::{Standing, TokenInUse, after_refresh, scopes};
use crate::plan::observed::TokenView;
use crate::plan::step::RefreshOutcome;

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

/// What is to be stored.
pub(super) struct NewTokens {
    /// The newest refresh token.
    pub(super) refresh_token: RefreshToken,
    /// Whether it is another one than before.
    pub(super) rotated: bool,
    /// Whether the state Secret needs no change.
    pub(super) recorded: bool,
    pub(super) access: Access,
    pub(super) mark: LineageMark,
}

/// Stores new tokens: a rotated one first in the state Secret, then in the token Secret. Tries as long as the process
/// lives; it ends otherwise only where the newest refresh token is in a Secret all the same, or another token is.
pub(super) async fn commit(ctx: &Arc<Context>, commit: &Commit) -> Exchanged {
    let uid = commit.exchange.uid().to_owned();
    let before = &commit.exchange.token;
    let time = ctx.clock.now();
    let rotated = commit.grant.refresh_token.clone().filter(|token| *token != before.in_use.refresh_token);
    let new = NewTokens {
        rotated: rotated.is_some(),
        mark: after_refresh(&before.in_use, rotated.as_ref(), &uid),
        recorded: rotated.is_none() && before.in_use.recorded,
        refresh_token: rotated.unwrap_or_else(|| before.in_use.refresh_token.clone()),
        access: Access {
            token: commit.grant.access_token.clone(),
            expires_at: time.saturating_add(commit.grant.expires_in).unwrap_or(time),
        },
    };
    let started = Instant::now();
    let stored = store(ctx, commit, &new).await;
    failpoint::reached("committed", &commit.exchange.account).await;
    let Stored { secret, state } = match stored {
        Ok(stored) => stored,
        Err(outcome) => {
            ctx.traces.forget(&commit.exchange.secret_name());
            return outcome.into();
        }
    };
    ctx.traces.settled(&commit.exchange.secret_name(), &new.mark.token);
    tracing::info!(
        rotated = new.rotated,
        window_milliseconds = milliseconds(started.duration_since(commit.answered)),
        milliseconds = milliseconds(commit.answered.elapsed()),
        "tokens stored"
    );
    let account = match &state {
        Some(_) => finalizer::ensure(ctx, &commit.exchange.account, &commit.exchange.namespace).await,
        None => None,
    };
    failpoint::reached("finalized", &commit.exchange.account).await;
    let known_scopes = &before.in_use.view.scopes;
    let view = TokenView {
        expires_at: Some(new.access.expires_at),
        authorization_id: new.mark.authorization.clone(),
        token_id: new.mark.token.clone(),
        scopes: commit.grant.scope.as_deref().map_or_else(|| known_scopes.clone(), |scope| scopes(Some(scope))),
        interrupted: None,
        refused: false,
        ..before.in_use.view.clone()
    };
    let outcome = RefreshOutcome::Refreshed { token: view.clone(), time, rotated: new.rotated };
    let NewTokens { refresh_token, access, mark, .. } = new;
    let recorded = state.as_ref().is_none_or(|(state, _)| state.mark.token == mark.token);
    let standing = Standing::Newest;
    let in_use = TokenInUse { refresh_token, access: Some(access), view, mark, standing, recorded, claim: None };
    Exchanged { outcome, token: Some(LiveToken { in_use, secret, state }), account }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// How one write ended.
pub(super) enum Written {
    /// It is stored.
    Done,
    /// Somebody wrote in between: to be tried at once against what is there now.
    Again,
    /// The API server does not take it now.
    NotYet(ClusterError),
    /// It will not be taken as things are.
    Refused(RefreshOutcome),
    /// Another token is there, and wins.
    Superseded,
}

async fn store(ctx: &Context, commit: &Commit, new: &NewTokens) -> Result<Stored, RefreshOutcome> {
    let mut store = Store::new(ctx, commit, new);
    let mut wait = FIRST_WAIT;
    let mut refused_since = None;
    loop {
        if !store.is_state_stored() {
            match store.put_state().await {
                Written::Done => failpoint::reached("state-stored", &commit.exchange.account).await,
                Written::Again => continue,
                Written::Superseded => return Err(superseded()),
                Written::NotYet(error) => {
                    pause(&mut wait, "the state Secret", &error).await;
                    continue;
                }
                // Better in the token Secret alone than nowhere.
                Written::Refused(_) => tracing::warn!(reason = "Forbidden", "the state Secret cannot be written"),
            }
        }
        match store.put_token().await {
            Written::Done => break,
            Written::Again => {}
            Written::Superseded => return Err(superseded()),
            Written::NotYet(error) => pause(&mut wait, "the token Secret", &error).await,
            // The newest refresh token is in the state Secret, or it is the old one: nothing is lost.
            Written::Refused(outcome) if store.is_state_stored() && is_final(&mut refused_since) => {
                return Err(outcome);
            }
            Written::Refused(_) => {
                let error = ClusterError::Forbidden { action: "write the Secret" };
                pause(&mut wait, "the token Secret", &error).await;
            }
        }
    }
    while !store.is_state_stored() && !is_final(&mut refused_since) {
        match store.put_state().await {
            Written::Done | Written::Again => {}
            Written::Superseded => break,
            Written::NotYet(error) => pause(&mut wait, "the state Secret", &error).await,
            Written::Refused(_) => tokio::time::sleep(FIRST_WAIT).await,
        }
    }
    if !store.is_state_stored() {
        tracing::warn!(
            reason = "Forbidden",
            "no state Secret: a refresh token that is put back will not be recognised"
        );
    }
    Ok(store.stored())
}

/// An API server that has just started refuses for a moment what it will allow.
fn is_final(refused_since: &mut Option<Instant>) -> bool {
    refused_since.get_or_insert_with(Instant::now).elapsed() >= refusal::PATIENCE
}

fn superseded() -> RefreshOutcome {
    let reason = "Superseded";
    tracing::warn!(reason, "the token Secret holds another token by now: the new tokens of this exchange are dropped");
    RefreshOutcome::Superseded
}

/// Waits that grow, for a commit that never gives up.
async fn pause(wait: &mut Duration, what: &str, error: &ClusterError) {
    let reason = error.reason();
    tracing::warn!(
        reason,
        error = error as &dyn std::error::Error,
        "new tokens are not stored yet in {what}; trying again"
    );
    tokio::time::sleep(*wait).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}
