//! A real Prometheus scrapes the running operator in both formats, evaluates the chart's rules and answers the dashboard's
//! and the pages' queries.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::PostParams;
use scrobble_harness::{Prometheus, PrometheusTools, wait_until};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount};
use scrobble_operator::reconcile::metrics::names::{ALL, Kind};
use serde_json::{Value, json};

use super::dashboard::{dashboard, queries};
use super::{alerts, file, groups, text};
use crate::world::{DEADLINE, World};

/// The time between two plays.
const PLAY: Duration = Duration::from_millis(500);

/// A world whose operator reads two listeners for two targets, and is to be scraped.
async fn world() -> World {
    let world = World::new("monitoring").await;
    let plan = json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobblePlan",
        "metadata": {"name": world.namespace}, "spec": {"minInterval": "1s", "seats": 5},
    });
    let plans: Api<ScrobblePlan> = Api::all(world.client.clone());
    plans.create(&PostParams::default(), &serde_json::from_value(plan).unwrap()).await.unwrap();
    for listener in ["alice", "bob"] {
        world.listener(listener).await;
        world.listenbrainz(listener).await;
        if world.api::<ScrobbleTarget>().get_opt("hook").await.unwrap().is_none() {
            world.webhook().await;
        }
        let mut spec = world.spec(listener, "1s");
        spec["plan"] = json!(world.namespace);
        world.create::<SpotifyAccount>("SpotifyAccount", listener, &spec).await;
    }
    world
}

/// Plays flow, two a second, until a look at Prometheus shows what is wanted.
async fn flow_until(world: &World, what: &str, mut look: impl AsyncFnMut() -> Result<(), String>) {
    let mut played = Instant::now();
    wait_until(what, DEADLINE, async || {
        if played.elapsed() > PLAY {
            played = Instant::now();
            world.play("alice", 1, 5).await;
        }
        look().await
    })
    .await
    .unwrap();
}

/// The states of all alerts by their names; an error while one was not evaluated, or could not be.
async fn states(prometheus: &Prometheus, count: usize) -> Result<Vec<(String, String)>, String> {
    let data = prometheus.get("rules", &[("type", "alert")]).await.map_err(|error| error.to_string())?;
    let found = alerts_of(&data);
    let odd: Vec<&Value> = found.iter().filter(|rule| rule["health"] != "ok").collect();
    if !odd.is_empty() || found.len() != count {
        return Err(format!("{} of {count} rules, of which not well: {odd:?}", found.len()));
    }
    Ok(found.iter().map(|rule| (text(&rule["name"]).to_owned(), text(&rule["state"]).to_owned())).collect())
}

fn alerts_of(data: &Value) -> Vec<Value> {
    let groups = data["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_real_prometheus_understands_all_of_it() {
    let tools = PrometheusTools::locate().await.unwrap();
    let world = world().await;
    let operator = world.start().await;
    for listener in ["alice", "bob"] {
        world.wait_ready(listener, "True", "Succeeded").await;
    }
    let address = operator.url().trim_start_matches("http://").to_owned();
    let scrape = |job: &str, protocol: &str| {
        json!({
            "job_name": job, "scrape_protocols": [protocol], "honor_labels": true,
            // As service discovery labels a pod: `namespace` must stay that of the object.
            "static_configs": [{"targets": [address], "labels": {"namespace": "operators", "pod": "operator-0"}}],
        })
    };
    let jobs = json!([scrape("openmetrics", "OpenMetricsText1.0.0"), scrape("text", "PrometheusText0.0.4")]);
    let rules = groups(&[
        "metrics.prometheusRule.job=openmetrics|text",
        "metrics.prometheusRule.thresholds.accountNeedsHuman=1s",
    ])
    .await;
    let count = alerts(&rules).len();
    let prometheus = Prometheus::start(&tools, &jobs, &[&rules.to_string()]).await.unwrap();

    flow_until(&world, "both scrapes, deliveries, and every rule well and quiet", async || {
        for query in ["up == 1", "sum by (job) (scrobble_operator_plays_delivered_total) > 0"] {
            let found = prometheus.query(query).await.map_err(|error| error.to_string())?;
            if found.len() != 2 {
                return Err(format!("{query}: {found:?}"));
            }
        }
        let states = states(&prometheus, count).await?;
        let loud: Vec<_> = states.into_iter().filter(|(_, state)| state != "inactive").collect();
        if loud.is_empty() { Ok(()) } else { Err(format!("{loud:?}")) }
    })
    .await;

    answers_the_dashboard(&world, &prometheus).await;
    answers_the_pages(&prometheus).await;

    // The one that needs a human.
    world.script.revoke("bob").await.unwrap();
    world.request("bob", "revoked").await;
    world.wait_ready("bob", "False", "AuthorizationRevoked").await;
    let fired = wait_until("the alert", DEADLINE, async || {
        let data = prometheus.get("alerts", &[]).await.map_err(|error| error.to_string())?;
        let all = data["alerts"].as_array().cloned().unwrap_or_default();
        let fires = |alert: &&Value| {
            alert["labels"]["alertname"] == "ScrobbleAccountNeedsHuman"
                && alert["state"] == "firing"
                && alert["labels"]["reason"] == "AuthorizationRevoked"
        };
        let found: Vec<Value> = all.iter().filter(fires).cloned().collect();
        // Another one would be about nobody.
        let loud = all.iter().filter(|alert| alert["state"] == "firing").count();
        if found.len() == 1 && loud == 1 { Ok(found[0].clone()) } else { Err(format!("{all:#?}")) }
    })
    .await
    .unwrap();
    let labels = &fired["labels"];
    assert_eq!((text(&labels["namespace"]), text(&labels["name"])), (world.namespace.as_str(), "bob"));
    assert_eq!((text(&labels["app_namespace"]), text(&labels["app"])), (world.namespace.as_str(), "main"));
    let annotations = &fired["annotations"];
    let summary = format!("SpotifyAccount {}/bob needs a human (AuthorizationRevoked)", world.namespace);
    assert_eq!(text(&annotations["summary"]), summary);
    assert!(
        text(&annotations["description"])
            .ends_with(&format!("kubectl -n {} describe spotifyaccount bob", world.namespace))
    );

    knows_every_metric(&prometheus).await;

    let (status, page) = operator.get("/metrics").await.unwrap();
    assert_eq!(status, 200);
    tools.promtool(&file("tests"), &["check", "metrics"], &page).unwrap();
    let targets = prometheus.get("targets", &[("state", "active")]).await.unwrap();
    for target in targets["activeTargets"].as_array().unwrap() {
        assert_eq!((text(&target["health"]), text(&target["lastError"])), ("up", ""), "{target}");
    }
    let log = prometheus.log();
    let complaints: Vec<&str> =
        log.lines().filter(|line| line.contains("level=WARN") || line.contains("level=ERROR")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// Each query of the dashboard and of its variables has data.
async fn answers_the_dashboard(world: &World, prometheus: &Prometheus) {
    let dashboard = dashboard();
    let filled = |query: &str| {
        let filled = query.replace("$__rate_interval", "15s").replace("$namespace", &world.namespace);
        filled.replace("$job", ".*").replace("$app", "main")
    };
    let all = queries(&dashboard);
    assert!(all.len() > 60, "{}", all.len());
    flow_until(world, "data for each query of the dashboard", async || {
        let mut empty = Vec::new();
        for (title, query) in &all {
            let found = prometheus.query(&filled(query)).await.map_err(|error| error.to_string())?;
            if found.is_empty() {
                empty.push(format!("{title}: {query}"));
            }
        }
        if empty.is_empty() { Ok(()) } else { Err(format!("{empty:#?}")) }
    })
    .await;
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(values) = text(&variable["definition"]).strip_prefix("label_values(") else { continue };
        let (series, label) = values.trim_end_matches(')').rsplit_once(", ").unwrap();
        let series = filled(series);
        let found = prometheus.get(&format!("label/{label}/values"), &[("match[]", series.as_str())]).await.unwrap();
        assert!(found.as_array().is_some_and(|found| !found.is_empty()), "{values}");
    }
}

/// Each query of a page can be evaluated.
async fn answers_the_pages(prometheus: &Prometheus) {
    for entry in std::fs::read_dir(file("docs/runbooks")).unwrap() {
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for query in page.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            prometheus.query(query).await.unwrap();
        }
    }
}

/// Every metric of the list has a series, from both formats alike.
async fn knows_every_metric(prometheus: &Prometheus) {
    let series =
        |name: &str, kind: Kind| if kind == Kind::Histogram { format!("{name}_count") } else { name.to_owned() };
    let expected: BTreeSet<String> = ALL.iter().map(|name| series(name.name, name.kind)).collect();
    for job in ["openmetrics", "text"] {
        let found = prometheus.query(&format!("group by (__name__) ({{job=\"{job}\"}})")).await.unwrap();
        let found: BTreeSet<String> = found.into_iter().map(|sample| sample.labels["__name__"].clone()).collect();
        let missing: Vec<&String> = expected.difference(&found).collect();
        assert!(missing.is_empty(), "{job} lacks {missing:?}");
    }
}
