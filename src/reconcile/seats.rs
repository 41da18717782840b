//! Seats of plans: taken by compare-and-swap on a plan's status, before an account is read for the first time.
//!
//! Whether there is a seat is decided on the newest form of the plan that this process knows, and the decision is written
//! over that very version. Where somebody wrote in between, the plan is read and it is decided anew. So a watch that is
//! behind, a second operator or one that was paused can delay a seat, and never grant one too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt as _;

use super::Error;
use super::context::Context;
use super::failpoint;
use crate::adapters::kube::ClusterError;
use crate::api::v1alpha1::{ScrobblePlan, ScrobblePlanStatus, SpotifyAccount};
use crate::domain::name::ObjectName;
use crate::plan::seat::{self, Admission, Applicant};
use crate::plan::seating::{self, Place, Seating};
use crate::plan::{Lookup, scrobble_plan};

/// How often a seat is asked for, or a plan's status written, against newer versions of the plan, before it is left for
/// later.
const TRIES: usize = 16;

/// What this process knows of plans besides the watch, by name.
#[derive(Default)]
pub struct Seats {
    /// Plans as last written or read: the watch may not show that yet.
    known: Mutex<HashMap<String, Arc<ScrobblePlan>>>,
    /// Who writes a plan: one pass at a time, or each would spoil the other's write.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Seats {
    /// The newest form of a plan, from what the watch shows.
    fn newest(&self, watched: Lookup<ScrobblePlan>) -> Lookup<ScrobblePlan> {
        let Lookup::Found(watched) = watched else { return watched };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&watched.name_any()).cloned();
        Lookup::Found(known.filter(|known| version(known) > version(&watched)).unwrap_or(watched))
    }

    fn keep(&self, mut plan: ScrobblePlan) {
        plan.metadata.managed_fields = None;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&plan.name_any()).is_none_or(|known| version(known) < version(&plan)) {
            known.insert(plan.name_any(), Arc::new(plan));
        }
    }

    fn forget(&self, plan: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(plan);
    }

    fn turn(&self, plan: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(plan.to_owned()).or_default())
    }
}

/// Versions grow (KEP-5504); one that is not a number counts as the oldest.
fn version(plan: &ScrobblePlan) -> u64 {
    plan.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Finds the account's place, and takes a seat where it needs one and there is one. An account that has its place costs no
/// request.
///
/// # Errors
/// The API server did not take the seat, or others wrote the plan at every try: nothing is known then.
pub(super) async fn take(ctx: &Context, account: &SpotifyAccount, name: &ObjectName) -> Result<Seating, Error> {
    let labels = ctx.catalogue.namespace_labels(&name.namespace);
    let applicant = Applicant::of(account, name);
    let newest = |plan: &str| ctx.seats.newest(ctx.catalogue.plan(plan));
    for _ in 0..TRIES {
        match seating::place(account, &applicant, labels.as_ref(), &newest, ctx.clock.now()) {
            Place::Known(seating) => return Ok(seating),
            Place::Ask(plan) => ask(ctx, &plan, &applicant).await?,
        }
    }
    Err(Error::Contended)
}

/// Finds the account's place and takes no seat; none where a plan has one for it that it has not taken.
pub(super) fn look(ctx: &Context, account: &SpotifyAccount, name: &ObjectName) -> Option<Seating> {
    let labels = ctx.catalogue.namespace_labels(&name.namespace);
    let newest = |plan: &str| ctx.seats.newest(ctx.catalogue.plan(plan));
    match seating::place(account, &Applicant::of(account, name), labels.as_ref(), &newest, ctx.clock.now()) {
        Place::Known(seating) => Some(seating),
        Place::Ask(_) => None,
    }
}

/// Asks one plan for a seat, once; what the plan says afterwards is known.
async fn ask(ctx: &Context, name: &str, applicant: &Applicant) -> Result<(), Error> {
    let turn = ctx.seats.turn(name);
    let _turn = turn.lock().await;
    // Whoever came before may have taken the last one.
    let Lookup::Found(plan) = ctx.seats.newest(ctx.catalogue.plan(name)) else { return Ok(()) };
    match seat::admit(&plan, applicant, shown(ctx, &plan), ctx.clock.now()) {
        Admission::Admitted { status, .. } => {
            failpoint::reached_by("chosen", &applicant.name.name).await;
            write(ctx, &plan, &status).await.map(|_| ())
        }
        Admission::Unneeded | Admission::Member(_) | Admission::NoSeat => Ok(()),
    }
}

/// Writes what a plan shows.
pub(super) async fn settle(ctx: &Context, plan: &ScrobblePlan) -> Result<(), Error> {
    let turn = ctx.seats.turn(&plan.name_any());
    let _turn = turn.lock().await;
    let watched = Arc::new(plan.clone());
    for _ in 0..TRIES {
        let Lookup::Found(plan) = ctx.seats.newest(Lookup::Found(Arc::clone(&watched))) else { return Ok(()) };
        let fallback = plan.spec.fallback.as_deref();
        let exists = fallback.is_none_or(|fallback| matches!(ctx.catalogue.plan(fallback), Lookup::Found(_)));
        let status = scrobble_plan::settle(&plan, exists, shown(ctx, &plan), ctx.clock.now());
        if write(ctx, &plan, &status).await? {
            return Ok(());
        }
    }
    Err(Error::Contended)
}

/// The highest number that accounts show, where the plan itself does not say which one is next.
fn shown(ctx: &Context, plan: &ScrobblePlan) -> i64 {
    let told = plan.status.as_ref().and_then(|status| status.next_number);
    if told.is_some() || !plan.spec.numbered {
        return 0;
    }
    let numbered = |account: &SpotifyAccount| {
        account.status.as_ref().and_then(|status| status.membership.as_ref()).is_some_and(|held| held.number.is_some())
    };
    let accounts = ctx.catalogue.accounts(&numbered);
    seat::shown(&plan.name_any(), accounts.iter().map(AsRef::as_ref))
}

/// Writes a plan's status over the version that it was decided on. Answers whether there is nothing left to write; where
/// somebody wrote in between, the plan was read anew.
async fn write(ctx: &Context, plan: &ScrobblePlan, status: &ScrobblePlanStatus) -> Result<bool, Error> {
    let name = ObjectName::new("", plan.name_any());
    let version = plan.metadata.resource_version.clone().unwrap_or_default();
    ctx.ensure_on_duty()?;
    let before = plan.status.as_ref();
    match ctx.cluster.change_cluster_status::<ScrobblePlan, _>(&name, &version, before, status).await {
        Ok(written) => {
            if let Some(written) = written {
                ctx.seats.keep(written);
            }
            Ok(true)
        }
        Err(ClusterError::Conflict { .. }) => {
            match ctx.cluster.read_cluster_object_again::<ScrobblePlan>(&name).await.map_err(Error::Cluster)? {
                Some(current) => ctx.seats.keep(current),
                None => ctx.seats.forget(&name.name),
            }
            Ok(false)
        }
        Err(ClusterError::NotFound { .. }) => {
            ctx.seats.forget(&name.name);
            Ok(true)
        }
        Err(source) => Err(Error::Cluster(source)),
    }
}
