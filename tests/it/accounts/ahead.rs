//! Refreshes ahead of time: the read need not wait, and nothing is refreshed more often for it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use scrobble_harness::{AuditEntry, Operator, wait_until};
use scrobble_operator::api::condition::whole_seconds;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_operator::domain::digest::TokenDigest;
use scrobble_operator::domain::token::RefreshToken;
use scrobble_operator::domain::token_secret::Claim;
use scrobble_operator::plan::refresh::LEAD;
use scrobble_operator::plan::slot::slot_after;
use scrobble_simulator::api::{Effect, Endpoint, NewApp, NewFault, Record, RecordFilter};
use serde_json::json;

use super::cost::{from_commit_to_status, words};
use super::tokens;
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, ready};

/// Every other read needs another token, which it finds with a minute or half of one left on the old one.
const INTERVAL: SignedDuration = SignedDuration::from_secs(90);
const LIFE: i64 = 240;
const BUFFER: &str = "95s";

async fn world(test: &str) -> World {
    let app = NewApp { access_token_seconds: LIFE, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate(test, app, 8).await;
    world.account("alice", "90s").await;
    world
}

fn operator(world: &World) -> Operator {
    world.operator().flag("refresh-buffer", BUFFER)
}

/// Requests of a listener to Spotify after this one: refreshes and reads, in their order.
async fn requests(world: &World, listener: &str, since: u64) -> Vec<Record> {
    let all = world.script.requests(&RecordFilter::default().of(listener).since(since)).await.unwrap();
    all.into_iter().filter(|record| matches!(record.endpoint, Endpoint::Token | Endpoint::RecentlyPlayed)).collect()
}

/// Waits until a listener's requests after this one hold so many refreshes, and a read after the last of them.
async fn wait_for_refreshes(world: &World, listener: &str, since: u64, count: usize) -> Vec<Record> {
    wait_until(&format!("{count} refreshes and a read"), DEADLINE * 2, async || {
        let found = requests(world, listener, since).await;
        let refreshes = found.iter().filter(|record| record.endpoint == Endpoint::Token).count();
        let read = found.last().is_some_and(|record| record.endpoint == Endpoint::RecentlyPlayed);
        if refreshes >= count && read { Ok(found) } else { Err(format!("{refreshes} refreshes")) }
    })
    .await
    .unwrap()
}

/// The slot that a read belongs to.
fn slot_of(uid: &str, read: &Record) -> Timestamp {
    slot_after(uid, INTERVAL, read.time - INTERVAL)
}

async fn account(world: &World) -> SpotifyAccount {
    world.api::<SpotifyAccount>().get("alice").await.unwrap()
}

#[tokio::test]
async fn the_read_finds_a_fresh_token_and_a_restart_neither_repeats_nor_skips_the_refresh() {
    let world = world("ahead-of-reads").await;
    let mut process = operator(&world).start().await.unwrap();
    let uid = world.wait_ready("alice", "True", "Succeeded").await.uid().unwrap();
    // The first ones are for whatever the first read, which has no slot, leaves over.
    wait_for_refreshes(&world, "alice", 0, 2).await;

    let (mark, seq) = (world.mark().await, world.script.last_seq().await.unwrap());
    let shown = account(&world).await.status.unwrap().token.unwrap().next_refresh_time.unwrap().0;
    let records = wait_for_refreshes(&world, "alice", seq, 3).await;
    let mut refreshes = Vec::new();
    for (number, refresh) in records.iter().enumerate().filter(|(_, record)| record.endpoint == Endpoint::Token) {
        let read = &records[number + 1];
        assert_eq!(read.endpoint, Endpoint::RecentlyPlayed, "{records:?}");
        let slot = slot_of(&uid, read);
        assert!(refresh.time < slot && slot <= read.time, "{} is not ahead of {slot}: {records:?}", refresh.time);
        refreshes.push((refresh.time, slot));
    }
    assert_eq!(whole_seconds(refreshes[0].1 - LEAD).0, shown, "as was shown");
    let writes: Vec<_> = world.writes(mark).await;
    let told: Vec<String> = writes.iter().map(words).collect();
    let refresh = ["patch secrets alice-spotify", "patch secrets alice-spotify", "patch spotifyaccounts/status alice"];
    assert!(told.len() >= 9 && told.iter().zip(refresh.iter().cycle()).all(|(told, one)| told == one), "{told:?}");
    let waits = from_commit_to_status(&writes, "alice");
    println!("refreshes and their slots: {refreshes:?}; from commit to status: {waits:?} ms");
    assert!(waits.iter().all(|wait| *wait < 1_000), "{waits:?}");

    // A process that comes after a refresh and before its read does not refresh again.
    let seq = world.script.last_seq().await.unwrap();
    wait_until("the next refresh", DEADLINE, async || {
        let found = requests(&world, "alice", seq).await;
        found.iter().any(|record| record.endpoint == Endpoint::Token).then_some(())
    })
    .await
    .unwrap();
    assert!(process.terminate().await.unwrap().success());
    process.restart().await.unwrap();
    let records = wait_for_refreshes(&world, "alice", seq, 1).await;
    let refreshed = records.iter().position(|record| record.endpoint == Endpoint::Token).unwrap();
    let later: Vec<Endpoint> = records[refreshed..].iter().map(|record| record.endpoint).collect();
    assert_eq!(later, [Endpoint::Token, Endpoint::RecentlyPlayed], "{records:?}");
}

#[tokio::test]
async fn a_refresh_ahead_that_fails_leaves_the_read_in_its_slot() {
    let world = world("ahead-fails").await;
    let _operator = operator(&world).start().await.unwrap();
    let uid = world.wait_ready("alice", "True", "Succeeded").await.uid().unwrap();
    wait_for_refreshes(&world, "alice", 0, 2).await;

    let fault = NewFault::new(Effect::status(503));
    world.script.add_fault(&fault.at(Endpoint::Token).times(1)).await.unwrap();
    let seq = world.script.last_seq().await.unwrap();
    let failed = world
        .wait("alice", "a refresh that failed", |status| {
            status.failures.as_ref().is_some_and(|failures| failures.consecutive == 1)
        })
        .await
        .status
        .unwrap();
    assert_eq!(ready(&failed), ("True", "Succeeded"));
    assert_eq!(failed.failures.unwrap().next_attempt_time, None, "reads are on schedule");
    let records = wait_for_refreshes(&world, "alice", seq, 2).await;
    let refresh = records.iter().position(|record| record.endpoint == Endpoint::Token).unwrap();
    let (refresh, read) = (&records[refresh], &records[refresh + 1]);
    assert_eq!((refresh.status, read.endpoint, read.status), (Some(503), Endpoint::RecentlyPlayed, Some(200)));
    let slot = slot_of(&uid, read);
    assert!(refresh.time < slot, "{records:?}");
    assert!(failed.token.unwrap().next_refresh_time.unwrap().0 > slot, "not before the read");
    let last = records.last().unwrap();
    assert_eq!((last.endpoint, last.status), (Endpoint::RecentlyPlayed, Some(200)), "{records:?}");
    world.wait("alice", "no failure", |status| status.failures.is_none()).await;
}

/// How many refreshes these reads need if each comes just before the read that needs it.
fn just_in_time(records: &[Record]) -> usize {
    let (life, buffer) = (SignedDuration::from_hours(1), SignedDuration::from_mins(5));
    let mut expires_at = Timestamp::MIN;
    let reads = records.iter().filter(|record| record.endpoint == Endpoint::RecentlyPlayed);
    reads
        .filter(|read| {
            let stale = expires_at.duration_since(read.time) <= buffer;
            if stale {
                expires_at = read.time + life;
            }
            stale
        })
        .count()
}

#[tokio::test]
async fn a_day_takes_no_more_refreshes_than_just_in_time() {
    let world = World::at_rate("ahead-a-day", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 1_440).await;
    world.account("alice", "20m").await;
    world.account("bob", "3h").await;
    let _operator = world.operator().minimum_interval("5m").start().await.unwrap();
    for name in ["alice", "bob"] {
        world.wait_ready(name, "True", "Succeeded").await;
    }
    let end = world.script.now().await.unwrap() + SignedDuration::from_hours(24);
    wait_until("a day to pass", Duration::from_mins(3), async || (world.script.now().await.ok()? >= end).then_some(()))
        .await
        .unwrap();
    for (name, at_least) in [("alice", 40), ("bob", 5)] {
        let records = requests(&world, name, 0).await;
        let refreshes = records.iter().filter(|record| record.endpoint == Endpoint::Token).count();
        let (reads, needed) = (records.len() - refreshes, just_in_time(&records));
        println!("{name}: {reads} reads, {refreshes} refreshes, just in time {needed}");
        assert!(reads >= at_least, "{records:?}");
        // The last one may be for a read that is still to come.
        assert!(refreshes <= needed + 1, "{refreshes} refreshes, just in time {needed}");
        let ahead = account_of(&world, name).await.status.unwrap().token.unwrap();
        assert!(ahead.next_refresh_time.is_some() && ahead.expiry_time.is_some(), "{ahead:?}");
    }
}

async fn account_of(world: &World, name: &str) -> SpotifyAccount {
    world.api::<SpotifyAccount>().get(name).await.unwrap()
}

#[tokio::test]
async fn a_foreign_claim_is_looked_at_less_and_less_often_whatever_the_clock() {
    // Ten minutes pass in each second: waits for others are no part of that.
    let world = World::at_rate("ahead-claimed", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 600).await;
    world.account("alice", "1h").await;
    let token = tokens::text(&world, "alice-spotify", "refresh-token").await.unwrap();
    let uid = account(&world).await.uid().unwrap();
    let now = scrobble_simulator::Clock::real().now();
    let claim = Claim {
        holder: "somebody-else".to_owned(),
        id: "a-claim".to_owned(),
        claimed_time: now,
        deadline_time: now + SignedDuration::from_secs(20),
        token: TokenDigest::of(&uid, &RefreshToken::new(token)).as_str().to_owned(),
        account: String::new(),
    };
    let claim = serde_json::to_string(&claim).unwrap();
    tokens::put(&world, "alice", json!({"scrobble-operator.claim": claim})).await;
    let mark = world.mark().await;
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;

    world.plane.audit().settle(&world.client).await.unwrap();
    let (entries, _) = world.plane.audit().entries_in(&world.namespace, mark).unwrap();
    let user = world.installation.user();
    let of_secret = entries.iter().filter(|entry| {
        entry.user == user && entry.is_about("secrets") && entry.name.as_deref() == Some("alice-spotify")
    });
    let before: Vec<&AuditEntry> = of_secret.take_while(|entry| !entry.is_write()).collect();
    println!("{} looks while the claim stood", before.len());
    assert!((2..=12).contains(&before.len()), "{} looks: {before:?}", before.len());
}
