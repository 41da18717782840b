//! Two operators: one works, the other takes over, and no token is used twice.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt as _};
use scrobble_harness::{ControlPlane, Operator, OperatorProcess, Options, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::Rotation;

use super::tokens::{
    app, assert_stored, assert_used_once, operator, report, wait_for_exchanges, wait_until_settled, world,
};
use crate::world::{DEADLINE, World};

/// An operator that waits for the Lease, with these durations.
pub fn elected(world: &World, [lease, renew, retry]: [&str; 3]) -> Operator {
    operator(world)
        .argument("--leader-elect=true")
        .flag("leader-elect-lease-duration", lease)
        .flag("leader-elect-renew-deadline", renew)
        .flag("leader-elect-retry-period", retry)
}

pub const SHORT: [&str; 3] = ["3s", "2s", "500ms"];

pub async fn wait_on_duty(operator: &OperatorProcess) {
    wait_until("the operator to be on duty", DEADLINE, async || is_on_duty(operator).then_some(())).await.unwrap();
}

fn is_on_duty(operator: &OperatorProcess) -> bool {
    operator.log().contains("\"on duty\"")
}

#[tokio::test]
async fn after_a_kill_the_other_takes_over_and_no_token_is_used_twice() {
    let world = world("leader-killed", Rotation::Strict, 6).await;
    world.account("alice", "1s").await;
    let mut first = elected(&world, SHORT).start().await.unwrap();
    wait_on_duty(&first).await;
    let second = elected(&world, SHORT).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_for_exchanges(&world, 2).await;
    assert!(!is_on_duty(&second), "one works");
    // Just after a commit there are seconds until the next claim.
    wait_until_settled(&world, "alice").await;
    first.kill().unwrap();
    wait_on_duty(&second).await;
    wait_for_exchanges(&world, 2).await;
    wait_until_settled(&world, "alice").await;
    assert_used_once(&report(&world, "alice").await);
    world.wait_ready("alice", "True", "Succeeded").await;
}

#[tokio::test]
async fn asked_to_end_the_leader_hands_over_long_before_its_lease_ends() {
    let world = world("hand-over", Rotation::Strict, 2).await;
    world.account("alice", "1s").await;
    let durations = ["10m", "9m", "500ms"];
    let mut first = elected(&world, durations).start().await.unwrap();
    wait_on_duty(&first).await;
    let second = elected(&world, durations).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    for _ in 0..2 {
        wait_for_exchanges(&world, 1).await;
    }
    assert!(first.terminate().await.unwrap().success());
    wait_on_duty(&second).await;
    wait_for_exchanges(&world, 2).await;
    wait_until_settled(&world, "alice").await;
    assert_used_once(&report(&world, "alice").await);
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    let lease = leases.list(&kube::api::ListParams::default()).await.unwrap().items.remove(0).spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(1));
}

#[tokio::test]
async fn a_leader_that_was_paused_past_its_lease_ends_and_writes_nothing() {
    let world = world("leader-paused", Rotation::Strict, 3600).await;
    world.account("alice", "1s").await;
    let mut first = elected(&world, SHORT).start().await.unwrap();
    wait_on_duty(&first).await;
    let second = elected(&world, SHORT).start().await.unwrap();
    let scrobbled = async |count: i64| {
        let wanted = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
            status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
        };
        world.wait("alice", &format!("{count} deliveries"), wanted).await
    };
    world.play("alice", 2, 60).await;
    scrobbled(4).await;
    wait_until_settled(&world, "alice").await;
    first.pause().unwrap();
    wait_on_duty(&second).await;
    world.play("alice", 2, 0).await;
    let account = scrobbled(8).await;
    let log = first.log();

    first.resume().unwrap();
    let ended = first.wait(DEADLINE).await.unwrap();
    assert!(!ended.success(), "{ended}");
    assert!(first.log()[log.len()..].contains("Lease was lost"));
    let after: SpotifyAccount = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    assert_eq!(after.resource_version(), account.resource_version(), "nothing was written over the other's status");
    assert!(world.script.deliveries("hook").await.unwrap().iter().all(|delivery| delivery.received == 1));
    assert!(world.script.listens("alice").await.unwrap().iter().all(|listen| listen.received == 1));
    assert_stored(&world, "alice").await;
    assert_used_once(&report(&world, "alice").await);
}

#[tokio::test]
async fn a_leader_that_cannot_renew_its_lease_ends_before_it_is_somebody_elses() {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    let simulated = scrobble_simulator::Options::default();
    let world = World::on(plane, "leader-cut-off", app(Rotation::Never, 3600), simulated).await;
    let mut first = elected(&world, SHORT).start().await.unwrap();
    wait_on_duty(&first).await;
    plane.kill_api_server().await.unwrap();
    let ended = first.wait(DEADLINE).await.unwrap();
    assert!(!ended.success(), "{ended}");
    assert!(first.log().contains("Lease was lost"));
}
