//! What the watched objects tell at the time of a scrape. Nothing is kept: an object that is deleted has no series any
//! more, and a restart changes none.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::exposition::{gauges, labels};
use super::names::{self, Name};
use super::{accounts, apps};
use crate::api::condition::{ConditionType, Reason, find_condition, is_condition_true};
use crate::api::v1alpha1::{
    AccountTargetStatus, BreakerState, BreakerStatus, ForeignScrobbler, NamespacedReference, RateLimitStatus,
    ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp, TargetState,
};
use crate::plan::seat;

/// The watched objects, and what this process knows besides.
pub struct Seen<'a> {
    /// The accounts.
    pub accounts: Vec<&'a SpotifyAccount>,
    /// The apps.
    pub apps: Vec<&'a SpotifyApp>,
    /// The targets.
    pub targets: Vec<&'a ScrobbleTarget>,
    /// The plans.
    pub plans: Vec<&'a ScrobblePlan>,
    /// When this process last read an account, by uid: a read without a new play writes no status.
    pub last_read: &'a dyn Fn(&str) -> Option<Timestamp>,
    /// Since when this process is on duty.
    pub since: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// The values of `ready`, in their order.
const READY: [&str; 4] = ["True", "False", "Unknown", "Suspended"];

/// What the accounts of one app come to.
#[derive(Default)]
pub(super) struct OfApp<'a> {
    ready: [i64; READY.len()],
    stalled: BTreeMap<&'a str, i64>,
    pending: i64,
    quarantined: i64,
    lost: i64,
    /// Whether any of them is not suspended.
    pub(super) works: bool,
    /// The shortest interval in force of those, in seconds.
    pub(super) interval: Option<i64>,
    reauthorization_due: i64,
    /// The newest read of those that are not suspended.
    pub(super) last_read: Option<Timestamp>,
}

/// An authorization that may end within this is counted.
const REAUTHORIZATION_NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whether an account's authorization may end soon, or may have ended.
fn is_due(account: &SpotifyAccount, now: Timestamp) -> bool {
    let authorization = account.status.as_ref().and_then(|status| status.authorization.as_ref());
    let end = authorization.and_then(|authorization| authorization.expiry_time.as_ref());
    end.is_some_and(|end| end.0.duration_since(now) < REAUTHORIZATION_NOTICE)
}

/// What the accounts of one target come to.
#[derive(Default)]
struct OfTarget {
    pending: i64,
    last_delivery: Option<Timestamp>,
}

/// Namespace and name.
pub(super) type Key<'a> = (&'a str, &'a str);

#[derive(Default)]
struct Sums<'a> {
    apps: BTreeMap<Key<'a>, OfApp<'a>>,
    targets: BTreeMap<Key<'a>, OfTarget>,
}

impl<'a> Sums<'a> {
    fn of(seen: &Seen<'a>) -> Self {
        let mut sums = Self::default();
        for app in &seen.apps {
            sums.apps.entry(key(&app.metadata)).or_default();
        }
        for account in &seen.accounts {
            sums.add(account, seen);
        }
        sums
    }

    fn add(&mut self, account: &'a SpotifyAccount, seen: &Seen<'a>) {
        let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
        let app = self.apps.entry(reference(&account.spec.app_ref, namespace)).or_default();
        let status = account.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = find_condition(conditions, ConditionType::Ready);
        let word = if account.spec.suspend { "Suspended" } else { ready.map_or("Unknown", |ready| &ready.status) };
        app.ready[READY.iter().position(|known| *known == word).unwrap_or(2)] += 1;
        let is_stalled = is_condition_true(conditions, ConditionType::Stalled);
        if let Some(ready) = ready.filter(|_| is_stalled) {
            *app.stalled.entry(&ready.reason).or_default() += 1;
        }
        let sync = status.and_then(|status| status.sync.as_ref());
        if let Some(sync) = sync {
            app.pending += sync.pending_total;
            app.lost += sync.lost_at_most_total;
        }
        if !account.spec.suspend {
            let told = sync.and_then(|sync| sync.last_sync_time.as_ref()).map(|time| time.0);
            let known = (seen.last_read)(account.metadata.uid.as_deref().unwrap_or_default());
            let interval = sync.and_then(|sync| sync.interval.as_ref()).map(|interval| interval.duration().as_secs());
            app.works = true;
            app.last_read = app.last_read.max(told).max(known);
            app.interval = app.interval.into_iter().chain(interval).min();
            app.reauthorization_due += i64::from(!is_stalled && is_due(account, seen.now));
        }
        for entry in &account.spec.targets {
            let target = self.targets.entry(reference(&entry.target_ref, namespace)).or_default();
            let Some(known) = status.and_then(|status| status.target(&entry.name)) else { continue };
            app.quarantined += known.quarantined;
            target.pending += if account.spec.suspend || !goes_on(known) { 0 } else { known.pending };
            target.last_delivery = target.last_delivery.max(known.last_delivery_time.as_ref().map(|time| time.0));
        }
    }
}

/// Whether an entry's plays are delivered without anybody's doing, sooner or later. What waits for the listener is the
/// account's own trouble, not the target's.
fn goes_on(entry: &AccountTargetStatus) -> bool {
    let waits_for_somebody = matches!(entry.state, TargetState::Unauthorized | TargetState::Suspended);
    !waits_for_somebody && entry.foreign_scrobbler != Some(ForeignScrobbler::Found)
}

/// What of an app's accounts is told.
type Value = for<'a> fn(&OfApp<'a>) -> i64;

/// Writes what the watched objects tell; of single accounts as far as `bound` goes, none without one. Answers how many
/// accounts are left out because of it.
pub(super) fn write(out: &mut String, seen: &Seen<'_>, bound: Option<usize>) -> usize {
    let sums = Sums::of(seen);
    let by_app = |name: &Name, (namespace, app): &Key<'_>| labels(name.labels, &[namespace, app]);
    gauges(
        out,
        &names::ACCOUNTS,
        sums.apps.iter().flat_map(|((namespace, app), of)| {
            let ready = READY.iter().zip(of.ready);
            ready.map(|(ready, count)| (labels(names::ACCOUNTS.labels, &[namespace, app, ready]), count))
        }),
    );
    gauges(
        out,
        &names::ACCOUNTS_STALLED,
        sums.apps.iter().flat_map(|((namespace, app), of)| {
            let stalled = of.stalled.iter();
            stalled.map(|(reason, count)| (labels(names::ACCOUNTS_STALLED.labels, &[namespace, app, reason]), *count))
        }),
    );
    let values: [(&Name, Value); 4] = [
        (&names::REAUTHORIZATION_DUE, |of| of.reauthorization_due),
        (&names::PLAYS_PENDING, |of| of.pending),
        (&names::PLAYS_IN_QUARANTINE, |of| of.quarantined),
        (&names::PLAYS_LOST, |of| of.lost),
    ];
    for (name, value) in values {
        gauges(out, name, sums.apps.iter().map(|(app, of)| (by_app(name, app), value(of))));
    }
    apps::write(out, seen, &sums.apps);
    write_targets(out, seen, &sums.targets);
    let seats = |plan: &ScrobblePlan| seat::seats(plan).and_then(|seats| i64::try_from(seats).ok());
    let plan = |plan: &ScrobblePlan| labels(names::PLAN_SEATS.labels, &[key(&plan.metadata).1]);
    gauges(out, &names::PLAN_SEATS, seen.plans.iter().filter_map(|at| Some((plan(at), seats(at)?))));
    let taken = |plan: &ScrobblePlan| plan.status.as_ref().map_or(0, |status| i64::from(status.seats_taken));
    gauges(out, &names::PLAN_SEATS_TAKEN, seen.plans.iter().map(|at| (plan(at), taken(at))));
    bound.map_or(0, |bound| accounts::write(out, &seen.accounts, bound, seen.now))
}

fn write_targets<'b>(out: &mut String, seen: &'b Seen<'_>, sums: &'b BTreeMap<Key<'b>, OfTarget>) {
    struct Row<'a> {
        labels: String,
        target: &'a ScrobbleTarget,
        of: Option<&'a OfTarget>,
    }
    let row = |target: &&'b ScrobbleTarget| {
        let (namespace, name) = key(&target.metadata);
        let labels = labels(names::TARGET_READY.labels, &[namespace, name, target.spec.target_type.as_str()]);
        Row { labels, target, of: sums.get(&(namespace, name)) }
    };
    let rows: Vec<Row<'_>> = seen.targets.iter().map(row).collect();
    let (now, since) = (seen.now, seen.since);
    let mut write = |name: &Name, value: &dyn Fn(&Row<'_>) -> i64| {
        gauges(out, name, rows.iter().map(|row| (&row.labels, value(row))));
    };
    write(&names::TARGET_READY, &|row| row.target.status.as_ref().map_or(0, |status| is_ready(&status.conditions)));
    write(&names::TARGET_CIRCUIT_OPEN, &|row| {
        is_open(row.target.status.as_ref().and_then(|status| status.circuit_breaker.as_ref()))
    });
    write(&names::TARGET_GATE, &|row| {
        gate(row.target.status.as_ref().and_then(|status| status.rate_limit.as_ref()), now)
    });
    write(&names::TARGET_PENDING, &|row| row.of.map_or(0, |of| of.pending));
    write(&names::TARGET_LAST_DELIVERY, &|row| {
        seconds(row.of.and_then(|of| of.last_delivery).unwrap_or(since), now).max(0)
    });
}

/// Namespace and name of what a reference names.
pub(super) fn reference<'a>(reference: &'a NamespacedReference, namespace: &'a str) -> Key<'a> {
    (reference.namespace_or(namespace), &reference.name)
}

/// Namespace and name of an object.
pub(super) fn key(metadata: &kube::core::ObjectMeta) -> Key<'_> {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// 1 where an object is Ready.
pub(super) fn is_ready(conditions: &[Condition]) -> i64 {
    i64::from(is_condition_true(conditions, ConditionType::Ready))
}

/// 1 where an object is not Ready for this reason.
pub(super) fn is_unready_for(conditions: &[Condition], reason: Reason) -> i64 {
    let ready = find_condition(conditions, ConditionType::Ready);
    i64::from(ready.is_some_and(|ready| ready.status == "False" && ready.reason == reason.as_str()))
}

/// 1 where a breaker lets no request through but the one that probes.
pub(super) fn is_open(breaker: Option<&BreakerStatus>) -> i64 {
    i64::from(breaker.is_some_and(|breaker| breaker.state != BreakerState::Closed))
}

/// Seconds until a gate opens.
pub(super) fn gate(limit: Option<&RateLimitStatus>, now: Timestamp) -> i64 {
    until(limit.and_then(|limit| limit.until_time.as_ref()), now)
}

/// Seconds until a time, at least 0; a part of a second counts as one, so that 0 means now.
pub(super) fn until(time: Option<&Time>, now: Timestamp) -> i64 {
    time.map_or(0, |time| {
        let left = time.0.duration_since(now);
        left.as_secs().saturating_add(i64::from(left.subsec_nanos() > 0)).max(0)
    })
}

/// Whole seconds between two times.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

#[cfg(test)]
mod tests;
