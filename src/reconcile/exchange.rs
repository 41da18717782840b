//! claim -> exchange -> commit, in a task of its own.
//!
//! The order is fixed: the claim proves that the Secret can be written and fences other writers; only then is the
//! refresh token sent; what comes back is stored before anybody uses it. No cancelled pass, lost lease or SIGTERM
//! interrupts the task: shutdown waits for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::commit::{self, Commit};
use super::context::Context;
use super::live::LiveToken;
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::secrets::SecretContent;
use crate::adapters::spotify::{AppCredentials, EXCHANGE_DEADLINE};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::{Refusal, TokenAnswer};
use crate::domain::digest::{TokenDigest, hexadecimal};
use crate::domain::name::ObjectName;
use crate::domain::token_secret::{Claim, TokenSecret, key};
use crate::plan::step::{RefreshOutcome, SecretTrouble};

/// The holder of a claim does not send after this (real time).
const CLAIM_LIFE: SignedDuration = SignedDuration::from_secs(5);
/// How long a pass waits for its exchange; a commit that takes longer goes on without it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Exchanges in flight: at most one for each token Secret.
#[derive(Default)]
pub struct Exchanges {
    tasks: TaskTracker,
    secrets: Mutex<HashSet<ObjectName>>,
}

impl Exchanges {
    /// Waits until no exchange is in flight. No new one can begin afterwards.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How many exchanges are in flight.
    pub fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    fn begin(&self, secret: &ObjectName) -> bool {
        !self.tasks.is_closed() && self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.clone())
    }

    fn end(&self, secret: &ObjectName) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).remove(secret);
    }
}

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
}

impl From<RefreshOutcome> for Exchanged {
    fn from(outcome: RefreshOutcome) -> Self {
        Self { outcome, token: None }
    }
}

/// Refreshes a token. The work goes on in its own task whatever becomes of the caller.
pub(super) async fn refresh(ctx: &Arc<Context>, exchange: Exchange) -> Exchanged {
    let secret = exchange.secret_name();
    if !ctx.exchanges.begin(&secret) {
        return RefreshOutcome::CommitPending.into();
    }
    let (sender, receiver) = oneshot::channel();
    let task = Arc::clone(ctx);
    let span = tracing::Span::current();
    ctx.exchanges.tasks.spawn(tracing::Instrument::instrument(
        async move {
            let secret = exchange.secret_name();
            let exchanged = claim_exchange_commit(&task, exchange).await;
            task.exchanges.end(&secret);
            let _ = sender.send(exchanged);
        },
        span,
    ));
    match tokio::time::timeout(PATIENCE, receiver).await {
        Ok(Ok(exchanged)) => exchanged,
        _ => RefreshOutcome::CommitPending.into(),
    }
}

async fn claim_exchange_commit(ctx: &Arc<Context>, exchange: Exchange) -> Exchanged {
    let interrupted = exchange.token.in_use.view.interrupted;
    if let Some(until) = foreign_claim(ctx, &exchange) {
        return RefreshOutcome::Claimed { until }.into();
    }
    let claimed_at = Instant::now();
    let claimed = match claim(ctx, &exchange).await {
        Ok(claimed) => claimed,
        Err(outcome) => return outcome.into(),
    };
    super::failpoint::reached("claimed");
    if claimed_at.elapsed() >= CLAIM_LIFE.unsigned_abs() {
        // Somebody else may hold the token by now; nothing was sent.
        return RefreshOutcome::Conflict.into();
    }
    let answer = ctx.spotify.refresh(&exchange.app, &exchange.token.in_use.refresh_token).await;
    super::failpoint::reached("exchanged");
    match answer {
        TokenAnswer::Granted(grant) => {
            commit::commit(ctx, Commit { exchange, claimed, grant, answered: Instant::now() }).await
        }
        // The claim stays: whoever comes next has to know that the server may have acted.
        TokenAnswer::Ambiguous(trouble) => RefreshOutcome::Ambiguous(trouble).into(),
        TokenAnswer::Refused(refusal) => {
            // A dead token keeps the trace of the exchange that was cut off.
            if interrupted.is_none() || !matches!(refusal, Refusal::InvalidGrant { .. }) {
                release(ctx, &exchange, &claimed, interrupted.is_some()).await;
            }
            RefreshOutcome::Refused { refusal, interrupted }.into()
        }
        TokenAnswer::RateLimited { retry_after } => {
            release(ctx, &exchange, &claimed, interrupted.is_some()).await;
            RefreshOutcome::RateLimited { retry_after }.into()
        }
        TokenAnswer::Failed(trouble) => {
            release(ctx, &exchange, &claimed, interrupted.is_some()).await;
            RefreshOutcome::Failed(trouble).into()
        }
    }
}

/// Until when somebody else's claim keeps this process from sending: its deadline and the exchange's own.
fn foreign_claim(ctx: &Context, exchange: &Exchange) -> Option<jiff::Timestamp> {
    let content = TokenSecret::read(&exchange.token.secret.data, exchange.uid()).ok()?;
    let claim = content.claim.filter(|claim| claim.holder != ctx.holder)?;
    let exchange_deadline = SignedDuration::try_from(EXCHANGE_DEADLINE).unwrap_or(CLAIM_LIFE);
    let until = claim.deadline_time.checked_add(exchange_deadline).ok()?;
    // A deadline far ahead was not written by any holder of this version's.
    let believable = until.duration_since(ctx.clock.real_now()) < SignedDuration::from_mins(5);
    (until > ctx.clock.real_now() && believable).then_some(until)
}

async fn claim(ctx: &Context, exchange: &Exchange) -> Result<SecretContent, RefreshOutcome> {
    let now = ctx.clock.real_now();
    let claim = Claim {
        holder: ctx.holder.clone(),
        id: hexadecimal(&rand::random::<[u8; 8]>()),
        claimed_time: now,
        deadline_time: now.saturating_add(CLAIM_LIFE).unwrap_or(now),
        token: TokenDigest::of(exchange.uid(), &exchange.token.in_use.refresh_token).as_str().to_owned(),
    };
    let name = exchange.secret_name();
    let change = BTreeMap::from([(key::CLAIM, Some(serde_json::to_vec(&claim).unwrap_or_default()))]);
    let version = &exchange.token.secret.resource_version;
    ctx.cluster.change_secret(&name, version, &change).await.map_err(|error| match error {
        ClusterError::Conflict { .. } => RefreshOutcome::Conflict,
        ClusterError::NotFound { .. } => RefreshOutcome::TokenSecret(SecretTrouble::NotFound { secret: name }),
        ClusterError::Forbidden { .. } => RefreshOutcome::TokenSecret(SecretTrouble::WriteForbidden { secret: name }),
        ClusterError::Invalid { .. } => RefreshOutcome::TokenSecret(SecretTrouble::Immutable { secret: name }),
        ClusterError::Timeout { .. } | ClusterError::Unavailable { .. } => {
            RefreshOutcome::TokenSecret(SecretTrouble::Cluster)
        }
    })
}

/// Takes the claim back: the server certainly did not act. That it could not be taken back is no failure; the next
/// claim replaces it. A trace of an earlier exchange that was cut off is kept.
async fn release(ctx: &Context, exchange: &Exchange, claimed: &SecretContent, keep_trace: bool) {
    let before = exchange.token.secret.data.get(key::CLAIM).filter(|_| keep_trace).map(|value| value.0.clone());
    let change = BTreeMap::from([(key::CLAIM, before)]);
    let released = ctx.cluster.change_secret(&exchange.secret_name(), &claimed.resource_version, &change).await;
    if released.is_err() {
        tracing::warn!("a claim on the token Secret could not be taken back");
    }
}
