use scrobble_simulator::api::{Endpoint, ListenBrainzRules, RecordFilter};
use serde_json::{Value, json};

use crate::stage::{Answer, Stage};

const TOKEN: &str = "6c1b2f1e-0000-4000-8000-1234567890ab";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.simulator.put_listenbrainz_user("alice", TOKEN).await.unwrap();
    stage
}

async fn submit(stage: &Stage, listen_type: &str, payload: &[Value]) -> Answer {
    let body = json!({"listen_type": listen_type, "payload": payload});
    let request = stage.http.post(stage.url("/listenbrainz/1/submit-listens"));
    stage.answer(request.header("authorization", format!("Token {TOKEN}")).json(&body)).await
}

fn listen(listened_at: i64, title: &str) -> Value {
    json!({"listened_at": listened_at, "track_metadata": {
        "artist_name": "Artist", "track_name": title, "release_name": "Album",
        "additional_info": {"duration_ms": 180_000, "isrc": "GBXXX1234567", "music_service": "spotify.com"},
    }})
}

#[tokio::test]
async fn tokens_are_validated() {
    let stage = stage().await;
    let ask = async |header: Option<&str>| {
        let mut request = stage.http.get(stage.url("/listenbrainz/1/validate-token"));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = stage.answer(request).await;
        (answer.status, answer.json())
    };
    let valid = json!({"code": 200, "message": "Token valid.", "valid": true, "user_name": "alice"});
    assert_eq!(ask(Some(&format!("Token {TOKEN}"))).await, (200, valid));
    let invalid = json!({"code": 200, "message": "Token invalid.", "valid": false});
    assert_eq!(ask(Some("Token wrong")).await, (200, invalid));
    assert_eq!(ask(None).await.0, 400);
    stage.simulator.remove_listenbrainz_user("alice").await.unwrap();
    assert_eq!(ask(Some(&format!("Token {TOKEN}"))).await.1["valid"], false);
}

#[tokio::test]
async fn listens_are_stored_and_shown_newest_first() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    assert_eq!(submit(&stage, "single", &[listen(now - 300, "One")]).await.json(), json!({"status": "ok"}));
    let batch = [listen(now - 200, "Two"), listen(now - 100, "Three")];
    assert_eq!(submit(&stage, "import", &batch).await.status, 200);
    let url = stage.url("/listenbrainz/1/user/alice/listens?count=2");
    let body = stage.answer(stage.http.get(url)).await.json();
    let titles: Vec<_> = body["payload"]["listens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|listen| listen["track_metadata"]["track_name"].clone())
        .collect();
    assert_eq!(titles, ["Three", "Two"]);
    assert_eq!(body["payload"]["count"], 2);
    let held = stage.simulator.listens("alice").await.unwrap();
    assert_eq!(held.iter().map(|listen| listen.listened_at).collect::<Vec<_>>(), [now - 300, now - 200, now - 100]);
    assert_eq!(stage.answer(stage.http.get(stage.url("/listenbrainz/1/user/bob/listens"))).await.status, 404);
}

#[tokio::test]
async fn a_repeat_is_dropped_if_second_and_recording_are_the_same() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    let first = listen(now - 300, "Same Song");
    let mut shouted = first.clone();
    shouted["track_metadata"]["track_name"] = json!("SAME SONG");
    let mut longer = first.clone();
    longer["track_metadata"]["additional_info"]["duration_ms"] = json!(180_001);
    for payload in [&first, &first, &shouted] {
        assert_eq!(submit(&stage, "single", std::slice::from_ref(payload)).await.status, 200);
    }
    let held = stage.simulator.listens("alice").await.unwrap();
    assert_eq!((held.len(), held[0].received, held[0].forms.len()), (1, 3, 2));
    for payload in [longer, listen(now - 299, "Same Song")] {
        submit(&stage, "single", &[payload]).await;
    }
    assert_eq!(stage.simulator.listens("alice").await.unwrap().len(), 3);
    let records = stage.simulator.requests(&RecordFilter::at(Endpoint::ListenbrainzSubmit)).await.unwrap();
    let new: Vec<_> = records.iter().map(|record| record.facts.items_new.unwrap()).collect();
    assert_eq!(new, [1, 0, 0, 1, 1]);
    assert!(records.iter().all(|record| record.account.as_deref() == Some("alice")));
}

#[tokio::test]
async fn one_bad_listen_refuses_the_whole_request() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    let changed = |change: fn(&mut Value)| {
        let mut listen = listen(now - 1, "Bad");
        change(&mut listen);
        listen
    };
    let bad = [
        listen(now + 3_700, "From the future"),
        listen(1_033_430_399, "Too old"),
        changed(|listen| listen["track_metadata"]["artist_name"] = json!("")),
        changed(|listen| listen["track_metadata"]["track_name"] = json!(["a"])),
        changed(|listen| listen["track_metadata"]["track_name"] = json!("nul \0")),
        changed(|listen| listen["track_metadata"]["track_name"] = json!(" \t")),
        changed(|listen| listen["track_metadata"]["release_name"] = json!("")),
        changed(|listen| listen["track_metadata"]["release_name"] = json!(null)),
        changed(|listen| listen["surplus"] = json!(1)),
        changed(|listen| listen["listened_at"] = json!("now")),
        changed(|listen| listen["track_metadata"]["additional_info"]["duration"] = json!(180)),
        changed(|listen| listen["track_metadata"]["additional_info"]["recording_mbid"] = json!("no uuid")),
        changed(|listen| listen["track_metadata"]["additional_info"]["tags"] = json!(vec!["t"; 51])),
        changed(|listen| listen["track_metadata"]["additional_info"]["tags"] = json!(["t".repeat(65)])),
        changed(|listen| listen["track_metadata"]["additional_info"]["note"] = json!("x".repeat(10_240))),
        changed(|listen| listen["track_metadata"]["additional_info"]["duration_ms"] = json!(2_073_600_001_i64)),
        json!({"listened_at": now}),
        json!(7),
    ];
    for listen_entry in bad {
        let answer = submit(&stage, "import", &[listen(now - 10, "Good"), listen_entry.clone()]).await;
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(400)), "{listen_entry}");
    }
    assert!(stage.simulator.listens("alice").await.unwrap().is_empty());
    let ancient = submit(&stage, "single", &[listen(1_033_430_400, "Backfill")]).await;
    assert_eq!(ancient.status, 200, "there is no maximum age");
}

#[tokio::test]
async fn listen_types_have_their_own_rules() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    let two = [listen(now - 1, "One"), listen(now - 2, "Two")];
    assert_eq!(submit(&stage, "single", &two).await.status, 400);
    assert_eq!(submit(&stage, "album", &two).await.status, 400);
    assert_eq!(submit(&stage, "import", &[]).await.status, 400);
    assert_eq!(submit(&stage, "playing_now", &two[..1]).await.status, 400, "has listened_at");
    let playing = json!({"track_metadata": {"artist_name": "Artist", "track_name": "Now"}});
    assert_eq!(submit(&stage, "playing_now", &[playing]).await.status, 200);
    assert!(stage.simulator.listens("alice").await.unwrap().is_empty());
    let many: Vec<_> = (0..1_001).map(|number| listen(now - number, "Song")).collect();
    assert_eq!(submit(&stage, "import", &many).await.status, 400);
    assert_eq!(submit(&stage, "import", &many[1..]).await.status, 200);
    assert_eq!(stage.simulator.listens("alice").await.unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_request_holds_no_more_than_its_listens_may() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    let sized = |bytes: usize| {
        let mut listen = listen(now - 1, "");
        let padding = "a".repeat(bytes - listen.to_string().len());
        listen["track_metadata"]["track_name"] = json!(padding);
        listen
    };
    let around = json!({"listen_type": "single", "payload": []}).to_string().len();
    assert_eq!(submit(&stage, "single", &[sized(10_240 - around)]).await.status, 200);
    assert_eq!(submit(&stage, "single", &[sized(10_241 - around)]).await.status, 400, "counts what is around it");
    assert_eq!(submit(&stage, "import", &[sized(10_240), listen(now - 2, "Small")]).await.status, 200);
    assert_eq!(submit(&stage, "import", &[sized(10_241), listen(now - 2, "Small")]).await.status, 400);
}

#[tokio::test]
async fn a_maloja_can_be_played_by_its_users_name() {
    let stage = Stage::new().await;
    stage.simulator.put_listenbrainz_user("Generic Maloja User", TOKEN).await.unwrap();
    let request = stage.http.get(stage.url("/listenbrainz/1/validate-token"));
    let answer = stage.answer(request.header("authorization", format!("Token {TOKEN}"))).await;
    assert_eq!(answer.json()["user_name"], "Generic Maloja User");
}

#[tokio::test]
async fn every_answer_tells_the_rate_limit() {
    let stage = stage().await;
    let request = |path: &str| stage.http.get(stage.url(&format!("/listenbrainz/1/{path}")));
    let token = format!("Token {TOKEN}");
    let mut left = Vec::new();
    for (request, status) in [
        (request("validate-token").header("authorization", &token), 200),
        (request("validate-token"), 400),
        (request("submit-listens"), 405),
        (stage.http.post(stage.url("/listenbrainz/1/submit-listens")).body("{"), 401),
        (stage.http.post(stage.url("/listenbrainz/1/submit-listens")).header("authorization", &token).body("{"), 400),
        (request("user/bob/listens"), 404),
    ] {
        let answer = stage.answer(request).await;
        assert_eq!(answer.status, status);
        let number = |name| answer.header(name).unwrap().parse::<i64>().unwrap();
        assert_eq!(number("x-ratelimit-limit"), 100_000, "{status}");
        assert!((1..=10).contains(&number("x-ratelimit-reset-in")), "{status}");
        let ends_in = number("x-ratelimit-reset") - stage.now().await.as_second();
        assert!(ends_in <= 10, "{status}");
        left.push(number("x-ratelimit-remaining"));
    }
    assert!(left.iter().all(|left| *left < 100_000), "{left:?}");
}

#[tokio::test]
async fn nobody_writes_without_a_token() {
    let stage = stage().await;
    let url = stage.url("/listenbrainz/1/submit-listens");
    let body = json!({"listen_type": "single", "payload": [listen(1_700_000_000, "Song")]});
    assert_eq!(stage.answer(stage.http.post(&url).json(&body)).await.status, 401);
    let wrong = stage.http.post(&url).header("authorization", "Token wrong").json(&body);
    let answer = stage.answer(wrong).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("Invalid authorization token.")));
    let garbage = stage.http.post(&url).header("authorization", format!("Token {TOKEN}")).body("{");
    assert_eq!(stage.answer(garbage).await.status, 400);
}

#[tokio::test]
async fn titles_can_be_refused_by_script() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    let rules = ListenBrainzRules { refuse_titles: vec!["poison".into()], ..Default::default() };
    stage.simulator.put_listenbrainz_rules(&rules).await.unwrap();
    let batch = [listen(now - 1, "Good"), listen(now - 2, "Some poison")];
    assert_eq!(submit(&stage, "import", &batch).await.status, 400);
    assert!(stage.simulator.listens("alice").await.unwrap().is_empty());
    assert_eq!(submit(&stage, "import", &batch[..1]).await.status, 200);
}

#[tokio::test]
async fn the_rate_limit_is_told_and_kept() {
    let stage = stage().await;
    let rules = ListenBrainzRules { rate_limit: 2, rate_window_seconds: 3_600, ..Default::default() };
    stage.simulator.put_listenbrainz_rules(&rules).await.unwrap();
    // To the beginning of a window, so that the test's own requests fall into one.
    let into_window = stage.now().await.as_second().rem_euclid(3_600);
    stage.advance(3_600 - into_window).await;
    let now = stage.now().await.as_second();
    let mut left = Vec::new();
    for number in 0..3 {
        let answer = submit(&stage, "single", &[listen(now - number, "Song")]).await;
        assert_eq!(answer.header("x-ratelimit-limit"), Some("2"));
        let reset_in: i64 = answer.header("x-ratelimit-reset-in").unwrap().parse().unwrap();
        assert!((1..=3_600).contains(&reset_in));
        left.push((answer.status, answer.header("x-ratelimit-remaining").unwrap().to_owned()));
    }
    assert_eq!(left, [(200, "1".into()), (200, "0".into()), (429, "0".into())]);
    assert_eq!(stage.simulator.listens("alice").await.unwrap().len(), 2);
    stage.advance(3_600).await;
    assert_eq!(submit(&stage, "single", &[listen(now, "Song")]).await.status, 200);
}
