use std::collections::BTreeMap;
use std::fmt::Write;

use md5::{Digest, Md5};
use scrobble_simulator::api::{Effect, Endpoint, LastfmApp, LastfmRule, LastfmUser, NewFault, RecordFilter};
use serde_json::{Value, json};

use crate::stage::{Answer, Stage};

const KEY: &str = "api-key";
const SECRET: &str = "shared-secret";
const SESSION: &str = "session-key";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.simulator.put_lastfm_app(&lastfm_app()).await.unwrap();
    stage.simulator.put_lastfm_user(&LastfmUser::new("alice", SESSION)).await.unwrap();
    stage
}

fn lastfm_app() -> LastfmApp {
    LastfmApp { api_key: KEY.into(), shared_secret: SECRET.into(), suspended: false, errors_with_200: false }
}

type Form = BTreeMap<String, String>;

fn form(method: &str, more: &[(&str, &str)]) -> Form {
    let mut form: Form = [("method", method), ("api_key", KEY)]
        .into_iter()
        .chain(more.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let text: String = form.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    let mut signature = String::new();
    for byte in Md5::digest(text + SECRET) {
        write!(signature, "{byte:02x}").unwrap();
    }
    form.insert("api_sig".into(), signature);
    form.insert("format".into(), "json".into());
    form
}

async fn post(stage: &Stage, form: &Form) -> Answer {
    stage.answer(stage.http.post(stage.url("/lastfm/2.0/")).form(form)).await
}

async fn call(stage: &Stage, method: &str, more: &[(&str, &str)]) -> Answer {
    post(stage, &form(method, more)).await
}

async fn scrobble(stage: &Stage, tracks: &[(&str, &str, i64)]) -> Answer {
    let mut pairs = vec![("sk".to_owned(), SESSION.to_owned())];
    for (number, (artist, track, timestamp)) in tracks.iter().enumerate() {
        pairs.push((format!("artist[{number}]"), (*artist).to_owned()));
        pairs.push((format!("track[{number}]"), (*track).to_owned()));
        pairs.push((format!("timestamp[{number}]"), timestamp.to_string()));
    }
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    call(stage, "track.scrobble", &pairs).await
}

fn codes(answer: &Answer) -> Vec<String> {
    let scrobbles = answer.json()["scrobbles"]["scrobble"].clone();
    let list = if scrobbles.is_array() { scrobbles.as_array().unwrap().clone() } else { vec![scrobbles] };
    list.iter().map(|entry| entry["ignoredMessage"]["code"].as_str().unwrap().to_owned()).collect()
}

fn failure(answer: &Answer) -> (u16, Option<u64>) {
    (answer.status, answer.json()["error"].as_u64())
}

#[tokio::test]
async fn a_user_signs_in_without_a_callback() {
    let stage = stage().await;
    let token = call(&stage, "auth.getToken", &[]).await.json()["token"].as_str().unwrap().to_owned();
    let session = async || call(&stage, "auth.getSession", &[("token", &token)]).await;
    assert_eq!(failure(&session().await), (403, Some(14)));
    let page = stage.url(&format!("/lastfm/api/auth/?api_key={KEY}&token={token}&user=alice"));
    assert_eq!(stage.answer(stage.http.get(page)).await.status, 200);
    let answer = session().await;
    assert_eq!((answer.status, &answer.json()["session"]["name"]), (200, &json!("alice")));
    assert_eq!(failure(&session().await), (403, Some(4)), "a token is good for one session");
    let key = answer.json()["session"]["key"].as_str().unwrap().to_owned();
    let now = stage.now().await.as_second().to_string();
    let track = [("sk", key.as_str()), ("artist", "A"), ("track", "T"), ("timestamp", &now)];
    assert_eq!(codes(&call(&stage, "track.scrobble", &track).await), ["0"]);
}

#[tokio::test]
async fn a_token_dies_after_an_hour() {
    let stage = stage().await;
    let token = call(&stage, "auth.getToken", &[]).await.json()["token"].as_str().unwrap().to_owned();
    stage.simulator.authorize_lastfm(&token, "alice").await.unwrap();
    stage.advance(3_600).await;
    assert_eq!(failure(&call(&stage, "auth.getSession", &[("token", &token)]).await), (403, Some(15)));
    assert_eq!(failure(&call(&stage, "auth.getSession", &[("token", "garbage")]).await), (403, Some(4)));
}

#[tokio::test]
async fn scrobbles_are_counted_and_a_single_one_is_no_list() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    let answer = scrobble(&stage, &[("Björk", "Jóga & more", now)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["scrobbles"]["@attr"], json!({"accepted": 1, "ignored": 0}));
    assert_eq!(body["scrobbles"]["scrobble"]["track"], json!({"corrected": "0", "#text": "Jóga & more"}));
    assert_eq!(body["scrobbles"]["scrobble"]["timestamp"], now.to_string());
    let titles: Vec<String> = (0..12).map(|number| format!("Track {number}")).collect();
    let many: Vec<_> = titles.iter().zip(0..).map(|(title, number)| ("A", title.as_str(), now - number)).collect();
    let body = scrobble(&stage, &many).await.json();
    let scrobbles = body["scrobbles"]["scrobble"].as_array().unwrap();
    let order: Vec<_> = scrobbles.iter().map(|entry| entry["track"]["#text"].as_str().unwrap()).collect();
    assert_eq!(order, titles, "answered in the order of the indexes, though [10] is signed before [1]");
    assert_eq!(stage.simulator.scrobbles("alice").await.unwrap().len(), 13);
}

#[tokio::test]
async fn a_repeat_is_accepted_and_not_held_twice() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    for _ in 0..3 {
        let answer = scrobble(&stage, &[("A", "T", now - 9)]).await;
        assert_eq!(answer.json()["scrobbles"]["@attr"], json!({"accepted": 1, "ignored": 0}));
    }
    let held = stage.simulator.scrobbles("alice").await.unwrap();
    assert_eq!((held.len(), held[0].received, held[0].forms.len(), held[0].ignored_code), (1, 3, 1, 0));
    let records = stage.simulator.requests(&RecordFilter::at(Endpoint::LastfmScrobble).of("alice")).await.unwrap();
    let new: Vec<_> = records.iter().map(|record| record.facts.items_new.unwrap()).collect();
    assert_eq!(new, [1, 0, 0]);
    assert_eq!(records[0].client_id.as_deref(), Some(KEY));
}

#[tokio::test]
async fn each_scrobble_is_accepted_or_ignored_by_itself() {
    let stage = stage().await;
    let rule = |artist: &str, track: &str, code| LastfmRule {
        artist_contains: artist.into(),
        track_contains: track.into(),
        code,
    };
    let user = LastfmUser {
        ignore: vec![rule("Banned", "", 1), rule("", "Noise", 2)],
        daily_limit: 2,
        ..LastfmUser::new("alice", SESSION)
    };
    stage.simulator.put_lastfm_user(&user).await.unwrap();
    let now = stage.now().await.as_second();
    let day = 86_400;
    let answer = scrobble(
        &stage,
        &[
            ("Banned Band", "T", now),
            ("A", "White Noise", now),
            ("A", "Old", now - 14 * day - 60),
            ("A", "New", now + 7_200),
            ("A", "One", now - 1),
            ("A", "Two", now - 13 * day),
            ("A", "Three", now - 3),
        ],
    )
    .await;
    assert_eq!(codes(&answer), ["1", "2", "3", "4", "0", "0", "5"]);
    assert_eq!(answer.json()["scrobbles"]["@attr"], json!({"accepted": 2, "ignored": 5}));
    let user = LastfmUser { too_old_code: 1, ..LastfmUser::new("alice", SESSION) };
    stage.simulator.put_lastfm_user(&user).await.unwrap();
    assert_eq!(codes(&scrobble(&stage, &[("A", "Old", now - 15 * day)]).await), ["1"], "as seen at times");
    assert_eq!(codes(&scrobble(&stage, &[("A", "Three", now - 3)]).await), ["0"], "ignored once is not for ever");
    let held = stage.simulator.scrobbles("alice").await.unwrap();
    assert_eq!(held.iter().filter(|scrobble| scrobble.ignored_code == 0).count(), 3);
    let more = |name, value| [("sk", SESSION), ("artist", "A"), ("track", "S"), ("timestamp", "1"), (name, value)];
    let timed = |mut fields: [(&'static str, &'static str); 5], time: &'static str| {
        fields[3].1 = time;
        fields
    };
    let time: &'static str = now.to_string().leak();
    assert_eq!(codes(&call(&stage, "track.scrobble", &timed(more("duration", "29"), time)).await), ["2"]);
    assert_eq!(codes(&call(&stage, "track.scrobble", &timed(more("albumArtist", "VA"), time)).await), ["1"]);
    assert_eq!(codes(&call(&stage, "track.scrobble", &timed(more("duration", "30"), time)).await), ["0"]);
}

#[tokio::test]
async fn requests_that_are_wrong_have_a_number() {
    let stage = stage().await;
    let now = stage.now().await.as_second().to_string();
    let good = [("sk", SESSION), ("artist", "A"), ("track", "T"), ("timestamp", now.as_str())];
    let changed = |name: &str, value: &str| {
        let mut form = form("track.scrobble", &good);
        form.insert(name.into(), value.into());
        form
    };
    assert_eq!(failure(&post(&stage, &changed("api_key", "wrong")).await), (403, Some(10)));
    assert_eq!(failure(&post(&stage, &changed("track", "Tampered")).await), (403, Some(13)));
    assert_eq!(failure(&post(&stage, &changed("api_sig", "00")).await), (403, Some(13)));
    let session = [("sk", "wrong"), good[1], good[2], good[3]];
    assert_eq!(failure(&call(&stage, "track.scrobble", &session).await), (403, Some(9)));
    assert_eq!(failure(&call(&stage, "track.scrobble", &good[..3]).await), (400, Some(6)));
    assert_eq!(failure(&call(&stage, "track.love", &[]).await), (400, Some(3)));
    let titles: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let many: Vec<_> = titles.iter().map(|title| ("A", title.as_str(), 1)).collect();
    assert_eq!(failure(&scrobble(&stage, &many).await), (400, Some(6)));
    assert!(stage.simulator.scrobbles("alice").await.unwrap().is_empty());
    stage.simulator.put_lastfm_app(&LastfmApp { errors_with_200: true, ..lastfm_app() }).await.unwrap();
    assert_eq!(failure(&call(&stage, "track.scrobble", &session).await), (200, Some(9)), "some come with HTTP 200");
    stage.simulator.put_lastfm_app(&LastfmApp { suspended: true, ..lastfm_app() }).await.unwrap();
    assert_eq!(failure(&call(&stage, "track.scrobble", &good).await), (403, Some(26)));
}

#[tokio::test]
async fn errors_can_be_scripted_with_any_status() {
    let stage = stage().await;
    for (code, status) in [(8, 500), (11, 503), (16, 200), (29, 429), (4, 200)] {
        let fault =
            NewFault::new(Effect::LastfmError { code, status }).at(Endpoint::LastfmScrobble).of("alice").times(1);
        stage.simulator.add_fault(&fault).await.unwrap();
        assert_eq!(failure(&scrobble(&stage, &[("A", "T", 1)]).await), (status, Some(u64::from(code))));
    }
    assert!(stage.simulator.scrobbles("alice").await.unwrap().is_empty());
}

#[tokio::test]
async fn recent_tracks_are_shown_newest_first() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    scrobble(&stage, &[("A", "One", now - 300), ("A", "Two", now - 200), ("A", "Three", now - 100)]).await;
    let ask = async |more: &[(&str, String)]| {
        let query = [("method", "user.getRecentTracks"), ("api_key", KEY), ("user", "alice"), ("format", "json")];
        let request = stage.http.get(stage.url("/lastfm/2.0/")).query(&query).query(more);
        stage.answer(request).await.json()["recenttracks"].clone()
    };
    let names = |body: &Value| -> Vec<String> {
        let tracks = body["track"].as_array().unwrap();
        tracks.iter().map(|track| track["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = ask(&[]).await;
    assert_eq!(names(&all), ["Three", "Two", "One"]);
    assert_eq!(all["track"][0]["date"]["uts"], (now - 100).to_string());
    assert_eq!(all["@attr"]["total"], "3");
    let page = ask(&[("limit", "2".into()), ("page", "2".into())]).await;
    assert_eq!((names(&page), &page["@attr"]["totalPages"]), (vec!["One".to_owned()], &json!("2")));
    let some = ask(&[("from", (now - 200).to_string()), ("to", (now - 150).to_string())]).await;
    assert_eq!(names(&some), ["Two"]);
    let nobody = call(&stage, "user.getRecentTracks", &[("user", "nobody")]).await;
    assert_eq!(failure(&nobody), (400, Some(6)));
}

async fn get(stage: &Stage, form: &Form) -> Answer {
    stage.answer(stage.http.get(stage.url("/lastfm/2.0/")).query(form)).await
}

#[tokio::test]
async fn a_session_says_whose_it_is_by_post_and_by_get() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    scrobble(&stage, &[("A", "One", now - 300), ("A", "Two", now - 200)]).await;
    let own = form("user.getInfo", &[("sk", SESSION)]);
    for answer in [post(&stage, &own).await, get(&stage, &own).await] {
        let user = &answer.json()["user"];
        assert_eq!((answer.status, &user["name"], &user["playcount"]), (200, &json!("alice"), &json!("2")));
    }
    let changed = |name: &str, value: &str| {
        let mut form = own.clone();
        form.insert(name.into(), value.into());
        form
    };
    for (form, expected) in [
        (form("user.getInfo", &[("sk", "wrong")]), (403, Some(9))),
        (changed("api_sig", "00"), (403, Some(13))),
        (changed("api_key", "wrong"), (403, Some(10))),
        (form("user.getInfo", &[]), (400, Some(6))),
        (form("user.getInfo", &[("user", "nobody")]), (400, Some(6))),
    ] {
        assert_eq!(failure(&post(&stage, &form).await), expected);
        assert_eq!(failure(&get(&stage, &form).await), expected);
    }
    let unsigned = [("method", "user.getInfo"), ("api_key", KEY), ("user", "alice"), ("format", "json")];
    let unsigned: Form = unsigned.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    assert_eq!(get(&stage, &unsigned).await.json()["user"]["name"], "alice", "a profile is public");
    let records = stage.simulator.requests(&RecordFilter::at(Endpoint::LastfmUserInfo).of("alice")).await.unwrap();
    assert_eq!(records.len(), 7, "a session's calls and those for a name are its user's");
}

#[tokio::test]
async fn a_question_about_a_session_can_fail_by_script() {
    let stage = stage().await;
    let ask = async || call(&stage, "user.getInfo", &[("sk", SESSION)]).await;
    let fault = |effect| NewFault::new(effect).at(Endpoint::LastfmUserInfo).of("alice").times(1);
    stage.simulator.add_fault(&fault(Effect::LastfmError { code: 9, status: 200 })).await.unwrap();
    assert_eq!(failure(&ask().await), (200, Some(9)));
    stage.simulator.add_fault(&fault(Effect::RateLimited { retry_after_seconds: 7 })).await.unwrap();
    let limited = ask().await;
    assert_eq!((failure(&limited), limited.header("retry-after")), ((429, Some(29)), Some("7")));
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn a_session_may_ask_for_recent_tracks_and_must_be_good() {
    let stage = stage().await;
    let now = stage.now().await.as_second();
    scrobble(&stage, &[("A", "One", now - 300)]).await;
    let ask = async |sk| call(&stage, "user.getRecentTracks", &[("sk", sk), ("user", "alice")]).await;
    assert_eq!(ask(SESSION).await.json()["recenttracks"]["track"][0]["name"], "One");
    assert_eq!(failure(&ask("wrong").await), (403, Some(9)));
    let mut tampered = form("user.getRecentTracks", &[("sk", SESSION), ("user", "alice")]);
    tampered.insert("limit".into(), "1".into());
    assert_eq!(failure(&post(&stage, &tampered).await), (403, Some(13)));
}

#[tokio::test]
async fn a_play_that_one_day_ignores_counts_on_the_day_that_takes_it() {
    let stage = stage().await;
    let user = LastfmUser { daily_limit: 1, ..LastfmUser::new("alice", SESSION) };
    stage.simulator.put_lastfm_user(&user).await.unwrap();
    let now = stage.now().await.as_second();
    assert_eq!(codes(&scrobble(&stage, &[("A", "One", now), ("A", "Two", now + 1)]).await), ["0", "5"]);
    stage.advance(86_400).await;
    assert_eq!(codes(&scrobble(&stage, &[("A", "Two", now + 1), ("A", "Three", now + 2)]).await), ["0", "5"]);
    assert_eq!(codes(&scrobble(&stage, &[("A", "One", now)]).await), ["0"], "a repeat counts on no day");
}

#[tokio::test]
async fn whoever_does_not_ask_for_json_gets_xml() {
    let stage = stage().await;
    let mut form = form("auth.getToken", &[]);
    form.remove("format");
    let answer = post(&stage, &form).await;
    assert!(answer.header("content-type").unwrap().starts_with("text/xml"));
    assert!(answer.text.contains("<lfm status=\"ok\"><token>"), "{}", answer.text);
    form.insert("api_sig".into(), "00".into());
    let answer = post(&stage, &form).await;
    assert!(answer.text.contains("<lfm status=\"failed\"><error code=\"13\">"), "{}", answer.text);
}
