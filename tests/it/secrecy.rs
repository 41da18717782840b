//! No secret is ever shown: known ones are planted in every input, and everything that people can see is searched.

mod errors;

use base64::Engine as _;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, ObjectList};
use kube::{Api, ResourceExt as _};
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewApp, NewFault, Rotation};
use serde::Serialize;
use serde_json::json;

use crate::deliveries::stage::keyed;
use crate::world::{CLIENT_ID, DEADLINE, World};

const CLIENT_SECRET: &str = "planted-client-secret/with+signs";
/// Stands in every body that something upstream answers.
const BODY: &str = "planted-upstream-body";

/// Secrets by what they are, in all the forms in which one could slip out.
#[derive(Default)]
pub struct Planted(Vec<(String, String)>);

impl Planted {
    pub fn plant(&mut self, what: &str, value: &str) {
        let forms = [
            value.to_owned(),
            base64::engine::general_purpose::STANDARD.encode(value),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(value),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value),
            url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            // A part of it is as bad.
            value.chars().take(24).collect(),
        ];
        self.0.extend(forms.into_iter().map(|form| (what.to_owned(), form)));
    }

    /// Plants every value of every Secret as it is now.
    pub async fn plant_secrets(&mut self, world: &World) {
        // The journal holds plays, compressed.
        const HARMLESS: [&str; 6] = ["expires-at", "scope", "flow", "authorized-at", "replaced", "journal"];
        for secret in world.secrets().list(&ListParams::default().labels("scrobble-operator.io/use")).await.unwrap() {
            let name = secret.name_any();
            for (key, value) in secret.data.unwrap_or_default() {
                if !HARMLESS.contains(&key.as_str()) && !key.starts_with("scrobble-operator.") {
                    self.plant(&format!("{name}/{key}"), &String::from_utf8(value.0).unwrap());
                }
            }
        }
    }

    pub fn assert_absent(&self, place: &str, text: &str) {
        for (what, form) in &self.0 {
            if let Some(found) = text.find(form.as_str()) {
                let line = text[..found].lines().count();
                panic!("{place} shows {what}, in line {line}");
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_shown_at_any_log_level() {
    let app = NewApp {
        rotation: Rotation::Grace,
        grace_seconds: 600,
        access_token_seconds: 3,
        ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET)
    };
    let world = World::with_app("secrecy", app).await;
    // Breakers would be in the way of faults.
    let patient = json!({"spec": {"circuitBreaker": {"failureThreshold": 100}}});
    world.patch::<SpotifyApp>("main", patient).await;
    world.account("alice", "1s").await;
    world.account("bob", "1s").await;
    dora(&world).await;
    world.notified().await;
    let mut planted = Planted::default();
    // As RFC 6749 section 2.3.1 sends them.
    let encoded: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT_ID}:{encoded}"));
    planted.0.push(("the client's credentials".to_owned(), basic));
    planted.plant("the operator's own token", &own_token(&world));
    planted.plant("an upstream's body", BODY);
    planted.plant_secrets(&world).await;

    let level = "trace,hyper=trace,h2=trace,kube=trace,kube_client=trace,reqwest=trace,oauth2=trace,rustls=trace";
    // Somebody panics with a secret in hand.
    world.account("carol", "1s").await;
    planted.plant("a panic's message", "planted-panic-message");
    let operator = world.operator().flag("refresh-buffer", "1s").flag("log-level", level);
    let operator = operator.environment("SCROBBLE_OPERATOR_FAILPOINT", "panic:exchanged@carol,panic:begun@carol#3");
    let operator = operator.start().await.unwrap();
    world.play("alice", 2, 0).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.wait_ready("bob", "True", "Succeeded").await;
    planted.plant_secrets(&world).await;
    everything_fails(&world, &mut planted).await;
    a_human_errs(&world, &mut planted).await;
    planted.plant_secrets(&world).await;

    wait_until("a notice", DEADLINE, async || {
        let notices = world.script.deliveries("notices").await.map_err(|error| error.to_string())?;
        if notices.is_empty() { Err(String::new()) } else { Ok(()) }
    })
    .await
    .unwrap();

    assert!(planted.0.len() > 100, "there is something to search for");
    let log = operator.log();
    assert!(log.contains("tokens stored"), "there is a log to search");
    assert!(log.contains("the operator panicked") && log.contains("a pass panicked"), "there is a panic to search");
    for line in log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let ours = line["target"].as_str().is_some_and(|target| target.starts_with("scrobble_operator"));
        let fine = matches!(line["level"].as_str(), Some("DEBUG" | "TRACE"));
        assert!(ours || !fine, "another crate speaks at a finer level than info: {line}");
    }
    planted.assert_absent("the log", &log);
    let metrics = page(&operator, "/metrics").await;
    assert!(metrics.contains("scrobble_operator_account_ready{"), "there is something to search");
    for path in ["/livez", "/readyz", "/metrics"] {
        planted.assert_absent(path, &page(&operator, path).await);
    }
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    planted.assert_absent("an Event", &shown(&events.list(&ListParams::default()).await.unwrap()));
    let notices = world.script.deliveries("notices").await.unwrap();
    planted.assert_absent("a notice", &serde_json::to_string(&notices).unwrap());
    let plans: Api<ScrobblePlan> = Api::all(world.client.clone());
    for (kind, objects) in [
        ("an account", shown(&world.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap())),
        ("an app", shown(&world.api::<SpotifyApp>().list(&ListParams::default()).await.unwrap())),
        ("a target", shown(&world.api::<ScrobbleTarget>().list(&ListParams::default()).await.unwrap())),
        ("a plan", shown(&plans.list(&ListParams::default()).await.unwrap())),
    ] {
        planted.assert_absent(kind, &objects);
    }
}

/// A listener of Last.fm and of a Maloja that is none.
async fn dora(world: &World) {
    world.lastfm_target("fm", "PlayedAt", json!({})).await;
    world.lastfm_user("dora").await;
    world.secret("dora-maloja", "credentials", &[("api-key", "planted-key-of-a-maloja")]).await;
    let spec = json!({"type": "Maloja", "url": world.script.webhook_url("no-maloja")});
    world.create::<ScrobbleTarget>("ScrobbleTarget", "no-maloja", &spec).await;
    let targets = json!([keyed("fm", "fm", "dora-lastfm"), keyed("maloja", "no-maloja", "dora-maloja")]);
    world.listening("dora", "1s", targets).await;
}

fn shown<K: Clone + Serialize>(objects: &ObjectList<K>) -> String {
    serde_json::to_string(&objects.items).unwrap()
}

async fn page(operator: &OperatorProcess, path: &str) -> String {
    operator.get(path).await.unwrap().1
}

/// The token of the operator's ServiceAccount.
fn own_token(world: &World) -> String {
    let text = std::fs::read_to_string(&world.installation.kubeconfig).unwrap();
    let kubeconfig: serde_json::Value = serde_json::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned()
}

/// Every endpoint fails in every way in which an answer can be seen.
async fn everything_fails(world: &World, planted: &mut Planted) {
    let text = |status| Effect::Status {
        status,
        body: BodyForm::Text,
        text: Some(format!("{BODY} of {status}")),
        retry_after_seconds: None,
    };
    let described = Effect::TokenError { error: "temporarily_unavailable".into(), description: Some(BODY.into()) };
    let endpoints = [
        Endpoint::Token,
        Endpoint::Me,
        Endpoint::RecentlyPlayed,
        Endpoint::ListenbrainzSubmit,
        Endpoint::LastfmScrobble,
        Endpoint::LastfmUserInfo,
        Endpoint::LastfmRecentTracks,
        Endpoint::Webhook,
    ];
    for (number, effect) in [
        described,
        text(400),
        text(401),
        text(403),
        text(500),
        text(200),
        Effect::HtmlBody,
        Effect::TruncatedBody,
        Effect::WrongJsonType,
        Effect::CutAfter,
    ]
    .into_iter()
    .enumerate()
    {
        for endpoint in endpoints {
            world.script.add_fault(&NewFault::new(effect.clone()).at(endpoint).times(2)).await.unwrap();
        }
        world.play("alice", 1, 0).await;
        world.play("dora", 3, 0).await;
        let mut requests = 0;
        wait_until("the faults to strike", DEADLINE, async || {
            // Where a failure waits for its next attempt, somebody asks.
            requests += 1;
            world.request("alice", &format!("{number}-{requests}")).await;
            world.request("dora", &format!("{number}-{requests}")).await;
            planted.plant_secrets(world).await;
            let faults = world.script.faults().await.unwrap();
            let struck = faults
                .iter()
                .filter(|fault| fault.rule.endpoint == Some(Endpoint::Token))
                .all(|fault| fault.applied > 0);
            struck.then_some(()).ok_or_else(|| format!("{faults:?}"))
        })
        .await
        .unwrap();
        world.script.clear_faults().await.unwrap();
    }
}

/// A token is revoked, a client secret is wrong, a key is wrong.
async fn a_human_errs(world: &World, planted: &mut Planted) {
    let wrong = "planted-wrong-client-secret";
    planted.plant("a wrong client secret", wrong);
    let right = json!({"stringData": {"client-secret": CLIENT_SECRET}});
    for (name, patch) in [
        ("main-client", json!({"stringData": {"client-secret": wrong}})),
        ("main-client", right),
        (
            "bob-spotify",
            json!({"stringData": {"refresh-token": "planted refresh token with\u{1}control", "expires-at": "planted-time-of-bob"}}),
        ),
    ] {
        planted.plant("a value that cannot be used", "planted refresh token with");
        let patch = kube::api::Patch::Merge(patch);
        world.secrets().patch(name, &kube::api::PatchParams::default(), &patch).await.unwrap();
        let seq = world.script.last_seq().await.unwrap();
        world.request("bob", &format!("{name}-{seq}")).await;
        world
            .wait("bob", "the request", |status| {
                status.last_handled_reconcile_at.as_deref() == Some(&format!("{name}-{seq}"))
            })
            .await;
    }
    world.wait_ready("bob", "False", "SecretInvalid").await;
    world.script.revoke("alice").await.unwrap();
    world.request("alice", "revoked").await;
    world
        .wait("alice", "its end", |status| {
            let (ready, reason) = crate::world::ready(status);
            ready == "False" && (reason == "AuthorizationRevoked" || reason == "RefreshInterrupted")
        })
        .await;
}
