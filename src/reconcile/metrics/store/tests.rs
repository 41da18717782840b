//! What objects tell, as tables.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn at(ago: i64) -> Value {
    json!((now() - SignedDuration::from_secs(ago)).to_string())
}

fn ready(status: &str, reason: &str) -> Value {
    condition("Ready", status, reason)
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": at(0)})
}

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: Value, status: Value) -> K {
    let metadata = json!({"namespace": "music", "name": name, "uid": format!("uid-{name}")});
    let version = "scrobble-operator.io/v1alpha1";
    let object = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": status});
    serde_json::from_value(object).unwrap()
}

fn account(name: &str, mut spec: Value, status: Value) -> SpotifyAccount {
    let defaults = json!({
        "tokenSecretRef": {"name": name},
        "targets": [{"name": "first", "targetRef": {"name": "brainz"}}],
    });
    for (key, value) in defaults.as_object().unwrap() {
        spec.as_object_mut().unwrap().entry(key).or_insert_with(|| value.clone());
    }
    spec.as_object_mut().unwrap().entry("appRef").or_insert_with(|| json!({"name": "main"}));
    object("SpotifyAccount", name, spec, status)
}

fn app(name: &str, quota: Value, status: Value) -> SpotifyApp {
    object("SpotifyApp", name, json!({"clientId": "0".repeat(32), "quota": quota}), status)
}

fn target(name: &str, status: Value) -> ScrobbleTarget {
    object("ScrobbleTarget", name, json!({"type": "ListenBrainz"}), status)
}

/// Samples without their comments, in order.
fn samples(
    accounts: &[SpotifyAccount],
    apps: &[SpotifyApp],
    targets: &[ScrobbleTarget],
    plans: &[ScrobblePlan],
    bound: Option<usize>,
) -> (Vec<String>, usize) {
    let seen = Seen {
        accounts: accounts.iter().collect(),
        apps: apps.iter().collect(),
        targets: targets.iter().collect(),
        plans: plans.iter().collect(),
        last_read: &|uid| (uid == "uid-live").then(|| now() - SignedDuration::from_secs(7)),
        since: now() - SignedDuration::from_secs(1000),
        now: now(),
    };
    let mut out = String::new();
    let omitted = write(&mut out, &seen, bound);
    let lines = out.lines().filter(|line| !line.starts_with('#'));
    (lines.map(|line| line.replace("scrobble_operator_", "")).collect(), omitted)
}

fn has(samples: &[String], expected: &[&str]) {
    for sample in expected {
        let wanted = sample.replace('\'', "\"");
        assert!(samples.contains(&wanted), "{wanted} is not in {samples:#?}");
    }
}

#[test]
fn authorizations_that_end_soon_and_intervals_are_told_by_app() {
    let status = |days: i64, interval: &str, conditions: Value| {
        json!({"authorization": {"expiryTime": at(-86400 * days)}, "conditions": conditions,
            "sync": {"interval": interval, "pendingTotal": 0, "lostAtMostTotal": 0, "scrobbledTotal": 0,
                "skippedTotal": 0, "gapsTotal": 0, "missedWhileSuspendedAtMost": 0},
            "targets": [{"name": "first", "state": "Healthy", "pending": 3, "quarantined": 0, "droppedTotal": 0,
                "consecutiveFailures": 0}]})
    };
    let stalled = json!([condition("Stalled", "True", "AuthorizationExpired")]);
    let accounts = [
        account("soon", json!({}), status(6, "20m", json!([]))),
        account("over", json!({}), status(-1, "10m", json!([]))),
        account("later", json!({}), status(7, "1h", json!([]))),
        account("told", json!({}), status(1, "30m", stalled)),
        account("rests", json!({"suspend": true}), status(1, "1m", json!([]))),
    ];
    let apps = [app("main", json!({}), json!({})), app("unused", json!({}), json!({}))];
    let (samples, _) = samples(&accounts, &apps, &[target("brainz", json!({}))], &[], None);
    has(
        &samples,
        &[
            "accounts_reauthorization_due{app_namespace='music',app='main'} 2",
            "accounts_reauthorization_due{app_namespace='music',app='unused'} 0",
            "app_interval_seconds{namespace='music',name='main'} 600",
            "target_plays_pending{namespace='music',name='brainz',type='ListenBrainz'} 12",
        ],
    );
    assert_eq!(samples.iter().filter(|sample| sample.starts_with("app_interval_seconds")).count(), 1);
}

#[test]
fn accounts_are_summed_by_their_app() {
    let counts = |pending: i64, lost: i64| {
        json!({"pendingTotal": pending, "lostAtMostTotal": lost, "scrobbledTotal": 0, "skippedTotal": 0, "gapsTotal": 0,
            "missedWhileSuspendedAtMost": 0})
    };
    let accounts = [
        account("good", json!({}), json!({"conditions": [ready("True", "Succeeded")], "sync": counts(2, 3)})),
        account(
            "bad",
            json!({}),
            json!({
                "conditions": [ready("False", "AuthorizationRevoked"), condition("Stalled", "True", "AuthorizationRevoked")],
                "sync": counts(5, 7),
                "targets": [{"name": "first", "state": "Healthy", "pending": 5, "quarantined": 4, "droppedTotal": 0,
                    "consecutiveFailures": 0, "lastDeliveryTime": at(30)}],
            }),
        ),
        account("rests", json!({"suspend": true}), json!({"conditions": [ready("False", "Suspended")]})),
        account("new", json!({"appRef": {"name": "other", "namespace": "shared"}}), json!({})),
    ];
    let apps = [app("main", json!({}), json!({})), app("unused", json!({}), json!({}))];
    let (samples, omitted) = samples(&accounts, &apps, &[target("brainz", json!({}))], &[], None);
    assert_eq!(omitted, 0);
    has(
        &samples,
        &[
            "accounts{app_namespace='music',app='main',ready='True'} 1",
            "accounts{app_namespace='music',app='main',ready='False'} 1",
            "accounts{app_namespace='music',app='main',ready='Unknown'} 0",
            "accounts{app_namespace='music',app='main',ready='Suspended'} 1",
            "accounts{app_namespace='shared',app='other',ready='Unknown'} 1",
            "accounts{app_namespace='music',app='unused',ready='True'} 0",
            "accounts_stalled{app_namespace='music',app='main',reason='AuthorizationRevoked'} 1",
            "plays_pending{app_namespace='music',app='main'} 7",
            "plays_in_quarantine{app_namespace='music',app='main'} 4",
            "plays_lost_at_most{app_namespace='music',app='main'} 10",
            "target_plays_pending{namespace='music',name='brainz',type='ListenBrainz'} 5",
            "target_seconds_since_last_delivery{namespace='music',name='brainz',type='ListenBrainz'} 30",
        ],
    );
    assert!(!samples.iter().any(|sample| sample.starts_with("account_")), "switched off: {samples:#?}");
    assert_eq!(samples.iter().filter(|sample| sample.starts_with("accounts_stalled")).count(), 1);
}

#[test]
fn plays_that_wait_for_somebody_do_not_wait_for_the_target() {
    let entry = |state: &str, foreign: Option<&str>| {
        json!({"targets": [{"name": "first", "state": state, "pending": 3, "quarantined": 0, "droppedTotal": 0,
            "consecutiveFailures": 0, "foreignScrobbler": foreign}]})
    };
    for (state, foreign, counted) in [
        ("Healthy", None, 3),
        ("Healthy", Some("Absent"), 3),
        ("Failing", None, 3),
        ("CircuitOpen", None, 3),
        ("Healthy", Some("Found"), 0),
        ("Unauthorized", None, 0),
        ("Suspended", None, 0),
    ] {
        let accounts = [account("alice", json!({}), entry(state, foreign))];
        let (samples, _) = samples(&accounts, &[], &[target("brainz", json!({}))], &[], None);
        let expected = format!("target_plays_pending{{namespace='music',name='brainz',type='ListenBrainz'}} {counted}");
        has(&samples, &[expected.as_str()]);
    }
}

#[test]
fn an_app_tells_its_gates_its_budget_and_its_last_read() {
    let quota = json!({"untilTime": at(-3600), "hours": [
        {"time": at(25 * 3600), "calls": 100}, {"time": at(24 * 3600), "calls": 7}, {"time": at(0), "calls": 5}]});
    let breaker = |state: &str| json!({"state": state, "trips": 1});
    let apps = [
        app(
            "main",
            json!({"group": "acme", "dailyCalls": 400}),
            json!({"conditions": [ready("False", "BudgetTooSmall")], "accounts": 1, "quota": quota,
                "rateLimit": {"untilTime": at(5)}, "circuitBreaker": breaker("HalfOpen")}),
        ),
        app(
            "mate",
            json!({"group": "acme", "dailyCalls": 300}),
            json!({"conditions": [ready("True", "Succeeded")], "accounts": 0, "circuitBreaker": breaker("Closed")}),
        ),
        app("alone", json!({"dailyCalls": 0}), json!({})),
    ];
    let read = |seconds: i64| {
        json!({"sync": {"lastSyncTime": at(seconds), "pendingTotal": 0, "lostAtMostTotal": 0, "scrobbledTotal": 0,
            "skippedTotal": 0, "gapsTotal": 0, "missedWhileSuspendedAtMost": 0}})
    };
    let accounts = [
        account("stored", json!({}), read(50)),
        account("rests", json!({"suspend": true}), read(1)),
        account("live", json!({"appRef": {"name": "mate"}}), read(50)),
        account("never", json!({"appRef": {"name": "alone"}}), json!({})),
    ];
    let (samples, _) = samples(&accounts, &apps, &[], &[], None);
    has(
        &samples,
        &[
            "app_ready{namespace='music',name='main'} 0",
            "app_ready{namespace='music',name='mate'} 1",
            "app_circuit_open{namespace='music',name='main'} 1",
            "app_circuit_open{namespace='music',name='mate'} 0",
            "app_gate_seconds{namespace='music',name='main',limit='rate'} 0",
            "app_gate_seconds{namespace='music',name='main',limit='quota'} 3600",
            "app_gate_seconds{namespace='music',name='alone',limit='quota'} 0",
            "app_budget_calls{namespace='music',name='main'} 12",
            "app_budget_limit_calls{namespace='music',name='main'} 300",
            "app_budget_limit_calls{namespace='music',name='alone'} 0",
            "app_budget_too_small{namespace='music',name='main'} 1",
            "app_budget_too_small{namespace='music',name='mate'} 0",
            "app_seconds_since_last_read{namespace='music',name='main'} 50",
            "app_seconds_since_last_read{namespace='music',name='mate'} 7",
            "app_seconds_since_last_read{namespace='music',name='alone'} 1000",
        ],
    );
    let rests = [account("rests", json!({"suspend": true}), read(1))];
    let (samples, _) = self::samples(&rests, &apps, &[], &[], None);
    assert!(!samples.iter().any(|sample| sample.starts_with("app_seconds_since_last_read")), "nobody is to be read");
}

#[test]
fn targets_and_plans_tell_what_they_are() {
    let open = json!({"conditions": [ready("False", "CircuitOpen")], "accounts": 1, "rateLimit": {"untilTime": at(-90)},
        "circuitBreaker": {"state": "Open", "trips": 2}});
    let plan = |name: &str, spec: Value, taken: i64| {
        object("ScrobblePlan", name, spec, json!({"conditions": [], "seatsTaken": taken, "members": []}))
    };
    let plans = [
        plan("few", json!({"seats": 100}), 3),
        plan("free", json!({}), 0),
        plan("numbered", json!({"numbered": true}), 1),
    ];
    let (samples, _) = samples(&[], &[], &[target("brainz", open), target("new", json!({}))], &plans, Some(5));
    has(
        &samples,
        &[
            "target_ready{namespace='music',name='brainz',type='ListenBrainz'} 0",
            "target_circuit_open{namespace='music',name='brainz',type='ListenBrainz'} 1",
            "target_gate_seconds{namespace='music',name='brainz',type='ListenBrainz'} 90",
            "target_seconds_since_last_delivery{namespace='music',name='brainz',type='ListenBrainz'} 1000",
            "target_circuit_open{namespace='music',name='new',type='ListenBrainz'} 0",
            "plan_seats{name='few'} 100",
            "plan_seats{name='numbered'} 2000",
            "plan_seats_taken{name='few'} 3",
            "plan_seats_taken{name='free'} 0",
        ],
    );
    assert!(!samples.contains(&"plan_seats{name=\"free\"} 0".to_owned()), "{samples:#?}");
}

#[test]
fn an_account_tells_its_own_state() {
    let status = json!({
        "conditions": [ready("False", "CircuitOpen")],
        "authorization": {"expiryTime": at(-86400)},
        "token": {"expiryTime": at(60), "lastRefreshTime": at(3660)},
        "sync": {"lastSuccessfulScrobbleTime": at(90), "pendingTotal": 4, "lostAtMostTotal": 0, "scrobbledTotal": 0,
            "skippedTotal": 0, "gapsTotal": 0, "missedWhileSuspendedAtMost": 0},
        "failures": {"consecutive": 6},
        "circuitBreaker": {"state": "Open", "trips": 1},
        "membership": {"plan": "free"},
    });
    let accounts = [
        account("alice", json!({"plan": "founding"}), status),
        account("we\"ird\\name", json!({"plan": "founding"}), json!({})),
    ];
    let (samples, omitted) = samples(&accounts, &[], &[], &[], Some(2));
    assert_eq!(omitted, 0);
    has(
        &samples,
        &[
            "account_ready{namespace='music',name='alice'} 0",
            "account_stalled{namespace='music',name='alice'} 0",
            "account_suspended{namespace='music',name='alice'} 0",
            "account_token_expiry_seconds{namespace='music',name='alice'} -60",
            "account_reauthorization_seconds{namespace='music',name='alice'} 86400",
            "account_seconds_since_last_refresh{namespace='music',name='alice'} 3660",
            "account_seconds_since_last_scrobble{namespace='music',name='alice'} 90",
            "account_plays_pending{namespace='music',name='alice'} 4",
            "account_consecutive_failures{namespace='music',name='alice'} 6",
            "account_circuit_open{namespace='music',name='alice'} 1",
            "account_info{namespace='music',name='alice',app_namespace='music',app='main',reason='CircuitOpen',plan='free'} 1",
            "account_info{namespace='music',name='we\\'ird\\\\name',app_namespace='music',app='main',reason='',plan='founding'} 1",
            "account_consecutive_failures{namespace='music',name='we\\'ird\\\\name'} 0",
        ],
    );
    let unknown = samples.iter().filter(|sample| sample.contains("ird") && sample.contains("_seconds"));
    assert_eq!(unknown.count(), 0, "what is not known is absent");
}

#[test]
fn the_oldest_accounts_are_told_where_there_are_too_many() {
    let aged = |name: &str, ago: i64| {
        let mut account = account(name, json!({}), json!({}));
        account.metadata.creation_timestamp = Some(Time(now() - SignedDuration::from_secs(ago)));
        account
    };
    let accounts = [aged("young", 1), aged("old", 3), aged("middle", 2), aged("b", 3)];
    let told = |bound: usize| {
        let (samples, omitted) = samples(&accounts, &[], &[], &[], Some(bound));
        let ready =
            samples.iter().filter_map(|sample| sample.strip_prefix("account_ready{namespace=\"music\",name=\""));
        let mut names: Vec<String> = ready.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
        names.sort();
        (
            names.join(" "),
            omitted,
            samples.iter().any(|sample| sample.starts_with("accounts{") && sample.ends_with('4')),
        )
    };
    assert_eq!(told(4), ("b middle old young".to_owned(), 0, true));
    assert_eq!(told(3), ("b middle old".to_owned(), 1, true));
    assert_eq!(told(1), ("b".to_owned(), 3, true), "by name where they are of one age; sums hold all");
    assert_eq!(told(0), (String::new(), 4, true));
}
