//! Many accounts of one app hang, at Spotify or at a target: those of another app are read in their slots.

use std::time::Duration;

use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyApp};
use scrobble_simulator::api::{Effect, Endpoint, NewApp, NewFault};
use serde_json::json;

use super::{assert_on_time, crowd, spec, without_budget};
use crate::world::{CLIENT_ID, DEADLINE, World};

const OTHER_CLIENT_ID: &str = "fedcba9876543210fedcba9876543210";
/// How often those are read that are well.
const INTERVAL: Duration = Duration::from_secs(8);
/// So many accounts are worked on at a time.
const CONCURRENCY: &str = "8";

#[tokio::test]
async fn a_hundred_accounts_that_hang_at_spotify_do_not_delay_those_of_another_app() {
    let world = World::new("hanging").await;
    let hanging: Vec<String> = (0..100).map(|number| format!("unread-{number}")).collect();
    crowd(&world, CLIENT_ID, &hanging, |name| spec("main", name, INTERVAL, &["hook"])).await;
    let hangs = NewFault { client_id: Some(CLIENT_ID.to_owned()), ..NewFault::new(Effect::Hang) };
    others_are_on_time(&world, hangs.at(Endpoint::RecentlyPlayed), 4).await;
}

#[tokio::test]
async fn accounts_that_hang_at_a_target_do_not_delay_those_of_another_app() {
    let world = World::new("hanging-target").await;
    world.secret("stuck", "target", &[("hmac", "webhook-signing-key")]).await;
    let key = json!({"signingKeyRef": {"name": "stuck", "key": "hmac"}});
    let stuck = json!({"type": "Webhook", "url": world.script.webhook_url("stuck"), "webhook": key});
    world.create::<ScrobbleTarget>("ScrobbleTarget", "stuck", &stuck).await;
    let hanging: Vec<String> = (0..40).map(|number| format!("unsent-{number}")).collect();
    crowd(&world, CLIENT_ID, &hanging, |name| spec("main", name, INTERVAL, &["stuck"])).await;
    for name in &hanging {
        world.play(name, 1, 60).await;
    }
    // One request at a time is sent to a webhook: the others wait for it.
    others_are_on_time(&world, NewFault::new(Effect::Hang).at(Endpoint::Webhook).of("stuck"), 1).await;
}

/// Accounts of another app beside those that hang.
async fn others_are_on_time(world: &World, fault: NewFault, hanging: u32) {
    without_budget(world, "main").await;
    let other = NewApp::confidential(OTHER_CLIENT_ID, "the-other-secret");
    world.script.put_app(&other).await.unwrap();
    world.secret("other-client", "client", &[("client-secret", "the-other-secret")]).await;
    let app = json!({
        "clientId": OTHER_CLIENT_ID, "clientSecretRef": {"name": "other-client", "key": "client-secret"},
        "quota": {"dailyCalls": 0},
    });
    world.create::<SpotifyApp>("SpotifyApp", "other", &app).await;
    world.webhook().await;
    let well: Vec<String> = (0..10).map(|number| format!("well-{number}")).collect();
    crowd(world, OTHER_CLIENT_ID, &well, |name| spec("other", name, INTERVAL, &["hook"])).await;
    let id = world.script.add_fault(&fault).await.unwrap();

    let operator = world.operator().flag("concurrency", CONCURRENCY).start().await.unwrap();
    let hang = async || {
        let faults = world.script.faults().await.map_err(|error| error.to_string())?;
        let struck = faults.iter().find(|fault| fault.id == id).map_or(0, |fault| fault.applied);
        if struck >= hanging { Ok(()) } else { Err(format!("{struck} requests hang")) }
    };
    wait_until("requests that hang", DEADLINE, hang).await.unwrap();
    let since = world.script.last_seq().await.unwrap();
    assert_on_time(world, &well, since, 4, INTERVAL).await;
    for name in &well {
        let status = world.wait_ready(name, "True", "Succeeded").await.status.unwrap();
        assert_eq!(status.failures, None, "{name}");
    }
    assert!(!operator.log().contains("panicked"));
}
