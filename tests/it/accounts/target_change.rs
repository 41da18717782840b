//! A target that changes: what its spec names is used from the next delivery on.

use scrobble_operator::api::v1alpha1::ScrobbleTarget;
use scrobble_operator::domain::digest::{hexadecimal, message_authentication_code};
use scrobble_simulator::api::Delivery;
use serde_json::json;

use crate::world::World;

fn is_signed_with(delivery: &Delivery, key: &str) -> bool {
    let timestamp = &delivery.headers["scrobble-operator-timestamp"];
    let message = format!("{timestamp}.{}", delivery.body);
    let code = hexadecimal(&message_authentication_code(key.as_bytes(), message.as_bytes()));
    delivery.headers["scrobble-operator-signature"] == format!("v1={code}")
}

#[tokio::test]
async fn another_signing_key_signs_the_next_delivery() {
    let world = World::new("signing-key").await;
    world.account("alice", "1s").await;
    world.play("alice", 1, 60).await;
    let _operator = world.start().await;
    let delivered = |count| {
        move |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
            status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
        }
    };
    world.wait("alice", "one play at both targets", delivered(2)).await;

    world.secret("hook-next", "target", &[("hmac", "another-signing-key")]).await;
    let patch = json!({"spec": {"webhook": {"signingKeyRef": {"name": "hook-next"}}}});
    let changed: ScrobbleTarget = world.patch("hook", patch).await;
    let api = world.api::<ScrobbleTarget>();
    let seen = |target: &ScrobbleTarget| {
        target.status.as_ref().is_some_and(|status| status.observed_generation == changed.metadata.generation)
    };
    scrobble_harness::wait_for_object(&api, "hook", "the change seen", crate::world::DEADLINE, seen).await.unwrap();
    world.play("alice", 1, 0).await;
    world.wait("alice", "two plays at both targets", delivered(4)).await;

    let mut deliveries = world.script.deliveries("hook").await.unwrap();
    deliveries.sort_by_key(|delivery| delivery.first_seq);
    assert!(is_signed_with(&deliveries[0], "webhook-signing-key"), "{:?}", deliveries[0].headers);
    assert!(is_signed_with(&deliveries[1], "another-signing-key"), "{:?}", deliveries[1].headers);
}
