//! Every rule and every pattern refuses what it is there for, at the field that is wrong, and says what to do.

use std::collections::BTreeSet;

use kube::api::PostParams;
use serde_json::{Value, json};

use super::samples::full;
use super::schema::nodes;
use super::{Cluster, object};

/// A change to the sample with this number that makes it wrong.
struct Case {
    kind: &'static str,
    sample: usize,
    /// JSON pointer into the spec.
    pointer: &'static str,
    /// `null` removes the field.
    value: Value,
    /// The field as the API server names it.
    field: &'static str,
    /// The end of the message.
    message: &'static str,
}

fn case(
    kind: &'static str,
    sample: usize,
    pointer: &'static str,
    value: Value,
    field: &'static str,
    message: &'static str,
) -> Case {
    Case { kind, sample, pointer, value, field, message }
}

const SELECTOR: &str = "selector must be set when from is Selector, and only then: set it, or set from to Selector";
const DURATION: &str = "must be a duration from 1s to 24h, such as 90s, 20m or 1h30m";
const PROBES: &str = "maxProbeAfter must not be shorter than probeAfter: raise maxProbeAfter or lower probeAfter";
const VALUES: &str = "values must name at least one value for In and NotIn, and be absent for Exists and DoesNotExist";
const SCHEME: &str = "url must start with https:// (or http:// for an address that --allow-private-targets names)";
const USERINFO: &str = "url must not hold a user name or password: put the credentials into a Secret and refer to it";
const FRAGMENT: &str = "url must not have a fragment: remove '#' and what follows";
const ASCII: &str = "url must be plain ASCII without spaces: write the host as xn--... and percent-encode the path";
const ABSOLUTE: &str = "url must be an absolute URL such as https://scrobbles.example.org/api";

// The samples of ScrobbleTarget.
const LAST_FM: usize = 0;
const LISTEN_BRAINZ: usize = 1;
const MALOJA: usize = 2;
const WEBHOOK: usize = 3;

fn unions() -> Vec<Case> {
    let target = |sample, pointer, value, message| case("ScrobbleTarget", sample, pointer, value, "spec", message);
    let keys = json!({ "name": "x", "key": "y" });
    let last_fm = json!({ "apiKeyRef": keys, "sharedSecretRef": keys });
    vec![
        target(
            LAST_FM,
            "/lastFm",
            Value::Null,
            "lastFm is required when type is LastFm: set lastFm.apiKeyRef and lastFm.sharedSecretRef",
        ),
        target(MALOJA, "/lastFm", last_fm, "lastFm must not be set unless type is LastFm: remove it"),
        target(
            LAST_FM,
            "/listenBrainz",
            json!({}),
            "listenBrainz must not be set unless type is ListenBrainz: remove it",
        ),
        target(LISTEN_BRAINZ, "/maloja", json!({}), "maloja must not be set unless type is Maloja: remove it"),
        target(WEBHOOK, "/webhook", Value::Null, "webhook is required when type is Webhook: set webhook.signingKeyRef"),
        target(
            LISTEN_BRAINZ,
            "/webhook",
            json!({ "signingKeyRef": keys }),
            "webhook must not be set unless type is Webhook: remove it",
        ),
        target(
            WEBHOOK,
            "/url",
            Value::Null,
            "url is required when type is Maloja or Webhook: set it to the address of your server",
        ),
        target(
            MALOJA,
            "/url",
            Value::Null,
            "url is required when type is Maloja or Webhook: set it to the address of your server",
        ),
        target(
            LAST_FM,
            "/url",
            json!("https://scrobbles.example.org/2.0/?format=json"),
            "url must not have a query unless type is Webhook: remove '?' and what follows",
        ),
    ]
}

fn urls() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, sample, pointer, field) in [
        ("ScrobbleTarget", WEBHOOK, "/url", "spec.url"),
        ("SpotifyApp", 0, "/notifications/url", "spec.notifications.url"),
    ] {
        for (url, message) in [
            ("ftp://plays.example.org", SCHEME),
            ("plays.example.org/spotify", SCHEME),
            ("HTTPS://plays.example.org", SCHEME),
            ("https://alice@plays.example.org/", USERINFO),
            ("https://alice:secret@plays.example.org/", USERINFO),
            ("https://plays.example.org/#top", FRAGMENT),
            ("https://plays.example.org/with space", ASCII),
            ("https://pläys.example.org/", ASCII),
            ("https://plays.example.org/a\u{7}b", ASCII),
            ("https://plays.example.org:port:port/", ABSOLUTE),
        ] {
            cases.push(case(kind, sample, pointer, json!(url), field, message));
        }
    }
    cases
}

fn durations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, pointer, field) in [
        ("SpotifyAccount", "/sync/interval", "spec.sync.interval"),
        ("ScrobblePlan", "/minInterval", "spec.minInterval"),
        ("SpotifyApp", "/circuitBreaker/probeAfter", "spec.circuitBreaker.probeAfter"),
        ("SpotifyApp", "/circuitBreaker/maxProbeAfter", "spec.circuitBreaker.maxProbeAfter"),
        ("ScrobbleTarget", "/circuitBreaker/probeAfter", "spec.circuitBreaker.probeAfter"),
        ("ScrobbleTarget", "/circuitBreaker/maxProbeAfter", "spec.circuitBreaker.maxProbeAfter"),
    ] {
        for value in ["999ms", "0s", "24h1s", "20", "5 minutes", "-5m", "1s-5s", "1d", "99999999999999999999h"] {
            cases.push(case(kind, 0, pointer, json!(value), field, DURATION));
        }
    }
    for kind in ["SpotifyApp", "ScrobbleTarget"] {
        cases.push(case(kind, 0, "/circuitBreaker/probeAfter", json!("2h"), "spec.circuitBreaker", PROBES));
    }
    cases
}

fn selectors() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in ["SpotifyApp", "ScrobbleTarget", "ScrobblePlan"] {
        let field = "spec.allowedNamespaces";
        cases.push(case(kind, 0, "/allowedNamespaces/selector", Value::Null, field, SELECTOR));
        cases.push(case(kind, 0, "/allowedNamespaces/from", json!("All"), field, SELECTOR));
        let expression = "spec.allowedNamespaces.selector.matchExpressions[0]";
        let pointer = "/allowedNamespaces/selector/matchExpressions/0/operator";
        cases.push(case(kind, 0, pointer, json!("Exists"), expression, VALUES));
        let pointer = "/allowedNamespaces/selector/matchExpressions/0/values";
        cases.push(case(kind, 0, pointer, json!([]), expression, VALUES));
    }
    cases
}

/// What OpenAPI alone refuses: bounds, enums, required fields, lists with keys.
fn bounds() -> Vec<Case> {
    let entry = |name: &str| json!({ "name": name, "targetRef": { "name": "x" } });
    let many: Vec<Value> = (0..17).map(|number| entry(&format!("t{number}"))).collect();
    let account = |pointer, value, field, message| case("SpotifyAccount", 0, pointer, value, field, message);
    let app = |pointer, value, field, message| case("SpotifyApp", 0, pointer, value, field, message);
    let target = |pointer, value, field, message| case("ScrobbleTarget", LISTEN_BRAINZ, pointer, value, field, message);
    let plan = |pointer, value, field, message| case("ScrobblePlan", 0, pointer, value, field, message);
    vec![
        account("/targets", json!([]), "spec.targets", "spec.targets in body should have at least 1 items"),
        account("/targets", json!(many), "spec.targets", "must have at most 16 items"),
        account("/targets", json!([entry("a"), entry("a")]), "spec.targets[1]", r#"Duplicate value: {"name":"a"}"#),
        account("/appRef", Value::Null, "spec.appRef", "Required value"),
        account("/tokenSecretRef", Value::Null, "spec.tokenSecretRef", "Required value"),
        account("/appRef/name", json!("a".repeat(254)), "spec.appRef.name", "may not be more than 253 bytes"),
        account(
            "/sync/startTime",
            json!("2026-02-30T00:00:00Z"),
            "spec.sync.startTime",
            r#"must be of type date-time: "2026-02-30T00:00:00Z""#,
        ),
        app("/clientId", Value::Null, "spec.clientId", "Required value"),
        app("/quota/dailyCalls", json!(-1), "spec.quota.dailyCalls", "should be greater than or equal to 0"),
        app(
            "/quota/dailyCalls",
            json!(10_000_001),
            "spec.quota.dailyCalls",
            "should be less than or equal to 10000000",
        ),
        app(
            "/circuitBreaker/failureThreshold",
            json!(0),
            "spec.circuitBreaker.failureThreshold",
            "should be greater than or equal to 1",
        ),
        app(
            "/allowedNamespaces/from",
            json!("Some"),
            "spec.allowedNamespaces.from",
            r#"supported values: "Same", "All", "Selector""#,
        ),
        target(
            "/type",
            json!("Foo"),
            "spec.type",
            r#"supported values: "LastFm", "ListenBrainz", "Maloja", "Webhook""#,
        ),
        target("/timestamp", json!("Now"), "spec.timestamp", r#"supported values: "PlayedAt", "EstimatedStart""#),
        target(
            "/listenBrainz/batchSize",
            json!(101),
            "spec.listenBrainz.batchSize",
            "should be less than or equal to 100",
        ),
        target(
            "/listenBrainz/batchSize",
            json!(0),
            "spec.listenBrainz.batchSize",
            "should be greater than or equal to 1",
        ),
        plan("/seats", json!(0), "spec.seats", "should be greater than or equal to 1"),
        plan("/seats", json!(2001), "spec.seats", "should be less than or equal to 2000"),
        plan(
            "/allowedNamespaces/from",
            json!("Same"),
            "spec.allowedNamespaces.from",
            r#"supported values: "All", "Selector""#,
        ),
        plan("/fallback", json!("sample"), "", "spec.fallback must name another plan than this one, or be removed"),
    ]
}

/// Sets or removes what the pointer (or a path of the schema) leads to.
fn change(spec: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(last);
    } else {
        parent[last] = value;
    }
}

/// The causes that the API server gives: field and message.
async fn causes(cluster: &Cluster, kind: &str, spec: &Value) -> Vec<(String, String)> {
    let parameters = PostParams { dry_run: true, field_manager: None };
    match cluster.objects(kind).create(&parameters, &object(kind, "sample", spec)).await {
        Ok(_) => panic!("{kind} was accepted: {spec}"),
        Err(kube::Error::Api(refused)) if refused.is_invalid() => {
            let causes = refused.details.map(|details| details.causes).unwrap_or_default();
            causes.into_iter().map(|cause| (cause.field, cause.message)).collect()
        }
        Err(error) => panic!("{kind}: {error}: {spec}"),
    }
}

/// `spec.targets[0].name` as the schema names it.
fn without_index(field: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for character in field.chars() {
        inside = (inside || character == '[') && character != ']';
        if !inside || character == '[' {
            kept.push(character);
        }
    }
    kept
}

#[tokio::test]
async fn everything_wrong_is_refused_with_its_field_and_the_remedy() {
    let cluster = Cluster::new("rejected").await;
    let mut heard: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut faults = Vec::new();
    for case in [unions(), urls(), durations(), selectors(), bounds()].into_iter().flatten() {
        let mut spec = full(case.kind).remove(case.sample);
        change(&mut spec, case.pointer, case.value.clone());
        let causes = causes(&cluster, case.kind, &spec).await;
        let named = causes.iter().any(|(field, message)| {
            // The root has no name of its own in the list of causes.
            (field == case.field || (case.field.is_empty() && field == "<nil>")) && message.ends_with(case.message)
        });
        if !named {
            faults.push(format!("{} {} = {}: {causes:?}", case.kind, case.pointer, case.value));
        }
        heard.extend(causes.into_iter().map(|(field, message)| (case.kind.to_owned(), without_index(&field), message)));
    }

    // Every string with a pattern, at every place where it stands.
    for node in nodes() {
        let Some(path) = node.path.strip_prefix("spec").filter(|_| node.schema.pattern.is_some()) else { continue };
        let pointer = path.replace("[]", "/0").replace('.', "/");
        let samples = full(&node.kind);
        let Some(mut spec) = samples.into_iter().find(|spec| spec.pointer(&pointer).is_some()) else {
            faults.push(format!("{} {}: no sample has it", node.kind, node.path));
            continue;
        };
        change(&mut spec, &pointer, json!("Not Valid!"));
        let causes = causes(&cluster, &node.kind, &spec).await;
        let field = node.path.replace("[]", "[0]");
        if !causes.iter().any(|(name, message)| *name == field && message.contains("should match")) {
            faults.push(format!("{} {}: {causes:?}", node.kind, node.path));
        }
        heard.extend(causes.into_iter().map(|(field, message)| (node.kind.clone(), without_index(&field), message)));
    }

    // No rule may go without a case above.
    for node in nodes() {
        for rule in node.schema.x_kubernetes_validations.iter().flatten() {
            let message = rule.message.as_deref().unwrap_or_default();
            let field = if node.path.is_empty() { "<nil>" } else { &node.path };
            let found = heard.iter().any(|(kind, place, said)| {
                *kind == node.kind && place.trim_matches('"') == field && said.ends_with(message)
            });
            // Rules about an update are heard in the tests of immutable fields.
            if !found && !rule.rule.contains("oldSelf") {
                faults.push(format!("{} {}: no case for {message:?}", node.kind, node.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_message_of_a_rule_names_its_field_or_stands_at_it() {
    for node in nodes() {
        for rule in node.schema.x_kubernetes_validations.iter().flatten() {
            let message = rule.message.as_deref().unwrap_or_default();
            let remedies = ["must", "is required", "is immutable"];
            assert!(remedies.iter().any(|remedy| message.contains(remedy)), "{} {}: {message}", node.kind, node.path);
            // A rule of an object speaks of one of its fields.
            if node.schema.type_.as_deref() == Some("object") {
                let fields = node.schema.properties.as_ref().unwrap();
                assert!(
                    fields.keys().any(|field| message.starts_with(&format!("{field} ")))
                        || message.starts_with("spec."),
                    "{} {}: {message}",
                    node.kind,
                    node.path
                );
            }
        }
    }
}
