//! What holds for every status, whatever it tells: the Kubernetes API conventions, kstatus, and that nothing contradicts
//! anything else. Whether the words are true is for a reader of the files.

use jiff::Timestamp;
use serde_json::Value;

/// Asserts it of an account, an app or a target.
pub fn assert_consistent(whose: &str, status: &Value) {
    let conditions = Conditions(status["conditions"].as_array().map_or(&[], Vec::as_slice));
    let fails: &dyn Fn(&str) = &|what| panic!("{whose}: {what}: {status:#}");
    for told in conditions.0 {
        if ["reason", "message", "type", "lastTransitionTime"].iter().any(|field| word(told, field).is_empty()) {
            fails("a condition that says too little");
        }
        if told["observedGeneration"] != status["observedGeneration"] {
            fails("a condition of another generation");
        }
        if conditions.0.iter().filter(|other| other["type"] == told["type"]).count() != 1 {
            fails("a condition twice");
        }
        let only_while_true = ["Reconciling", "Stalled", "CircuitOpen", "Suspended"].contains(&word(told, "type"));
        if only_while_true && word(told, "status") != "True" {
            fails("a condition that is there although it does not hold");
        }
    }
    let ready = conditions.of("Ready");
    if conditions.has("Stalled") && (conditions.of("Stalled") != ("True", ready.1) || ready.0 != "False") {
        fails("Stalled for another reason than it is not Ready");
    }
    if conditions.has("Stalled") && conditions.has("Reconciling") {
        fails("Stalled and at work");
    }
    let breaker = word(&status["circuitBreaker"], "state");
    if conditions.has("CircuitOpen") == (breaker.is_empty() || breaker == "Closed") {
        fails("CircuitOpen and the breaker contradict each other");
    }
    if !breaker.is_empty() && time(&status["circuitBreaker"], "nextProbeTime").is_none() {
        fails("a breaker without a next probe");
    }
    if whose == "account" {
        assert_account(status, &conditions, fails);
    } else if ready.0 == "True" && conditions.0.len() > 1 {
        fails("Ready and more than that");
    }
}

fn assert_account(status: &Value, conditions: &Conditions<'_>, fails: &dyn Fn(&str)) {
    let ready = conditions.of("Ready").0 == "True";
    if ready && ["Authorized", "Synced"].iter().any(|kind| conditions.of(kind).0 != "True") {
        fails("Ready, but not all of it");
    }
    if ready && ["Stalled", "Reconciling", "CircuitOpen"].iter().any(|kind| conditions.has(kind)) {
        fails("Ready, and it is not");
    }
    let failures = &status["failures"];
    let (last, next) = (time(failures, "lastTime"), time(failures, "nextAttemptTime"));
    if !failures.is_null() && next.is_none_or(|next| last.is_none_or(|last| next <= last)) {
        fails("no next attempt after the last one");
    }
    for target in status["targets"].as_array().into_iter().flatten() {
        let is_healthy = target["state"] == "Healthy";
        if is_healthy != target["reason"].is_null() || (!is_healthy && word(target, "message").is_empty()) {
            fails("a target's state without a reason or a message, or the other way round");
        }
        let waits = target["pending"].as_i64().unwrap_or_default() > 0;
        if waits && target["nextAttemptTime"].is_null() {
            fails("plays that wait for nothing");
        }
    }
}

struct Conditions<'a>(&'a [Value]);

impl Conditions<'_> {
    fn has(&self, kind: &str) -> bool {
        !self.of(kind).0.is_empty()
    }

    /// Status and reason.
    fn of(&self, kind: &str) -> (&str, &str) {
        let told = self.0.iter().find(|told| told["type"] == kind);
        told.map_or(("", ""), |told| (word(told, "status"), word(told, "reason")))
    }
}

fn word<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn time(value: &Value, field: &str) -> Option<Timestamp> {
    value[field].as_str()?.parse().ok()
}
