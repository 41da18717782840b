//! Reading Secrets for the use that their label names, and no other.

use secrecy::SecretString;

use crate::adapters::kube::secrets::SecretContent;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::api::secret::{SecretUse, USE_LABEL, is_operators_own};
use crate::domain::name::ObjectName;
use crate::domain::token_secret;
use crate::plan::step::SecretTrouble;

/// Reads a Secret that may be used for this.
///
/// # Errors
/// Why it cannot be used.
pub async fn read(cluster: &Cluster, name: &ObjectName, usage: SecretUse) -> Result<SecretContent, SecretTrouble> {
    let secret = || name.clone();
    if is_operators_own(&name.name) {
        return Err(SecretTrouble::NotLabelled { secret: secret(), wanted: usage.as_str() });
    }
    match cluster.secret(name).await {
        Ok(Some(content)) if content.labels.get(USE_LABEL).is_some_and(|label| label == usage.as_str()) => Ok(content),
        Ok(Some(_)) => Err(SecretTrouble::NotLabelled { secret: secret(), wanted: usage.as_str() }),
        Ok(None) => Err(SecretTrouble::NotFound { secret: secret() }),
        Err(ClusterError::Forbidden { .. }) => Err(SecretTrouble::ReadForbidden { secret: secret() }),
        Err(_) => Err(SecretTrouble::Cluster),
    }
}

/// Reads one credential out of a Secret that may be used for this.
///
/// # Errors
/// Why it cannot be used.
pub async fn credential(
    cluster: &Cluster,
    name: &ObjectName,
    key: &str,
    usage: SecretUse,
) -> Result<SecretString, SecretTrouble> {
    let content = read(cluster, name, usage).await?;
    value(name, &content, key)
}

/// One credential out of a Secret that was read.
pub(super) fn value(name: &ObjectName, content: &SecretContent, key: &str) -> Result<SecretString, SecretTrouble> {
    token_secret::credential(&content.data, key)
        .map(SecretString::from)
        .map_err(|problem| SecretTrouble::Content { secret: name.clone(), problem })
}
