//! A play that a service never accepts is set aside, told, and sent again on request.

use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::ListenBrainzRules;
use serde_json::json;

use super::stage::{fast, keyed, target, totals};
use crate::world::{DEADLINE, World};

async fn retry(world: &World, token: &str) {
    let annotations = json!({"scrobble-operator.io/retry-quarantined-at": token});
    world.patch::<SpotifyAccount>("alice", json!({"metadata": {"annotations": annotations}})).await;
    world
        .wait("alice", "the retry acknowledged", |status| status.last_handled_retry_at.as_deref() == Some(token))
        .await;
}

async fn warnings(world: &World) -> Vec<String> {
    let events = world.events("alice").await;
    let about = |(reason, note): (String, String)| {
        (reason == "TargetFailing" && note.contains("never be accepted")).then_some(note)
    };
    events.into_iter().filter_map(about).collect()
}

#[tokio::test]
async fn one_play_that_is_refused_does_not_hold_the_others_up_and_is_sent_again_on_request() {
    let world = fast("quarantine").await;
    world.listenbrainz("alice").await;
    let entries = json!([keyed("brainz", "listenbrainz", "alice-listenbrainz")]);
    let account = world.listening("alice", "2m", entries).await;
    let titles = world.play("alice", 5, 60).await;
    let rules = ListenBrainzRules { refuse_titles: vec![titles[2].clone()], ..ListenBrainzRules::default() };
    world.script.put_listenbrainz_rules(&rules).await.unwrap();
    let mut operator = world.start().await;

    let status = world.wait("alice", "four of five", totals(4, 0)).await.status.unwrap();
    let brainz = status.target("brainz").unwrap();
    assert_eq!(brainz.quarantined, 1);
    let reason = brainz.last_quarantine_reason.clone().unwrap();
    assert!(reason.contains("400"), "{reason}");
    world.wait_ready("alice", "True", "Succeeded").await;
    let told = wait_until("an Event", DEADLINE, async || {
        let told = warnings(&world).await;
        if told.is_empty() { Err(format!("{:?}", world.events("alice").await)) } else { Ok(told) }
    });
    let told = told.await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("target brainz") && told[0].contains("1 play") && told[0].contains(&reason), "{told:?}");
    assert_eq!(world.journal(&account).await.unwrap().entries.len(), 1, "it is kept in full");
    let others: Vec<String> = titles.iter().filter(|title| **title != titles[2]).cloned().collect();
    world.assert_listens("alice", &others).await;

    // Nobody sends it again unasked, not even after a restart.
    let seq = world.script.last_seq().await.unwrap();
    assert!(operator.terminate().await.unwrap().success());
    operator.restart().await.unwrap();
    world.wait_for_reads("alice", seq, 2).await;
    world.assert_listens("alice", &others).await;

    // Asked while the service still refuses it, it is set aside again.
    retry(&world, "first").await;
    world.wait("alice", "the play set aside again", target("brainz", |known| known.quarantined == 1)).await;
    world.script.put_listenbrainz_rules(&ListenBrainzRules::default()).await.unwrap();
    retry(&world, "second").await;
    let status = world.wait("alice", "all five", totals(5, 0)).await.status.unwrap();
    let brainz = status.target("brainz").unwrap();
    assert_eq!((brainz.quarantined, &brainz.last_quarantine_reason), (0, &None));
    world.assert_listens("alice", &titles).await;
    world.wait_for_journal(&account, 0).await;
    // A retry with nothing to be sent is acknowledged as well.
    retry(&world, "third").await;
}
