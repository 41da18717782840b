//! One failure from its beginning to its end, with an app, a target and services of its own: what happens there concerns
//! nobody else.

use std::time::Duration;

use jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::await_condition;
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{
    AccountTargetStatus, BreakerState, ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, SpotifyApp, TargetState,
};
use scrobble_simulator::api::{
    LastfmApp, LastfmRule, LastfmUser, ListenBrainzRules, NewAccount, NewApp, NewFault, Rotation,
};
use scrobble_simulator::{Clock, Options, Simulator};
use serde_json::{Value, json};

use super::cases::{Case, Fault, Remedy, Service, Trigger, Until};
use super::{picture, review};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, Kind, World, condition, ready};

/// How long an account may take to be well before somebody asks for a read again.
const PATIENCE: Duration = Duration::from_secs(10);

/// One failure, and what it is about.
pub struct Stage<'a> {
    pub case: &'a Case,
    world: &'a World,
    services: Simulator,
}

impl<'a> Stage<'a> {
    /// An account that is well.
    pub async fn build(world: &'a World, case: &'a Case) -> Self {
        let clock = Clock::parse(world.clock.as_deref().unwrap()).unwrap();
        let services = Simulator::start(Options { clock, ..Options::default() }).await.unwrap();
        let stage = Self { case, world, services };
        world.app(case.name, &NewApp::confidential(CLIENT_ID, CLIENT_SECRET)).await;
        stage.target().await;
        for name in stage.accounts() {
            stage.account(&name).await;
        }
        for name in stage.accounts() {
            let is_well = |account: &SpotifyAccount| ready(&told(account)) == ("True", "Succeeded");
            stage.seen(&name, "an account that is well", DEADLINE, is_well).await.unwrap();
        }
        let accounts = stage.accounts().len();
        let is_well = |status: Value| picture::is_healthy(&status) && status["accounts"] == accounts;
        let app = |app: &SpotifyApp| is_well(json!(app.status));
        stage.seen(case.name, "an app that is well", DEADLINE, app).await.unwrap();
        let target = |target: &ScrobbleTarget| is_well(json!(target.status));
        stage.seen(case.name, "a target that is well", DEADLINE, target).await.unwrap();
        stage
    }

    /// The accounts of the app.
    fn accounts(&self) -> Vec<String> {
        let name = self.case.name.to_owned();
        if self.case.until == Until::AppOpen { vec![name.clone(), format!("{name}-too")] } else { vec![name] }
    }

    async fn account(&self, name: &str) {
        let rotation = matches!(self.case.fault, Fault::Once(..)).then_some(Rotation::SingleUse);
        self.world.listener_as(NewAccount { rotation, ..NewAccount::new(name, CLIENT_ID) }).await;
        let mut entry = json!({"name": "there", "targetRef": {"name": self.case.name}});
        if let Some(credentials) = self.credentials(name).await {
            entry["credentialsRef"] = json!({"name": credentials});
        }
        let spec = json!({
            "appRef": {"name": self.case.name}, "tokenSecretRef": {"name": format!("{name}-spotify")},
            "sync": {"interval": "6h"}, "targets": [entry],
        });
        self.world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    /// The listener's place at the service; answers the Secret with the key, if there is one.
    async fn credentials(&self, name: &str) -> Option<String> {
        let key = format!("key-of-{name}");
        let field = match self.case.service {
            Service::Webhook => return None,
            Service::ListenBrainz => {
                self.services.put_listenbrainz_user(name, &key).await.unwrap();
                "token"
            }
            Service::LastFm => {
                self.services.put_lastfm_user(&LastfmUser::new(name, &key)).await.unwrap();
                "session-key"
            }
        };
        let secret = format!("{name}-key");
        self.world.secret(&secret, "credentials", &[(field, &key)]).await;
        Some(secret)
    }

    async fn target(&self) {
        let name = self.case.name;
        let spec = match self.case.service {
            Service::Webhook => json!({
                "type": "Webhook", "url": self.services.webhook_url(name),
                "webhook": {"signingKeyRef": {"name": "hook", "key": "hmac"}},
            }),
            Service::ListenBrainz => json!({"type": "ListenBrainz", "url": self.services.listenbrainz_url()}),
            Service::LastFm => {
                self.application(false).await;
                let key = |key: &str| json!({"name": "application", "key": key});
                json!({
                    "type": "LastFm", "url": self.services.lastfm_url(),
                    "lastFm": {"apiKeyRef": key("api-key"), "sharedSecretRef": key("shared-secret")},
                })
            }
        };
        self.world.create::<ScrobbleTarget>("ScrobbleTarget", name, &spec).await;
    }

    /// The application that the Secret `application` names.
    async fn application(&self, suspended: bool) {
        let app = LastfmApp {
            api_key: "lastfm-api-key".to_owned(),
            shared_secret: "lastfm-shared-secret".to_owned(),
            suspended,
            errors_with_200: false,
        };
        self.services.put_lastfm_app(&app).await.unwrap();
    }

    /// It goes wrong, and something is said of it.
    pub async fn wrong(&self) -> String {
        self.begin().await;
        for name in self.accounts() {
            self.trigger(&name).await;
            self.world.play(&name, 1, 1).await;
        }
        self.ask("wrong").await;
        let account = match self.case.until {
            Until::Told => self.account_seen("something to be said", says_something).await,
            Until::NotReady => self.account_seen("to be stopped", |status| ready(status).0 == "False").await,
            Until::Read => self.account_seen("a read", |status| is_handled(status, "wrong")).await,
            // Nobody passes the waits of a target by asking.
            Until::Open if self.case.at_target => self.account_seen("an open breaker", is_open_at_target).await,
            Until::Open | Until::AppOpen => self.until_open().await,
        };
        let name = self.case.name;
        let app = if self.case.at_app {
            let speaks = |app: &SpotifyApp| !picture::is_healthy(&json!(app.status));
            self.seen(name, "an app that says something", DEADLINE, speaks).await.unwrap()
        } else {
            self.world.api::<SpotifyApp>().get(name).await.unwrap()
        };
        let target = if self.case.at_target {
            let speaks = |target: &ScrobbleTarget| !picture::is_healthy(&json!(target.status));
            self.seen(name, "a target that says something", DEADLINE, speaks).await.unwrap()
        } else {
            self.world.api::<ScrobbleTarget>().get(name).await.unwrap()
        };
        self.picture(&account, &app, &target)
    }

    /// Asks again and again until a breaker opens.
    async fn until_open(&self) -> SpotifyAccountStatus {
        let mut is_open = false;
        for number in 0..20 {
            let token = format!("wrong-{number}");
            self.ask(&token).await;
            for name in self.accounts() {
                let is_handled = |account: &SpotifyAccount| is_handled(&told(account), &token);
                self.seen(&name, "an answer", DEADLINE, is_handled).await.unwrap();
            }
            let account = told(&self.world.api::<SpotifyAccount>().get(self.case.name).await.unwrap());
            if is_open {
                return account;
            }
            let app = self.world.api::<SpotifyApp>().get(self.case.name).await.unwrap();
            is_open = app.status.is_some_and(|status| status.circuit_breaker.is_some())
                || account.breaker_state() == BreakerState::Open;
        }
        panic!("{}: no breaker opens", self.case.name)
    }

    /// It is right again, and somebody asks until all is well.
    pub async fn mended(&self) -> String {
        self.end().await;
        let name = self.case.name;
        let mut account = None;
        for number in 0..12 {
            let token = format!("right-{number}");
            self.ask(&token).await;
            for name in self.accounts() {
                let is_well = |account: &SpotifyAccount| {
                    let status = told(account);
                    is_handled(&status, &token) && is_well(&status)
                };
                account = self.seen(&name, "to be well", PATIENCE, is_well).await;
                if account.is_none() {
                    break;
                }
            }
            if account.is_some() {
                break;
            }
        }
        let Some(account) = account else {
            panic!("{name} is not well: {:#?}", self.world.api::<SpotifyAccount>().get(name).await.unwrap().status)
        };
        let is_well = |app: &SpotifyApp| picture::is_healthy(&json!(app.status));
        let app = self.seen(name, "an app that is well", DEADLINE, is_well).await.unwrap();
        let is_well = |target: &ScrobbleTarget| picture::is_healthy(&json!(target.status));
        let target = self.seen(name, "a target that is well", DEADLINE, is_well).await.unwrap();
        self.picture(&told(&account), &app, &target)
    }

    /// What is told, by whom there is something to tell.
    fn picture(&self, account: &SpotifyAccountStatus, app: &SpotifyApp, target: &ScrobbleTarget) -> String {
        let all = [("account", json!(account)), ("app", json!(app.status)), ("target", json!(target.status))];
        for (whose, status) in &all {
            review::assert_consistent(whose, status);
        }
        let speaks = |(whose, status): &(&str, Value)| *whose == "account" || !picture::is_healthy(status);
        let all: Vec<(&str, Value)> = all.into_iter().filter(speaks).collect();
        picture::of(&all, &self.world.namespace)
    }

    /// The time of the services that plays go to, too.
    pub async fn advance(&self, time: SignedDuration) {
        self.services.advance_clock(time).await.unwrap();
    }

    async fn begin(&self) {
        let world = self.world;
        match &self.case.fault {
            Fault::None => {}
            Fault::At(endpoint, effect) => {
                for name in self.accounts() {
                    let fault = NewFault::new(effect.clone()).at(*endpoint).of(&name);
                    self.script().add_fault(&fault).await.unwrap();
                }
            }
            Fault::Once(endpoint, effect) => {
                let fault = NewFault::new(effect.clone()).at(*endpoint).of(self.case.name).times(1);
                self.script().add_fault(&fault).await.unwrap();
            }
            Fault::Rules(rules) => {
                wait_until("a window that just began", DEADLINE, async || {
                    let second = world.script.now().await.unwrap().as_second();
                    second.rem_euclid(rules.rate_window_seconds) < rules.rate_window_seconds / 2
                })
                .await
                .unwrap();
                self.services.put_listenbrainz_rules(rules).await.unwrap();
            }
            Fault::Ignored(code) => self.lastfm_user(Some(*code)).await,
            Fault::ApplicationSuspended => self.application(true).await,
        }
    }

    async fn end(&self) {
        let name = self.case.name;
        match &self.case.fault {
            Fault::None | Fault::Once(..) => {}
            Fault::At(..) => {
                for fault in self.script().faults().await.unwrap() {
                    if fault.rule.account.is_some_and(|account| self.accounts().contains(&account)) {
                        self.script().remove_fault(fault.id).await.unwrap();
                    }
                }
            }
            Fault::Rules(_) => self.services.put_listenbrainz_rules(&ListenBrainzRules::default()).await.unwrap(),
            Fault::Ignored(_) => self.lastfm_user(None).await,
            Fault::ApplicationSuspended => self.application(false).await,
        }
        if self.case.remedy == Remedy::SignIn {
            self.put_token(name, name).await;
        }
        if self.case.trigger == Trigger::WrongKey {
            self.put_key(&format!("key-of-{name}")).await;
        }
    }

    /// The simulator where it goes wrong.
    fn script(&self) -> &scrobble_simulator::client::Client {
        match &self.case.fault {
            Fault::At(endpoint, _) | Fault::Once(endpoint, _) if super::is_spotifys(*endpoint) => &self.world.script,
            _ => &self.services,
        }
    }

    async fn trigger(&self, name: &str) {
        match self.case.trigger {
            Trigger::Play => {}
            Trigger::OldToken => {
                self.patch_secret(&format!("{name}-spotify"), &json!({"expires-at": "2026-01-01T00:00:00Z"})).await;
            }
            Trigger::NewToken => self.put_token(name, name).await,
            Trigger::OtherListener => {
                let other = format!("{name}-other");
                self.world.script.add_account(&NewAccount::new(&other, CLIENT_ID)).await.unwrap();
                self.put_token(name, &other).await;
            }
            Trigger::NewKey => {
                let key = format!("new-key-of-{name}");
                self.services.put_listenbrainz_user(name, &key).await.unwrap();
                self.put_key(&key).await;
            }
            Trigger::WrongKey => self.put_key("key-of-nobody").await,
        }
    }

    /// A listener signs in, and the token goes into an account's Secret.
    async fn put_token(&self, name: &str, listener: &str) {
        let tokens = self.world.script.mint_tokens(listener).await.unwrap();
        self.patch_secret(&format!("{name}-spotify"), &json!({"refresh-token": tokens.refresh_token})).await;
    }

    async fn put_key(&self, key: &str) {
        let field = if self.case.service == Service::LastFm { "session-key" } else { "token" };
        let mut data = json!({});
        data[field] = json!(key);
        self.patch_secret(&format!("{}-key", self.case.name), &data).await;
    }

    async fn patch_secret(&self, name: &str, data: &Value) {
        let patch = Patch::Merge(json!({"stringData": data}));
        self.world.secrets().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn lastfm_user(&self, ignored: Option<u32>) {
        let name = self.case.name;
        let everything = |code| LastfmRule { artist_contains: String::new(), track_contains: String::new(), code };
        let ignore = ignored.map(everything).into_iter().collect();
        let user = LastfmUser { ignore, ..LastfmUser::new(name, format!("key-of-{name}")) };
        self.services.put_lastfm_user(&user).await.unwrap();
    }

    async fn ask(&self, token: &str) {
        for name in self.accounts() {
            self.world.request(&name, token).await;
        }
    }

    async fn account_seen(&self, what: &str, wanted: impl Fn(&SpotifyAccountStatus) -> bool) -> SpotifyAccountStatus {
        let wanted = |account: &SpotifyAccount| wanted(&told(account));
        let seen = self.seen(self.case.name, what, DEADLINE, wanted).await;
        told(&seen.unwrap_or_else(|| panic!("{}: no {what}", self.case.name)))
    }

    /// The first version of an object that is as wanted; none within the deadline. It is watched: nothing that is said
    /// for a moment only is missed.
    async fn seen<K: Kind>(
        &self,
        name: &str,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&K) -> bool,
    ) -> Option<K> {
        let is_wanted = |object: Option<&K>| object.is_some_and(&wanted);
        match tokio::time::timeout(deadline, await_condition(self.world.api::<K>(), name, is_wanted)).await {
            Ok(seen) => seen.unwrap_or_else(|error| panic!("{name}: {what}: {error}")),
            Err(_) => None,
        }
    }
}

fn told(account: &SpotifyAccount) -> SpotifyAccountStatus {
    account.status.clone().unwrap_or_default()
}

fn is_handled(status: &SpotifyAccountStatus, token: &str) -> bool {
    status.last_handled_reconcile_at.as_deref() == Some(token)
}

fn is_open_at_target(status: &SpotifyAccountStatus) -> bool {
    status.targets.iter().any(|target| target.state == TargetState::CircuitOpen)
}

fn says_something(status: &SpotifyAccountStatus) -> bool {
    let says =
        |target: &AccountTargetStatus| target.reason.is_some() || target.message.is_some() || target.quarantined > 0;
    status.failures.is_some() || status.targets.iter().any(says) || ready(status).0 == "False"
}

/// Everything that was heard was delivered, or will never be.
fn is_well(status: &SpotifyAccountStatus) -> bool {
    let delivered =
        |target: &AccountTargetStatus| target.reason.is_none() && target.message.is_none() && target.pending == 0;
    let scrobbled = status.sync.as_ref().map_or(0, |sync| sync.scrobbled_total);
    let quarantined: i64 = status.targets.iter().map(|target| target.quarantined).sum();
    let conditions = [ConditionType::Ready, ConditionType::Authorized, ConditionType::Synced];
    conditions.into_iter().all(|kind| condition(status, kind) == ("True", "Succeeded"))
        && status.conditions.len() == conditions.len()
        && status.failures.is_none()
        && status.targets.iter().all(delivered)
        && scrobbled + quarantined > 0
}
