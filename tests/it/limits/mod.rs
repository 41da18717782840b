//! Limits that many accounts share: Spotify's own, and those the operator keeps so as not to meet them.

mod budget;
mod gates;
mod outage;
mod premium;
mod requests;

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::api::ListParams;
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Endpoint, Record, RecordFilter};
use serde_json::json;

use crate::world::{World, ready};

/// For what many accounts do, each after the other.
const LONG: Duration = Duration::from_mins(4);

/// Whether the long form of these tests was asked for: with the numbers that are promised, and in real time.
#[expect(clippy::disallowed_methods, reason = "how tests are asked for their long form")]
fn is_long() -> bool {
    std::env::var("SCROBBLE_OPERATOR_LIMITS").is_ok_and(|value| value == "full")
}

impl World {
    /// Many accounts of one app, read as often as `interval` says, which deliver to the webhook.
    async fn crowd(&self, prefix: &str, count: usize, app: &str, interval: &str) -> Vec<String> {
        let names: Vec<String> = (0..count).map(|number| format!("{prefix}-{number}")).collect();
        for some in names.chunks(10) {
            join_all(some.iter().map(async |name| {
                self.listener(name).await;
                let spec = json!({
                    "appRef": {"name": app}, "tokenSecretRef": {"name": format!("{name}-spotify")},
                    "sync": {"interval": interval}, "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
                });
                self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
            }))
            .await;
        }
        names
    }

    /// All accounts of this world.
    async fn everybody(&self) -> Vec<SpotifyAccount> {
        self.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until `Ready` of all accounts has this status and reason.
    async fn wait_until_all(&self, status: &str, reason: &str) -> Vec<SpotifyAccount> {
        wait_until(&format!("everybody to be Ready={status}/{reason}"), LONG, async || {
            let found = self.everybody().await;
            let says = |account: &&SpotifyAccount| {
                account.status.as_ref().is_some_and(|known| ready(known) == (status, reason))
            };
            let count = found.iter().filter(says).count();
            if count == found.len() { Ok(found) } else { Err(format!("{count} of {}", found.len())) }
        })
        .await
        .unwrap()
    }

    /// Every request that Spotify got since one, those to its token endpoint among them.
    async fn asked_of_spotify(&self, since: u64) -> Vec<Record> {
        let all = RecordFilter { since: Some(since), ..RecordFilter::default() };
        let asked = self.script.requests(&all).await.unwrap();
        let of_spotify = |endpoint| matches!(endpoint, Endpoint::Token | Endpoint::Me | Endpoint::RecentlyPlayed);
        asked.into_iter().filter(|record| of_spotify(record.endpoint)).collect()
    }
}

/// The most requests in one second, and the mean, from the first to the last of them.
fn busiest_second(times: &[Timestamp]) -> (usize, f64) {
    let seconds: Vec<i64> = times.iter().map(|time| time.as_second()).collect();
    let busiest = seconds.iter().map(|second| seconds.iter().filter(|other| *other == second).count()).max();
    let span = seconds.iter().max().zip(seconds.iter().min()).map_or(1, |(last, first)| last - first + 1);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let mean = times.len() as f64 / span as f64;
    (busiest.unwrap_or(0), mean)
}
