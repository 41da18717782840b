//! The dashboard as Grafana reads it.

use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::{read, text};
use crate::chart::{of_kind, only, render};

/// The dashboard.
pub fn dashboard() -> Value {
    serde_json::from_str(&read("charts/scrobble-operator/files/dashboard.json")).unwrap()
}

/// Its queries, each with the title of its panel.
pub fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panel = |panel: &Value| {
        let title = text(&panel["title"]).to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), text(&target["expr"]).to_owned()))
    };
    panels.flat_map(of_panel).collect()
}

#[test]
fn panels_have_their_place_a_number_and_the_chosen_source() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    assert_eq!(dashboard["uid"], "scrobble-operator");
    let mut numbers = BTreeSet::new();
    let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut rows = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = text(&panel["title"]);
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies on another panel");
            }
        }
        if panel["type"] == "row" {
            rows.push(title.to_owned());
            continue;
        }
        assert!(matches!(text(&panel["type"]), "timeseries" | "stat" | "table"), "{title}");
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        assert_eq!(panel["datasource"], source, "{title}");
        let targets = panel["targets"].as_array().unwrap();
        let references: BTreeSet<&str> = targets.iter().map(|target| text(&target["refId"])).collect();
        assert!(!targets.is_empty() && references.len() == targets.len(), "{title}");
        assert!(
            targets.iter().all(|target| target["datasource"] == source && !text(&target["expr"]).is_empty()),
            "{title}"
        );
    }
    assert_eq!(rows, ["Overview", "Spotify", "Targets", "Tokens", "The process", "Accounts"]);
}

#[test]
fn variables_are_those_that_queries_use() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let mut known: BTreeSet<&str> = variables.iter().map(|variable| text(&variable["name"])).collect();
    assert_eq!(known, BTreeSet::from(["app", "datasource", "job", "namespace"]));
    known.insert("__rate_interval");
    for (title, query) in queries(&dashboard) {
        let used = query.split('$').skip(1).map(|rest| {
            rest.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).next().unwrap_or_default()
        });
        let used: BTreeSet<&str> = used.collect();
        assert!(used.is_subset(&known), "{title}: {used:?}");
        assert!(used.contains("job"), "{title} looks at one operator: {query}");
    }
}

#[tokio::test]
async fn the_chart_makes_a_config_map_of_it_on_request() {
    assert_eq!(of_kind(&render(&[]).await, "ConfigMap").len(), 0);
    let documents =
        render(&["metrics.dashboard.enabled=true", "metrics.dashboard.annotations.grafana_folder=Music"]).await;
    let map = only(&documents, "ConfigMap");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"], json!({"grafana_folder": "Music"}));
    let held: Value = serde_json::from_str(text(&map["data"]["scrobble-operator.json"])).unwrap();
    assert_eq!(held, dashboard());
}
