//! Requests (`reconcile-requested-at`) that come too often: acknowledged, and not granted.

use std::sync::Arc;

use jiff::SignedDuration;

use super::context::Context;
use super::live::Live;
use super::{Error, budgets, record};
use crate::api::RECONCILE_REQUESTED_AT;
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::name::ObjectName;
use crate::plan::request::{Limits, REFUSALS_APART, refusal};
use crate::plan::{self, Lookup, schedule};

/// Acknowledges a request that is refused; the rest of the pass sees none. Answers when to look at a request again whose
/// refusal is not acknowledged yet.
pub(super) async fn judge(
    ctx: &Context,
    live: &mut Live,
    account: &mut Arc<SpotifyAccount>,
    stored: &mut Option<SpotifyAccountStatus>,
    name: &ObjectName,
) -> Result<Option<SignedDuration>, Error> {
    let Some(requested) = schedule::requested(account).map(ToOwned::to_owned) else { return Ok(None) };
    let now = ctx.clock.now();
    let Some(refused) = refusal(account, limits(ctx, account, &name.namespace), now) else { return Ok(None) };
    let since = live.request_refused.map_or(REFUSALS_APART, |last| now.duration_since(last));
    if since < REFUSALS_APART {
        // The newest of those that come meanwhile is acknowledged for all of them.
        let mut unasked = account.as_ref().clone();
        if let Some(annotations) = &mut unasked.metadata.annotations {
            annotations.remove(RECONCILE_REQUESTED_AT);
        }
        *account = Arc::new(unasked);
        return Ok(Some(REFUSALS_APART.saturating_sub(since)));
    }
    live.request_refused = Some(now);
    let refuse = |account: &SpotifyAccount| {
        let status = SpotifyAccountStatus {
            last_handled_reconcile_at: Some(requested.clone()),
            ..account.status.clone().unwrap_or_default()
        };
        plan::Settled { announcements: vec![refused.announcement()], ..plan::Settled::plain(status) }
    };
    record::record(ctx, live, account, stored, name, refuse).await?;
    Ok(None)
}

/// How often this account may ask, by what its quota group allows.
pub(super) fn limits(ctx: &Context, account: &SpotifyAccount, namespace: &str) -> Limits {
    let interval = ctx.settings.minimum_request_interval;
    let Lookup::Found(app) = ctx.catalogue.app(&account.spec.app_ref.object(namespace)) else {
        return Limits::of(interval, 0, 1);
    };
    let group = super::upstream::group(ctx, &app);
    let accounts = group.iter().filter_map(|app| app.status.as_ref()).map(|status| i64::from(status.accounts)).sum();
    Limits::of(interval, budgets::limit(&group).unwrap_or(0), accounts)
}
