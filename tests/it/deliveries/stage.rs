//! What these tests have in common: a world where an hour takes a minute, targets that are scripted, the journal.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{AccountTargetStatus, ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus};
use scrobble_operator::domain::journal::Journal;
use scrobble_operator::domain::journal_codec::decode;
use scrobble_simulator::api::{Delivery, LastfmApp, LastfmUser, Listen, NewApp, Record, RecordFilter, WebhookSettings};
use serde_json::{Value, json};

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World};

/// A world where an hour takes a minute, and a token outlives the test.
pub async fn fast(test: &str) -> World {
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    World::at_rate(test, app, 60).await
}

/// An entry that delivers to a target without credentials.
pub fn hook(entry: &str, target: &str) -> Value {
    json!({"name": entry, "targetRef": {"name": target}})
}

/// An entry that delivers to a target with the credentials of a Secret.
pub fn keyed(entry: &str, target: &str, secret: &str) -> Value {
    json!({"name": entry, "targetRef": {"name": target}, "credentialsRef": {"name": secret}})
}

/// Whether so many plays were accepted and so many wait.
pub fn totals(scrobbled: i64, pending: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| {
        status.sync.as_ref().is_some_and(|sync| (sync.scrobbled_total, sync.pending_total) == (scrobbled, pending))
    }
}

/// Whether a target entry is as wanted.
pub fn target(name: &str, wanted: impl Fn(&AccountTargetStatus) -> bool) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| status.target(name).is_some_and(&wanted)
}

/// Whether a target entry has this reason.
pub fn tells(name: &str, reason: &'static str) -> impl Fn(&SpotifyAccountStatus) -> bool {
    target(name, move |known| known.reason.as_deref() == Some(reason))
}

impl World {
    /// A listener, and an account with these entries that reads every `interval`.
    pub async fn listening(&self, name: &str, interval: &str, targets: Value) -> SpotifyAccount {
        self.listener(name).await;
        self.account_of(name, name, interval, targets).await
    }

    /// An account of a listener with these entries.
    pub async fn account_of(&self, name: &str, listener: &str, interval: &str, targets: Value) -> SpotifyAccount {
        let mut spec = self.spec(listener, interval);
        spec["targets"] = targets;
        self.create("SpotifyAccount", name, &spec).await
    }

    /// Creates a webhook target of this name; without a key, it is not signed.
    pub async fn hook_target(&self, name: &str) {
        let key = format!("{name}-key");
        self.secret(&key, "target", &[("hmac", "webhook-signing-key")]).await;
        let spec = json!({
            "type": "Webhook", "url": self.script.webhook_url(name),
            "webhook": {"signingKeyRef": {"name": key, "key": "hmac"}},
        });
        self.create::<ScrobbleTarget>("ScrobbleTarget", name, &spec).await;
    }

    /// The application at Last.fm, and the target `name` with further settings and a timestamp mode.
    pub async fn lastfm_target(&self, name: &str, timestamp: &str, settings: Value) {
        let app = LastfmApp {
            api_key: "lastfm-api-key".to_owned(),
            shared_secret: "lastfm-shared-secret".to_owned(),
            suspended: false,
            errors_with_200: false,
        };
        self.script.put_lastfm_app(&app).await.unwrap();
        let key = format!("{name}-application");
        self.secret(&key, "target", &[("api-key", &app.api_key), ("shared-secret", &app.shared_secret)]).await;
        let mut last_fm = json!({
            "apiKeyRef": {"name": key, "key": "api-key"}, "sharedSecretRef": {"name": key, "key": "shared-secret"},
        });
        for (field, value) in settings.as_object().into_iter().flatten() {
            last_fm[field] = value.clone();
        }
        let spec =
            json!({"type": "LastFm", "url": self.script.lastfm_url(), "timestamp": timestamp, "lastFm": last_fm});
        self.create::<ScrobbleTarget>("ScrobbleTarget", name, &spec).await;
    }

    /// A user of Last.fm with the Secret `<name>-lastfm`.
    pub async fn lastfm_user(&self, name: &str) -> LastfmUser {
        let session = format!("lastfm-session-of-{name}");
        let user = LastfmUser::new(name, &session);
        self.script.put_lastfm_user(&user).await.unwrap();
        self.secret(&format!("{name}-lastfm"), "credentials", &[("session-key", &session)]).await;
        user
    }

    /// How a webhook answers from now on.
    pub async fn hook_answers(&self, name: &str, status: u16) {
        self.script.put_webhook(name, &WebhookSettings { status }).await.unwrap();
    }

    /// What a webhook has accepted, in the order in which it did.
    pub async fn accepted(&self, name: &str) -> Vec<Delivery> {
        let mut deliveries = self.script.deliveries(name).await.unwrap();
        deliveries.retain(|delivery| delivery.accepted > 0);
        deliveries.sort_by_key(|delivery| delivery.last_time);
        deliveries
    }

    /// The journal Secret of an account, if there is one.
    pub async fn journal_secret(&self, account: &SpotifyAccount) -> Option<Secret> {
        self.secrets().get_opt(&journal_name(account)).await.unwrap()
    }

    /// The journal of an account; none where there is none that can be read.
    pub async fn journal(&self, account: &SpotifyAccount) -> Option<Journal> {
        let data = self.journal_secret(account).await?.data?;
        decode(&data.get("journal")?.0).ok()
    }

    /// Waits until an account's journal holds so many plays.
    pub async fn wait_for_journal(&self, account: &SpotifyAccount, count: usize) -> Journal {
        wait_until(&format!("{count} plays in the journal"), DEADLINE, async || {
            let journal = self.journal(account).await.ok_or("no journal")?;
            if journal.entries.len() == count { Ok(journal) } else { Err(journal.entries.len().to_string()) }
        })
        .await
        .unwrap()
    }

    /// Requests that match, as soon as there are so many.
    pub async fn wait_for_requests(&self, what: &str, filter: &RecordFilter, count: usize) -> Vec<Record> {
        wait_until(what, DEADLINE, async || {
            let requests = self.script.requests(filter).await.map_err(|error| error.to_string())?;
            if requests.len() >= count { Ok(requests) } else { Err(requests.len().to_string()) }
        })
        .await
        .unwrap()
    }

    /// Requests that match so far.
    pub async fn count(&self, filter: &RecordFilter) -> usize {
        self.script.requests(filter).await.unwrap().len()
    }

    /// Asserts that ListenBrainz holds these plays of a listener, each received once.
    pub async fn assert_listens(&self, listener: &str, titles: &[String]) {
        let mut expected = titles.to_vec();
        expected.sort();
        assert_eq!(self.listens(listener).await, expected);
        let listens: Vec<Listen> = self.script.listens(listener).await.unwrap();
        assert!(listens.iter().all(|listen| (listen.received, listen.forms.len()) == (1, 1)), "{listens:?}");
    }
}

/// The name of an account's journal Secret.
pub fn journal_name(account: &SpotifyAccount) -> String {
    format!("scrobble-operator-journal-{}", account.uid().unwrap())
}

/// The title of a delivered play.
pub fn title(delivery: &Delivery) -> String {
    let body: Value = serde_json::from_str(&delivery.body).unwrap();
    body["track"]["title"].as_str().unwrap().to_owned()
}
