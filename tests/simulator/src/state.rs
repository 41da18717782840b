//! Everything the simulated services know.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::{
    AccountReport, Delivery, FaultReport, Flow, LastfmApp, LastfmUser, Listen, ListenBrainzRules, NewApp, NewGenerator,
    Play, Record, Scrobble, WebhookSettings,
};
use crate::table::{Change, Stored, Table};

/// One listener's consent to one app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Authorization {
    pub account: String,
    pub client_id: String,
    pub flow: Flow,
    pub scope: String,
    pub authorized_time: Timestamp,
    pub revoked: bool,
}

/// Which of the two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TokenKind {
    Access,
    Refresh,
}

/// How a token died before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Death {
    Expired,
    Revoked,
}

/// A token, kept under its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub account: String,
    pub client_id: String,
    pub authorization: String,
    pub number: u64,
    pub issued_time: Timestamp,
    pub expiry_time: Option<Timestamp>,
    pub death: Option<Death>,
    pub replaced_time: Option<Timestamp>,
    pub uses: u32,
    pub exchanges: u32,
    pub uses_after_replacement: u32,
}

/// An authorization code, kept under its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Code {
    pub account: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub scope: String,
    pub challenge: Option<String>,
    pub issued_time: Timestamp,
    /// The authorization it was exchanged for.
    pub used: Option<String>,
}

/// A generator and how far it got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Generator {
    pub account: String,
    pub rule: NewGenerator,
    pub made: u64,
    pub next_start: Timestamp,
}

/// Requests counted in a fixed or rolling window.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub window: i64,
    pub count: u32,
    pub times: Vec<Timestamp>,
}

/// A Last.fm token of `auth.getToken`, kept under its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LastfmToken {
    pub api_key: String,
    pub issued_time: Timestamp,
    pub user: Option<String>,
    pub used: bool,
}

macro_rules! world {
    ($($field:ident: $row:ty,)*) => {
        /// All tables.
        #[derive(Debug)]
        pub(crate) struct World {
            $(pub $field: Table<$row>,)*
            /// Items as text, which plays never change; not stored.
            pub rendered: HashMap<(String, u64), Arc<str>>,
        }

        impl World {
            pub(crate) fn new() -> Self {
                Self { $($field: Table::new(stringify!($field)),)* rendered: HashMap::new() }
            }

            fn tables(&mut self) -> Vec<&mut dyn Stored> {
                vec![$(&mut self.$field,)*]
            }
        }
    };
}

world! {
    counters: i64,
    apps: NewApp,
    signed_in: String,
    accounts: AccountReport,
    authorizations: Authorization,
    tokens: Token,
    codes: Code,
    plays: Play,
    generators: Generator,
    faults: FaultReport,
    records: Record,
    buckets: Bucket,
    listenbrainz_rules: ListenBrainzRules,
    listenbrainz_tokens: String,
    listens: Listen,
    lastfm_apps: LastfmApp,
    lastfm_users: LastfmUser,
    lastfm_sessions: String,
    lastfm_tokens: LastfmToken,
    scrobbles: Scrobble,
    webhooks: WebhookSettings,
    deliveries: Delivery,
}

impl World {
    /// The next number of a sequence, from 1.
    pub(crate) fn next(&mut self, sequence: &str) -> u64 {
        let number = self.counters.get(sequence).copied().unwrap_or(0) + 1;
        self.counters.put(sequence, number);
        number.unsigned_abs()
    }

    pub(crate) fn mark_all(&mut self) {
        self.tables().into_iter().for_each(Stored::mark_all);
    }

    pub(crate) fn forget_changes(&mut self) {
        self.tables().into_iter().for_each(Stored::forget_changes);
    }

    pub(crate) fn take_changes(&mut self) -> Result<Vec<Change>, serde_json::Error> {
        let mut changes = Vec::new();
        for table in self.tables() {
            table.take_changes(&mut changes)?;
        }
        Ok(changes)
    }

    pub(crate) fn restore(&mut self, (table, key, row): Change) -> Result<(), serde_json::Error> {
        for known in self.tables() {
            if known.name() == table {
                return known.restore(key, row);
            }
        }
        Ok(())
    }
}

/// A number as a key that sorts as the number does.
pub(crate) fn numbered(number: u64) -> String {
    format!("{number:012}")
}
