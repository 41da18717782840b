//! The controller of `SpotifyApp`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DeserializeGuard;
use kube::{Resource as _, ResourceExt as _};

use super::client;
use super::context::Context;
use super::metrics::words::Controller;
use super::notifications;
use super::{Action, Error, failpoint, fault, status, unreadable};
use crate::adapters::kube::events::Announcement;
use crate::api::v1alpha1::{SpotifyApp, SpotifyAppStatus};
use crate::domain::name::ObjectName;
use crate::plan::client::Standing;
use crate::plan::schedule::SECRET_POLL;
use crate::plan::{self, Lookup, notification};

/// One pass over an app.
pub async fn reconcile_app(guarded: Arc<DeserializeGuard<SpotifyApp>>, ctx: Arc<Context>) -> Result<Action, Error> {
    Box::pin(fault::guarded(Controller::SpotifyApp, &guarded, &ctx, pass(&guarded, &ctx))).await
}

async fn pass(guarded: &DeserializeGuard<SpotifyApp>, ctx: &Arc<Context>) -> Result<Action, Error> {
    let app = match &guarded.0 {
        Ok(app) => app,
        Err(invalid) => {
            return unreadable::report::<SpotifyApp>(ctx, &invalid.metadata).await.map(|()| Action::await_change());
        }
    };
    failpoint::reached_by("app", &app.name_any()).await;
    let name = name(app);
    let secret = client::read(ctx, app).await;
    if let Ok(found) = &secret {
        ctx.clients.looked_at(app, found, ctx.clock.now());
    }
    let secret = secret.map(|_| ());
    let signing_key = notifications::key(ctx, app).await.map(|_| ());
    let users = ctx
        .catalogue
        .accounts(&|account| account.spec.app_ref.object(&account.namespace().unwrap_or_default()) == name);
    let accounts = i32::try_from(users.len()).unwrap_or(i32::MAX);
    let shortfall = ctx.budgets.shortfall(app);
    record(ctx, app, |app, standing| {
        let app = notification::key_looked_at(app, &signing_key, ctx.clock.now());
        plan::app::settle(&app, &secret, standing, accounts, shortfall.as_ref(), ctx.clock.now())
    })
    .await?;
    ctx.clients.close(app, ctx.settings.app_requests_per_30s, ctx.clock.now());
    let standing = ctx.clients.standing(app);
    let looks = next(ctx, secret.is_err() || signing_key.is_err() || standing.refused.is_some());
    let now = ctx.clock.now();
    // What waits for a gate is told as soon as it opens.
    let opens = standing.gates.closed(now).map(|(_, until)| ctx.clock.timer(until.duration_since(now)));
    Ok(opens.filter(|_| looks == Action::await_change()).map_or(looks, Action::requeue))
}

/// An app's name.
pub(super) fn name(app: &SpotifyApp) -> ObjectName {
    ObjectName::new(app.namespace().unwrap_or_default(), app.name_any())
}

/// Tells in an app's status what Spotify says about its credentials, which were just used.
pub(super) async fn tell_standing(ctx: &Context, name: &ObjectName) -> Result<(), Error> {
    let Lookup::Found(app) = ctx.catalogue.app(name) else { return Ok(()) };
    if !ctx.catalogue.is_whole() {
        return tell_gates(ctx, &app).await;
    }
    let accounts = app.status.as_ref().map_or(0, |status| status.accounts);
    let shortfall = ctx.budgets.shortfall(&app);
    let now = ctx.clock.now();
    record(ctx, &app, |app, standing| plan::app::settle(app, &Ok(()), standing, accounts, shortfall.as_ref(), now))
        .await
}

/// Tells in an app's status until when Spotify asks to wait, and nothing else.
async fn tell_gates(ctx: &Context, app: &SpotifyApp) -> Result<(), Error> {
    let of = |app: &SpotifyApp| {
        let mut status = app.status.clone().unwrap_or_default();
        ctx.clients.standing(app).gates.write_to(&mut status);
        status
    };
    status::write(ctx, app, |app| app.status.as_ref(), of).await.map(|_| ())
}

/// Tells in an app's status what a try to send a notice has shown of its webhook. A write that fails is made up for by
/// the next try or notice.
pub(super) async fn tell_tried(ctx: &Context, app: &SpotifyApp, outcome: &notification::Outcome) {
    let settle =
        |app: &SpotifyApp, _: &Standing| notification::tried(app, outcome, ctx.clock.now()).status.unwrap_or_default();
    if let Err(error) = record(ctx, app, settle).await {
        let (reason, error) = (error.metric_label(), &error as &dyn std::error::Error);
        tracing::warn!(reason, error, "what is known of the webhook is not written yet");
    }
}

/// Writes the status of an app with what is known of its credentials; against a newer version where somebody wrote in
/// between, as an account's pass and the app's own may.
async fn record(
    ctx: &Context,
    app: &SpotifyApp,
    settle: impl Fn(&SpotifyApp, &Standing) -> SpotifyAppStatus,
) -> Result<(), Error> {
    let of = |app: &SpotifyApp| settle(app, &ctx.clients.standing(app));
    if let Some((before, status)) = status::write(ctx, app, |app| app.status.as_ref(), of).await? {
        announce(ctx, &before, &status).await;
    }
    Ok(())
}

async fn announce(ctx: &Context, app: &SpotifyApp, status: &SpotifyAppStatus) {
    let before = app.status.clone().unwrap_or_default();
    let about = app.object_ref(&());
    announce_change(ctx, about.clone(), &before.conditions, &status.conditions).await;
    if let Some(change) = notification::announcement(&before, status) {
        tell(ctx, about, change).await;
    }
}

/// Tells of what changed between the conditions of two statuses of an app or a target.
pub(super) async fn announce_change(ctx: &Context, about: ObjectReference, before: &[Condition], after: &[Condition]) {
    if let Some(change) = plan::app::announcement(before, after) {
        tell(ctx, about, change).await;
    }
}

async fn tell(ctx: &Context, about: ObjectReference, change: plan::Announcement) {
    let plan::Announcement { warning, reason, note } = change;
    let about = ObjectReference { resource_version: None, ..about };
    ctx.cluster.announce(&about, &Announcement { warning, reason, action: "Reconcile", note }).await;
}

/// A Secret that is missing or wrong is looked at again within a minute; else the watch tells.
pub(super) fn next(ctx: &Context, waits: bool) -> Action {
    if waits { Action::requeue(ctx.clock.timer(SECRET_POLL)) } else { Action::await_change() }
}
