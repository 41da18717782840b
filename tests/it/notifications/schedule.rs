//! At once, after 1, 3 and 7 days, never again; and anew after a recovery.

use scrobble_operator::api::condition::{ConditionType, is_condition_true};
use scrobble_operator::api::v1alpha1::SpotifyAccountStatus;
use serde_json::json;

use super::{counted, is_signed};
use crate::accounts::tokens;
use crate::world::{World, condition};

/// A day on which the operator is there, and how many notices there are by then.
const DAYS: [(i64, usize); 8] = [(0, 1), (1, 2), (2, 2), (3, 3), (6, 3), (7, 4), (12, 4), (30, 4)];

#[tokio::test]
async fn the_listener_is_asked_four_times_in_a_month_of_restarts_and_anew_after_a_recovery() {
    let world = World::new("notify-days").await;
    world.notified().await;
    world.revoked_account("alice").await;
    for (day, count) in DAYS {
        // Twice: a restart repeats none.
        for life in ["first", "second"] {
            let mut operator = world.operator().clock(&format!("+{day}d")).start().await.unwrap();
            let status = world.visited_again("alice", &format!("day {day}, {life}")).await;
            assert_eq!(condition(&status, ConditionType::Ready), ("False", "AuthorizationRevoked"));
            assert_eq!(counted(&status), i32::try_from(count).unwrap(), "day {day}, {life}");
            // What was counted is sent before it ends.
            assert!(operator.terminate().await.unwrap().success());
            let told = world.notices_about("alice").await;
            assert_eq!(told.len(), count, "day {day}, {life}: {told:?}");
            let last = status.notifications.unwrap().last_notification_time.unwrap().0;
            assert_eq!(told[count - 1].1["time"], last.to_string());
        }
    }
    for (number, (delivery, body)) in world.notices_about("alice").await.iter().enumerate() {
        assert_eq!((delivery.received, delivery.accepted), (1, 1), "{delivery:?}");
        assert!(is_signed(delivery), "{delivery:?}");
        assert_eq!(body["id"], delivery.key);
        assert_eq!((&body["number"], &body["of"]), (&json!(number + 1), &json!(4)));
        assert_eq!(body["schema"], "scrobble-operator.io/notification/v1");
        assert_eq!(body["app"], json!({"name": "main", "namespace": world.namespace}));
        assert_eq!(body["reason"], "AuthorizationRevoked");
        let command = world.connect_command("alice");
        assert_eq!(body["command"], command);
        assert!(body["text"].as_str().unwrap().contains(&format!("Run: {command}")), "{body}");
    }
    let shown = serde_json::to_string(&world.script.deliveries("notices").await.unwrap()).unwrap();
    for (secret, key) in [("alice-spotify", "refresh-token"), ("main-client", "client-secret"), ("hooks", "hmac")] {
        let value = tokens::text(&world, secret, key).await.unwrap();
        assert!(!shown.contains(&value), "a notice shows {secret}/{key}");
    }

    let mark = world.mark().await;
    let operator = world.operator().clock("+31d").start().await.unwrap();
    let new = world.script.mint_tokens("alice").await.unwrap();
    tokens::put(&world, "alice", json!({"refresh-token": new.refresh_token})).await;
    world.request("alice", "signed in").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.script.revoke("alice").await.unwrap();
    world.request("alice", "revoked again").await;
    world.wait_ready("alice", "False", "AuthorizationRevoked").await;
    let told = world.wait_notices_about("alice", 5).await;
    assert_eq!(told[4].1["number"], 1);
    let mut seen = Vec::new();
    for write in world.writes(mark).await.iter().filter(|write| write.is_about("spotifyaccounts/status")) {
        let status = write.response.as_ref().unwrap()["status"].clone();
        let status: SpotifyAccountStatus = serde_json::from_value(status).unwrap();
        let accepted = is_condition_true(&status.conditions, ConditionType::Authorized);
        assert_eq!(
            accepted,
            status.notifications.is_none(),
            "they go in the write that tells the recovery: {status:?}"
        );
        seen.push(counted(&status));
    }
    assert!(seen.contains(&0) && seen.last() == Some(&1), "{seen:?}");
    drop(operator);
}
