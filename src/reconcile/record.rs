//! The last step of a pass: the status is written, then what changed is announced.

use std::sync::Arc;

use kube::Resource as _;

use super::Error;
use super::context::Context;
use super::live::Live;
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::events::Announcement;
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::name::ObjectName;
use crate::plan::Settled;

/// How often a status write is tried against newer versions of the account.
const TRIES: usize = 8;

/// Writes what `settle` makes of the account; against a newer version where somebody wrote in between. Answers the
/// account as it stands now.
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
    for _ in 0..TRIES {
        let settled = settle(account);
        if !settled.worth_writing {
            live.unwritten = Some(settled.status.clone());
            *account = Arc::new(SpotifyAccount { status: Some(settled.status.clone()), ..account.as_ref().clone() });
            return Ok(settled);
        }
        if !ctx.tenure.holds() {
            return Err(Error::OffDuty);
        }
        let version = account.metadata.resource_version.clone().unwrap_or_default();
        let written =
            ctx.cluster.change_status::<SpotifyAccount, _>(name, &version, stored.as_ref(), &settled.status).await;
        match written {
            Ok(written) => {
                if let Some(written) = written {
                    keep(live, account, stored, written);
                }
                announce(ctx, account, &settled).await;
                return Ok(settled);
            }
            Err(ClusterError::NotFound { .. }) => return Ok(settled),
            Err(ClusterError::Conflict { .. }) => match ctx.cluster.read_again::<SpotifyAccount>(name).await {
                Ok(Some(current)) if current.metadata.uid == account.metadata.uid => {
                    keep(live, account, stored, current)
                }
                Ok(_) => return Ok(settled),
                Err(source) => return Err(Error::Cluster(source)),
            },
            Err(source) => return Err(Error::Cluster(source)),
        }
    }
    Err(Error::Contended)
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
    *account = Arc::new(current);
    live.written = Some(Arc::clone(account));
    live.unwritten = None;
}

async fn announce(ctx: &Context, account: &SpotifyAccount, settled: &Settled) {
    let mut about = account.object_ref(&());
    about.resource_version = None;
    for announcement in &settled.announcements {
        let announcement = Announcement {
            warning: announcement.warning,
            reason: announcement.reason.clone(),
            action: "Reconcile",
            note: announcement.note.clone(),
        };
        ctx.cluster.announce(&about, &announcement).await;
    }
}
