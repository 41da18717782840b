//! Who is on duty. The Lease's `renewTime` is kept also without election: it tells the next one from when on nobody
//! read.
//!
//! Leases are about real time. Expiry is judged by this process's own clock, from the last *change seen*, so that a
//! clock of another machine does not matter.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::adapters::kube::lease::LeaseRecord;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::domain::name::ObjectName;
use crate::reconcile::context::Clock;

/// How the Lease is held.
#[derive(Clone, Debug)]
pub struct Election {
    /// The Lease.
    pub lease: ObjectName,
    /// This process.
    pub holder: String,
    /// Whether the Lease has to be won; else it is only kept.
    pub elect: bool,
    /// For how long after a renewal nobody else takes it.
    pub lease_duration: Duration,
    /// Without a renewal for this long the holder stops.
    pub renew_deadline: Duration,
    /// The time between two tries.
    pub retry_period: Duration,
}

/// The Lease is this process's.
pub struct Held {
    record: LeaseRecord,
    /// Until when somebody is known to have been on duty before, in real time.
    pub before_until: Option<Timestamp>,
}

impl Election {
    /// Waits until the Lease is this process's. Without election it is taken at once, whoever holds it.
    pub async fn acquire(&self, cluster: &Cluster, clock: &dyn Clock) -> Held {
        let mut seen: Option<(LeaseRecord, Instant)> = None;
        loop {
            match cluster.lease(&self.lease).await {
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the Lease cannot be read yet"),
                Ok(current) => {
                    if let Some(held) = self.try_take(cluster, clock, current, &mut seen).await {
                        return held;
                    }
                }
            }
            tokio::time::sleep(self.retry_period).await;
        }
    }

    async fn try_take(
        &self,
        cluster: &Cluster,
        clock: &dyn Clock,
        current: Option<LeaseRecord>,
        seen: &mut Option<(LeaseRecord, Instant)>,
    ) -> Option<Held> {
        if let Some(current) = &current {
            let changed = seen.as_ref().is_none_or(|(known, _)| known != current);
            if changed {
                *seen = Some((current.clone(), Instant::now()));
            }
            let theirs =
                Duration::from_secs(u64::try_from(current.duration_seconds).unwrap_or(0)).max(self.lease_duration);
            let silent = seen.as_ref().is_some_and(|(_, since)| since.elapsed() > theirs);
            let held_by_other = current.holder.as_ref().is_some_and(|holder| *holder != self.holder);
            if self.elect && held_by_other && !silent {
                return None;
            }
        }
        let before_until = current.as_ref().and_then(|current| current.renew_time);
        let now = clock.real_now();
        let record = LeaseRecord {
            holder: Some(self.holder.clone()),
            acquire_time: Some(now),
            renew_time: Some(now),
            duration_seconds: whole_seconds(self.lease_duration),
            transitions: current.as_ref().map_or(0, |current| current.transitions.saturating_add(1)),
            resource_version: current.map(|current| current.resource_version).unwrap_or_default(),
        };
        match cluster.write_lease(&self.lease, &record).await {
            Ok(record) => Some(Held { record, before_until }),
            Err(ClusterError::Conflict { .. }) => None,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the Lease cannot be written yet");
                None
            }
        }
    }

    /// Renews the Lease until `stop`; returns early, with false, where it was lost. Work has to end then, before the
    /// Lease can be somebody else's.
    pub async fn keep(&self, cluster: &Cluster, clock: &dyn Clock, held: &mut Held, stop: &CancellationToken) -> bool {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return true,
                () = tokio::time::sleep(self.retry_period) => {}
            }
            let attempt = Instant::now();
            let left = self.renew_deadline.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.renew(cluster, clock, held)).await {
                Ok(true) => renewed = attempt,
                Ok(false) if self.elect => return false,
                Ok(false) => {}
                Err(_) if self.elect => return false,
                // Without election nobody else takes it: what counts is that it is written again.
                Err(_) => renewed = Instant::now(),
            }
            if self.elect && renewed.elapsed() >= self.renew_deadline {
                return false;
            }
        }
    }

    /// Renews once. False: the Lease is somebody else's.
    async fn renew(&self, cluster: &Cluster, clock: &dyn Clock, held: &mut Held) -> bool {
        let record = LeaseRecord { renew_time: Some(clock.real_now()), ..held.record.clone() };
        match cluster.write_lease(&self.lease, &record).await {
            Ok(record) => held.record = record,
            Err(ClusterError::Conflict { .. } | ClusterError::NotFound { .. }) => {
                return self.read_again(cluster, held).await;
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the Lease could not be renewed"),
        }
        true
    }

    async fn read_again(&self, cluster: &Cluster, held: &mut Held) -> bool {
        match cluster.lease(&self.lease).await {
            Ok(Some(current)) if !self.elect || current.holder.as_ref() == Some(&self.holder) => {
                held.record.resource_version = current.resource_version;
                true
            }
            Ok(None) => {
                held.record.resource_version = String::new();
                true
            }
            Ok(Some(_)) => false,
            Err(_) => true,
        }
    }

    /// Gives the Lease back. `off_duty` is when this process took no more work.
    pub async fn release(&self, cluster: &Cluster, held: Held, off_duty: Timestamp) {
        let record = LeaseRecord { holder: None, renew_time: Some(off_duty), duration_seconds: 1, ..held.record };
        if let Err(error) = cluster.write_lease(&self.lease, &record).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the Lease could not be given back");
        }
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs_f64().ceil().clamp(1.0, 86_400.0) as i64).unwrap_or(1)
}
