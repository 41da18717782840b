//! What follows from what was measured: costs of one sync and of one account.

use crate::numbers::{each, with_news};
use crate::trial::Figures;
use crate::window::Window;

/// Seconds to milliseconds.
const MILLI: f64 = 1_000.0;

impl Figures {
    /// The subject's CPU time for a sync without news, in milliseconds.
    pub fn cpu_idle(&self) -> Option<f64> {
        self.idle_cost(|window| window.subject * MILLI)
    }

    /// The same for a sync with one play for two targets.
    pub fn cpu_news(&self) -> Option<f64> {
        self.news_cost(|window| window.subject * MILLI)
    }

    /// The CPU time of API server and etcd for a sync without news, in milliseconds; what they use by themselves apart.
    pub fn servers_idle(&self) -> Option<f64> {
        self.idle_cost(self.servers())
    }

    /// The same for a sync with one play for two targets.
    pub fn servers_news(&self) -> Option<f64> {
        self.news_cost(self.servers())
    }

    /// Requests to the API server for a sync without news.
    pub fn requests_idle(&self) -> Option<f64> {
        self.idle_cost(requests)
    }

    /// The same for a sync with one play for two targets.
    pub fn requests_news(&self) -> Option<f64> {
        self.news_cost(requests)
    }

    /// Requests to the API server that change something, for a sync without news.
    pub fn writes_idle(&self) -> Option<f64> {
        self.idle_cost(writes)
    }

    /// The same for a sync with one play for two targets.
    pub fn writes_news(&self) -> Option<f64> {
        self.news_cost(writes)
    }

    /// Requests to the API server until every account was read once, for each account.
    pub fn first_requests(&self) -> Option<f64> {
        each(requests(&self.cold), self.accounts)
    }

    /// Those of them that change something.
    pub fn first_writes(&self) -> Option<f64> {
        each(writes(&self.cold), self.accounts)
    }

    /// The subject's CPU time until every account was read once, for each account, in milliseconds.
    pub fn first_cpu(&self) -> Option<f64> {
        each(self.cold.subject * MILLI, self.accounts)
    }

    /// The subject's CPU time in the first interval after a restart, for each account, in milliseconds, beyond that of its
    /// syncs.
    pub fn restart_cpu(&self) -> Option<f64> {
        let syncs = count(self.restart.reads.count()) * self.cpu_idle()?;
        each(self.restart.subject * MILLI - syncs, self.accounts)
    }

    /// Requests to the API server in the first interval after a restart, for each account.
    pub fn restart_requests(&self) -> Option<f64> {
        each(requests(&self.restart), self.accounts)
    }

    /// Reads in the first interval after a restart, for each account.
    pub fn restart_reads(&self) -> Option<f64> {
        each(count(self.restart_reads), self.accounts)
    }

    /// The most that the simulator has used of one processor in any window, as a share.
    pub fn simulator_load(&self) -> f64 {
        self.most(|window| window.simulator)
    }

    /// The most that other programs of the machine have used in any window, in processors.
    pub fn others_load(&self) -> f64 {
        self.most(|window| window.others)
    }

    fn most(&self, of: fn(&Window) -> f64) -> f64 {
        let windows = [&self.cold, &self.idle, &self.news, &self.restart];
        windows.into_iter().filter_map(|window| share(of(window), window)).fold(0.0, f64::max)
    }

    /// What API server and etcd used in a window beyond what they use by themselves, in milliseconds.
    fn servers(&self) -> impl Fn(&Window) -> f64 {
        let base = share(self.base.servers, &self.base).unwrap_or(0.0);
        move |window| (window.servers - base * window.length) * MILLI
    }

    fn idle_cost(&self, of: impl Fn(&Window) -> f64) -> Option<f64> {
        each(of(&self.idle), self.idle.reads.count())
    }

    fn news_cost(&self, of: impl Fn(&Window) -> f64) -> Option<f64> {
        let idle = self.idle_cost(&of)?;
        with_news(of(&self.news), self.news.reads.count(), self.news.reads.delivered, idle)
    }
}

fn requests(window: &Window) -> f64 {
    count(window.requests.total())
}

fn writes(window: &Window) -> f64 {
    count(window.requests.writes())
}

fn share(time: f64, window: &Window) -> Option<f64> {
    (window.length > 0.0).then(|| time / window.length)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark fit a double")]
fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
pub mod tests {
    use scrobble_simulator::api::Record;
    use serde_json::json;

    use super::*;
    use crate::process::Memory;
    use crate::reads::Reads;
    use crate::requests::Requests;

    /// So many reads, and deliveries to the webhook.
    fn reads(count: u64, delivered: u64) -> Reads {
        let record = |endpoint: &str, number: u64| -> Record {
            let time = format!("2026-11-28T10:00:{:02}Z", number % 60);
            let mut record = json!({
                "seq": number, "time": time, "real_time": time, "endpoint": endpoint, "method": "GET", "path": "/",
                "account": format!("listener-{number}"), "status": 200, "acted": true, "body_bytes": 0,
            });
            if endpoint == "webhook" {
                record["items_new"] = json!(1);
            }
            serde_json::from_value(record).unwrap()
        };
        let mut reads = Reads::default();
        reads.extend((0..count).map(|number| record("recently-played", number)).collect());
        reads.extend((0..delivered).map(|number| record("webhook", number)).collect());
        reads
    }

    fn patches(count: u64) -> Requests {
        let labels = r#"resource="spotifyaccounts",subresource="status",verb="PATCH""#;
        Requests::parse(&format!("apiserver_request_total{{{labels}}} {count}\n"))
    }

    /// 100 accounts: 1 ms a sync without news, 3 ms with; API server and etcd use 0.1 processors, and 2 ms and 12 ms more.
    pub fn sample() -> Figures {
        let window = |subject: f64, servers: f64, requests: u64, count: u64, delivered: u64| Window {
            length: 10.0,
            subject,
            servers,
            simulator: 0.5,
            others: 2.0,
            requests: patches(requests),
            reads: reads(count, delivered),
        };
        Figures {
            accounts: 100,
            alone: Some(Memory { now: 12 << 20, peak: 14 << 20 }),
            memory: Memory { now: 20 << 20, peak: 21 << 20 },
            base: window(0.0, 1.0, 0, 0, 0),
            cold: window(0.6, 3.0, 500, 100, 0),
            idle: window(0.1, 1.2, 0, 100, 0),
            news: window(0.35, 2.3, 100, 150, 100),
            deviation: [Some(0.01), Some(0.2)],
            drained: 0.2,
            listed: 0.5,
            restart: window(0.25, 1.0, 3, 100, 0),
            restart_reads: 101,
            restart_peak: 1.4,
            unread: 0,
            ready: 100,
            complaints: 0,
        }
    }

    fn assert_is(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?} is not {expected}");
    }

    #[test]
    fn a_sync_costs_what_is_beyond_the_idle_control_plane() {
        let figures = sample();
        assert_is(figures.cpu_idle(), 1.0);
        assert_is(figures.cpu_news(), 3.0);
        assert_is(figures.servers_idle(), 2.0);
        assert_is(figures.servers_news(), 12.0);
        assert_is(figures.requests_idle(), 0.0);
        assert_is(figures.writes_news(), 1.0);
    }

    #[test]
    fn what_is_shared_by_all_accounts_is_told_for_each() {
        let figures = sample();
        assert_is(figures.first_requests(), 5.0);
        assert_is(figures.first_cpu(), 6.0);
        assert_is(figures.restart_cpu(), 1.5);
        assert_is(figures.restart_reads(), 1.01);
        assert_is(Some(figures.simulator_load()), 0.05);
        assert_is(Some(figures.others_load()), 0.2);
    }

    #[test]
    fn nothing_is_told_of_what_was_not_measured() {
        let figures = Figures::default();
        assert_eq!((figures.cpu_idle(), figures.cpu_news(), figures.first_requests()), (None, None, None));
    }
}
