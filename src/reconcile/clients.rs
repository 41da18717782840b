//! What this process knows of the client credentials of apps: what Spotify said about them, and whose exchange is to find
//! out. The decisions are those of [`crate::plan::client`]; what they come to is kept in the app's status, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::app;
use super::context::Context;
use super::feed::Feed;
use crate::api::v1alpha1::{BreakerLimits, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::plan::client::{self, ClientVersion, Evidence, Standing, Word};
use crate::plan::observed::ClientView;
use crate::plan::outage::Streak;
use crate::plan::pacing::Pacer;
use crate::plan::step::RefreshOutcome;

/// Client credentials as read.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadClient {
    pub(super) version: ClientVersion,
    /// None for a public client.
    pub(super) secret: Option<SecretString>,
}

/// What is known of one app's credentials.
#[derive(Default)]
pub(super) struct Known {
    /// As this process learned it; none where only the app's status tells.
    pub(super) standing: Option<Standing>,
    /// The credentials that Spotify has accepted.
    proven: Option<ClientVersion>,
    /// Exchanges on their way that are to find out.
    asking: usize,
    /// How many of them go together.
    width: usize,
    /// Somebody was told to wait for them.
    waited_for: bool,
    /// The account that was refused in a way that one account alone does not prove.
    odd: Option<String>,
    /// The account that was refused last.
    refused_last: Option<String>,
    /// Failures in a row of its accounts.
    pub(super) streak: Streak,
    /// The account whose request probes whether Spotify is back.
    pub(super) probing: Option<String>,
    /// How fast its accounts may ask.
    pub(super) pacer: Pacer,
    /// The secret that was refused: a Secret that changed in anything else holds no other one.
    refused_secret: Option<SecretString>,
}

impl Known {
    pub(super) fn standing(&self, app: &SpotifyApp) -> Standing {
        self.standing.clone().unwrap_or_else(|| Standing::of(app))
    }

    /// Whether these very credentials are the refused ones, although the Secret may have changed in something else.
    fn was_refused(&self, app: &SpotifyApp, client: &ReadClient) -> bool {
        let refused = self.standing(app).refused;
        let same_spec = refused.is_some_and(|refused| refused.generation == client.version.generation);
        let values = self.refused_secret.as_ref().zip(client.secret.as_ref());
        same_spec && values.is_some_and(|(refused, found)| refused.expose_secret() == found.expose_secret())
    }
}

/// What this process knows of the client credentials of all apps, by the app's uid.
pub struct Clients {
    apps: Mutex<HashMap<String, Known>>,
    news: Feed<News>,
}

/// Something was learned about an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its accounts wait for it.
    Client(ObjectName),
    /// A limit was met, or Spotify is away, or back: the app's own status tells it, and accounts come by themselves.
    Limit(ObjectName),
}

impl Default for Clients {
    fn default() -> Self {
        Self { apps: Mutex::default(), news: Feed::keeping(1024) }
    }
}

impl Clients {
    /// What is learned about apps from now on. None: too much to tell.
    pub fn news(&self) -> impl Stream<Item = Option<News>> + Send + use<> {
        self.news.listen()
    }

    /// Forgets an app that is gone.
    pub fn forget(&self, uid: &str) {
        self.apps().remove(uid);
    }

    /// What is known of an app's credentials.
    pub(super) fn standing(&self, app: &SpotifyApp) -> Standing {
        self.apps().get(uid(app)).map_or_else(|| Standing::of(app), |known| known.standing(app))
    }

    /// The app with what this process has learned since its status was written.
    pub(super) fn up_to_date(&self, app: Arc<SpotifyApp>) -> Arc<SpotifyApp> {
        let learned = self.apps().get(uid(&app)).and_then(|known| known.standing.clone());
        match learned {
            Some(learned) if learned != Standing::of(&app) => {
                let mut app = app.as_ref().clone();
                learned.write_to(app.status.get_or_insert_default());
                Arc::new(app)
            }
            _ => app,
        }
    }

    /// What one of the app's accounts needs to know.
    pub(super) fn view(&self, app: &SpotifyApp, account_uid: &str) -> ClientView {
        let apps = self.apps();
        let Some(known) = apps.get(uid(app)) else { return ClientView::default() };
        ClientView { asked: known.asking > 0, refused_last: known.refused_last.as_deref() == Some(account_uid) }
    }

    /// The credentials were looked at: other ones than those that were refused may be tried at once.
    pub(super) fn looked_at(&self, app: &SpotifyApp, found: &ReadClient, now: Timestamp) {
        let mut apps = self.apps();
        let known = apps.entry(uid(app).to_owned()).or_default();
        let before = known.standing(app);
        let after = if known.was_refused(app, found) { before.clone() } else { before.seen(&found.version, now) };
        if after != before {
            known.standing = Some(after);
            drop(apps);
            self.tell(app);
        }
    }

    /// Whether an exchange with these credentials may begin now.
    pub(super) fn enter(
        ctx: &Arc<Context>,
        app: &Arc<SpotifyApp>,
        client: &ReadClient,
        account_uid: &str,
    ) -> Option<Exchanging> {
        let now = ctx.clock.now();
        let mut apps = ctx.clients.apps();
        let known = apps.entry(uid(app).to_owned()).or_default();
        let proven = known.proven.as_ref() == Some(&client.version);
        if !client::may_exchange(&known.standing(app), proven, known.asking, known.width, now) {
            known.waited_for = true;
            return None;
        }
        known.asking += usize::from(!proven);
        let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
        let (client, account_uid) = (client.clone(), account_uid.to_owned());
        Some(Exchanging { ctx, app, client, account_uid, asks: !proven })
    }

    /// Whether somebody else's exchange is to find out what Spotify says.
    pub(super) fn must_wait(&self, app: &SpotifyApp, now: Timestamp) -> bool {
        let mut apps = self.apps();
        let Some(known) = apps.get_mut(uid(app)) else { return false };
        let wait = known.asking > 0
            && !client::may_exchange(&known.standing(app), known.proven.is_some(), known.asking, known.width, now);
        known.waited_for |= wait;
        wait
    }

    fn tell(&self, app: &SpotifyApp) {
        self.send(News::Client(app::name(app)));
    }

    pub(super) fn send(&self, news: News) {
        self.news.tell(news);
    }

    pub(super) fn apps(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange on its way with an app's credentials. Whoever waits for it goes on when it ends, however it ends.
pub(super) struct Exchanging {
    ctx: Arc<Context>,
    app: Arc<SpotifyApp>,
    client: ReadClient,
    account_uid: String,
    asks: bool,
}

impl Exchanging {
    /// Notes how it ended, for whoever goes on after it. Answers whether the app's status has something new to tell.
    pub(super) fn note(&self, outcome: &RefreshOutcome, evidence: Evidence) -> bool {
        let now = self.ctx.clock.now();
        let version = &self.client.version;
        let mut apps = self.ctx.clients.apps();
        let known = apps.entry(uid(&self.app).to_owned()).or_default();
        let evidence = Evidence {
            public: self.client.secret.is_none(),
            proven: known.proven.as_ref() == Some(version),
            repeated: known.standing(&self.app).refused.is_some()
                || known.odd.as_ref().is_some_and(|odd| *odd != self.account_uid),
            ..evidence
        };
        let word = client::word(outcome, evidence);
        let mut before = known.standing(&self.app);
        if known.was_refused(&self.app, &self.client) {
            before.refused = Some(version.into());
        }
        known.width = client::width_after(known.width, word);
        match word {
            Word::Accepted => {
                known.proven = Some(version.clone());
                (known.odd, known.refused_last, known.refused_secret) = (None, None, None);
            }
            Word::Refused => {
                known.proven = None;
                known.refused_last = Some(self.account_uid.clone());
                known.refused_secret.clone_from(&self.client.secret);
            }
            Word::Odd => known.odd = Some(self.account_uid.clone()),
            Word::Nothing { .. } | Word::Unsent => {}
        }
        let limits = BreakerLimits::from(&self.app.spec.circuit_breaker);
        let after = before.after(word, version, limits, now);
        let changed = after != before;
        if changed {
            known.waited_for = true;
            known.standing = Some(after);
        }
        changed
    }
}

impl Drop for Exchanging {
    fn drop(&mut self) {
        let mut apps = self.ctx.clients.apps();
        let Some(known) = apps.get_mut(uid(&self.app)) else { return };
        known.asking = known.asking.saturating_sub(usize::from(self.asks));
        let awaited = std::mem::take(&mut known.waited_for);
        drop(apps);
        if awaited {
            self.ctx.clients.tell(&self.app);
        }
    }
}

pub(super) fn uid(app: &SpotifyApp) -> &str {
    app.metadata.uid.as_deref().unwrap_or_default()
}
