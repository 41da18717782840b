//! `reconcile-requested-at`, ten times a second: granted once a minute, and nobody else is late for it.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{Endpoint, NewApp};
use serde_json::json;

use super::LONG;
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

const ACCOUNTS: usize = 40;
/// What all may call in a day: each of forty could be granted six requests.
const DAILY_CALLS: i64 = 500;
const GRANTED: i64 = DAILY_CALLS / (2 * 40);

#[tokio::test]
async fn whoever_asks_ten_times_a_second_is_heard_once_a_minute_and_delays_nobody() {
    // A minute is five seconds.
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("requests", app, 12).await;
    world.patch::<SpotifyApp>("main", json!({"spec": {"quota": {"dailyCalls": DAILY_CALLS}}})).await;
    world.webhook().await;
    let names = world.crowd("listener", ACCOUNTS, "main", "3h").await;
    let _operator =
        world.operator().minimum_interval("5m").flag("minimum-request-interval", "1m").start().await.unwrap();
    for name in &names {
        let is_read = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
            status.sync.as_ref().is_some_and(|sync| sync.last_sync_time.is_some())
        };
        world.wait(name, "read", is_read).await;
    }
    let before = world.script.last_seq().await.unwrap();
    let begin = world.script.now().await.unwrap();
    let mark = world.mark().await;
    // Ten minutes of the test clock.
    let end = begin + SignedDuration::from_mins(10);
    let mut asked = 0;
    while world.script.now().await.unwrap() < end {
        asked += 1;
        world.request("listener-0", &format!("request-{asked}")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let newest = format!("request-{asked}");
    let account = wait_until("the last request to be acknowledged", LONG, async || {
        let account = world.api::<SpotifyAccount>().get("listener-0").await.map_err(|error| error.to_string())?;
        let handled = account.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone());
        if handled.as_ref() == Some(&newest) { Ok(account) } else { Err(format!("{handled:?}")) }
    })
    .await
    .unwrap();
    let requests = account.status.unwrap().requests.unwrap();
    let reads: Vec<_> = world.asked_of_spotify(before).await;
    let of_the_loud: Vec<_> = reads
        .iter()
        .filter(|read| read.endpoint == Endpoint::RecentlyPlayed && read.account.as_deref() == Some("listener-0"))
        .collect();
    println!("{asked} requests, {} granted, {} reads", requests.granted_in_day, of_the_loud.len());
    assert_eq!(requests.granted_in_day, GRANTED, "a day's share of the budget, and no more");
    // One read may have been due anyway.
    assert!(of_the_loud.len() <= usize::try_from(GRANTED).unwrap() + 1, "{of_the_loud:?}");
    for pair in of_the_loud.windows(2) {
        let apart = pair[1].time.duration_since(pair[0].time);
        assert!(apart >= SignedDuration::from_secs(55), "{apart:?} between two that were granted");
    }
    let writes = world.writes(mark).await;
    let of_the_loud = writes.iter().filter(|write| write.name.as_deref() == Some("listener-0")).count();
    assert!(of_the_loud <= 90, "{of_the_loud} writes for {asked} requests");
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let told = wait_until("the refusal to be told", LONG, async || {
        let found = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let told = found.into_iter().filter_map(|event| event.note).find(|note| note.contains("is not granted"));
        told.ok_or_else(|| "nothing".to_owned())
    });
    assert!(told.await.unwrap().contains("set it again after"), "it names when");
    // The budget is kept: every call was reserved before, and no more than a day may hold.
    let app = world.api::<SpotifyApp>().get("main").await.unwrap().status.unwrap();
    let reserved: i64 = app.quota.unwrap().hours.iter().map(|hour| hour.calls).sum();
    let all = world.asked_of_spotify(0).await;
    let calls = i64::try_from(all.iter().filter(|record| record.endpoint != Endpoint::Token).count()).unwrap();
    assert!(calls <= reserved && reserved <= DAILY_CALLS, "{calls} calls, {reserved} reserved");
    // Nobody else was late: each read in its own slots, whose interval the status tells.
    for account in world.everybody().await {
        let status = account.status.unwrap();
        let sync = status.sync.unwrap();
        assert_eq!(status.failures, None);
        let interval = sync.interval.unwrap().duration();
        let name = account.metadata.name.unwrap();
        let last = reads.iter().filter(|read| read.account.as_ref() == Some(&name)).map(|read| read.time).max();
        let last = last.or(sync.last_sync_time.map(|time| time.0)).unwrap();
        let now = world.script.now().await.unwrap();
        assert!(now.duration_since(last) <= interval + SignedDuration::from_mins(2), "{name}: last read at {last}");
    }
}
