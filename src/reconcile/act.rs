//! The only place that turns steps into calls of adapters.

use std::sync::Arc;

use futures::future::join_all;
use tracing::Instrument as _;

use super::context::Context;
use super::exchange::{self, Exchange};
use super::live::Live;
use super::metrics::words::{Class, SpotifyEndpoint};
use super::serve::serve;
use super::{client, credentials, finalizer, journal, observe, refusal, spans, token, upstream};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::ApiAnswer;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Observed, Progress, Step, attempt};

/// Takes steps, those for targets at the same time, and notes what became of them. Targets are served for as long as
/// `goes_on` says so.
pub(super) async fn act(
    ctx: &Arc<Context>,
    account: &Arc<SpotifyAccount>,
    observed: &Observed,
    steps: Vec<Step>,
    live: &mut Live,
    progress: &mut Progress,
    goes_on: &(dyn Fn() -> bool + Sync),
) {
    let mut entries = Vec::new();
    let mut served = Vec::new();
    for step in steps {
        match step {
            Step::LoadToken => load_token(ctx, account, observed, live, progress).await,
            Step::Refresh { forced } => refresh(ctx, account, observed, live, progress, forced).await,
            Step::Identify => identify(ctx, account, observed, live, progress, goes_on).await,
            Step::Read => read(ctx, account, observed, live, progress, goes_on).await,
            Step::LoadJournal => load_journal(ctx, account, observed, live, progress).await,
            Step::Prepare { entry } => entries.push(entry),
            Step::Place { entry } => place(progress, &entry),
            Step::Verify { .. } | Step::Survey { .. } | Step::Deliver { .. } => served.push(step),
        }
    }
    let prepared = join_all(entries.into_iter().map(|entry| credentials::prepare(ctx, account, observed, entry))).await;
    for (entry, result) in prepared {
        credentials::keep(ctx, account, live, progress, entry, result);
    }
    serve(ctx, account, observed, served, live, progress, goes_on).await;
}

async fn load_journal(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    live: &mut Live,
    progress: &mut Progress,
) {
    let loaded = journal::load(ctx, account, &observed.namespace, live).await;
    if loaded.is_ok() {
        // Whether something got through since is not known after a restart: one more has to.
        for target in &observed.targets {
            note_overtaken(ctx, observed, live, &target.entry);
        }
    }
    progress.journal = Some(loaded);
}

/// Another track had the second of a play: it is tried again when something else has got through there.
pub(super) fn note_overtaken(ctx: &Context, observed: &Observed, live: &mut Live, entry: &str) {
    if let Some(server) = observed.targets.iter().find(|target| target.entry == entry).and_then(observe::server) {
        live.overtaken.insert(entry.to_owned(), ctx.services.successes(&server));
    }
}

/// Takes chosen seconds up, to be written down with the status before anything is sent to them.
fn place(progress: &mut Progress, entry: &str) {
    let Some(done) = progress.deliveries.get_mut(entry) else { return };
    done.placings += 1;
    let chosen = std::mem::take(&mut done.chosen);
    done.placed = chosen.iter().map(|(play, _)| Arc::clone(play)).collect();
    progress.seconds.extend(chosen.into_iter().map(|(play, second)| (entry.to_owned(), play, second)));
}

async fn load_token(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    live: &mut Live,
    progress: &mut Progress,
) {
    live.token = None;
    let load = || token::load(account, &observed.namespace, ctx);
    progress.token = Some(match refusal::confirmed(account, load).await {
        Ok(loaded) => {
            // A process that was killed, or an API server that was away, may have come between Secret and finalizer.
            if loaded.state.is_some() {
                live.keep_written(finalizer::ensure(ctx, account, &observed.namespace).await);
            }
            live.token = Some(loaded);
            live.token_view().ok_or(SecretTrouble::Cluster)
        }
        Err(trouble) => Err(trouble),
    });
}

async fn refresh(
    ctx: &Arc<Context>,
    account: &Arc<SpotifyAccount>,
    observed: &Observed,
    live: &mut Live,
    progress: &mut Progress,
    forced: bool,
) {
    if is_held(ctx, account, observed, progress) {
        return;
    }
    if forced {
        progress.forced = true;
        progress.page = None;
        progress.listener = None;
    }
    let outcome = match live.token.take() {
        None => RefreshOutcome::Conflict,
        Some(held) => match client::admit(ctx, account, observed, &held.in_use.view).await {
            Err(outcome) => outcome,
            Ok(admitted) => {
                let app = admitted.credentials.clone();
                let exchange =
                    Exchange { account: Arc::clone(account), namespace: observed.namespace.clone(), app, token: held };
                let exchanged = exchange::refresh(ctx, exchange).await;
                admitted.ended(ctx, observed, &exchanged.outcome).await;
                upstream::exchanged(ctx, account, observed, &exchanged.outcome).await;
                live.token = exchanged.token;
                live.keep_written(exchanged.account);
                // What humans wrote into Secrets meanwhile is seen with the refresh, at the latest. What was read in this
                // pass is new enough.
                live.credentials.retain(|entry, _| progress.credentials.contains_key(entry));
                exchanged.outcome
            }
        },
    };
    progress.refresh = Some(outcome);
}

async fn identify(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    live: &mut Live,
    progress: &mut Progress,
    goes_on: &(dyn Fn() -> bool + Sync),
) {
    if is_held(ctx, account, observed, progress) {
        return;
    }
    let answer = match access(live) {
        Some(token) => {
            ask(ctx, account, observed, goes_on, || {
                ctx.metrics.spotify(SpotifyEndpoint::Me).counted(ctx.spotify.listener(token), Class::of_answer)
            })
            .await
        }
        None => ApiAnswer::Unauthorized,
    };
    if answer == ApiAnswer::Unauthorized {
        live.refuse();
    }
    upstream::answered(ctx, account, observed, &answer).await;
    progress.listener = Some(answer);
}

async fn read(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    live: &mut Live,
    progress: &mut Progress,
    goes_on: &(dyn Fn() -> bool + Sync),
) {
    if is_held(ctx, account, observed, progress) {
        return;
    }
    let span = spans::read();
    let answer = match access(live) {
        Some(token) => {
            let asking = ask(ctx, account, observed, goes_on, || {
                ctx.metrics
                    .spotify(SpotifyEndpoint::RecentlyPlayed)
                    .counted(ctx.spotify.recently_played(token), Class::of_answer)
            });
            asking.instrument(span.clone()).await
        }
        None => ApiAnswer::Unauthorized,
    };
    spans::has_read(&span, &answer);
    drop(span);
    match answer {
        ApiAnswer::Found(_) => {
            let time = ctx.clock.now();
            live.last_read = Some(time);
            progress.read_time = Some(time);
        }
        ApiAnswer::Unauthorized => live.refuse(),
        ApiAnswer::Forbidden(_) | ApiAnswer::RateLimited { .. } | ApiAnswer::Failed(_) => {}
    }
    upstream::answered(ctx, account, observed, &answer).await;
    progress.page = Some(answer.map(Arc::new));
}

/// Whether Spotify may not be asked any more in this pass.
fn is_held(ctx: &Context, account: &SpotifyAccount, observed: &Observed, progress: &mut Progress) -> bool {
    progress.held_until = upstream::held_until(ctx, account, observed);
    progress.held_until.is_some()
}

/// One request to the Web API, tried more than once where that may help at once. The waits in between are short, and end
/// with the process; nothing that anybody asked for is waited for here.
async fn ask<T, F: Future<Output = ApiAnswer<T>>>(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    goes_on: &(dyn Fn() -> bool + Sync),
    request: impl Fn() -> F,
) -> ApiAnswer<T> {
    let tries = if upstream::is_probe(ctx, account, observed) { 1 } else { attempt::tries(account.status.as_ref()) };
    let mut made = 0;
    loop {
        let answer = request().await;
        made += 1;
        let jitter = rand::random_range(0..=attempt::LONGEST_JITTER_MS);
        let Some(wait) = attempt::wait(&answer, made, tries, jitter) else { return answer };
        tokio::select! {
            () = ctx.stopping.cancelled() => return answer,
            () = tokio::time::sleep(ctx.clock.timer(wait)) => {}
        }
        let may_ask = goes_on() && upstream::held_until(ctx, account, observed).is_none();
        if !may_ask || !upstream::charge(ctx, observed).await {
            return answer;
        }
    }
}

fn access(live: &Live) -> Option<&crate::domain::token::AccessToken> {
    live.token.as_ref()?.in_use.access.as_ref().map(|access| &access.token)
}

/// The listener as Spotify names them: as asked in this pass, or as known.
pub(super) fn listener(account: &SpotifyAccount, progress: &Progress) -> Option<String> {
    match &progress.listener {
        Some(ApiAnswer::Found(listener)) => Some(listener.account_id.clone()),
        _ => account.status.as_ref()?.authorization.as_ref()?.spotify_account_id.clone(),
    }
}
