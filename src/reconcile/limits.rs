//! What this process knows of an app's limits: who may ask Spotify now, and what answers say about all accounts of the app.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::app;
use super::clients::{Clients, News, uid};
use super::context::Context;
use crate::api::v1alpha1::{BreakerLimits, SpotifyApp};
use crate::plan::gate::{self, Asked};
use crate::plan::outage::Sign;

/// How soon an account looks again while another one's request finds out whether Spotify is back.
const PROBE_LOOK: SignedDuration = SignedDuration::from_secs(10);

/// The right to ask whether Spotify is back; another account may take it when this is dropped.
pub(super) struct Probe {
    ctx: Arc<Context>,
    app: String,
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(known) = self.ctx.clients.apps().get_mut(&self.app) {
            known.probing = None;
        }
    }
}

impl Clients {
    /// Lets an account ask Spotify: no gate of its app is closed, and while Spotify is away it is the only one.
    ///
    /// # Errors
    /// When it may come again.
    pub(super) fn approach(ctx: &Arc<Context>, app: &SpotifyApp, account: &str) -> Result<Option<Probe>, Timestamp> {
        let now = ctx.clock.now();
        let mut apps = ctx.clients.apps();
        let known = apps.entry(uid(app).to_owned()).or_default();
        let standing = known.standing(app);
        if let Some((_, until)) = standing.gates.closed(now) {
            return Err(until);
        }
        match standing.outage_until() {
            None => Ok(None),
            Some(until) if until > now => Err(until),
            Some(_) if known.probing.is_some() => Err(now + PROBE_LOOK),
            Some(_) => {
                known.probing = Some(account.to_owned());
                Ok(Some(Probe { ctx: Arc::clone(ctx), app: uid(app).to_owned() }))
            }
        }
    }

    /// Until when an account may not ask Spotify, although it was let in a moment ago.
    pub(super) fn held_until(&self, app: &SpotifyApp, account: &str, now: Timestamp) -> Option<Timestamp> {
        let apps = self.apps();
        let known = apps.get(uid(app))?;
        let standing = known.standing(app);
        let gate = standing.gates.closed(now).map(|(_, until)| until);
        let probes = known.probing.as_deref() == Some(account);
        let outage = standing.outage_until().filter(|until| *until > now || !probes);
        gate.or(outage.map(|until| until.max(now + PROBE_LOOK)))
    }

    /// Whether an account's request is the one that finds out whether Spotify is back.
    pub(super) fn is_probing(&self, app: &SpotifyApp, account: &str) -> bool {
        self.apps().get(uid(app)).is_some_and(|known| known.probing.as_deref() == Some(account))
    }

    /// Lets an account call the Web API at the app's pace.
    ///
    /// # Errors
    /// When it has its turn.
    pub(super) fn pace(&self, app: &SpotifyApp, account: &str, rate: u32, now: Timestamp) -> Result<(), Timestamp> {
        self.apps().entry(uid(app).to_owned()).or_default().pacer.enter(account, rate, now)
    }

    /// Whoever waits for a gate that was closed before this process began comes at the steady rate, too.
    pub(super) fn close(&self, app: &SpotifyApp, rate: u32, now: Timestamp) {
        let mut apps = self.apps();
        let known = apps.entry(uid(app).to_owned()).or_default();
        let standing = known.standing(app);
        let accounts = app.status.as_ref().map_or(0, |status| status.accounts);
        if let Some(until) = gate::closed_until(&standing, now) {
            known.pacer.close(until, gate::spread(accounts, rate));
        }
    }

    /// One more call of an account that was let through.
    pub(super) fn charge(&self, app: &SpotifyApp, rate: u32, now: Timestamp) {
        self.apps().entry(uid(app).to_owned()).or_default().pacer.charge(rate, now);
    }

    /// Notes what an answer says. Answers whether the app's status has something new to tell.
    pub(super) fn heard(
        &self,
        app: &SpotifyApp,
        account: &str,
        sign: Sign,
        asked: Option<Asked>,
        rate: u32,
        now: Timestamp,
    ) -> bool {
        let mut apps = self.apps();
        let known = apps.entry(uid(app).to_owned()).or_default();
        let before = known.standing(app);
        let limits = BreakerLimits::from(&app.spec.circuit_breaker);
        known.streak.note(account, sign);
        let mut after = match sign {
            Sign::Answers => before.back(),
            Sign::Unpaid => before.unpaid(now),
            Sign::Away if before.outage_until().is_some() || known.streak.is_outage(limits) => {
                before.away(uid(app), limits, now)
            }
            Sign::Away | Sign::None => before.clone(),
        };
        if let Some(asked) = asked {
            after.gates = after.gates.after(asked, now);
        }
        let changed = after != before;
        if changed {
            let spread = gate::spread(app.status.as_ref().map_or(0, |status| status.accounts), rate);
            match gate::closed_until(&after, now) {
                Some(until) => known.pacer.close(until, spread),
                None => known.pacer.level(now, spread),
            }
            known.standing = Some(after);
        }
        changed
    }

    /// The app's own pass looks at what was learned.
    pub(super) fn tell_limit(&self, app: &SpotifyApp) {
        self.send(News::Limit(app::name(app)));
    }
}
