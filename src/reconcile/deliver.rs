//! Plays on their way to one target: request after request, each in its turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::services::{host_key, server_key};
use super::{credentials, maloja};
use crate::adapters::targets::{Scrobble, Service};
use crate::api::v1alpha1::ScrobbleTarget;
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::ledger::Ledger;
use crate::domain::play::Play;
use crate::plan::observed::{Lookup, TargetEntry};
use crate::plan::step::{Batch, TargetProgress};
use crate::plan::{Observed, delivery, foreign, open, target};

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
        if !may_call(ctx, &place, &mut done) {
            break;
        }
        let submission = submit(ctx, &place, &scrobbles(&place, &plays)).await;
        let submission = delivery::judged(submission, last_try);
        let goes_on = delivery::goes_on(&submission);
        done.submissions.push((plays, submission));
        if !goes_on || started.elapsed() > DELIVERY_PATIENCE {
            break;
        }
    }
    done
}

/// Sends one request and remembers for how long the host asks everybody to wait.
pub(super) async fn submit(ctx: &Context, place: &Place<'_>, scrobbles: &[Scrobble]) -> Submission {
    let submitted = place.service.submit(&ctx.http, scrobbles).await;
    if let Some(pause) = delivery::pause(place.target, &submitted) {
        let until = ctx.clock.now().saturating_add(pause).unwrap_or(jiff::Timestamp::MAX);
        ctx.services.pause(&place.host, until);
    }
    submitted.submission
}

/// Whether a request may leave now: this process is on duty and goes on, and the host asks nobody to wait.
pub(super) fn may_call(ctx: &Context, place: &Place<'_>, done: &mut TargetProgress) -> bool {
    done.paused_until = ctx.services.paused_until(&place.host, ctx.clock.now());
    done.paused_until.is_none() && ctx.tenure.holds() && !ctx.stopping.is_cancelled()
}

fn scrobbles(place: &Place<'_>, plays: &[Arc<Play>]) -> Vec<Scrobble> {
    let scrobble =
        |play: &Arc<Play>| Scrobble { timestamp: open::sent_time(place.target, play), play: play.as_ref().clone() };
    plays.iter().map(scrobble).collect()
}

/// Asks the service about the listener's credentials.
pub(super) async fn verify(ctx: &Context, place: &Place<'_>) -> Option<Delivery> {
    let unknown = || Some(Delivery::NotNow { retry_after: None, trouble: Trouble::RateLimited });
    if ctx.services.paused_until(&place.host, ctx.clock.now()).is_some() {
        return unknown();
    }
    place.service.check_credentials(&ctx.http).await
}

/// Asks the service whether somebody else has scrobbled these plays.
pub(super) async fn survey(ctx: &Context, place: &Place<'_>, plays: &[Arc<Play>]) -> Result<bool, Delivery> {
    let Some((from, to)) = foreign::span(place.target, plays.iter().map(AsRef::as_ref)) else { return Ok(false) };
    match place.service.shown(&ctx.http, from, to).await {
        None => Ok(false),
        Some(Ok(shown)) => Ok(foreign::is_found(place.target, plays.iter().map(AsRef::as_ref), &shown)),
        Some(Err(answer)) => Err(answer),
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
