//! Two operators decide on the same seat: what is written counts, not what was decided.

use std::path::PathBuf;

use scrobble_harness::{OperatorProcess, wait_until};
use serde_json::json;

use super::Plans;
use crate::world::{DEADLINE, World};

fn file(world: &World, gate: &str) -> PathBuf {
    world.plane.folder().join(format!("{}-{gate}.gate", world.namespace))
}

/// An operator that stops at one step of one account until its gate is opened.
async fn holding(world: &World, step: &str, gate: &str) -> OperatorProcess {
    let gate = file(world, gate);
    let operator = world
        .operator()
        .environment("SCROBBLE_OPERATOR_FAILPOINT", &format!("hold:{step}@alice"))
        .environment("SCROBBLE_OPERATOR_FAILPOINT_GATE", &gate.display().to_string());
    let operator = operator.start().await.unwrap();
    wait_until("alice to be held", DEADLINE, async || operator.log().contains("held at a failpoint").then_some(()))
        .await
        .unwrap();
    operator
}

fn open(world: &World, gate: &str) {
    std::fs::write(file(world, gate), "open").unwrap();
}

#[tokio::test]
async fn a_seat_that_another_operator_has_given_away_meanwhile_is_not_given_twice() {
    let world = World::new("decided").await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"seats": 1, "numbered": true})).await;
    plans.applicant("alice", "gold").await;
    // It has decided that alice gets the last seat.
    let _slow = holding(&world, "chosen", "slow").await;
    plans.applicant("bob", "gold").await;
    let _quick = holding(&world, "begun", "quick").await;
    let held = plans.wait_member("bob", "gold", Some(1)).await;
    // The other one is still held over alice: what is told of her is told by the one that had decided.
    open(&world, "slow");
    world.wait_ready("alice", "False", "NoSeatLeft").await;
    open(&world, "quick");
    let status = plans.wait("gold", "its status", |_| true).await;
    let members: Vec<(&str, Option<i64>)> =
        status.members.iter().map(|member| (member.name.as_str(), member.number)).collect();
    assert_eq!(members, [("bob", Some(1))]);
    assert_eq!(plans.wait_member("bob", "gold", Some(1)).await, held, "as it was");
}
