//! What the probes look at: the Lease's loop, the watches, the stage of this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use kube::Resource as _;

use super::leader::Election;
use super::stores::StoreCatalogue;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::api::GROUP;
use crate::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use crate::plan::readiness::{self, Known, Stage};
use crate::reconcile::context::Context;

/// The loop that keeps the Lease turns within seconds: what it waits for has deadlines that are shorter than this.
const STUCK: Duration = Duration::from_mins(2);
/// Between two looks of a standby at what is served, once all is.
const LOOK: Duration = Duration::from_mins(1);

/// What the loop that gets and keeps the Lease has heard of the API server.
#[derive(Clone, Debug)]
pub struct Contact(Arc<Mutex<Heard>>);

#[derive(Debug)]
struct Heard {
    turned: Instant,
    answered: Option<Instant>,
    refused: Vec<&'static str>,
}

impl Default for Contact {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Heard { turned: Instant::now(), answered: None, refused: Vec::new() })))
    }
}

impl Contact {
    /// The loop turns.
    pub fn turns(&self) {
        self.heard().turned = Instant::now();
    }

    /// What became of a request about the Lease. `verb` is RBAC's word for it.
    pub fn note<T>(&self, verb: &'static str, answer: &Result<T, ClusterError>) {
        let mut heard = self.heard();
        if !matches!(answer, Err(ClusterError::Timeout { .. } | ClusterError::Unavailable { .. })) {
            heard.answered = Some(Instant::now());
        }
        match answer {
            // Who may write it has no more use for the right to create it.
            Ok(_) if verb != "get" => heard.refused.clear(),
            Ok(_) => heard.refused.retain(|refused| *refused != verb),
            Err(ClusterError::Forbidden { .. }) if !heard.refused.contains(&verb) => heard.refused.push(verb),
            Err(_) => {}
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers to `/livez` and `/readyz`.
#[derive(Clone)]
pub struct Probes(Arc<Parts>);

struct Parts {
    election: Election,
    ctx: Arc<Context>,
    catalogue: Arc<StoreCatalogue>,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    unserved: Option<Vec<String>>,
    told: Option<String>,
}

impl Probes {
    /// Of a process that waits for the Lease.
    pub fn new(election: Election, ctx: Arc<Context>, catalogue: Arc<StoreCatalogue>) -> Self {
        let state = Mutex::new(State { stage: Stage::StandingBy, unserved: None, told: None });
        Self(Arc::new(Parts { election, ctx, catalogue, state }))
    }

    /// From now on this is the stage.
    pub fn enter(&self, stage: Stage) {
        self.state().stage = stage;
    }

    /// `/livez`: status and text.
    pub fn live(&self) -> (StatusCode, String) {
        let Parts { election, ctx, .. } = &*self.0;
        let patience = STUCK + election.retry_period * 2;
        let turned = election.contact.heard().turned;
        match readiness::stuck(turned.elapsed(), patience, ctx.exchanges.in_flight()) {
            None => ok(),
            Some(reason) => {
                tracing::error!(reason, "not alive");
                (StatusCode::SERVICE_UNAVAILABLE, reason)
            }
        }
    }

    /// `/readyz`: status and text, a line for each reason. A change is logged.
    pub fn ready(&self) -> (StatusCode, String) {
        let reasons = readiness::hindrances(&self.known());
        let said = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let mut state = self.state();
        if state.told.as_ref() != Some(&said) {
            if said.is_empty() {
                tracing::info!("ready");
            } else {
                tracing::warn!(reason = said, "not ready");
            }
            state.told = Some(said.clone());
        }
        if said.is_empty() { ok() } else { (StatusCode::SERVICE_UNAVAILABLE, said) }
    }

    fn known(&self) -> Known {
        let Parts { election, ctx, catalogue, .. } = &*self.0;
        let (silence, refused) = {
            let heard = election.contact.heard();
            (heard.answered.map(|answered| answered.elapsed()), heard.refused.clone())
        };
        let state = self.state();
        Known {
            stage: state.stage,
            silence,
            patience: election.renew_deadline,
            // Where nothing has to be won, work goes on without the Lease.
            refused_lease: if election.elect { refused } else { Vec::new() },
            lease_namespace: election.lease.namespace.clone(),
            unserved: state.unserved.clone(),
            watches: catalogue.stores().map(|stores| stores.listed.watches()),
            exchanges: ctx.exchanges.in_flight(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for as long as this process stands by whether it could take over: whether all kinds are served.
    pub async fn look_at_definitions(&self, cluster: &Cluster) -> ! {
        loop {
            let unserved = match cluster.served_kinds().await {
                Ok(served) => Some(unserved(&served)),
                // Then it is not known, and nobody is kept from duty for it.
                Err(ClusterError::Forbidden { .. }) => Some(Vec::new()),
                Err(_) => None,
            };
            let wait = if unserved.as_ref().is_some_and(Vec::is_empty) { LOOK } else { self.0.election.retry_period };
            if unserved.is_some() {
                self.state().unserved = unserved;
            }
            tokio::time::sleep(wait).await;
        }
    }
}

fn ok() -> (StatusCode, String) {
    (StatusCode::OK, "ok".to_owned())
}

/// The definitions of those kinds of ours that are not among these.
fn unserved(served: &[String]) -> Vec<String> {
    let kinds =
        [ScrobblePlan::plural(&()), ScrobbleTarget::plural(&()), SpotifyAccount::plural(&()), SpotifyApp::plural(&())];
    let missing = kinds.iter().filter(|kind| !served.iter().any(|name| name == kind.as_ref()));
    missing.map(|kind| format!("{kind}.{GROUP}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<(), ClusterError> {
        Err(ClusterError::Forbidden { action: "try" })
    }

    #[test]
    fn every_answer_is_one_also_a_refusal() {
        for (answer, is_answer) in [
            (Ok(()), true),
            (refused(), true),
            (Err(ClusterError::NotFound { action: "try" }), true),
            (Err(ClusterError::Conflict { action: "try" }), true),
            (Err(ClusterError::Timeout { action: "try" }), false),
            (
                Err(ClusterError::Unavailable {
                    action: "try",
                    source: Box::new(kube::Error::Service("refused".into())),
                }),
                false,
            ),
        ] {
            let contact = Contact::default();
            contact.note("get", &answer);
            assert_eq!(contact.heard().answered.is_some(), is_answer, "{answer:?}");
        }
    }

    #[test]
    fn refused_verbs_are_known_until_they_are_granted() {
        let contact = Contact::default();
        let known = || contact.heard().refused.clone();
        for verb in ["get", "create", "create"] {
            contact.note(verb, &refused());
        }
        assert_eq!(known(), ["get", "create"]);
        contact.note("get", &Ok(()));
        assert_eq!(known(), ["create"]);
        contact.note("update", &Ok(()));
        assert!(known().is_empty());
    }

    #[test]
    fn what_is_not_served_is_named_by_its_definition() {
        let served = ["spotifyapps", "spotifyapps/status", "scrobbleplans"].map(str::to_owned);
        let expected = ["scrobbletargets.scrobble-operator.io", "spotifyaccounts.scrobble-operator.io"];
        assert_eq!(unserved(&served), expected);
    }
}
