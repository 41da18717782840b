//! The controller of `ScrobbleTarget`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::core::DeserializeGuard;
use kube::{Resource as _, ResourceExt as _};

use super::app::announce_change;
use super::context::Context;
use super::metrics::words::Controller;
use super::{Action, Error, credentials, failpoint, fault, status, unreadable};
use crate::api::v1alpha1::{ScrobbleTarget, ScrobbleTargetStatus};
use crate::domain::name::ObjectName;
use crate::plan::schedule::SECRET_POLL;
use crate::plan::target_standing::Standing;
use crate::plan::{self, Lookup};

/// One pass over a target.
pub async fn reconcile_target(
    guarded: Arc<DeserializeGuard<ScrobbleTarget>>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    Box::pin(fault::guarded(Controller::ScrobbleTarget, &guarded, &ctx, pass(&guarded, &ctx))).await
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
    let users = ctx.catalogue.accounts(&|account| {
        let namespace = account.namespace().unwrap_or_default();
        account.spec.targets.iter().any(|entry| entry.target_ref.object(&namespace) == name)
    });
    let accounts = i32::try_from(users.len()).unwrap_or(i32::MAX);
    let keys = credentials::own_keys(ctx, &name, target).await;
    if let Ok(keys) = &keys {
        ctx.standings.looked_at(target, keys, accounts, ctx.clock.now());
    }
    let secrets = keys.map(|_| ());
    record(ctx, target, |target, standing| plan::target::settle(target, &secrets, standing, accounts, ctx.clock.now()))
        .await?;
    let standing = ctx.standings.standing(target);
    Ok(next(ctx, secrets.is_err() || standing.breaker.is_some(), &standing))
}

/// Tells in a target's status what was just learned about its service.
pub(super) async fn tell_standing(ctx: &Context, name: &ObjectName) -> Result<(), Error> {
    let Lookup::Found(target) = ctx.catalogue.target(name) else { return Ok(()) };
    let accounts = target.status.as_ref().map_or(0, |status| status.accounts);
    record(ctx, &target, |target, standing| plan::target::settle(target, &Ok(()), standing, accounts, ctx.clock.now()))
        .await
}

/// Writes the status of a target with what is known of its service; against a newer version where somebody wrote in
/// between, as an account's pass and the target's own may.
async fn record(
    ctx: &Context,
    target: &ScrobbleTarget,
    settle: impl Fn(&ScrobbleTarget, &Standing) -> ScrobbleTargetStatus,
) -> Result<(), Error> {
    let of = |target: &ScrobbleTarget| settle(target, &ctx.standings.standing(target));
    if let Some((target, status)) = status::write(ctx, target, |target| target.status.as_ref(), of).await? {
        let before = target.status.as_ref().map_or(&[][..], |status| &status.conditions);
        announce_change(ctx, target.object_ref(&()), before, &status.conditions).await;
    }
    Ok(())
}

/// Secrets that are wrong, or may be replaced, are looked at again within a minute; a rate limit is taken back when it is
/// over; else the watch tells.
fn next(ctx: &Context, polls: bool, standing: &Standing) -> Action {
    let now = ctx.clock.now();
    let left = |until: Timestamp| until.duration_since(now).max(SignedDuration::from_secs(1));
    let paused = standing.paused_until.filter(|until| *until > now).map(left);
    let wait = paused.into_iter().chain(polls.then_some(SECRET_POLL)).min();
    wait.map_or_else(Action::await_change, |wait| Action::requeue(ctx.clock.timer(wait)))
}
