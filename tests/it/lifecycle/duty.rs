//! Who was on duty when: what was written into the Lease, as the API server's audit log has it.

use jiff::Timestamp;
use scrobble_harness::AuditEntry;
use scrobble_harness::audit::Marker;

use crate::world::World;

/// One process's time on duty.
#[derive(Clone, Debug)]
pub struct Tenure {
    /// Who.
    pub holder: String,
    /// How often the Lease had changed hands by then.
    pub transitions: i64,
    /// When the write that took it arrived.
    pub acquired: Timestamp,
    /// Whether the Lease was nobody's just before: it was given back, or new.
    pub was_free: bool,
    /// When the last write of this holder arrived.
    pub renewed: Timestamp,
    /// When it was given back: from when on there was no work any more, and when the write arrived.
    pub released: Option<(Timestamp, Timestamp)>,
}

/// The time between two tenures.
#[derive(Clone, Copy, Debug)]
pub struct HandOver {
    /// From when on the one took no more work.
    pub off_duty: Timestamp,
    /// When it gave the Lease back.
    pub released: Timestamp,
    /// When the other had it.
    pub acquired: Timestamp,
}

/// All tenures since a mark, oldest first.
pub async fn tenures(world: &World, since: Marker) -> Vec<Tenure> {
    let audit = world.plane.audit();
    audit.settle(&world.client).await.unwrap();
    let (mut entries, _) = audit.entries_in(&world.namespace, since).unwrap();
    let user = world.installation.user();
    entries.retain(|entry| entry.user == user && entry.resource == "leases" && entry.is_write());
    entries.sort_by_key(|entry| entry.received_time);
    let mut tenures: Vec<Tenure> = Vec::new();
    for entry in entries {
        let spec = &entry.request.as_ref().unwrap()["spec"];
        let before = tenures.last_mut();
        match (spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty()), before) {
            (None, Some(before)) => {
                let off_duty = spec["renewTime"].as_str().unwrap().parse().unwrap();
                before.released = Some((off_duty, entry.received_time));
            }
            (Some(holder), Some(before)) if before.holder == holder && before.released.is_none() => {
                before.renewed = entry.received_time;
            }
            (Some(holder), before) => {
                let was_free = before.is_none_or(|before| before.released.is_some());
                tenures.push(begun(holder, &entry, was_free));
            }
            (None, None) => panic!("nobody's Lease is given back: {entry:?}"),
        }
    }
    tenures
}

fn begun(holder: &str, entry: &AuditEntry, was_free: bool) -> Tenure {
    let spec = &entry.request.as_ref().unwrap()["spec"];
    Tenure {
        holder: holder.to_owned(),
        transitions: spec["leaseTransitions"].as_i64().unwrap(),
        acquired: entry.received_time,
        was_free,
        renewed: entry.received_time,
        released: None,
    }
}

/// What lies between tenures, each of which was given back and none of which had to run out.
pub fn hand_overs(tenures: &[Tenure]) -> Vec<HandOver> {
    for pair in tenures.windows(2) {
        assert!(pair[1].was_free, "taken over from somebody who had not given it back: {tenures:#?}");
        assert_ne!(pair[0].holder, pair[1].holder);
        assert_eq!(pair[1].transitions, pair[0].transitions + 1, "{tenures:#?}");
    }
    let between = tenures.windows(2).map(|pair| {
        let (off_duty, released) = pair[0].released.unwrap();
        HandOver { off_duty, released, acquired: pair[1].acquired }
    });
    between.collect()
}

impl HandOver {
    /// The line that tells it.
    pub fn line(&self) -> String {
        let milliseconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_millis();
        format!(
            "hand-over: {} ms to finish, {} ms until the next one has it",
            milliseconds(self.off_duty, self.released),
            milliseconds(self.released, self.acquired)
        )
    }

    /// Whether nobody was on duty at this time.
    pub fn is_at(&self, time: Timestamp) -> bool {
        self.released < time && time < self.acquired
    }
}
