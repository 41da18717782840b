//! claim -> exchange -> commit, in a task of its own. The states and who may move them: `docs/tokens.md`.
//!
//! The order is fixed: the claim proves that the Secret can be written and fences other writers; only then is the
//! refresh token sent; what comes back is stored before anybody uses it. A claim goes with the commit, or is released
//! where the server certainly did not act; else it stays. No cancelled pass, lost lease or SIGTERM interrupts the task:
//! shutdown waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use super::commit::{self, Commit};
use super::context::Context;
use super::in_flight::{Busy, Turn};
use super::live::LiveToken;
use super::metrics::words::{Class, SpotifyEndpoint};
use super::{failpoint, panics, refusal, spans, token};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::secrets::SecretContent;
use crate::adapters::spotify::{AppCredentials, EXCHANGE_DEADLINE};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::{TokenAnswer, Trouble};
use crate::domain::digest::{TokenDigest, hexadecimal};
use crate::domain::name::ObjectName;
use crate::domain::token_secret::{Claim, LineageMark, key, text_of};
use crate::plan::Interruption;
use crate::plan::claim::{Finder, wait_for_unknown};
use crate::plan::lineage::{Standing, TokenInUse};
use crate::plan::step::{RefreshOutcome, SecretTrouble};

/// The holder of a claim does not send after this (real time).
const CLAIM_LIFE: SignedDuration = SignedDuration::from_secs(5);
/// How long a pass waits for its exchange; a commit that takes longer goes on without it.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a commit is tried that panics.
const COMMIT_TRIES: usize = 3;
/// How often a claim is tried against newer versions of a Secret that others write, before the pass looks anew.
const CLAIM_TRIES: usize = 10;

/// An exchange to make.
pub(super) struct Exchange {
    pub(super) account: Arc<SpotifyAccount>,
    pub(super) namespace: String,
    pub(super) app: AppCredentials,
    pub(super) token: LiveToken,
}

impl Exchange {
    pub(super) fn uid(&self) -> &str {
        self.account.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn secret_name(&self) -> ObjectName {
        ObjectName::new(&self.namespace, &self.account.spec.token_secret_ref.name)
    }
}

/// How an exchange ended, and the token as it is stored now.
pub(super) struct Exchanged {
    pub(super) outcome: RefreshOutcome,
    pub(super) token: Option<LiveToken>,
    /// The account as written by the way, if it was at the version that the caller knows.
    pub(super) account: Option<SpotifyAccount>,
}

impl From<RefreshOutcome> for Exchanged {
    fn from(outcome: RefreshOutcome) -> Self {
        Self { outcome, token: None, account: None }
    }
}

/// Refreshes a token. The work goes on in its own task whatever becomes of the caller.
pub(super) async fn refresh(ctx: &Arc<Context>, exchange: Exchange) -> Exchanged {
    let turn = match Turn::take(ctx, &exchange.secret_name()) {
        Ok(turn) => turn,
        Err(Busy::Committing) => return RefreshOutcome::CommitPending.into(),
        Err(Busy::Exchanging | Busy::Stopping) => return RefreshOutcome::Conflict.into(),
    };
    let stage = turn.stage();
    let (sender, receiver) = oneshot::channel();
    let task = Arc::clone(ctx);
    let work = async move {
        let exchanged = Box::pin(panics::caught(claim_exchange_commit(&task, exchange, &turn))).await.flatten();
        drop(turn);
        if let Ok(exchanged) = &exchanged {
            task.metrics.refreshed(&exchanged.outcome);
            spans::refreshed(&Span::current(), &exchanged.outcome);
        }
        let _ = sender.send(exchanged);
    };
    tokio::spawn(work.instrument(spans::refresh()).instrument(Span::current()));
    match tokio::time::timeout(PATIENCE, receiver).await {
        Ok(Ok(Ok(exchanged))) => exchanged,
        // What was answered is stored by now; before that the claim stands, for Spotify may have acted.
        Ok(Ok(Err(place))) => panics::pass_on(place),
        Ok(Err(_)) => RefreshOutcome::Ambiguous(Trouble::Unreadable).into(),
        Err(_) if stage.is_committing() => RefreshOutcome::CommitPending.into(),
        Err(_) => RefreshOutcome::Conflict.into(),
    }
}

/// # Errors
/// Where the commit panicked that stored the tokens in the end.
async fn claim_exchange_commit(
    ctx: &Arc<Context>,
    mut exchange: Exchange,
    turn: &Turn,
) -> Result<Exchanged, panics::Place> {
    failpoint::reached("loaded", &exchange.account).await;
    let mut tries = 0;
    let started = Instant::now();
    let claimed = loop {
        // A process that is about to end begins nothing.
        if !ctx.tenure.holds() || ctx.stopping.is_cancelled() {
            return Ok(RefreshOutcome::Conflict.into());
        }
        if let Some(until) = fenced_until(ctx, &exchange.secret_name(), &exchange.token.in_use) {
            return Ok(RefreshOutcome::Claimed { until }.into());
        }
        match claim(ctx, &exchange).instrument(tracing::debug_span!("claim")).await {
            Ok(claimed) => break claimed,
            Err(RefreshOutcome::Conflict) if tries < CLAIM_TRIES => tries += 1,
            Err(RefreshOutcome::TokenSecret(trouble)) if refusal::is_news(&trouble, &exchange.account, started) => {
                refusal::pause().await;
            }
            Err(outcome) => return Ok(outcome.into()),
        }
        if let Err(outcome) = look_again(ctx, &mut exchange).await {
            return Ok(outcome.into());
        }
    };
    failpoint::reached("claimed", &exchange.account).await;
    if !ctx.tenure.holds() {
        release(ctx, &exchange, &claimed).await;
        return Ok(RefreshOutcome::Conflict.into());
    }
    failpoint::reached("sending", &exchange.account).await;
    let refresh = ctx.spotify.refresh(&exchange.app, &exchange.token.in_use.refresh_token, claimed.send_before);
    let asking = ctx.metrics.spotify(SpotifyEndpoint::Token).counted(refresh, Class::of_token_answer);
    let answer = asking.instrument(tracing::debug_span!("exchange")).await;
    let answered = Instant::now();
    if !matches!(answer, TokenAnswer::Granted(_)) {
        failpoint::reached("exchanged", &exchange.account).await;
    }
    let outcome = match answer {
        TokenAnswer::Granted(grant) => {
            return stored(ctx, turn, &Commit { exchange, claimed: claimed.secret, grant, answered }).await;
        }
        // The claim stays: whoever comes next has to know that the server may have acted.
        TokenAnswer::Ambiguous(trouble) => return Ok(RefreshOutcome::Ambiguous(trouble).into()),
        // Somebody else may hold the token by now.
        TokenAnswer::NotSent => RefreshOutcome::Conflict,
        TokenAnswer::Refused(refusal) => {
            RefreshOutcome::Refused { refusal, interrupted: exchange.token.in_use.view.interrupted }
        }
        TokenAnswer::RateLimited { retry_after } => RefreshOutcome::RateLimited { retry_after },
        TokenAnswer::Failed(trouble) => RefreshOutcome::Failed(trouble),
    };
    release(ctx, &exchange, &claimed).await;
    Ok(outcome.into())
}

/// Commits; once more where that panics: new tokens are lost with whoever drops them.
async fn stored(ctx: &Arc<Context>, turn: &Turn, commit: &Commit) -> Result<Exchanged, panics::Place> {
    let mut panicked = None;
    for _ in 0..COMMIT_TRIES {
        let attempt = async {
            failpoint::reached("exchanged", &commit.exchange.account).await;
            turn.commits();
            commit::commit(ctx, commit).instrument(tracing::debug_span!("commit")).await
        };
        match (panics::caught(attempt).await, panicked.take()) {
            (Ok(exchanged), None) => return Ok(exchanged),
            (Ok(_), Some(place)) => return Err(place),
            (Err(place), _) => panicked = Some(place),
        }
    }
    Err(panicked.unwrap_or_else(|| panics::note(None)))
}

/// Until when somebody else's claim keeps this process from sending, also one that was wiped.
fn fenced_until(ctx: &Context, secret: &ObjectName, token: &TokenInUse) -> Option<Timestamp> {
    let whole = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let (now, exchange_timeout) = (ctx.clock.real_now(), whole(EXCHANGE_DEADLINE));
    let wait = match &token.claim {
        Some(claim) => {
            let seen_for = whole(ctx.traces.seen_for(secret, &claim.id));
            let finder = Finder { holder: &ctx.holder, token: &token.mark.token, seen_for, now, exchange_timeout };
            finder.wait(claim)
        }
        None if token.view.interrupted == Some(Interruption::Wiped) => {
            wait_for_unknown(whole(ctx.tenure.age()), CLAIM_LIFE, exchange_timeout)
        }
        None => None,
    };
    wait.map(|wait| now.saturating_add(wait).unwrap_or(now))
}

/// Somebody wrote the Secret: goes on with it where it still holds the same token.
async fn look_again(ctx: &Context, exchange: &mut Exchange) -> Result<(), RefreshOutcome> {
    let found = token::load(&exchange.account, &exchange.namespace, ctx).await.map_err(RefreshOutcome::TokenSecret)?;
    if found.in_use.refresh_token != exchange.token.in_use.refresh_token {
        return Err(RefreshOutcome::Conflict);
    }
    exchange.token = found;
    Ok(())
}

/// A claim that stands.
struct Claimed {
    claim: Claim,
    /// The token Secret with it.
    secret: SecretContent,
    /// The token is not sent after this.
    send_before: Instant,
}

async fn claim(ctx: &Context, exchange: &Exchange) -> Result<Claimed, RefreshOutcome> {
    let send_before = Instant::now() + CLAIM_LIFE.unsigned_abs();
    let now = ctx.clock.real_now();
    let claim = Claim {
        holder: ctx.holder.clone(),
        id: hexadecimal(&rand::random::<[u8; 8]>()),
        claimed_time: now,
        deadline_time: now.saturating_add(CLAIM_LIFE).unwrap_or(now),
        token: TokenDigest::of(exchange.uid(), &exchange.token.in_use.refresh_token).as_str().to_owned(),
        account: exchange.uid().to_owned(),
    };
    let name = exchange.secret_name();
    let change = BTreeMap::from([(key::CLAIM, Some(serde_json::to_vec(&claim).unwrap_or_default()))]);
    let version = &exchange.token.secret.resource_version;
    ctx.traces.claiming(&name, &claim);
    match ctx.cluster.change_secret(&name, version, &change).await {
        Ok(secret) if Instant::now() < send_before => {
            ctx.traces.claimed(&name, claim.clone());
            Ok(Claimed { claim, secret, send_before })
        }
        // It took so long that somebody else may hold the token by now.
        Ok(secret) => {
            release(ctx, exchange, &Claimed { claim, secret, send_before }).await;
            Err(RefreshOutcome::Conflict)
        }
        Err(error) => Err(match error {
            ClusterError::Conflict { .. } => RefreshOutcome::Conflict,
            ClusterError::NotFound { .. } => RefreshOutcome::TokenSecret(SecretTrouble::NotFound { secret: name }),
            ClusterError::Forbidden { .. } => {
                RefreshOutcome::TokenSecret(SecretTrouble::WriteForbidden { secret: name })
            }
            ClusterError::Invalid { .. } => RefreshOutcome::TokenSecret(SecretTrouble::Immutable { secret: name }),
            ClusterError::Timeout { .. } | ClusterError::Unavailable { .. } => {
                RefreshOutcome::TokenSecret(SecretTrouble::Cluster)
            }
        }),
    }
}

/// Releases the claim: the server certainly did not act. That it could not be released is no failure; the next claim
/// takes its place. The claim of an earlier exchange that was cut off is written again.
async fn release(ctx: &Context, exchange: &Exchange, claimed: &Claimed) {
    let (name, before) = (exchange.secret_name(), &exchange.token.in_use);
    ctx.traces.released(&name, &claimed.claim, before);
    let cut_off = before.claim.as_ref().filter(|_| before.view.interrupted.is_some());
    let mut change = BTreeMap::from([(key::CLAIM, cut_off.and_then(|claim| serde_json::to_vec(claim).ok()))]);
    // A mark from the first exchange on, whatever came of it: where there is none, it was wiped.
    let is_marked = exchange.token.secret.data.contains_key(key::LINEAGE);
    if !is_marked && before.view.interrupted.is_none() && before.standing == Standing::Newest {
        let authorized_at = text_of(&exchange.token.secret.data, key::AUTHORIZED_AT);
        change.insert(key::LINEAGE, serde_json::to_vec(&LineageMark { authorized_at, ..before.mark.clone() }).ok());
    }
    let released = ctx.cluster.change_secret(&name, &claimed.secret.resource_version, &change).await;
    if let Err(error) = released {
        let (reason, error) = (error.reason(), &error as &dyn std::error::Error);
        tracing::warn!(reason, error, "a claim on the token Secret could not be released");
    }
}
