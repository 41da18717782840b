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
use crate::reconcile::tenure::Tenure;

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
    /// When the last write of it that went through was begun: it is valid from then on at the latest.
    renewed: Instant,
    /// Until when somebody is known to have been on duty before, in real time.
    pub before_until: Option<Timestamp>,
}

/// How a renewal ended.
enum Renewal {
    /// It is renewed.
    Done,
    /// Somebody else wrote it, and it is still ours: to be tried at once.
    Again,
    /// The API server did not take it.
    NotYet,
    /// It is somebody else's.
    Lost,
}

impl Election {
    /// Waits until the Lease is this process's. Without election it is taken at once, whoever holds it.
    pub async fn acquire(&self, cluster: &Cluster, clock: &dyn Clock) -> Held {
        let mut seen: Option<(LeaseRecord, Instant)> = None;
        loop {
            match cluster.lease(&self.lease).await {
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the Lease cannot be read yet");
                    if self.goes_without(&error) {
                        return self.unkept(clock);
                    }
                }
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
        let renewed = Instant::now();
        let record = self.taken(now, current);
        match cluster.write_lease(&self.lease, &record).await {
            Ok(record) => Some(Held { record, renewed, before_until }),
            Err(ClusterError::Conflict { .. }) => None,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the Lease cannot be written yet");
                self.goes_without(&error).then(|| self.unkept(clock))
            }
        }
    }

    /// Where nothing has to be won, a Lease that may not be kept keeps nobody from working: slots that fall while no
    /// operator runs are then not made up.
    fn goes_without(&self, error: &ClusterError) -> bool {
        !self.elect && matches!(error, ClusterError::Forbidden { .. } | ClusterError::NotFound { .. })
    }

    fn unkept(&self, clock: &dyn Clock) -> Held {
        Held { record: self.taken(clock.real_now(), None), renewed: Instant::now(), before_until: None }
    }

    /// The Lease as this process takes it over, or creates it.
    fn taken(&self, now: Timestamp, current: Option<LeaseRecord>) -> LeaseRecord {
        LeaseRecord {
            holder: Some(self.holder.clone()),
            acquire_time: Some(now),
            renew_time: Some(now),
            duration_seconds: whole_seconds(self.lease_duration),
            transitions: current.as_ref().map_or(0, |current| current.transitions.saturating_add(1)),
            resource_version: current.map(|current| current.resource_version).unwrap_or_default(),
        }
    }

    /// Renews the Lease until `stop`; returns early, with false, where it was lost. Work has to end then, before the
    /// Lease can be somebody else's.
    pub async fn keep(
        &self,
        cluster: &Cluster,
        clock: &dyn Clock,
        held: &mut Held,
        tenure: &Tenure,
        stop: &CancellationToken,
    ) -> bool {
        let mut wait = self.retry_period;
        loop {
            // The end is the renewal's own: a process that was paused has not a single request left.
            let end = held.renewed + self.renew_deadline;
            if self.elect {
                tenure.lasts_until(end);
            }
            tokio::select! {
                () = stop.cancelled() => return true,
                () = tokio::time::sleep(wait) => {}
            }
            let attempt = Instant::now();
            if self.elect && attempt >= end {
                return false;
            }
            let left = if self.elect { end.saturating_duration_since(attempt) } else { self.renew_deadline };
            wait = match tokio::time::timeout(left, self.renew(cluster, clock, held)).await {
                Ok(Renewal::Done) => {
                    held.renewed = attempt;
                    self.retry_period
                }
                Ok(Renewal::Again) => Duration::ZERO,
                Ok(Renewal::Lost) => return false,
                Err(_) if self.elect => return false,
                Ok(Renewal::NotYet) | Err(_) => self.retry_period,
            };
        }
    }

    /// Renews once.
    async fn renew(&self, cluster: &Cluster, clock: &dyn Clock, held: &mut Held) -> Renewal {
        let record = LeaseRecord { renew_time: Some(clock.real_now()), ..held.record.clone() };
        match cluster.write_lease(&self.lease, &record).await {
            Ok(record) => {
                held.record = record;
                Renewal::Done
            }
            Err(ClusterError::Conflict { .. } | ClusterError::NotFound { .. }) => self.read_again(cluster, held).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the Lease could not be renewed");
                Renewal::NotYet
            }
        }
    }

    async fn read_again(&self, cluster: &Cluster, held: &mut Held) -> Renewal {
        match cluster.lease(&self.lease).await {
            Ok(Some(current)) if !self.elect || current.holder.as_ref() == Some(&self.holder) => {
                held.record.resource_version = current.resource_version;
                Renewal::Again
            }
            Ok(None) => {
                held.record.resource_version = String::new();
                Renewal::Again
            }
            Ok(Some(_)) => Renewal::Lost,
            Err(_) => Renewal::NotYet,
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
    let rounded_up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i32::try_from(rounded_up.clamp(1, 86_400)).unwrap_or(1)
}
