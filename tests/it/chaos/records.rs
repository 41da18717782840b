//! What two independent witnesses wrote down: the simulator's requests, and the API server's audit log.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use kube::api::ListParams;
use scrobble_harness::AuditEntry;
use scrobble_harness::audit::Marker;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_operator::domain::token_secret::{Claim, key};
use scrobble_simulator::api::{Endpoint, Record, RecordFilter};
use scrobble_simulator::sha256;
use serde_json::Value;

use crate::world::World;

/// One request to the token endpoint. Tokens are named by their hashes.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub account: String,
    /// When the server acted.
    pub time: Timestamp,
    /// The refresh token presented.
    pub sent: String,
    pub answer: Answer,
}

/// What the server did.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It issued an access token and, where it rotates, a refresh token.
    Granted { access: String, rotated: Option<String> },
    /// It refused with this error.
    Refused(String),
}

/// An access token was used.
#[derive(Clone, Debug)]
pub struct Use {
    pub account: String,
    pub time: Timestamp,
    pub access: String,
}

/// The operator wrote a Secret of an account, or tried to.
#[derive(Clone, Debug)]
pub struct SecretWrite {
    pub account: String,
    pub secret: SecretKind,
    /// When the request arrived at the API server.
    pub time: Timestamp,
    /// The version of the Secret that it was made from; none where it creates the Secret.
    pub base: Option<String>,
    pub landed: Landed,
    /// The refresh token in it.
    pub refresh: Option<String>,
    /// The access token in it.
    pub access: Option<String>,
    pub claim: ClaimChange,
}

/// Which Secret of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretKind {
    Token,
    State,
}

/// Whether a write is in the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    Yes,
    No,
    /// The client went before it was answered: the next write of the same Secret tells, see [`Records::resolve`].
    Perhaps,
}

/// What a write does to the claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimChange {
    Kept,
    Removed,
    Set(Claim),
}

/// The operator wrote the status of an account: `Authorized` of it.
#[derive(Clone, Debug)]
pub struct StatusWrite {
    pub account: String,
    pub time: Timestamp,
    pub authorized: String,
    pub reason: String,
}

/// Everything that the witnesses know of one world.
#[derive(Debug, Default)]
pub struct Records {
    pub exchanges: Vec<Exchange>,
    pub uses: Vec<Use>,
    pub writes: Vec<SecretWrite>,
    pub statuses: Vec<StatusWrite>,
}

/// Reads the witnesses bit by bit.
pub struct Reader<'a> {
    world: &'a World,
    /// Accounts by the uid in their state Secret's name.
    accounts: HashMap<String, String>,
    audited: Marker,
    seen: u64,
    pub records: Records,
}

impl<'a> Reader<'a> {
    /// For the accounts that are there now; from now on.
    pub async fn new(world: &'a World) -> Self {
        let seen = world.script.last_seq().await.unwrap();
        let (accounts, audited) = (HashMap::new(), world.mark().await);
        let mut reader = Self { world, accounts, audited, seen, records: Records::default() };
        reader.knows_accounts().await;
        reader
    }

    /// From now on the accounts are known that are there now, also those that came after the reader.
    pub async fn knows_accounts(&mut self) {
        let accounts = self.world.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap();
        self.accounts = accounts.into_iter().map(|account| (account.uid().unwrap(), account.name_any())).collect();
    }

    /// Reads what the simulator has recorded since.
    pub async fn read_simulator(&mut self) {
        let filter = RecordFilter { since: Some(self.seen), ..RecordFilter::default() };
        for record in self.world.script.requests(&filter).await.unwrap() {
            self.seen = self.seen.max(record.seq);
            self.records.take_request(record);
        }
    }

    /// Reads what both have recorded since, once the audit log holds all that was answered before.
    pub async fn read(&mut self) {
        self.read_simulator().await;
        let audit = self.world.plane.audit();
        audit.settle(&self.world.client).await.unwrap();
        let (entries, audited) = audit.entries_in(&self.world.namespace, self.audited).unwrap();
        self.audited = audited;
        let user = self.world.installation.user();
        for entry in entries.into_iter().filter(|entry| entry.user == user) {
            self.records.take_entry(&entry, &self.accounts);
        }
    }
}

impl Records {
    /// For each rotation that was stored, the milliseconds until the first write with the new token reached the API
    /// server.
    pub fn distances(&self) -> Vec<f64> {
        let mut first: HashMap<&str, Timestamp> = HashMap::new();
        for write in self.writes.iter().filter(|write| write.landed == Landed::Yes) {
            if let Some(token) = &write.refresh {
                let time = first.entry(token).or_insert(write.time);
                *time = write.time.min(*time);
            }
        }
        let stored = self.exchanges.iter().filter_map(|exchange| match &exchange.answer {
            Answer::Granted { rotated: Some(token), .. } => {
                Some(first.get(token.as_str())?.duration_since(exchange.time))
            }
            _ => None,
        });
        stored.map(|distance| distance.as_secs_f64() * 1000.0).collect()
    }

    /// Finds out what became of writes that were not answered: where the next one that landed was made from the same
    /// version of the Secret, they did not.
    pub fn resolve(&mut self) {
        self.writes.sort_by_key(|write| write.time);
        for number in 0..self.writes.len() {
            let (before, after) = self.writes.split_at_mut(number + 1);
            let write = &mut before[number];
            let mut later =
                after.iter().filter(|later| (&later.account, later.secret) == (&write.account, write.secret));
            if write.landed == Landed::Perhaps
                && let Some(next) = later.find(|later| later.landed == Landed::Yes)
            {
                write.landed = if next.base == write.base { Landed::No } else { Landed::Yes };
            }
        }
    }

    fn take_request(&mut self, record: Record) {
        let (Some(account), facts) = (record.account, record.facts) else { return };
        let time = record.real_time;
        match record.endpoint {
            Endpoint::Token => {
                let answer = match facts.access_token_issued {
                    Some(access) => Answer::Granted { access, rotated: facts.refresh_token_issued },
                    None => Answer::Refused(facts.error.unwrap_or_default()),
                };
                let sent = facts.refresh_token_sent.unwrap_or_default();
                self.exchanges.push(Exchange { account, time, sent, answer });
            }
            Endpoint::Me | Endpoint::RecentlyPlayed => {
                self.uses.push(Use { account, time, access: facts.access_token_sent.unwrap_or_default() });
            }
            _ => {}
        }
    }

    fn take_entry(&mut self, entry: &AuditEntry, accounts: &HashMap<String, String>) {
        if matches!(entry.verb.as_str(), "get" | "list" | "watch") {
            return;
        }
        if entry.is_about("secrets") {
            self.writes.extend(secret_write(entry, accounts));
        } else if entry.is_about("spotifyaccounts/status") {
            self.statuses.extend(status_write(entry));
        }
    }
}

fn secret_write(entry: &AuditEntry, accounts: &HashMap<String, String>) -> Option<SecretWrite> {
    let body = entry.request.as_ref()?;
    let name = entry.name.as_deref().or_else(|| body["metadata"]["name"].as_str())?;
    let (secret, account) = match name.strip_prefix("scrobble-operator-state-") {
        Some(uid) => (SecretKind::State, accounts.get(uid)?.clone()),
        None => (SecretKind::Token, name.strip_suffix("-spotify")?.to_owned()),
    };
    let data = &body["data"];
    let text = |key: &str| {
        let value: ByteString = serde_json::from_value(data[key].clone()).ok()?;
        String::from_utf8(value.0).ok()
    };
    let claim = match data.get(key::CLAIM) {
        None => ClaimChange::Kept,
        Some(Value::Null) => ClaimChange::Removed,
        Some(_) => text(key::CLAIM)
            .and_then(|claim| serde_json::from_str(&claim).ok())
            .map_or(ClaimChange::Kept, ClaimChange::Set),
    };
    let landed = match entry.code {
        200..300 => Landed::Yes,
        400..499 => Landed::No,
        _ => Landed::Perhaps,
    };
    let (refresh, access) = (text(key::REFRESH_TOKEN).map(sha256), text(key::ACCESS_TOKEN).map(sha256));
    let base = body["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    Some(SecretWrite { account, secret, time: entry.received_time, base, landed, refresh, access, claim })
}

fn status_write(entry: &AuditEntry) -> Option<StatusWrite> {
    if !entry.is_write() {
        return None;
    }
    let conditions = entry.response.as_ref()?["status"]["conditions"].as_array()?;
    let authorized = conditions.iter().find(|condition| condition["type"] == "Authorized")?;
    let word = |key: &str| authorized[key].as_str().unwrap_or_default().to_owned();
    Some(StatusWrite {
        account: entry.name.clone()?,
        time: entry.received_time,
        authorized: word("status"),
        reason: word("reason"),
    })
}
