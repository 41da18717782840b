//! What the journal Secret of an account holds.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_operator::domain::journal::Journal;
use scrobble_operator::domain::journal_codec::decode;
use scrobble_operator::domain::ledger::Attachment;

use crate::world::{DEADLINE, World};

/// The journal Secret of an account, if there is one by now.
pub async fn secret(world: &World, account: &str) -> Option<Secret> {
    let account = world.api::<SpotifyAccount>().get(account).await.unwrap();
    let name = format!("scrobble-operator-journal-{}", account.uid().unwrap());
    world.secrets().get_opt(&name).await.unwrap()
}

/// The journal of an account; empty where there is none yet.
pub async fn journal(world: &World, account: &str) -> Journal {
    let Some(secret) = secret(world, account).await else { return Journal::default() };
    decode(&secret.data.as_ref().unwrap()["journal"].0).unwrap()
}

/// Waits until the journal holds nothing: what targets have goes after the status tells that they have it.
pub async fn wait_for_empty_journal(world: &World, account: &str) {
    let what = format!("the journal of {account} to be empty");
    wait_until(&what, DEADLINE, async || journal(world, account).await.entries.is_empty()).await.unwrap();
}

/// The journal of an account, once it holds so many plays and no more.
pub async fn journal_of(world: &World, account: &str, plays: usize) -> Journal {
    let what = format!("the journal of {account} to hold {plays} plays");
    wait_until(&what, DEADLINE, async || {
        let found = journal(world, account).await;
        if found.entries.len() == plays { Ok(found) } else { Err(format!("{} plays", found.entries.len())) }
    })
    .await
    .unwrap()
}

/// Whatever moment an operator was killed at: the journal holds what the status says that waits.
pub async fn assert_holds_what_waits(world: &World, account: &str) {
    let status = world.api::<SpotifyAccount>().get(account).await.unwrap().status.unwrap_or_default();
    let journal = journal(world, account).await;
    for target in &status.targets {
        let id = Attachment::id_of(&target.name, &world.namespace, &target.name);
        let held = journal.count(id, |_| true);
        assert!(
            i64::try_from(held).unwrap() >= target.pending,
            "{account}: {held} of {} plays that wait for {}",
            target.pending,
            target.name
        );
    }
}
