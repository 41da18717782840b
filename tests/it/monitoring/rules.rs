//! The rules of the chart under promtool: in `rules/` one file for each alert, with cases in which it fires and cases in
//! which it does not, and one for a healthy operator to which things happen.

use scrobble_harness::PrometheusTools;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{alerts, file, groups, text};
use crate::chart::{path, plane};

/// The cases of an operator that is well, under all rules.
const HEALTHY: &str = "healthy.yaml";
const RUNBOOKS: &str = "metrics.prometheusRule.runbookUrl=https://runbooks.example.org/";

/// Writes the two forms of the rules into a folder, with series for each account and without: all of them, or those of one
/// alert, for a promtool that evaluates them all takes its time.
fn write(folder: &Path, forms: &[(&str, &Value); 2], alert: Option<&str>) {
    fs::create_dir_all(folder).unwrap();
    for (name, groups) in forms {
        let mut groups = (*groups).clone();
        for group in groups["groups"].as_array_mut().unwrap() {
            let rules = group["rules"].as_array_mut().unwrap();
            rules.retain(|rule| alert.is_none_or(|alert| rule["alert"] == alert));
        }
        // JSON is YAML.
        fs::write(folder.join(name), groups.to_string()).unwrap();
    }
}

#[tokio::test]
async fn each_alert_fires_when_it_should_and_not_when_it_should_not() {
    let tools = PrometheusTools::locate().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let accounts = groups(&[RUNBOOKS]).await;
    let aggregates = groups(&[RUNBOOKS, "metrics.accounts.enabled=false"]).await;
    let forms = [("accounts.yaml", &accounts), ("aggregates.yaml", &aggregates)];
    write(folder.path(), &forms, None);
    let checked = ["check", "rules", "--lint=all", "--lint-fatal", "accounts.yaml", "aggregates.yaml"];
    tools.promtool(folder.path(), &checked, "").unwrap();

    let mut cases = Vec::new();
    let mut arguments = vec!["test".to_owned(), "rules".to_owned()];
    for entry in fs::read_dir(file("tests/it/monitoring/rules")).unwrap() {
        let source = entry.unwrap().path();
        let name = source.file_name().unwrap().to_string_lossy().into_owned();
        let alert = name.split('.').next().filter(|_| name != HEALTHY);
        write(&folder.path().join(&name), &forms, alert);
        fs::copy(&source, folder.path().join(&name).join(&name)).unwrap();
        arguments.push(format!("{name}/{name}"));
        cases.push(name);
    }
    tools.promtool(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>(), "").unwrap();

    // Each rule has its file, and in it a case in which it fires, and one in which it does not.
    let expected: BTreeSet<String> = alerts(&accounts)
        .iter()
        .map(|rule| format!("{}.yaml", text(&rule["alert"])))
        .chain(
            alerts(&aggregates)
                .iter()
                .filter(|rule| !alerts(&accounts).contains(rule))
                .map(|rule| format!("{}.aggregates.yaml", text(&rule["alert"]))),
        )
        .chain([HEALTHY.to_owned()])
        .collect();
    assert_eq!(cases.iter().cloned().collect::<BTreeSet<_>>(), expected);
    for name in expected.iter().filter(|name| *name != HEALTHY) {
        let alert = name.split('.').next().unwrap();
        let tests: Value =
            serde_yaml::from_str(&fs::read_to_string(folder.path().join(name).join(name)).unwrap()).unwrap();
        let lists = |key: &str| {
            let tests = tests["tests"].as_array().unwrap().iter();
            tests.flat_map(|test| test[key].as_array().cloned().unwrap_or_default()).collect::<Vec<_>>()
        };
        let looks = lists("alert_rule_test");
        let fires = |look: &&Value| look["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
        assert!(looks.iter().all(|look| look["alertname"] == alert), "{name} is about {alert}");
        assert!(looks.iter().any(|look| fires(&look)) && looks.iter().any(|look| !fires(&look)), "{name}");
    }
}

#[tokio::test]
async fn what_is_set_is_in_the_rules() {
    let groups = groups(&[
        "metrics.prometheusRule.disabled={ScrobbleReconcilePanics,ScrobbleReadsLate}",
        "metrics.prometheusRule.severities.ScrobblePlaysNotDelivered=warning",
        "metrics.prometheusRule.ruleLabels.team=music",
        "metrics.prometheusRule.job=kubernetes-pods",
        "metrics.prometheusRule.thresholds.playsNotDelivered=2h30m",
        "metrics.prometheusRule.thresholds.reauthorizationDays=14",
        "metrics.prometheusRule.thresholds.reconcileErrorRatio=0.25",
    ])
    .await;
    let all = alerts(&groups);
    let rule = |name: &str| *all.iter().find(|rule| rule["alert"] == name).unwrap();
    assert!(!all.iter().any(|rule| rule["alert"] == "ScrobbleReconcilePanics" || rule["alert"] == "ScrobbleReadsLate"));
    assert!(all.iter().all(|rule| rule["labels"]["team"] == "music"));
    for rule in &all {
        let expression = text(&rule["expr"]);
        let selected = expression.matches("{job=~\"kubernetes-pods\"").count();
        assert_eq!(selected, expression.matches('{').count(), "each selector is of this operator: {expression}");
        assert!(selected > 0, "{expression}");
    }
    let plays = rule("ScrobblePlaysNotDelivered");
    assert_eq!((text(&plays["for"]), text(&plays["labels"]["severity"])), ("2h30m", "warning"));
    assert!(text(&plays["annotations"]["description"]).contains("{{ $value }} plays wait, and for 2h30m not one"));
    assert!(text(&rule("ScrobbleReauthorizationDue")["expr"]).contains("< 86400 * 14\n"));
    assert!(text(&rule("ScrobbleReconcileErrors")["expr"]).ends_with("> 0.25"));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let chart = path();
    for (setting, said) in [
        ("disabled={ScrobbleNothing}", "there is no alert ScrobbleNothing"),
        ("severities.ScrobbleNothing=info", "there is no alert ScrobbleNothing"),
        ("thresholds=null", "there is no value for ${"),
    ] {
        let settings = format!("metrics.prometheusRule.enabled=true,metrics.prometheusRule.{setting}");
        let refused = plane().await.helm(&["template", "demo", &chart, "--set", &settings]).await;
        let message = refused.expect_err(setting).to_string();
        assert!(message.contains(said), "{setting}: {message}");
    }
}
