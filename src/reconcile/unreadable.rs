//! Objects that this version cannot read: they say so, and are left alone.

use kube::Resource;
use kube::api::ObjectMeta;

use super::Error;
use super::context::Context;
use crate::adapters::kube::ClusterError;
use crate::domain::name::ObjectName;
use crate::plan::settle;

/// Says on an object that it cannot be read.
pub(super) async fn report<K: Resource<DynamicType = ()>>(ctx: &Context, metadata: &ObjectMeta) -> Result<(), Error> {
    let name =
        ObjectName::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    tracing::warn!(reason = "ObjectUnreadable", object = %name, "an object cannot be read by this version");
    let conditions = settle::unreadable(metadata.generation, ctx.clock.now());
    ctx.ensure_on_duty()?;
    match ctx.cluster.show_conditions::<K>(&name, &conditions, metadata.generation).await {
        Ok(()) | Err(ClusterError::NotFound { .. } | ClusterError::Conflict { .. }) => Ok(()),
        Err(source) => Err(Error::Cluster(source)),
    }
}
