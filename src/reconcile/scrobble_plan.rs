//! The controller of `ScrobblePlan`.

use std::sync::Arc;

use kube::core::DeserializeGuard;

use super::context::Context;
use super::{Action, Error, seats, unreadable};
use crate::api::v1alpha1::ScrobblePlan;

/// One pass over a plan.
pub async fn reconcile_plan(guarded: Arc<DeserializeGuard<ScrobblePlan>>, ctx: Arc<Context>) -> Result<Action, Error> {
    match &guarded.0 {
        Ok(scrobble_plan) => seats::settle(&ctx, scrobble_plan).await?,
        Err(invalid) => unreadable::report::<ScrobblePlan>(&ctx, &invalid.metadata).await?,
    }
    Ok(Action::await_change())
}
