//! The controller of `ScrobbleTarget`.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::DeserializeGuard;

use super::app::{check, next, written};
use super::context::Context;
use super::{Action, Error, failpoint, fault, unreadable};
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::ScrobbleTarget;
use crate::domain::name::ObjectName;
use crate::plan;

/// One pass over a target.
pub async fn reconcile_target(
    guarded: Arc<DeserializeGuard<ScrobbleTarget>>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    fault::guarded("ScrobbleTarget", &guarded, &ctx, pass(&guarded, &ctx)).await
}

async fn pass(guarded: &DeserializeGuard<ScrobbleTarget>, ctx: &Arc<Context>) -> Result<Action, Error> {
    let target = match &guarded.0 {
        Ok(target) => target,
        Err(invalid) => {
            return unreadable::report::<ScrobbleTarget>(ctx, &invalid.metadata).await.map(|()| Action::await_change());
        }
    };
    failpoint::reached_by("target", &target.name_any()).await;
    let name = ObjectName::new(target.namespace().unwrap_or_default(), target.name_any());
    let mut secrets = Ok(());
    for reference in target.spec.own_keys() {
        secrets = secrets.and(check(ctx, &name, Some(reference), SecretUse::Target).await);
    }
    let users = ctx.catalogue.accounts(&|account| {
        let namespace = account.namespace().unwrap_or_default();
        account.spec.targets.iter().any(|entry| {
            entry.target_ref.name == name.name && entry.target_ref.namespace_or(&namespace) == name.namespace
        })
    });
    let accounts = i32::try_from(users.len()).unwrap_or(i32::MAX);
    let status = plan::target::settle(target, &secrets, accounts, ctx.clock.now());
    let version = target.metadata.resource_version.clone().unwrap_or_default();
    ctx.ensure_on_duty()?;
    written(ctx.cluster.change_status::<ScrobbleTarget, _>(&name, &version, target.status.as_ref(), &status).await)?;
    Ok(next(ctx, secrets.is_err()))
}
