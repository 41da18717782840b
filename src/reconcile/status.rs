//! The status of an object that several passes write: its own, and those that learn something about it.

use std::fmt::Debug;

use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::context::Context;
use crate::adapters::kube::ClusterError;
use crate::domain::name::ObjectName;

/// How often a status write is tried against newer versions of the object.
const TRIES: usize = 8;

/// Writes a status against the newest version of an object, `settle` making it anew where somebody wrote in between.
/// Answers the object as it was and the status; none where the object is gone.
///
/// # Errors
/// The API server did not take it, or others wrote the object at every try.
pub(super) async fn write<K, S>(
    ctx: &Context,
    object: &K,
    status_of: impl Fn(&K) -> Option<&S>,
    settle: impl Fn(&K) -> S,
) -> Result<Option<(K, S)>, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    S: Serialize,
{
    let name = ObjectName::new(object.namespace().unwrap_or_default(), object.name_any());
    let mut current = object.clone();
    for _ in 0..TRIES {
        let status = settle(&current);
        let version = current.resource_version().unwrap_or_default();
        ctx.ensure_on_duty()?;
        match ctx.cluster.change_status::<K, _>(&name, &version, status_of(&current), &status).await {
            Ok(_) => return Ok(Some((current, status))),
            Err(ClusterError::NotFound { .. }) => return Ok(None),
            Err(ClusterError::Conflict { .. }) => {
                let found = ctx.cluster.read_again::<K>(&name).await.map_err(Error::Cluster)?;
                match found.filter(|found| found.uid() == object.uid()) {
                    Some(found) => current = found,
                    None => return Ok(None),
                }
            }
            Err(source) => return Err(Error::Cluster(source)),
        }
    }
    Err(Error::Contended)
}
