//! The journal Secret: read once a process and account, written by compare-and-swap, never deleted by the operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use kube::Resource as _;

use super::Error;
use super::context::Context;
use super::live::{Live, LiveJournal};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::secrets::{DataChange, SecretContent};
use crate::api::condition::Reason;
use crate::api::secret::{JOURNAL_SECRET_PREFIX, SecretUse, USE_LABEL};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::journal::Journal;
use crate::domain::journal_codec::{decode, encode};
use crate::domain::name::ObjectName;
use crate::domain::token_secret::ContentProblem;
use crate::plan::step::SecretTrouble;

/// The key of the journal.
const JOURNAL: &str = "journal";
/// Keys under which a journal that cannot be read is set aside.
const UNREADABLE: [&str; 3] = ["unreadable", "unreadable-2", "unreadable-3"];
/// How often a write is tried against newer versions that hold the same journal.
const TRIES: usize = 4;

/// The journal Secret's name.
fn secret_name(namespace: &str, uid: &str) -> ObjectName {
    ObjectName::new(namespace, format!("{JOURNAL_SECRET_PREFIX}{uid}"))
}

/// Reads the journal. One that cannot be read is set aside under another key, and a new one is begun.
///
/// # Errors
/// It can be neither read nor written; [`SecretTrouble::Cluster`] where that passes.
pub(super) async fn load(
    ctx: &Context,
    account: &SpotifyAccount,
    namespace: &str,
    live: &mut Live,
) -> Result<(), SecretTrouble> {
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let name = secret_name(namespace, uid);
    match read(ctx, &name, uid).await {
        Ok(found) => {
            live.journal = found;
            Ok(())
        }
        Err(SecretTrouble::Cluster) => Err(SecretTrouble::Cluster),
        Err(trouble) => {
            live.journal = LiveJournal { trouble: Some(trouble.clone()), ..LiveJournal::default() };
            Err(trouble)
        }
    }
}

/// Reads the journal and changes nothing: one that cannot be read counts as empty.
///
/// # Errors
/// The Secret cannot be read, or is not the operator's.
pub(super) async fn look(
    ctx: &Context,
    account: &SpotifyAccount,
    namespace: &str,
) -> Result<Arc<Journal>, SecretTrouble> {
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let name = secret_name(namespace, uid);
    let Some(content) = content(ctx, &name, uid).await? else { return Ok(Arc::default()) };
    let journal = content.data.get(JOURNAL).and_then(|bytes| decode(&bytes.0).ok());
    Ok(Arc::new(journal.unwrap_or_default()))
}

/// The journal Secret, if there is one and it is ours.
async fn content(ctx: &Context, name: &ObjectName, uid: &str) -> Result<Option<SecretContent>, SecretTrouble> {
    let content = match ctx.cluster.secret(name).await {
        Ok(content) => content,
        Err(ClusterError::Forbidden { .. }) => return Err(SecretTrouble::ReadForbidden { secret: name.clone() }),
        Err(_) => return Err(SecretTrouble::Cluster),
    };
    match content {
        Some(content) if !content.owner_uids.iter().any(|owner| owner == uid) => {
            Err(SecretTrouble::NotOurs { secret: name.clone() })
        }
        content => Ok(content),
    }
}

async fn read(ctx: &Context, name: &ObjectName, uid: &str) -> Result<LiveJournal, SecretTrouble> {
    let Some(mut content) = content(ctx, name, uid).await? else {
        return Ok(LiveJournal { journal: Some(Arc::default()), ..LiveJournal::default() });
    };
    let journal = match content.data.get(JOURNAL).map(|bytes| decode(&bytes.0)) {
        None => Journal::default(),
        Some(Ok(journal)) => journal,
        Some(Err(_)) => {
            content = set_aside(ctx, name, &content).await?;
            Journal::default()
        }
    };
    Ok(known(Arc::new(journal), &content))
}

/// Moves a journal that cannot be read to a key of its own: a later version may read it, or a human.
async fn set_aside(ctx: &Context, name: &ObjectName, content: &SecretContent) -> Result<SecretContent, SecretTrouble> {
    let free = UNREADABLE.into_iter().find(|key| !content.data.contains_key(*key));
    let (Some(free), Some(bytes)) = (free, content.data.get(JOURNAL)) else {
        let problem = ContentProblem::Invalid {
            key: JOURNAL.to_owned(),
            problem:
                "it cannot be read by this version, and no key is left to set it aside: remove the keys unreadable*"
                    .to_owned(),
        };
        return Err(SecretTrouble::Content { secret: name.clone(), problem });
    };
    if !ctx.tenure.holds() {
        return Err(SecretTrouble::Cluster);
    }
    let change = DataChange::from([(free, Some(bytes.0.clone())), (JOURNAL, None)]);
    match ctx.cluster.change_secret(name, &content.resource_version, &change).await {
        Ok(content) => {
            let reason = Reason::JournalUnreadable.as_str();
            tracing::warn!(secret = %name, key = free, reason, "the journal cannot be read by this version and was set aside");
            Ok(content)
        }
        Err(error) => Err(refused(name, &error).unwrap_or(SecretTrouble::Cluster)),
    }
}

fn known(journal: Arc<Journal>, content: &SecretContent) -> LiveJournal {
    LiveJournal {
        journal: Some(journal),
        trouble: None,
        set_aside: UNREADABLE.iter().any(|key| content.data.contains_key(*key)),
        version: Some(content.resource_version.clone()),
    }
}

/// A refusal that does not pass by itself.
fn refused(name: &ObjectName, error: &ClusterError) -> Option<SecretTrouble> {
    match error {
        ClusterError::Forbidden { .. } => Some(SecretTrouble::WriteForbidden { secret: name.clone() }),
        ClusterError::Invalid { .. } => Some(SecretTrouble::Immutable { secret: name.clone() }),
        _ => None,
    }
}

/// Stores a journal, if it is another one than what is stored. Where the Secret cannot be written at all, that is noted
/// in `live`; plays then wait only for as long as Spotify shows them.
///
/// # Errors
/// The API server did not take it, or somebody else wrote another journal.
pub(super) async fn store(
    ctx: &Context,
    account: &SpotifyAccount,
    namespace: &str,
    live: &mut Live,
    wanted: &Arc<Journal>,
) -> Result<(), Error> {
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let name = secret_name(namespace, uid);
    for _ in 0..TRIES {
        let before = live.journal.journal.clone();
        if before.as_ref() == Some(wanted) || live.journal.trouble.is_some() {
            return Ok(());
        }
        let Some(bytes) = encode(wanted) else { return Ok(()) };
        ctx.ensure_on_duty()?;
        let written = match &live.journal.version {
            Some(version) => {
                ctx.cluster.change_secret(&name, version, &DataChange::from([(JOURNAL, Some(bytes))])).await
            }
            None => create(ctx, account, &name, bytes).await,
        };
        match written {
            Ok(content) => {
                live.journal = known(Arc::clone(wanted), &content);
                return Ok(());
            }
            Err(ClusterError::Conflict { .. } | ClusterError::NotFound { .. }) => {
                match read(ctx, &name, uid).await {
                    Ok(found) => {
                        // Deleted by a human, or touched without a change of the plays: what we know goes on.
                        let gone = found.version.is_none();
                        let same = found.journal == before || found.journal.as_ref() == Some(wanted);
                        live.journal = found;
                        if !gone && !same {
                            return Err(Error::Contended);
                        }
                    }
                    Err(SecretTrouble::Cluster) => return Err(Error::Contended),
                    Err(trouble) => live.journal = LiveJournal { trouble: Some(trouble), ..LiveJournal::default() },
                }
            }
            Err(error) => match refused(&name, &error) {
                Some(trouble) => live.journal = LiveJournal { trouble: Some(trouble), ..live.journal.clone() },
                None => return Err(Error::Cluster(error)),
            },
        }
    }
    Err(Error::Contended)
}

async fn create(
    ctx: &Context,
    account: &SpotifyAccount,
    name: &ObjectName,
    bytes: Vec<u8>,
) -> Result<SecretContent, ClusterError> {
    let labels = BTreeMap::from([(USE_LABEL.to_owned(), SecretUse::State.as_str().to_owned())]);
    let owner = account.controller_owner_ref(&()).unwrap_or_default();
    let data = BTreeMap::from([(JOURNAL.to_owned(), ByteString(bytes))]);
    ctx.cluster.create_owned_secret(name, owner, labels, data).await
}
