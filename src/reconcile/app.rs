//! The controller of `SpotifyApp`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DeserializeGuard;
use kube::{Resource as _, ResourceExt as _};

use super::client;
use super::context::Context;
use super::{Action, Error, unreadable};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::events::Announcement;
use crate::api::v1alpha1::{SpotifyApp, SpotifyAppStatus};
use crate::domain::name::ObjectName;
use crate::plan::client::Standing;
use crate::plan::schedule::SECRET_POLL;
use crate::plan::{self, Lookup};

/// How often a status write is tried against newer versions of the app.
pub(super) const TRIES: usize = 8;

/// One pass over an app.
pub async fn reconcile_app(guarded: Arc<DeserializeGuard<SpotifyApp>>, ctx: Arc<Context>) -> Result<Action, Error> {
    let app = match &guarded.0 {
        Ok(app) => app,
        Err(invalid) => {
            return unreadable::report::<SpotifyApp>(&ctx, &invalid.metadata).await.map(|()| Action::await_change());
        }
    };
    let name = ObjectName::new(app.namespace().unwrap_or_default(), app.name_any());
    let secret = client::read(&ctx, app).await;
    if let Ok(found) = &secret {
        ctx.clients.looked_at(app, found, ctx.clock.now());
    }
    let secret = secret.map(|_| ());
    let users = ctx.catalogue.accounts(&|account| {
        let namespace = account.namespace().unwrap_or_default();
        let reference = &account.spec.app_ref;
        reference.name == name.name && reference.namespace_or(&namespace) == name.namespace
    });
    let accounts = i32::try_from(users.len()).unwrap_or(i32::MAX);
    record(&ctx, app, |app, standing| plan::app::settle(app, &secret, standing, accounts, ctx.clock.now())).await?;
    let refused = ctx.clients.standing(app).refused.is_some();
    Ok(next(&ctx, secret.is_err() || refused))
}

/// Tells in an app's status what Spotify says about its credentials, which were just used.
pub(super) async fn tell_standing(ctx: &Context, name: &ObjectName) -> Result<(), Error> {
    let Lookup::Found(app) = ctx.catalogue.app(name) else { return Ok(()) };
    let accounts = app.status.as_ref().map_or(0, |status| status.accounts);
    record(ctx, &app, |app, standing| plan::app::settle(app, &Ok(()), standing, accounts, ctx.clock.now())).await
}

/// Writes the status of an app with what is known of its credentials; against a newer version where somebody wrote in
/// between, as an account's pass and the app's own may.
async fn record(
    ctx: &Context,
    app: &SpotifyApp,
    settle: impl Fn(&SpotifyApp, &Standing) -> SpotifyAppStatus,
) -> Result<(), Error> {
    let name = ObjectName::new(app.namespace().unwrap_or_default(), app.name_any());
    let mut current = app.clone();
    for _ in 0..TRIES {
        let status = settle(&current, &ctx.clients.standing(&current));
        let version = current.metadata.resource_version.clone().unwrap_or_default();
        ctx.ensure_on_duty()?;
        let before = current.status.as_ref();
        match ctx.cluster.change_status::<SpotifyApp, _>(&name, &version, before, &status).await {
            Ok(_) => {
                announce(ctx, &current, &status).await;
                return Ok(());
            }
            Err(ClusterError::NotFound { .. }) => return Ok(()),
            Err(ClusterError::Conflict { .. }) => {
                let found = ctx.cluster.read_again::<SpotifyApp>(&name).await.map_err(Error::Cluster)?;
                match found.filter(|found| found.metadata.uid == app.metadata.uid) {
                    Some(found) => current = found,
                    None => return Ok(()),
                }
            }
            Err(source) => return Err(Error::Cluster(source)),
        }
    }
    Err(Error::Contended)
}

async fn announce(ctx: &Context, app: &SpotifyApp, status: &SpotifyAppStatus) {
    let before = app.status.clone().unwrap_or_default();
    announce_change(ctx, app.object_ref(&()), &before.conditions, &status.conditions).await;
}

/// Tells of what changed between the conditions of two statuses of an app or a target.
pub(super) async fn announce_change(ctx: &Context, about: ObjectReference, before: &[Condition], after: &[Condition]) {
    let Some(change) = plan::app::announcement(before, after) else { return };
    let mut about = about;
    about.resource_version = None;
    let (warning, reason, note) = (change.warning, change.reason, change.note);
    ctx.cluster.announce(&about, &Announcement { warning, reason, action: "Reconcile", note }).await;
}

/// A conflict means that the object changed: the watch brings it again.
pub(super) fn written<T>(result: Result<T, ClusterError>) -> Result<(), Error> {
    match result {
        Ok(_) | Err(ClusterError::Conflict { .. } | ClusterError::NotFound { .. }) => Ok(()),
        Err(source) => Err(Error::Cluster(source)),
    }
}

/// A Secret that is missing or wrong is looked at again within a minute; else the watch tells.
pub(super) fn next(ctx: &Context, waits: bool) -> Action {
    if waits { Action::requeue(ctx.clock.timer(SECRET_POLL)) } else { Action::await_change() }
}
