//! What a plan's spec means for those who are in it: fallbacks, more and fewer seats, numbers that come later.

use scrobble_operator::api::v1alpha1::{GoDuration, SpotifyAccount};
use serde_json::json;

use super::{Plans, message, numbers};
use crate::world::World;

#[tokio::test]
async fn a_fallback_is_in_force_until_a_seat_is_free() {
    let world = World::new("fallback").await;
    let plans = Plans::of(&world);
    plans.create("founding", json!({"minInterval": "1m", "seats": 1, "numbered": true, "fallback": "free"})).await;
    plans.create("free", json!({"minInterval": "20m"})).await;
    let _operator = world.start().await;
    plans.applicant("alice", "founding").await;
    plans.wait_member("alice", "founding", Some(1)).await;
    world.account("bob", "1m").await;
    world.patch::<SpotifyAccount>("bob", json!({"spec": {"plan": plans.name("founding")}})).await;
    let held = plans.wait_member("bob", "free", None).await;
    assert_eq!(held.granted_time, None, "a plan that counts nobody has no seats");
    let every = async |minutes: u32| {
        world
            .wait("bob", &format!("every {minutes} minutes"), |status| {
                let interval = status.sync.as_ref().and_then(|sync| sync.interval.clone());
                interval == Some(GoDuration::from_mins(minutes))
            })
            .await;
    };
    world.wait_ready("bob", "True", "Succeeded").await;
    world.request("bob", "first").await;
    every(20).await;

    plans.change("founding", json!({"seats": 2})).await;
    plans.wait_member("bob", "founding", Some(2)).await;
    world.request("bob", "second").await;
    every(1).await;
    let said = world.events("bob").await;
    let notes: Vec<&str> =
        said.iter().filter(|(reason, _)| reason == "NoSeatLeft").map(|(_, note)| note.as_str()).collect();
    let expected = format!(
        "no seat is left in ScrobblePlan {}: ScrobblePlan {} is in force",
        plans.name("founding"),
        plans.name("free")
    );
    assert_eq!(notes, [expected]);
    assert!(said.iter().any(|(reason, note)| reason == "SeatGranted" && note.contains("number 2")), "{said:?}");
}

#[tokio::test]
async fn fewer_seats_take_none_away_and_numbers_come_in_the_order_of_seats() {
    let world = World::new("fewer").await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"seats": 3})).await;
    let _operator = world.start().await;
    for name in ["zoe", "bob", "alice"] {
        plans.applicant(name, "gold").await;
        assert!(plans.wait_member(name, "gold", None).await.granted_time.is_some());
    }
    plans.change("gold", json!({"seats": 1})).await;
    let told = plans.wait("gold", "to say so", |status| message(status).contains("3 members and 1 seats")).await;
    assert_eq!(told.seats_taken, 3);
    plans.applicant("carol", "gold").await;
    world.wait_ready("carol", "False", "NoSeatLeft").await;

    // Seats are granted within one second here: then the name decides.
    plans.change("gold", json!({"numbered": true})).await;
    let numbered = plans.wait("gold", "numbers", |status| status.next_number == Some(4)).await;
    let mut by_seat = numbered.members.clone();
    by_seat.sort_by_key(|member| (member.granted_time.0, member.name.clone()));
    assert_eq!(by_seat.iter().map(|member| member.number).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    for (name, number) in numbers(&numbered) {
        plans.wait_member(name, "gold", number).await;
    }
    // They are for good, also where nobody gets a new one.
    plans.change("gold", json!({"numbered": false, "seats": 4})).await;
    plans.wait_member("carol", "gold", None).await;
    let known = plans.wait("gold", "four members", |status| status.seats_taken == 4).await;
    assert_eq!(numbers(&known)[..3], numbers(&numbered)[..]);
}
