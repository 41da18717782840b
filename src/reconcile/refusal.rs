//! A refusal is told only when it lasts: an API server that has just started refuses for a moment what it will allow.

use std::time::{Duration, Instant};

use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::SpotifyAccount;
use crate::plan::step::SecretTrouble;

/// A refusal that lasts so long is taken for what it says.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether a refusal that was first met at `since` is to be tried again: the account does not tell it yet, and it may
/// pass in a moment.
pub(super) fn is_news(trouble: &SecretTrouble, account: &SpotifyAccount, since: Instant) -> bool {
    let refused = matches!(trouble, SecretTrouble::ReadForbidden { .. } | SecretTrouble::WriteForbidden { .. });
    refused && since.elapsed() < PATIENCE && !is_told(account)
}

fn is_told(account: &SpotifyAccount) -> bool {
    let conditions = account.status.as_ref().map_or(&[][..], |status| &status.conditions);
    find_condition(conditions, ConditionType::Authorized)
        .is_some_and(|condition| condition.reason == Reason::SecretWriteForbidden.as_str())
}

/// Waits before the next try.
pub(super) async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// Reads something, again and again while a refusal is news.
pub(super) async fn confirmed<T, F>(account: &SpotifyAccount, read: impl Fn() -> F) -> Result<T, SecretTrouble>
where
    F: Future<Output = Result<T, SecretTrouble>>,
{
    let since = Instant::now();
    loop {
        match read().await {
            Err(trouble) if is_news(&trouble, account, since) => pause().await,
            answer => return answer,
        }
    }
}
