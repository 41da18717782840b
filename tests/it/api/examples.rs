//! Every example is accepted, reads back unchanged, and fits together.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kube::Api;
use kube::api::DynamicObject;
use scrobble_operator::api::secret::{SecretUse, USE_LABEL};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Cluster;
use super::samples::KINDS;

/// Every document of every file, with the file's name.
fn documents() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for document in serde_yaml::Deserializer::from_str(&text) {
            found.push((name.clone(), Value::deserialize(document).unwrap()));
        }
    }
    assert!(!found.is_empty());
    found
}

/// Everything that was sent is stored as it was sent.
fn missing(sent: &Value, stored: &Value, path: &str, found: &mut Vec<String>) {
    match (sent, stored) {
        (Value::Object(sent), Value::Object(stored)) => {
            for (name, value) in sent {
                missing(value, stored.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"), found);
            }
        }
        (Value::Array(sent), Value::Array(stored)) if sent.len() == stored.len() => {
            for (index, (sent, stored)) in sent.iter().zip(stored).enumerate() {
                missing(sent, stored, &format!("{path}[{index}]"), found);
            }
        }
        _ if sent == stored => {}
        _ => found.push(format!("{path}: sent {sent}, stored {stored}")),
    }
}

/// What our types make of a stored spec: the same, or a field is lost or changed on the way.
fn through_the_types<K: DeserializeOwned + serde::Serialize>(stored: &DynamicObject) -> Value {
    let typed: K = serde_json::from_value(serde_json::to_value(stored).unwrap()).unwrap();
    serde_json::to_value(typed).unwrap()["spec"].clone()
}

#[tokio::test]
async fn every_example_is_accepted_and_reads_back_unchanged() {
    let cluster = Cluster::new("examples").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").display().to_string();
    cluster.kubectl(&["apply", "-f", &folder]).await;

    let mut kinds = Vec::new();
    for (file, sent) in documents() {
        let (kind, name) = (sent["kind"].as_str().unwrap(), sent["metadata"]["name"].as_str().unwrap());
        if !KINDS.contains(&kind) {
            continue;
        }
        kinds.push(kind.to_owned());
        let api: Api<DynamicObject> = cluster.objects(kind);
        let stored = api.get(name).await.unwrap();
        let mut differences = Vec::new();
        missing(&sent["spec"], &stored.data["spec"], "spec", &mut differences);
        assert!(differences.is_empty(), "{file}: {kind} {name}: {}", differences.join("; "));

        let again = match kind {
            "SpotifyApp" => through_the_types::<SpotifyApp>(&stored),
            "SpotifyAccount" => through_the_types::<SpotifyAccount>(&stored),
            "ScrobbleTarget" => through_the_types::<ScrobbleTarget>(&stored),
            _ => through_the_types::<ScrobblePlan>(&stored),
        };
        assert_eq!(again, stored.data["spec"], "{file}: {kind} {name}");
    }
    for kind in KINDS {
        assert!(kinds.iter().any(|present| present == kind), "no example of {kind}");
    }

    let again = cluster.kubectl(&["apply", "-f", &folder]).await;
    for line in again.lines().filter(|line| line.contains("scrobble-operator.io/")) {
        assert!(line.ends_with("unchanged"), "{line}");
    }
}

#[test]
fn the_examples_fit_together() {
    let documents = documents();
    let secrets: BTreeMap<&str, &Value> = documents
        .iter()
        .filter(|(_, document)| document["kind"] == "Secret")
        .map(|(_, document)| (document["metadata"]["name"].as_str().unwrap(), document))
        .collect();
    for (name, secret) in &secrets {
        for (key, value) in secret["stringData"].as_object().unwrap() {
            let text = value.as_str().unwrap();
            assert!(text.starts_with("replace-with-"), "{name}: {key} looks like a secret");
        }
    }
    let mut references = Vec::new();
    for (_, document) in &documents {
        collect("", &document["spec"], &mut references);
    }
    assert!(!references.is_empty());
    for (field, name, key) in references {
        if field == "tokenSecretRef" {
            // It comes from signing in: no example invites anybody to write a token into a file.
            assert!(!secrets.contains_key(name.as_str()), "{field}: {name}");
            continue;
        }
        let wanted = match field.as_str() {
            "clientSecretRef" | "notifications.signingKeyRef" => SecretUse::Client,
            "credentialsRef" => SecretUse::Credentials,
            _ => SecretUse::Target,
        };
        let secret = secrets.get(name.as_str()).unwrap_or_else(|| panic!("{field}: no Secret {name}"));
        assert_eq!(secret["metadata"]["labels"][USE_LABEL], wanted.as_str(), "{field}: {name}");
        if let Some(key) = key {
            assert!(secret["stringData"].get(&key).is_some(), "{field}: {name} has no {key}");
        }
    }
}

/// References to Secrets: the field, the Secret's name and the key.
fn collect(path: &str, value: &Value, found: &mut Vec<(String, String, Option<String>)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let secret = name.ends_with("Ref") && !matches!(name.as_str(), "appRef" | "targetRef");
                if secret {
                    let field = if path == "notifications" { format!("{path}.{name}") } else { name.clone() };
                    let text = |key: &str| value[key].as_str().map(ToOwned::to_owned);
                    found.push((field, text("name").unwrap(), text("key")));
                } else {
                    collect(name, value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(path, item, found)),
        _ => {}
    }
}
