//! Requests that leave the process, counted by what the answer says.

use std::time::{Duration, Instant};

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::series::Series;
use super::words::{ApiClass, Class};
use crate::adapters::http::Witness;
use crate::adapters::kube::requests::{ApiRequest, ApiWitness};
use crate::domain::answer::Trouble;

/// Requests of one kind. Counting takes no look-up of labels.
pub struct Calls {
    counts: [Counter; Class::ALL.len()],
    seconds: Option<Histogram>,
}

impl Calls {
    /// Every class of a kind of request, from the start.
    pub(super) fn new(counts: &Series<Counter>, seconds: Option<Histogram>, labels: &[&'static str]) -> Self {
        let with = |class: Class| [labels, &[class.as_str()]].concat();
        Self { counts: Class::ALL.map(|class| counts.of(&with(class))), seconds }
    }

    /// Runs one request and counts it; `class` says what the answer says, if it left.
    pub async fn counted<T>(&self, request: impl Future<Output = T>, class: impl Fn(&T) -> Option<Class>) -> T {
        let started = Instant::now();
        let answer = request.await;
        self.count(class(&answer), started.elapsed());
        answer
    }

    fn count(&self, class: Option<Class>, took: Duration) {
        let Some(class) = class else { return };
        self.counts[class as usize].inc();
        if let Some(seconds) = &self.seconds {
            seconds.observe(took.as_secs_f64());
        }
    }
}

impl Witness for Calls {
    fn ended(&self, answer: Result<StatusCode, &Trouble>, took: Duration) {
        self.count(answer.map_or_else(Class::of_trouble, |status| Some(Class::of_status(status))), took);
    }
}

/// Requests to the API server.
pub struct ApiCalls {
    counts: Series<Counter>,
}

/// What the operator is known to send, each to be seen from the start.
const KNOWN: [(&str, &str); 24] = [
    ("get", "secrets"),
    ("create", "secrets"),
    ("patch", "secrets"),
    ("get", "spotifyaccounts"),
    ("list", "spotifyaccounts"),
    ("patch", "spotifyaccounts"),
    ("patch", "spotifyaccounts/status"),
    ("get", "spotifyapps"),
    ("list", "spotifyapps"),
    ("patch", "spotifyapps/status"),
    ("get", "scrobbletargets"),
    ("list", "scrobbletargets"),
    ("patch", "scrobbletargets/status"),
    ("get", "scrobbleplans"),
    ("list", "scrobbleplans"),
    ("patch", "scrobbleplans/status"),
    ("list", "namespaces"),
    ("create", "events"),
    ("patch", "events"),
    ("get", "leases"),
    ("create", "leases"),
    ("update", "leases"),
    ("create", "tokenreviews"),
    ("create", "subjectaccessreviews"),
];

impl ApiCalls {
    pub(super) fn new(counts: Series<Counter>) -> Self {
        for (verb, resource) in KNOWN {
            for class in ApiClass::ALL {
                counts.of(&[verb, resource, class.as_str()]);
            }
        }
        Self { counts }
    }
}

impl ApiWitness for ApiCalls {
    fn answered(&self, request: ApiRequest, status: Option<StatusCode>) {
        self.counts.of(&[request.verb, request.resource, ApiClass::of(status).as_str()]).inc();
    }
}
