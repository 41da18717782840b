//! A look at one account by somebody who is not the operator: with that person's rights, beside an operator that may be at
//! work.
//!
//! Claims fence the token off as between two operators, calls are reserved in the app's status as the operator reserves
//! them, and gates and breakers hold as status tells them. What only an operator may decide is left to it: nobody's
//! breaker moves, no seat is taken, and a token whose Secret was wiped is not exchanged.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::budgets::{self, Budgets};
use super::clients::Clients;
use super::context::{Catalogue, Clock, Context};
use super::diagnosis::{self, Looked};
use super::fault::{self, Faults};
use super::in_flight::Exchanges;
use super::live::{Live, LiveAccounts};
use super::metrics::{Build, Metrics};
use super::notifications::Notifications;
use super::seats::Seats;
use super::services::Services;
use super::standings::Standings;
use super::tenure::Tenure;
use super::traces::Traces;
use super::turns::Turns;
use super::{Error, app};
use crate::adapters::http::GuardedClient;
use crate::adapters::kube::reviews::Deed;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::adapters::spotify::Spotify;
use crate::api::v1alpha1::{GoDuration, NamespacesFrom, ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::plan::diagnosis::Diagnosis;
use crate::plan::observed::{Duty, Lookup, Settings};
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Progress, reference, seating};

/// What the operator's shortest time between two reads is where the account does not tell.
const USUAL_MINIMUM: SignedDuration = SignedDuration::from_mins(5);

/// What a look works with.
pub struct Tools {
    /// The cluster, with the rights of whoever looks.
    pub cluster: Cluster,
    /// Spotify.
    pub spotify: Spotify,
    /// HTTP to URLs that people configure; a look calls none.
    pub http: GuardedClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Names this process in claims.
    pub holder: String,
    /// An access token with less than this left is refreshed first.
    pub refresh_buffer: SignedDuration,
}

/// There is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// The account does not exist.
    #[error("SpotifyAccount {0} does not exist")]
    Missing(ObjectName),
    /// A right is missing.
    #[error(
        "you may not {action} {object}: ask for that right, or ask the operator itself, whose /diagnostics needs no more than the right to get the account"
    )]
    Forbidden {
        /// The verb.
        action: &'static str,
        /// The object.
        object: String,
    },
    /// The API server does not do what was asked.
    #[error("the API server did not do what was asked: run the command again once it does")]
    Cluster(#[source] ClusterError),
    /// The look was cut off.
    #[error("the account could not be looked at")]
    Look(#[source] Error),
}

impl GuestError {
    /// Whether a right is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }
}

/// A look that may begin.
pub struct Guest {
    ctx: Arc<Context>,
    account: Arc<SpotifyAccount>,
    name: ObjectName,
}

impl Guest {
    /// Reads the account and what it refers to.
    ///
    /// # Errors
    /// Something cannot be read, or may not.
    pub async fn of(tools: Tools, name: &ObjectName) -> Result<Self, GuestError> {
        let cluster = tools.cluster.clone();
        let account: Option<SpotifyAccount> =
            allowed(cluster.object(name).await, "get", || format!("SpotifyAccount {name}"))?;
        let account = account.ok_or_else(|| GuestError::Missing(name.clone()))?;
        let snapshot = Snapshot::of(&cluster, &account, name).await?;
        let ctx = Arc::new(context(tools, snapshot, &account));
        may_count(&ctx, &account, name).await?;
        Ok(Self { ctx, account: Arc::new(account), name: name.clone() })
    }

    /// Looks at the account.
    ///
    /// # Errors
    /// A right is missing, or the look was cut off.
    pub async fn diagnose(&self) -> Result<Diagnosis, GuestError> {
        let mut live = Live::default();
        let seating = seating::recorded(&self.account);
        let looking = diagnosis::look(&self.ctx, &mut live, &self.account, &self.name, seating, None);
        let Looked { diagnosis, progress } = Box::pin(fault::contained(looking)).await.map_err(GuestError::Look)?;
        // What the rights of whoever looks do not allow says nothing about the account.
        match missing_right(&progress) {
            Some((action, secret)) => Err(GuestError::Forbidden { action, object: format!("Secret {secret}") }),
            None => Ok(diagnosis),
        }
    }

    /// Takes no new step from here on.
    pub fn stop(&self) {
        self.ctx.stopping.cancel();
    }

    /// Waits until new tokens are stored, however long that takes.
    pub async fn finish(&self) {
        self.ctx.exchanges.finish().await;
    }
}

/// The first right that was missing.
fn missing_right(progress: &Progress) -> Option<(&'static str, &ObjectName)> {
    let loaded = progress.token.as_ref().and_then(|token| token.as_ref().err());
    let journal = progress.journal.as_ref().and_then(|journal| journal.as_ref().err());
    let refresh = match &progress.refresh {
        Some(RefreshOutcome::TokenSecret(trouble) | RefreshOutcome::ClientSecret(trouble)) => Some(trouble),
        _ => None,
    };
    loaded.into_iter().chain(refresh).chain(journal).find_map(|trouble| match trouble {
        SecretTrouble::ReadForbidden { secret } => Some(("get", secret)),
        SecretTrouble::WriteForbidden { secret } => Some(("patch", secret)),
        _ => None,
    })
}

/// Calls that nobody counts are not made.
async fn may_count(ctx: &Context, account: &SpotifyAccount, name: &ObjectName) -> Result<(), GuestError> {
    let object = account.spec.app_ref.object(&name.namespace);
    let Lookup::Found(found) = ctx.catalogue.app(&object) else { return Ok(()) };
    if account.spec.suspend || budgets::limit(&super::upstream::group(ctx, &found)).is_none() {
        return Ok(());
    }
    let deed = Deed { verb: "patch", resource: "spotifyapps", subresource: "status", object: &app::name(&found) };
    if ctx.cluster.may_self(deed).await.map_err(GuestError::Cluster)? {
        return Ok(());
    }
    let object = format!("the status of SpotifyApp {object}, in which the call is counted");
    Err(GuestError::Forbidden { action: "patch", object })
}

fn context(tools: Tools, snapshot: Snapshot, account: &SpotifyAccount) -> Context {
    let Tools { cluster, spotify, http, clock, holder, refresh_buffer } = tools;
    let interval = account.status.as_ref().and_then(|status| status.sync.as_ref()?.interval.as_ref());
    Context {
        duty: OnceLock::from(Duty { since: clock.now(), before_until: None }),
        cluster,
        spotify,
        http,
        catalogue: Arc::new(snapshot),
        clock,
        settings: Settings {
            refresh_buffer,
            // The flag is the operator's; what follows from it, and from plan and budget, is in status.
            minimum_interval: interval.map_or(USUAL_MINIMUM, GoDuration::duration),
            app_requests_per_30s: 60,
            minimum_request_interval: SignedDuration::from_mins(1),
        },
        holder,
        exchanges: Exchanges::default(),
        traces: Traces::default(),
        budgets: Budgets::default(),
        clients: Clients::default(),
        standings: Standings::default(),
        live: LiveAccounts::default(),
        // Nobody scrapes a look.
        metrics: Metrics::new(Build { version: "", revision: "", rustc: "" }),
        turns: Turns::new(1),
        faults: Faults::default(),
        notifications: Notifications::default(),
        polls: Semaphore::new(1),
        seats: Seats::default(),
        services: Services::default(),
        // It never begins: whose claim was wiped from a Secret is for an operator to find out.
        tenure: Tenure::default(),
        stopping: CancellationToken::new(),
    }
}

/// What was read of the cluster, once.
#[derive(Default)]
struct Snapshot {
    /// Older accounts that name the same token Secret.
    holders: Vec<Arc<SpotifyAccount>>,
    apps: Vec<Arc<SpotifyApp>>,
    targets: Vec<Arc<ScrobbleTarget>>,
    namespace: String,
    labels: Option<BTreeMap<String, String>>,
}

impl Snapshot {
    async fn of(cluster: &Cluster, account: &SpotifyAccount, name: &ObjectName) -> Result<Self, GuestError> {
        let namespace = &name.namespace;
        let neighbours = allowed(cluster.objects::<SpotifyAccount>(namespace).await, "list", || {
            format!("the SpotifyAccounts of namespace {namespace}")
        })?;
        let holders = neighbours.into_iter().filter(|other| reference::is_older_holder(other, account, namespace));
        let app_name = account.spec.app_ref.object(namespace);
        let app = allowed(cluster.object::<SpotifyApp>(&app_name).await, "get", || format!("SpotifyApp {app_name}"))?;
        let mut targets = Vec::new();
        for entry in &account.spec.targets {
            let target = entry.target_ref.object(namespace);
            let found = cluster.object::<ScrobbleTarget>(&target).await;
            targets.extend(allowed(found, "get", || format!("ScrobbleTarget {target}"))?.map(Arc::new));
        }
        let selects = |from: &NamespacesFrom, of: Option<&String>| {
            *from == NamespacesFrom::Selector && of.is_some_and(|of| of != namespace)
        };
        let asks = app.iter().any(|app| selects(&app.spec.allowed_namespaces.from, app.metadata.namespace.as_ref()))
            || targets.iter().any(|it| selects(&it.spec.allowed_namespaces.from, it.metadata.namespace.as_ref()));
        let labels = if asks {
            let labels = cluster.namespace_labels(namespace).await;
            Some(allowed(labels, "get", || format!("Namespace {namespace}"))?)
        } else {
            None
        };
        let apps = match app {
            Some(app) if app.spec.quota.group.is_some() => {
                let listed = cluster.objects::<SpotifyApp>(&app_name.namespace).await;
                allowed(listed, "list", || format!("the SpotifyApps of namespace {}", app_name.namespace))?
            }
            app => app.into_iter().collect(),
        };
        Ok(Self {
            holders: holders.map(Arc::new).collect(),
            apps: apps.into_iter().map(Arc::new).collect(),
            targets,
            namespace: namespace.clone(),
            labels,
        })
    }
}

fn allowed<T>(
    found: Result<T, ClusterError>,
    action: &'static str,
    object: impl Fn() -> String,
) -> Result<T, GuestError> {
    found.map_err(|error| match error {
        ClusterError::Forbidden { .. } => GuestError::Forbidden { action, object: object() },
        error => GuestError::Cluster(error),
    })
}

fn find<K: kube::Resource>(all: &[Arc<K>], name: &ObjectName) -> Lookup<K> {
    let is_it = |object: &&Arc<K>| {
        let metadata = object.meta();
        metadata.name.as_deref() == Some(name.name.as_str())
            && metadata.namespace.as_deref() == Some(name.namespace.as_str())
    };
    all.iter().find(is_it).map_or(Lookup::Missing, |object| Lookup::Found(Arc::clone(object)))
}

impl Catalogue for Snapshot {
    fn app(&self, name: &ObjectName) -> Lookup<SpotifyApp> {
        find(&self.apps, name)
    }

    fn target(&self, name: &ObjectName) -> Lookup<ScrobbleTarget> {
        find(&self.targets, name)
    }

    /// Which plan is in force is told by the account's status: whoever looks need not have the right to read plans.
    fn plan(&self, _name: &str) -> Lookup<ScrobblePlan> {
        Lookup::Missing
    }

    fn namespace_labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.labels.clone().filter(|_| namespace == self.namespace)
    }

    fn is_filled(&self) -> bool {
        true
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn wait_until_listed(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }

    fn targets(&self) -> Vec<Arc<ScrobbleTarget>> {
        self.targets.clone()
    }

    /// Not the account itself: it reserves one call, not a block for the reads to come.
    fn accounts(&self, wanted: &dyn Fn(&SpotifyAccount) -> bool) -> Vec<Arc<SpotifyAccount>> {
        self.holders.iter().filter(|account| wanted(account)).cloned().collect()
    }

    fn apps(&self, wanted: &dyn Fn(&SpotifyApp) -> bool) -> Vec<Arc<SpotifyApp>> {
        self.apps.iter().filter(|app| wanted(app)).cloned().collect()
    }
}
