//! The last step of a pass: the status is written, then what changed is announced.

use std::sync::Arc;

use kube::Resource as _;

use super::Error;
use super::context::Context;
use super::failpoint;
use super::live::{Live, Unwritten};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::events::Announcement;
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::name::ObjectName;
use crate::domain::notice::Notice;
use crate::plan::notification::is_current;
use crate::plan::{self, Settled};

/// How often a status write is tried against newer versions of the account.
const TRIES: usize = 8;

/// Writes what `settle` makes of the account; against a newer version where somebody wrote in between. `account` is then
/// the newer one but for what the pass acts on: what people changed meanwhile is for the next pass, and nothing says that
/// it was seen.
///
/// Every write carries the version it was made from: an operator that was paused cannot roll the ledger back.
pub(super) async fn record(
    ctx: &Context,
    live: &mut Live,
    account: &mut Arc<SpotifyAccount>,
    stored: &mut Option<SpotifyAccountStatus>,
    name: &ObjectName,
    settle: impl Fn(&SpotifyAccount) -> Settled,
) -> Result<Settled, Error> {
    announce(ctx, account, std::mem::take(&mut live.unsaid)).await;
    notify(ctx, account, &live.reconcile_id, live.unsent.take()).await;
    for _ in 0..TRIES {
        let settled = settle(account);
        let owed = live.unwritten.as_ref().is_some_and(|unwritten| unwritten.owed);
        if !settled.worth_writing && !owed {
            live.unwritten = Some(unwritten(stored.as_ref(), &settled, false));
            *account = Arc::new(SpotifyAccount { status: Some(settled.status.clone()), ..account.as_ref().clone() });
            return Ok(settled);
        }
        ctx.ensure_on_duty()?;
        let version = account.metadata.resource_version.clone().unwrap_or_default();
        let written =
            ctx.cluster.change_status::<SpotifyAccount, _>(name, &version, stored.as_ref(), &settled.status).await;
        match written {
            Ok(written) => {
                let announcements = announcements(live, &settled);
                let notice = notice(live, &settled);
                if let Some(written) = written {
                    keep(live, account, stored, written);
                }
                announce(ctx, account, announcements).await;
                notify(ctx, account, &live.reconcile_id, notice).await;
                return Ok(settled);
            }
            Err(ClusterError::NotFound { .. }) => return Ok(settled),
            Err(ClusterError::Conflict { .. }) => match ctx.cluster.read_again::<SpotifyAccount>(name).await {
                Ok(Some(current)) if current.metadata.uid == account.metadata.uid => {
                    // A change of the spec leaves what earlier passes came to as it is.
                    live.compare(current.status.as_ref());
                    let carried = live.unwritten.take();
                    keep(live, account, stored, current);
                    if let Some(carried) = carried {
                        let status = Some(carried.status.clone());
                        *account = Arc::new(SpotifyAccount { status, ..account.as_ref().clone() });
                        live.unwritten = Some(carried);
                    }
                }
                Ok(_) => return Ok(settled),
                Err(source) => return Err(Error::Cluster(source)),
            },
            Err(source) => {
                // What was delivered is remembered until it can be written, and so is what is to be said.
                let announcements = announcements(live, &settled);
                let notice = notice(live, &settled);
                live.unwritten =
                    Some(Unwritten { announcements, notice, ..unwritten(stored.as_ref(), &settled, true) });
                return Err(Error::Cluster(source));
            }
        }
    }
    Err(Error::Contended)
}

fn unwritten(base: Option<&SpotifyAccountStatus>, settled: &Settled, owed: bool) -> Unwritten {
    Unwritten { base: base.cloned(), status: settled.status.clone(), owed, announcements: Vec::new(), notice: None }
}

/// What is to be said of a status, and of those before it that were not written.
fn announcements(live: &mut Live, settled: &Settled) -> Vec<plan::Announcement> {
    let before = live.unwritten.as_mut().map(|unwritten| std::mem::take(&mut unwritten.announcements));
    before.into_iter().flatten().chain(settled.announcements.iter().cloned()).collect()
}

/// The notice that the status counts, which may be of an earlier one that was not written.
fn notice(live: &mut Live, settled: &Settled) -> Option<Notice> {
    let before = live.unwritten.as_mut().and_then(|unwritten| unwritten.notice.take());
    settled.notice.clone().or(before.filter(|notice| is_current(&settled.status, notice)))
}

/// The notice is counted now: whatever happens to this process, none will send it again.
async fn notify(ctx: &Context, account: &SpotifyAccount, reconcile_id: &str, notice: Option<Notice>) {
    if let Some(notice) = notice {
        failpoint::reached("counted", account).await;
        ctx.notifications.send(notice, reconcile_id);
    }
}

fn keep(
    live: &mut Live,
    account: &mut Arc<SpotifyAccount>,
    stored: &mut Option<SpotifyAccountStatus>,
    current: SpotifyAccount,
) {
    let mut current = current;
    current.metadata.managed_fields = None;
    stored.clone_from(&current.status);
    let mut acted_on = current.clone();
    acted_on.spec = account.spec.clone();
    acted_on.metadata.generation = account.metadata.generation;
    acted_on.metadata.annotations.clone_from(&account.metadata.annotations);
    *account = Arc::new(acted_on);
    live.written = Some(Arc::new(current));
    live.unwritten = None;
}

async fn announce(ctx: &Context, account: &SpotifyAccount, announcements: Vec<plan::Announcement>) {
    let mut about = account.object_ref(&());
    about.resource_version = None;
    for plan::Announcement { warning, reason, note } in announcements {
        let announcement = Announcement { warning, reason, action: "Reconcile", note };
        ctx.cluster.announce(&about, &announcement).await;
    }
}
