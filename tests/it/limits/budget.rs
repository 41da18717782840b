//! A budget of calls a day, shared by forty accounts of mixed listeners, over a day of the real process.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{Delivery, Endpoint, NewApp, NewPlay, Record};
use serde_json::json;

use super::{LONG, is_long};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, condition, told};

const ACCOUNTS: usize = 40;
const DAILY_CALLS: usize = 400;

/// A day: three listeners who skip on every half minute for two hours, some who play in the evening, some all day.
struct Day {
    begin: Timestamp,
    hours: i64,
}

impl Day {
    fn plays(&self, number: usize) -> Vec<Timestamp> {
        let spell = |from_hour: i64, hours: i64, seconds: i64| {
            let begin = self.begin + SignedDuration::from_hours(from_hour);
            let count = (hours.min(self.hours - from_hour) * 3600).max(0) / seconds;
            (1..=count).map(move |play| begin + SignedDuration::from_secs(play * seconds))
        };
        match number {
            0 | 1 => spell(2, 2, 31).collect(),
            2..=7 => spell(3, 4, 200).collect(),
            8..=10 => spell(1, 12, 240).collect(),
            _ => Vec::new(),
        }
    }
}

/// How fast a listener has played before, in seconds from one play to the next: nobody begins as a stranger.
fn pace(number: usize) -> Option<i64> {
    match number {
        0 | 1 => Some(31),
        2..=7 => Some(200),
        8..=10 => Some(240),
        _ => None,
    }
}

/// The most calls in any 24 hours.
fn busiest_day(calls: &[Timestamp]) -> usize {
    let within = |begin: &Timestamp| {
        calls
            .iter()
            .filter(|call| *call >= begin && call.duration_since(*begin) < SignedDuration::from_hours(24))
            .count()
    };
    calls.iter().map(within).max().unwrap_or(0)
}

async fn calls(world: &World) -> Vec<Record> {
    let asked = world.asked_of_spotify(0).await;
    asked.into_iter().filter(|record| record.endpoint != Endpoint::Token).collect()
}

#[tokio::test]
async fn forty_accounts_share_four_hundred_calls_a_day() {
    // The short form is the first hours of that day. Where many tests run, the operator is minutes late by its clock: that
    // no play is lost is for the long form, and for `plan/budget/simulation.rs`, where time is an argument.
    let hours = if is_long() { 26 } else { 2 };
    let rate = 120;
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("budget", app, rate).await;
    world.patch::<SpotifyApp>("main", json!({"spec": {"quota": {"dailyCalls": DAILY_CALLS}}})).await;
    world.webhook().await;
    let names = world.crowd("listener", ACCOUNTS, "main", "20m").await;
    let now = world.script.now().await.unwrap();
    for (number, name) in names.iter().enumerate() {
        if let Some(seconds) = pace(number) {
            let before = (1..=45).map(|play| NewPlay::new(now - SignedDuration::from_secs(3600 + play * seconds)));
            world.script.add_plays(name, &before.collect::<Vec<_>>()).await.unwrap();
        }
    }
    let operator = || world.operator().minimum_interval("5m");
    let first = operator().start().await.unwrap();
    let read = |account: &SpotifyAccount| {
        account
            .status
            .as_ref()
            .and_then(|status| status.sync.as_ref())
            .is_some_and(|sync| sync.last_sync_time.is_some())
    };
    wait_until("everybody to be read once", LONG, async || {
        let missing = world.everybody().await.iter().filter(|account| !read(account)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} missing")) }
    })
    .await
    .unwrap();
    let day = Day { begin: world.script.now().await.unwrap(), hours };
    let mut played: Vec<Vec<String>> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let plays: Vec<NewPlay> = day
            .plays(number)
            .into_iter()
            .map(|time| NewPlay::new(time).titled(format!("{name} at {}", time.as_millisecond()), "The Simulated"))
            .collect();
        played.push(plays.iter().filter_map(|play| play.title.clone()).collect());
        if !plays.is_empty() {
            world.script.add_plays(name, &plays).await.unwrap();
        }
    }
    let halfway = day.begin + SignedDuration::from_hours(hours / 2);
    wait_for_time(&world, halfway).await;
    // Another process counts on.
    drop(first);
    let _second = operator().start().await.unwrap();
    wait_for_time(&world, day.begin + SignedDuration::from_hours(hours)).await;

    let calls = calls(&world).await;
    let times: Vec<Timestamp> = calls.iter().map(|call| call.time).collect();
    let busiest = busiest_day(&times);
    let app = world.wait_app("main", "short of calls", DEADLINE * 2, |status| {
        told(&status.conditions, ConditionType::Ready) == ("False", "BudgetTooSmall")
    });
    let app = app.await;
    let reserved: i64 = app.quota.as_ref().unwrap().hours.iter().map(|hour| hour.calls).sum();
    let accounts = world.everybody().await;
    let told: i64 = accounts
        .iter()
        .filter_map(|account| account.status.as_ref()?.sync.as_ref())
        .map(|sync| sync.lost_at_most_total)
        .sum();
    let delivered: BTreeSet<String> = world.script.deliveries("hook").await.unwrap().iter().filter_map(title).collect();
    // Whatever is missing before a play that arrived was lost; the rest is to be read yet.
    let lost: usize = played
        .iter()
        .map(|titles| {
            let arrived = titles.iter().rposition(|title| delivered.contains(title)).map_or(0, |last| last + 1);
            titles[..arrived].iter().filter(|title| !delivered.contains(*title)).count()
        })
        .sum();
    let message = app.conditions.iter().find(|found| found.type_ == "Ready").unwrap().message.clone();
    println!(
        "{hours} h of {ACCOUNTS} accounts: {} calls, at most {busiest} in 24 h ({reserved} reserved), {} of {} plays delivered so far, lost {lost}; the app says: {message}",
        times.len(),
        played.iter().flatten().filter(|title| delivered.contains(*title)).count(),
        played.iter().map(Vec::len).sum::<usize>(),
    );
    assert!(busiest <= DAILY_CALLS, "{busiest} calls in 24 hours");
    assert!(reserved <= i64::try_from(DAILY_CALLS).unwrap());
    if is_long() {
        assert_eq!((lost, told), (0, 0), "what can be had with so many calls is had");
    }
    assert!(message.contains("raise spec.quota.dailyCalls to"), "{message}");
    for account in accounts {
        let status = account.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Ready), ("True", "Succeeded"), "{:?}", account.metadata.name);
        assert_eq!(condition(&status, ConditionType::Synced), ("True", "BudgetTooSmall"));
    }
}

/// The title of the play that was delivered.
fn title(delivery: &Delivery) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(&delivery.body).ok()?;
    Some(body["track"]["title"].as_str()?.to_owned())
}

async fn wait_for_time(world: &World, time: Timestamp) {
    wait_until(&format!("{time}"), LONG * 4, async || {
        let now = world.script.now().await.map_err(|error| error.to_string())?;
        if now >= time { Ok(()) } else { Err(now.to_string()) }
    })
    .await
    .unwrap();
}
