//! The driver: observe -> plan -> act -> settle -> record.

mod act;
mod app;
mod client;
pub mod clients;
mod commit;
pub mod context;
mod credentials;
mod deletion;
mod deliver;
pub mod exchange;
pub mod failpoint;
mod finalizer;
pub mod in_flight;
mod journal;
pub mod live;
mod maloja;
mod observe;
mod record;
mod refusal;
mod scrobble_plan;
pub mod secret_access;
mod serve;
pub mod services;
pub mod standings;
mod store;
mod target;
pub mod tenure;
mod token;
pub mod traces;
mod unreadable;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use jiff::SignedDuration;
use kube::core::DeserializeGuard;
pub use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};
use tracing::Instrument as _;

use crate::adapters::kube::ClusterError;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::plan::schedule::Due;
use crate::plan::step::RefreshOutcome;
use crate::plan::{self, Progress};
pub use app::reconcile_app;
use context::Context;
pub use scrobble_plan::reconcile_plan;
pub use target::reconcile_target;

/// A pass takes no new step after this; every step has a deadline of its own.
const PASS_DEADLINE: Duration = Duration::from_secs(90);
/// No pass needs so many rounds of steps: a loop in the decisions ends here.
const MAXIMUM_ROUNDS: usize = 64;
/// A pass that failed on the cluster's side is tried again after this, doubling.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// No claim is looked at again before (real time).
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_millis(200);

/// The cluster failed: not an outcome, and nothing that a status could tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the API server failed.
    #[error("the API server did not do what was asked")]
    Cluster(#[source] ClusterError),
    /// The account was written by others at every try.
    #[error("the account was written by others at every try")]
    Contended,
    /// The Lease may be somebody else's by now.
    #[error("this process may not be on duty any more")]
    OffDuty,
    /// A fault of the operator.
    #[error("a pass panicked at {place}")]
    Panicked {
        /// File and line.
        place: String,
    },
}

impl Error {
    /// A word for metrics.
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "cluster",
            Self::Contended => "contended",
            Self::OffDuty => "off_duty",
            Self::Panicked { .. } => "panicked",
        }
    }
}

/// One pass over an account.
pub async fn reconcile_account(
    guarded: Arc<DeserializeGuard<SpotifyAccount>>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    let namespace = guarded.meta().namespace.clone().unwrap_or_default();
    let name = ObjectName::new(namespace, guarded.name_any());
    let span = tracing::info_span!("reconcile", account = %name, reconcile_id = %short_id());
    let pass = AssertUnwindSafe(async {
        match &guarded.0 {
            Ok(account) => pass(&Arc::new(account.clone()), &name, &ctx).await,
            Err(invalid) => unreadable::report::<SpotifyAccount>(&ctx, &invalid.metadata).await.map(|()| None),
        }
    });
    let ended = pass.catch_unwind().instrument(span).await;
    let wait = ended.unwrap_or_else(|panic| Err(Error::Panicked { place: place_of(&*panic) }))?;
    Ok(wait.map_or_else(Action::await_change, Action::requeue))
}

/// What to do after a pass that failed on the cluster's side.
pub fn after_error<K: Resource>(_object: Arc<K>, error: &Error, _ctx: Arc<Context>) -> Action {
    let wait = match error {
        Error::Cluster(_) | Error::Contended | Error::OffDuty => FIRST_RETRY,
        Error::Panicked { .. } => FIRST_RETRY * 12,
    };
    Action::requeue(wait)
}

fn short_id() -> String {
    crate::domain::digest::hexadecimal(&rand::random::<[u8; 4]>())
}

/// A panic's message may hold data: only that there was one is told.
fn place_of(_panic: &(dyn std::any::Any + Send)) -> String {
    "a place that the log names".to_owned()
}

/// Answers when to look again, in real time.
async fn pass(watched: &Arc<SpotifyAccount>, name: &ObjectName, ctx: &Arc<Context>) -> Result<Option<Duration>, Error> {
    let uid = watched.metadata.uid.clone().unwrap_or_default();
    if watched.metadata.deletion_timestamp.is_some() {
        ctx.live.forget(&uid);
        ctx.services.forget(&uid);
        return Ok(deletion::hand_back(ctx, watched, name).await);
    }
    failpoint::reached("begun", watched).await;
    let live = ctx.live.of(&uid);
    let mut live = live.lock().await;
    let live = &mut *live;
    let started = Instant::now();
    let (newest, mut stored) = live.newest(watched);
    let mut account = Arc::new(newest);

    if let Some(status) = plan::settle::first_visit(&account, ctx.clock.now()) {
        let visit = |_: &SpotifyAccount| plan::Settled::plain(status.clone());
        record::record(ctx, live, &mut account, &mut stored, name, visit).await?;
        ctx.traces.untouched(&ObjectName::new(&name.namespace, &account.spec.token_secret_ref.name));
    }
    let mut elders = observe::Elders::of(&account, &name.namespace, plan::duplicate::listener(&account), ctx);
    let observed = observe::observe(&account, &name.namespace, ctx, live, &elders);
    let due = plan::schedule::due(&account, &observed, ctx.clock.now());
    let mut progress = Progress { due: Some(due), ..Progress::default() };
    forget_secrets_where_asked(&account, live);
    let goes_on = || !ctx.stopping.is_cancelled() && ctx.tenure.holds() && started.elapsed() <= PASS_DEADLINE;
    for _ in 0..MAXIMUM_ROUNDS {
        progress.stopping = !goes_on();
        let observed = observe::observe(&account, &name.namespace, ctx, live, &elders);
        let steps = plan::next_steps(&account, &observed, &progress, ctx.clock.now());
        if steps.is_empty() {
            break;
        }
        // Only the look itself is bounded: what comes after it may wait for Spotify.
        let looks = due == Due::Poll && progress.token.is_none();
        let _permit = if looks { ctx.polls.acquire().await.ok() } else { None };
        let refreshes = steps.iter().any(|step| matches!(step, plan::Step::Refresh { .. }));
        let places = steps.iter().any(|step| matches!(step, plan::Step::Place { .. }));
        let known = known_of_listener(&progress);
        act::act(ctx, &account, &observed, steps, live, &mut progress, &goes_on).await;
        if known_of_listener(&progress) != known {
            let listener = act::listener(&account, &progress);
            elders = observe::Elders::of(&account, &name.namespace, listener.as_deref(), ctx);
        }
        if !progress.deliveries.is_empty() {
            failpoint::reached("delivered", &account).await;
        }
        if places {
            let placing = progress.before_placing();
            settle_and_record(ctx, live, &mut account, &mut stored, name, &elders, &placing).await?;
        }
        live.follow(&mut account);
        if refreshes && matches!(progress.refresh, Some(RefreshOutcome::Refreshed { .. })) {
            // The life of the token is shown at once, not after the slowest target.
            settle_and_record(ctx, live, &mut account, &mut stored, name, &elders, &progress).await?;
            failpoint::reached("recorded", &account).await;
        }
    }
    let settled = settle_and_record(ctx, live, &mut account, &mut stored, name, &elders, &progress).await?;
    keep_waiting_plays(live, &progress, settled.plays_wait);
    log(&settled);
    live.contended = if settled.contended { live.contended.saturating_add(1) } else { 0 };
    Ok(Some(match (live.contended, &progress.refresh) {
        (0, _) => ctx.clock.timer(settled.requeue),
        // Claims are on real time, and so are waits for them.
        (times, Some(RefreshOutcome::Claimed { until })) => {
            let left = until.duration_since(ctx.clock.real_now()).max(SHORTEST_WAIT);
            plan::settle::contended_wait(times).min(left).unsigned_abs()
        }
        (times, _) => plan::settle::contended_wait(times).unsigned_abs(),
    }))
}

/// What a pass has learned so far that may make an older account of the same listener known.
fn known_of_listener(progress: &Progress) -> (bool, usize) {
    (progress.listener.is_some(), progress.credentials.len())
}

async fn settle_and_record(
    ctx: &Context,
    live: &mut live::Live,
    account: &mut Arc<SpotifyAccount>,
    stored: &mut Option<crate::api::v1alpha1::SpotifyAccountStatus>,
    name: &ObjectName,
    elders: &observe::Elders,
    progress: &Progress,
) -> Result<plan::Settled, Error> {
    let now = ctx.clock.now();
    // What waits is stored before the status counts on it, and what targets have goes after it.
    let mut observed = observe::observe(account, &name.namespace, ctx, live, elders);
    let settled = plan::settle(account, &observed, progress, now);
    if let Some(keeping) = &settled.keeping {
        journal::store(ctx, account, &name.namespace, live, &keeping.before).await?;
        failpoint::reached("journaled", account).await;
        // What is recorded follows from the same journal as what was stored: each answer counts once.
        observed.journal.trouble.clone_from(&live.journal.trouble);
    }
    let settled =
        record::record(ctx, live, account, stored, name, |account| plan::settle(account, &observed, progress, now))
            .await?;
    failpoint::reached("settled", account).await;
    if let Some(keeping) = &settled.keeping {
        journal::store(ctx, account, &name.namespace, live, &keeping.after).await?;
        failpoint::reached("emptied", account).await;
    }
    Ok(settled)
}

/// Somebody asks for something now, or wrote another spec, which may name other Secrets: they are read anew.
fn forget_secrets_where_asked(account: &SpotifyAccount, live: &mut live::Live) {
    if plan::schedule::requested(account).is_some() || plan::schedule::is_changed(account) {
        live.token = None;
        live.credentials.clear();
        if live.journal.trouble.is_some() || live.journal.set_aside {
            live.journal = live::LiveJournal::default();
        }
    }
}

/// Plays that wait for a target are offered again without asking Spotify.
fn keep_waiting_plays(live: &mut live::Live, progress: &Progress, plays_wait: bool) {
    if let Some(crate::domain::answer::ApiAnswer::Found(page)) = &progress.page {
        live.waiting_page = Some(Arc::clone(page));
    }
    if !plays_wait {
        live.waiting_page = None;
    }
}

/// One line for each failure, where it is handled.
fn log(settled: &plan::Settled) {
    for announcement in settled.announcements.iter().filter(|announcement| announcement.warning) {
        tracing::warn!(reason = announcement.reason, "{}", announcement.note);
    }
}
