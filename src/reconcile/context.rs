//! What every pass needs: adapters, bounds, the clock, and what this process remembers between passes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::budgets::Budgets;
use super::clients::Clients;
use super::fault::Faults;
use super::in_flight::Exchanges;
use super::live::LiveAccounts;
use super::metrics::Metrics;
use super::notifications::Notifications;
use super::seats::Seats;
use super::services::Services;
use super::standings::Standings;
use super::tenure::Tenure;
use super::traces::Traces;
use super::turns::Turns;
use crate::adapters::http::GuardedClient;
use crate::adapters::kube::Cluster;
use crate::adapters::spotify::Spotify;
use crate::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::plan::observed::Duty;
use crate::plan::{Lookup, Settings};

/// The one clock through which everything waits and decides.
pub trait Clock: Send + Sync {
    /// The time that policies see.
    fn now(&self) -> Timestamp;
    /// Real time, for leases and claims.
    fn real_now(&self) -> Timestamp;
    /// How long the runtime has to wait for this much of the clock's time to pass.
    fn timer(&self, duration: SignedDuration) -> Duration;
}

/// What the watches know.
pub trait Catalogue: Send + Sync {
    /// An app.
    fn app(&self, name: &ObjectName) -> Lookup<SpotifyApp>;
    /// A target.
    fn target(&self, name: &ObjectName) -> Lookup<ScrobbleTarget>;
    /// A plan.
    fn plan(&self, name: &str) -> Lookup<ScrobblePlan>;
    /// The labels of a namespace.
    fn namespace_labels(&self, namespace: &str) -> Option<BTreeMap<String, String>>;
    /// Whether the watches have begun.
    fn is_filled(&self) -> bool;
    /// Whether it knows everything that an operator watches, and not only what one look at an account needs.
    fn is_whole(&self) -> bool {
        true
    }
    /// Waits until everything has been listed once.
    fn wait_until_listed(&self) -> futures::future::BoxFuture<'_, ()>;
    /// Every target.
    fn targets(&self) -> Vec<Arc<ScrobbleTarget>>;
    /// Every account that a predicate holds for.
    fn accounts(&self, wanted: &dyn Fn(&SpotifyAccount) -> bool) -> Vec<Arc<SpotifyAccount>>;
    /// Every app that a predicate holds for.
    fn apps(&self, wanted: &dyn Fn(&SpotifyApp) -> bool) -> Vec<Arc<SpotifyApp>>;
}

/// Everything a pass needs.
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// Spotify.
    pub spotify: Spotify,
    /// HTTP to URLs that people configure.
    pub http: GuardedClient,
    /// What the watches know.
    pub catalogue: Arc<dyn Catalogue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The operator's own bounds.
    pub settings: Settings,
    /// Who was on duty when; set once this process is.
    pub duty: OnceLock<Duty>,
    /// This process, in claims and Leases.
    pub holder: String,
    /// Exchanges in flight.
    pub exchanges: Exchanges,
    /// What this process knows of the exchanges of each token.
    pub traces: Traces,
    /// What is known of the call budgets of quota groups.
    pub budgets: Budgets,
    /// What is known of the client credentials of apps.
    pub clients: Clients,
    /// What is known of targets as a whole.
    pub standings: Standings,
    /// What this process remembers of accounts.
    pub live: LiveAccounts,
    /// Bounds how many accounts are worked on at a time, fairly between apps.
    pub turns: Turns,
    /// Passes over other objects that panicked.
    pub faults: Faults,
    /// Notices on their way.
    pub notifications: Notifications,
    /// Bounds the looks at Secrets of accounts that wait for one: all of them share it.
    pub polls: Semaphore,
    /// What this process counts.
    pub metrics: Metrics,
    /// What is known of plans and their seats.
    pub seats: Seats,
    /// What all accounts share about services.
    pub services: Services,
    /// Until when this process is sure to be on duty.
    pub tenure: Tenure,
    /// The process takes no more work.
    pub stopping: CancellationToken,
}

impl Context {
    /// Asked right before every write of a pass: whoever was paused past the Lease writes nothing any more.
    ///
    /// # Errors
    /// [`super::Error::OffDuty`].
    pub(super) fn ensure_on_duty(&self) -> Result<(), super::Error> {
        if self.tenure.holds() { Ok(()) } else { Err(super::Error::OffDuty) }
    }

    /// Who was on duty when; from now on where nothing else is known.
    pub fn duty(&self) -> Duty {
        self.duty.get().copied().unwrap_or_else(|| Duty { since: self.clock.now(), before_until: None })
    }
}
