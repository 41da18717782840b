//! Somebody who plays the shortest tracks without a pause, while the operator is restarted at awkward moments.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use scrobble_harness::OperatorProcess;
use scrobble_operator::plan::slot::slot_after;
use scrobble_simulator::api::{NewApp, NewGenerator};

use super::{TRACK, interval, length};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

const INTERVAL: SignedDuration = SignedDuration::from_mins(20);
/// What the interval is shortened to at this pace.
const SHORTENED: SignedDuration = SignedDuration::from_mins(10);
/// So long before a slot the operator is asked to end.
const AHEAD: SignedDuration = SignedDuration::from_secs(20);

/// For how long music is played, and simulated seconds in a real one: as `SCROBBLE_OPERATOR_SOAK` says, `full` for a day, or
/// nothing for the short run, which runs beside other tests and leaves more real time between two reads.
fn scale() -> (SignedDuration, u32) {
    match std::env::var("SCROBBLE_OPERATOR_SOAK").ok().as_deref() {
        Some("full") => (SignedDuration::from_hours(24), 120),
        None | Some("" | "short") => (SignedDuration::from_hours(3), 80),
        Some(other) => panic!("SCROBBLE_OPERATOR_SOAK is {other}: it can be `short` or `full`"),
    }
}

/// What happens at a slot.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// The operator ends just before the slot and is back after it.
    Away,
    /// The same, and as soon as it is back it is restarted once more, before it could make up for the slot.
    AwayTwice,
    /// The operator is restarted when it has read, while plays are delivered.
    WhileDelivering,
}

/// What happens at the slots of an hour, again and again. Two slots in a row are missed and then made up.
const HOUR: [Trouble; 6] =
    [Trouble::Away, Trouble::Away, Trouble::None, Trouble::AwayTwice, Trouble::WhileDelivering, Trouble::None];

/// The operator, and how long it was away.
struct Duty {
    operator: OperatorProcess,
    absences: Vec<(Duration, Trouble)>,
}

impl Duty {
    /// Ends it, and starts it again once the simulated clock shows a time.
    async fn restart(&mut self, world: &World, trouble: Trouble, not_before: Timestamp) {
        let asked = Instant::now();
        let status = self.operator.terminate().await.unwrap();
        assert!(status.success(), "{status}: {}", self.operator.log());
        world.wait_for_time(not_before).await;
        self.operator.restart().await.unwrap();
        self.absences.push((asked.elapsed(), trouble));
    }

    async fn suffer(&mut self, world: &World, trouble: Trouble, slot: Timestamp) {
        match trouble {
            Trouble::None => world.wait_for_time(slot).await,
            Trouble::Away | Trouble::AwayTwice => {
                world.wait_for_time(slot - AHEAD).await;
                self.restart(world, trouble, slot + SignedDuration::from_secs(1)).await;
                if matches!(trouble, Trouble::AwayTwice) {
                    self.restart(world, trouble, slot).await;
                }
            }
            Trouble::WhileDelivering => {
                let seen = world.script.last_seq().await.unwrap();
                world.wait_for_reads("alice", seen, 1).await;
                self.restart(world, trouble, slot).await;
            }
        }
    }
}

/// The next slot of the shortened interval: those of the whole one, and one in the middle between two.
fn next_slot(uid: &str, now: Timestamp) -> Timestamp {
    let whole = slot_after(uid, INTERVAL, now);
    if whole - SHORTENED > now { whole - SHORTENED } else { whole }
}

#[tokio::test]
async fn the_fastest_listener_loses_nothing_through_restarts() {
    let (duration, rate) = scale();
    let world = World::at_rate("marathon", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), rate).await;
    world.account("alice", "20m").await;
    let begin = world.script.now().await.unwrap();
    let end = begin + duration;
    let music = NewGenerator { start_time: Some(begin), end_time: Some(end), ..NewGenerator::steady(7, TRACK * 1000) };
    world.script.add_generator("alice", &music).await.unwrap();
    let mut duty = Duty { operator: world.usual_operator().start().await.unwrap(), absences: Vec::new() };
    let account = world.wait("alice", "a shorter interval", |status| interval(status) == Some("10m")).await;
    let uid = account.uid().unwrap();

    let mut hour = HOUR.iter().cycle();
    let mut slot = next_slot(&uid, world.script.now().await.unwrap() + SignedDuration::from_mins(1));
    while slot < end {
        let trouble = *hour.next().unwrap();
        duty.suffer(&world, trouble, slot).await;
        slot = next_slot(&uid, slot.max(world.script.now().await.unwrap()));
    }
    world.wait_for_time(end).await;

    let plays = world.script.plays("alice").await.unwrap();
    assert_eq!(length(&plays), duration.as_secs() / TRACK);
    world.wait_for_deliveries("alice", &plays).await;
    let total = 2 * length(&plays);
    world.wait("alice", "all deliveries in the status", super::accepted(total)).await;
    let sync = world.sync_of("alice").await;
    assert_eq!((sync.gaps_total, sync.lost_at_most_total, sync.skipped_total, sync.pending_total), (0, 0, 0, 0));
    assert_eq!(sync.interval.unwrap().as_str(), "10m", "shorter all the time");

    let listens = world.script.listens("alice").await.unwrap();
    assert!(listens.iter().all(|listen| listen.received == 1 && listen.forms.len() == 1), "{listens:?}");
    let mut held: Vec<(i64, &str)> = listens
        .iter()
        .map(|listen| (listen.listened_at, listen.track_metadata["track_name"].as_str().unwrap()))
        .collect();
    held.sort_unstable();
    let expected: Vec<(i64, &str)> =
        plays.iter().map(|play| (play.played_time.as_second(), play.title.as_str())).collect();
    assert_eq!(held, expected);

    let reads = world.reads_of("alice").await;
    let times: Vec<Timestamp> = reads.iter().map(|read| read.time).collect();
    let span = reads[reads.len() - 1].time.duration_since(reads[0].time);
    let slots = span.as_secs() / SHORTENED.as_secs() + 2;
    println!(
        "{} plays at two services, lost 0, doubled 0; {} reads in {slots} slots; {} restarts, away for at most {:?}",
        plays.len(),
        reads.len(),
        duty.absences.len(),
        duty.absences.iter().max_by_key(|(away, _)| *away)
    );
    assert!(length(&reads) <= slots, "a slot is read once, also where it is made up: {times:?}");
    assert!(length(&duty.absences) >= duration.as_secs() / 3600 * 4, "{:?}", duty.absences);
}
