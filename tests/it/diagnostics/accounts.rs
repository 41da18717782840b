//! A healthy, an expiring, a revoked, a gated and a suspended account: each look tells the truth, and records nothing.

use jiff::SignedDuration;
use reqwest::Method;
use scrobble_harness::OperatorProcess;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter};
use serde_json::{Value, json};

use super::session::{CHECKER, VIEWER, check, counted, diagnostics, people, recorded, request, token};
use crate::accounts::tokens;
use crate::world::{World, condition};

const LIMITED: &str = "ffffffffffffffffffffffffffffffff";

/// What is known of each account: whether it is healthy, `Ready`, why Spotify was not asked, and how many requests it cost.
const TRUTHS: [(&str, bool, &str, Option<&str>, usize); 5] = [
    ("alice", true, "True Succeeded", None, 1),
    ("expiring", true, "True Succeeded", None, 1),
    ("revoked", false, "False AuthorizationRevoked", Some("AuthorizationRevoked"), 0),
    ("gated", false, "True Succeeded", Some("RateLimited"), 0),
    ("suspended", false, "False Suspended", Some("Suspended"), 0),
];

async fn world_of_five() -> (World, OperatorProcess) {
    let world = World::new("diagnostics-five").await;
    world.patch::<SpotifyApp>("main", json!({"spec": {"quota": {"dailyCalls": 1000}}})).await;
    people(&world).await;
    world.account("alice", "24h").await;
    world.account("expiring", "24h").await;
    let authorized = world.script.now().await.unwrap() - SignedDuration::from_hours(24 * 175);
    tokens::put(&world, "expiring", json!({"authorized-at": format!("{authorized:.0}")})).await;
    world.account("revoked", "24h").await;
    world.script.revoke("revoked").await.unwrap();
    let limited = NewApp::confidential(LIMITED, "another-client-secret");
    world.script.put_app(&limited).await.unwrap();
    world.app("limited", &limited).await;
    world.listener_as(NewAccount::new("gated", LIMITED)).await;
    world.listenbrainz("gated").await;
    let mut spec = world.spec("gated", "24h");
    spec["appRef"]["name"] = json!("limited");
    world.create::<SpotifyAccount>("SpotifyAccount", "gated", &spec).await;
    world.listener("suspended").await;
    world.listenbrainz("suspended").await;
    let mut spec = world.spec("suspended", "24h");
    spec["suspend"] = json!(true);
    world.create::<SpotifyAccount>("SpotifyAccount", "suspended", &spec).await;

    let operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world
        .wait("expiring", "the warning", |status| {
            condition(status, ConditionType::Authorized) == ("True", "AuthorizationExpiring")
        })
        .await;
    world.wait_ready("revoked", "False", "AuthorizationRevoked").await;
    world.wait_ready("suspended", "False", "Suspended").await;
    world.wait_ready("gated", "True", "Succeeded").await;
    let fault =
        NewFault::new(Effect::RateLimited { retry_after_seconds: 500 }).at(Endpoint::RecentlyPlayed).of("gated");
    world.script.add_fault(&fault.times(1)).await.unwrap();
    world.request("gated", "now").await;
    world.wait_app("limited", "a closed gate", crate::world::DEADLINE, |status| status.rate_limit.is_some()).await;
    world.wait("gated", "the request's end", |status| status.last_handled_reconcile_at.is_some()).await;
    (world, operator)
}

/// What was asked of Spotify for an account since a request.
async fn asked(world: &World, account: &str, since: u64) -> usize {
    let filter = RecordFilter { since: Some(since), account: Some(account.to_owned()), ..RecordFilter::default() };
    let of_spotify = |endpoint| matches!(endpoint, Endpoint::Token | Endpoint::Me | Endpoint::RecentlyPlayed);
    world.script.requests(&filter).await.unwrap().iter().filter(|record| of_spotify(record.endpoint)).count()
}

fn assert_true(found: &Value, truth: (&str, bool, &str, Option<&str>, usize)) {
    let (account, healthy, ready, not_asked, _) = truth;
    assert_eq!(found["healthy"], healthy, "{account}: {found:#}");
    let told = format!("{} {}", found["ready"].as_str().unwrap(), found["reason"].as_str().unwrap());
    assert_eq!(told, ready, "{account}: {found:#}");
    assert_eq!(found["notAsked"]["reason"].as_str(), not_asked, "{account}: {found:#}");
    assert_eq!(found["plays"].is_object(), not_asked.is_none(), "{account}: {found:#}");
    match account {
        "alice" => {
            assert_eq!((&found["plays"]["shown"], &found["plays"]["new"]), (&json!(2), &json!(2)), "{found:#}");
            for target in found["targets"].as_array().unwrap() {
                assert_eq!((&target["wouldReceive"], &target["state"]), (&json!(2), &json!("Healthy")), "{found:#}");
            }
            assert_eq!(found["token"]["state"], "Fresh");
            assert!((50..60).contains(&found["token"]["expiresInMinutes"].as_i64().unwrap()), "{found:#}");
        }
        "expiring" => {
            assert_eq!(found["authorization"]["daysLeft"], 4, "{found:#}");
            assert_eq!(found["authorization"]["reason"], "AuthorizationExpiring");
        }
        "gated" => assert_eq!(found["gate"]["limit"], "Rate", "{found:#}"),
        "suspended" => assert_eq!(found["nextReadTime"], Value::Null),
        _ => {}
    }
    if !matches!(account, "suspended" | "revoked") {
        assert!(found["nextReadTime"].as_str() > found["time"].as_str(), "{account}: {found:#}");
    }
}

#[tokio::test]
async fn each_look_tells_the_truth_and_records_nothing() {
    let (world, operator) = world_of_five().await;
    let viewer = token(&world, VIEWER).await;
    world.play("alice", 2, 0).await;
    let mut seen = Vec::new();
    let mut before = Vec::new();
    for (account, ..) in TRUTHS {
        before.push(recorded(&world, account).await);
    }
    let (mark, sent) = (world.mark().await, world.script.deliveries("hook").await.unwrap().len());

    for truth in TRUTHS {
        let since = world.script.last_seq().await.unwrap();
        let answer = diagnostics(&world, &operator, truth.0, &viewer).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", truth.0);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.json()["account"], format!("{}/{}", world.namespace, truth.0));
        assert_true(&answer.json(), truth);
        assert_eq!(asked(&world, truth.0, since).await, truth.4, "{}", truth.0);
        seen.push(answer.text);
    }
    let calls = counted(&world, "main").await;
    for truth in TRUTHS {
        let since = world.script.last_seq().await.unwrap();
        let ended = check(&world, CHECKER, truth.0, &["-o", "json"]).await;
        assert_eq!(ended.code, i32::from(!truth.1), "{}: {ended:?}", truth.0);
        assert_true(&ended.json(), truth);
        assert_eq!(asked(&world, truth.0, since).await, truth.4, "{}", truth.0);
        seen.push(ended.stdout);
    }
    assert_eq!(counted(&world, "main").await, calls + 2, "each read of the command is counted");

    // Asked again at once, nobody is asked.
    let since = world.script.last_seq().await.unwrap();
    let path = format!("/diagnostics/{}/alice", world.namespace);
    let again = request(&operator, Method::GET, &path, Some(&viewer), Some("text/plain")).await;
    assert_eq!(again.status, 429, "{again:?}");
    assert_eq!(again.headers["content-type"], "text/plain; charset=utf-8");
    assert!((1..=10).contains(&again.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap()));
    assert_eq!(world.script.last_seq().await.unwrap(), since);

    // As a table, for people.
    let table = check(&world, CHECKER, "suspended", &[]).await;
    assert_eq!(table.code, 1);
    for line in ["Healthy:        no\n", "Not asked:      Suspended: ", "Plays:          not read\n"] {
        assert!(table.stdout.contains(line), "{table:?}");
    }
    let yaml: Value =
        serde_yaml::from_str(&check(&world, CHECKER, "suspended", &["--output=yaml"]).await.stdout).unwrap();
    assert_eq!(yaml["notAsked"]["reason"], "Suspended");
    assert_eq!(request(&operator, Method::HEAD, &path, Some(&viewer), None).await.status, 405);
    assert_eq!(request(&operator, Method::POST, &path, Some(&viewer), None).await.status, 405);

    // Nothing was delivered or recorded.
    for ((account, ..), before) in TRUTHS.iter().zip(before) {
        assert_eq!(recorded(&world, account).await, before, "{account}");
    }
    assert_eq!(world.script.deliveries("hook").await.unwrap().len(), sent);
    let checker = format!("system:serviceaccount:{}:{CHECKER}", world.namespace);
    let mut writes = world.writes_with_events(mark).await;
    writes.extend(world.plane.audit().writes_by(&checker, &world.namespace, mark).unwrap());
    for entry in writes.iter().filter(|entry| entry.group != "authorization.k8s.io") {
        assert!(entry.is_about("spotifyapps/status"), "but calls in the budget: {entry:?}");
    }
    assert_no_secret(&world, &viewer, &seen.join("\n")).await;
    // What was seen is delivered by the operator's own read.
    world.request("alice", "now").await;
    world
        .wait("alice", "both plays", |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 4))
        .await;
}

/// Nothing that stands in a Secret is in an answer, nor the token of whoever asked.
async fn assert_no_secret(world: &World, token: &str, text: &str) {
    assert!(!text.contains(token));
    let mut planted = 0;
    for secret in world.secrets().list(&kube::api::ListParams::default()).await.unwrap() {
        for (key, value) in secret.data.unwrap_or_default() {
            let value = String::from_utf8(value.0).unwrap_or_default();
            if value.len() >= 16 && !matches!(key.as_str(), "scope" | "authorized-at" | "expires-at") {
                planted += 1;
                assert!(!text.contains(&value), "{key}");
            }
        }
    }
    assert!(planted > 10, "there is something to search for");
}
