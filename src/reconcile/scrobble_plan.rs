//! The controller of `ScrobblePlan`.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::DeserializeGuard;

use super::app::written;
use super::context::Context;
use super::{Action, Error, failpoint, fault, unreadable};
use crate::api::v1alpha1::ScrobblePlan;
use crate::domain::name::ObjectName;
use crate::plan::{self, Lookup};

/// One pass over a plan.
pub async fn reconcile_plan(guarded: Arc<DeserializeGuard<ScrobblePlan>>, ctx: Arc<Context>) -> Result<Action, Error> {
    fault::guarded("ScrobblePlan", &guarded, &ctx, pass(&guarded, &ctx)).await
}

async fn pass(guarded: &DeserializeGuard<ScrobblePlan>, ctx: &Arc<Context>) -> Result<Action, Error> {
    let scrobble_plan = match &guarded.0 {
        Ok(scrobble_plan) => scrobble_plan,
        Err(invalid) => {
            return unreadable::report::<ScrobblePlan>(ctx, &invalid.metadata).await.map(|()| Action::await_change());
        }
    };
    failpoint::reached_by("plan", &scrobble_plan.name_any()).await;
    let name = ObjectName::new("", scrobble_plan.name_any());
    let fallback = scrobble_plan.spec.fallback.as_deref();
    let exists = fallback.is_none_or(|fallback| matches!(ctx.catalogue.plan(fallback), Lookup::Found(_)));
    let status = plan::scrobble_plan::settle(scrobble_plan, exists, ctx.clock.now());
    let version = scrobble_plan.metadata.resource_version.clone().unwrap_or_default();
    let before = scrobble_plan.status.as_ref();
    ctx.ensure_on_duty()?;
    written(ctx.cluster.change_cluster_status::<ScrobblePlan, _>(&name, &version, before, &status).await)?;
    Ok(Action::await_change())
}
