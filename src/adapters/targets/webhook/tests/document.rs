//! docs/webhook.md is held against what is sent, and its recipes are run.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use serde_json::json;

use super::*;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/webhook.md")).unwrap()
}

/// The page's only block in this language.
fn block(page: &str, language: &str) -> String {
    let blocks: Vec<&str> = page.split(&format!("```{language}\n")).skip(1).collect();
    assert_eq!(blocks.len(), 1, "one block of {language}");
    blocks[0].split("```").next().unwrap().to_owned()
}

async fn example() -> Request {
    request(service, scrobble(full_play())).await
}

#[tokio::test]
async fn the_example_is_what_is_sent() {
    let sent = example().await;
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let page = page();
    assert_eq!(block(&page, "json").trim_end(), serde_json::to_string_pretty(&body).unwrap());
    let headers = block(&page, "http");
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(header(&sent, name), value, "{name}");
    }
    assert_eq!(headers.lines().count(), 4);
    assert!(page.contains(&format!("`{KEY}`")), "readers can check their code with the example's key");
}

#[tokio::test]
async fn the_table_of_fields_is_complete() {
    let body: Value = serde_json::from_slice(&example().await.body).unwrap();
    let mut fields = Vec::new();
    for (name, value) in body.as_object().unwrap() {
        match value.as_object() {
            None => fields.push(name.clone()),
            Some(inner) => fields.extend(inner.keys().map(|key| format!("{name}.{key}"))),
        }
    }
    let page = page();
    let table = page.split("| field | type |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, fields);
    assert!(table.contains(&format!("`{SCHEMA}`")));
}

#[tokio::test]
async fn the_table_of_statuses_is_true() {
    let page = page();
    let table = page.split("| status | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    for (row, statuses, is_meant) in [
        ("2xx", &[200, 201, 202, 204, 299][..], (|delivery| *delivery == Delivery::Accepted) as fn(&Delivery) -> bool),
        ("409", &[409], |delivery| *delivery == Delivery::AlreadyThere),
        ("400, 413, 422", &[400, 413, 422], |delivery| matches!(delivery, Delivery::Never { .. })),
        ("410", &[410], |delivery| *delivery == Delivery::Suspended),
        ("401, 403", &[401, 403], |delivery| *delivery == Delivery::CredentialsRefused),
        ("429", &[429], |delivery| *delivery == not_now(429, None)),
        ("5xx, 3xx, any other", &[500, 502, 503, 504, 599, 301, 307, 404, 405, 415, 418, 451], |delivery| {
            matches!(delivery, Delivery::NotNow { .. })
        }),
    ] {
        assert!(table.contains(&format!("\n| {row} |")), "{row}");
        for status in statuses {
            let answer = Answer {
                status: http::StatusCode::from_u16(*status).unwrap(),
                headers: http::HeaderMap::new(),
                body: Vec::new(),
            };
            assert!(is_meant(&answered(&answer)), "{status}");
        }
    }
}

/// Runs a program; none where it is not installed, which a build with `CI=true` does not leave it at.
#[expect(clippy::print_stderr, reason = "a recipe that was not run is not passed over in silence")]
fn run(
    program: &str,
    arguments: &[&str],
    folder: &std::path::Path,
    input: &str,
    environment: &[(&str, &str)],
) -> Option<bool> {
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied()).current_dir(folder);
    let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert_ne!(option_env!("CI"), Some("true"), "{program} has to be installed");
            eprintln!("{program} is not installed: its recipe in docs/webhook.md was not run");
            return None;
        }
        started => started.unwrap(),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait().unwrap().success())
}

/// The example, and what somebody without the key may make of it.
async fn genuine_and_forged() -> Vec<(&'static str, bool, Request)> {
    let sent = example().await;
    let with = |name: &'static str, value: &'static str| {
        let mut request = sent.clone();
        request.headers.insert(name, http::HeaderValue::from_static(value)).unwrap();
        request
    };
    let mut retitled = sent.clone();
    retitled.body = String::from_utf8(retitled.body).unwrap().replace("Karmacoma", "Teardrop").into_bytes();
    vec![
        ("as sent", true, sent.clone()),
        ("another title", false, retitled),
        ("another timestamp", false, with("scrobble-operator-timestamp", "1795428001")),
        ("another signature", false, with("scrobble-operator-signature", "v1=00")),
    ]
}

#[tokio::test]
async fn the_recipe_in_python_tells_genuine_from_forged() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = block(&page(), "python");
    let asked = "import sys\nasked = json.load(sys.stdin)\n\
        sys.exit(0 if is_genuine(asked['key'].encode(), asked['headers'], asked['body'].encode()) else 1)\n";
    let mut cases = genuine_and_forged().await;
    let mut replayed = example().await;
    replayed.headers.insert("idempotency-key", http::HeaderValue::from_static("0123456789abcdef0123456789abcdef"));
    cases.push(("replayed under another key", false, replayed));
    for (name, genuine, request) in cases {
        let headers = ["Idempotency-Key", "Scrobble-Operator-Timestamp", "Scrobble-Operator-Signature"];
        let headers: serde_json::Map<String, Value> =
            headers.map(|name| (name.to_owned(), json!(header(&request, name)))).into_iter().collect();
        let body = String::from_utf8(request.body.clone()).unwrap();
        let input = json!({"key": KEY, "headers": headers, "body": body}).to_string();
        let script = format!("{recipe}\n{asked}");
        let Some(accepted) = run("python3", &["-c", &script], folder.path(), &input, &[]) else { return };
        assert_eq!(accepted, genuine, "{name}");
    }
}

#[tokio::test]
async fn the_recipe_in_shell_tells_genuine_from_forged() {
    let folder = tempfile::tempdir().unwrap();
    if run("openssl", &["version"], folder.path(), "", &[]).is_none() {
        return;
    }
    let recipe = block(&page(), "sh");
    for (name, genuine, request) in genuine_and_forged().await {
        std::fs::write(folder.path().join("body.json"), &request.body).unwrap();
        let environment = [
            ("KEY", KEY),
            ("TIMESTAMP", header(&request, "scrobble-operator-timestamp")),
            ("SIGNATURE", header(&request, "scrobble-operator-signature")),
        ];
        let accepted = run("sh", &["-euc", &recipe], folder.path(), "", &environment);
        assert_eq!(accepted, Some(genuine), "{name}");
    }
}
