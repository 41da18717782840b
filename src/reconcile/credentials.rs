//! The Secrets of a target entry: the listener's key and the target's own.

use secrecy::SecretString;

use super::context::Context;
use super::live::{Live, LiveCredentials};
use super::secret_access;
use super::standings::OwnKeys;
use crate::adapters::targets::{Keys, Service};
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::{AccountTarget, ScrobbleTarget, SpotifyAccount};
use crate::domain::digest::{hexadecimal, keyed_hash};
use crate::domain::name::ObjectName;
use crate::plan::observed::{Lookup, TargetEntry};
use crate::plan::step::{Credentials, SecretTrouble};
use crate::plan::{Observed, Progress, target};

/// The Secrets of an entry, or why they cannot be used.
type Prepared = Result<LiveCredentials, SecretTrouble>;

pub(super) async fn prepare(
    ctx: &Context,
    account: &SpotifyAccount,
    observed: &Observed,
    entry: String,
) -> (String, Prepared) {
    let found = account.spec.targets.iter().zip(&observed.targets).find(|(target, _)| target.name == entry);
    let prepared = match found {
        Some((target, TargetEntry { target: Lookup::Found(service), name, .. })) => {
            credentials(ctx, &observed.namespace, target, service, name).await
        }
        _ => Err(SecretTrouble::Cluster),
    };
    (entry, prepared)
}

async fn credentials(
    ctx: &Context,
    namespace: &str,
    target: &AccountTarget,
    service: &ScrobbleTarget,
    name: &ObjectName,
) -> Prepared {
    let mut versions = vec![name.to_string(), format!("{:?}", service.metadata.generation)];
    let mut keys = Keys::default();
    if let (Some(reference), Some(usual)) = (&target.credentials_ref, service.spec.target_type.credentials_key()) {
        let secret = ObjectName::new(namespace, &reference.name);
        let key = reference.key.as_deref().unwrap_or(usual);
        keys.listener = Some(read(ctx, &secret, key, SecretUse::Credentials, &mut versions).await?);
    }
    let own = own_keys(ctx, name, service).await?;
    versions.push(own.version.clone());
    keys.own.clone_from(&own.values);
    let (target_ref, target_generation) = (target.target_ref.clone(), service.metadata.generation);
    // A webhook's receiver cannot be asked.
    let id = keys.listener.is_some().then(|| identify(&versions));
    Ok(LiveCredentials { target_ref, target_generation, keys, own, id })
}

/// The keys of a target's own.
pub(super) async fn own_keys(
    ctx: &Context,
    name: &ObjectName,
    service: &ScrobbleTarget,
) -> Result<OwnKeys, SecretTrouble> {
    let mut versions = vec![name.to_string(), format!("{:?}", service.metadata.generation)];
    let mut values = Vec::new();
    for reference in service.spec.own_keys() {
        let secret = ObjectName::new(&name.namespace, &reference.name);
        values.push(read(ctx, &secret, &reference.key, SecretUse::Target, &mut versions).await?);
    }
    Ok(OwnKeys { version: identify(&versions), values })
}

/// Reads a value and notes which version of which Secret it is from.
async fn read(
    ctx: &Context,
    secret: &ObjectName,
    key: &str,
    usage: SecretUse,
    versions: &mut Vec<String>,
) -> Result<SecretString, SecretTrouble> {
    let content = secret_access::read(&ctx.cluster, secret, usage).await?;
    versions.extend([content.uid.clone(), content.resource_version.clone(), key.to_owned()]);
    secret_access::value(secret, &content, key)
}

/// Names the versions of the Secrets and of the target: what is shown tells nothing of a value.
fn identify(versions: &[String]) -> String {
    let parts: Vec<&[u8]> = versions.iter().map(String::as_bytes).collect();
    hexadecimal(&keyed_hash(b"scrobble-operator.io/credentials-id", &parts)[..16])
}

/// Keeps what was read, and notes whether it is another key than before.
pub(super) fn keep(
    ctx: &Context,
    account: &SpotifyAccount,
    live: &mut Live,
    progress: &mut Progress,
    entry: String,
    prepared: Prepared,
) {
    let result = match prepared {
        Err(trouble) => {
            live.credentials.remove(&entry);
            Err(trouble)
        }
        Ok(fresh) => {
            let renewed = match live.credentials.get(&entry) {
                // Another URL, or another server behind it, may take the same key.
                Some(known) => !known.same_values(&fresh) || known.target_generation != fresh.target_generation,
                // This process has not read them before: the status names those that the service was asked about.
                None => is_other(account, &entry, fresh.id.as_deref()),
            };
            let uid = account.metadata.uid.as_deref().unwrap_or_default();
            ctx.services.hold(uid, &entry, fresh.keys.listener.as_ref());
            live.credentials.insert(entry.clone(), fresh);
            Ok(Credentials { renewed })
        }
    };
    progress.credentials.insert(entry, result);
}

/// Whether the service was asked about other versions of the Secrets than these.
fn is_other(account: &SpotifyAccount, entry: &str, id: Option<&str>) -> bool {
    let known = account.status.as_ref().and_then(|status| status.target(entry)?.credentials_id.as_deref());
    known.is_some() && id.is_some() && known != id
}

/// The service of a target entry; none where a key is missing.
pub(super) fn service(
    listener: Option<&str>,
    scrobble_target: &ScrobbleTarget,
    name: &ObjectName,
    credentials: &LiveCredentials,
) -> Option<Service> {
    let url = target::url(scrobble_target)?;
    Service::of(&scrobble_target.spec, url, &credentials.keys, name.to_string(), listener)
}
