//! Objects that this version cannot read: they are reported and left alone.

use kube::api::ObjectMeta;

use super::Error;
use super::context::Context;
use crate::adapters::kube::ClusterError;
use crate::domain::name::ObjectName;
use crate::plan::settle;
use jiff::SignedDuration;

/// Says on an account that it cannot be read.
pub(super) async fn account(
    ctx: &Context,
    name: &ObjectName,
    metadata: &ObjectMeta,
) -> Result<Option<SignedDuration>, Error> {
    tracing::warn!(reason = "ObjectUnreadable", "the account cannot be read by this version");
    let conditions = settle::unreadable(metadata.generation, ctx.clock.now());
    match ctx.cluster.report_unreadable(name, &conditions, metadata.generation).await {
        Ok(()) | Err(ClusterError::NotFound { .. }) => Ok(None),
        Err(source) => Err(Error::Cluster(source)),
    }
}
