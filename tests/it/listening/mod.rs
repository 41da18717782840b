//! Hours of listening on the test clock: what is played fast, seldom, while nobody looks, or while suspended.

mod gap;
mod idle;
mod marathon;
mod suspension;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use scrobble_harness::{Operator, wait_until};
use scrobble_operator::api::v1alpha1::{GoDuration, SpotifyAccount, SpotifyAccountStatus, SyncStatus};
use scrobble_simulator::api::{Delivery, Endpoint, NewPlay, Play, Record, RecordFilter};
use serde_json::{Value, json};

use crate::world::{DEADLINE, World, play};

/// The length of the shortest tracks that are played, in seconds.
const TRACK: i64 = 31;
/// `--minimum-interval`, if nothing is said.
const SHORTEST: &str = "5m";

/// The end of a play in milliseconds, and the track.
type Heard = (i64, String);

impl World {
    /// The operator that reads as often as it does if nothing is said.
    fn usual_operator(&self) -> Operator {
        self.operator().minimum_interval(SHORTEST)
    }

    /// The same, so much later.
    fn later_operator(&self, by: SignedDuration) -> Operator {
        let rate = self.clock.as_deref().map(|clock| format!(",{clock}")).unwrap_or_default();
        self.usual_operator().clock(&format!("+{}s{rate}", by.as_secs()))
    }

    /// A listener whose plays go to the webhook alone.
    async fn listener_with_hook(&self, name: &str, interval: &str) {
        self.listener(name).await;
        let mut spec = self.spec(name, interval);
        spec["targets"] = json!([spec["targets"][1]]);
        self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    /// Waits until the simulated clock shows a time.
    async fn wait_for_time(&self, time: Timestamp) {
        wait_until(&format!("{time}"), DEADLINE * 2, async || match self.script.now().await {
            Ok(now) if now >= time => Ok(()),
            Ok(now) => Err(now.to_string()),
            Err(error) => Err(error.to_string()),
        })
        .await
        .unwrap();
    }

    async fn reads_of(&self, listener: &str) -> Vec<Record> {
        self.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(listener)).await.unwrap()
    }

    async fn sync_of(&self, name: &str) -> SyncStatus {
        self.api::<SpotifyAccount>().get(name).await.unwrap().status.unwrap().sync.unwrap()
    }

    /// Adds plays of the shortest tracks, one right after the other; the last one ended `ago` seconds ago.
    async fn play_fast(&self, listener: &str, count: i64, ago: i64) {
        let now = self.script.now().await.unwrap();
        let plays: Vec<NewPlay> = (0..count).rev().map(|number| play(listener, now, ago + TRACK * number)).collect();
        self.script.add_plays(listener, &plays).await.unwrap();
    }

    /// Waits until the webhook holds exactly these plays of a listener, each received once.
    async fn wait_for_deliveries(&self, listener: &str, plays: &[Play]) {
        let expected = heard(plays);
        let what = format!("{} plays of {listener} at the webhook", expected.len());
        let deliveries = wait_until(&what, DEADLINE, async || {
            let found = self.deliveries_of(listener).await;
            let held: Vec<Heard> = found.iter().map(|(heard, _)| heard.clone()).collect();
            if held == expected { Ok(found) } else { Err(difference(&expected, &held)) }
        })
        .await
        .unwrap();
        let once = |delivery: &Delivery| delivery.received == 1 && delivery.accepted == 1 && delivery.forms.len() == 1;
        assert!(deliveries.iter().all(|(_, delivery)| once(delivery)), "{deliveries:?}");
    }

    /// What the webhook holds of a listener, oldest play first.
    async fn deliveries_of(&self, listener: &str) -> Vec<(Heard, Delivery)> {
        let account_id = self.script.account(listener).await.unwrap().account_id;
        let mut found: Vec<(Heard, Delivery)> = Vec::new();
        for delivery in self.script.deliveries("hook").await.unwrap() {
            let body: Value = serde_json::from_str(&delivery.body).unwrap();
            if body["listener"]["spotifyAccountId"] == *account_id {
                let played: Timestamp = body["playedAt"].as_str().unwrap().parse().unwrap();
                let uri = body["track"]["uri"].as_str().unwrap().to_owned();
                found.push(((played.as_millisecond(), uri), delivery));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// The Events of one reason about an object: their types and notes.
    async fn events_of(&self, name: &str, reason: &str) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let about = |event: &Event| {
            let object = event.regarding.as_ref().and_then(|object| object.name.as_deref());
            object == Some(name) && event.reason.as_deref() == Some(reason)
        };
        let listed = events.list(&ListParams::default()).await.unwrap();
        let told = |event: Event| (event.type_.unwrap_or_default(), event.note.unwrap_or_default());
        listed.into_iter().filter(about).map(told).collect()
    }
}

fn heard(plays: &[Play]) -> Vec<Heard> {
    let mut heard: Vec<Heard> =
        plays.iter().map(|play| (play.played_time.as_millisecond(), play.uri.clone())).collect();
    heard.sort();
    heard
}

/// What is missing, what is there too often, in few words.
fn difference(expected: &[Heard], held: &[Heard]) -> String {
    let (wanted, there): (BTreeSet<&Heard>, BTreeSet<&Heard>) = (expected.iter().collect(), held.iter().collect());
    let lost: Vec<usize> =
        expected.iter().enumerate().filter(|(_, one)| !there.contains(one)).map(|(number, _)| number).collect();
    let foreign = there.difference(&wanted).count();
    let doubled = held.len() - there.len();
    format!(
        "{} of {}: lost {} (by their number: {:?} …), doubled {doubled}, unknown {foreign}",
        held.len(),
        expected.len(),
        lost.len(),
        &lost[..lost.len().min(20)]
    )
}

/// So many plays were accepted, over all targets.
fn accepted(count: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
}

/// The bound of what was lost between the newest play known and the oldest one shown.
fn bound(newest_known: &Play, oldest_shown: &Play) -> i64 {
    let between = oldest_shown.played_time.as_millisecond() - newest_known.played_time.as_millisecond();
    between / 30_000 - 1
}

/// The interval that the status says is in force.
fn interval(status: &SpotifyAccountStatus) -> Option<&str> {
    status.sync.as_ref()?.interval.as_ref().map(GoDuration::as_str)
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap()
}
