//! What rules, dashboard and pages name is there: metrics, reasons, values.

use scrobble_operator::api::condition::Reason;
use scrobble_operator::reconcile::metrics::names::{ALL, Kind};
use std::collections::BTreeSet;
use std::fs;

use super::{file, read};

/// The pages that speak of metrics and reasons.
fn pages() -> Vec<String> {
    let pages = fs::read_dir(file("docs/runbooks")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        pages.map(|path| format!("docs/runbooks/{}", path.file_name().unwrap().to_string_lossy())).collect();
    names.push("docs/alerts.md".to_owned());
    names.sort();
    names
}

/// Names in a text that begin like those of metrics.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("scrobble_operator_") || word.starts_with("controller_runtime_")).collect()
}

/// Every series that a scrape may show.
fn known() -> BTreeSet<String> {
    let suffixes = |kind| match kind {
        Kind::Histogram => &["_bucket", "_sum", "_count"][..],
        Kind::Counter | Kind::Gauge | Kind::Info => &[""],
    };
    ALL.iter().flat_map(|name| suffixes(name.kind).iter().map(|suffix| format!("{}{suffix}", name.name))).collect()
}

#[test]
fn every_metric_that_is_named_exists() {
    let known = known();
    let mut files = pages();
    files.extend(["alerts.yaml", "dashboard.json"].map(|name| format!("charts/scrobble-operator/files/{name}")));
    let mut unknown = Vec::new();
    let mut named = 0;
    for file in files {
        let text = read(&file);
        let found = metrics(&text);
        named += found.len();
        unknown.extend(found.into_iter().filter(|name| !known.contains(*name)).map(|name| format!("{file}: {name}")));
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(named > 60, "{named}");
}

/// Words such as `AuthorizationRevoked` in a text that has the form of a reason.
fn words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    words
        .filter(|word| {
            let humps = word.chars().filter(char::is_ascii_uppercase).count();
            humps > 1
                && word.starts_with(|first: char| first.is_ascii_uppercase())
                && word.chars().any(char::is_lowercase)
        })
        .collect()
}

#[test]
fn every_reason_of_a_rule_exists() {
    let rules = read("charts/scrobble-operator/files/alerts.yaml");
    let quoted =
        rules.split("reason").skip(1).filter_map(|rest| rest.strip_prefix("=~\"").or(rest.strip_prefix("!~\"")));
    let reasons: BTreeSet<&str> =
        quoted.filter_map(|rest| rest.split('"').next()).flat_map(|all| all.split('|')).collect();
    assert!(reasons.len() > 8, "{reasons:?}");
    for reason in reasons {
        assert!(Reason::ALL.iter().any(|known| known.as_str() == reason), "{reason}");
    }
}

#[test]
fn every_reason_of_a_page_exists() {
    // Kinds, alerts, states of a target's entry and names of others.
    let others = [
        "SpotifyApp",
        "SpotifyAccount",
        "ScrobbleTarget",
        "ScrobblePlan",
        "PrometheusRule",
        "ConfigMap",
        "CustomResourceDefinitions",
        "CRDs",
        "NetworkPolicy",
        "NetworkPolicies",
        "PodSecurity",
        "ServiceMonitor",
        "PodMonitor",
        "GitOps",
        "ListenBrainz",
        "LastFm",
    ];
    let mut unknown = Vec::new();
    for page in pages().into_iter().filter(|page| !page.ends_with("reasons.md")) {
        let text = read(&page);
        // Links and code of a shell name other things.
        let prose = text.split("```").step_by(2).collect::<String>();
        let found = words(&prose);
        let odd = found.into_iter().filter(|word| {
            !word.starts_with("Scrobble")
                && !others.contains(word)
                && !Reason::ALL.iter().any(|reason| reason.as_str() == *word)
        });
        unknown.extend(odd.map(|word| format!("{page}: {word}")));
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}
