//! As many members as there may be, with the longest names: one object holds them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use scrobble_harness::{ControlPlane, Options};
use scrobble_operator::api::v1alpha1::PlanMember;
use scrobble_simulator::api::NewApp;
use serde_json::json;

use super::Plans;
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

#[tokio::test]
async fn two_thousand_members_with_the_longest_names_fit() {
    // Whoever watches plans reads along: this one is for this test alone.
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    let app = NewApp::confidential(CLIENT_ID, CLIENT_SECRET);
    let world = World::on(plane, "full", app, scrobble_simulator::Options::default()).await;
    let plans = Plans::of(&world);
    plans.create("gold", json!({"numbered": true})).await;
    let granted: Time = serde_json::from_value(json!("2026-11-27T12:00:00Z")).unwrap();
    let members: Vec<PlanMember> = (0..1999)
        .map(|number| PlanMember {
            namespace: format!("{number:0>63}"),
            name: format!("{number:0>253}"),
            uid: Some("00000000-0000-4000-8000-000000000000".to_owned()),
            number: Some(1_000_000_000 + number),
            granted_time: granted.clone(),
        })
        .collect();
    let status = json!({"status": {"seatsTaken": 1999, "members": members}});
    let patch = Patch::Merge(status);
    plans.api.patch_status(&plans.name("gold"), &PatchParams::default(), &patch).await.unwrap();

    let _operator = world.start().await;
    plans.applicant(&"a".repeat(253), "gold").await;
    plans.wait_member(&"a".repeat(253), "gold", Some(1_000_001_999)).await;
    let full =
        plans.wait("gold", "to be full", |status| super::message(status).contains("all of its 2000 seats")).await;
    assert_eq!((full.members.len(), full.seats_taken), (2000, 2000));
    plans.applicant("bob", "gold").await;
    world.wait_ready("bob", "False", "NoSeatLeft").await;
    let size = serde_json::to_vec(&plans.api.get(&plans.name("gold")).await.unwrap()).unwrap().len();
    println!("2000 members with the longest names: {size} bytes");
}
