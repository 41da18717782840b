//! What `/metrics` tells, held against what the simulator saw, the audit log, and the objects.

mod page;

use reqwest::{Method, StatusCode};
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_operator::reconcile::metrics::names::{ALL, Part};
use scrobble_simulator::api::{Effect, Endpoint, NewFault, RecordFilter};
use serde_json::json;

use crate::world::{DEADLINE, World};
use page::{Page, ask, get};

/// One world for all of it: two listeners, one who is suspended, an operator, a standby that takes over, and a third.
#[tokio::test]
async fn metrics_tell_what_was_done_and_what_is() {
    let world = World::new("metrics").await;
    world.account("alice", "1s").await;
    world.account("bob", "1s").await;
    world.play("alice", 3, 100).await;
    // The second read fails, and is tried again at once.
    let fault =
        NewFault { skip: 1, ..NewFault::new(Effect::status(503)).at(Endpoint::RecentlyPlayed).of("alice").times(1) };
    world.script.add_fault(&fault).await.unwrap();
    let start = world.mark().await;
    let mut operator = world.start().await;
    world
        .wait("alice", "six deliveries", |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 6))
        .await;
    world.wait_for_reads("alice", 0, 4).await;
    world.wait_ready("bob", "True", "Succeeded").await;

    both_forms(&operator).await;
    let page = get(&operator).await;
    let known: Vec<&str> = ALL.iter().map(|name| name.name).collect();
    let unknown: Vec<&String> = page.families.iter().filter(|family| !known.contains(&family.as_str())).collect();
    assert!(unknown.is_empty(), "not documented: {unknown:?}");
    let (namespace, labels) = (&world.namespace, |name: &str| world.labels(name));
    for (series, value) in [
        ("scrobble_operator_leader".to_owned(), 1.0),
        (format!("scrobble_operator_account_ready{}", labels("alice")), 1.0),
        (format!("scrobble_operator_account_consecutive_failures{}", labels("bob")), 0.0),
        (format!("scrobble_operator_app_ready{}", labels("main")), 1.0),
        (format!("scrobble_operator_accounts{{app_namespace=\"{namespace}\",app=\"main\",ready=\"True\"}}"), 2.0),
        ("scrobble_operator_plays_read_total".to_owned(), 3.0),
        ("scrobble_operator_plays_delivered_total{type=\"ListenBrainz\"}".to_owned(), 3.0),
        ("scrobble_operator_plays_delivered_total{type=\"Webhook\"}".to_owned(), 3.0),
        ("scrobble_operator_token_rotations_total".to_owned(), 0.0),
        ("scrobble_operator_metrics_account_series_omitted".to_owned(), 0.0),
    ] {
        assert_eq!(page.value(&series), Some(value), "{series}");
    }
    let expiry = page.value(&format!("scrobble_operator_account_token_expiry_seconds{}", labels("alice"))).unwrap();
    assert!(expiry > 0.0 && expiry <= 3600.0, "{expiry}");
    let passes = page.sum("controller_runtime_reconcile_total{controller=\"spotifyaccount\"");
    assert!(passes >= 4.0, "{passes} passes");

    // Nobody asks anybody any more.
    for name in ["alice", "bob"] {
        world.patch::<SpotifyAccount>(name, json!({"spec": {"suspend": true}})).await;
        world.wait_ready(name, "False", "Suspended").await;
    }
    requests_are_those_that_were_seen(&world, &operator).await;
    status_writes_are_those_of_the_audit_log(&world, &operator, start).await;

    world.delete::<SpotifyAccount>("bob").await;
    let suspended =
        format!("scrobble_operator_accounts{{app_namespace=\"{namespace}\",app=\"main\",ready=\"Suspended\"}}");
    wait_until("the deleted account's series to vanish", DEADLINE, async || {
        let page = get(&operator).await;
        let left = page.samples.keys().filter(|series| series.contains("name=\"bob\"")).count();
        if left == 0 && page.value(&suspended) == Some(1.0) { Ok(()) } else { Err(format!("{left} series")) }
    })
    .await
    .unwrap();

    standbys_and_bounds(&world, &mut operator).await;
}

impl World {
    /// The labels of an object of this world.
    fn labels(&self, name: &str) -> String {
        format!("{{namespace=\"{}\",name=\"{name}\"}}", self.namespace)
    }
}

/// Both forms are served, each with its type and the same series; nothing but reading is allowed.
async fn both_forms(operator: &OperatorProcess) {
    let open_metrics = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (status, kind, newer) = ask(operator, Method::GET, Some(open_metrics)).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(newer.ends_with("\n# EOF\n") && newer.contains("# TYPE scrobble_operator_build info\n"));
    let (status, kind, older) = ask(operator, Method::GET, None).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(!older.contains("# EOF") && older.contains("# TYPE scrobble_operator_build_info gauge\n"));
    let series = |text: &str| Page::parse(text).samples.into_keys().collect::<Vec<_>>();
    // A conflict more at the API server may have its first series in between.
    let process =
        |text: &str| series(text).into_iter().filter(|series| !series.contains("kubernetes")).collect::<Vec<_>>();
    assert_eq!(process(&newer), process(&older));
    let (status, _, body) = ask(operator, Method::HEAD, None).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert_eq!(ask(operator, Method::POST, None).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

/// Each request that the simulator saw is counted, by what it answered.
async fn requests_are_those_that_were_seen(world: &World, operator: &OperatorProcess) {
    let endpoints = [
        (Endpoint::Token, "spotify_requests_total{endpoint=\"token\",class=\"CLASS\"}"),
        (Endpoint::Me, "spotify_requests_total{endpoint=\"me\",class=\"CLASS\"}"),
        (Endpoint::RecentlyPlayed, "spotify_requests_total{endpoint=\"recently_played\",class=\"CLASS\"}"),
        (
            Endpoint::ListenbrainzValidate,
            "target_requests_total{type=\"ListenBrainz\",endpoint=\"check\",class=\"CLASS\"}",
        ),
        (
            Endpoint::ListenbrainzSubmit,
            "target_requests_total{type=\"ListenBrainz\",endpoint=\"submit\",class=\"CLASS\"}",
        ),
        (Endpoint::Webhook, "target_requests_total{type=\"Webhook\",endpoint=\"submit\",class=\"CLASS\"}"),
    ];
    wait_until("what is counted to be what was seen", DEADLINE, async || {
        let page = get(operator).await;
        for (endpoint, series) in endpoints {
            let seen = world.script.requests(&RecordFilter::at(endpoint)).await.map_err(|error| error.to_string())?;
            let of = |from: u16, to: u16| {
                seen.iter().filter(|record| record.status.is_some_and(|status| (from..to).contains(&status))).count()
            };
            for (class, seen) in
                [("success", of(200, 300)), ("server_error", of(500, 600)), ("client_error", of(404, 429))]
            {
                let counted = page.value(&format!("scrobble_operator_{}", series.replace("CLASS", class)));
                if counted != Some(seen as f64) {
                    return Err(format!("{series}, {class}: {counted:?} counted, {seen} seen"));
                }
            }
            if of(200, 300) == 0 {
                return Err(format!("{series}: none was seen"));
            }
        }
        Ok(())
    })
    .await
    .unwrap();
    let page = get(operator).await;
    let failed = "scrobble_operator_spotify_requests_total{endpoint=\"recently_played\",class=\"server_error\"}";
    assert_eq!(page.value(failed), Some(1.0));
    let refreshes = page.value("scrobble_operator_token_refreshes_total{outcome=\"success\"}");
    let exchanges = world.script.requests(&RecordFilter::at(Endpoint::Token)).await.unwrap().len();
    assert_eq!(refreshes, Some(exchanges as f64));
    let timed = "scrobble_operator_spotify_request_duration_seconds_count{endpoint=\"token\"}";
    assert_eq!(page.value(timed), refreshes);
}

/// Each write of an account's status that the API server has in its own record is counted.
async fn status_writes_are_those_of_the_audit_log(
    world: &World,
    operator: &OperatorProcess,
    start: scrobble_harness::audit::Marker,
) {
    let series = "scrobble_operator_kubernetes_requests_total{verb=\"patch\",resource=\"spotifyaccounts/status\",class=\"success\"}";
    wait_until("what is counted to be what was written", DEADLINE, async || {
        let counted = get(operator).await.value(series);
        let writes = world.writes(start).await;
        let is_status = |resource: &str, part: Option<&str>| resource == "spotifyaccounts" && part == Some("status");
        let written = writes.iter().filter(|entry| is_status(&entry.resource, entry.subresource.as_deref())).count();
        if written > 0 && counted == Some(written as f64) { Ok(()) } else { Err(format!("{counted:?}, {written}")) }
    })
    .await
    .unwrap();
}

/// A standby tells of itself alone; on duty it obeys the flags.
async fn standbys_and_bounds(world: &World, operator: &mut OperatorProcess) {
    let standby = world.operator().argument("--leader-elect=true").flag("account-metrics", "false");
    let mut standby = standby.start().await.unwrap();
    let page = get(&standby).await;
    assert_eq!(page.value("scrobble_operator_leader"), Some(0.0));
    let told: Vec<&str> = ALL.iter().filter(|name| name.part == Part::Process).map(|name| name.name).collect();
    let others: Vec<&String> = page.families.iter().filter(|family| !told.contains(&family.as_str())).collect();
    assert!(others.is_empty(), "a standby has no objects: {others:?}");

    assert!(operator.terminate().await.unwrap().success());
    let sum =
        format!("scrobble_operator_accounts{{app_namespace=\"{}\",app=\"main\",ready=\"Suspended\"}}", world.namespace);
    let on_duty = async |operator: &OperatorProcess, wanted: f64| {
        wait_until("the other to be on duty", DEADLINE, async || {
            let page = get(operator).await;
            if page.value(&sum) == Some(wanted) { Ok(page) } else { Err(format!("{:?}", page.value(&sum))) }
        })
        .await
        .unwrap()
    };
    let page = on_duty(&standby, 1.0).await;
    assert_eq!(page.value("scrobble_operator_leader"), Some(1.0));
    assert_eq!(page.of_accounts(), 0, "switched off");
    assert!(standby.terminate().await.unwrap().success());

    world.listener("zoe").await;
    let mut spec = world.spec("zoe", "1s");
    spec["suspend"] = json!(true);
    world.create::<SpotifyAccount>("SpotifyAccount", "zoe", &spec).await;
    let bounded = world.operator().flag("account-metrics-limit", "1").start().await.unwrap();
    let page = on_duty(&bounded, 2.0).await;
    assert_eq!(page.value("scrobble_operator_metrics_account_series_omitted"), Some(1.0));
    assert_eq!(page.of_accounts(), 1, "the oldest");
    assert_eq!(page.value(&format!("scrobble_operator_account_suspended{}", world.labels("alice"))), Some(1.0));
}
