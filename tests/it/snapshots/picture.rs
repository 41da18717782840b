//! A status as text: what differs from run to run is covered by a word.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use serde_json::{Value, json};

/// Fields whose values nobody reads.
const OPAQUE: [&str; 11] = [
    "authorizationId",
    "credentialsId",
    "failingVersion",
    "lastHandledReconcileAt",
    "ledger",
    "refusedTokenId",
    "secretResourceVersion",
    "secretUid",
    "spotifyAccountId",
    "url",
    "heldBack",
];
/// How often, and since when, hangs on how fast the machine is.
const UNSTEADY: [&str; 3] = ["history", "requests", "trips"];
/// Failures in a row: with a fifth one a breaker opens.
const COUNTED: [&str; 2] = ["consecutive", "consecutiveFailures"];
const MANY: i64 = 5;

/// Statuses as YAML, each under the word for whose it is.
pub fn of(statuses: &[(&str, Value)], namespace: &str) -> String {
    let texts = statuses.iter().map(|(whose, status)| {
        let mut status = status.clone();
        cover(&mut status);
        format!("--- # {whose}\n{}", serde_yaml::to_string(&status).unwrap())
    });
    texts.collect::<String>().replace(namespace, "<namespace>")
}

/// Whether the status of an app or a target says no more than that all is well.
pub fn is_healthy(status: &Value) -> bool {
    let quiet = ["observedGeneration", "conditions", "accounts", "url"];
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let is_ready = |told: &Value| (told["type"].as_str(), told["status"].as_str()) == (Some("Ready"), Some("True"));
    let fields = status.as_object();
    conditions.len() == 1
        && conditions.iter().all(is_ready)
        && fields.is_some_and(|fields| fields.keys().all(|name| quiet.contains(&name.as_str())))
}

/// The Events about the account, the app and the target of a name, in the order in which they came first, each once.
pub fn events(all: &[Event], name: &str, namespace: &str) -> String {
    let about = |event: &&Event| event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(name));
    let mut own: Vec<&Event> = all.iter().filter(about).collect();
    own.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    let kind = |event: &Event| event.regarding.as_ref().and_then(|object| object.kind.clone());
    let mut told: Vec<Value> = Vec::new();
    for kinds in ["SpotifyAccount", "SpotifyApp", "ScrobbleTarget"] {
        for event in own.iter().filter(|event| kind(event).as_deref() == Some(kinds)) {
            let note = covered(event.note.as_deref().unwrap_or_default());
            let entry = json!({"about": kinds, "note": note, "reason": event.reason, "type": event.type_});
            if !told.contains(&entry) {
                told.push(entry);
            }
        }
    }
    let text = serde_yaml::to_string(&told).unwrap();
    format!("---\n{}", text.replace(namespace, "<namespace>"))
}

fn cover(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let count = field.as_i64().filter(|count| *count > 0 && COUNTED.contains(&name.as_str()));
                if OPAQUE.contains(&name.as_str()) {
                    *field = Value::from("<opaque>");
                } else if UNSTEADY.contains(&name.as_str()) {
                    *field = Value::from("<unsteady>");
                } else if let Some(count) = count {
                    *field = Value::from(if count < MANY { "<1 to 4>" } else { "<5 or more>" });
                } else {
                    cover(field);
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(cover),
        Value::String(text) => *text = covered(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Covers times and days in a text.
fn covered(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches([';', ':', ',', '.', ')']);
        let rest = &word[bare.len()..];
        if bare.parse::<Timestamp>().is_ok() {
            format!("<time>{rest}")
        } else if bare.parse::<jiff::civil::Date>().is_ok() {
            format!("<day>{rest}")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
