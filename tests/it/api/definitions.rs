//! The definitions themselves: the files, what kubectl reads in them, and the rules that every schema keeps.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use scrobble_operator::api::crds::custom_resource_definitions;
use scrobble_operator::cli::crds;
use serde_json::{Value, json};

use super::Cluster;
use super::schema::nodes;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder(path: &str) -> BTreeMap<String, String> {
    fs::read_dir(root().join(path))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_files_are_what_the_types_say() {
    let wanted: BTreeMap<String, String> =
        crds::files().unwrap().into_iter().map(|file| (file.name, file.text)).collect();
    for path in ["crds", "charts/scrobble-operator/files/crds"] {
        let present = folder(path);
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&present), names(&wanted), "{path}/ holds other files: run `make generate`");
        for (name, text) in &wanted {
            assert!(present[name] == *text, "{path}/{name} is out of date: run `make generate`");
        }
    }
}

#[test]
fn the_command_writes_the_files_into_a_new_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let output_dir = temporary.path().join("new/crds");
    crds::run(&crds::CrdsArguments { output_dir: Some(output_dir.clone()) }).unwrap();
    for file in crds::files().unwrap() {
        assert_eq!(fs::read_to_string(output_dir.join(file.name)).unwrap(), file.text);
    }
}

#[tokio::test]
async fn kubectl_reads_in_the_files_what_the_types_say() {
    let cluster = Cluster::new("crd-files").await;
    for definition in custom_resource_definitions() {
        let name = definition.metadata.name.clone().unwrap();
        let file = root().join("crds").join(format!("{name}.yaml")).display().to_string();
        let read = cluster.kubectl(&["create", "--dry-run=client", "--validate=false", "-o=json", "-f", &file]).await;
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(plain(read["spec"].clone()), plain(serde_json::to_value(&definition.spec).unwrap()), "{name}");

        // The server checks the cost of the rules and that the schema is structural.
        cluster.kubectl(&["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", &file]).await;
    }
}

/// Numbers as one type, so that 1 and 1.0 are equal.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other => other,
    }
}

#[test]
fn every_definition_has_what_the_contract_promises() {
    let expected = [
        ("ScrobblePlan", "Cluster", "splan", vec![]),
        ("ScrobbleTarget", "Namespaced", "starget", vec![]),
        ("SpotifyAccount", "Namespaced", "spacct", vec![".spec.appRef.name", ".spec.plan"]),
        ("SpotifyApp", "Namespaced", "spapp", vec![]),
    ];
    let definitions = custom_resource_definitions();
    assert_eq!(definitions.len(), expected.len());
    for (definition, (kind, scope, short_name, selectable)) in definitions.iter().zip(expected) {
        let spec = &definition.spec;
        assert_eq!(spec.names.kind, kind);
        assert_eq!(spec.group, "scrobble-operator.io");
        assert_eq!(spec.scope, scope, "{kind}");
        assert_eq!(spec.names.short_names.as_deref(), Some(&[short_name.to_owned()][..]), "{kind}");
        assert_eq!(spec.names.categories.as_deref(), Some(&["scrobble".to_owned()][..]), "{kind}");
        let [version] = spec.versions.as_slice() else { panic!("{kind} has several versions") };
        assert_eq!((version.name.as_str(), version.served, version.storage), ("v1alpha1", true, true), "{kind}");
        assert!(version.subresources.as_ref().unwrap().status.is_some(), "{kind}");
        let fields: Vec<&str> =
            version.selectable_fields.iter().flatten().map(|field| field.json_path.as_str()).collect();
        assert_eq!(fields, selectable, "{kind}");
        for column in version.additional_printer_columns.iter().flatten() {
            assert!(column.description.is_some(), "{kind}: {}", column.name);
        }
    }
}

#[test]
fn every_schema_is_described_bounded_and_of_known_numbers() {
    let mut faults = Vec::new();
    for node in nodes() {
        let schema = &node.schema;
        let mut fault = |what: &str| faults.push(format!("{} {}: {what}", node.kind, node.path));
        let inner = node.path.contains('.') || node.path == "spec" || node.path == "status";
        if inner && schema.description.as_deref().is_none_or(str::is_empty) && !node.path.ends_with(']') {
            fault("no description");
        }
        if schema.nullable.is_some() {
            fault("nullable");
        }
        if inner && node.path.starts_with("status") && schema.default.is_some() {
            fault("a default in status");
        }
        if node.path.starts_with("status") && schema.x_kubernetes_validations.is_some() {
            fault("a rule in status");
        }
        match schema.type_.as_deref() {
            Some("string") if inner => {
                let bounded = schema.max_length.is_some()
                    || schema.enum_.is_some()
                    || schema.format.as_deref() == Some("date-time");
                if !bounded {
                    fault("a string without maxLength");
                }
            }
            Some("array") => {
                if schema.max_items.is_none() {
                    fault("a list without maxItems");
                }
                match schema.x_kubernetes_list_type.as_deref() {
                    Some("map") if schema.x_kubernetes_list_map_keys.is_none() => fault("a map list without keys"),
                    Some("map" | "set" | "atomic") => {}
                    _ => fault("a list without a type"),
                }
            }
            Some("object") if schema.additional_properties.is_some() && schema.max_properties.is_none() => {
                fault("a map without maxProperties");
            }
            Some("integer") if !matches!(schema.format.as_deref(), Some("int32" | "int64")) => {
                fault("an integer that is neither int32 nor int64");
            }
            Some("number") => fault("a floating-point number"),
            None => fault("no type"),
            _ => {}
        }
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            if rule.message.as_deref().is_none_or(str::is_empty) {
                fault("a rule without a message");
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
