//! Who has a seat, for how long, and who is told when one is free.

use kube::ResourceExt as _;
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::RecordFilter;
use serde_json::json;

use super::{Plans, numbers, written};
use crate::world::{DEADLINE, World, condition};

#[tokio::test]
async fn a_seat_is_for_good_and_free_once_its_entry_is_removed() {
    let world = World::new("seats").await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"minInterval": "1s", "seats": 1, "numbered": true})).await;
    let plan = json!({"spec": {"plan": plans.name("gold")}});
    let _operator = world.start().await;
    plans.applicant("alice", "gold").await;
    let seat = plans.wait_member("alice", "gold", Some(1)).await;
    let alice = world.wait_ready("alice", "False", "AppNotFound").await;
    let known = plans.wait("gold", "a member", |status| status.seats_taken == 1).await;
    assert_eq!(known.members[0].uid, alice.uid(), "a seat comes before all else that an account needs");
    assert_eq!(
        (known.next_number, known.members[0].granted_time.clone()),
        (Some(2), seat.granted_time.clone().unwrap())
    );

    world.account("bob", "24h").await;
    world.wait_ready("bob", "True", "Succeeded").await;
    let asked = world.script.last_seq().await.unwrap();
    world.play("bob", 1, 0).await;
    world.patch::<SpotifyAccount>("bob", plan).await;
    let status = world.wait_ready("bob", "False", "NoSeatLeft").await.status.unwrap();
    for (kind, shown) in [
        (ConditionType::Stalled, ("True", "NoSeatLeft")),
        (ConditionType::Synced, ("False", "NoSeatLeft")),
        (ConditionType::Authorized, ("True", "Succeeded")),
        (ConditionType::Reconciling, ("", "")),
    ] {
        assert_eq!(condition(&status, kind), shown, "{kind:?}");
    }
    assert_eq!(status.membership, None);
    assert_eq!(status.failures.unwrap().next_attempt_time, None, "it waits for nothing but a seat");

    // A deleted account keeps its seat, and one that is created anew has it again.
    world.delete::<SpotifyAccount>("alice").await;
    world.request("bob", "now").await;
    world.wait("bob", "an answer", |status| status.last_handled_reconcile_at.as_deref() == Some("now")).await;
    plans.applicant("alice", "gold").await;
    assert_eq!(plans.wait_member("alice", "gold", Some(1)).await, seat, "the same seat");
    let again = world.api::<SpotifyAccount>().get("alice").await.unwrap().uid();
    let known = plans.wait("gold", "the new uid", |status| status.members[0].uid == again).await;
    assert_eq!((numbers(&known), known.next_number), (vec![("alice", Some(1))], Some(2)));
    assert_ne!(again, alice.uid());
    let requests = world.script.requests(&RecordFilter::default().of("bob").since(asked)).await.unwrap();
    assert!(requests.is_empty(), "without a seat nobody is asked anything: {requests:?}");
    assert_eq!(world.listens("bob").await.len(), 0);

    // Its entry is removed: whoever waits is told.
    world.delete::<SpotifyAccount>("alice").await;
    plans.remove("gold", "alice").await;
    plans.wait_member("bob", "gold", Some(2)).await;
    world.wait_ready("bob", "True", "Succeeded").await;
    assert_eq!(world.listens("bob").await.len(), 1, "what was heard meanwhile is delivered");
    let known = plans.wait("gold", "one seat taken", |status| status.seats_taken == 1).await;
    assert_eq!((numbers(&known), known.next_number), (vec![("bob", Some(2))], Some(3)));
    // Events follow on the status.
    scrobble_harness::wait_until("one Event of each", DEADLINE, async || {
        let said: Vec<String> = world.events("bob").await.into_iter().map(|(reason, _)| reason).collect();
        let once = |reason: &&str| said.iter().filter(|said| said == reason).count() == 1;
        if ["NoSeatLeft", "SeatGranted"].iter().all(once) { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_member_whose_entry_is_removed_asks_anew_and_has_another_number() {
    let world = World::new("removed").await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"seats": 5, "numbered": true})).await;
    let _operator = world.start().await;
    for (name, number) in [("alice", 1), ("bob", 2)] {
        plans.applicant(name, "gold").await;
        plans.wait_member(name, "gold", Some(number)).await;
    }
    plans.remove("gold", "bob").await;
    plans.wait_member("bob", "gold", Some(3)).await;

    // A plan that goes takes its members along; what was given is known from accounts.
    plans.delete("gold").await;
    for name in ["alice", "bob"] {
        world.wait_ready(name, "False", "ReferenceNotAllowed").await;
    }
    plans.create("gold", json!({"seats": 5, "numbered": true})).await;
    let known = plans.wait("gold", "both members", |status| status.members.len() == 2).await;
    let mut given: Vec<Option<i64>> = known.members.iter().map(|member| member.number).collect();
    given.sort_unstable();
    assert_eq!(given, [Some(4), Some(5)], "no number is used twice");
    for member in &known.members {
        plans.wait_member(&member.name, "gold", member.number).await;
    }
}

#[tokio::test]
async fn a_restart_writes_nothing_and_a_kill_after_a_seat_costs_no_second_one() {
    let world = World::new("seated").await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"seats": 1, "numbered": true})).await;
    plans.applicant("alice", "gold").await;
    let dying = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", "abort:seated@alice");
    let mut dying = dying.start_unready().unwrap();
    dying.wait(DEADLINE).await.unwrap();
    let known = plans.wait("gold", "the seat", |status| status.members.len() == 1).await;
    let alice = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    assert_eq!(alice.status.unwrap().membership, None, "the operator died before it could tell");

    let mut operator = world.start().await;
    plans.wait_member("alice", "gold", Some(1)).await;
    plans.applicant("bob", "gold").await;
    world.wait_ready("bob", "False", "NoSeatLeft").await;
    let full = plans.wait("gold", "to be full", |status| super::message(status).contains("all of its 1 seats")).await;
    assert_eq!(full.members, known.members);

    let (mark, version) = (world.mark().await, plans.api.get(&plans.name("gold")).await.unwrap().resource_version());
    operator.kill().unwrap();
    operator.restart().await.unwrap();
    // A new account is seen after the old ones were.
    plans.applicant("carol", "gold").await;
    world.wait_ready("carol", "False", "NoSeatLeft").await;
    world.request("bob", "now").await;
    world.wait("bob", "an answer", |status| status.last_handled_reconcile_at.as_deref() == Some("now")).await;
    let writes = written(&world, mark).await;
    assert!(writes.iter().all(|write| write.ends_with(" carol") || write.ends_with(" bob")), "{writes:?}");
    assert_eq!(writes.iter().filter(|write| write.ends_with(" bob")).count(), 1, "the answer: {writes:?}");
    assert_eq!(plans.api.get(&plans.name("gold")).await.unwrap().resource_version(), version);
}

#[tokio::test]
async fn suspended_accounts_keep_a_seat_and_ask_for_none() {
    let world = World::new("resting").await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"seats": 1, "numbered": true})).await;
    let suspend = |suspended: bool| json!({"spec": {"suspend": suspended}});
    let _operator = world.start().await;
    let mut spec = world.spec("alice", "24h");
    spec["plan"] = json!(plans.name("gold"));
    spec["suspend"] = json!(true);
    world.create::<SpotifyAccount>("SpotifyAccount", "alice", &spec).await;
    world.wait_ready("alice", "False", "Suspended").await;
    plans.applicant("bob", "gold").await;
    plans.wait_member("bob", "gold", Some(1)).await;
    world.patch::<SpotifyAccount>("bob", suspend(true)).await;
    world.wait_ready("bob", "False", "Suspended").await;
    plans.wait_member("bob", "gold", Some(1)).await;
    world.patch::<SpotifyAccount>("alice", suspend(false)).await;
    world.wait_ready("alice", "False", "NoSeatLeft").await;
    wait_until("alice to be told", DEADLINE, async || {
        let said = world.events("alice").await;
        said.iter().any(|(reason, _)| reason == "NoSeatLeft").then_some(())
    })
    .await
    .unwrap();
}
