//! The owner of an app has no Premium: Spotify answers no account of the app (Web API reference, "Quota modes", changes of
//! February 2026). It says so plainly, so that one answer opens the app's breaker; one request an hour asks whether that has
//! changed. That it is open for this is read from the app's `Ready`: nothing else is stored.

use jiff::{SignedDuration, Timestamp};

use super::breaker;
use super::client::Standing;
use super::failure::Failure;
use super::problem::Problem;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{BreakerLimits, BreakerState, SpotifyAppStatus};

/// "It can take a few hours before requests are allowed again": nobody asks more often than this.
const PROBE: SignedDuration = SignedDuration::from_hours(1);

/// Whether an app's status says that its breaker is open for this.
pub(super) fn is_told(status: &SpotifyAppStatus) -> bool {
    let open = status.circuit_breaker.as_ref().is_some_and(|breaker| breaker.state != BreakerState::Closed);
    let ready = find_condition(&status.conditions, ConditionType::Ready);
    open && ready.is_some_and(|ready| ready.reason == Reason::AppOwnerNotPremium.as_str())
}

/// What is told on the app before anything else that may be wrong with it, for it is read there again.
pub(super) fn problem(standing: &Standing) -> Option<Problem> {
    let until = standing.outage_until().filter(|_| standing.unpaid)?;
    let (failure, message) = told("the app", until);
    Some(Problem::of(failure, message))
}

/// What its owner has to do, and when it shows.
pub(super) fn told(app: &str, until: Timestamp) -> (Failure, String) {
    let failure = Failure::AppOwnerNotPremium;
    let remedy = failure.facts().remedy;
    (failure, format!("Spotify asks that the owner of {app} has Premium: {remedy}; one request probes at {until:.0}"))
}

impl Standing {
    /// Spotify has just said that the owner has no Premium. Where that is known it stays as it is until the time of the
    /// probe.
    #[must_use]
    pub fn unpaid(&self, now: Timestamp) -> Self {
        if self.refused.is_some() || (self.unpaid && self.outage_until().is_some_and(|until| until > now)) {
            return self.clone();
        }
        let before = self.breaker.as_ref().filter(|_| self.unpaid);
        let hourly = BreakerLimits { failure_threshold: 1, probe_after: PROBE, max_probe_after: PROBE };
        Self { breaker: Some(breaker::opened(before, hourly, now)), unpaid: true, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::{RefusedClientStatus, SpotifyApp, SpotifyAppSpec};
    use crate::plan::app::settle;

    fn start() -> Timestamp {
        Timestamp::from_second(1_795_000_000).unwrap()
    }

    #[test]
    fn one_answer_opens_the_breaker_and_one_request_an_hour_probes() {
        let minutes = SignedDuration::from_mins;
        let known = Standing::default().unpaid(start());
        assert_eq!(known.outage_until(), Some(start() + minutes(60)));
        assert_eq!(known.unpaid(start() + minutes(59)), known, "an answer to a request that left before");
        let again = known.unpaid(start() + minutes(61));
        assert_eq!(again.outage_until(), Some(start() + minutes(121)));
        let breaker = again.breaker.clone().unwrap();
        assert_eq!((breaker.trips, breaker.opened_time), (2, known.breaker.clone().unwrap().opened_time));
        assert_eq!(again.back(), Standing::default());
        let refused = Standing { refused: Some(RefusedClientStatus::default()), ..Standing::default() };
        assert_eq!(refused.unpaid(start()), refused, "the credentials come first");
    }

    #[test]
    fn the_apps_status_tells_it_and_a_restart_reads_it_there() {
        let mut app = SpotifyApp::new("main", SpotifyAppSpec::default());
        let known = Standing::default().unpaid(start());
        let status = settle(&app, &Ok(()), &known, 3, None, start());
        for (kind, expected) in [(ConditionType::Ready, "False"), (ConditionType::Stalled, "True")] {
            let told = find_condition(&status.conditions, kind).unwrap();
            assert_eq!((told.status.as_str(), told.reason.as_str()), (expected, "AppOwnerNotPremium"));
            assert!(told.message.contains("the owner must subscribe"), "{}", told.message);
        }
        app.status = Some(status);
        assert_eq!(Standing::of(&app), known);
        let well = settle(&app, &Ok(()), &known.back(), 3, None, start());
        assert!(find_condition(&well.conditions, ConditionType::Stalled).is_none() && well.circuit_breaker.is_none());
    }
}
