//! A status as text: what differs from run to run is covered by a word.

use jiff::Timestamp;
use scrobble_operator::api::v1alpha1::SpotifyAccountStatus;
use serde_json::Value;

/// Fields whose values nobody reads.
const OPAQUE: [&str; 6] =
    ["authorizationId", "refusedTokenId", "credentialsId", "ledger", "lastHandledReconcileAt", "spotifyAccountId"];
/// How often, and since when, hangs on how fast the machine is.
const UNSTEADY: [&str; 3] = ["history", "requests", "trips"];

/// The status as YAML.
pub fn of(status: &SpotifyAccountStatus, namespace: &str) -> String {
    let mut value = serde_json::to_value(status).unwrap();
    cover(&mut value);
    serde_yaml::to_string(&value).unwrap().replace(namespace, "<namespace>")
}

fn cover(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if OPAQUE.contains(&name.as_str()) {
                    *field = Value::from("<opaque>");
                } else if UNSTEADY.contains(&name.as_str()) {
                    *field = Value::from("<unsteady>");
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
