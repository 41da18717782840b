//! Alerts, their pages, the dashboard, and a real Prometheus that scrapes the operator.

mod contract;
mod dashboard;
mod rules;
mod runbooks;
mod scrape;

use serde_json::Value;
use std::fs;
use std::path::PathBuf;

use crate::chart::{only, render};

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The groups of alerts that the chart renders as the release `demo` in the namespace `music`: what a rule file holds.
async fn groups(settings: &[&str]) -> Value {
    let mut all = vec!["metrics.prometheusRule.enabled=true"];
    all.extend(settings);
    only(&render(&all).await, "PrometheusRule")["spec"].clone()
}

/// The rules of these groups.
fn alerts(groups: &Value) -> Vec<&Value> {
    groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
}

/// What a value that is text says; empty where it is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
