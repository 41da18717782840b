//! The series of apps.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::exposition::{gauges, labels};
use super::names::{self, Name};
use super::store::{Key, OfApp, Seen, gate, is_open, is_ready, is_unready_for, key, seconds, until};
use crate::api::condition::Reason;
use crate::api::v1alpha1::{QuotaHour, SpotifyApp, SpotifyAppStatus};
use crate::plan::budget;

const HOUR_SECONDS: i64 = 3600;

/// One app.
struct Row<'a> {
    labels: String,
    app: &'a SpotifyApp,
    status: &'a SpotifyAppStatus,
}

impl<'a> Row<'a> {
    fn of(app: &'a SpotifyApp, empty: &'a SpotifyAppStatus) -> Self {
        let (namespace, name) = key(&app.metadata);
        let labels = labels(names::APP_READY.labels, &[namespace, name]);
        Self { labels, app, status: app.status.as_ref().unwrap_or(empty) }
    }
}

/// Writes what apps tell, and what their accounts come to.
pub(super) fn write(out: &mut String, seen: &Seen<'_>, sums: &BTreeMap<Key<'_>, OfApp<'_>>) {
    let limits = limits(&seen.apps);
    let empty = SpotifyAppStatus::default();
    let rows: Vec<Row<'_>> = seen.apps.iter().map(|app| Row::of(app, &empty)).collect();
    let mut write = |name: &Name, value: &dyn Fn(&Row<'_>) -> Option<i64>| {
        gauges(out, name, rows.iter().filter_map(|row| Some((&row.labels, value(row)?))));
    };
    write(&names::APP_READY, &|row| Some(is_ready(&row.status.conditions)));
    write(&names::APP_CIRCUIT_OPEN, &|row| Some(is_open(row.status.circuit_breaker.as_ref())));
    write(&names::BUDGET_CALLS, &|row| {
        Some(row.status.quota.as_ref().map_or(0, |quota| reserved(&quota.hours, seen.now)))
    });
    write(&names::BUDGET_LIMIT, &|row| Some(limits.get(&group(row.app)).copied().unwrap_or(0)));
    write(&names::BUDGET_TOO_SMALL, &|row| Some(is_unready_for(&row.status.conditions, Reason::BudgetTooSmall)));
    write(&names::APP_LAST_READ, &|row| {
        let of = sums.get(&key(&row.app.metadata)).filter(|of| of.works)?;
        Some(seconds(of.last_read.unwrap_or(seen.since), seen.now).max(0))
    });
    write(&names::APP_INTERVAL, &|row| sums.get(&key(&row.app.metadata))?.interval);
    let gates = rows.iter().flat_map(|row| {
        let (namespace, name) = key(&row.app.metadata);
        let quota = row.status.quota.as_ref().and_then(|quota| quota.until_time.as_ref());
        let limits = [("rate", gate(row.status.rate_limit.as_ref(), seen.now)), ("quota", until(quota, seen.now))];
        limits.map(|(limit, value)| (labels(names::APP_GATE.labels, &[namespace, name, limit]), value))
    });
    gauges(out, &names::APP_GATE, gates);
}

/// Names a quota group: namespace and group, or an app alone.
fn group(app: &SpotifyApp) -> (&str, Option<&str>, &str) {
    let (namespace, name) = key(&app.metadata);
    let group = app.spec.quota.group.as_deref();
    (namespace, group, if group.is_some() { "" } else { name })
}

/// The limit of each quota group that has one.
fn limits<'a>(apps: &[&'a SpotifyApp]) -> BTreeMap<(&'a str, Option<&'a str>, &'a str), i64> {
    let mut calls: BTreeMap<_, Vec<i32>> = BTreeMap::new();
    for app in apps {
        calls.entry(group(app)).or_default().push(app.spec.quota.daily_calls);
    }
    calls.into_iter().filter_map(|(group, calls)| Some((group, budget::limit(calls)?))).collect()
}

/// The calls that still count, by the clock hours that any 24 hours may touch.
fn reserved(hours: &[QuotaHour], now: Timestamp) -> i64 {
    let hour = |time: Timestamp| time.as_second().div_euclid(HOUR_SECONDS);
    let counts = |entry: &&QuotaHour| hour(entry.time.0) > hour(now) - budget::COUNTED_HOURS;
    hours.iter().filter(counts).map(|entry| entry.calls.max(0)).fold(0, i64::saturating_add)
}
