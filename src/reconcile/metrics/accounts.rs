//! The series of single accounts.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::exposition::{gauges, labels};
use super::names::{self, Name};
use super::store::{is_ready, reference, seconds};
use crate::api::condition::{ConditionType, find_condition, is_condition_true};
use crate::api::v1alpha1::{BreakerState, SpotifyAccount};

/// What has one value an account.
const PLAIN: [&Name; 10] = [
    &names::ACCOUNT_READY,
    &names::ACCOUNT_STALLED,
    &names::ACCOUNT_SUSPENDED,
    &names::ACCOUNT_TOKEN_EXPIRY,
    &names::ACCOUNT_REAUTHORIZATION,
    &names::ACCOUNT_LAST_REFRESH,
    &names::ACCOUNT_LAST_SCROBBLE,
    &names::ACCOUNT_PENDING,
    &names::ACCOUNT_FAILURES,
    &names::ACCOUNT_CIRCUIT_OPEN,
];

/// What is told of one account.
struct Row {
    labels: String,
    info: String,
    /// Those of [`PLAIN`], in its order.
    values: [Option<i64>; PLAIN.len()],
}

impl Row {
    fn of(account: &SpotifyAccount, now: Timestamp) -> Self {
        let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
        let name = account.metadata.name.as_deref().unwrap_or_default();
        let status = account.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let (app_namespace, app) = reference(&account.spec.app_ref, namespace);
        let reason = find_condition(conditions, ConditionType::Ready).map(|ready| ready.reason.as_str());
        let in_force = status.and_then(|status| status.membership.as_ref()?.plan.as_deref());
        let plan = in_force.or(account.spec.plan.as_deref());
        let sync = status.and_then(|status| status.sync.as_ref());
        let token = status.and_then(|status| status.token.as_ref());
        let authorization = status.and_then(|status| status.authorization.as_ref());
        let failures = status.and_then(|status| status.failures.as_ref());
        let open = status.is_some_and(|status| status.breaker_state() != BreakerState::Closed);
        let until = |time: Option<&Time>| time.map(|time| seconds(now, time.0));
        let since = |time: Option<&Time>| time.map(|time| seconds(time.0, now));
        Self {
            labels: labels(names::ACCOUNT_READY.labels, &[namespace, name]),
            info: labels(
                names::ACCOUNT_INFO.labels,
                &[namespace, name, app_namespace, app, reason.unwrap_or_default(), plan.unwrap_or_default()],
            ),
            values: [
                Some(is_ready(conditions)),
                Some(i64::from(is_condition_true(conditions, ConditionType::Stalled))),
                Some(i64::from(account.spec.suspend)),
                until(token.and_then(|token| token.expiry_time.as_ref())),
                until(authorization.and_then(|authorization| authorization.expiry_time.as_ref())),
                since(token.and_then(|token| token.last_refresh_time.as_ref())),
                since(sync.and_then(|sync| sync.last_successful_scrobble_time.as_ref())),
                Some(sync.map_or(0, |sync| sync.pending_total)),
                Some(failures.map_or(0, |failures| i64::from(failures.consecutive))),
                Some(i64::from(open)),
            ],
        }
    }
}

/// Writes the series of single accounts: of so many at most, the oldest first. Answers how many are left out.
pub(super) fn write(out: &mut String, accounts: &[&SpotifyAccount], bound: usize, now: Timestamp) -> usize {
    let omitted = accounts.len().saturating_sub(bound);
    let mut told = accounts.to_vec();
    if omitted > 0 {
        told.sort_by_key(|account| {
            let metadata = &account.metadata;
            (metadata.creation_timestamp.as_ref().map(|time| time.0), &metadata.namespace, &metadata.name)
        });
        told.truncate(bound);
    }
    let rows: Vec<Row> = told.into_iter().map(|account| Row::of(account, now)).collect();
    for (position, name) in PLAIN.into_iter().enumerate() {
        gauges(out, name, rows.iter().filter_map(|row| Some((&row.labels, row.values[position]?))));
    }
    gauges(out, &names::ACCOUNT_INFO, rows.iter().map(|row| (&row.info, 1)));
    omitted
}
