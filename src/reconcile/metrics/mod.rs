//! What `/metrics` tells: counters of this process, and what the watched objects say at the time of a scrape. Counting
//! changes nothing, and takes no look-up where it happens often.

mod accounts;
mod apps;
mod calls;
mod exposition;
pub mod names;
mod passes;
mod series;
pub mod store;
pub mod tables;
pub mod words;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use calls::{ApiCalls, Calls};
pub use exposition::Format;
pub use passes::{Pass, Passes};

use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus, TargetType};
use crate::domain::answer::{Delivery, Submission};
use crate::plan::observed::Observed;
use crate::plan::schedule::Due;
use crate::plan::step::{RefreshOutcome, TargetProgress};
use crate::plan::{Lookup, Settled};
use exposition::{append, end, gauges};
use series::{counter, counters, histograms};
use store::Seen;
use words::{RefreshWord, SpotifyEndpoint, TargetEndpoint};

/// Seconds of a request: a neighbour's answer up to the longest deadline.
const REQUEST_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
/// Seconds of lateness: most reads are within one; from a few minutes on somebody may lose plays.
const LATENESS_BUCKETS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    /// Passes over objects.
    pub passes: Passes,
    /// Requests to the API server.
    pub api: Arc<ApiCalls>,
    /// Requests to notification webhooks.
    pub notifications: Arc<Calls>,
    spotify: [Calls; SpotifyEndpoint::ALL.len()],
    targets: [[Arc<Calls>; TargetEndpoint::ALL.len()]; TargetType::ALL.len()],
    lateness: Histogram,
    refreshes: [Counter; RefreshWord::ALL.len()],
    rotations: Counter,
    plays_read: Counter,
    plays_skipped: Counter,
    plays_delivered: [Counter; TargetType::ALL.len()],
    plays_refused: [Counter; TargetType::ALL.len()],
}

/// What this process knows of itself at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Whether it is on duty.
    pub leader: bool,
    /// Token exchanges whose tokens are not stored yet.
    pub exchanges: usize,
}

/// What was built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The version.
    pub version: &'static str,
    /// The source's revision.
    pub revision: &'static str,
    /// The compiler.
    pub rustc: &'static str,
}

impl Metrics {
    /// Every series whose labels are known, at zero.
    pub fn new(build: Build) -> Self {
        let mut registry = Registry::default();
        let requests = || Histogram::new(REQUEST_BUCKETS);
        let passes = Passes::new(&mut registry);
        let Build { version, revision, rustc } = build;
        let labels: Vec<_> = names::BUILD.labels.iter().copied().zip([version, revision, rustc]).collect();
        registry.register(names::BUILD.family(), names::BUILD.help, Info::new(labels));
        let lateness = Histogram::new(LATENESS_BUCKETS);
        registry.register(names::LATENESS.family(), names::LATENESS.help, lateness.clone());

        let counts = counters(&mut registry, &names::SPOTIFY_REQUESTS);
        let seconds = histograms(&mut registry, &names::SPOTIFY_SECONDS, requests);
        let spotify = SpotifyEndpoint::ALL.map(|endpoint| {
            let labels = [endpoint.as_str()];
            Calls::new(&counts, Some(seconds.of(&labels)), &labels)
        });
        let counts = counters(&mut registry, &names::TARGET_REQUESTS);
        let seconds = histograms(&mut registry, &names::TARGET_SECONDS, requests);
        let targets = TargetType::ALL.map(|target| {
            TargetEndpoint::ALL.map(|endpoint| {
                let labels = [target.as_str(), endpoint.as_str()];
                Arc::new(Calls::new(&counts, Some(seconds.of(&labels)), &labels))
            })
        });
        let counts = counters(&mut registry, &names::NOTIFICATION_REQUESTS);
        let notifications = Arc::new(Calls::new(&counts, None, &[]));
        let api = Arc::new(ApiCalls::new(counters(&mut registry, &names::KUBERNETES_REQUESTS)));
        let refreshes = counters(&mut registry, &names::REFRESHES);
        let refreshes = RefreshWord::ALL.map(|word| refreshes.of(&[word.as_str()]));
        let rotations = counter(&mut registry, &names::ROTATIONS);
        let plays_read = counter(&mut registry, &names::PLAYS_READ);
        let plays_skipped = counter(&mut registry, &names::PLAYS_SKIPPED);
        let delivered = counters(&mut registry, &names::PLAYS_DELIVERED);
        let plays_delivered = TargetType::ALL.map(|target| delivered.of(&[target.as_str()]));
        let refused = counters(&mut registry, &names::PLAYS_REFUSED);
        let plays_refused = TargetType::ALL.map(|target| refused.of(&[target.as_str()]));
        Self {
            registry,
            passes,
            api,
            notifications,
            spotify,
            targets,
            lateness,
            refreshes,
            rotations,
            plays_read,
            plays_skipped,
            plays_delivered,
            plays_refused,
        }
    }

    /// Requests to Spotify.
    pub fn spotify(&self, endpoint: SpotifyEndpoint) -> &Calls {
        &self.spotify[endpoint as usize]
    }

    /// Requests to scrobble services.
    pub fn target(&self, target: TargetType, endpoint: TargetEndpoint) -> Arc<Calls> {
        Arc::clone(&self.targets[target as usize][endpoint as usize])
    }

    /// A read began that was scheduled, so long after its time.
    pub fn late(&self, by: SignedDuration) {
        self.lateness.observe(by.as_secs_f64());
    }

    /// A refresh ended.
    pub fn refreshed(&self, outcome: &RefreshOutcome) {
        if let Some(word) = RefreshWord::of(outcome) {
            self.refreshes[word as usize].inc();
        }
        if matches!(outcome, RefreshOutcome::Refreshed { rotated: true, .. }) {
            self.rotations.inc();
        }
    }

    /// A target answered to plays.
    pub fn delivered(&self, target: TargetType, done: &TargetProgress) {
        let deliveries = done.submissions.iter().filter_map(|(_, submission)| match submission {
            Submission::Each(deliveries) => Some(deliveries),
            Submission::BatchRefused => None,
        });
        let taken = |delivery: &&Delivery| matches!(delivery, Delivery::Accepted | Delivery::AlreadyThere);
        let count = deliveries.flatten().filter(taken).count();
        self.plays_delivered[target as usize].inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A pass came to a status.
    pub fn settled(&self, account: &SpotifyAccount, observed: &Observed, settled: &Settled) {
        self.plays_read.inc_by(settled.keeping.as_ref().map_or(0, |keeping| keeping.new_plays));
        let before = account.status.as_ref();
        let skipped = |status: &SpotifyAccountStatus| status.sync.as_ref().map_or(0, |sync| sync.skipped_total);
        self.plays_skipped.inc_by(more(before.map_or(0, skipped), skipped(&settled.status)));
        for entry in &observed.targets {
            let Lookup::Found(target) = &entry.target else { continue };
            let refused = |status: &SpotifyAccountStatus| status.target(&entry.entry).map_or(0, |of| of.quarantined);
            let more = more(before.map_or(0, refused), refused(&settled.status));
            self.plays_refused[target.spec.target_type as usize].inc_by(more);
        }
    }

    /// All of it, in one form; of the objects what `seen` has, and of single accounts as far as `bound` goes.
    pub fn render(&self, format: Format, standing: Standing, seen: Option<&Seen<'_>>, bound: Option<usize>) -> String {
        let accounts = seen.map_or(0, |seen| seen.accounts.len());
        // About so many bytes an account has: one allocation instead of twenty.
        let mut out = String::with_capacity(64 * 1024 + accounts.min(bound.unwrap_or(0)) * 1100);
        let mut encoded = String::with_capacity(32 * 1024);
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut encoded, &self.registry);
        append(&mut out, &encoded, format);
        let omitted = seen.map_or(0, |seen| store::write(&mut out, seen, bound));
        gauges(&mut out, &names::LEADER, [("", i64::from(standing.leader))]);
        gauges(&mut out, &names::EXCHANGES, [("", count(standing.exchanges))]);
        gauges(&mut out, &names::OMITTED, [("", count(omitted))]);
        end(&mut out, format);
        out
    }
}

/// How long after its time a scheduled read begins; none where nothing was scheduled. What was held until some time could
/// not have begun before.
pub fn lateness(due: Due, held_until: Option<Timestamp>, now: Timestamp) -> Option<SignedDuration> {
    match due {
        // A read that somebody asked for is due at this very moment.
        Due::Read(time) if time < now => {
            let time = held_until.map_or(time, |until| until.max(time));
            Some(now.duration_since(time).max(SignedDuration::ZERO))
        }
        _ => None,
    }
}

fn more(before: i64, after: i64) -> u64 {
    u64::try_from(after.saturating_sub(before)).unwrap_or(0)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
