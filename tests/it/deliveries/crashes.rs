//! The process dies at each point of a delivery: every service has each play once, and the counts are right.

use scrobble_operator::api::v1alpha1::SpotifyAccountStatus;
use scrobble_simulator::api::{Effect, Endpoint, NewFault};
use serde_json::json;

use super::stage::{fast, hook, keyed, totals};
use crate::world::{DEADLINE, World};

const PLAYS: usize = 5;

/// The process dies at a point the n-th time that a pass comes by. The webhook takes two plays and fails twice over the
/// third one, then takes all: three passes with deliveries.
async fn dies(world: &World, point: &str) {
    let name = format!("at-{}", point.replace('#', "-"));
    world.hook_target(&name).await;
    world.listenbrainz(&name).await;
    let credentials = format!("{name}-listenbrainz");
    let down = NewFault { skip: 2, ..NewFault::new(Effect::status(503)).at(Endpoint::Webhook).of(&name).times(2) };
    world.script.add_fault(&down).await.unwrap();
    let titles = {
        let targets = json!([keyed("listenbrainz", "listenbrainz", &credentials), hook("hook", &name)]);
        world.listener(&name).await;
        let titles = world.play(&name, PLAYS as i64, 60).await;
        // No read comes between the deliveries.
        world.account_of(&name, &name, "1h", targets).await;
        titles
    };
    let account = world.api().get(&name).await.unwrap();
    let (point, passing) = point.split_once('#').unwrap();
    let armed = format!("abort:{point}@{name}#{passing}");
    let mut dying = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", &armed).start_unready().unwrap();
    let ended = dying.wait(DEADLINE).await.unwrap();
    assert!(!ended.success(), "{armed}: {ended}");

    let _operator = world.start().await;
    world.wait(&name, "every play at both targets", totals(2 * PLAYS as i64, 0)).await;
    world.request(&name, "look").await;
    let handled = |status: &SpotifyAccountStatus| status.last_handled_reconcile_at.as_deref() == Some("look");
    world.wait(&name, "another read", handled).await;
    world.wait_for_journal(&account, 0).await;
    let status: SpotifyAccountStatus =
        world.wait(&name, "the same counts after another read", totals(2 * PLAYS as i64, 0)).await.status.unwrap();
    assert!(status.targets.iter().all(|target| (target.pending, target.quarantined) == (0, 0)), "{armed}");

    let mut held = titles.clone();
    held.sort();
    assert_eq!(world.listens(&name).await, held, "{armed}");
    let listens = world.script.listens(&name).await.unwrap();
    assert!(listens.iter().all(|listen| listen.forms.len() == 1), "{armed}: {listens:?}");
    let deliveries = world.script.deliveries(&name).await.unwrap();
    assert_eq!(deliveries.len(), PLAYS, "{armed}: one key a play, whatever was repeated");
    assert!(deliveries.iter().all(|delivery| delivery.accepted > 0 && delivery.forms.len() == 1), "{armed}");
    // What the status tells is not sent again; what it does not tell is, and every service recognises it.
    let repeated = deliveries.iter().any(|delivery| delivery.accepted > 1);
    match (point, passing) {
        // A pass that delivers nothing comes by here, too: where it was the third one, nothing is sent again.
        ("journaled", "3") => {}
        ("delivered" | "journaled", _) => assert!(repeated, "{armed}: {deliveries:?}"),
        _ => assert!(!repeated, "{armed}: {deliveries:?}"),
    }
    assert_eq!(listens.iter().any(|listen| listen.received > 1), repeated && passing == "1", "{armed}: {listens:?}");
}

#[tokio::test]
async fn before_anything_is_stored() {
    let world = fast("dies-delivered").await;
    dies(&world, "delivered#1").await;
    dies(&world, "delivered#3").await;
}

#[tokio::test]
async fn between_the_journal_and_the_status() {
    let world = fast("dies-journaled").await;
    dies(&world, "journaled#1").await;
    dies(&world, "journaled#3").await;
}

#[tokio::test]
async fn between_the_status_and_the_journal() {
    let world = fast("dies-settled").await;
    // The first time is that of the refresh.
    dies(&world, "settled#2").await;
    dies(&world, "settled#4").await;
}

#[tokio::test]
async fn after_the_journal() {
    let world = fast("dies-emptied").await;
    dies(&world, "emptied#1").await;
    dies(&world, "emptied#3").await;
}
