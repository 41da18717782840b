//! What people get wrong, an account for each mistake, all at one operator: each is told what to do, none hurts another,
//! each heals when its cause is mended.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use scrobble_harness::wait_for_object;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyApp, TargetState};
use scrobble_operator::domain::digest::TokenDigest;
use scrobble_operator::domain::token::RefreshToken;
use scrobble_simulator::api::{Endpoint, NewAccount, NewApp, RecordFilter, Rotation};
use serde_json::{Value, json};

use super::mistakes::{Bad, Case, cases, merged};
use crate::world::{CLIENT_ID, DEADLINE, World, condition, ready};

/// How the operator hears that a cause was mended.
#[derive(Clone, Copy, PartialEq)]
enum Heal {
    /// By looking at the Secrets once a minute, and by its watches.
    Unasked,
    /// By `reconcile-requested-at`.
    Requested,
}

#[tokio::test]
async fn every_mistake_is_explained_and_heals_by_itself() {
    // A minute of the test clock takes six seconds.
    let world = World::at_rate("bad-input", NewApp::confidential(CLIENT_ID, "simulated-client-secret"), 10).await;
    mistakes_and_their_mending(world, Heal::Unasked).await;
}

#[tokio::test]
async fn a_mended_mistake_heals_at_once_on_request() {
    let world = World::new("bad-input").await;
    mistakes_and_their_mending(world, Heal::Requested).await;
}

async fn mistakes_and_their_mending(world: World, heal: Heal) {
    world.webhook().await;
    world.listenbrainz("nobody").await;
    world.listener_as(NewAccount { rotation: Some(Rotation::SingleUse), ..NewAccount::new("elder", CLIENT_ID) }).await;
    let elder = world.create::<SpotifyAccount>("SpotifyAccount", "elder", &spec("elder")).await;
    world.listener("bystander").await;
    let mut often = spec("bystander");
    often["sync"]["interval"] = json!("20s");
    world.create::<SpotifyAccount>("SpotifyAccount", "bystander", &often).await;
    let cases = cases(&world.namespace, &elder.uid().unwrap());
    for case in &cases {
        set_up(&world, case).await;
    }
    let mut secrets = values(&world).await;

    let operator = world.start().await;
    delivered(&world, "bystander", 0).await;
    let before = world.wait_ready("bystander", "True", "Succeeded").await.status.unwrap();
    for case in &cases {
        is_told(&world, case).await;
    }
    let played = world.play("bystander", 1, 0).await;
    delivered(&world, "bystander", 1).await;
    assert_eq!(played.len(), 1);

    for case in &cases {
        mend(&world, case).await;
        if heal == Heal::Requested {
            world.request(case.name, "please").await;
        }
    }
    let patience = if heal == Heal::Requested { Duration::from_secs(30) } else { DEADLINE };
    for case in &cases {
        is_healed(&world, case, patience).await;
    }
    let after = world.wait_ready("bystander", "True", "Succeeded").await.status.unwrap();
    let since = |status| find_condition(status, ConditionType::Ready).unwrap().last_transition_time.clone();
    assert_eq!(since(&before.conditions), since(&after.conditions), "the bystander was Ready all the time");
    assert_eq!(after.failures, None);

    secrets.extend(values(&world).await);
    nothing_leaked(&world, &operator.log(), &secrets).await;
}

fn spec(name: &str) -> Value {
    json!({
        "appRef": {"name": "main"},
        "tokenSecretRef": {"name": format!("{name}-spotify")},
        "sync": {"interval": "24h"},
        "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
    })
}

async fn set_up(world: &World, case: &Case) {
    let name = case.name;
    let tokens = world.script.add_account(&NewAccount::new(name, CLIENT_ID)).await.unwrap();
    world.play(name, 1, 60).await;
    let right = json!({
        "metadata": {"name": format!("{name}-spotify"), "labels": {"scrobble-operator.io/use": "token"}},
        "stringData": {"refresh-token": tokens.refresh_token},
    });
    let mut spec = spec(name);
    match &case.bad {
        Bad::Token(wrong) => put(world, &right, wrong).await,
        Bad::Credentials(wrong) => {
            world.put_secret(&right).await;
            world.script.put_listenbrainz_user(name, &format!("hunter-listenbrainz-of-{name}")).await.unwrap();
            put(world, &credentials(name), wrong).await;
            spec = with_listenbrainz(&spec, name);
        }
        Bad::Client(wrong) => {
            world.put_secret(&right).await;
            put(world, &client(name), wrong).await;
            let reference = json!({"name": format!("{name}-client"), "key": "client-secret"});
            let app = json!({"clientId": CLIENT_ID, "clientSecretRef": reference});
            world.create::<SpotifyApp>("SpotifyApp", name, &app).await;
            spec["appRef"]["name"] = json!(name);
        }
        Bad::State => world.put_secret(&right).await,
        Bad::App => {
            world.put_secret(&right).await;
            spec["appRef"]["name"] = json!(name);
        }
        Bad::Target => {
            world.put_secret(&right).await;
            spec["targets"][0]["targetRef"]["name"] = json!(name);
        }
        Bad::Spec(wrong) => {
            world.put_secret(&right).await;
            world.script.put_listenbrainz_user(name, &format!("hunter-listenbrainz-of-{name}")).await.unwrap();
            world.put_secret(&credentials(name)).await;
            spec = merged(&with_listenbrainz(&spec, name), wrong);
        }
    }
    let account = world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    if matches!(case.bad, Bad::State) {
        plant_state(world, &account, &tokens.refresh_token).await;
    }
}

/// A state Secret just as the operator writes it, but by somebody else: it says that the listener's token was replaced.
async fn plant_state(world: &World, account: &SpotifyAccount, token: &str) {
    let digest = |token: &str| TokenDigest::of(&account.uid().unwrap(), &RefreshToken::new(token.to_owned()));
    let token = digest(token);
    let mark = json!({"number": 9, "authorization": token.as_str(), "token": digest("hunter-planted").as_str()});
    let (mark, replaced) = (mark.to_string(), token.as_str());
    let data =
        [("refresh-token", "hunter-planted"), ("scrobble-operator.lineage", mark.as_str()), ("replaced", replaced)];
    world.secret(&state_secret(account), "state", &data).await;
}

fn state_secret(account: &SpotifyAccount) -> String {
    format!("scrobble-operator-state-{}", account.uid().unwrap())
}

/// Creates a Secret as it should be but for what is wrong with it; none where that is `null`.
async fn put(world: &World, right: &Value, wrong: &Value) {
    if !wrong.is_null() {
        world.put_secret(&merged(right, wrong)).await;
    }
}

fn credentials(name: &str) -> Value {
    json!({
        "metadata": {"name": format!("{name}-listenbrainz"), "labels": {"scrobble-operator.io/use": "credentials"}},
        "stringData": {"token": format!("hunter-listenbrainz-of-{name}")},
    })
}

fn client(name: &str) -> Value {
    json!({
        "metadata": {"name": format!("{name}-client"), "labels": {"scrobble-operator.io/use": "client"}},
        "stringData": {"client-secret": "simulated-client-secret"},
    })
}

fn with_listenbrainz(spec: &Value, name: &str) -> Value {
    let entry = json!({
        "name": "listenbrainz", "targetRef": {"name": "listenbrainz"},
        "credentialsRef": {"name": format!("{name}-listenbrainz")},
    });
    merged(spec, &json!({"targets": [entry, {"name": "hook", "targetRef": {"name": "hook"}}]}))
}

/// The account's status says what is wrong, where, and what to do; so does an Event.
async fn is_told(world: &World, case: &Case) {
    let name = case.name;
    let status = world.wait_ready(name, "False", case.reason).await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", case.reason), "{name}");
    assert_eq!(condition(&status, ConditionType::Reconciling), ("", ""), "{name}");
    let message = find_condition(&status.conditions, ConditionType::Ready).unwrap().message.clone();
    for part in &case.says {
        assert!(message.contains(part), "{name}: no `{part}` in: {message}");
    }
    let failures = status.failures.clone().unwrap_or_default();
    if matches!(case.bad, Bad::Credentials(_) | Bad::Target) || case.delivers {
        assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"), "{name}");
        let blamed = status.targets.iter().find(|target| target.state == TargetState::Failing).unwrap();
        assert_eq!(blamed.reason.as_deref(), Some(case.reason), "{name}");
    } else {
        assert_eq!(failures.last_reason.as_deref(), Some(case.reason), "{name}");
        assert_eq!(failures.next_attempt_time, None, "{name}: nothing is tried before a human acts");
    }
    if matches!(case.bad, Bad::Token(_) | Bad::State) {
        let asked = world.script.requests(&RecordFilter::at(Endpoint::Token).of(name)).await.unwrap();
        assert!(asked.is_empty(), "{name}: no token leaves the cluster while its Secret is wrong");
    }
    let said = world.events(name).await;
    let told =
        |(reason, note): &(String, String)| reason == case.reason && case.says.iter().all(|part| note.contains(part));
    assert!(said.iter().any(told), "{name}: {said:?}");
    if case.delivers {
        delivered(world, name, 1).await;
    }
}

async fn mend(world: &World, case: &Case) {
    let name = case.name;
    match &case.bad {
        Bad::Token(_) => {
            let tokens = world.script.mint_tokens(name).await.unwrap();
            let right = json!({
                "metadata": {"name": format!("{name}-spotify"), "labels": {"scrobble-operator.io/use": "token"}},
                "stringData": {"refresh-token": tokens.refresh_token},
            });
            world.put_secret(&right).await;
        }
        Bad::Credentials(_) => world.put_secret(&credentials(name)).await,
        Bad::Client(_) => world.put_secret(&client(name)).await,
        Bad::State => {
            let account = world.api::<SpotifyAccount>().get(name).await.unwrap();
            world.secrets().delete(&state_secret(&account), &DeleteParams::default()).await.unwrap();
        }
        Bad::App => {
            let reference = json!({"name": "main-client", "key": "client-secret"});
            let app = json!({"clientId": CLIENT_ID, "clientSecretRef": reference});
            world.create::<SpotifyApp>("SpotifyApp", name, &app).await;
        }
        Bad::Target => {
            let key = json!({"signingKeyRef": {"name": "hook", "key": "hmac"}});
            let target = json!({"type": "Webhook", "url": world.script.webhook_url("hook"), "webhook": key});
            world.create::<ScrobbleTarget>("ScrobbleTarget", name, &target).await;
        }
        Bad::Spec(_) => {
            let right = with_listenbrainz(&spec(name), name);
            world.patch::<SpotifyAccount>(name, json!({"spec": right})).await;
        }
    }
}

async fn is_healed(world: &World, case: &Case, patience: Duration) {
    let name = case.name;
    let deliveries = match &case.bad {
        Bad::Credentials(_) | Bad::Spec(_) => 2,
        _ => 1,
    };
    let wanted = |account: &SpotifyAccount| {
        account.status.as_ref().is_some_and(|status| {
            let sent = status.sync.as_ref().map_or(0, |sync| sync.scrobbled_total);
            ready(status) == ("True", "Succeeded") && sent == deliveries
        })
    };
    let accounts = world.api::<SpotifyAccount>();
    let what = format!("healed, {deliveries} deliveries");
    let account = wait_for_object(&accounts, name, &what, patience, wanted).await.unwrap();
    let status = account.status.unwrap();
    for absent in [ConditionType::Stalled, ConditionType::Reconciling, ConditionType::CircuitOpen] {
        assert_eq!(condition(&status, absent), ("", ""), "{name}");
    }
    for kind in [ConditionType::Authorized, ConditionType::Synced] {
        assert_eq!(condition(&status, kind), ("True", "Succeeded"), "{name}");
    }
    assert_eq!(status.failures, None, "{name}");
    assert_eq!(status.observed_generation, account.metadata.generation, "{name}");
    for target in &status.targets {
        assert_eq!((target.state, &target.reason, &target.message), (TargetState::Healthy, &None, &None), "{name}");
    }
}

async fn delivered(world: &World, name: &str, count: i64) {
    let sent = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
    };
    world.wait(name, &format!("{count} deliveries"), sent).await;
}

/// What Secrets hold that nobody else may see.
async fn values(world: &World) -> Vec<(String, String)> {
    // `replaced` holds hashes.
    const HARMLESS: [&str; 5] = ["expires-at", "flow", "scope", "authorized-at", "replaced"];
    let mut values = Vec::new();
    let secrets = world.secrets().list(&ListParams::default().labels("scrobble-operator.io/use")).await.unwrap();
    let unlabelled = world.secrets().list(&ListParams::default()).await.unwrap();
    let unlabelled = unlabelled.items.into_iter().filter(|secret: &Secret| secret.name_any().ends_with("-spotify"));
    for secret in secrets.items.into_iter().chain(unlabelled) {
        for (key, value) in secret.data.unwrap_or_default() {
            let own = key.starts_with("scrobble-operator.");
            let text = String::from_utf8_lossy(&value.0).trim().to_owned();
            if !own && !HARMLESS.contains(&key.as_str()) && text.len() >= 8 {
                values.push((key, text.chars().take(200).collect()));
            }
        }
    }
    values
}

async fn nothing_leaked(world: &World, log: &str, secrets: &[(String, String)]) {
    let accounts = world.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap();
    let apps = world.api::<SpotifyApp>().list(&ListParams::default()).await.unwrap();
    let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    let texts = [
        ("the log", log.to_owned()),
        ("an account", serde_json::to_string(&accounts).unwrap()),
        ("an app", serde_json::to_string(&apps).unwrap()),
        ("an Event", serde_json::to_string(&events).unwrap()),
    ];
    assert!(secrets.len() > 20, "the comparison has something to compare");
    for (place, text) in &texts {
        let leaked = secrets.iter().find(|(_, value)| text.contains(value.as_str()));
        assert_eq!(leaked.map(|(key, _)| key), None, "{place} holds the value of this key");
    }
    assert!(!log.contains("panicked"));
}
