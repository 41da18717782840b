//! The operator and a real Maloja.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use scrobble_harness::{Maloja, MalojaProxy, MalojaScrobble, wait_until};
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Endpoint, NewPlay, RecordFilter};
use serde_json::json;

use super::super::world::{DEADLINE, World, condition};
use scrobble_operator::api::condition::ConditionType;

const KEYS: [(&str, &str); 2] = [("alice", "key-of-alice"), ("bob", "key-of-bob")];
const ROUNDS: i64 = 5;
const PLAYS_IN_A_ROUND: i64 = 50;

/// Two listeners with one target: the Maloja at a URL.
async fn listeners(world: &World, url: &str) {
    world.create::<ScrobbleTarget>("ScrobbleTarget", "maloja", &json!({"type": "Maloja", "url": url})).await;
    for (name, key) in KEYS {
        world.listener(name).await;
        world.secret(&format!("{name}-maloja"), "credentials", &[("api-key", key)]).await;
    }
}

async fn account(world: &World, name: &str) {
    let spec = json!({
        "appRef": {"name": "main"},
        "tokenSecretRef": {"name": format!("{name}-spotify")},
        "sync": {"interval": "2s"},
        "targets": [{
            "name": "maloja", "targetRef": {"name": "maloja"},
            "credentialsRef": {"name": format!("{name}-maloja")},
        }],
    });
    world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
}

fn scrobbled(status: &SpotifyAccountStatus) -> i64 {
    status.sync.as_ref().map_or(0, |sync| sync.scrobbled_total)
}

fn pending(status: &SpotifyAccountStatus) -> i64 {
    status.sync.as_ref().map_or(-1, |sync| sync.pending_total)
}

/// Whether the operator is killed in a round, rather than asked to end.
fn is_killed(round: i64) -> bool {
    round % 2 == 1
}

/// One round of both listeners, who end their tracks at the same seconds. In every other round they hear some tracks
/// together: a kill would leave no trace of which of the two was there first.
fn round(number: i64, base: Timestamp, listener: &str) -> Vec<NewPlay> {
    let play = |index: i64| {
        let ended = base + SignedDuration::from_secs(31 * index);
        let title = match index % 10 {
            0 if !is_killed(number) => format!("heard by both, {number}-{index}"),
            _ => format!("{listener}'s {number}-{index}"),
        };
        NewPlay::new(ended).titled(title, format!("artist {}", index % 7))
    };
    (0..PLAYS_IN_A_ROUND).map(play).collect()
}

#[tokio::test]
async fn five_hundred_plays_of_two_listeners_stand_there_once_whatever_stands_there_before() {
    let maloja = Maloja::start(&KEYS).await.unwrap();
    let world = World::new("maloja").await;
    listeners(&world, &maloja.base_url()).await;
    let length = SignedDuration::from_secs(31 * PLAYS_IN_A_ROUND + 100);
    let first = world.script.now().await.unwrap() - length * i32::try_from(ROUNDS).unwrap();
    // Other tracks have a third of the seconds at which the first tracks end, some with the seconds after them.
    let mut others = BTreeSet::new();
    for index in (0..PLAYS_IN_A_ROUND).filter(|index| index % 3 == 0) {
        let ended = (first + SignedDuration::from_secs(31 * index)).as_second();
        for second in ended..=ended + index % 4 {
            maloja.occupy(second, &format!("another at {second}"), "somebody else").await.unwrap();
            others.insert(second);
        }
    }
    let mut operator = world.operator();
    operator = operator.flag("concurrency", "4");
    let mut operator = operator.start().await.unwrap();
    for (name, _) in KEYS {
        account(&world, name).await;
    }
    for number in 0..ROUNDS {
        let base = first + length * i32::try_from(number).unwrap();
        for (name, _) in KEYS {
            world.script.add_plays(name, &round(number, base, name)).await.unwrap();
        }
        // Somewhere in the middle of the round.
        let some = usize::try_from(number * 2 * PLAYS_IN_A_ROUND + 20 + 15 * number).unwrap() + others.len();
        wait_until("some of the plays at Maloja", DEADLINE, async || {
            let count = maloja.scrobbles().await.map_err(|error| error.to_string())?.len();
            if count >= some { Ok(()) } else { Err(format!("{count} of {some}")) }
        })
        .await
        .unwrap();
        if is_killed(number) {
            operator.kill().unwrap();
        } else {
            operator.terminate().await.unwrap();
        }
        operator.restart().await.unwrap();
        for (name, _) in KEYS {
            let wanted = (number + 1) * PLAYS_IN_A_ROUND;
            world.wait(name, "the round", |status| scrobbled(status) >= wanted && pending(status) == 0).await;
        }
    }

    let all = maloja.scrobbles().await.unwrap();
    for (name, _) in KEYS {
        let mine: Vec<&MalojaScrobble> = all.iter().filter(|scrobble| scrobble.client == name).collect();
        let heard = world.script.plays(name).await.unwrap();
        let titles: BTreeSet<String> = mine.iter().map(|scrobble| scrobble.title.clone()).collect();
        let wanted: BTreeSet<String> = heard.iter().map(|play| play.title.clone()).collect();
        let missing: Vec<&String> = wanted.difference(&titles).collect();
        let elsewhere: Vec<(i64, &str, &str)> = all
            .iter()
            .filter(|scrobble| missing.contains(&&scrobble.title))
            .map(|scrobble| (scrobble.second, scrobble.title.as_str(), scrobble.client.as_str()))
            .collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}; what stands there: {elsewhere:?}");
        assert_eq!(titles, wanted, "{name}: and nothing else");
        assert_eq!(mine.len(), heard.len(), "{name}: each once");
        let ended: BTreeMap<&str, i64> =
            heard.iter().map(|play| (play.title.as_str(), play.played_time.as_second())).collect();
        assert!(mine.iter().all(|scrobble| (0..60).contains(&(scrobble.second - ended[scrobble.title.as_str()]))));
        let status = world.wait(name, "the end", |status| pending(status) == 0).await.status.unwrap();
        assert_eq!(scrobbled(&status), ROUNDS * PLAYS_IN_A_ROUND, "{name}: counted once");
    }
    let standing: BTreeSet<i64> = all
        .iter()
        .filter(|scrobble| scrobble.title.starts_with("another at"))
        .map(|scrobble| scrobble.second)
        .collect();
    assert_eq!(standing, others, "what stood there before stands there");
}

#[tokio::test]
async fn a_play_whose_second_was_taken_in_between_waits_and_is_shown_until_something_else_got_through() {
    let maloja = Maloja::start(&KEYS).await.unwrap();
    let proxy = MalojaProxy::start(&maloja.base_url()).await.unwrap();
    let world = World::new("maloja-conflict").await;
    listeners(&world, &proxy.base_url()).await;
    let ended = world.script.now().await.unwrap() - SignedDuration::from_mins(30);
    maloja.occupy(ended.as_second(), "faster", "somebody else").await.unwrap();
    // Whoever looks sees nothing, as if the other track had come between the look and the play.
    proxy.hide_scrobbles(true);
    let late = NewPlay::new(ended).titled("late", "The Late");
    world.script.add_plays("alice", &[late]).await.unwrap();
    account(&world, "alice").await;
    let mut operator = world.start().await;

    let sent =
        || proxy.passed().iter().filter(|passed| passed.method == "POST" && passed.body.contains("late")).count();
    let status = world.wait("alice", "a play that waits", |status| pending(status) == 1).await.status.unwrap();
    assert!(status.targets[0].message.as_deref().unwrap().contains("second another track has taken"));
    assert_eq!(condition(&status, ConditionType::Ready), ("True", "Succeeded"));
    assert_eq!(sent(), 1);
    // Nothing but another play changes that: neither time, nor a restart, nor a play of the same artist.
    proxy.hide_scrobbles(false);
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 3).await;
    operator.terminate().await.unwrap();
    operator.restart().await.unwrap();
    let same = NewPlay::new(ended + SignedDuration::from_mins(5)).titled("of the same artist", "The Late");
    world.script.add_plays("alice", &[same]).await.unwrap();
    world.wait("alice", "two plays that wait", |status| pending(status) == 2).await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 2).await;
    assert_eq!(sent(), 1, "no retry");
    assert_eq!(maloja.scrobbles().await.unwrap().len(), 1);

    let other = NewPlay::new(ended + SignedDuration::from_mins(10)).titled("of another", "Another");
    world.script.add_plays("alice", &[other]).await.unwrap();
    world.wait("alice", "all three", |status| scrobbled(status) == 3 && pending(status) == 0).await;
    let mut standing: Vec<(i64, String)> = maloja
        .scrobbles()
        .await
        .unwrap()
        .into_iter()
        .map(|scrobble| (scrobble.second - ended.as_second(), scrobble.title))
        .collect();
    standing.sort();
    let expected = [(0, "faster"), (1, "late"), (300, "of the same artist"), (600, "of another")];
    assert_eq!(standing, expected.map(|(second, title)| (second, title.to_owned())));
    let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed)).await.unwrap();
    assert!(!reads.is_empty());
}

#[tokio::test]
async fn a_chosen_second_is_written_down_before_the_play_is_sent_there() {
    let maloja = Maloja::start(&KEYS).await.unwrap();
    let world = World::new("maloja-chosen").await;
    listeners(&world, &maloja.base_url()).await;
    let ended = world.script.now().await.unwrap() - SignedDuration::from_mins(30);
    // Further than anybody would look for a play of which nothing is known.
    let taken = 36;
    for after in 0..taken {
        maloja.occupy(ended.as_second() + after, &format!("another {after}"), "somebody else").await.unwrap();
    }
    world.script.add_plays("alice", &[NewPlay::new(ended).titled("late", "The Late")]).await.unwrap();
    account(&world, "alice").await;
    // Its second is chosen, written down, and it is sent there: the process dies before anything tells that it arrived.
    let dying = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", "abort:delivered@alice#3");
    let ended_with = dying.start_unready().unwrap().wait(DEADLINE).await.unwrap();
    assert!(!ended_with.success());
    let standing = || async {
        let all = maloja.scrobbles().await.unwrap();
        let late = all.into_iter().filter(|scrobble| scrobble.title == "late");
        late.map(|scrobble| scrobble.second - ended.as_second()).collect::<Vec<_>>()
    };
    assert_eq!(standing().await, [taken]);

    let _operator = world.start().await;
    world.wait("alice", "the play", |status| scrobbled(status) == 1 && pending(status) == 0).await;
    assert_eq!(standing().await, [taken], "it is found where it was sent");
}
