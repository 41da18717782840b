//! The controller of `ScrobblePlan`.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::DeserializeGuard;

use super::context::Context;
use super::metrics::words::Controller;
use super::{Action, Error, failpoint, fault, seats, unreadable};
use crate::api::v1alpha1::ScrobblePlan;

/// One pass over a plan.
pub async fn reconcile_plan(guarded: Arc<DeserializeGuard<ScrobblePlan>>, ctx: Arc<Context>) -> Result<Action, Error> {
    Box::pin(fault::guarded(Controller::ScrobblePlan, &guarded, &ctx, pass(&guarded, &ctx))).await
}

async fn pass(guarded: &DeserializeGuard<ScrobblePlan>, ctx: &Arc<Context>) -> Result<Action, Error> {
    match &guarded.0 {
        Ok(scrobble_plan) => {
            failpoint::reached_by("plan", &scrobble_plan.name_any()).await;
            seats::settle(ctx, scrobble_plan).await?;
        }
        Err(invalid) => unreadable::report::<ScrobblePlan>(ctx, &invalid.metadata).await?,
    }
    Ok(Action::await_change())
}
