//! Traces as a receiver of OTLP sees them, and the lines that belong to them.

mod receiver;

use std::process::Command;

use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewFault};
use serde_json::Value;

use crate::secrecy::Planted;
use crate::world::{DEADLINE, World};
use receiver::{Receiver, Span};

/// Stands in what a service answers.
const BODY: &str = "planted-upstream-body";

/// A trace that has all of these spans.
async fn trace_with(receiver: &Receiver, names: &[&str]) -> Vec<Span> {
    wait_until(&format!("a trace with {names:?}"), DEADLINE, async || {
        let spans = receiver.spans();
        let complete = |root: &&Span| {
            let within = |name: &&str| spans.iter().any(|span| span.trace == root.trace && span.name == **name);
            root.name == "reconcile" && names.iter().all(within)
        };
        let root = spans.iter().find(complete).ok_or_else(|| {
            let known: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
            format!("{known:?}")
        })?;
        let trace: Vec<Span> = spans.iter().filter(|span| span.trace == root.trace).cloned().collect();
        Ok::<_, String>(trace)
    })
    .await
    .unwrap()
}

/// The names of a span and of all around it, outermost first.
fn path(trace: &[Span], span: &Span) -> String {
    let parent = trace.iter().find(|other| other.id == span.parent);
    assert!(parent.is_some() || span.parent.is_empty(), "{} has a parent that did not arrive", span.name);
    parent.map_or_else(|| span.name.clone(), |parent| format!("{} > {}", path(trace, parent), span.name))
}

fn only(trace: &[Span], wanted: impl Fn(&Span) -> bool) -> &Span {
    let found: Vec<&Span> = trace.iter().filter(|span| wanted(span)).collect();
    assert_eq!(found.len(), 1, "{trace:#?}");
    found[0]
}

/// Lines of passes that warn, each with account, reconcile id and reason.
fn warnings(operator: &OperatorProcess, account: &str) -> Vec<Value> {
    let lines = operator.log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    // What the process as a whole has to say, such as that it is not ready yet, is about nobody.
    let lines =
        lines.filter(|line| !line["target"].as_str().is_some_and(|of| of.starts_with("scrobble_operator::runtime")));
    let warnings: Vec<Value> = lines.filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect();
    for line in &warnings {
        assert!(line["reason"].is_string(), "{line}");
        assert_eq!(line["span"]["account"], account, "{line}");
        assert!(line["span"]["reconcile_id"].is_string() && line["span"]["trace_id"].is_string(), "{line}");
    }
    warnings
}

#[tokio::test]
async fn a_pass_is_one_trace_at_the_receiver_whose_absence_changes_nothing() {
    let world = World::new("tracing").await;
    world.notified().await;
    world.account("alice", "1h").await;
    world.play("alice", 2, 0).await;
    let text =
        Effect::Status { status: 500, body: BodyForm::Text, text: Some(BODY.to_owned()), retry_after_seconds: None };
    world.script.add_fault(&NewFault::new(text).at(Endpoint::ListenbrainzSubmit).times(1)).await.unwrap();
    let mut planted = Planted::default();
    planted.plant("an upstream's body", BODY);
    planted.plant("a header for the receiver", "planted-header-value");
    planted.plant_secrets(&world).await;
    let receiver = Receiver::start().await;
    let mut operator = world
        .operator()
        .flag("otlp-endpoint", &receiver.url)
        .environment("OTEL_BSP_SCHEDULE_DELAY", "100")
        .environment("OTEL_EXPORTER_OTLP_HEADERS", "x-key=planted-header-value")
        .start()
        .await
        .unwrap();

    let trace = trace_with(&receiver, &["refresh", "read", "deliver", "write status"]).await;
    let account = format!("{}/alice", world.namespace);
    let root = only(&trace, |span| span.parent.is_empty());
    assert_eq!((root.name.as_str(), root.get("account")), ("reconcile", account.as_str()));
    assert_eq!((root.get("ready"), root.get("trace_id")), ("True", ""));
    assert_eq!(root.resource["service.name"], "scrobble-operator");
    let mut paths: Vec<String> = trace.iter().map(|span| path(&trace, span)).collect();
    paths.sort_unstable();
    paths.dedup();
    for expected in [
        "reconcile > refresh > claim > write secret",
        "reconcile > refresh > exchange > POST",
        "reconcile > refresh > commit > write secret",
        "reconcile > read > GET",
        "reconcile > deliver > POST",
        "reconcile > write status",
    ] {
        assert!(paths.iter().any(|path| path == expected), "{expected} in {paths:#?}");
    }
    let read = only(&trace, |span| span.name == "read");
    assert_eq!((read.get("plays"), read.get("outcome"), read.failed), ("2", "found", false));
    let hook = only(&trace, |span| span.get("type") == "Webhook");
    assert_eq!((hook.get("plays"), hook.get("accepted"), hook.failed), ("2", "2", false));
    let listenbrainz = only(&trace, |span| span.get("type") == "ListenBrainz");
    assert_eq!(
        (listenbrainz.get("accepted"), listenbrainz.get("error.type"), listenbrainz.failed),
        ("0", "status", true)
    );
    let commit = only(&trace, |span| path(&trace, span).ends_with("commit > write secret"));
    for (key, expected) in [
        ("verb", "patch"),
        ("resource", "secrets"),
        ("name", "alice-spotify"),
        ("k8s.namespace.name", &world.namespace),
        ("http.request.method", "PATCH"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(commit.get(key), expected, "{key}");
    }

    // Whoever receives a play, or a notice, is told which request of which trace it is.
    let deliveries = world.script.deliveries("hook").await.unwrap();
    assert_eq!(deliveries.len(), 2);
    for delivery in &deliveries {
        let sender = trace.iter().filter(|span| span.parent == hook.id);
        let told: Vec<String> = sender.map(|span| format!("00-{}-{}-01", span.trace, span.id)).collect();
        assert!(told.contains(&delivery.headers["traceparent"]), "{told:?} {:?}", delivery.headers);
    }
    let failures = warnings(&operator, &account);
    assert_eq!(failures.len(), 1, "one line for one failure: {failures:#?}");
    assert_eq!(failures[0]["span"]["trace_id"], root.trace);
    assert_eq!(failures[0]["span"]["reconcile_id"], root.get("reconcile_id"));
    assert!(failures[0]["message"].as_str().unwrap().starts_with("target listenbrainz: "), "{failures:?}");

    world.script.revoke("alice").await.unwrap();
    world.request("alice", "revoked").await;
    world.wait_ready("alice", "False", "AuthorizationRevoked").await;
    let trace = trace_with(&receiver, &["notify", "write event"]).await;
    let notify = only(&trace, |span| span.name == "notify");
    let counted = only(&trace, |span| span.parent.is_empty());
    assert_eq!(path(&trace, notify), "reconcile > notify");
    assert_eq!(notify.get("reconcile_id"), counted.get("reconcile_id"));
    let notices = world.script.deliveries("notices").await.unwrap();
    assert!(notices[0].headers["traceparent"].contains(&counted.trace), "{:?}", notices[0].headers);
    assert!(operator.terminate().await.unwrap().success());

    planted.plant_secrets(&world).await;
    let arrived = receiver.text();
    assert!(arrived.contains("planted-header-value"), "the receiver got its header");
    let arrived = arrived.replace("(\"planted-header-value\"", "(\"\"");
    planted.assert_absent("a trace", &arrived);
    planted.assert_absent("the log", &operator.log());
    assert!(!arrived.contains("limit=50") && !arrived.contains("fieldManager") && !arrived.contains("/webhook"));

    a_receiver_that_hangs(&world).await;
}

/// Plays arrive all the same, one line says what is lost, and the process ends well, although the receiver takes connections
/// and never answers.
async fn a_receiver_that_hangs(world: &World) {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", receiver.local_addr().unwrap());
    world.account("bob", "1s").await;
    let titles = world.play("bob", 2, 0).await;
    let operator = world.operator().flag("otlp-endpoint", &url);
    let mut operator = operator.environment("OTEL_BSP_SCHEDULE_DELAY", "100").start().await.unwrap();
    world.wait_ready("bob", "True", "Succeeded").await;
    world.assert_listens("bob", &titles).await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("bob", seq, 3).await;
    let lost = || operator.log().matches("traces do not arrive").count();
    wait_until("a line about it", DEADLINE, async || (lost() > 0).then_some(())).await.unwrap();
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("bob", seq, 3).await;
    assert_eq!(lost(), 1, "{}", operator.log());
    assert!(operator.terminate().await.unwrap().success());
}

/// Runs the operator with flags and variables that it refuses; answers what it says.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrobble-operator"));
    command.arg("run").args(arguments).envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_its_flag() {
    for (arguments, variables, expected) in [
        (&["--log-level=verbose"][..], &[][..], &["--log-level", "`verbose` is neither a level"][..]),
        (&[], &[("SCROBBLE_OPERATOR_LOG_LEVEL", "loud")], &["--log-level", "`loud` is neither a level"]),
        (&["--log-format=xml"], &[], &["--log-format", "json", "text"]),
        (&["--otlp-endpoint=collector:4318"], &[], &["--otlp-endpoint", "neither http nor https"]),
        (&["--otlp-endpoint=http://me:hidden@collector"], &[], &["--otlp-endpoint", "OTEL_EXPORTER_OTLP_HEADERS"]),
        (&[], &[("SCROBBLE_OPERATOR_OTLP_ENDPOINT", "hidden")], &["SCROBBLE_OPERATOR_OTLP_ENDPOINT", "no URL"]),
    ] {
        let said = refused(arguments, variables);
        assert!(expected.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}
