//! When accounts were read, as the simulator's log tells.

#![allow(clippy::cast_precision_loss, reason = "counts and bytes of a benchmark fit a double")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use scrobble_simulator::api::{Endpoint, Record};

use crate::numbers::{percentile, seconds};

/// Reads of accounts and deliveries to targets.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// When each account was read, oldest first.
    times: BTreeMap<String, Vec<Timestamp>>,
    /// Plays that the webhook took for the first time.
    pub delivered: u64,
    /// Requests to the services that were not answered well.
    pub failed: u64,
}

impl Reads {
    /// Takes more of the log, in its order.
    pub fn extend(&mut self, records: Vec<Record>) {
        for record in records {
            self.failed += u64::from(record.status.is_none_or(|status| status >= 400));
            match record.endpoint {
                Endpoint::RecentlyPlayed => {
                    self.times.entry(record.account.unwrap_or_default()).or_default().push(record.real_time);
                }
                Endpoint::Webhook => self.delivered += record.facts.items_new.unwrap_or(0),
                _ => {}
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.times.values().map(|times| times.len() as u64).sum()
    }

    /// How many different accounts were read.
    pub fn accounts(&self) -> u64 {
        self.times.len() as u64
    }

    /// Those in a time.
    #[must_use]
    pub fn within(&self, begin: Timestamp, length: Duration) -> Self {
        let end = end(begin, length);
        let inside = |(name, times): (&String, &Vec<Timestamp>)| {
            let times: Vec<_> = times.iter().copied().filter(|time| (begin..end).contains(time)).collect();
            (!times.is_empty()).then(|| (name.clone(), times))
        };
        Self { times: self.times.iter().filter_map(inside).collect(), ..Self::default() }
    }

    /// How far two successive reads of one account were from being the interval apart, in seconds: the value below which
    /// this share of them lies.
    pub fn deviation(&self, interval: Duration, share: f64) -> Option<f64> {
        let pairs = self.times.values().flat_map(|times| times.windows(2));
        let deviation = |pair: &[Timestamp]| match pair {
            [one, next] => Some((seconds(next.duration_since(*one)) - interval.as_secs_f64()).abs()),
            _ => None,
        };
        percentile(&pairs.filter_map(deviation).collect::<Vec<_>>(), share)
    }

    /// The most reads of any second since `begin`, and the mean of so long a time.
    pub fn peak_and_mean(&self, begin: Timestamp, length: Duration) -> (u64, f64) {
        let mut of_second: BTreeMap<i64, u64> = BTreeMap::new();
        for time in self.times.values().flatten() {
            *of_second.entry(time.duration_since(begin).as_secs()).or_default() += 1;
        }
        (of_second.values().copied().max().unwrap_or(0), self.count() as f64 / length.as_secs_f64())
    }

    /// Accounts of this list that were not read.
    pub fn missing(&self, names: &BTreeSet<String>) -> u64 {
        names.iter().filter(|name| !self.times.contains_key(*name)).count() as u64
    }
}

fn end(begin: Timestamp, length: Duration) -> Timestamp {
    begin.checked_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn time(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + milliseconds).unwrap()
    }

    fn record(endpoint: &str, account: &str, milliseconds: i64, more: serde_json::Value) -> Record {
        let mut record = json!({
            "seq": 1, "time": time(milliseconds), "real_time": time(milliseconds), "endpoint": endpoint,
            "method": "GET", "path": "/", "account": account, "status": 200, "acted": true, "body_bytes": 0,
        });
        let fields = record.as_object_mut().unwrap();
        fields.extend(more.as_object().cloned().unwrap_or_default());
        serde_json::from_value(record).unwrap()
    }

    fn read(account: &str, milliseconds: i64) -> Record {
        record("recently-played", account, milliseconds, json!({}))
    }

    #[test]
    fn lateness_is_how_far_two_reads_are_from_an_interval() {
        let mut reads = Reads::default();
        reads.extend(vec![read("a", 0), read("b", 500), read("a", 10_000), read("b", 11_500), read("a", 19_750)]);
        let interval = Duration::from_secs(10);
        assert_eq!(reads.deviation(interval, 0.01), Some(0.0));
        assert_eq!(reads.deviation(interval, 0.5), Some(0.25), "early is told as well as late");
        assert_eq!(reads.deviation(interval, 1.0), Some(1.0));
        assert_eq!(Reads::default().deviation(interval, 0.5), None);
    }

    #[test]
    fn the_peak_is_that_of_a_second() {
        let mut reads = Reads::default();
        reads.extend(vec![read("a", 100), read("b", 900), read("c", 999), read("a", 1_000), read("b", 5_000)]);
        assert_eq!(reads.peak_and_mean(time(0), Duration::from_secs(10)), (3, 0.5));
        let first = reads.within(time(0), Duration::from_secs(1));
        assert_eq!((first.count(), first.accounts()), (3, 3));
        let names = ["a", "b", "c", "d"].map(str::to_owned).into();
        assert_eq!((first.missing(&names), reads.within(time(1_000), Duration::from_secs(9)).missing(&names)), (1, 2));
    }

    #[test]
    fn deliveries_and_failures_are_counted() {
        let mut reads = Reads::default();
        reads.extend(vec![
            record("webhook", "hook", 0, json!({"items_new": 1})),
            record("webhook", "hook", 1, json!({"items_new": 0})),
            record("token", "a", 2, json!({"status": 503})),
            record("recently-played", "a", 3, json!({"status": null})),
        ]);
        assert_eq!((reads.delivered, reads.failed, reads.count()), (1, 2, 1));
    }
}
