//! docs/backup.md, done: a cluster is lost, and another one goes on from what the page keeps. Every object has another uid
//! there, and none a status.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use scrobble_harness::{
    Chart, ControlPlane, Installation, Maloja, MalojaScrobble, Options, wait_for_object, wait_until,
};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobblePlanStatus, ScrobbleTarget, SpotifyAccount};
use scrobble_simulator::Simulator;
use scrobble_simulator::api::{Delivery, Listen, NewAccount, NewApp, NewPlay, Rotation, Scrobble};
use serde_json::{Value, json};

use super::blocks::Block;
use super::commands::{folder, run, runnable};
use crate::accounts::repository::{Manifest, Way};
use crate::accounts::tokens::{report, text};
use crate::deliveries::stage::{hook, keyed, totals};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, object};

const PAGE: &str = "docs/backup.md";
const NAMESPACE: &str = "music";
const MALOJA_KEY: (&str, &str) = ("alice", "key-of-alice");

async fn cluster() -> &'static ControlPlane {
    Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()))
}

/// The page's commands under a heading.
fn section(name: &str) -> Vec<Block> {
    let blocks: Vec<Block> = runnable(PAGE).into_iter().filter(|block| block.section == name).collect();
    assert!(!blocks.is_empty(), "{PAGE} has commands under {name}");
    blocks
}

/// The cluster that will be lost, with the chart and an app.
async fn lost_world() -> World {
    let plane = cluster().await;
    plane.kubectl(&["create", "namespace", NAMESPACE]).await.unwrap();
    let installation = Chart::new(NAMESPACE).create(plane).await.unwrap();
    let simulator = Simulator::start(scrobble_simulator::Options::default()).await.unwrap();
    let (client, script) = (plane.client().unwrap(), simulator.client());
    let namespace = NAMESPACE.to_owned();
    let world = World { plane, client, namespace, installation, simulator, script, clock: None };
    let app = NewApp::confidential(CLIENT_ID, CLIENT_SECRET);
    world.script.put_app(&app).await.unwrap();
    world.app("main", &app).await;
    let plan: ScrobblePlan = serde_json::from_value(json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobblePlan", "metadata": {"name": "founding"},
        "spec": {"minInterval": "1s", "seats": 10, "numbered": true},
    }))
    .unwrap();
    plans(&world).create(&PostParams::default(), &plan).await.unwrap();
    world
}

fn plans(world: &World) -> Api<ScrobblePlan> {
    Api::all(world.client.clone())
}

/// An account in the plan.
async fn account(world: &World, name: &str, targets: Value) {
    let mut spec = world.spec(name, "1s");
    spec["targets"] = targets;
    spec["plan"] = json!("founding");
    world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
}

async fn wait_plan(world: &World, what: &str, wanted: impl Fn(&ScrobblePlanStatus) -> bool) -> ScrobblePlanStatus {
    let wanted = |plan: &ScrobblePlan| plan.status.as_ref().is_some_and(&wanted);
    wait_for_object(&plans(world), "founding", what, DEADLINE, wanted).await.unwrap().status.unwrap()
}

/// Names and numbers of members, by number.
fn members(status: &ScrobblePlanStatus) -> Vec<(&str, i64)> {
    let mut members: Vec<(&str, i64)> =
        status.members.iter().map(|member| (member.name.as_str(), member.number.unwrap_or_default())).collect();
    members.sort_by_key(|(_, number)| *number);
    members
}

/// Alice delivers to one target of each type. Nobody will keep anything of hers but what Git has.
async fn alice(world: &World, maloja: &Maloja) {
    world.listener("alice").await;
    world.listenbrainz("alice").await;
    world.lastfm_target("lastfm", "EstimatedStart", json!({})).await;
    world.lastfm_user("alice").await;
    world.secret("alice-maloja", "credentials", &[("api-key", MALOJA_KEY.1)]).await;
    let target = json!({"type": "Maloja", "url": maloja.base_url()});
    world.create::<ScrobbleTarget>("ScrobbleTarget", "maloja", &target).await;
    world.webhook().await;
    world.play("alice", 6, 600).await;
    let taken = world.script.plays("alice").await.unwrap()[2].played_time.as_second();
    maloja.occupy(taken, "another", "somebody else").await.unwrap();
    let targets = json!([
        keyed("listenbrainz", "listenbrainz", "alice-listenbrainz"),
        keyed("lastfm", "lastfm", "alice-lastfm"),
        keyed("maloja", "maloja", "alice-maloja"),
        hook("hook", "hook"),
    ]);
    account(world, "alice", targets).await;
}

/// Bob's token is replaced whenever it is used, and a repository puts the first one back. Plays of his wait for a target
/// that is down. Another target was attached later.
async fn bob(world: &World) -> Manifest {
    let bob = NewAccount { rotation: Some(Rotation::Strict), ..NewAccount::new("bob", CLIENT_ID) };
    world.listener_as(bob).await;
    let manifest = Manifest::of(world, "bob").await;
    world.hook_target("down").await;
    world.hook_answers("down", 503).await;
    world.hook_target("late").await;
    world.play("bob", 3, 7200).await;
    account(world, "bob", json!([hook("down", "down")])).await;
    world.wait("bob", "three plays that wait", totals(0, 3)).await;
    let targets = json!([hook("down", "down"), hook("late", "late")]);
    world.patch::<SpotifyAccount>("bob", json!({"spec": {"targets": targets}})).await;
    let attached = |entry: &scrobble_operator::api::v1alpha1::AccountTargetStatus| entry.attached_time.is_some();
    world.wait("bob", "another target", |status| status.target("late").is_some_and(attached)).await;
    world.play("bob", 1, 0).await;
    world.wait("bob", "a play at the other target", totals(1, 4)).await;
    manifest
}

/// Another cluster with what the page restores; the operator is not started. Alice comes back as from Git: without what the
/// page keeps besides her objects and Secrets.
async fn restored_world(lost: World, backup: &Path) -> World {
    let plane = cluster().await;
    let since = backup.join("backup/music/since");
    let kept: Vec<String> = fs::read_to_string(&since).unwrap().lines().map(|line| format!("{line}\n")).collect();
    assert_eq!(kept.iter().filter(|line| line.starts_with("alice ")).count(), 4, "{kept:?}");
    fs::write(&since, kept.into_iter().filter(|line| !line.starts_with("alice ")).collect::<String>()).unwrap();
    // Some of hers may have waited for their turn; what is sent without it is sent again.
    fs::remove_file(backup.join("backup/music/journals/alice")).ok();
    let restore = section("Restore");
    let (off, rest) = restore.split_at(1);
    run(plane, backup, off, "", "").await.unwrap();
    // What a tool that copies Secrets has brought along is removed.
    let orphan = ["-n", NAMESPACE, "create", "secret", "generic", "scrobble-operator-state-of-nobody"];
    plane.kubectl(&orphan).await.unwrap();
    let label =
        ["-n", NAMESPACE, "label", "secret", "scrobble-operator-state-of-nobody", "scrobble-operator.io/use=state"];
    plane.kubectl(&label).await.unwrap();
    run(plane, backup, &section("Velero"), "", "").await.unwrap();
    plane.restart_controller_manager().await.unwrap();
    run(plane, backup, rest, "", "").await.unwrap();
    let installation = Installation::find(plane, NAMESPACE.to_owned(), "scrobble-operator".to_owned()).await.unwrap();
    World { plane, client: plane.client().unwrap(), installation, ..lost }
}

/// Titles of plays, sorted.
fn sorted(titles: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut titles: Vec<String> = titles.into_iter().collect();
    titles.sort();
    titles
}

async fn heard(world: &World, listener: &str) -> Vec<String> {
    sorted(world.script.plays(listener).await.unwrap().into_iter().map(|play| play.title))
}

/// What a webhook has taken: each play under one key, in one form.
async fn taken(world: &World, name: &str) -> Vec<String> {
    let deliveries: Vec<Delivery> = world.accepted(name).await;
    assert!(deliveries.iter().all(|delivery| delivery.forms.len() == 1), "{deliveries:?}");
    sorted(deliveries.iter().map(crate::deliveries::stage::title))
}

/// Every service of Alice's holds each of her plays once, also those that it was sent a second time.
async fn assert_alice(world: &World, maloja: &Maloja) {
    let heard = heard(world, "alice").await;
    let listens: Vec<Listen> = world.script.listens("alice").await.unwrap();
    assert_eq!(world.listens("alice").await, heard);
    assert!(listens.iter().all(|listen| listen.forms.len() == 1), "{listens:?}");
    let scrobbles: Vec<Scrobble> = world.script.scrobbles("alice").await.unwrap();
    assert_eq!(sorted(scrobbles.iter().map(|scrobble| scrobble.track.clone())), heard);
    assert!(scrobbles.iter().all(|scrobble| (scrobble.ignored_code, scrobble.forms.len()) == (0, 1)), "{scrobbles:?}");
    assert_eq!(taken(world, "hook").await, heard);
    let standing: Vec<MalojaScrobble> = maloja.scrobbles().await.unwrap();
    let hers = standing.iter().filter(|scrobble| scrobble.client == MALOJA_KEY.0);
    assert_eq!(sorted(hers.map(|scrobble| scrobble.title.clone())), heard);
    assert_eq!(standing.len(), heard.len() + 1, "and what stood there before");
    // It is the services that know a repeat: all of them were sent some.
    assert_eq!(listens.iter().filter(|listen| listen.received == 2).count(), 10);
    assert_eq!(scrobbles.iter().filter(|scrobble| scrobble.received == 2).count(), 10);
    let hook: Vec<Delivery> = world.script.deliveries("hook").await.unwrap();
    assert_eq!(hook.iter().filter(|delivery| delivery.received == 2).count(), 10);
}

/// The operator's own Secrets in the restored cluster, by what their names begin with.
async fn own_secrets(world: &World) -> BTreeSet<String> {
    let own = ListParams::default().labels("scrobble-operator.io/use=state");
    world.secrets().list(&own).await.unwrap().iter().map(Secret::name_any).collect()
}

#[tokio::test]
async fn a_cluster_that_is_restored_doubles_no_play_and_gives_no_number_twice() {
    let maloja = Maloja::start(&[MALOJA_KEY]).await.unwrap();
    let world = lost_world().await;
    let mut operator = world.start().await;
    alice(&world, &maloja).await;
    wait_plan(&world, "Alice", |status| members(status) == [("alice", 1)]).await;
    let manifest = bob(&world).await;
    // Carol had a number that nobody gets again.
    world.create::<SpotifyAccount>("SpotifyAccount", "carol", &waiting("carol")).await;
    wait_plan(&world, "Carol", |status| members(status) == [("alice", 1), ("bob", 2), ("carol", 3)]).await;
    world.delete::<SpotifyAccount>("carol").await;
    let mut without = plans(&world).get_status("founding").await.unwrap().status.unwrap().members;
    without.retain(|member| member.name != "carol");
    let patch = Patch::Merge(json!({"status": {"members": without}}));
    plans(&world).patch_status("founding", &PatchParams::default(), &patch).await.unwrap();
    wait_plan(&world, "two members", |status| status.seats_taken == 2 && status.next_number == Some(4)).await;
    world.wait("alice", "six plays at four targets", totals(24, 0)).await;
    world.play("alice", 4, 5).await;
    world.wait("alice", "ten plays at four targets", totals(40, 0)).await;
    let before: Vec<Option<String>> = uids(&world).await;

    operator.kill().unwrap();
    manifest.apply(&world.secrets(), Way::Replace).await;
    let folder: PathBuf = folder(world.plane, "page");
    run(world.plane, &folder, &section("Back up"), "", "").await.unwrap();

    // Meanwhile the music goes on: Spotify shows one of the three plays that Bob's target waits for the longest.
    world.hook_answers("down", 200).await;
    world.play("alice", 2, 30).await;
    let now = world.script.now().await.unwrap();
    let many = (0..48).map(|number| {
        let ended = now - jiff::SignedDuration::from_millis(10 * number);
        NewPlay::new(ended).titled(format!("bob's {number}"), "The Simulated")
    });
    world.script.add_plays("bob", &many.collect::<Vec<_>>()).await.unwrap();

    let world = restored_world(world, &folder).await;
    assert!(before.iter().all(Option::is_some) && uids(&world).await != before, "other uids");
    let own = own_secrets(&world).await;
    assert!(own.len() == 1 && own.iter().all(|name| name.starts_with("scrobble-operator-journal-")), "{own:?}");
    // Whoever comes first does not get somebody else's number.
    let mut dave: SpotifyAccount = object("SpotifyAccount", "dave", &waiting("dave"));
    dave.metadata.namespace = Some(NAMESPACE.to_owned());
    world.api::<SpotifyAccount>().create(&PostParams::default(), &dave).await.unwrap();
    let _operator = world.start().await;
    let status = wait_plan(&world, "three members", |status| status.members.len() == 3).await;
    assert_eq!((members(&status), status.next_number), (vec![("alice", 1), ("bob", 2), ("dave", 4)], Some(5)));
    for (name, number) in [("alice", 1), ("bob", 2), ("dave", 4)] {
        let has = |membership: &scrobble_operator::api::v1alpha1::MembershipStatus| membership.number == Some(number);
        world.wait(name, "its number", |status| status.membership.as_ref().is_some_and(has)).await;
    }

    world.wait("alice", "twelve plays at four targets", totals(48, 0)).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.wait_ready("bob", "True", "Succeeded").await;
    let bobs = heard(&world, "bob").await;
    assert_eq!(bobs.len(), 52);
    wait_until("Bob's plays", DEADLINE, async || {
        let (down, late) = (taken(&world, "down").await, taken(&world, "late").await);
        if down.len() >= 52 && late.len() >= 49 { Ok(()) } else { Err(format!("{} and {}", down.len(), late.len())) }
    })
    .await
    .unwrap();
    // Another read changes nothing.
    for name in ["alice", "bob"] {
        world.request(name, "look").await;
        world.wait(name, "another read", |status| status.last_handled_reconcile_at.as_deref() == Some("look")).await;
    }
    assert_alice(&world, &maloja).await;
    assert_eq!(taken(&world, "down").await, bobs, "also what Spotify shows no more");
    let old: Vec<String> = bobs.iter().filter(|title| title.starts_with("bob at")).cloned().collect();
    let late = taken(&world, "late").await;
    assert_eq!((late.len(), old.iter().filter(|title| late.contains(title)).count()), (49, 1), "none of before");

    // The newest token was in the state Secret alone, and goes on from there.
    let tokens = report(&world, "bob").await;
    assert!(tokens.refresh_tokens.iter().all(|token| token.uses_after_replacement == 0), "{tokens:?}");
    let held = text(&world, "bob-spotify", "refresh-token").await.map(scrobble_simulator::sha256);
    assert_eq!(held, tokens.current);
}

/// An account that waits for an app that is not there: it has its seat all the same.
fn waiting(name: &str) -> Value {
    json!({
        "appRef": {"name": "nothing"}, "tokenSecretRef": {"name": format!("{name}-spotify")}, "plan": "founding",
        "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
    })
}

async fn uids(world: &World) -> Vec<Option<String>> {
    let mut uids = Vec::new();
    for name in ["alice", "bob"] {
        uids.push(world.api::<SpotifyAccount>().get(name).await.unwrap().uid());
    }
    uids
}
