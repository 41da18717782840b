//! The driver: observe -> plan -> act -> settle -> record.

mod act;
mod app;
pub mod budgets;
mod client;
pub mod clients;
mod commit;
pub mod context;
mod credentials;
mod deletion;
mod deliver;
pub mod diagnosis;
pub mod exchange;
pub mod failpoint;
pub mod fault;
pub mod feed;
mod finalizer;
pub mod guest;
pub mod in_flight;
mod journal;
mod limits;
pub mod live;
mod maloja;
pub mod metrics;
pub mod notifications;
mod observe;

pub mod panics;
mod record;
mod refusal;
mod request;
mod scrobble_plan;
pub mod seats;
pub mod secret_access;
mod serve;
pub mod services;
mod spans;
pub mod standings;
mod status;
mod store;
mod target;
pub mod tenure;
mod token;
pub mod traces;
pub mod turns;
mod unreadable;
mod upstream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kube::core::DeserializeGuard;
pub use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};

use crate::adapters::kube::ClusterError;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::plan::schedule::Due;
use crate::plan::step::RefreshOutcome;
use crate::plan::{self, Progress};
pub use app::reconcile_app;
use context::Context;
use metrics::words::Controller;
pub use scrobble_plan::reconcile_plan;
pub use target::reconcile_target;

/// A pass takes no new step after this; every step has a deadline of its own.
const PASS_DEADLINE: Duration = Duration::from_secs(90);
/// No pass needs so many rounds of steps: a loop in the decisions ends here.
const MAXIMUM_ROUNDS: usize = 64;
/// How long is waited for one's turn to look at Secrets; then the next pass looks.
const POLL_PATIENCE: Duration = Duration::from_secs(20);
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
        /// Where.
        place: panics::Place,
        /// How long to wait before the next try.
        wait: Duration,
    },
    /// All deadlines of a pass added up to more than one pass may take.
    #[error("a pass took too long and was cut off")]
    Overdue {
        /// How long to wait before the next try.
        wait: Duration,
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
            Self::Overdue { .. } => "overdue",
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
    let id = spans::new_id();
    let span = spans::pass_over_account(&name, &id);
    let mut counted = ctx.metrics.passes.waits(Controller::SpotifyAccount);
    let pass = async {
        let account = match &guarded.0 {
            Ok(account) => account,
            Err(invalid) => {
                counted.begins();
                Box::pin(fault::contained(unreadable::report::<SpotifyAccount>(&ctx, &invalid.metadata))).await?;
                return Ok(None);
            }
        };
        // Whoever waits for a turn holds nothing else.
        let Some(_turn) = ctx.turns.take(party(account, &name)).await else { return Ok(None) };
        counted.begins();
        let account = Arc::new(account.clone());
        let ended = Box::pin(fault::contained(pass(&account, &name, &ctx, id))).await;
        match ended {
            Ok(wait) => Ok(wait),
            Err(error) => Err(Box::pin(fault::tell(&ctx, &account, &name, error)).await),
        }
    };
    let wait: Result<Option<Duration>, Error> =
        Box::pin(spans::told(Controller::SpotifyAccount.kind(), &name, span, pass)).await;
    let ended = wait.map(|wait| wait.map_or_else(Action::await_change, Action::requeue));
    counted.ended(&ended);
    ended
}

/// Whom the turn of a pass counts for.
fn party(account: &SpotifyAccount, name: &ObjectName) -> turns::Party {
    if account.metadata.deletion_timestamp.is_some() {
        return turns::Party::Deletions;
    }
    turns::Party::App(account.spec.app_ref.object(&name.namespace))
}

/// What to do after a pass that failed on the cluster's side.
pub fn after_error<K: Resource>(_object: Arc<K>, error: &Error, _ctx: Arc<Context>) -> Action {
    let wait = match error {
        Error::Cluster(_) | Error::Contended | Error::OffDuty => FIRST_RETRY,
        Error::Panicked { wait, .. } | Error::Overdue { wait } => *wait,
    };
    Action::requeue(wait)
}

/// Answers when to look again, in real time.
async fn pass(
    watched: &Arc<SpotifyAccount>,
    name: &ObjectName,
    ctx: &Arc<Context>,
    id: String,
) -> Result<Option<Duration>, Error> {
    let uid = watched.metadata.uid.clone().unwrap_or_default();
    if watched.metadata.deletion_timestamp.is_some() {
        ctx.live.forget(&uid);
        ctx.services.forget(&uid);
        return Ok(deletion::hand_back(ctx, watched, name).await);
    }
    let live = ctx.live.of(&uid);
    let mut live = live.lock().await;
    let live = &mut *live;
    live.reconcile_id = id;
    let started = Instant::now();
    let (newest, mut stored) = live.newest(watched);
    let mut account = Arc::new(newest);
    if let Some(rest) = plan::settle::rest(&account, ctx.clock.now()) {
        return Ok(Some(ctx.clock.timer(rest)));
    }
    failpoint::reached("begun", watched).await;

    if let Some(status) = plan::settle::first_visit(&account, ctx.clock.now()) {
        let visit = |_: &SpotifyAccount| plan::Settled::plain(status.clone());
        record::record(ctx, live, &mut account, &mut stored, name, visit).await?;
        ctx.traces.untouched(&ObjectName::new(&name.namespace, &account.spec.token_secret_ref.name));
    }
    let asks_again = request::judge(ctx, live, &mut account, &mut stored, name).await?;
    // Whether the account is read at all, and how often, depends on its place in a plan.
    live.seating = seats::take(ctx, &account, name).await?;
    failpoint::reached("seated", &account).await;
    upstream::look(ctx, &account, name).await;
    let mut elders = observe::Elders::of(&account, &name.namespace, plan::duplicate::listener(&account), ctx);
    let observed = observe::observe(&account, &name.namespace, ctx, live, &elders);
    let now = ctx.clock.now();
    let due = plan::schedule::due(&account, &observed, now);
    let late = metrics::lateness(due, live.held_until, now);
    let mut progress = Progress { due: Some(due), ..Progress::default() };
    forget_secrets_where_asked(&account, live);
    let goes_on = || !ctx.stopping.is_cancelled() && ctx.tenure.holds() && started.elapsed() <= PASS_DEADLINE;
    let mut admission = upstream::Admission::default();
    for _ in 0..MAXIMUM_ROUNDS {
        progress.stopping = !goes_on();
        let observed = observe::observe(&account, &name.namespace, ctx, live, &elders);
        let steps = plan::next_steps(&account, &observed, &progress, ctx.clock.now());
        if steps.is_empty() {
            break;
        }
        if let Err(held) = upstream::enter(ctx, &account, &observed, &steps, &mut admission).await {
            held.note(&mut progress, &account, &observed);
            continue;
        }
        // Only the look itself is bounded: what comes after it may wait for Spotify.
        let looks = due == Due::Poll && progress.token.is_none();
        let permit = async { if looks { ctx.polls.acquire().await.ok() } else { None } };
        let Ok(_permit) = tokio::time::timeout(POLL_PATIENCE, permit).await else { break };
        let refreshes = steps.iter().any(|step| matches!(step, plan::Step::Refresh { .. }));
        let places = steps.iter().any(|step| matches!(step, plan::Step::Place { .. }));
        let known = known_of_listener(&progress);
        act::act(ctx, &account, &observed, steps, live, &mut progress, &goes_on).await;
        if let Some(time) = progress.read_time {
            ctx.live.note_read(&uid, time);
        }
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
    if let Some(late) = late.filter(|_| progress.page.is_some()) {
        ctx.metrics.late(late);
    }
    live.held_until = progress.held_until;
    let settled = settle_and_record(ctx, live, &mut account, &mut stored, name, &elders, &progress).await?;
    keep_waiting_plays(live, &progress, settled.plays_wait);
    spans::settled(&settled.status);
    live.contended = if settled.contended { live.contended.saturating_add(1) } else { 0 };
    Ok(Some(match (live.contended, &progress.refresh) {
        (0, _) => ctx.clock.timer(asks_again.map_or(settled.requeue, |wait| wait.min(settled.requeue))),
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
    log(&settled);
    if let Some(keeping) = &settled.keeping {
        journal::store(ctx, account, &name.namespace, live, &keeping.before).await?;
        failpoint::reached("journaled", account).await;
        // What is recorded follows from the same journal as what was stored: each answer counts once.
        observed.journal.trouble.clone_from(&live.journal.trouble);
    }
    ctx.metrics.settled(account, &observed, &settled);
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
    for line in &settled.lines {
        tracing::warn!(reason = line.reason, "{}", line.note);
    }
}
