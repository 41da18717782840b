//! values.schema.json: closed to the last key, and complete.

use super::readme::documented;
use super::{folder, path, plane};
use serde_json::{Value, json};
use std::fs;

/// The schema.
pub fn read() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("values.schema.json")).unwrap()).unwrap()
}

/// What a `$ref` stands for, or the schema itself.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(pointer) => schema.pointer(pointer.strip_prefix('#').unwrap()).unwrap(),
        None => node,
    }
}

/// The schema of a value.
pub fn at<'a>(schema: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(schema, |node, key| node["properties"].get(key).map(|inner| resolve(schema, inner)))
}

/// How a value's type is called in a table.
pub fn kind(schema: &Value, node: &Value) -> String {
    if let Some(choices) = node["enum"].as_array() {
        return choices.iter().map(|choice| format!("`{}`", choice.as_str().unwrap())).collect::<Vec<_>>().join(", ");
    }
    match &node["type"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect::<Vec<_>>().join(" or "),
        kind if kind == "array" => format!("list of {}", self::kind(schema, resolve(schema, &node["items"]))),
        kind if kind == "object" && node["additionalProperties"].is_object() => "map".to_owned(),
        kind => kind.as_str().unwrap().to_owned(),
    }
}

/// Every schema of an object below a node, with its place.
fn objects<'a>(node: &'a Value, place: &str, found: &mut Vec<(String, &'a Value)>) {
    match node {
        Value::Object(inner) => {
            let is_object = node["type"] == "object"
                || node["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("object")));
            if is_object {
                found.push((place.to_owned(), node));
            }
            for (key, value) in inner {
                objects(value, &format!("{place}/{key}"), found);
            }
        }
        Value::Array(inner) => inner.iter().for_each(|value| objects(value, place, found)),
        _ => {}
    }
}

#[test]
fn every_object_is_closed() {
    let schema = read();
    let mut found = Vec::new();
    objects(&schema, "", &mut found);
    let open: Vec<String> = found
        .into_iter()
        .filter(|(_, node)| node["additionalProperties"] != false && !node["additionalProperties"].is_object())
        .map(|(place, _)| place)
        .collect();
    // `global` is a parent chart's.
    assert_eq!(open, ["/properties/global"]);
}

/// The keys of values that a table has to name: those of maps that are not documented as one.
fn undocumented(schema: &Value, node: &Value, path: &mut Vec<String>, rows: &[Vec<String>], found: &mut Vec<String>) {
    if rows.contains(path) {
        return;
    }
    match resolve(schema, node)["properties"].as_object() {
        Some(properties) => {
            for (key, inner) in properties {
                path.push(key.clone());
                undocumented(schema, inner, path, rows, found);
                path.pop();
            }
        }
        None => found.push(path.join(".")),
    }
}

#[test]
fn every_value_that_may_be_set_is_in_values_yaml_with_a_comment() {
    let schema = read();
    let text = fs::read_to_string(folder().join("values.yaml")).unwrap();
    let rows: Vec<Vec<String>> = documented(&text).into_iter().map(|value| value.path).collect();
    let mut found = Vec::new();
    undocumented(&schema, &schema, &mut Vec::new(), &rows, &mut found);
    assert_eq!(found, ["global"]);
    for row in rows {
        assert!(at(&schema, &row).is_some(), "{} is not in the schema", row.join("."));
    }
}

/// The same values with a letter too many in every key that the chart has a say about, and these keys.
fn mistyped(schema: &Value, node: &Value, value: &Value, typos: &mut Vec<String>) -> Value {
    let node = resolve(schema, node);
    match value {
        Value::Object(inner) if node["properties"].is_object() => inner
            .iter()
            .flat_map(|(key, value)| {
                let typo = format!("{key}Q");
                typos.push(typo.clone());
                [(typo, json!(1)), (key.clone(), mistyped(schema, &node["properties"][key], value, typos))]
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(inner) => inner.iter().map(|value| mistyped(schema, &node["items"], value, typos)).collect(),
        value => value.clone(),
    }
}

#[tokio::test]
async fn a_typo_in_any_key_fails_and_is_named() {
    let schema = read();
    for file in ["values.yaml", "ci/full-values.yaml"] {
        let values: Value = serde_yaml::from_str(&fs::read_to_string(folder().join(file)).unwrap()).unwrap();
        let mut typos = Vec::new();
        let values = mistyped(&schema, &schema, &values, &mut typos);
        assert!(typos.len() > 60, "{typos:?}");
        let written = plane().await.folder().join(format!("typos-{:08x}.json", rand::random::<u32>()));
        fs::write(&written, values.to_string()).unwrap();
        let refused = plane().await.helm(&["template", "demo", &path(), "-f", &written.display().to_string()]).await;
        let message = refused.unwrap_err().to_string();
        let unnamed: Vec<&String> = typos.iter().filter(|typo| !message.contains(&format!("'{typo}'"))).collect();
        assert!(unnamed.is_empty(), "{file}: {unnamed:?} in {message}");
    }
}

#[tokio::test]
async fn unknown_and_impossible_values_are_refused_by_name() {
    let wrong = [
        ("replica=2", "replica"),
        ("crds.instal=false", "instal"),
        ("crds.install=maybe", "/crds/install"),
        ("rbac.mode=everything", "/rbac/mode"),
        ("rbac.namespaces={Team_A}", "/rbac/namespaces/0"),
        ("image.diggest=x", "diggest"),
        ("image.digest=latest", "/image/digest"),
        ("http.port=80", "/http/port"),
        ("log.format=xml", "/log/format"),
        ("allowPrivateTargets={localhost}", "/allowPrivateTargets/0"),
        ("resources.limit.memory=1Gi", "limit"),
        ("serviceAccount.create=false", "/serviceAccount"),
        ("extraEnv[0].nam=x", "nam"),
        ("securityContext.readOnlyRootFilesytem=true", "readOnlyRootFilesytem"),
        ("podDisruptionBudget.maxUnavailable=half", "/podDisruptionBudget/maxUnavailable"),
        ("networkPolicy.apiServerRanges={kubernetes}", "/networkPolicy/apiServerRanges/0"),
        ("topologySpreadConstraints[0].maxSkew=0", "/topologySpreadConstraints/0/maxSkew"),
        ("tolerations[0].efect=NoSchedule", "efect"),
        ("metrics.serviceMonitor.interval=often", "/metrics/serviceMonitor/interval"),
        ("helmTest.timeout=soon", "/helmTest/timeout"),
        ("helmTest.image.tag=", "/helmTest/image/tag"),
        ("replicas=-1", "/replicas"),
    ];
    // Helm names all that is wrong at a time.
    for wrong in [&wrong[..], &[("rbac.namespaces={a,a}", "/rbac/namespaces'")]] {
        let chart = path();
        let mut arguments = vec!["template", "demo", &chart];
        arguments.extend(wrong.iter().flat_map(|(setting, _)| ["--set", setting]));
        let message = plane().await.helm(&arguments).await.unwrap_err().to_string();
        assert!(message.contains("values don't meet the specifications"), "{message}");
        let unnamed: Vec<&str> = wrong
            .iter()
            .filter(|(_, name)| !message.contains(&format!("'{name}")))
            .map(|(setting, _)| *setting)
            .collect();
        assert!(unnamed.is_empty(), "{unnamed:?} in {message}");
    }
}

#[tokio::test]
async fn values_that_contradict_each_other_are_refused() {
    let chart = path();
    for (settings, said) in [
        ("extraArgs={--leader-elect}", "extraArgs: --leader-elect is given by the chart"),
        ("extraArgs={--namespaces=a}", "extraArgs: --namespaces=a is given by the chart"),
        ("extraArgs={--account-metrics=false}", "extraArgs: --account-metrics=false is given by the chart"),
        ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "enable one of them"),
        ("metrics.serviceMonitor.enabled=true,service.enabled=false", "needs service.enabled=true"),
    ] {
        let refused = plane().await.helm(&["template", "demo", &chart, "--set", settings]).await;
        let message = refused.expect_err(settings).to_string();
        assert!(message.contains(said), "{settings}: {message}");
    }
    plane()
        .await
        .helm(&["template", "demo", &chart, "--set", "extraArgs={--leader-elect-retry-period=2s}"])
        .await
        .unwrap();
}
