//! What is observed around an account, and what a pass has done, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AUTHORIZATION, NAMESPACE, minutes, seconds, start};
use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{
    AllowedNamespaces, BreakerState, BreakerStatus, PlayTimestamp, ScrobbleTarget, ScrobbleTargetSpec,
    SecretKeyReference, SpotifyAccount, SpotifyApp, SpotifyAppSpec, TargetCircuitBreaker, TargetType, Webhook,
};
use crate::domain::answer::ApiAnswer;
use crate::domain::journal::{self, Journal};
use crate::domain::ledger::Attachment;
use crate::domain::listener::Listener;
use crate::domain::play::{Heard, Page};
use crate::plan::budget::Portion;
use crate::plan::client::{ClientVersion, Standing};
use crate::plan::observed::{ClientView, Duty, JournalView, TargetEntry, TargetView};
use crate::plan::seating::{InForce, Seating};
use crate::plan::step::{Credentials, RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Observed, Progress, Settings, TokenView};

/// An app in the account's namespace, with a client secret.
pub(super) fn app() -> SpotifyApp {
    let mut app = SpotifyApp::new("main", SpotifyAppSpec::default());
    app.metadata.namespace = Some(NAMESPACE.to_owned());
    app.metadata.generation = Some(1);
    app.spec.client_id = "0123456789abcdef0123456789abcdef".to_owned();
    app.spec.client_secret_ref =
        Some(SecretKeyReference { name: "spotify-app".to_owned(), key: "client-secret".to_owned() });
    app
}

/// The app, whose credentials Spotify refuses; one request may probe at a time.
pub(super) fn refused_app(next_probe: Timestamp) -> Lookup<SpotifyApp> {
    let mut app = app();
    let version = ClientVersion::default();
    let breaker = BreakerStatus {
        state: BreakerState::Open,
        opened_time: Some(whole_seconds(start())),
        next_probe_time: Some(whole_seconds(next_probe)),
        trips: 1,
    };
    Standing { breaker: Some(breaker), refused: Some((&version).into()), ..Standing::default() }
        .write_to(app.status.get_or_insert_default());
    Lookup::Found(Arc::new(app))
}

/// A target of a type.
pub(in crate::plan) fn target(name: &str, kind: TargetType) -> ScrobbleTarget {
    let spec = ScrobbleTargetSpec {
        target_type: kind,
        url: Some(format!("https://{name}.example.org")),
        timestamp: PlayTimestamp::default(),
        last_fm: None,
        listen_brainz: None,
        maloja: None,
        webhook: None,
        allowed_namespaces: AllowedNamespaces::default(),
        circuit_breaker: TargetCircuitBreaker::default(),
    };
    let mut target = ScrobbleTarget::new(name, spec);
    target.metadata.namespace = Some(NAMESPACE.to_owned());
    target.metadata.generation = Some(1);
    if kind == TargetType::Webhook {
        let key = SecretKeyReference { name: "hook".to_owned(), key: "hmac".to_owned() };
        target.spec.webhook = Some(Webhook { signing_key_ref: key });
    }
    target
}

/// Everything around an account is as it should be: entries with credentials lead to a ListenBrainz, others to a
/// webhook. This process holds no token and no credentials, and has read nothing.
pub(super) fn around(account: &SpotifyAccount) -> Observed {
    let targets = account.spec.targets.iter().map(|entry| {
        let kind = if entry.credentials_ref.is_some() { TargetType::ListenBrainz } else { TargetType::Webhook };
        TargetEntry {
            entry: entry.name.clone(),
            name: entry.target_ref.object(NAMESPACE),
            target: Lookup::Found(Arc::new(target(&entry.target_ref.name, kind))),
            prepared: false,
            credentials_id: None,
            holder: None,
            moved_on: false,
            view: TargetView::default(),
        }
    });
    Observed {
        namespace: NAMESPACE.to_owned(),
        namespace_labels: Some(BTreeMap::new()),
        app: Lookup::Found(Arc::new(app())),
        client: ClientView::default(),
        app_name: account.spec.app_ref.object(NAMESPACE),
        seating: Seating::default(),
        targets: targets.collect(),
        token_secret_holder: None,
        token: None,
        last_read: None,
        waiting_page: None,
        journal: JournalView { journal: Some(Arc::default()), ..JournalView::default() },
        duty: Duty { since: start(), before_until: None },
        settings: Settings {
            refresh_buffer: minutes(5),
            minimum_interval: minutes(5),
            app_requests_per_30s: 60,
            minimum_request_interval: minutes(1),
        },
        portion: Portion::default(),
        short_of_calls: false,
    }
}

/// A token of the account's authorization.
pub(super) fn token(expires_at: Timestamp) -> TokenView {
    TokenView {
        expires_at: Some(expires_at),
        authorization_id: AUTHORIZATION.to_owned(),
        token_id: "token-1".to_owned(),
        authorized_at: None,
        flow: None,
        scopes: vec!["user-read-recently-played".to_owned()],
        interrupted: None,
        refused: false,
        put_back: false,
    }
}

/// What a test says about the surroundings.
pub(super) trait ObservedSentence: Sized {
    fn with_app(self, app: Lookup<SpotifyApp>) -> Self;
    fn with_target_found(self, entry: &str, target: Lookup<ScrobbleTarget>) -> Self;
    fn with_plan_in_force(self, shortest: SignedDuration) -> Self;
    fn with_journal_of(self, entry: &str) -> Self;
    fn with_token(self, token: TokenView) -> Self;
    fn with_token_expiring_in(self, wait: SignedDuration) -> Self;
    fn holding_credentials(self) -> Self;
    fn read_at(self, time: Timestamp) -> Self;
    fn with_waiting(self, page: Page) -> Self;
    fn on_duty_since(self, time: Timestamp, before_until: Option<Timestamp>) -> Self;
}

impl ObservedSentence for Observed {
    fn with_journal_of(mut self, entry: &str) -> Self {
        let id = Attachment::id_of(entry, NAMESPACE, entry);
        let mut held = Journal::default();
        for heard in self.waiting_page.iter().flat_map(|page| &page.entries) {
            if let Heard::Play(play) = heard {
                held.set(&Arc::new(play.clone()), id, journal::Standing::WAITING);
            }
        }
        self.journal.journal = Some(Arc::new(held));
        self
    }

    fn with_app(mut self, app: Lookup<SpotifyApp>) -> Self {
        self.app = app;
        self
    }

    fn with_target_found(mut self, entry: &str, target: Lookup<ScrobbleTarget>) -> Self {
        self.targets.iter_mut().find(|target| target.entry == entry).unwrap().target = target;
        self
    }

    fn with_plan_in_force(mut self, shortest: SignedDuration) -> Self {
        self.seating = Seating::InForce(InForce {
            plan: "free".to_owned(),
            min_interval: shortest,
            number: None,
            granted_time: None,
            full: Vec::new(),
        });
        self
    }

    fn with_token(mut self, token: TokenView) -> Self {
        self.token = Some(token);
        self
    }

    fn with_token_expiring_in(self, wait: SignedDuration) -> Self {
        self.with_token(token(start() + wait))
    }

    fn holding_credentials(mut self) -> Self {
        for target in &mut self.targets {
            target.prepared = true;
        }
        self
    }

    fn read_at(mut self, time: Timestamp) -> Self {
        self.last_read = Some(time);
        self
    }

    fn with_waiting(mut self, page: Page) -> Self {
        self.waiting_page = Some(Arc::new(page));
        self
    }

    fn on_duty_since(mut self, time: Timestamp, before_until: Option<Timestamp>) -> Self {
        self.duty = Duty { since: time, before_until };
        self
    }
}

/// A pass that has done nothing yet.
pub(super) fn progress() -> Progress {
    Progress::default()
}

/// What a test says about a pass.
pub(super) trait ProgressSentence: Sized {
    fn with_loaded(self, token: Result<TokenView, SecretTrouble>) -> Self;
    fn with_refreshed(self, time: Timestamp) -> Self;
    fn with_refresh(self, outcome: RefreshOutcome) -> Self;
    fn with_listener(self, id: &str) -> Self;
    fn with_page(self, page: Page, time: Timestamp) -> Self;
    fn with_no_page(self, answer: ApiAnswer<Arc<Page>>) -> Self;
    fn with_credentials(self, entry: &str, found: Result<Credentials, SecretTrouble>) -> Self;
}

impl ProgressSentence for Progress {
    fn with_loaded(mut self, token: Result<TokenView, SecretTrouble>) -> Self {
        self.token = Some(token);
        self
    }

    fn with_refreshed(self, time: Timestamp) -> Self {
        let token = token(time + seconds(3600));
        self.with_refresh(RefreshOutcome::Refreshed { token, time, rotated: false })
    }

    fn with_refresh(mut self, outcome: RefreshOutcome) -> Self {
        self.refresh = Some(outcome);
        self
    }

    fn with_listener(mut self, id: &str) -> Self {
        self.listener = Some(ApiAnswer::Found(Listener { account_id: id.to_owned() }));
        self
    }

    fn with_page(mut self, page: Page, time: Timestamp) -> Self {
        self.page = Some(ApiAnswer::Found(Arc::new(page)));
        self.read_time = Some(time);
        self
    }

    fn with_no_page(mut self, answer: ApiAnswer<Arc<Page>>) -> Self {
        self.page = Some(answer);
        self
    }

    fn with_credentials(mut self, entry: &str, found: Result<Credentials, SecretTrouble>) -> Self {
        self.credentials.insert(entry.to_owned(), found);
        self
    }
}
