//! Client credentials that Spotify refuses: the app's fault, told by the app and all its accounts, at the cost of one request
//! a probe.

use std::time::Duration;

use futures::future::join_all;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{BreakerState, SpotifyAccount, SpotifyApp, SpotifyAppStatus};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewApp, NewFault, Record, RecordFilter};
use serde_json::json;

use super::tokens::{exchanges, text};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, condition, ready, told};

const REFUSED: &str = "ClientCredentialsInvalid";
const ACCOUNTS: usize = 100;
/// For what many accounts do, each after the other.
const LONG: Duration = Duration::from_mins(3);

impl World {
    /// Waits until the credentials of an app have been refused so often in a row, or more often.
    async fn wait_refused(&self, trips: i32) -> SpotifyAppStatus {
        self.wait_app("main", &format!("refused {trips} times"), DEADLINE, |status| {
            status.circuit_breaker.as_ref().is_some_and(|breaker| breaker.trips >= trips)
        })
        .await
    }

    /// Requests to the token endpoint that were refused with `invalid_client`.
    async fn probes(&self) -> Vec<Record> {
        let asked = exchanges(self, 0).await;
        asked.into_iter().filter(|request| request.facts.error.as_deref() == Some("invalid_client")).collect()
    }

    /// An account of an app that names no target.
    async fn bare(&self, name: &str, app: &str) {
        let spec = json!({
            "appRef": {"name": app}, "tokenSecretRef": {"name": format!("{name}-spotify")},
            "sync": {"interval": "5m"}, "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
        });
        self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    async fn client_secret(&self, value: &str) {
        let patch = json!({"stringData": {"client-secret": value}});
        self.secrets().patch("main-client", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Waits until all accounts whose names begin so have this status and reason in `Ready`.
    async fn wait_all(&self, prefix: &str, status: &str, reason: &str) -> Vec<SpotifyAccount> {
        wait_until(&format!("all Ready={status}/{reason}"), LONG, async || {
            let found = self.api::<SpotifyAccount>().list(&ListParams::default()).await.map_err(|e| e.to_string())?;
            let of_prefix = |account: &SpotifyAccount| account.metadata.name.as_ref().unwrap().starts_with(prefix);
            let found: Vec<SpotifyAccount> = found.into_iter().filter(of_prefix).collect();
            let says = |account: &&SpotifyAccount| {
                account.status.as_ref().is_some_and(|known| ready(known) == (status, reason))
            };
            let count = found.iter().filter(says).count();
            if count == found.len() { Ok(found) } else { Err(format!("{count} of {}", found.len())) }
        })
        .await
        .unwrap()
    }
}

/// No probe came before its time: a quarter of an hour after the first, then doubling.
fn assert_waits_doubled(probes: &[Record]) {
    for (number, pair) in probes.windows(2).enumerate() {
        let wait = pair[1].time.duration_since(pair[0].time);
        // Probe times are whole seconds.
        let expected = SignedDuration::from_mins(15) * 2_i32.pow(number as u32) - SignedDuration::from_secs(1);
        assert!(wait >= expected, "probe {number}: {probes:?}");
    }
}

/// A world in which an hour takes half a minute, and whose app has another client secret than Spotify knows.
async fn refusing_world(test: &str) -> World {
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate(test, app, 120).await;
    world.webhook().await;
    world.client_secret("not-the-client-secret").await;
    world
}

#[tokio::test]
async fn a_hundred_accounts_of_one_invalid_client_ask_once_a_probe() {
    let world = refusing_world("invalid-client").await;
    let names: Vec<String> = (0..ACCOUNTS).map(|number| format!("listener-{number}")).collect();
    for some in names.chunks(10) {
        join_all(some.iter().map(async |name| {
            world.listener(name).await;
            world.bare(name, "main").await;
        }))
        .await;
    }
    // Another app with the same client id, and the right secret.
    world.secret("other-client", "client", &[("client-secret", CLIENT_SECRET)]).await;
    let spec = json!({"clientId": CLIENT_ID, "clientSecretRef": {"name": "other-client", "key": "client-secret"}});
    world.create::<SpotifyApp>("SpotifyApp", "other", &spec).await;
    world.listener("bystander").await;
    world.bare("bystander", "other").await;

    let mut operator = world.start().await;
    let status = world.wait_refused(1).await;
    assert_eq!(told(&status.conditions, ConditionType::Ready), ("False", REFUSED));
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("True", REFUSED));
    assert_eq!(told(&status.conditions, ConditionType::CircuitOpen), ("True", "CircuitOpen"));
    let breaker = status.circuit_breaker.unwrap();
    assert_eq!(breaker.state, BreakerState::Open);
    assert!(breaker.next_probe_time.unwrap().0 >= breaker.opened_time.unwrap().0 + SignedDuration::from_mins(15));
    for account in world.wait_all("listener", "False", REFUSED).await {
        let status = account.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("True", REFUSED));
        let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
        assert!(message.contains(&format!("SpotifyApp {}/main", world.namespace)), "{message}");
        assert!(message.contains("owner must correct"), "{message}");
    }
    // From here on: one request a probe, also over a restart in between.
    let trips = world.wait_refused(2).await.circuit_breaker.unwrap().trips;
    world.wait_all("listener", "False", REFUSED).await;
    operator.kill().unwrap();
    operator.restart().await.unwrap();
    world.wait_refused(trips + 1).await;
    let probes = wait_until("every probe to be told", DEADLINE, async || {
        let app = world.api::<SpotifyApp>().get("main").await.map_err(|error| error.to_string())?;
        let (probes, trips) = (world.probes().await, app.status.unwrap().circuit_breaker.unwrap().trips);
        if probes.len() == trips as usize {
            Ok(probes)
        } else {
            Err(format!("{} requests, {trips} probes", probes.len()))
        }
    })
    .await
    .unwrap();
    println!("{} requests for as many probes of {ACCOUNTS} accounts", probes.len());
    assert_waits_doubled(&probes);
    for account in world.wait_all("listener", "False", REFUSED).await {
        let failures = account.status.unwrap().failures.unwrap();
        assert_eq!((failures.consecutive, failures.last_reason.as_deref()), (0, Some(REFUSED)));
    }
    for endpoint in [Endpoint::Me, Endpoint::RecentlyPlayed] {
        let others = world.script.requests(&RecordFilter::at(endpoint)).await.unwrap();
        assert!(others.iter().all(|request| request.account.as_deref() == Some("bystander")), "{others:?}");
    }
    assert_eq!(text(&world, "listener-7-spotify", "scrobble-operator.claim").await, None);
    world.wait_ready("bystander", "True", "Succeeded").await;

    let (before, refused) = (exchanges(&world, 0).await.len(), world.probes().await.len());
    world.client_secret(CLIENT_SECRET).await;
    world.wait_all("listener", "True", "Succeeded").await;
    let (asked, refused) = (exchanges(&world, 0).await.len() - before, world.probes().await.len() - refused);
    println!("{asked} requests after the correction, {refused} of them refused");
    assert_eq!(asked - refused, ACCOUNTS, "the probe that succeeds is one of them");
    assert!(refused <= 1, "one may have been on its way");
    let status = world
        .wait_app("main", "Ready", DEADLINE, |status| told(&status.conditions, ConditionType::Ready).0 == "True")
        .await;
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("", ""));
    assert_eq!(told(&status.conditions, ConditionType::CircuitOpen), ("", ""));
    assert_eq!((status.circuit_breaker, status.refused_client), (None, None));
    let told = world.events("main").await;
    let reasons: Vec<&str> = told.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(reasons, [REFUSED, "Succeeded"], "{told:?}");
}

#[tokio::test]
async fn a_secret_that_is_corrected_wrongly_is_tried_once_and_one_that_only_looks_changed_is_not() {
    let world = refusing_world("invalid-client-again").await;
    for name in ["alice", "bob"] {
        world.listener(name).await;
        world.bare(name, "main").await;
    }
    let _operator = world.start().await;
    world.wait_refused(1).await;
    // Another label: another version of the same secret.
    let label = json!({"metadata": {"labels": {"team": "music"}}});
    world.secrets().patch("main-client", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    let before = world.wait_refused(3).await.circuit_breaker.unwrap();
    let probes = world.probes().await;
    assert_waits_doubled(&probes);

    world.client_secret("neither-is-this").await;
    let secret: Secret = world.secrets().get("main-client").await.unwrap();
    let version = secret.metadata.resource_version.clone();
    let status = world
        .wait_app("main", "refused anew", DEADLINE, |status| {
            status.refused_client.as_ref().is_some_and(|refused| refused.secret_resource_version == version)
        })
        .await;
    assert_eq!(status.refused_client.unwrap().secret_uid, secret.metadata.uid);
    assert_eq!(status.circuit_breaker.unwrap().trips, 1, "the waits begin anew");
    let asked = world.probes().await;
    let anew = &asked[probes.len()];
    assert!(anew.time < before.next_probe_time.unwrap().0, "seen long before the next probe: {asked:?}");
    // A request passes no breaker of the app's.
    world.request("alice", "please").await;
    let handled = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        status.last_handled_reconcile_at.as_deref() == Some("please")
    };
    world.wait("alice", "the request", handled).await;
    assert_waits_doubled(&world.probes().await[probes.len()..]);
}

#[tokio::test]
async fn a_token_that_never_worked_stops_no_other_account() {
    let world = World::at_rate("odd-token", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 120).await;
    world.webhook().await;
    let refuse = |name: &str| {
        let error = "invalid_client".to_owned();
        NewFault::new(Effect::TokenError { error, description: None }).at(Endpoint::Token).of(name)
    };
    world.script.add_fault(&refuse("odd")).await.unwrap();
    let short = |name: &str| NewAccount { access_token_seconds: Some(600), ..NewAccount::new(name, CLIENT_ID) };
    world.listener_as(short("alice")).await;
    world.bare("alice", "main").await;
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.listener_as(short("odd")).await;
    world.bare("odd", "main").await;
    let status = world.wait_ready("odd", "False", "ConfigurationInvalid").await.status.unwrap();
    let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
    assert!(message.contains("invalid_client") && message.contains("scrobble-operator connect"), "{message}");
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 3).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let app = world
        .wait_app("main", "Ready", DEADLINE, |status| told(&status.conditions, ConditionType::Ready).0 == "True")
        .await;
    assert_eq!(app.refused_client, None);

    // A token that worked, though, says that the credentials changed.
    world.script.clear_faults().await.unwrap();
    world.script.add_fault(&refuse("alice")).await.unwrap();
    world.wait_refused(1).await;
    world.wait_ready("alice", "False", REFUSED).await;
}

#[tokio::test]
async fn a_public_app_is_blamed_by_a_token_that_needs_no_secret_or_by_two_accounts() {
    let world = World::at_rate("public-client", NewApp::public(CLIENT_ID), 120).await;
    world.webhook().await;
    let error = "invalid_client".to_owned();
    let fault = NewFault::new(Effect::TokenError { error, description: None }).at(Endpoint::Token);
    world.script.add_fault(&fault).await.unwrap();
    world.listener("alice").await;
    world.bare("alice", "main").await;
    let _operator = world.start().await;
    world.wait_ready("alice", "False", "ConfigurationInvalid").await;
    let app = world.api::<SpotifyApp>().get("main").await.unwrap().status.unwrap();
    assert_eq!(told(&app.conditions, ConditionType::Ready), ("True", "Succeeded"), "one account alone proves nothing");
    world.listener("bob").await;
    world.bare("bob", "main").await;
    world.wait_refused(1).await;
    world.wait_ready("bob", "False", REFUSED).await;
}
