//! `helm upgrade` from the chart before this one, in the middle of a hundred refreshes under the strictest rotation: the
//! simulator's record of what it issued and received, and the audit log's of what was stored, show nothing lost or doubled.

use std::path::Path;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::ListParams;
use scrobble_harness::{ControlPlane, Operator, OperatorProcess, Options, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::Simulator;
use scrobble_simulator::api::{NewAccount, Rotation};
use serde_json::{Value, json};

use super::pods::{self, RELEASE, deployment, installed, pod, wait_on_duty};
use crate::accounts::tokens::{self, assert_stored, assert_used_once, report};
use crate::chaos::lives::Life;
use crate::chaos::records::Reader;
use crate::chaos::verdict::judge;
use crate::soak::verdict::{Held, Tally};
use crate::world::{CLIENT_ID, DEADLINE, World, ready};

const NAMESPACE: &str = "music";
const ACCOUNTS: usize = 100;
/// Where the first refreshes stand when the chart is upgraded; so many accounts at each.
const STEPS: [&str; 4] = ["claimed", "sending", "exchanged", "state-stored"];
const HELD_AT_EACH: usize = 15;

fn name(number: usize) -> String {
    format!("listener-{number:02}")
}

/// A control plane with the chart before this one, as it was released, and its definitions.
async fn world() -> World {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    let previous = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/chart/previous/scrobble-operator-0.1.0.tgz");
    let install = ["install", RELEASE, previous, "--namespace", NAMESPACE, "--create-namespace", "--wait=hookOnly"];
    plane.helm(&install).await.unwrap();
    plane.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).await.unwrap();
    let simulator = Simulator::start(scrobble_simulator::Options::default()).await.unwrap();
    let script = simulator.client();
    let world = pods::world(plane, NAMESPACE, simulator, script).await;
    let app = tokens::app(Rotation::Strict, 3600);
    world.script.put_app(&app).await.unwrap();
    world.app("main", &app).await;
    world.webhook().await;
    world
}

/// A listener with two plays whose token was never refreshed.
async fn account(world: &World, name: &str) {
    world.listener_as(NewAccount::new(name, CLIENT_ID)).await;
    world.play(name, 2, 60).await;
    let spec = json!({
        "appRef": {"name": "main"}, "tokenSecretRef": {"name": format!("{name}-spotify")},
        "sync": {"interval": "15s"}, "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
    });
    world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
}

async fn create(world: &World, numbers: std::ops::Range<usize>) {
    let created = numbers.map(async |number| account(world, &name(number)).await);
    futures::stream::iter(created).buffer_unordered(8).collect::<Vec<()>>().await;
}

/// The process before the upgrade: stops some accounts in the middle of their refresh.
async fn old_pod(world: &World, gate: &Path) -> Operator {
    let steps = STEPS.iter().flat_map(|step| [*step; HELD_AT_EACH]);
    let points = steps.zip(1..).map(|(step, number)| format!("hold:{step}@{}", name(number)));
    pod(world)
        .await
        .flag("concurrency", "300")
        .environment("SCROBBLE_OPERATOR_FAILPOINT", &points.collect::<Vec<_>>().join(","))
        .environment("SCROBBLE_OPERATOR_FAILPOINT_GATE", &gate.display().to_string())
}

async fn wait_until_held(pod: &OperatorProcess) {
    let held = STEPS.len() * HELD_AT_EACH;
    wait_until(&format!("{held} refreshes to be under way"), DEADLINE, async || {
        let found = pod.log().lines().filter(|line| line.contains("held at a failpoint")).count();
        if found >= held { Ok(()) } else { Err(format!("{found}")) }
    })
    .await
    .unwrap();
}

async fn wait_until_ready(world: &World) {
    wait_until("every account to be ready", DEADLINE, async || {
        let listed =
            world.api::<SpotifyAccount>().list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let status = |account: SpotifyAccount| account.status.unwrap_or_default();
        let well = listed.items.into_iter().map(status).filter(|status| ready(status) == ("True", "Succeeded")).count();
        if well == ACCOUNTS { Ok(()) } else { Err(format!("{well} are")) }
    })
    .await
    .unwrap();
}

/// What the webhook holds of a listener.
fn held(deliveries: &[(Value, u32, usize, Timestamp)], listener: &str) -> Vec<Held> {
    let of = |(body, ..): &&(Value, u32, usize, Timestamp)| {
        body["track"]["title"].as_str().unwrap().starts_with(&format!("{listener} at "))
    };
    let found = deliveries.iter().filter(of).map(|(body, received, forms, first_time)| Held {
        title: body["track"]["title"].as_str().unwrap().to_owned(),
        second: body["playedAt"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second(),
        received: *received,
        forms: *forms,
        first_time: *first_time,
    });
    found.collect()
}

async fn tally(world: &World) -> Tally {
    let deliveries = world.script.deliveries("hook").await.unwrap();
    let parsed = deliveries.into_iter().map(|delivery| {
        let body = serde_json::from_str(&delivery.body).unwrap();
        (body, delivery.received, delivery.forms.len(), delivery.first_time)
    });
    let deliveries: Vec<(Value, u32, usize, Timestamp)> = parsed.collect();
    let mut tally = Tally::default();
    for listener in (0..ACCOUNTS).map(name) {
        let plays = world.script.plays(&listener).await.unwrap();
        tally.add(&listener, &plays.iter().collect::<Vec<_>>(), &held(&deliveries, &listener));
    }
    assert_eq!(tally.held + tally.doubled + tally.unexplained, deliveries.len(), "every delivery is somebody's");
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_upgrade_in_the_middle_of_a_hundred_refreshes_loses_no_token_and_doubles_no_play() {
    let world = world().await;
    let gate = world.plane.folder().join("upgrade.gate");
    let mut reader = Reader::new(&world).await;
    let begun = Timestamp::now();
    let mut old = old_pod(&world, &gate).await.start().await.unwrap();
    wait_on_duty(&old).await;
    // The first one shows that Spotify accepts the app's credentials: until then the others would wait for it.
    create(&world, 0..1).await;
    world.wait_ready(&name(0), "True", "Succeeded").await;
    create(&world, 1..ACCOUNTS).await;
    wait_until_held(&old).await;

    let before = deployment(&world).await.spec.unwrap().template;
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/scrobble-operator");
    let upgrade = ["upgrade", RELEASE, chart, "--namespace", NAMESPACE, "--reset-then-reuse-values"];
    world.plane.helm(&[&upgrade[..], &["--wait=hookOnly"]].concat()).await.unwrap();
    assert_ne!(deployment(&world).await.spec.unwrap().template, before, "the upgrade starts new pods");
    assert_eq!(installed(world.plane, NAMESPACE).await.user(), world.installation.user());

    // The Deployment's controller starts a new pod, and stops the old one once that is ready.
    let new_begun = Timestamp::now();
    let mut new = pod(&world).await.start().await.unwrap();
    for number in 0..ACCOUNTS {
        world.play(&name(number), 1, 0).await;
    }
    old.ask_to_end().unwrap();
    wait_until("the old pod to stop", DEADLINE, async || old.log().contains("asked to stop")).await.unwrap();
    assert_eq!(old.exit_status().unwrap(), None, "it stays for its tokens");
    let in_flight = tokens::exchanges(&world, 0).await.len();
    std::fs::write(&gate, "open").unwrap();
    let ended = old.wait(DEADLINE).await.unwrap();
    assert!(ended.success(), "{ended}: {}", old.log());
    let old_ended = Timestamp::now();
    wait_on_duty(&new).await;

    wait_until_ready(&world).await;
    let expected = ACCOUNTS * 3;
    wait_until("every play at the webhook", DEADLINE, async || {
        let deliveries = world.script.deliveries("hook").await.map_err(|error| error.to_string())?;
        if deliveries.len() >= expected { Ok(()) } else { Err(format!("{} of {expected}", deliveries.len())) }
    })
    .await
    .unwrap();
    // One read more of each could double what it shows.
    let seq = world.script.last_seq().await.unwrap();
    for number in 0..ACCOUNTS {
        world.wait_for_reads(&name(number), seq, 1).await;
    }
    assert!(new.terminate().await.unwrap().success());
    let life = |begun, ended, how: &str| Life { begun, ended, killed: false, how: how.to_owned() };
    let lives = [life(begun, old_ended, "replaced"), life(new_begun, Timestamp::now(), "asked to end")];

    reader.knows_accounts().await;
    reader.read().await;
    reader.records.resolve();
    let verdict = judge(Rotation::Strict, &reader.records, &lives);
    let tally = tally(&world).await;
    for what in verdict.unexplained.iter().chain(&tally.mishaps) {
        println!("{what}");
    }
    println!(
        "upgraded after {in_flight} of {} exchanges; tokens lost {}, unexplained {}; plays {tally}",
        verdict.refreshes,
        verdict.lost,
        verdict.unexplained.len()
    );
    assert_eq!((verdict.lost, verdict.unexplained.len()), (0, 0));
    assert!(verdict.refreshes >= ACCOUNTS, "every account was refreshed");
    assert!(tally.is_as_promised() && tally.repeated == 0, "{tally}");
    for listener in (0..ACCOUNTS).map(name) {
        assert_stored(&world, &listener).await;
        assert_used_once(&report(&world, &listener).await);
    }
}
