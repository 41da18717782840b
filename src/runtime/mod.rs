//! Wiring, and the order of start and stop.
//!
//! Start: probes, then the Lease, then watches and controllers. Stop: no new pass, running passes end, exchanges are
//! committed however long that takes, the Lease is given back.

pub mod clock;
pub mod controllers;
pub mod http;
pub mod leader;
pub mod listing;
mod members;
mod metrics;
pub mod probes;
pub mod stores;
pub mod telemetry;
pub mod triggers;
mod watches;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::SignedDuration;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::adapters::http::{AllowedRanges, GuardedClient, build_open_client};
use crate::adapters::kube::{Cluster, build_client};
use crate::adapters::spotify::Spotify;
use crate::plan::observed::Duty;
use crate::plan::readiness::Stage;
use crate::reconcile::budgets::Budgets;
use crate::reconcile::clients::Clients;
use crate::reconcile::context::{Clock, Context};
use crate::reconcile::fault::Faults;
use crate::reconcile::in_flight::Exchanges;
use crate::reconcile::live::LiveAccounts;
use crate::reconcile::metrics::Metrics;
use crate::reconcile::metrics::words::Controller;
use crate::reconcile::notifications::{self, Notifications};
use crate::reconcile::seats::Seats;
use crate::reconcile::services::Services;
use crate::reconcile::standings::Standings;
use crate::reconcile::tenure::Tenure;
use crate::reconcile::traces::Traces;
use crate::reconcile::turns::Turns;
use clock::OperatorClock;
use http::diagnostics::{self, Desk};
use leader::Election;
use probes::Probes;
use stores::StoreCatalogue;
use triggers::Changes;

/// After SIGTERM, running passes take no new step once this is over; what is left is for exchanges and the Lease.
const PASSES_END: Duration = Duration::from_secs(12);

/// For so long the steps are waited for that were taken before that. With what notices, the Lease and traces may take, the
/// process ends within 25 s, unless tokens are not stored.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// Accounts that wait for a Secret are looked at so many at a time.
const POLLS: usize = 4;

/// Everything that flags say.
pub struct Configuration {
    /// The kubeconfig; none: the cluster the process runs in, or the usual places.
    pub kubeconfig: Option<std::path::PathBuf>,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// Base URL of Spotify's accounts service.
    pub spotify_accounts_url: Url,
    /// Base URL of Spotify's Web API.
    pub spotify_api_url: Url,
    /// Where probes are served.
    pub http_address: SocketAddr,
    /// How many accounts are worked on at the same time.
    pub concurrency: u16,
    /// An access token with less than this left is refreshed first.
    pub refresh_buffer: SignedDuration,
    /// The shortest time between two reads of one account.
    pub minimum_interval: SignedDuration,
    /// So many calls of one app may be sent to the Web API in 30 seconds.
    pub app_requests_per_30s: u32,
    /// The shortest time between two requests of one account that are granted.
    pub minimum_request_interval: SignedDuration,
    /// Private ranges that targets may be in.
    pub allowed_ranges: AllowedRanges,
    /// How the Lease is held.
    pub election: Election,
    /// For how many accounts `/metrics` has series of their own; none for no account.
    pub account_metrics: Option<usize>,
    /// The clock.
    pub clock: OperatorClock,
}

/// The operator cannot start, or has to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No way to the cluster.
    #[error("the cluster's configuration cannot be read")]
    Cluster(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No TLS.
    #[error("the platform's certificates cannot be loaded")]
    Certificates(#[source] reqwest::Error),
    /// The address of the probes.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be caught.
    #[error("signals cannot be caught")]
    Signals(#[source] std::io::Error),
    /// The Lease is somebody else's.
    #[error("the Lease was lost: somebody else is on duty")]
    LeaseLost,
}

/// Runs the operator until SIGTERM or SIGINT, or until the Lease is lost.
///
/// # Errors
/// See [`RunError`].
pub async fn run(configuration: Configuration) -> Result<(), RunError> {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let mut configuration = configuration;
    let counted = Metrics::new(metrics::BUILD);
    let client = metrics::client(kube_configuration(configuration.kubeconfig.as_deref(), None).await?, &counted)?;
    let lease = &mut configuration.election.lease;
    if lease.namespace.is_empty() {
        client.default_namespace().clone_into(&mut lease.namespace);
    }
    let clock: Arc<dyn Clock> = Arc::new(configuration.clock);
    let catalogue = Arc::new(StoreCatalogue::default());
    let cluster = Cluster::new(client.clone(), configuration.election.holder.clone());
    let ctx = Arc::new(Context {
        budgets: Budgets::default(),
        clients: Clients::default(),
        standings: Standings::default(),
        cluster: cluster.clone(),
        spotify: Spotify::new(
            build_open_client().map_err(RunError::Certificates)?,
            configuration.spotify_accounts_url,
            configuration.spotify_api_url,
        ),
        http: GuardedClient::new(&configuration.allowed_ranges).map_err(RunError::Certificates)?,
        catalogue: Arc::<StoreCatalogue>::clone(&catalogue),
        clock: Arc::clone(&clock),
        settings: crate::plan::Settings {
            refresh_buffer: configuration.refresh_buffer,
            minimum_interval: configuration.minimum_interval,
            app_requests_per_30s: configuration.app_requests_per_30s,
            minimum_request_interval: configuration.minimum_request_interval,
        },
        duty: OnceLock::new(),
        holder: configuration.election.holder.clone(),
        exchanges: Exchanges::default(),
        traces: Traces::default(),
        live: LiveAccounts::default(),
        metrics: counted,
        turns: Turns::new(configuration.concurrency),
        faults: Faults::default(),
        notifications: Notifications::default(),
        polls: Semaphore::new(POLLS),
        seats: Seats::default(),
        services: Services::default(),
        tenure: Tenure::default(),
        stopping: CancellationToken::new(),
    });
    ctx.metrics.passes.bound(Controller::SpotifyAccount, usize::from(configuration.concurrency));
    let metrics = metrics::routes(&ctx, &catalogue, configuration.account_metrics);
    let address = configuration.http_address;
    let server_stop = CancellationToken::new();
    let probes = Probes::new(configuration.election.clone(), Arc::clone(&ctx), Arc::clone(&catalogue));
    let lease = configuration.election.lease.clone();
    let desk = Desk::new(Arc::clone(&ctx), Arc::clone(&catalogue), lease);
    let pages = metrics.merge(diagnostics::routes(desk));
    let mut server = tokio::spawn(http::serve(address, probes.clone(), pages, server_stop.clone()));

    let work = on_duty(
        &configuration.election,
        configuration.clock,
        &ctx,
        &catalogue,
        &probes,
        &stop,
        configuration.namespaces,
        client,
    );
    tokio::pin!(work);
    let outcome = tokio::select! {
        ended = &mut work => ended,
        served = &mut server => {
            // Exchanges in flight are committed before the process ends.
            stop.cancel();
            let ended = work.await;
            match served {
                Ok(Err(source)) => Err(RunError::Listen { address, source }),
                _ => ended,
            }
        }
    };
    server_stop.cancel();
    outcome
}

#[expect(clippy::too_many_arguments, reason = "the parts of one process, wired once")]
async fn on_duty(
    election: &Election,
    clock: OperatorClock,
    ctx: &Arc<Context>,
    catalogue: &Arc<StoreCatalogue>,
    probes: &Probes,
    stop: &CancellationToken,
    namespaces: Vec<String>,
    client: Client,
) -> Result<(), RunError> {
    let mut held = tokio::select! {
        held = election.acquire(&ctx.cluster, &clock, stop) => match held {
            Some(held) => held,
            None => return Ok(()),
        },
        never = probes.look_at_definitions(&ctx.cluster) => never,
    };
    probes.enter(Stage::OnDuty);
    let duty = Duty { since: clock.now(), before_until: held.before_until.map(|until| clock.convert(until)) };
    let _ = ctx.duty.set(duty);
    ctx.tenure.begins();
    tracing::info!(since = %duty.since, before_until = ?duty.before_until.map(|time| time.to_string()), "on duty");
    let passes_stop = stop.child_token();
    let running = controllers::run(
        client,
        namespaces,
        Arc::clone(ctx),
        Arc::clone(catalogue),
        Changes::default(),
        passes_stop.clone(),
    );
    // A process whose controllers have ended, be it by a panic, is of no use to anybody.
    let end = stop.clone().drop_guard();
    let controllers = tokio::spawn(async move {
        let _end = end;
        running.await;
    });
    let passes = controllers.abort_handle();
    let no_more_notices = CancellationToken::new();
    let notices = tokio::spawn(notifications::run(Arc::clone(ctx), no_more_notices.clone()));
    let kept = election.keep(&ctx.cluster, &clock, &mut held, &ctx.tenure, stop).await;
    let off_duty = clock.real_now();
    passes_stop.cancel();
    probes.enter(Stage::Stopping);
    if !kept {
        ctx.tenure.ends();
        // Somebody else may be on duty in a moment: passes end where they are, exchanges are committed all the same.
        passes.abort();
        notices.abort();
        finish(ctx, controllers).await;
        return Err(RunError::LeaseLost);
    }
    let finished = CancellationToken::new();
    let keeping = async {
        let kept = election.keep(&ctx.cluster, &clock, &mut held, &ctx.tenure, &finished).await;
        if !kept {
            ctx.tenure.ends();
            passes.abort();
        }
        kept
    };
    let finishing = async {
        finish(ctx, controllers).await;
        no_more_notices.cancel();
        let _ = notices.await;
        finished.cancel();
    };
    let kept = tokio::join!(keeping, finishing).0;
    // Nobody works on without the Lease.
    passes.abort();
    if kept {
        election.release(&ctx.cluster, held, off_duty).await;
    }
    Ok(())
}

/// Lets running passes end, then waits for exchanges: a new token is stored before the process ends.
async fn finish(ctx: &Arc<Context>, controllers: tokio::task::JoinHandle<()>) {
    let hurry = {
        let stopping = ctx.stopping.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PASSES_END).await;
            stopping.cancel();
        })
    };
    if tokio::time::timeout(PASSES_END + LAST_STEPS, controllers).await.is_err() {
        tracing::warn!("some passes did not end in time; what they did is recognised later");
    }
    hurry.abort();
    let waiting = async {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            tracing::warn!(
                exchanges = ctx.exchanges.in_flight(),
                "new tokens are not stored yet; staying until they are"
            );
        }
    };
    tokio::select! {
        () = ctx.exchanges.finish() => {}
        () = waiting => {}
    }
}

/// Waits for SIGTERM or SIGINT; for ever where they cannot be caught.
pub async fn asked_to_stop() {
    let stop = CancellationToken::new();
    match stop_on_signal(stop.clone()) {
        Ok(()) => stop.cancelled().await,
        Err(_) => std::future::pending().await,
    }
}

fn stop_on_signal(stop: CancellationToken) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        stop.cancel();
    });
    Ok(())
}

/// A client by a kubeconfig file and one of its contexts. Without a file: the one in use, which `KUBECONFIG` may name; and
/// without a context either, where there is no such file: the cluster that the process runs in.
///
/// # Errors
/// [`RunError::Cluster`].
pub async fn client(kubeconfig: Option<&std::path::Path>, context: Option<&str>) -> Result<Client, RunError> {
    let configuration = kube_configuration(kubeconfig, context).await?;
    build_client(configuration).map_err(|error| RunError::Cluster(Box::new(error)))
}

/// How the cluster is reached, as [`client`] takes it.
async fn kube_configuration(
    kubeconfig: Option<&std::path::Path>,
    context: Option<&str>,
) -> Result<kube::Config, RunError> {
    let failed = |error: KubeconfigError| RunError::Cluster(described(error));
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    match (kubeconfig, context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)
        }
        (None, Some(_)) => kube::Config::from_kubeconfig(&options).await.map_err(failed),
        (None, None) => kube::Config::infer().await.map_err(|error| RunError::Cluster(described(error))),
    }
}

/// A kubeconfig that cannot be parsed would be quoted, and tokens are in it.
fn described(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if matches!(inner.downcast_ref(), Some(KubeconfigError::Parse(_))) {
            return "the file is not the YAML of a kubeconfig".into();
        }
        cause = inner.source();
    }
    Box::new(error)
}
