//! Who rests costs one read in each interval, and no more, also while the operator is restarted.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_operator::plan::slot::slot_after;
use scrobble_simulator::api::{NewApp, Record};

use super::{interval, length};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

/// Simulated seconds in a real one.
const RATE: u32 = 240;
/// For how long nobody plays.
const REST: SignedDuration = SignedDuration::from_hours(5);
const RESTARTS: usize = 6;

struct Listener {
    name: &'static str,
    uid: String,
    interval: SignedDuration,
}

impl Listener {
    /// The slot at a time or before it.
    fn slot_at(&self, time: Timestamp) -> Timestamp {
        slot_after(&self.uid, self.interval, time - self.interval)
    }

    /// Each slot at most once; and each in whose time nobody was away.
    fn check(&self, reads: &[Record], end: Timestamp, absences: &[(Timestamp, Timestamp)]) {
        // The first read comes when the account is seen.
        let begin = reads[0].time;
        let times: Vec<Timestamp> = reads[1..].iter().map(|read| read.time).filter(|time| *time < end).collect();
        let mut slots = Vec::new();
        let mut slot = slot_after(&self.uid, self.interval, begin);
        while slot + self.interval <= end {
            slots.push(slot);
            slot += self.interval;
        }
        let mut read: Vec<Timestamp> = times.iter().map(|time| self.slot_at(*time)).collect();
        let count = read.len();
        read.dedup();
        assert_eq!(read.len(), count, "{}: a slot was read twice: {times:?}, absences: {absences:?}", self.name);
        assert!(read.iter().all(|slot| *slot > begin), "{}: read twice at the start: {times:?}", self.name);
        for slot in &slots {
            let disturbed = absences.iter().any(|(from, to)| *from < *slot + self.interval && *to > *slot);
            assert!(disturbed || read.contains(slot), "{}: {slot} was left out: {times:?}", self.name);
        }
        println!("{}: {} reads in {} slots", self.name, count, slots.len());
        let most = end.duration_since(begin).as_secs() / self.interval.as_secs() + 1;
        assert!(length(&times) <= most, "{}: {count} reads, {most} at most", self.name);
    }
}

/// From just before a slot until just after it.
fn away_over(slot: Timestamp) -> (Timestamp, Timestamp) {
    (slot - SignedDuration::from_secs(30), slot + SignedDuration::from_secs(1))
}

#[tokio::test]
async fn who_rests_is_read_once_in_each_interval() {
    let world = World::at_rate("idle", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), RATE).await;
    world.webhook().await;
    let mut listeners = Vec::new();
    for (name, asked, minutes) in [("alice", "20m", 20), ("bob", "1h", 60)] {
        world.listener_with_hook(name, asked).await;
        let uid = world.api::<SpotifyAccount>().get(name).await.unwrap().uid().unwrap();
        listeners.push(Listener { name, uid, interval: SignedDuration::from_mins(minutes) });
    }
    // Alice has played fast, long ago; of bob nothing is known.
    world.play_fast("alice", 30, 3 * 3600).await;
    let mut operator = world.usual_operator().start().await.unwrap();
    let begin = world.script.now().await.unwrap();
    for listener in &listeners {
        world.wait_ready(listener.name, "True", "Succeeded").await;
    }

    let mut absences = Vec::new();
    for number in 0..RESTARTS {
        let now = world.script.now().await.unwrap();
        let minutes = SignedDuration::from_mins;
        // In turns over a slot of either listener, and at any time.
        let (from, until) = match number % 3 {
            0 => away_over(listeners[0].slot_at(now + minutes(40))),
            1 => away_over(listeners[1].slot_at(now + minutes(60))),
            _ => (now + minutes(25), now),
        };
        world.wait_for_time(from).await;
        let from = world.script.now().await.unwrap();
        assert!(operator.terminate().await.unwrap().success());
        world.wait_for_time(until).await;
        operator.restart().await.unwrap();
        absences.push((from, world.script.now().await.unwrap()));
    }
    let end = world.script.now().await.unwrap().max(begin + REST) + SignedDuration::from_hours(1);
    world.wait_for_time(end).await;
    for listener in &listeners {
        listener.check(&world.reads_of(listener.name).await, end, &absences);
        let status = world.api::<SpotifyAccount>().get(listener.name).await.unwrap().status.unwrap();
        let asked = if listener.name == "alice" { "20m" } else { "1h" };
        assert_eq!(interval(&status), Some(asked));
        assert_eq!(status.sync.unwrap().gaps_total, 0);
    }
}
