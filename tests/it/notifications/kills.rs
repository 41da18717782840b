//! A kill loses one notice at most, and none is sent twice: what the status counts against what the webhook has received.

use scrobble_harness::wait_until;
use scrobble_simulator::api::{Effect, Endpoint, NewFault, RecordFilter};

use super::counted;
use crate::world::{DEADLINE, World};

#[tokio::test]
async fn a_kill_between_counting_and_sending_loses_one_notice_and_one_after_sending_repeats_none() {
    let world = World::new("notify-kills").await;
    world.notified().await;
    world.revoked_account("alice").await;
    let dying = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", "abort:counted@alice");
    let mut operator = dying.start_unready().unwrap();
    assert!(!operator.wait(DEADLINE).await.unwrap().success(), "it was killed");
    world.wait("alice", "the notice to be counted", |status| counted(status) == 1).await;
    assert!(world.notices_about("alice").await.is_empty(), "nothing had left");

    // Bob's is received, and its answer never comes.
    world.revoked_account("bob").await;
    let hang = NewFault::new(Effect::HangAfter).at(Endpoint::Webhook).of("notices").times(1);
    world.script.add_fault(&hang).await.unwrap();
    let mut operator = world.start().await;
    wait_until("bob's notice to be received", DEADLINE, async || {
        let told = world.notices_about("bob").await;
        (told.len() == 1).then_some(()).ok_or_else(|| format!("{told:?}"))
    })
    .await
    .unwrap();
    operator.kill().unwrap();

    for life in ["second", "third"] {
        let mut operator = world.start().await;
        for name in ["alice", "bob"] {
            assert_eq!(counted(&world.visited_again(name, life).await), 1, "{name}, {life}");
        }
        assert!(operator.terminate().await.unwrap().success());
    }
    assert!(world.notices_about("alice").await.is_empty(), "the one that was lost is not made up for before its day");
    let requests = world.script.requests(&RecordFilter::at(Endpoint::Webhook).of("notices")).await.unwrap();
    assert_eq!(requests.len(), 1, "{requests:?}");

    // A day later both are asked again, as the second of four.
    let _operator = world.operator().clock("+1d").start().await.unwrap();
    let (alice, bob) = (world.wait_notices_about("alice", 1).await, world.wait_notices_about("bob", 2).await);
    assert_eq!((&alice[0].1["number"], &bob[1].1["number"]), (&2.into(), &2.into()));
    assert_ne!(bob[0].0.key, bob[1].0.key);
}
