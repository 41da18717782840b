//! Who is on duty. The Lease's `renewTime` is kept also without election: it tells the next one from when on nobody
//! read.
//!
//! Leases are about real time. Expiry is judged by this process's own clock, from the last *change seen*, so that a
//! clock of another machine does not matter.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::probes::Contact;
use crate::adapters::kube::lease::LeaseRecord;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::domain::name::ObjectName;
use crate::reconcile::context::Clock;
use crate::reconcile::tenure::Tenure;

/// Between two looks of a standby, where the time between two tries is not shorter: whoever gives the Lease back is
/// followed within this, and a look changes nothing.
const LOOK: Duration = Duration::from_secs(1);
/// A process that is told to stop waits so long for the answer to a renewal that has left.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// Giving the Lease back may take so long: a process that holds no tokens has 25 s to end.
const RELEASE: Duration = Duration::from_secs(4);

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
    /// What is heard of the API server meanwhile.
    pub contact: Contact,
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
    /// Waits until the Lease is this process's; none where `stop` came first. Without election it is taken at once, whoever
    /// holds it. A write that has left is waited for: nobody else would give back what it took.
    pub async fn acquire(&self, cluster: &Cluster, clock: &dyn Clock, stop: &CancellationToken) -> Option<Held> {
        let mut seen: Option<(LeaseRecord, Instant)> = None;
        loop {
            self.contact.turns();
            let read = tokio::select! {
                () = stop.cancelled() => return None,
                read = self.read(cluster) => read,
            };
            let wait = match read {
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the Lease cannot be read yet");
                    if self.goes_without(&error) {
                        return Some(self.unkept(clock));
                    }
                    self.retry_period
                }
                Ok(current) => {
                    if let Some(held) = self.try_take(cluster, clock, current, &mut seen).await {
                        return Some(held);
                    }
                    self.retry_period.min(LOOK)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
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
        match self.write(cluster, &record).await {
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
            self.contact.turns();
            let attempt = Instant::now();
            if self.elect && attempt >= end {
                return false;
            }
            let left = if self.elect { end.saturating_duration_since(attempt) } else { self.renew_deadline };
            let renewal = tokio::select! {
                renewal = tokio::time::timeout(left, self.renew(cluster, clock, held)) => renewal,
                () = last_answer(stop) => return true,
            };
            wait = match renewal {
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
        match self.write(cluster, &record).await {
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
        match self.read(cluster).await {
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
        let give_back = async {
            let mut held = held;
            loop {
                let left = held.record.clone();
                let record = LeaseRecord { holder: None, renew_time: Some(off_duty), duration_seconds: 1, ..left };
                match self.write(cluster, &record).await {
                    // A renewal whose answer was not waited for has come through.
                    Err(ClusterError::Conflict { .. })
                        if matches!(self.read_again(cluster, &mut held).await, Renewal::Again) => {}
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the Lease could not be given back");
                        return;
                    }
                    Ok(_) => return,
                }
            }
        };
        if tokio::time::timeout(RELEASE, give_back).await.is_err() {
            tracing::warn!("the Lease could not be given back in time: it runs out");
        }
    }

    async fn read(&self, cluster: &Cluster) -> Result<Option<LeaseRecord>, ClusterError> {
        let answer = cluster.lease(&self.lease).await;
        self.contact.note("get", &answer);
        answer
    }

    async fn write(&self, cluster: &Cluster, record: &LeaseRecord) -> Result<LeaseRecord, ClusterError> {
        let verb = if record.resource_version.is_empty() { "create" } else { "update" };
        let answer = cluster.write_lease(&self.lease, record).await;
        self.contact.note(verb, &answer);
        answer
    }
}

/// Returns some time after `stop`.
async fn last_answer(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_ANSWER).await;
}

fn whole_seconds(duration: Duration) -> i32 {
    let rounded_up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i32::try_from(rounded_up.clamp(1, 86_400)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::runtime::clock::OperatorClock;

    fn election() -> Election {
        Election {
            lease: ObjectName::new("music", "operator"),
            holder: "one".to_owned(),
            elect: true,
            lease_duration: Duration::from_secs(35),
            renew_deadline: Duration::from_secs(30),
            retry_period: Duration::from_secs(5),
            contact: Contact::default(),
        }
    }

    fn lease(holder: &str) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "operator", "namespace": "music", "resourceVersion": "8"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 35},
        }))
    }

    /// A server on which somebody has the Lease, and where a write of it takes a moment.
    async fn server(holder: &str) -> (MockServer, Cluster) {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(lease(holder)).mount(&server).await;
        let slow = lease("one").set_delay(Duration::from_millis(200));
        Mock::given(method("PUT")).respond_with(slow).mount(&server).await;
        let cluster = cluster(&server);
        (server, cluster)
    }

    fn cluster(server: &MockServer) -> Cluster {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        Cluster::new(client, "tests".to_owned())
    }

    #[tokio::test]
    async fn a_renewal_that_came_through_unanswered_does_not_keep_the_lease_from_being_given_back() {
        let server = MockServer::start().await;
        let conflict = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Conflict", "code": 409,
        });
        let conflict = ResponseTemplate::new(409).set_body_json(conflict);
        Mock::given(method("PUT")).respond_with(conflict).up_to_n_times(1).mount(&server).await;
        Mock::given(method("PUT")).respond_with(lease("")).mount(&server).await;
        Mock::given(method("GET")).respond_with(lease("one")).mount(&server).await;
        let clock = OperatorClock::system();
        let held = election().unkept(&clock);
        let held = Held { record: LeaseRecord { resource_version: "7".to_owned(), ..held.record }, ..held };
        election().release(&cluster(&server), held, clock.real_now()).await;
        let requests = server.received_requests().await.unwrap();
        let sent: Vec<serde_json::Value> =
            requests.iter().filter_map(|request| serde_json::from_slice(&request.body).ok()).collect();
        let versions: Vec<&serde_json::Value> = sent.iter().map(|body| &body["metadata"]["resourceVersion"]).collect();
        assert_eq!(versions, ["7", "8"]);
        assert!(sent.iter().all(|body| body["spec"].get("holderIdentity").is_none()), "{sent:?}");
    }

    async fn wait_for(server: &MockServer, verb: &str) {
        while !server.received_requests().await.unwrap().iter().any(|request| request.method.as_str() == verb) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn asked_to_end_while_its_write_is_under_way_it_has_the_lease_to_give_back() {
        let (server, cluster) = server("").await;
        let (election, clock, stop) = (election(), OperatorClock::system(), CancellationToken::new());
        let asked = async {
            wait_for(&server, "PUT").await;
            stop.cancel();
        };
        let (held, ()) = tokio::join!(election.acquire(&cluster, &clock, &stop), asked);
        assert_eq!(held.unwrap().record.holder.as_deref(), Some("one"));
    }

    #[tokio::test]
    async fn asked_to_end_while_somebody_else_is_on_duty_it_ends() {
        let (server, cluster) = server("two").await;
        let (election, clock, stop) = (election(), OperatorClock::system(), CancellationToken::new());
        let asked = async {
            wait_for(&server, "GET").await;
            stop.cancel();
        };
        let (held, ()) = tokio::join!(election.acquire(&cluster, &clock, &stop), asked);
        assert!(held.is_none());
    }
}
