//! What this process remembers of an account between passes: secrets it has read, and its own last write, which the
//! watch may not show yet. Nothing is decided from it that a restart would change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::standings::OwnKeys;
use crate::adapters::kube::secrets::SecretContent;
use crate::adapters::targets::Keys;
use crate::api::v1alpha1::{NamespacedReference, SpotifyAccount, SpotifyAccountStatus};
use crate::domain::journal::Journal;
use crate::domain::notice::Notice;
use crate::domain::play::Page;
use crate::domain::state_secret::StateSecret;
use crate::domain::token::AccessToken;
use crate::plan::inquiry::Daily;
use crate::plan::lineage::TokenInUse;
use crate::plan::seating::Seating;
use crate::plan::step::SecretTrouble;
use crate::plan::{Announcement, TokenView};

/// A token as this process holds it.
pub struct LiveToken {
    /// The token.
    pub in_use: TokenInUse,
    /// The token Secret it was read from, or last written to.
    pub secret: SecretContent,
    /// The state Secret and its version, if there is one.
    pub state: Option<(StateSecret, String)>,
}

/// The Secrets of a target entry.
pub struct LiveCredentials {
    /// What the entry referred to.
    pub target_ref: NamespacedReference,
    /// The target's generation then: another one may name another Secret.
    pub target_generation: Option<i64>,
    /// The keys.
    pub keys: Keys,
    /// Those of the target's own, and what names their versions.
    pub(super) own: OwnKeys,
    /// Names the Secrets' versions, where the service can be asked about their values.
    pub id: Option<String>,
}

impl LiveCredentials {
    /// Whether the values are the same.
    pub fn same_values(&self, other: &Self) -> bool {
        fn values(credentials: &LiveCredentials) -> Vec<Option<&str>> {
            let Keys { listener, own } = &credentials.keys;
            let own = own.iter().map(|key| Some(key.expose_secret()));
            std::iter::once(listener.as_ref().map(ExposeSecret::expose_secret)).chain(own).collect()
        }
        values(self) == values(other)
    }
}

/// The journal as this process knows it.
#[derive(Clone, Debug, Default)]
pub struct LiveJournal {
    /// Its plays; none where it was not read yet.
    pub journal: Option<Arc<Journal>>,
    /// Why it can be neither read nor written, if it cannot.
    pub trouble: Option<SecretTrouble>,
    /// The Secret also holds a journal that cannot be read.
    pub set_aside: bool,
    /// The version of the Secret, if there is one.
    pub version: Option<String>,
}

/// A status that the cluster does not hold yet.
pub struct Unwritten {
    /// The status that the cluster held when this one was made: where it holds another one, this one is void.
    pub base: Option<SpotifyAccountStatus>,
    /// The status.
    pub status: SpotifyAccountStatus,
    /// The API server did not take it: it holds more than what rides on the next write anyway.
    pub owed: bool,
    /// What is said once it is written.
    pub announcements: Vec<Announcement>,
    /// The notice that is counted in it, and sent once it is written.
    pub notice: Option<Notice>,
}

/// What this process remembers of one account.
#[derive(Default)]
pub struct Live {
    /// The pass that is at it, or was last, as log lines name it.
    pub reconcile_id: String,
    /// The account as last written by this process.
    pub written: Option<Arc<SpotifyAccount>>,
    /// The status that passes have come to since.
    pub unwritten: Option<Unwritten>,
    /// What is still to be said: the write that it came with was taken, and the answer lost.
    pub unsaid: Vec<Announcement>,
    /// A notice that is still to be sent, likewise.
    pub unsent: Option<Notice>,
    /// The token.
    pub token: Option<LiveToken>,
    /// The access token that the Web API refused last: wherever it turns up again, it is not asked with again.
    pub refused: Option<AccessToken>,
    /// The Secrets of target entries.
    pub credentials: HashMap<String, LiveCredentials>,
    /// The plays that wait or were refused.
    pub journal: LiveJournal,
    /// How many plays had got through at a target entry's server when the second of one was taken there last.
    pub overtaken: HashMap<String, u64>,
    /// The last successful read.
    pub last_read: Option<Timestamp>,
    /// The last page, while plays of it wait for a target.
    pub waiting_page: Option<Arc<Page>>,
    /// Until when the last pass was held: Spotify may not have been asked before.
    pub held_until: Option<Timestamp>,
    /// When the refusal of a request was acknowledged last.
    pub request_refused: Option<Timestamp>,
    /// Its place in a plan, as this pass has found it.
    pub seating: Seating,
    /// Looks that have asked Spotify, by the day.
    pub looks: Daily,
    /// Passes in a row in which somebody else had the token.
    pub contended: u32,
}

/// What this process remembers of all accounts, by uid.
#[derive(Default)]
pub struct LiveAccounts {
    entries: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Live>>>>,
    /// The last successful reads, also to be had while a pass holds the rest.
    reads: Mutex<HashMap<String, Timestamp>>,
}

impl LiveAccounts {
    /// What is remembered of one account; held for a whole pass.
    pub fn of(&self, uid: &str) -> Arc<tokio::sync::Mutex<Live>> {
        Arc::clone(self.entries().entry(uid.to_owned()).or_default())
    }

    /// What is remembered of one account, if anything is.
    pub(super) fn known(&self, uid: &str) -> Option<Arc<tokio::sync::Mutex<Live>>> {
        self.entries().get(uid).cloned()
    }

    /// Forgets an account that is gone.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
        self.reads().remove(uid);
    }

    /// An account was read.
    pub(super) fn note_read(&self, uid: &str, time: Timestamp) {
        self.reads().insert(uid.to_owned(), time);
    }

    /// When an account was last read by this process.
    pub fn last_read(&self, uid: &str) -> Option<Timestamp> {
        self.reads().get(uid).copied()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Live>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> std::sync::MutexGuard<'_, HashMap<String, Timestamp>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// What is known of the token that this process holds.
    pub fn token_view(&self) -> Option<TokenView> {
        let in_use = &self.token.as_ref()?.in_use;
        let access = in_use.access.as_ref().map(|access| &access.token);
        let refused = access.is_some() && access == self.refused.as_ref();
        Some(TokenView { refused, ..in_use.view.clone() })
    }

    /// The Web API has refused the access token that this process holds.
    pub fn refuse(&mut self) {
        let access = self.token.as_ref().and_then(|token| token.in_use.access.as_ref());
        self.refused = access.map(|access| access.token.clone()).or(self.refused.take());
    }

    /// The newest known form of an account: what the watch shows, or what this process wrote where the watch is behind.
    ///
    /// Answers the account with its newest status, and the status that the cluster holds.
    pub fn newest(&mut self, watched: &Arc<SpotifyAccount>) -> (SpotifyAccount, Option<SpotifyAccountStatus>) {
        let ours = self.written.take().filter(|written| version(written) >= version(watched));
        let stored = ours.unwrap_or_else(|| Arc::clone(watched));
        self.compare(stored.status.as_ref());
        self.written = Some(Arc::clone(&stored));
        let mut account = stored.as_ref().clone();
        if let Some(unwritten) = &self.unwritten {
            account.status = Some(unwritten.status.clone());
        }
        (account, stored.status.clone())
    }

    /// A pass was cut off anywhere. What was read is read again, as after a restart; what was written, or is owed to the
    /// cluster, is kept.
    pub fn forget_what_may_be_half_done(&mut self) {
        let Self { written, unwritten, unsaid, refused, last_read, request_refused, .. } = std::mem::take(self);
        *self = Self { written, unwritten, unsaid, refused, last_read, request_refused, ..Self::default() };
    }

    /// Drops what was not written where the cluster holds another status by now. Somebody else may have changed it: a
    /// restore, or an older leader. Or the write was taken and its answer lost.
    pub fn compare(&mut self, stored: Option<&SpotifyAccountStatus>) {
        let void = self.unwritten.take_if(|unwritten| unwritten.base.as_ref() != stored);
        if let Some(void) = void.filter(|void| stored == Some(&void.status)) {
            self.unsaid.extend(void.announcements);
            self.unsent = void.notice.or(self.unsent.take());
        }
    }

    /// Remembers the account as this process has just written it.
    pub fn keep_written(&mut self, written: Option<SpotifyAccount>) {
        if let Some(mut written) = written {
            written.metadata.managed_fields = None;
            self.written = Some(Arc::new(written));
        }
    }

    /// Gives an account the version of a write of this process that changed nothing but its metadata.
    pub fn follow(&self, account: &mut Arc<SpotifyAccount>) {
        let Some(written) = self.written.as_ref().filter(|written| version(written) > version(account)) else { return };
        if written.metadata.generation == account.metadata.generation {
            let metadata = written.metadata.clone();
            *account = Arc::new(SpotifyAccount { metadata, ..account.as_ref().clone() });
        }
    }
}

/// Versions of one object grow (KEP-5504); one that is not a number counts as the oldest.
fn version(account: &SpotifyAccount) -> u64 {
    account.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn status(generation: i64) -> SpotifyAccountStatus {
        SpotifyAccountStatus { observed_generation: Some(generation), ..SpotifyAccountStatus::default() }
    }

    #[test]
    fn every_value_tells_credentials_apart() {
        let with = |values: [Option<&str>; 4]| {
            let mut values = values.into_iter().map(|value| value.map(SecretString::from));
            let listener = values.next().flatten();
            let keys = Keys { listener, own: values.flatten().collect() };
            let target_ref = NamespacedReference { name: "target".to_owned(), namespace: None };
            LiveCredentials { target_ref, target_generation: None, keys, own: OwnKeys::default(), id: None }
        };
        let full = [Some("a"), Some("b"), Some("c"), Some("d")];
        assert!(with(full).same_values(&with(full)));
        assert!(with([None; 4]).same_values(&with([None; 4])));
        assert!(!with(full).same_values(&with([Some("a"), Some("b"), None, None])));
        for changed in 0..4 {
            let mut other = full;
            other[changed] = Some("another");
            assert!(!with(full).same_values(&with(other)), "value {changed}");
        }
    }

    #[test]
    fn what_was_to_be_said_is_kept_where_its_status_was_written_after_all() {
        for (stored, waits, unsaid) in [(status(1), true, 0), (status(2), false, 1), (status(3), false, 0)] {
            let said = Announcement { warning: true, reason: "AuthorizationExpiring".to_owned(), note: String::new() };
            let unwritten = Unwritten {
                base: Some(status(1)),
                status: status(2),
                owed: true,
                announcements: vec![said],
                notice: None,
            };
            let mut live = Live { unwritten: Some(unwritten), ..Live::default() };
            live.compare(Some(&stored));
            assert_eq!((live.unwritten.is_some(), live.unsaid.len()), (waits, unsaid), "{stored:?}");
        }
    }
}
