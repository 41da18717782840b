//! Asking Spotify for one account: whether it may be asked now, and what its answer says about the app.

use std::sync::Arc;

use jiff::Timestamp;

use super::clients::Clients;
use super::context::Context;
use super::limits::Probe;
use super::{app, budgets};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use crate::domain::answer::ApiAnswer;
use crate::domain::name::ObjectName;
use crate::plan::gate::{Asked, Limit};
use crate::plan::outage::Sign;
use crate::plan::pace::Rhythm;
use crate::plan::step::RefreshOutcome;
use crate::plan::{Lookup, Observed, Progress, Step, gate, outage};

/// What a pass holds that may ask Spotify.
#[derive(Default)]
pub(super) struct Admission {
    /// Its request is the one that finds out whether Spotify is back.
    probe: Option<Probe>,
    entered: bool,
    paced: bool,
}

/// Spotify may not be asked for an account now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    /// A gate is closed, or it is another account's turn.
    Until(Timestamp),
    /// The group's calls for the day are used up until then.
    Spent(Timestamp),
}

impl Held {
    /// Notes it for the rest of the pass.
    pub(super) fn note(self, progress: &mut Progress, account: &SpotifyAccount, observed: &Observed) {
        match self {
            Self::Until(until) => progress.held_until = Some(until),
            Self::Spent(until) => {
                let status = account.status.clone().unwrap_or_default();
                // Each comes at a time of its own, not all with the hour.
                let next = Rhythm::of(account, observed, &status).next_from(until);
                progress.held_until = Some(next);
                progress.calls_spent_until = Some(next);
            }
        }
    }
}

/// Shares the calls of the quota group of an account's app, where that is due.
pub(super) async fn look(ctx: &Context, account: &SpotifyAccount, name: &ObjectName) {
    if let Lookup::Found(app) = ctx.catalogue.app(&account.spec.app_ref.object(&name.namespace)) {
        budgets::look(ctx, &app).await;
    }
}

/// Lets a pass ask Spotify, if its steps are to.
///
/// # Errors
/// Why not, and when it is the account's turn.
pub(super) async fn enter(
    ctx: &Arc<Context>,
    account: &SpotifyAccount,
    observed: &Observed,
    steps: &[Step],
    admission: &mut Admission,
) -> Result<(), Held> {
    let asks = steps.iter().any(|step| matches!(step, Step::Refresh { .. } | Step::Identify | Step::Read));
    let calls = steps.iter().any(|step| matches!(step, Step::Identify | Step::Read));
    let Lookup::Found(app) = &observed.app else { return Ok(()) };
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    if asks && !admission.entered {
        admission.probe = Clients::approach(ctx, app, uid).map_err(Held::Until)?;
        admission.entered = true;
    }
    if calls && !admission.paced {
        ctx.clients.pace(app, uid, ctx.settings.app_requests_per_30s, ctx.clock.now()).map_err(Held::Until)?;
        admission.paced = true;
    } else if calls {
        ctx.clients.charge(app, ctx.settings.app_requests_per_30s, ctx.clock.now());
    }
    if calls {
        budgets::take(ctx, app).await.map_err(Held::Spent)?;
    }
    Ok(())
}

/// Until when Spotify may not be asked for an account, asked right before every request: another account may have met a
/// limit a moment ago.
pub(super) fn held_until(ctx: &Context, account: &SpotifyAccount, observed: &Observed) -> Option<Timestamp> {
    let Lookup::Found(app) = &observed.app else { return None };
    ctx.clients.held_until(app, account.metadata.uid.as_deref().unwrap_or_default(), ctx.clock.now())
}

/// Whether an account's request finds out whether Spotify is back: it is one, and not repeated.
pub(super) fn is_probe(ctx: &Context, account: &SpotifyAccount, observed: &Observed) -> bool {
    let Lookup::Found(app) = &observed.app else { return false };
    ctx.clients.is_probing(app, account.metadata.uid.as_deref().unwrap_or_default())
}

/// Counts one more call of a pass that was let through. Answers whether the budget has one.
pub(super) async fn charge(ctx: &Context, observed: &Observed) -> bool {
    let Lookup::Found(app) = &observed.app else { return true };
    ctx.clients.charge(app, ctx.settings.app_requests_per_30s, ctx.clock.now());
    budgets::take(ctx, app).await.is_ok()
}

/// Notes what the end of an exchange says about the app.
pub(super) async fn exchanged(ctx: &Context, account: &SpotifyAccount, observed: &Observed, outcome: &RefreshOutcome) {
    note(ctx, account, observed, outage::sign_of_exchange(outcome), gate::asked_by_exchange(outcome)).await;
}

/// Notes what an answer of the Web API says about the app.
pub(super) async fn answered<T>(ctx: &Context, account: &SpotifyAccount, observed: &Observed, answer: &ApiAnswer<T>) {
    note(ctx, account, observed, outage::sign_of_answer(answer), gate::asked_by_answer(answer)).await;
}

async fn note(ctx: &Context, account: &SpotifyAccount, observed: &Observed, sign: Sign, asked: Option<Asked>) {
    let Lookup::Found(app) = &observed.app else { return };
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let now = ctx.clock.now();
    let rate = ctx.settings.app_requests_per_30s;
    let mut changed: Vec<_> =
        ctx.clients.heard(app, uid, sign, asked, rate, now).then(|| app.clone()).into_iter().collect();
    if let Some(asked) = asked.filter(|asked| asked.limit == Limit::Quota) {
        for other in group(ctx, app).into_iter().filter(|other| other.metadata.uid != app.metadata.uid) {
            if ctx.clients.heard(&other, uid, Sign::None, Some(asked), rate, now) {
                changed.push(other);
            }
        }
    }
    for app in changed {
        // Before anybody goes on: a process that ends in a moment forgets nothing. The app's own pass makes up for a
        // write that fails.
        if let Err(error) = app::tell_standing(ctx, &app::name(&app)).await {
            let (reason, error) = (error.metric_label(), &error as &dyn std::error::Error);
            tracing::warn!(reason, error, "what is known of the app is not written yet");
        }
        ctx.clients.tell_limit(&app);
    }
}

/// The apps that share a developer account's quota with an app, as far as they say so, and the app itself.
pub(super) fn group(ctx: &Context, app: &SpotifyApp) -> Vec<Arc<SpotifyApp>> {
    let is_app = |other: &SpotifyApp| other.metadata.uid == app.metadata.uid;
    let Some(group) = app.spec.quota.group.as_ref() else {
        // Most are alone: nobody looks through all apps for each pass.
        return match ctx.catalogue.app(&app::name(app)) {
            Lookup::Found(found) if is_app(&found) => vec![found],
            Lookup::Found(_) | Lookup::Missing | Lookup::Unreadable => Vec::new(),
        };
    };
    ctx.catalogue.apps(&|other| {
        let shares = other.spec.quota.group.as_ref() == Some(group);
        is_app(other) || (shares && app.metadata.namespace == other.metadata.namespace)
    })
}
