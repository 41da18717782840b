//! Six months of an authorization, under the test clock: what is shown, what is said, and how often.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use scrobble_harness::OperatorProcess;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_operator::plan::slot::slot_after;
use scrobble_simulator::api::{NewAccount, NewApp, RecordFilter};
use serde_json::json;

use super::cost::words;
use super::tokens;
use crate::api::columns::table;
use crate::world::{CLIENT_ID, CLIENT_SECRET, World, condition, ready};

const EXPIRING: &str = "AuthorizationExpiring";

fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * number)
}

fn connect(world: &World, name: &str) -> String {
    format!("scrobble-operator connect --namespace {} --account {name}", world.namespace)
}

/// A world in which Spotify ends authorizations after so many days.
async fn world(test: &str, lifetime: u32) -> World {
    let app = NewApp { authorization_lifetime_days: Some(lifetime), ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    World::with_app(test, app).await
}

/// An account whose listener authorized the app at a time, which the Secret tells if that is wanted.
async fn account(world: &World, name: &str, authorized: Timestamp, told: bool, interval: &str) {
    let settings = NewAccount { authorized_time: Some(authorized), ..NewAccount::new(name, CLIENT_ID) };
    world.listener_as(settings).await;
    if told {
        tokens::put(world, name, json!({"authorized-at": authorized.to_string()})).await;
    }
    world.listenbrainz(name).await;
    let mut spec = world.spec(name, interval);
    spec["targets"].as_array_mut().unwrap().truncate(1);
    world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
}

/// The warnings about an account: each note, and how often it was said.
async fn warnings(world: &World, name: &str) -> BTreeMap<String, i32> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut said = BTreeMap::new();
    for event in events.list(&ListParams::default()).await.unwrap() {
        let about = event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(name);
        if about && event.reason.as_deref() == Some(EXPIRING) {
            assert_eq!(event.type_.as_deref(), Some("Warning"));
            *said.entry(event.note.unwrap_or_default()).or_default() += event.series.map_or(1, |series| series.count);
        }
    }
    said
}

/// The operator, so many days after now.
async fn start(world: &World, day: i64) -> OperatorProcess {
    world.operator().clock(&format!("+{day}d")).start().await.unwrap()
}

/// Asks for a pass and waits for what came of it.
async fn visited(world: &World, name: &str, token: &str) -> SpotifyAccountStatus {
    world.request(name, token).await;
    let handled = |status: &SpotifyAccountStatus| status.last_handled_reconcile_at.as_deref() == Some(token);
    world.wait(name, &format!("an answer to {token}"), handled).await.status.unwrap()
}

fn message(status: &SpotifyAccountStatus, kind: ConditionType) -> String {
    find_condition(&status.conditions, kind).map(|found| found.message.clone()).unwrap_or_default()
}

/// The cells of an account's row, wide.
async fn row(world: &World, name: &str) -> BTreeMap<String, String> {
    let narrow = world.plane.kubectl(&["-n", &world.namespace, "get", "spotifyaccounts"]).await.unwrap().stdout;
    let wide = world.plane.kubectl(&["-n", &world.namespace, "get", "spotifyaccounts", "-o", "wide"]).await.unwrap();
    let mut wide = table(&wide.stdout)[name].clone();
    for (heading, cell) in &table(&narrow)[name] {
        if heading != "AGE" {
            assert_eq!(wide.get(heading), Some(cell), "{heading}");
        }
    }
    wide.remove("AGE");
    wide
}

/// What a day shows: the reason of Authorized while Spotify accepts the token, a part of its message, and how many
/// warnings were given by then.
type Day = (i64, &'static str, &'static str, usize);

const DAYS: [Day; 6] = [
    (149, "Succeeded", "Spotify accepts the refresh token", 0),
    (151, EXPIRING, "in less than 30 days", 1),
    (174, EXPIRING, "in less than 7 days", 2),
    (179, EXPIRING, "in less than one day", 3),
    (181, EXPIRING, "a token may outlive them and this one still works", 3),
    (185, "", "", 3),
];

/// Waits until a suspended account has been warned about so often.
async fn wait_until_told(world: &World, name: &str, count: usize) {
    let expected = if count == 0 { "Succeeded" } else { EXPIRING };
    let shown = |status: &SpotifyAccountStatus| {
        condition(status, ConditionType::Authorized) == ("True", expected) && ready(status) == ("False", "Suspended")
    };
    world.wait(name, &format!("Authorized=True/{expected}"), shown).await;
    assert_eq!(row(world, name).await["STATUS"], "Suspended");
    scrobble_harness::wait_until("the Events", crate::world::DEADLINE, async || {
        let said = warnings(world, name).await;
        if said.len() == count { Ok(()) } else { Err(format!("{count} expected: {said:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn half_a_year_is_told_day_by_day_through_restarts() {
    // Spotify accepts the token a little longer than the operator counts.
    let world = world("expiry-days", 183).await;
    let begin = world.script.now().await.unwrap();
    account(&world, "alice", begin, true, "20m").await;
    account(&world, "eve", begin, false, "24h").await;
    account(&world, "sue", begin, true, "20m").await;
    let mut operator = start(&world, 0).await;
    for name in ["alice", "eve", "sue"] {
        world.wait_ready(name, "True", "Succeeded").await;
    }
    let known = |status: SpotifyAccountStatus| status.authorization.unwrap();
    let eve = known(world.api::<SpotifyAccount>().get("eve").await.unwrap().status.unwrap());
    assert!(eve.estimated, "{eve:?}");
    world.patch::<SpotifyAccount>("sue", json!({"spec": {"suspend": true}})).await;
    world.wait_ready("sue", "False", "Suspended").await;

    let mut today = 0;
    for (day, reason, part, count) in DAYS {
        assert!(operator.terminate().await.unwrap().success());
        world.script.advance_clock(days(day - today)).await.unwrap();
        today = day;
        operator = start(&world, day).await;
        for name in ["alice", "eve"] {
            let status = visited(&world, name, &format!("day {day}")).await;
            let authorization = known(status.clone());
            let date = authorization.expiry_time.clone().unwrap().0.strftime("%Y-%m-%d").to_string();
            let shown = if name == "eve" { format!("at the latest {date}") } else { date.clone() };
            if name == "alice" {
                let exact = Timestamp::from_second(begin.as_second()).unwrap();
                assert_eq!(authorization.authorized_time.unwrap().0, exact);
                assert_eq!(authorization.expiry_time.unwrap().0, exact + days(180));
                assert!(!authorization.estimated);
            } else {
                assert_eq!(authorization.authorized_time, eve.authorized_time, "an estimate that stands");
                assert_eq!(authorization.expiry_time, eve.expiry_time);
                assert!(authorization.estimated);
            }
            let row = row(&world, name).await;
            assert_eq!(row["REAUTHORIZE BY"], shown, "day {day}");
            if reason.is_empty() {
                assert_eq!(ready(&status), ("False", "AuthorizationExpired"), "day {day}");
                for kind in [ConditionType::Ready, ConditionType::Authorized, ConditionType::Stalled] {
                    assert!(message(&status, kind).contains(&connect(&world, name)), "{status:?}");
                }
                assert_eq!(condition(&status, ConditionType::Authorized), ("False", "AuthorizationExpired"));
                assert_eq!(condition(&status, ConditionType::Stalled), ("True", "AuthorizationExpired"));
                assert_eq!((row["READY"].as_str(), row["STATUS"].as_str()), ("False", "AuthorizationExpired"));
                assert!(row["MESSAGE"].contains(&connect(&world, name)), "{row:?}");
                // Two where the first pass of the process did not see the request yet.
                assert!(!row["NEXT ATTEMPT"].is_empty() && ["1", "2"].contains(&row["FAILURES"].as_str()), "{row:?}");
            } else {
                assert_eq!(ready(&status), ("True", "Succeeded"), "day {day}");
                assert_eq!(condition(&status, ConditionType::Authorized), ("True", reason), "day {day}");
                assert_eq!(condition(&status, ConditionType::Stalled), ("", ""), "day {day}");
                let message = message(&status, ConditionType::Authorized);
                assert!(message.contains(part), "day {day}: {message}");
                if reason == EXPIRING {
                    assert!(message.contains(&connect(&world, name)) && message.contains(&date), "{message}");
                    assert_eq!(message.contains("at the latest"), name == "eve", "{message}");
                }
                assert_eq!((row["READY"].as_str(), row["STATUS"].as_str()), ("True", "Succeeded"));
                assert_eq!((row["NEXT ATTEMPT"].as_str(), row["CIRCUIT"].as_str()), ("", ""), "{row:?}");
            }
            let said = warnings(&world, name).await;
            assert_eq!(said.len(), count, "day {day}: {said:?}");
            assert!(said.values().all(|times| *times == 1), "day {day}: {said:?}");
        }
        // A suspended account's listener is told, and nothing is asked of Spotify for it.
        wait_until_told(&world, "sue", count).await;

        // The same day once more, for another process.
        assert!(operator.terminate().await.unwrap().success());
        let before = world.api::<SpotifyAccount>().get("alice").await.unwrap().status.unwrap();
        operator = start(&world, day).await;
        if !reason.is_empty() {
            let again = visited(&world, "alice", &format!("day {day}, again")).await;
            let now = |status: &SpotifyAccountStatus| {
                let mut conditions = status.conditions.clone();
                conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
                conditions
            };
            assert_eq!(now(&again), now(&before), "day {day}: no condition moves without cause");
            visited(&world, "eve", &format!("day {day}, again")).await;
        }
        for name in ["alice", "eve", "sue"] {
            let said = warnings(&world, name).await;
            assert!(said.len() == count && said.values().all(|times| *times == 1), "day {day}: {name}: {said:?}");
        }
    }
    let asked = world.script.requests(&RecordFilter::default().of("sue")).await.unwrap();
    let day_one = asked.iter().filter(|record| record.time > begin + days(1)).count();
    assert_eq!(day_one, 0, "nothing is asked for a suspended account: {asked:?}");
}

#[tokio::test]
async fn where_spotify_keeps_to_180_days_the_account_is_expired_on_day_181_and_begins_anew() {
    let world = world("expiry-180", 180).await;
    let begin = world.script.now().await.unwrap();
    account(&world, "alice", begin, true, "20m").await;
    let mut operator = start(&world, 0).await;
    world.wait_ready("alice", "True", "Succeeded").await;

    // Nobody was there on the days of the first two warnings.
    assert!(operator.terminate().await.unwrap().success());
    world.script.advance_clock(days(179)).await.unwrap();
    operator = start(&world, 179).await;
    visited(&world, "alice", "day 179").await;
    let said = warnings(&world, "alice").await;
    assert!(said.len() == 1 && said.keys().all(|note| note.contains("in less than one day")), "{said:?}");

    assert!(operator.terminate().await.unwrap().success());
    world.script.advance_clock(days(2)).await.unwrap();
    operator = start(&world, 181).await;
    let status = visited(&world, "alice", "day 181").await;
    assert_eq!(ready(&status), ("False", "AuthorizationExpired"));
    assert_eq!(condition(&status, ConditionType::Authorized), ("False", "AuthorizationExpired"));
    assert!(message(&status, ConditionType::Ready).contains(&connect(&world, "alice")));
    assert_eq!(warnings(&world, "alice").await.len(), 1, "no warning of what has happened");
    let all = world.events("alice").await;
    assert_eq!(all.iter().filter(|(reason, _)| reason == "AuthorizationExpired").count(), 1, "{all:?}");

    // The listener signs in again, and half a year begins.
    let new = world.script.mint_tokens("alice").await.unwrap();
    let keys = json!({"refresh-token": new.refresh_token, "authorized-at": new.authorized_time.to_string()});
    tokens::put(&world, "alice", keys).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert!(operator.terminate().await.unwrap().success());
    world.script.advance_clock(days(151)).await.unwrap();
    let _operator = start(&world, 181 + 151).await;
    let status = visited(&world, "alice", "day 151 of the second").await;
    assert_eq!(condition(&status, ConditionType::Authorized), ("True", EXPIRING));
    let said = warnings(&world, "alice").await;
    assert!(said.len() == 2 && said.keys().any(|note| note.contains("in less than 30 days")), "{said:?}");
}

#[tokio::test]
async fn a_threshold_that_passes_while_nothing_is_due_is_said_once_in_one_write() {
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("expiry-passes", app, 60).await;
    // The first warning comes in forty minutes, which pass in as many seconds.
    let authorized = world.script.now().await.unwrap() - days(150) + SignedDuration::from_mins(40);
    for name in ["alice", "bob"] {
        account(&world, name, authorized, true, "24h").await;
    }
    let _operator = world.start().await;
    let mut slots = BTreeMap::new();
    for name in ["alice", "bob"] {
        let found = world.wait_ready(name, "True", "Succeeded").await;
        let slot = slot_after(&found.uid().unwrap(), days(1), world.script.now().await.unwrap());
        slots.insert(slot, (name, found));
    }
    // Whoever is read last has nothing else to wake up for.
    let (_, (name, before)) = slots.pop_last().unwrap();
    let status = before.status.clone().unwrap();
    assert_eq!(condition(&status, ConditionType::Authorized), ("True", "Succeeded"), "it is early enough");
    let (mark, seq) = (world.mark().await, world.script.last_seq().await.unwrap());

    let is_told = |status: &SpotifyAccountStatus| condition(status, ConditionType::Authorized) == ("True", EXPIRING);
    let after = world.wait(name, "the warning", is_told).await;
    scrobble_harness::wait_until("the Event", crate::world::DEADLINE, async || {
        (warnings(&world, name).await.len() == 1).then_some(())
    })
    .await
    .unwrap();
    let asked = world.script.requests(&RecordFilter::default().of(name).since(seq)).await.unwrap();
    assert!(asked.is_empty(), "{asked:?}");
    let writes = world.writes(mark).await;
    let mine = writes.iter().filter(|entry| entry.name.as_deref().is_some_and(|object| object.starts_with(name)));
    assert_eq!(mine.map(words).collect::<Vec<_>>(), [format!("patch spotifyaccounts/status {name}")]);
    let transition = |account: &SpotifyAccount| {
        let status = account.status.clone().unwrap();
        find_condition(&status.conditions, ConditionType::Authorized).unwrap().last_transition_time.clone()
    };
    assert_eq!(transition(&after), transition(&before), "the status is the same");
}
