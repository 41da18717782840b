use jiff::{SignedDuration, Timestamp};
use scrobble_simulator::api::{
    Effect, Endpoint, ExternalIds, NewApp, NewFault, NewGenerator, NewPlay, PlayKind, RecordFilter, Tokens,
};
use serde_json::{Value, json};

use crate::stage::{ALICE, Stage, app, at};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

async fn stage() -> (Stage, Tokens, Timestamp) {
    let (stage, tokens) = Stage::with_alice(NewApp { access_token_seconds: 604_800, ..app() }).await;
    let now = stage.now().await;
    (stage, tokens, now)
}

async fn page(stage: &Stage, tokens: &Tokens, query: &str) -> Value {
    let answer = stage.recently_played(&tokens.access_token, query).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn titles(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["track"]["name"].as_str().unwrap_or("null").to_owned()).collect()
}

/// `count` plays a minute apart, the last of them a minute ago, named by their number.
fn history(now: Timestamp, count: i64) -> Vec<NewPlay> {
    let minutes = |number| SignedDuration::from_mins(count - number + 1);
    (1..=count).map(|number| NewPlay::new(now - minutes(number)).titled(number.to_string(), "Artist")).collect()
}

#[tokio::test]
async fn newest_first_twenty_unless_asked_and_fifty_at_most() {
    let (stage, tokens, now) = stage().await;
    stage.simulator.add_plays(ALICE, &history(now, 70)).await.unwrap();
    let usual = page(&stage, &tokens, "").await;
    assert_eq!(titles(&usual), (51..=70).rev().map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(usual["limit"], 20);
    assert!(usual.get("total").is_none());
    let whole = page(&stage, &tokens, "?limit=50").await;
    assert_eq!(titles(&whole), (21..=70).rev().map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(whole["next"], Value::Null);
    for limit in ["0", "51", "-1", "many"] {
        assert_eq!(stage.recently_played(&tokens.access_token, &format!("?limit={limit}")).await.status, 400);
    }
    let records = stage.simulator.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(ALICE)).await.unwrap();
    assert_eq!(records[1].facts.limit.as_deref(), Some("50"));
    assert_eq!(records[1].facts.plays, (21..=70).rev().collect::<Vec<u64>>());
}

#[tokio::test]
async fn only_fifty_plays_exist_whatever_is_asked() {
    let (stage, tokens, now) = stage().await;
    stage.simulator.add_plays(ALICE, &history(now, 70)).await.unwrap();
    let first = page(&stage, &tokens, "?limit=30").await;
    let next = first["next"].as_str().unwrap();
    let answer = stage.answer(stage.http.get(next).bearer_auth(&tokens.access_token)).await.json();
    assert_eq!(titles(&answer), (21..=40).rev().map(|number| number.to_string()).collect::<Vec<_>>());
    let before = answer["cursors"]["before"].as_str().unwrap();
    let past = page(&stage, &tokens, &format!("?before={before}")).await;
    assert_eq!((&past["items"], &past["next"], &past["cursors"]), (&json!([]), &Value::Null, &Value::Null));
}

#[tokio::test]
async fn cursors_are_exclusive_milliseconds_in_strings() {
    let (stage, tokens, now) = stage().await;
    let plays = stage.simulator.add_plays(ALICE, &history(now, 3)).await.unwrap();
    let milliseconds = |number: usize| plays[number].played_time.as_millisecond().to_string();
    let whole = page(&stage, &tokens, "?limit=50").await;
    assert_eq!(whole["cursors"], json!({"after": milliseconds(2), "before": milliseconds(0)}));
    let query = format!("?after={}", milliseconds(0));
    assert_eq!(titles(&page(&stage, &tokens, &query).await), ["3", "2"]);
    let query = format!("?before={}", milliseconds(2));
    assert_eq!(titles(&page(&stage, &tokens, &query).await), ["2", "1"]);
    let just_before = plays[2].played_time.as_millisecond() - 1;
    assert_eq!(titles(&page(&stage, &tokens, &format!("?after={just_before}")).await), ["3"]);
    let both = stage.recently_played(&tokens.access_token, "?after=1&before=2").await;
    assert_eq!(both.status, 400);
}

#[tokio::test]
async fn times_have_milliseconds_and_are_the_end_of_the_play() {
    let (stage, tokens, _) = stage().await;
    for (number, time) in ["2026-11-20T17:09:00.381999Z", "2026-11-20T18:00:00Z"].into_iter().enumerate() {
        let play = NewPlay::new(at(time)).titled(number.to_string(), "Artist");
        stage.simulator.add_plays(ALICE, &[play]).await.unwrap();
    }
    let page = page(&stage, &tokens, "").await;
    assert_eq!(page["items"][0]["played_at"], "2026-11-20T18:00:00.000Z");
    assert_eq!(page["items"][1]["played_at"], "2026-11-20T17:09:00.381Z");
    let oldest = at("2026-11-20T17:09:00.381Z").as_millisecond().to_string();
    assert_eq!(page["cursors"]["before"], oldest);
}

#[tokio::test]
async fn late_plays_show_in_their_place_when_their_time_has_come() {
    let (stage, tokens, now) = stage().await;
    let mut plays = history(now, 3);
    plays[1].visible_time = Some(now + HOUR);
    stage.simulator.add_plays(ALICE, &plays).await.unwrap();
    assert_eq!(titles(&page(&stage, &tokens, "").await), ["3", "1"]);
    stage.advance(3_601).await;
    assert_eq!(titles(&page(&stage, &tokens, "").await), ["3", "2", "1"]);
    let future = NewPlay::new(now + HOUR + HOUR).titled("4", "Artist");
    stage.simulator.add_plays(ALICE, &[future]).await.unwrap();
    assert_eq!(titles(&page(&stage, &tokens, "").await).len(), 3, "not heard yet");
}

#[tokio::test]
async fn a_page_can_be_out_of_order() {
    let (stage, tokens, now) = stage().await;
    let mut plays = history(now, 3);
    plays[0].listed_time = Some(now);
    stage.simulator.add_plays(ALICE, &plays).await.unwrap();
    assert_eq!(titles(&page(&stage, &tokens, "").await), ["1", "3", "2"]);
}

#[tokio::test]
async fn items_have_the_shapes_that_spotify_was_seen_to_send() {
    let (stage, tokens, now) = stage().await;
    let minute = |number: i64| NewPlay::new(now - SignedDuration::from_mins(number));
    let plays = [
        NewPlay { context: Some("spotify:playlist:37i9".into()), available_markets: 100, ..minute(1) },
        minute(2).of_kind(PlayKind::NullTrack),
        minute(3).titled("Mein Lied", "Eine Band").of_kind(PlayKind::Local),
        NewPlay { external_ids: ExternalIds::Empty, ..minute(4) },
        NewPlay { external_ids: ExternalIds::Absent, ..minute(5) },
        minute(6).of_kind(PlayKind::Episode),
        NewPlay { linked_from: Some("asked".into()), track_id: Some("played".into()), ..minute(7) },
        NewPlay { raw: Some(json!({"track": 7, "played_at": false})), ..minute(8) },
    ];
    stage.simulator.add_plays(ALICE, &plays).await.unwrap();
    let page = page(&stage, &tokens, "").await;
    let items = page["items"].as_array().unwrap();
    let [ordinary, null, local, empty, absent, episode, linked, raw] = items.as_slice() else { panic!("{page}") };
    let track = &ordinary["track"];
    assert_eq!(ordinary["context"]["type"], "playlist");
    assert!(track["external_ids"]["isrc"].is_string() && track["preview_url"].is_null());
    assert_eq!(track["available_markets"].as_array().unwrap().len(), 100);
    assert_eq!(track["album"]["available_markets"].as_array().unwrap().len(), 100);
    assert_eq!(track["album"]["images"][1]["height"], Value::Null);
    assert_eq!(track["id"].as_str().unwrap().len(), 22);
    assert_eq!(null["track"], Value::Null);
    assert_eq!(null["context"], Value::Null);
    assert_eq!((&local["track"]["id"], &local["track"]["is_local"]), (&Value::Null, &json!(true)));
    assert!(local["track"]["uri"].as_str().unwrap().starts_with("spotify:local:Eine+Band:"));
    assert_eq!(local["track"]["external_urls"], json!({}));
    assert_eq!(empty["track"]["external_ids"], json!({}));
    assert!(absent["track"].get("external_ids").is_none() && absent["track"].get("available_markets").is_none());
    assert_eq!((&episode["track"]["type"], episode["track"].get("artists")), (&json!("episode"), None));
    assert_eq!(linked["track"]["linked_from"]["uri"], "spotify:track:asked");
    assert_eq!(linked["track"]["uri"], "spotify:track:played");
    assert_eq!(*raw, json!({"track": 7, "played_at": false}));
}

#[tokio::test]
async fn pages_are_at_times_empty_stale_or_short_although_plays_exist() {
    let (stage, tokens, now) = stage().await;
    stage.simulator.add_plays(ALICE, &history(now, 2)).await.unwrap();
    stage.advance(600).await;
    let third = NewPlay::new(stage.now().await).titled("3", "Artist");
    stage.simulator.add_plays(ALICE, &[third]).await.unwrap();
    for (effect, expected) in [
        (Effect::EmptyPage, vec![]),
        (Effect::StalePage { seconds: 300 }, vec!["2", "1"]),
        (Effect::StalePage { seconds: 86_400 }, vec![]),
        (Effect::HideNewest { count: 2 }, vec!["1"]),
    ] {
        let fault = NewFault::new(effect).at(Endpoint::RecentlyPlayed).times(1);
        stage.simulator.add_fault(&fault).await.unwrap();
        assert_eq!(titles(&page(&stage, &tokens, "").await), expected);
    }
    assert_eq!(titles(&page(&stage, &tokens, "").await), ["3", "2", "1"]);
}

#[tokio::test]
async fn generated_plays_appear_as_the_clock_passes_and_are_the_same_for_the_same_seed() {
    let (stage, tokens, now) = stage().await;
    let rule = NewGenerator { start_time: Some(now), ..NewGenerator::steady(7, 31_000) };
    stage.simulator.add_generator(ALICE, &rule).await.unwrap();
    assert_eq!(page(&stage, &tokens, "").await["items"], json!([]));
    stage.advance(300).await;
    stage.advance(14).await;
    let plays = stage.simulator.plays(ALICE).await.unwrap();
    assert_eq!(plays.len(), 10);
    let ended = |number: i64| now + SignedDuration::from_secs(31 * number);
    assert!(
        plays.iter().zip(1..).all(|(play, number)| play.played_time.as_millisecond() == ended(number).as_millisecond())
    );
    assert_eq!(page(&stage, &tokens, "?limit=50").await["items"].as_array().unwrap().len(), 10);
    let (second, _, _) = self::stage().await;
    second.simulator.add_generator(ALICE, &rule).await.unwrap();
    second.advance(314).await;
    let again = second.simulator.plays(ALICE).await.unwrap();
    assert_eq!(again[..10], plays[..]);
    stage.simulator.stop_generators(ALICE).await.unwrap();
    stage.advance(3_600).await;
    assert_eq!(stage.simulator.plays(ALICE).await.unwrap().len(), 10);
}

#[tokio::test]
async fn generated_plays_can_be_late_unusual_and_undeliverable() {
    let (stage, tokens, now) = stage().await;
    let rule = NewGenerator {
        start_time: Some(now - HOUR * 10),
        end_time: Some(now),
        late_share: 0.3,
        late_seconds: 7_200,
        unusual_share: 0.5,
        undeliverable_share: 0.2,
        pause_ms: 60_000,
        ..NewGenerator::steady(11, 60_000)
    };
    stage.simulator.add_generator(ALICE, &rule).await.unwrap();
    let plays = stage.simulator.plays(ALICE).await.unwrap();
    let late = plays.iter().filter(|play| play.visible_time > play.played_time).count();
    assert!((plays.len() / 7..plays.len() / 2).contains(&late), "{late} of {}", plays.len());
    for kind in [PlayKind::Local, PlayKind::NullTrack, PlayKind::Episode] {
        assert!(plays.iter().any(|play| play.kind == kind), "{kind:?}");
    }
    assert!(plays.iter().any(|play| play.linked_from.is_some()));
    assert!(plays.iter().any(|play| play.context.is_none()));
    assert_eq!(page(&stage, &tokens, "?limit=50").await["items"].as_array().unwrap().len(), 50);
}
