//! The whole way of a play: Spotify's JSON, the play that is made of it, and the bytes that a service is sent.
//!
//! `items` holds the rows. A service is a column: a file with the bytes of each row, and an entry in [`COLUMNS`].

mod identity;
mod items;
mod lastfm;
mod listenbrainz;
mod maloja;
mod webhook;

use jiff::Timestamp;
use scrobble_operator::adapters::http::{AllowedRanges, GuardedClient, build_open_client};
use scrobble_operator::adapters::spotify::Spotify;
use scrobble_operator::adapters::targets::{Scrobble, Service};
use scrobble_operator::domain::answer::{ApiAnswer, Delivery, Submission};
use scrobble_operator::domain::play::{Heard, Page, Play};
use scrobble_operator::domain::token::AccessToken;
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// What a service is sent.
struct Column {
    name: &'static str,
    /// The service at this address.
    service: fn(Url) -> Service,
    /// How it says that it has a play.
    accepted: fn() -> ResponseTemplate,
    /// What of a request is compared.
    payload: fn(&Request) -> String,
    /// What is sent, in the notation of [`written`], and the rows for which it is: each row that is a play stands here
    /// once.
    expected: &'static [(&'static [&'static str], &'static str)],
}

const COLUMNS: [Column; 4] = [lastfm::COLUMN, listenbrainz::COLUMN, maloja::COLUMN, webhook::COLUMN];

/// What Spotify's answer with these items is read as.
async fn read(items: &[Value]) -> Page {
    rustls::crypto::ring::default_provider().install_default().ok();
    let server = MockServer::start().await;
    let body = json!({"cursors": null, "items": items, "limit": 50, "next": null});
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let url: Url = server.uri().parse().unwrap();
    let spotify = Spotify::new(build_open_client().unwrap(), url.clone(), url);
    match spotify.recently_played(&AccessToken::new("access".to_owned())).await {
        ApiAnswer::Found(page) => page,
        other => panic!("{other:?}"),
    }
}

/// What a service is sent for each of these plays.
async fn sent(column: &Column, plays: &[Play]) -> Vec<String> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with((column.accepted)()).mount(&server).await;
    let client = GuardedClient::new(&AllowedRanges::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap();
    let service = (column.service)(server.uri().parse().unwrap());
    for play in plays {
        let timestamp = Timestamp::from_second(play.played_at.as_second()).unwrap();
        let answer = service.submit(&client, &[Scrobble { play: play.clone(), timestamp }]).await;
        assert_eq!(answer.submission, Submission::Each(vec![Delivery::Accepted]), "{}: {play:?}", column.name);
    }
    server.received_requests().await.unwrap().iter().map(column.payload).collect()
}

/// Bytes as a table writes them: `\u{…}` is the character of that number, and `<3 times x>` is `xxx`.
fn written(text: &str) -> String {
    let mut parts = text.split(r"\u{");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('}').unwrap();
        plain.push(char::from_u32(u32::from_str_radix(number, 16).unwrap()).unwrap());
        plain.push_str(rest);
    }
    let Some((before, rest)) = plain.split_once('<').filter(|(_, rest)| rest.contains(" times ")) else { return plain };
    let (repeated, after) = rest.split_once('>').unwrap();
    let (count, what) = repeated.split_once(" times ").unwrap();
    format!("{before}{}{after}", what.repeat(count.parse().unwrap()))
}

#[tokio::test]
async fn every_entry_of_the_page_becomes_what_each_service_is_sent_or_is_skipped_with_its_reason() {
    let rows = items::rows();
    let (mut names, mut plays) = (Vec::new(), Vec::new());
    let items: Vec<Value> = rows.iter().map(|row| row.item.clone()).collect();
    assert!(items.len() <= 50, "{} rows: a page shows no more than 50", items.len());
    let page = read(&items).await;
    assert_eq!(page.entries.len(), rows.len(), "nothing is left out, so everything is counted");
    for (row, heard) in rows.iter().zip(page.entries) {
        match heard {
            Heard::Skipped(skipped) => assert_eq!(Some(skipped.reason), row.skipped, "{}", row.name),
            Heard::Play(play) => {
                assert_eq!(row.skipped, None, "{}", row.name);
                names.push(row.name);
                plays.push(play);
            }
        }
    }
    for column in &COLUMNS {
        let payloads = sent(column, &plays).await;
        assert_eq!(payloads.len(), plays.len(), "{}: one request for each play", column.name);
        for (name, payload) in names.iter().zip(payloads) {
            let lines: Vec<&str> =
                column.expected.iter().filter(|(rows, _)| rows.contains(name)).map(|(_, line)| *line).collect();
            assert_eq!(lines.len(), 1, "{}: one line for {name:?}, which is sent as {payload}", column.name);
            assert_eq!(payload, written(lines[0]), "{}: {name}", column.name);
        }
        let rows: Vec<&str> = column.expected.iter().flat_map(|(rows, _)| rows.iter().copied()).collect();
        assert!(rows.iter().all(|row| names.contains(row)), "{}: a line for no row", column.name);
    }
}

#[tokio::test]
async fn no_more_than_64_artists_are_taken() {
    let artists: Vec<Value> = (0..65).map(|number| json!({"name": format!("{number}")})).collect();
    let track = json!({"name": "Karmacoma", "artists": artists});
    let page = read(&[items::item(items::PLAYED_AT, track)]).await;
    let Heard::Play(play) = &page.entries[0] else { panic!("{page:?}") };
    assert_eq!(play.artists, (0..64).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_without_a_time_are_nobodys() {
    let untimed = [json!(null), json!({"track": {"name": "a"}}), json!({"played_at": "yesterday", "track": null})];
    assert_eq!(read(&untimed).await, Page::default());
}
