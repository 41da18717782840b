//! The only place that turns steps into calls of adapters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::context::Context;
use super::exchange::{self, Exchange};
use super::live::{Live, LiveCredentials};
use super::{client, finalizer, refusal, secret_access, token};
use crate::adapters::targets::{Scrobble, Service};
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::{AccountTarget, ScrobbleTarget, SpotifyAccount, TargetType};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::play::Play;
use crate::plan::observed::{Lookup, TargetEntry};
use crate::plan::step::{Credentials, RefreshOutcome, SecretTrouble, TargetProgress};
use crate::plan::{Observed, Progress, Step, delivery, target};

/// A slow target gets no further request in a pass after this; the rest waits for the next one.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(45);

/// Takes steps, those for targets at the same time, and notes what became of them.
pub(super) async fn act(
    ctx: &Arc<Context>,
    account: &Arc<SpotifyAccount>,
    observed: &Observed,
    steps: Vec<Step>,
    live: &mut Live,
    progress: &mut Progress,
) {
    let mut entries = Vec::new();
    let mut deliveries = Vec::new();
    for step in steps {
        match step {
            Step::LoadToken => load_token(ctx, account, observed, live, progress).await,
            Step::Refresh { forced } => refresh(ctx, account, observed, live, progress, forced).await,
            Step::Identify => identify(ctx, live, progress).await,
            Step::Read => read(ctx, live, progress).await,
            Step::Prepare { entry } => entries.push(entry),
            Step::Deliver { entry, batches } => deliveries.push((entry, batches)),
        }
    }
    let prepared = join_all(entries.into_iter().map(|entry| prepare(ctx, account, observed, entry))).await;
    for (entry, result) in prepared {
        keep_credentials(live, progress, entry, result);
    }
    let live = &*live;
    let known_listener = listener(account, progress);
    let delivered = deliveries
        .into_iter()
        .map(|(entry, batches)| deliver(ctx, known_listener.as_deref(), observed, live, entry, batches));
    for (entry, done) in join_all(delivered).await {
        progress.deliveries.entry(entry).or_default().submissions.extend(done.submissions);
    }
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

async fn identify(ctx: &Context, live: &mut Live, progress: &mut Progress) {
    let answer = match access(live) {
        Some(token) => ctx.spotify.listener(token).await,
        None => ApiAnswer::Unauthorized,
    };
    if answer == ApiAnswer::Unauthorized {
        live.refuse();
    }
    progress.listener = Some(answer);
}

async fn read(ctx: &Context, live: &mut Live, progress: &mut Progress) {
    let answer = match access(live) {
        Some(token) => ctx.spotify.recently_played(token).await,
        None => ApiAnswer::Unauthorized,
    };
    match answer {
        ApiAnswer::Found(_) => {
            let time = ctx.clock.now();
            live.last_read = Some(time);
            progress.read_time = Some(time);
        }
        ApiAnswer::Unauthorized => live.refuse(),
        ApiAnswer::Forbidden(_) | ApiAnswer::RateLimited { .. } | ApiAnswer::Failed(_) => {}
    }
    progress.page = Some(answer.map(Arc::new));
}

fn access(live: &Live) -> Option<&crate::domain::token::AccessToken> {
    live.token.as_ref()?.in_use.access.as_ref().map(|access| &access.token)
}

type Prepared = Result<LiveCredentials, SecretTrouble>;

async fn prepare(ctx: &Context, account: &SpotifyAccount, observed: &Observed, entry: String) -> (String, Prepared) {
    let found = account.spec.targets.iter().zip(&observed.targets).find(|(target, _)| target.name == entry);
    let prepared = match found {
        Some((target, TargetEntry { target: Lookup::Found(service), name, .. })) => {
            credentials(ctx, &observed.namespace, target, service, name).await
        }
        _ => Err(SecretTrouble::Cluster),
    };
    (entry, prepared)
}

async fn credentials(
    ctx: &Context,
    namespace: &str,
    target: &AccountTarget,
    service: &ScrobbleTarget,
    name: &ObjectName,
) -> Prepared {
    let credential = match (&target.credentials_ref, service.spec.target_type.credentials_key()) {
        (Some(reference), Some(usual)) => {
            let secret = ObjectName::new(namespace, &reference.name);
            let key = reference.key.as_deref().unwrap_or(usual);
            Some(secret_access::credential(&ctx.cluster, &secret, key, SecretUse::Credentials).await?)
        }
        _ => None,
    };
    let signing_key = match &service.spec.webhook {
        Some(webhook) => {
            let reference = &webhook.signing_key_ref;
            let secret = ObjectName::new(&name.namespace, &reference.name);
            Some(secret_access::credential(&ctx.cluster, &secret, &reference.key, SecretUse::Target).await?)
        }
        None => None,
    };
    let target_generation = service.metadata.generation;
    Ok(LiveCredentials { target_ref: target.target_ref.clone(), target_generation, credential, signing_key })
}

fn keep_credentials(live: &mut Live, progress: &mut Progress, entry: String, prepared: Prepared) {
    let result = match prepared {
        Err(trouble) => {
            live.credentials.remove(&entry);
            Err(trouble)
        }
        Ok(fresh) => {
            let renewed = live.credentials.get(&entry).is_some_and(|known| !known.same_values(&fresh));
            live.credentials.insert(entry.clone(), fresh);
            Ok(Credentials { renewed })
        }
    };
    progress.credentials.insert(entry, result);
}

/// Sends one target's requests one after the other and stops at the first that is not taken.
async fn deliver(
    ctx: &Context,
    listener: Option<&str>,
    observed: &Observed,
    live: &Live,
    entry: String,
    batches: Vec<Vec<Arc<Play>>>,
) -> (String, TargetProgress) {
    let mut done = TargetProgress::default();
    let found = observed.targets.iter().find(|target| target.entry == entry);
    let Some(TargetEntry { target: Lookup::Found(target), name, .. }) = found else { return (entry, done) };
    let service = live.credentials.get(&entry).and_then(|credentials| service(listener, target, name, credentials));
    let Some(service) = service else {
        let answer = Delivery::NotNow { retry_after: None, trouble: Trouble::UrlRefused("it cannot be read") };
        done.submissions.extend(batches.into_iter().map(|plays| {
            let submission = Submission::all(plays.len(), &answer);
            (plays, submission)
        }));
        return (entry, done);
    };
    let turn = ctx.turns.of(name);
    let started = Instant::now();
    for plays in batches {
        let scrobbles: Vec<Scrobble> = plays
            .iter()
            .map(|play| Scrobble { timestamp: delivery::sent_time(target, play), play: play.as_ref().clone() })
            .collect();
        let submission = {
            let _turn = turn.lock().await;
            if !ctx.tenure.holds() {
                break;
            }
            service.submit(&ctx.http, &scrobbles).await.submission
        };
        let taken = match &submission {
            Submission::BatchRefused => true,
            Submission::Each(deliveries) => deliveries.iter().all(|delivery| delivery::final_mark(delivery).is_some()),
        };
        done.submissions.push((plays, submission));
        if !taken || ctx.stopping.is_cancelled() || started.elapsed() > DELIVERY_PATIENCE {
            break;
        }
    }
    (entry, done)
}

/// The listener as Spotify names them: as asked in this pass, or as known.
fn listener(account: &SpotifyAccount, progress: &Progress) -> Option<String> {
    match &progress.listener {
        Some(ApiAnswer::Found(listener)) => Some(listener.account_id.clone()),
        _ => account.status.as_ref()?.authorization.as_ref()?.spotify_account_id.clone(),
    }
}

fn service(
    listener: Option<&str>,
    scrobble_target: &ScrobbleTarget,
    name: &ObjectName,
    credentials: &LiveCredentials,
) -> Option<Service> {
    let url = target::url(scrobble_target)?;
    match scrobble_target.spec.target_type {
        TargetType::ListenBrainz => Some(Service::ListenBrainz { url, token: credentials.credential.clone()? }),
        TargetType::Webhook => Some(Service::Webhook {
            url,
            signing_key: credentials.signing_key.clone(),
            target: name.to_string(),
            listener: listener?.to_owned(),
        }),
        TargetType::Maloja => Some(Service::Maloja { url, api_key: credentials.credential.clone()? }),
        TargetType::LastFm => None,
    }
}
