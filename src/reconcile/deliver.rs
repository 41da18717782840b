//! Plays on their way to one target: request after request, each in its turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use tokio::sync::OwnedMutexGuard;
use tokio::time::error::Elapsed;

use super::context::Context;
use super::metrics::words::TargetEndpoint;
use super::services::{host_key, server_key};
use super::standings::{Calling, OwnKeys, Standings};
use super::{credentials, maloja};
use crate::adapters::http::GuardedClient;
use crate::adapters::targets::{Scrobble, Service};
use crate::api::v1alpha1::ScrobbleTarget;
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::ledger::Ledger;
use crate::domain::play::Play;
use crate::plan::observed::{Lookup, TargetEntry};
use crate::plan::step::{Batch, TargetProgress};
use crate::plan::target_standing::{Standing, Word};
use crate::plan::{Observed, delivery, foreign, open, target, target_standing};

/// A slow target gets no further request in a pass after this; the rest waits for the next one.
pub(super) const DELIVERY_PATIENCE: Duration = Duration::from_secs(45);
/// How long is waited for one's turn at a target that others are being served at.
pub(super) const TURN_PATIENCE: Duration = Duration::from_secs(20);

/// A target entry with what a request to it needs.
pub(super) struct Place<'a> {
    pub(super) attachment: [u8; 6],
    pub(super) target: &'a ScrobbleTarget,
    pub(super) service: Service,
    /// What the account's ledger tells.
    pub(super) ledger: Ledger,
    /// The account's uid.
    pub(super) account: &'a str,
    /// The server's address.
    pub(super) server: String,
    pub(super) host: String,
    /// The keys of the target's own.
    pub(super) keys: OwnKeys,
}

impl Place<'_> {
    /// Requests to the target, each of which is counted.
    pub(super) fn http(&self, ctx: &Context, endpoint: TargetEndpoint) -> GuardedClient {
        ctx.http.witnessed(ctx.metrics.target(self.target.spec.target_type, endpoint))
    }
}

/// Sends one target's requests one after the other and stops at the first that is not taken.
pub(super) async fn deliver(ctx: &Context, place: Place<'_>, batches: Vec<Batch>) -> TargetProgress {
    let mut done = TargetProgress::default();
    if place.service.needs_free_second() {
        let plays = batches.into_iter().flat_map(|batch| batch.plays).collect();
        maloja::deliver(ctx, &place, plays, &mut done).await;
        return done;
    }
    let turn = place.service.takes_turns().then(|| ctx.services.turn(&place.server));
    let started = Instant::now();
    for Batch { plays, last_try } in batches {
        let _turn = match &turn {
            None => None,
            Some(turn) => match tokio::time::timeout(TURN_PATIENCE, turn.lock()).await {
                Ok(held) => Some(held),
                Err(_) => break,
            },
        };
        let Ok(_alone) = alone(ctx, &place).await else { break };
        let Some(calling) = admit(ctx, &place, &mut done) else { break };
        let submission = submit(ctx, &place, calling, &scrobbles(&place, &plays)).await;
        let submission = delivery::judged(submission, last_try);
        let goes_on = delivery::goes_on(&submission);
        done.submissions.push((plays, submission));
        if !goes_on || started.elapsed() > DELIVERY_PATIENCE {
            break;
        }
    }
    done
}

/// Sends one request, remembers for how long the host asks everybody to wait, and notes what the answer says of the target.
pub(super) async fn submit(
    ctx: &Context,
    place: &Place<'_>,
    calling: Calling<'_>,
    scrobbles: &[Scrobble],
) -> Submission {
    let submitted = place.service.submit(&place.http(ctx, TargetEndpoint::Submit), scrobbles).await;
    let host = delivery::pause(place.target, &submitted);
    if let Some(pause) = host {
        ctx.services.pause(&place.host, later(ctx, pause));
    }
    let word = target_standing::word(place.target.spec.target_type, &submitted.submission);
    let own = match &word {
        Word::Waits { retry_after } => *retry_after,
        _ => None,
    };
    if let Some(pause) = own {
        // A receiver of webhooks speaks for itself: others at the same host go on.
        ctx.services.pause(&place.server, later(ctx, pause));
    }
    calling.ended(word, host.max(own)).await;
    submitted.submission
}

fn later(ctx: &Context, pause: SignedDuration) -> Timestamp {
    ctx.clock.now().saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// A request that may leave now: this process is on duty and goes on, nobody is asked to wait, and the target's breaker is
/// closed, or this request is the one that probes.
pub(super) fn admit<'a>(ctx: &'a Context, place: &'a Place<'_>, done: &mut TargetProgress) -> Option<Calling<'a>> {
    done.paused_until = paused_until(ctx, place);
    if done.paused_until.is_some() || !ctx.tenure.holds() || ctx.stopping.is_cancelled() {
        return None;
    }
    Standings::enter(ctx, place.target, place.account, &place.keys)
}

/// Nobody knows whether a service accepts keys that it was not asked about yet: one request at a time finds out. Fails where
/// others take too long about it.
async fn alone(ctx: &Context, place: &Place<'_>) -> Result<Option<OwnedMutexGuard<()>>, Elapsed> {
    let proven = || ctx.standings.are_proven(place.target, &place.keys);
    if proven() {
        return Ok(None);
    }
    let turn = ctx.services.turn(&format!("keys {}", place.keys.version));
    let held = tokio::time::timeout(TURN_PATIENCE, turn.lock_owned()).await?;
    Ok((!proven()).then_some(held))
}

/// Until when the service asks everybody, or all of the target, to wait.
fn paused_until(ctx: &Context, place: &Place<'_>) -> Option<Timestamp> {
    let now = ctx.clock.now();
    ctx.services.recall(&place.host, || told_pause(ctx, &place.host));
    let paused = |key: &str| ctx.services.paused_until(key, now);
    let told = ctx.standings.standing(place.target).paused_until.filter(|until| *until > now);
    paused(&place.host).max(paused(&place.server)).max(told)
}

/// Until when a host asks to wait, as the statuses of its targets tell: what a process before this one was told.
fn told_pause(ctx: &Context, host: &str) -> Option<Timestamp> {
    let of_host = |target: &ScrobbleTarget| target::url(target).is_some_and(|url| host_key(&url) == host);
    let targets = ctx.catalogue.targets();
    let told = targets.iter().filter(|target| target.spec.webhook.is_none() && of_host(target));
    told.filter_map(|target| Standing::of(target).paused_until).max()
}

fn scrobbles(place: &Place<'_>, plays: &[Arc<Play>]) -> Vec<Scrobble> {
    let scrobble =
        |play: &Arc<Play>| Scrobble { timestamp: open::sent_time(place.target, play), play: play.as_ref().clone() };
    plays.iter().map(scrobble).collect()
}

/// Asks the service about the listener's credentials.
pub(super) async fn verify(ctx: &Context, place: &Place<'_>) -> Option<Delivery> {
    let mut unsent = TargetProgress::default();
    let unknown = || Some(Delivery::NotNow { retry_after: None, trouble: Trouble::RateLimited });
    let Ok(_alone) = alone(ctx, place).await else { return unknown() };
    let Some(calling) = admit(ctx, place, &mut unsent) else { return unknown() };
    let answer = place.service.check_credentials(&place.http(ctx, TargetEndpoint::Check)).await?;
    calling.ended(word_of_question(place, &answer), asked_to_wait(&answer)).await;
    Some(answer)
}

/// Asks the service whether somebody else has scrobbled these plays.
///
/// None where the target may not be called now.
pub(super) async fn survey(ctx: &Context, place: &Place<'_>, plays: &[Arc<Play>]) -> Option<Result<bool, Delivery>> {
    let Some((from, to)) = foreign::span(place.target, plays.iter().map(AsRef::as_ref)) else { return Some(Ok(false)) };
    let mut unsent = TargetProgress::default();
    let calling = admit(ctx, place, &mut unsent)?;
    Some(match place.service.shown(&place.http(ctx, TargetEndpoint::Look), from, to).await {
        None => Ok(false),
        // The plays that follow will tell whether the service takes any.
        Some(Ok(shown)) => Ok(foreign::is_found(place.target, plays.iter().map(AsRef::as_ref), &shown)),
        Some(Err(answer)) => {
            calling.ended(word_of_question(place, &answer), asked_to_wait(&answer)).await;
            Err(answer)
        }
    })
}

/// What an answer that takes no play says about the target: a service that answers questions may still take none.
pub(super) fn word_of_question(place: &Place<'_>, answer: &Delivery) -> Word {
    match target_standing::word_of(place.target.spec.target_type, answer) {
        Word::Works => Word::Own,
        word => word,
    }
}

pub(super) fn asked_to_wait(answer: &Delivery) -> Option<SignedDuration> {
    match answer {
        Delivery::NotNow { retry_after, trouble: Trouble::RateLimited } => *retry_after,
        _ => None,
    }
}

/// What a request to a target entry needs; none where something is missing.
pub(super) fn place<'a>(
    observed: &'a Observed,
    live: &super::live::Live,
    listener: Option<&str>,
    account: &'a crate::api::v1alpha1::SpotifyAccount,
    entry: &str,
) -> Option<Place<'a>> {
    let found = observed.targets.iter().zip(&account.spec.targets).find(|(target, _)| target.entry == entry);
    let (TargetEntry { entry, target: Lookup::Found(target), name, .. }, spec) = found? else { return None };
    let url = target::url(target)?;
    let held = live.credentials.get(entry)?;
    Some(Place {
        attachment: open::attachment_id(spec, &observed.namespace),
        target,
        service: credentials::service(listener, target, name, held)?,
        ledger: account.status.as_ref().map(open::ledger).unwrap_or_default(),
        account: account.metadata.uid.as_deref().unwrap_or_default(),
        server: server_key(&url),
        host: host_key(&url),
        keys: held.own.clone(),
    })
}

/// What is told of plays that no request could be made for.
pub(super) fn unmade(batches: Vec<Batch>) -> TargetProgress {
    let answer = Delivery::NotNow { retry_after: None, trouble: Trouble::UrlRefused("it cannot be read") };
    let submissions = batches.into_iter().map(|batch| {
        let submission = Submission::all(batch.plays.len(), &answer);
        (batch.plays, submission)
    });
    TargetProgress { submissions: submissions.collect(), ..TargetProgress::default() }
}
