//! A look at one account: observe -> plan -> act, as a pass, up to the read. Nothing is delivered and nothing recorded;
//! what it writes is what a refresh writes, what a call costs in the budget, and a limit that Spotify has named.
//!
//! It takes one of the turns of passes and holds what this process remembers of the account, so that it never runs beside a
//! pass over the same account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::live::Live;
use super::upstream::{self, Held};
use super::{Error, act, fault, journal, observe, party, request, seats, spans, token};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::plan::diagnosis::{self, Diagnosis, Next, NotAsked, Sight};
use crate::plan::schedule::Due;
use crate::plan::seating::Seating;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Observed, Progress, Step, duplicate};
use tracing::Instrument as _;

/// No look needs so many rounds of steps.
const MAXIMUM_ROUNDS: usize = 64;
/// A look takes no new step after this (real time).
const DEADLINE: Duration = Duration::from_secs(40);
/// How long is waited for a turn, for a pass over the same account, and while another process has the token (real time).
const PATIENCE: Duration = Duration::from_secs(20);
/// The time between two looks at a token that another process has.
const PAUSE: Duration = Duration::from_secs(2);

/// A look at an account and what it did.
pub(super) struct Looked {
    pub(super) diagnosis: Diagnosis,
    pub(super) progress: Progress,
}

/// Looks at an account for somebody who asks this operator.
///
/// # Errors
/// The process is not on duty, or busy for too long, or the look was cut off.
pub async fn diagnose(
    ctx: &Arc<Context>,
    watched: &Arc<SpotifyAccount>,
    name: &ObjectName,
) -> Result<Diagnosis, Error> {
    let span = spans::look(name);
    let looking = async {
        let overdue = |_| Error::Overdue { wait: PATIENCE };
        let turn = tokio::time::timeout(PATIENCE, ctx.turns.take(party(watched, name))).await.map_err(overdue)?;
        let _turn = turn.ok_or(Error::OffDuty)?;
        Box::pin(fault::contained(on_duty(ctx, watched, name))).await
    };
    looking.instrument(span).await
}

async fn on_duty(ctx: &Arc<Context>, watched: &Arc<SpotifyAccount>, name: &ObjectName) -> Result<Diagnosis, Error> {
    ctx.ensure_on_duty()?;
    let live = ctx.live.of(watched.metadata.uid.as_deref().unwrap_or_default());
    let overdue = |_| Error::Overdue { wait: PATIENCE };
    let mut live = tokio::time::timeout(PATIENCE, live.lock()).await.map_err(overdue)?;
    let (account, _) = live.newest(watched);
    let account = Arc::new(account);
    let seating = seats::look(ctx, &account, name);
    upstream::look(ctx, &account, name).await;
    let mut own = borrowed(&live);
    let gone = is_gone(ctx, &account);
    let spared = if gone { Some(NotAsked::gone()) } else { spared(ctx, &account, name, &live) };
    if gone {
        // What is remembered of it goes with its last pass, which may have been while this one waited.
        ctx.live.forget(account.metadata.uid.as_deref().unwrap_or_default());
    }
    let looked = Box::pin(look(ctx, &mut own, &account, name, seating, spared)).await?;
    if looked.progress.page.is_some() || looked.progress.refresh.is_some() {
        live.looks.note(ctx.clock.now());
    }
    give_back(&mut live, own, &looked.progress);
    Ok(looked.diagnosis)
}

/// Why Spotify is not asked for somebody's look although it could be for a pass.
fn spared(ctx: &Context, account: &SpotifyAccount, name: &ObjectName, live: &Live) -> Option<NotAsked> {
    if account.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
        return Some(NotAsked::unvisited());
    }
    let most = request::limits(ctx, account, &name.namespace).a_day;
    live.looks.spent_until(most, ctx.clock.now()).map(NotAsked::looked_at_too_often)
}

fn is_gone(ctx: &Context, account: &SpotifyAccount) -> bool {
    let stays = |other: &SpotifyAccount| {
        other.metadata.uid == account.metadata.uid && other.metadata.deletion_timestamp.is_none()
    };
    ctx.catalogue.accounts(&stays).is_empty()
}

/// What a look starts from, of what this process remembers: what it reads of it is not what a pass has read.
fn borrowed(live: &Live) -> Live {
    Live {
        refused: live.refused.clone(),
        last_read: live.last_read,
        waiting_page: live.waiting_page.clone(),
        ..Live::default()
    }
}

/// After an exchange the Secrets are read anew by the next pass, which then tells of the token that it finds.
fn give_back(live: &mut Live, own: Live, progress: &Progress) {
    live.refused = own.refused;
    live.keep_written(own.written.map(|written| written.as_ref().clone()));
    if progress.refresh.is_some() {
        live.token = None;
        live.credentials.clear();
    }
}

/// One look. `live` is its own. Without a seating the account's plan has a seat for it that it has not taken. With a
/// reason to spare Spotify, only the Secrets are looked at.
pub(super) async fn look(
    ctx: &Arc<Context>,
    live: &mut Live,
    account: &Arc<SpotifyAccount>,
    name: &ObjectName,
    seating: Option<Seating>,
    spared: Option<NotAsked>,
) -> Result<Looked, Error> {
    let started = Instant::now();
    let goes_on = || !ctx.stopping.is_cancelled() && ctx.tenure.holds() && started.elapsed() <= DEADLINE;
    let mut not_asked = spared.or_else(|| seating.is_none().then(NotAsked::unseated));
    let may_ask = not_asked.is_none();
    live.seating = seating.unwrap_or_default();
    let last_read = live.last_read;
    let elders = observe::Elders::of(account, &name.namespace, duplicate::listener(account), ctx);
    let mut progress = Progress { due: Some(Due::Read(ctx.clock.now())), ..Progress::default() };
    let mut admission = upstream::Admission::default();
    for _ in 0..MAXIMUM_ROUNDS {
        if !goes_on() {
            ctx.ensure_on_duty()?;
            not_asked = not_asked.or_else(|| Some(NotAsked::cut_short()));
            break;
        }
        let observed = observe::observe(account, &name.namespace, ctx, live, &elders);
        let steps = match diagnosis::next(account, &observed, &progress, ctx.clock.now()) {
            Next::Done(why) => {
                not_asked = not_asked.or(why);
                break;
            }
            Next::Steps(steps) if steps.contains(&Step::LoadToken) => {
                load(ctx, account, &name.namespace, live, &mut progress).await;
                continue;
            }
            // Its Secrets are looked at, and that is all.
            Next::Steps(_) if !may_ask => break,
            Next::Steps(steps) => steps,
        };
        match upstream::enter(ctx, account, &observed, &steps, &mut admission).await {
            Ok(()) => {}
            Err(Held::Until(until)) if wait_for_turn(ctx, until, started).await => continue,
            Err(Held::Until(until)) => progress.held_until = Some(until),
            Err(Held::Spent(until)) => progress.calls_spent_until = Some(until),
        }
        if progress.held_until.is_some() || progress.calls_spent_until.is_some() {
            continue;
        }
        act::act(ctx, account, &observed, steps, live, &mut progress, &goes_on).await;
        // The look is no read of the operator's: its schedule goes on as if nobody had asked.
        live.last_read = last_read;
        if is_contended(&progress) {
            // This stands until something better is known.
            not_asked = Some(NotAsked::contended());
            if started.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            (progress.token, progress.refresh) = (None, None);
        } else {
            not_asked = None;
        }
    }
    let observed = observe::observe(account, &name.namespace, ctx, live, &elders);
    Ok(Looked { diagnosis: told(ctx, account, name, &observed, &progress, not_asked), progress })
}

fn told(
    ctx: &Context,
    account: &SpotifyAccount,
    name: &ObjectName,
    observed: &Observed,
    progress: &Progress,
    not_asked: Option<NotAsked>,
) -> Diagnosis {
    diagnosis::diagnose(Sight { name, account, observed, progress, not_asked }, ctx.clock.now())
}

/// Reads the Secrets of the token and the journal; nothing in them is changed.
async fn load(ctx: &Context, account: &SpotifyAccount, namespace: &str, live: &mut Live, progress: &mut Progress) {
    live.token = None;
    progress.token = Some(match token::load(account, namespace, ctx).await {
        Ok(loaded) => {
            live.token = Some(loaded);
            live.token_view().ok_or(SecretTrouble::Cluster)
        }
        Err(trouble) => Err(trouble),
    });
    if live.journal.journal.is_none() {
        progress.journal = Some(match journal::look(ctx, account, namespace).await {
            Ok(found) => {
                live.journal.journal = Some(found);
                Ok(())
            }
            Err(trouble) => Err(trouble),
        });
    }
}

/// Whether another process has the token, or has just written its Secret; or another account's exchange is to find out
/// whether Spotify accepts the app's credentials.
fn is_contended(progress: &Progress) -> bool {
    matches!(
        progress.refresh,
        Some(
            RefreshOutcome::Claimed { .. }
                | RefreshOutcome::Conflict
                | RefreshOutcome::Superseded
                | RefreshOutcome::ClientAsked
        )
    )
}

/// Waits for a turn that is near. Answers whether it has come.
async fn wait_for_turn(ctx: &Context, until: jiff::Timestamp, started: Instant) -> bool {
    let wait = ctx.clock.timer(until.duration_since(ctx.clock.now()));
    if started.elapsed() + wait > PATIENCE {
        return false;
    }
    tokio::select! {
        () = ctx.stopping.cancelled() => false,
        () = tokio::time::sleep(wait) => true,
    }
}
