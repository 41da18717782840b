//! What all accounts of a process share about services: turns, pauses that hosts ask for, and what was sent to a Maloja.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::api::v1alpha1::ScrobbleTarget;
use crate::domain::digest::keyed_hash;
use crate::domain::play::Play;
use crate::plan::target;

/// How many of the last plays of a server are remembered.
const REMEMBERED: usize = 500;

/// What this process knows of services, by address.
#[derive(Default)]
pub struct Services {
    servers: Mutex<HashMap<String, Server>>,
    /// Digests of listeners' keys, by account and target entry: two accounts may hold the same one.
    held: Mutex<HashMap<(String, String), [u8; 32]>>,
}

#[derive(Default)]
struct Server {
    turn: Arc<tokio::sync::Mutex<()>>,
    paused_until: Option<Timestamp>,
    /// What the targets' statuses told of a pause was taken up.
    recalled: bool,
    successes: u64,
    sent: VecDeque<Sent>,
    /// Plays whose second was taken when they were sent, since the last one that got through.
    overtaken: Vec<Arc<Play>>,
}

/// A play that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The uid of the account that sent it.
    pub account: String,
    /// The short hash of title and first artist.
    pub title: u32,
    /// `played_at` in milliseconds since 1970.
    pub played_ms: i64,
    /// The second at which it was sent.
    pub second: i64,
}

/// The address of a server: scheme, host, port and path.
pub fn server_key(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/'))
}

/// The address of the server that a target stands for; none where its URL cannot be read.
pub(super) fn server_of(scrobble_target: &ScrobbleTarget) -> Option<String> {
    target::url(scrobble_target).map(|url| server_key(&url))
}

/// The host of a server: who asks to wait speaks for all of it.
pub fn host_key(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Services {
    /// The lock of a server or target that is called by one at a time.
    pub fn turn(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.of().entry(key.to_owned()).or_default().turn)
    }

    /// Nobody calls this host before a time.
    pub fn pause(&self, host: &str, until: Timestamp) {
        let mut servers = self.of();
        let server = servers.entry(host.to_owned()).or_default();
        server.paused_until = server.paused_until.max(Some(until));
    }

    /// Takes up what was told of a host before this process began, once.
    pub fn recall(&self, host: &str, told: impl FnOnce() -> Option<Timestamp>) {
        let recalled = std::mem::replace(&mut self.of().entry(host.to_owned()).or_default().recalled, true);
        if let Some(until) = (!recalled).then(told).flatten() {
            self.pause(host, until);
        }
    }

    /// Until when nobody calls this host; none where it may be called.
    pub fn paused_until(&self, host: &str, now: Timestamp) -> Option<Timestamp> {
        self.of().get(host).and_then(|server| server.paused_until).filter(|until| *until > now)
    }

    /// A play got through: those whose second was taken before hold nothing back any more.
    pub fn succeeded(&self, server: &str) {
        let mut servers = self.of();
        let server = servers.entry(server.to_owned()).or_default();
        server.successes += 1;
        server.overtaken.clear();
    }

    /// The second of a play was taken when it was sent.
    pub fn overtake(&self, server: &str, play: &Arc<Play>) {
        self.of().entry(server.to_owned()).or_default().overtaken.push(Arc::clone(play));
    }

    /// Plays whose second was taken since the last one got through.
    pub fn overtaken(&self, server: &str) -> Vec<Arc<Play>> {
        self.of().get(server).map(|server| server.overtaken.clone()).unwrap_or_default()
    }

    /// How many plays got through since this process began.
    pub fn successes(&self, server: &str) -> u64 {
        self.of().get(server).map_or(0, |server| server.successes)
    }

    /// Remembers a play and the second at which it is about to be sent: nobody else of ours takes that second.
    pub fn note(&self, server: &str, sent: Sent) {
        let mut servers = self.of();
        let known = &mut servers.entry(server.to_owned()).or_default().sent;
        known.push_back(sent);
        let surplus = known.len().saturating_sub(REMEMBERED);
        known.drain(..surplus);
    }

    /// The plays that were sent to seconds of a server, or are about to be.
    pub fn sent(&self, server: &str, seconds: std::ops::Range<i64>) -> Vec<Sent> {
        let servers = self.of();
        let known = servers.get(server).map(|server| &server.sent);
        known.into_iter().flatten().filter(|sent| seconds.contains(&sent.second)).cloned().collect()
    }

    /// An account holds a listener's key.
    pub fn hold(&self, account: &str, entry: &str, credential: Option<&SecretString>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (account.to_owned(), entry.to_owned());
        match credential {
            Some(value) => drop(held.insert(place, keyed_hash(b"held", &[value.expose_secret().as_bytes()]))),
            None => drop(held.remove(&place)),
        }
    }

    /// Whether two accounts hold the same key; none where that of one of them was not read yet.
    pub fn hold_same(&self, one: (&str, &str), other: (&str, &str)) -> Option<bool> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(account, entry): (&str, &str)| held.get(&(account.to_owned(), entry.to_owned()));
        Some(of(one)? == of(other)?)
    }

    /// Forgets an account that is gone.
    pub fn forget(&self, account: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|(holder, _), _| holder != account);
    }

    fn of(&self) -> MutexGuard<'_, HashMap<String, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_key_however_its_url_is_written() {
        let key = |url: &str| server_key(&url.parse().unwrap());
        assert_eq!(key("https://Maloja.example.org:443/base/"), key("https://maloja.example.org/base"));
        assert_ne!(key("https://maloja.example.org/one"), key("https://maloja.example.org/two"));
        assert_eq!(host_key(&"https://a.example.org/x/y".parse().unwrap()), "https://a.example.org");
    }

    #[test]
    fn the_longest_pause_counts_until_it_is_over() {
        let services = Services::default();
        let time = |second| Timestamp::from_second(second).unwrap();
        services.pause("host", time(100));
        services.pause("host", time(50));
        assert_eq!(services.paused_until("host", time(99)), Some(time(100)));
        assert_eq!(services.paused_until("host", time(100)), None);
        assert_eq!(services.paused_until("other", time(0)), None);
    }
}
