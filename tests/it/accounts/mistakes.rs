//! The table of mistakes: what is wrong, and what the account's owner is told.

use serde_json::{Value, json};

/// Where the mistake is.
pub enum Bad {
    /// In the token Secret: what differs from a right one; `null` where there is none.
    Token(Value),
    /// In the Secret of a target's credentials.
    Credentials(Value),
    /// In the app's client Secret.
    Client(Value),
    /// The app does not exist.
    App,
    /// The target does not exist.
    Target,
    /// A Secret with the name of the account's own state Secret, which the operator did not write.
    State,
    /// In the account's spec.
    Spec(Value),
}

/// A mistake.
pub struct Case {
    /// The account that it is made for.
    pub name: &'static str,
    pub bad: Bad,
    /// What `Ready` and `Stalled` say.
    pub reason: &'static str,
    /// What the message names: the object, the key or field, the remedy.
    pub says: Vec<String>,
    /// Whether another target of the account delivers all the while.
    pub delivers: bool,
}

const LABEL: &str = "scrobble-operator.io/use";

fn case(name: &'static str, bad: Bad, reason: &'static str, says: &[&str]) -> Case {
    Case { name, bad, reason, says: says.iter().map(|part| (*part).to_owned()).collect(), delivers: false }
}

/// All mistakes. `elder` is the uid of an account that holds `elder-spotify` and has a state Secret.
pub fn cases(namespace: &str, elder: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = token_secrets().into_iter().chain(objects(elder)).chain(targets()).collect();
    for case in &mut cases {
        for part in &mut case.says {
            *part = part.replace("{namespace}", namespace);
        }
    }
    cases
}

fn token_secrets() -> Vec<Case> {
    let token = |text: &str| Bad::Token(json!({"stringData": {"refresh-token": text}}));
    let beside =
        |key: &str, text: &str| Bad::Token(json!({"stringData": {key: text, "access-token": "hunter-access"}}));
    let labelled = |label: Value| Bad::Token(json!({"metadata": {"labels": {LABEL: label}}}));
    vec![
        case(
            "no-secret",
            Bad::Token(Value::Null),
            "SecretNotFound",
            &["token Secret {namespace}/no-secret-spotify does not exist", "create it", LABEL],
        ),
        case(
            "no-label",
            labelled(Value::Null),
            "SecretNotLabelled",
            &["{namespace}/no-label-spotify", "set its label scrobble-operator.io/use: token"],
        ),
        case(
            "other-label",
            labelled(json!("credentials")),
            "SecretNotLabelled",
            &["{namespace}/other-label-spotify", "set its label scrobble-operator.io/use: token"],
        ),
        case(
            "no-key",
            Bad::Token(json!({"stringData": {"refresh-token": null, "refreshToken": "hunter-misnamed"}})),
            "SecretKeyMissing",
            &["{namespace}/no-key-spotify", "has no key refresh-token", "add it"],
        ),
        case("empty", token(""), "SecretInvalid", &["{namespace}/empty-spotify", "refresh-token", "empty"]),
        case(
            "huge",
            token(&"hunter-huge-".repeat(90_000)[..1024 * 1024]),
            "SecretInvalid",
            &["{namespace}/huge-spotify", "refresh-token", "1048576 bytes", "at most"],
        ),
        case(
            "control",
            token("hunter-con\u{1}trol"),
            "SecretInvalid",
            &["{namespace}/control-spotify", "refresh-token", "control characters"],
        ),
        case(
            "newline",
            token("hunter-newline\n"),
            "SecretInvalid",
            &["{namespace}/newline-spotify", "refresh-token", "ends with a line break", "without"],
        ),
        case(
            "expires-at",
            beside("expires-at", "in an hour"),
            "SecretInvalid",
            &["{namespace}/expires-at-spotify", "expires-at", "RFC 3339", "correct it or remove the key"],
        ),
        case(
            "authorized-at",
            beside("authorized-at", "1700000000"),
            "SecretInvalid",
            &["{namespace}/authorized-at-spotify", "authorized-at", "RFC 3339"],
        ),
        case(
            "flow",
            beside("flow", "implicit"),
            "SecretInvalid",
            &["{namespace}/flow-spotify", "flow", "`confidential` or `pkce`"],
        ),
        case(
            "other-flow",
            Bad::Token(json!({"stringData": {"flow": "pkce"}})),
            "ConfigurationInvalid",
            &[
                "flow: pkce",
                "SpotifyApp {namespace}/main is a confidential client",
                "authorize anew, or correct `flow`",
                "scrobble-operator connect --namespace {namespace} --account other-flow",
            ],
        ),
        case(
            "immutable",
            Bad::Token(json!({"immutable": true})),
            "SecretImmutable",
            &["{namespace}/immutable-spotify", "is immutable", "replace it"],
        ),
    ]
}

fn objects(elder: &str) -> Vec<Case> {
    let secret = |name: &str| Bad::Spec(json!({"tokenSecretRef": {"name": name}}));
    let state = format!("scrobble-operator-state-{elder}");
    let stolen = format!("{{namespace}}/{state}");
    vec![
        case(
            "no-client",
            Bad::Client(Value::Null),
            "SecretNotFound",
            &["SpotifyApp {namespace}/no-client", "{namespace}/no-client-client", "does not exist", "create it"],
        ),
        case(
            "other-client",
            Bad::Client(json!({"metadata": {"labels": {LABEL: "token"}}})),
            "SecretNotLabelled",
            &[
                "SpotifyApp {namespace}/other-client",
                "{namespace}/other-client-client",
                "set its label scrobble-operator.io/use: client",
            ],
        ),
        case(
            "bad-client",
            Bad::Client(json!({"stringData": {"client-secret": "hunter-client\n"}})),
            "SecretInvalid",
            &["SpotifyApp {namespace}/bad-client", "{namespace}/bad-client-client", "client-secret", "line break"],
        ),
        case(
            "no-app",
            Bad::App,
            "AppNotFound",
            &["SpotifyApp {namespace}/no-app does not exist", "create it", "spec.appRef"],
        ),
        case(
            "younger",
            secret("elder-spotify"),
            "SecretInUse",
            &["elder-spotify", "{namespace}/elder", "give this account a token Secret of its own"],
        ),
        case(
            "planted",
            Bad::State,
            "SecretInvalid",
            &["{namespace}/scrobble-operator-state-", "belongs to the operator but was not written by it", "remove it"],
        ),
        case(
            "thief",
            secret(&state),
            "SecretNotLabelled",
            &[&stolen, "belongs to the operator itself", "name another"],
        ),
    ]
}

fn targets() -> Vec<Case> {
    let entry = |name: &str, credentials: Option<String>| {
        let mut entry = json!({"name": name, "targetRef": {"name": name}});
        if let Some(secret) = credentials {
            entry["credentialsRef"] = json!({"name": secret});
        }
        entry
    };
    let both = |first: Option<String>, second: Option<String>| {
        Bad::Spec(json!({"targets": [entry("listenbrainz", first), entry("hook", second)]}))
    };
    let given = || Some("hook-credentials-listenbrainz".to_owned());
    let delivers = |case: Case| Case { delivers: true, ..case };
    vec![
        case(
            "no-target",
            Bad::Target,
            "TargetNotFound",
            &["ScrobbleTarget {namespace}/no-target does not exist", "create it", "targetRef of entry hook"],
        ),
        delivers(case(
            "no-credentials",
            Bad::Credentials(Value::Null),
            "SecretNotFound",
            &["target listenbrainz", "{namespace}/no-credentials-listenbrainz", "does not exist", "create it"],
        )),
        delivers(case(
            "other-credentials",
            Bad::Credentials(json!({"metadata": {"labels": {LABEL: "token"}}})),
            "SecretNotLabelled",
            &[
                "target listenbrainz",
                "{namespace}/other-credentials-listenbrainz",
                "set its label scrobble-operator.io/use: credentials",
            ],
        )),
        delivers(case(
            "credentials-key",
            Bad::Credentials(json!({"stringData": {"token": null, "user-token": "hunter-misnamed"}})),
            "SecretKeyMissing",
            &["target listenbrainz", "{namespace}/credentials-key-listenbrainz", "has no key token", "add it"],
        )),
        delivers(case(
            "hook-credentials",
            both(given(), given()),
            "ConfigurationInvalid",
            &["target hook", "Webhook", "remove credentialsRef"],
        )),
        delivers(case(
            "credentials-absent",
            both(None, None),
            "ConfigurationInvalid",
            &["target listenbrainz", "ListenBrainz", "credentialsRef"],
        )),
    ]
}

/// A JSON merge patch (RFC 7396), applied.
pub fn merged(base: &Value, change: &Value) -> Value {
    let Value::Object(change) = change else { return change.clone() };
    let mut result = base.as_object().cloned().unwrap_or_default();
    for (key, value) in change {
        if value.is_null() {
            result.remove(key);
        } else {
            let before = result.get(key).cloned().unwrap_or(Value::Null);
            result.insert(key.clone(), merged(&before, value));
        }
    }
    Value::Object(result)
}
