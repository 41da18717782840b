//! What this process knows of targets as a whole: whether their services work, and whose request is to find out. The
//! decisions are those of [`crate::plan::target_standing`]; what they come to is kept in the target's status, too.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

use super::context::Context;
use super::feed::Feed;
use super::target;
use crate::api::v1alpha1::{BreakerLimits, ScrobbleTarget};
use crate::domain::name::ObjectName;
use crate::plan::observed::TargetView;
use crate::plan::target_standing::{Evidence, Standing, Word, is_enough};

/// The keys of a target's own as read, and what names their versions together with the target's spec.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnKeys {
    pub(super) version: String,
    pub(super) values: Vec<SecretString>,
}

impl OwnKeys {
    fn same_values(&self, other: &Self) -> bool {
        let values = |keys: &Self| keys.values.iter().map(|key| key.expose_secret().to_owned()).collect::<Vec<_>>();
        !self.values.is_empty() && values(self) == values(other)
    }
}

/// Something was learned about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The target.
    pub target: ObjectName,
    /// Whether its accounts wait for it.
    pub awaited: bool,
}

/// What is known of one target.
#[derive(Default)]
struct Known {
    /// As this process learned it; none where only the target's status tells.
    standing: Option<Standing>,
    /// Failures since the last request that succeeded, and the accounts that met them.
    failures: i32,
    failed: BTreeSet<String>,
    /// A request is on its way that probes.
    probing: bool,
    /// The account that probed in vain last.
    probed_last: Option<String>,
    /// When the breaker closed.
    closed_time: Option<Timestamp>,
    /// The keys that the service refused last.
    refused: Option<OwnKeys>,
    /// The keys that the service has accepted, and the account for which it did last.
    proven: Option<(String, String)>,
    /// The account for which they were refused since, which one account alone does not prove.
    odd: Option<String>,
}

impl Known {
    fn standing(&self, target: &ScrobbleTarget) -> Standing {
        self.standing.clone().unwrap_or_else(|| Standing::of(target))
    }
}

/// What this process knows of all targets, by the target's uid.
pub struct Standings {
    targets: Mutex<HashMap<String, Known>>,
    news: Feed<News>,
}

impl Default for Standings {
    fn default() -> Self {
        Self { targets: Mutex::default(), news: Feed::keeping(1024) }
    }
}

impl Standings {
    /// The targets about which something was learned, from now on. None: too many to tell.
    pub fn news(&self) -> impl Stream<Item = Option<News>> + Send + use<> {
        self.news.listen()
    }

    /// Forgets a target that is gone.
    pub fn forget(&self, uid: &str) {
        self.targets().remove(uid);
    }

    /// What is known of a target.
    pub(super) fn standing(&self, target: &ScrobbleTarget) -> Standing {
        self.targets().get(uid(target)).map_or_else(|| Standing::of(target), |known| known.standing(target))
    }

    /// The target with what this process has learned since its status was written.
    pub(super) fn up_to_date(&self, target: Arc<ScrobbleTarget>, now: Timestamp) -> Arc<ScrobbleTarget> {
        let learned = self.targets().get(uid(&target)).and_then(|known| known.standing.clone());
        match learned {
            Some(learned) if learned != Standing::of(&target) => {
                let mut target = target.as_ref().clone();
                crate::plan::target::write_standing(&mut target, &learned, now);
                Arc::new(target)
            }
            _ => target,
        }
    }

    /// What one of the target's accounts needs to know.
    pub(super) fn view(&self, target: &ScrobbleTarget, account_uid: &str) -> TargetView {
        let targets = self.targets();
        let Some(known) = targets.get(uid(target)) else { return TargetView::default() };
        let probed_last = known.probed_last.as_deref() == Some(account_uid);
        TargetView { probing: known.probing, probed_last, closed_time: known.closed_time }
    }

    /// Whether keys are those that the service refused last: whoever holds them reads them anew.
    pub(super) fn are_refused(&self, target: &ScrobbleTarget, version: &str) -> bool {
        let targets = self.targets();
        let Some(known) = targets.get(uid(target)) else { return false };
        known.refused.as_ref().is_some_and(|refused| refused.version == version)
    }

    /// Whether the service is known to accept keys of the target's own, or there are none.
    pub(super) fn are_proven(&self, target: &ScrobbleTarget, keys: &OwnKeys) -> bool {
        let targets = self.targets();
        let proven = targets.get(uid(target)).and_then(|known| known.proven.as_ref());
        keys.values.is_empty() || proven.is_some_and(|(version, _)| *version == keys.version)
    }

    /// The target's spec and Secrets were looked at: with others than those that failed, a probe may go at once.
    pub(super) fn looked_at(&self, target: &ScrobbleTarget, keys: &OwnKeys, accounts: i32, now: Timestamp) {
        let mut targets = self.targets();
        let known = targets.entry(uid(target).to_owned()).or_default();
        let before = known.standing(target);
        let same = known.refused.as_ref().is_some_and(|refused| refused.same_values(keys));
        let after = match accounts {
            // Nobody delivers there: nothing is known.
            0 => Standing { paused_until: before.paused_until, ..Standing::default() },
            _ if same && before.refuses_keys() => before.clone(),
            _ => before.seen(&keys.version, now),
        };
        if after != before {
            known.standing = Some(after);
            drop(targets);
            self.tell(target, true);
        }
    }

    /// Whether a request to a target may leave now.
    pub(super) fn enter<'a>(
        ctx: &'a Context,
        target: &'a ScrobbleTarget,
        account_uid: &'a str,
        keys: &'a OwnKeys,
    ) -> Option<Calling<'a>> {
        let mut targets = ctx.standings.targets();
        let known = targets.entry(uid(target).to_owned()).or_default();
        let standing = known.standing(target);
        let probe = standing.next_probe().is_some();
        if !standing.may_call(known.probing, ctx.clock.now()) {
            return None;
        }
        known.probing |= probe;
        Some(Calling { ctx, target, account_uid, keys, probe, changed: false })
    }

    fn tell(&self, target: &ScrobbleTarget, awaited: bool) {
        self.news.tell(News { target: name(target), awaited });
    }

    fn targets(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way to a target. Whoever waits for what it tells goes on when it ends, however it ends.
pub(super) struct Calling<'a> {
    ctx: &'a Context,
    target: &'a ScrobbleTarget,
    account_uid: &'a str,
    keys: &'a OwnKeys,
    probe: bool,
    changed: bool,
}

impl Calling<'_> {
    /// Notes what the answer says about the target, and tells it in the target's status before anybody who waits for it
    /// goes on.
    pub(super) async fn ended(mut self, word: Word, pause: Option<SignedDuration>) {
        self.changed = self.note(&word, pause);
        if !self.changed {
            return;
        }
        // The target's own pass makes up for a write that fails.
        if let Err(error) = target::tell_standing(self.ctx, &name(self.target)).await {
            let (reason, error) = (error.metric_label(), &error as &dyn std::error::Error);
            tracing::warn!(reason, error, "what is known of the target is not written yet");
        }
    }

    fn note(&self, word: &Word, pause: Option<SignedDuration>) -> bool {
        let now = self.ctx.clock.now();
        let limits = BreakerLimits::from(&self.target.spec.circuit_breaker);
        let mut targets = self.ctx.standings.targets();
        let known = targets.entry(uid(self.target).to_owned()).or_default();
        let before = known.standing(self.target);
        let version = self.keys.version.as_str();
        let word = match word {
            Word::KeysRefused { .. } if self.is_stale(known) => &Word::Nothing,
            Word::KeysRefused { .. } if self.is_odd(known) => {
                known.odd = Some(self.account_uid.to_owned());
                &Word::Own
            }
            word => word,
        };
        match word {
            Word::Works => {
                (known.failures, known.probed_last, known.odd) = (0, None, None);
                known.failed.clear();
                known.proven = Some((version.to_owned(), self.account_uid.to_owned()));
                known.refused.take_if(|refused| refused.version == version);
            }
            Word::Fails { .. } if before.breaker.is_none() => {
                known.failures = known.failures.saturating_add(1);
                known.failed.insert(self.account_uid.to_owned());
            }
            Word::KeysRefused { .. } => {
                (known.proven, known.odd) = (None, None);
                known.refused = Some(self.keys.clone());
            }
            // It looks at the target's keys before it looks at a listener's.
            Word::Own if self.target.spec.target_type.credentials_key().is_some() => {
                known.proven = Some((version.to_owned(), self.account_uid.to_owned()));
                known.refused.take_if(|refused| refused.version == version);
            }
            Word::Fails { .. } | Word::Waits { .. } | Word::Own | Word::Nothing => {}
        }
        let accounts = self.target.status.as_ref().map_or(0, |status| status.accounts);
        let enough = is_enough(known.failures, known.failed.len(), accounts, limits);
        let evidence = Evidence { probe: self.probe, enough, version, uid: uid(self.target) };
        let mut after = before.after(word, evidence, limits, now);
        if self.probe && after.breaker.is_some() {
            known.probed_last = Some(self.account_uid.to_owned());
        }
        if before.breaker.is_some() && after.breaker.is_none() {
            (known.failures, known.closed_time, known.probed_last) = (0, Some(now), None);
            known.failed.clear();
        }
        after = pause.map_or_else(|| after.clone(), |pause| after.paused(pause, now));
        let changed = after != before;
        if changed {
            known.standing = Some(after);
        }
        changed
    }

    /// Whether a refusal speaks of keys that were replaced meanwhile.
    fn is_stale(&self, known: &Known) -> bool {
        let same = known.refused.as_ref().is_some_and(|refused| refused.version == self.keys.version);
        same && !self.probe && known.proven.is_some()
    }

    /// Whether a receiver refuses a signature that it has accepted from another account: that is about this listener, until
    /// a second account is answered the same.
    fn is_odd(&self, known: &Known) -> bool {
        let by_signature = self.target.spec.target_type.credentials_key().is_none();
        let others = known
            .proven
            .as_ref()
            .is_some_and(|(version, account)| *version == self.keys.version && account != self.account_uid);
        by_signature && others && known.odd.as_deref().is_none_or(|odd| odd == self.account_uid)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        let mut targets = self.ctx.standings.targets();
        let Some(known) = targets.get_mut(uid(self.target)) else { return };
        if self.probe {
            known.probing = false;
        }
        drop(targets);
        if self.probe || self.changed {
            self.ctx.standings.tell(self.target, true);
        }
    }
}

fn uid(target: &ScrobbleTarget) -> &str {
    target.metadata.uid.as_deref().unwrap_or_default()
}

fn name(target: &ScrobbleTarget) -> ObjectName {
    let metadata = &target.metadata;
    ObjectName::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
