//! The controller of `SpotifyApp`.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::DeserializeGuard;

use super::context::Context;
use super::secret_access;
use super::{Action, Error, unreadable};
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::{SecretKeyReference, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::plan;
use crate::plan::schedule::SECRET_POLL;
use crate::plan::step::SecretTrouble;

/// One pass over an app.
pub async fn reconcile_app(guarded: Arc<DeserializeGuard<SpotifyApp>>, ctx: Arc<Context>) -> Result<Action, Error> {
    let app = match &guarded.0 {
        Ok(app) => app,
        Err(invalid) => {
            return unreadable::report::<SpotifyApp>(&ctx, &invalid.metadata).await.map(|()| Action::await_change());
        }
    };
    let name = ObjectName::new(app.namespace().unwrap_or_default(), app.name_any());
    let secret = check(&ctx, &name, app.spec.client_secret_ref.as_ref(), SecretUse::Client).await;
    let users = ctx.catalogue.accounts(&|account| {
        let namespace = account.namespace().unwrap_or_default();
        let reference = &account.spec.app_ref;
        reference.name == name.name && reference.namespace_or(&namespace) == name.namespace
    });
    let accounts = i32::try_from(users.len()).unwrap_or(i32::MAX);
    let status = plan::app::settle(app, &secret, accounts, ctx.clock.now());
    let version = app.metadata.resource_version.clone().unwrap_or_default();
    ctx.ensure_on_duty()?;
    written(ctx.cluster.change_status::<SpotifyApp, _>(&name, &version, app.status.as_ref(), &status).await)?;
    Ok(next(&ctx, secret.is_err()))
}

/// Whether a Secret that an object refers to can be used.
pub(super) async fn check(
    ctx: &Context,
    object: &ObjectName,
    reference: Option<&SecretKeyReference>,
    usage: SecretUse,
) -> Result<(), SecretTrouble> {
    let Some(reference) = reference else { return Ok(()) };
    let secret = ObjectName::new(&object.namespace, &reference.name);
    secret_access::credential(&ctx.cluster, &secret, &reference.key, usage).await.map(|_| ())
}

/// A conflict means that the object changed: the watch brings it again.
pub(super) fn written<T>(result: Result<T, crate::adapters::kube::ClusterError>) -> Result<(), Error> {
    use crate::adapters::kube::ClusterError;
    match result {
        Ok(_) | Err(ClusterError::Conflict { .. } | ClusterError::NotFound { .. }) => Ok(()),
        Err(source) => Err(Error::Cluster(source)),
    }
}

/// A Secret that is missing or wrong is looked at again within a minute; else the watch tells.
pub(super) fn next(ctx: &Context, waits: bool) -> Action {
    if waits { Action::requeue(ctx.clock.timer(SECRET_POLL)) } else { Action::await_change() }
}
