//! What `kubectl get` prints for each state that the documentation describes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::{
    ConditionStatus, ConditionType, Reason, remove_condition, set_condition, whole_seconds,
};
use scrobble_operator::api::v1alpha1::{
    AuthorizationStatus, BreakerState, BreakerStatus, FailureStatus, FailureType, PlanMember, RateLimitStatus,
    ScrobblePlanStatus, ScrobbleTargetStatus, SpotifyAccount, SpotifyAccountStatus, SpotifyAppStatus, SyncStatus,
};
use serde_json::{Value, json};

use super::samples::{full, minimal};
use super::{Cluster, object};
use crate::world::DEADLINE;

#[expect(clippy::disallowed_methods, reason = "kubectl prints ages by the machine's clock")]
fn days_from_now(days: i64) -> Timestamp {
    // Half a day more, so that the day does not turn while the test runs.
    Timestamp::now() + SignedDuration::from_hours(days * 24 + if days < 0 { -12 } else { 12 })
}

/// Rows by name, cells by the heading of their column.
pub fn table(printed: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut lines = printed.lines();
    let header = lines.next().unwrap_or_default();
    // Columns are three spaces apart; headings hold single spaces.
    let mut columns: Vec<(usize, String)> = Vec::new();
    let mut at = 0;
    for heading in header.split("   ") {
        let name = heading.trim();
        if !name.is_empty() {
            let start = at + heading.find(name).unwrap_or_default();
            columns.push((start, name.to_owned()));
        }
        at += heading.len() + 3;
    }
    lines
        .map(|line| {
            let cells: BTreeMap<String, String> = columns
                .iter()
                .enumerate()
                .map(|(number, (start, name))| {
                    let end = columns.get(number + 1).map_or(line.len(), |(next, _)| *next).min(line.len());
                    (name.clone(), line.get(*start..end).unwrap_or_default().trim().to_owned())
                })
                .collect();
            (cells["NAME"].clone(), cells)
        })
        .collect()
}

/// A state of an account and what the narrow table says of it.
struct State {
    name: &'static str,
    ready: ConditionStatus,
    reason: Reason,
    /// Further conditions that are True in this state.
    present: &'static [(ConditionType, Reason)],
    pending: i64,
}

fn states() -> Vec<State> {
    use ConditionStatus::{False, True, Unknown};
    let state = |name, ready, reason, present, pending| State { name, ready, reason, present, pending };
    vec![
        state("first-visit", Unknown, Reason::Progressing, &[], 0),
        state("flowing", True, Reason::Succeeded, &[], 0),
        state("suspended", False, Reason::Suspended, &[(ConditionType::Suspended, Reason::Suspended)], 3),
        state("expiring", True, Reason::Succeeded, &[(ConditionType::Authorized, Reason::AuthorizationExpiring)], 0),
        state("gap", True, Reason::Succeeded, &[(ConditionType::Synced, Reason::GapDetected)], 0),
        state("target-failing", False, Reason::TargetFailing, &[(ConditionType::Synced, Reason::Succeeded)], 17),
        state(
            "target-refuses",
            False,
            Reason::TargetUnauthorized,
            &[(ConditionType::Synced, Reason::Succeeded), (ConditionType::Stalled, Reason::TargetUnauthorized)],
            2,
        ),
        state("rate-limited", False, Reason::RateLimited, &[], 0),
        state("circuit-open", False, Reason::CircuitOpen, &[(ConditionType::CircuitOpen, Reason::CircuitOpen)], 0),
        state(
            "revoked",
            False,
            Reason::AuthorizationRevoked,
            &[(ConditionType::Stalled, Reason::AuthorizationRevoked)],
            0,
        ),
        state("no-secret", False, Reason::SecretNotFound, &[(ConditionType::Stalled, Reason::SecretNotFound)], 0),
        state("no-seat", False, Reason::NoSeatLeft, &[(ConditionType::Stalled, Reason::NoSeatLeft)], 0),
    ]
}

fn status(state: &State) -> SpotifyAccountStatus {
    let now = days_from_now(0);
    let mut status = SpotifyAccountStatus {
        observed_generation: Some(1),
        sync: Some(SyncStatus {
            last_play_time: Some(whole_seconds(days_from_now(-30))),
            pending_total: state.pending,
            ..SyncStatus::default()
        }),
        authorization: Some(AuthorizationStatus {
            expiry_time: Some(whole_seconds(days_from_now(100))),
            estimated: true,
            reauthorize_by: Some("at the latest 2027-05-20".to_owned()),
            ..AuthorizationStatus::default()
        }),
        ..SpotifyAccountStatus::default()
    };
    let message = format!("what to do about {}", state.name);
    let conditions = &mut status.conditions;
    let mut set = |condition_type, condition_status, reason| {
        set_condition(conditions, condition_type, condition_status, reason, &message, Some(1), now);
    };
    set(ConditionType::Ready, state.ready, state.reason);
    for (condition_type, reason) in state.present {
        set(*condition_type, ConditionStatus::True, *reason);
    }
    status
}

async fn write_status(cluster: &Cluster, kind: &str, name: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    cluster.objects(kind).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn an_account_shows_its_state() {
    let cluster = Cluster::new("columns").await;
    let (kind, spec, _) = minimal().remove(1);
    for state in states() {
        cluster.objects(kind).create(&PostParams::default(), &object(kind, state.name, &spec)).await.unwrap();
        write_status(&cluster, kind, state.name, serde_json::to_value(status(&state)).unwrap()).await;
    }
    let printed = cluster.kubectl(&["get", "spacct"]).await;
    let header: Vec<&str> =
        printed.lines().next().unwrap().split("   ").map(str::trim).filter(|h| !h.is_empty()).collect();
    assert_eq!(header, ["NAME", "READY", "STATUS", "LAST PLAY", "PENDING", "REAUTHORIZE BY", "AGE"]);
    assert!(!printed.contains("<invalid>"), "{printed}");
    let rows = table(&printed);
    for state in states() {
        let row = &rows[state.name];
        assert_eq!(row["READY"], state.ready.as_str(), "{printed}");
        assert_eq!(row["STATUS"], state.reason.as_str(), "{printed}");
        assert_eq!(row["LAST PLAY"], "30d", "{printed}");
        assert_eq!(row["PENDING"], state.pending.to_string(), "{printed}");
        assert_eq!(row["REAUTHORIZE BY"], "at the latest 2027-05-20", "{printed}");
        assert!(!row["AGE"].is_empty(), "{printed}");
    }
    let wide = table(&cluster.kubectl(&["get", "spacct", "-o=wide"]).await);
    for state in states() {
        assert_eq!(wide[state.name]["MESSAGE"], format!("what to do about {}", state.name));
    }
}

#[tokio::test]
async fn an_account_never_visited_shows_no_made_up_state() {
    let cluster = Cluster::new("columns-new").await;
    let (kind, spec, _) = minimal().remove(1);
    cluster.objects(kind).create(&PostParams::default(), &object(kind, "new", &spec)).await.unwrap();
    let rows = table(&cluster.kubectl(&["get", "spacct"]).await);
    for column in ["READY", "STATUS", "LAST PLAY", "PENDING", "REAUTHORIZE BY"] {
        assert_eq!(rows["new"][column], "", "{column}");
    }
}

#[tokio::test]
async fn a_wide_account_shows_failures_circuit_and_plan() {
    let cluster = Cluster::new("columns-wide").await;
    let kind = "SpotifyAccount";
    let spec = full(kind).remove(0);
    let next = whole_seconds(days_from_now(1));
    for (name, failures, breaker) in [
        (
            "failing",
            FailureStatus {
                consecutive: 7,
                last_type: Some(FailureType::Network),
                last_reason: Some(Reason::NetworkError.into()),
                next_attempt_time: Some(next.clone()),
                ..FailureStatus::default()
            },
            BreakerState::Open,
        ),
        ("on-schedule", FailureStatus::default(), BreakerState::Closed),
    ] {
        cluster.objects(kind).create(&PostParams::default(), &object(kind, name, &spec)).await.unwrap();
        let status = SpotifyAccountStatus {
            failures: Some(failures),
            circuit_breaker: Some(BreakerStatus { state: breaker, ..BreakerStatus::default() }),
            ..SpotifyAccountStatus::default()
        };
        write_status(&cluster, kind, name, serde_json::to_value(status).unwrap()).await;
    }
    let printed = cluster.kubectl(&["get", "spacct", "-o=wide"]).await;
    assert!(!printed.contains("<invalid>"), "{printed}");
    let rows = table(&printed);
    let failing = &rows["failing"];
    assert_eq!((failing["APP"].as_str(), failing["PLAN"].as_str()), ("main", "free"), "{printed}");
    assert_eq!((failing["FAILURES"].as_str(), failing["CIRCUIT"].as_str()), ("7", "Open"), "{printed}");
    assert_eq!(failing["NEXT ATTEMPT"], serde_json::to_value(&next).unwrap().as_str().unwrap(), "{printed}");
    let on_schedule = &rows["on-schedule"];
    assert_eq!((on_schedule["FAILURES"].as_str(), on_schedule["CIRCUIT"].as_str()), ("0", "Closed"), "{printed}");
    assert_eq!(on_schedule["NEXT ATTEMPT"], "", "{printed}");
}

/// Nine members of a plan. Operators of other tests look after plans, too, and correct what does not add up.
fn members() -> Vec<PlanMember> {
    let member = |number| PlanMember {
        namespace: "music".to_owned(),
        name: format!("member-{number}"),
        uid: None,
        number: Some(number),
        granted_time: whole_seconds(days_from_now(0)),
    };
    (1..=9).map(member).collect()
}

#[tokio::test]
async fn the_other_kinds_show_what_matters() {
    let cluster = Cluster::new("columns-other").await;
    let mut conditions = Vec::new();
    set_condition(
        &mut conditions,
        ConditionType::Ready,
        ConditionStatus::False,
        Reason::CircuitOpen,
        "probing at noon",
        Some(1),
        days_from_now(0),
    );
    let until = whole_seconds(days_from_now(1));
    let until_text = serde_json::to_value(&until).unwrap().as_str().unwrap().to_owned();
    let rate_limit = Some(RateLimitStatus { until_time: Some(until) });
    let circuit_breaker = Some(BreakerStatus { state: BreakerState::HalfOpen, ..BreakerStatus::default() });
    let app = SpotifyAppStatus {
        conditions: conditions.clone(),
        accounts: 4,
        rate_limit: rate_limit.clone(),
        circuit_breaker: circuit_breaker.clone(),
        ..SpotifyAppStatus::default()
    };
    let target = ScrobbleTargetStatus {
        conditions: conditions.clone(),
        accounts: 4,
        rate_limit,
        circuit_breaker,
        url: Some("https://api.listenbrainz.org".to_owned()),
        ..ScrobbleTargetStatus::default()
    };
    let plan = ScrobblePlanStatus {
        conditions,
        seats_taken: 9,
        next_number: Some(10),
        members: members(),
        ..ScrobblePlanStatus::default()
    };
    let plan_name = cluster.namespace.clone();
    for (kind, name, sample, status, narrow, wide) in [
        (
            "SpotifyApp",
            "main",
            0,
            serde_json::to_value(app).unwrap(),
            vec![("ACCOUNTS", "4")],
            vec![
                ("QUOTA GROUP", "acme-dev"),
                ("DAILY CALLS", "0"),
                ("BLOCKED UNTIL", until_text.as_str()),
                ("CIRCUIT", "HalfOpen"),
            ],
        ),
        (
            "ScrobbleTarget",
            "brainz",
            1,
            serde_json::to_value(target).unwrap(),
            vec![("TYPE", "ListenBrainz"), ("ACCOUNTS", "4")],
            vec![
                ("URL", "https://api.listenbrainz.org"),
                ("BLOCKED UNTIL", until_text.as_str()),
                ("CIRCUIT", "HalfOpen"),
            ],
        ),
        (
            "ScrobblePlan",
            plan_name.as_str(),
            0,
            serde_json::to_value(plan).unwrap(),
            vec![("MIN INTERVAL", "5m"), ("SEATS", "100"), ("TAKEN", "9")],
            vec![("FALLBACK", "free")],
        ),
    ] {
        let spec = full(kind).remove(sample);
        cluster.objects(kind).create(&PostParams::default(), &object(kind, name, &spec)).await.unwrap();
        let plural = format!("{}s", kind.to_lowercase());
        // An operator of another test looks after plans, which are the cluster's, and may write this one's status, too.
        let (narrow_row, wide_row) = wait_until("the status as it was written", DEADLINE, async || {
            write_status(&cluster, kind, name, status.clone()).await;
            let narrow = cluster.kubectl(&["get", &plural, name]).await;
            let wide = cluster.kubectl(&["get", &plural, name, "-o=wide"]).await;
            let (narrow_row, wide_row) = (table(&narrow)[name].clone(), table(&wide)[name].clone());
            let ours = |row: &BTreeMap<String, String>| row["READY"] == "False" && row["STATUS"] == "CircuitOpen";
            let told = ours(&narrow_row) && ours(&wide_row) && wide_row["MESSAGE"] == "probing at noon";
            if told { Ok((narrow_row, wide_row)) } else { Err(format!("{narrow}{wide}")) }
        })
        .await
        .unwrap();
        for (column, cell) in narrow {
            assert_eq!(narrow_row[column], cell, "{narrow_row:?}");
        }
        for (column, cell) in wide {
            assert_eq!(wide_row[column], cell, "{wide_row:?}");
        }
    }
}

#[tokio::test]
async fn a_status_is_stored_as_it_was_written() {
    let cluster = Cluster::new("status").await;
    let (kind, spec, _) = minimal().remove(1);
    cluster.objects(kind).create(&PostParams::default(), &object(kind, "alice", &spec)).await.unwrap();
    let accounts: Api<SpotifyAccount> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut account = accounts.get("alice").await.unwrap();
    let mut written = status(&states()[2]);
    account.status = Some(written.clone());
    let stored = accounts.replace_status("alice", &PostParams::default(), &account).await.unwrap();
    assert_eq!(stored.status.as_ref(), Some(&written));
    assert_eq!(stored.metadata.generation, Some(1), "a status is no new generation");

    // What is taken away is gone: absence is how a condition says that it is not True.
    assert!(remove_condition(&mut written.conditions, ConditionType::Suspended));
    account = stored;
    account.status = Some(written.clone());
    let stored = accounts.replace_status("alice", &PostParams::default(), &account).await.unwrap();
    assert_eq!(stored.status, Some(written));
}
