//! Plays of every shape, and servers of every temper.

use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{Scrobble, Service};
use crate::adapters::http::{AllowedRanges, GuardedClient};
use crate::domain::answer::{Delivery, Submission};
use crate::domain::play::Play;

/// Long enough for an answer of this machine's.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that may connect to this machine.
pub(super) fn open_client() -> GuardedClient {
    client(&["127.0.0.0/8"])
}

/// A client that may connect to public addresses and these ranges.
pub(super) fn client(ranges: &[&str]) -> GuardedClient {
    rustls::crypto::ring::default_provider().install_default().ok();
    GuardedClient::new(&AllowedRanges::new(ranges.iter().map(|range| range.parse().unwrap()).collect())).unwrap()
}

/// A service of each type at this URL.
pub(super) fn services(url: &Url) -> [Service; 4] {
    let secret = || "secret".to_owned().into();
    let named = || "music/archive".to_owned();
    [
        Service::LastFm { url: url.clone(), api_key: secret(), shared_secret: secret(), session_key: secret() },
        Service::Maloja { url: url.clone(), api_key: secret() },
        Service::ListenBrainz { url: url.clone(), token: secret() },
        Service::Webhook { url: url.clone(), signing_key: Some(secret()), target: named(), listener: named() },
    ]
}

/// A server with one answer to everything.
pub(super) async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// What became of plays at a server with one answer, and the requests it saw.
pub(super) async fn submit(
    service: impl Fn(&str) -> Service,
    answer: ResponseTemplate,
    scrobbles: &[Scrobble],
) -> (Submission, Vec<Request>) {
    let server = server(answer).await;
    let submission = service(&server.uri()).submit_within(PATIENCE, &open_client(), scrobbles).await.submission;
    (submission, server.received_requests().await.unwrap())
}

/// What became of plays at a server that does not answer in time.
pub(super) async fn submit_to_a_hanging_server(
    service: impl Fn(&str) -> Service,
    scrobbles: &[Scrobble],
) -> Submission {
    let server = server(ResponseTemplate::new(200).set_delay(PATIENCE * 10)).await;
    service(&server.uri()).submit_within(Duration::from_millis(100), &open_client(), scrobbles).await.submission
}

/// What became of plays at a server that reads the request and hangs up.
pub(super) async fn submit_to_a_cutting_server(
    service: impl Fn(&str) -> Service,
    scrobbles: &[Scrobble],
) -> Submission {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let cut = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 64];
            connection.read_exact(&mut request).await.unwrap();
        }
    });
    let submission = service(&uri).submit_within(PATIENCE, &open_client(), scrobbles).await.submission;
    cut.abort();
    submission
}

/// What became of plays at an address where nobody listens.
pub(super) async fn submit_to_a_closed_port(service: impl Fn(&str) -> Service, scrobbles: &[Scrobble]) -> Submission {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    service(&format!("http://{free}")).submit_within(PATIENCE, &open_client(), scrobbles).await.submission
}

/// The only answer of a submission of one play.
pub(super) fn only(submission: Submission) -> Delivery {
    let Submission::Each(mut deliveries) = submission else { panic!("{submission:?}") };
    assert_eq!(deliveries.len(), 1);
    deliveries.remove(0)
}

/// A play with everything that Spotify can tell.
pub(super) fn full_play() -> Play {
    Play {
        played_at: "2026-11-23T10:00:00.381Z".parse().unwrap(),
        uri: "spotify:track:4uLU6hMCjMI75M1A2tKUQC".to_owned(),
        title: "Karmacoma".to_owned(),
        artists: vec!["Massive Attack".to_owned(), "Tricky".to_owned()],
        album: Some("Protection".to_owned()),
        album_artists: vec!["Massive Attack".to_owned()],
        duration_ms: Some(316_000),
        track_number: Some(3),
        isrc: Some("GBAAA9400001".to_owned()),
        track_id: Some("4uLU6hMCjMI75M1A2tKUQC".to_owned()),
    }
}

/// The play at the second that Spotify reports, rounded down.
pub(super) fn scrobble(play: Play) -> Scrobble {
    let timestamp = Timestamp::from_second(play.played_at.as_second()).unwrap();
    Scrobble { play, timestamp }
}

/// Plays that end a second apart.
pub(super) fn scrobbles(count: i64) -> Vec<Scrobble> {
    let first = full_play().played_at;
    let at = |second| first + jiff::SignedDuration::from_secs(second);
    (0..count).map(|second| scrobble(Play { played_at: at(second), ..full_play() })).collect()
}

/// Plays of every shape that the page can show, by name.
pub(super) fn shapes() -> Vec<(&'static str, Play)> {
    let bare = || Play { track_number: None, isrc: None, album_artists: Vec::new(), ..full_play() };
    vec![
        ("everything", full_play()),
        (
            "no album, code, number or id",
            Play { album: None, track_id: None, duration_ms: None, uri: String::new(), ..bare() },
        ),
        (
            "a local file",
            Play {
                uri: "spotify:local:Me::Demo:120".to_owned(),
                title: "Demo".to_owned(),
                artists: vec!["Me".to_owned()],
                album: None,
                duration_ms: Some(120_000),
                track_id: None,
                ..bare()
            },
        ),
        (
            "scripts of several planes, quotes, breaks",
            Play {
                title: "\"Ça\" \\ 夜に駆ける\n𝄞🎧\u{2028}".to_owned(),
                artists: vec!["Σ".to_owned(), "Björk & \u{e000}".to_owned(), "كايروكي".to_owned()],
                album: Some("</script>\t\u{7f}".to_owned()),
                ..bare()
            },
        ),
        (
            "nothing where something could be",
            Play {
                album: Some(String::new()),
                isrc: Some(String::new()),
                track_id: Some(String::new()),
                duration_ms: Some(0),
                ..bare()
            },
        ),
        (
            "the first millisecond of a second, a day long",
            Play { played_at: "2026-11-23T10:00:00Z".parse().unwrap(), duration_ms: Some(86_400_000), ..bare() },
        ),
    ]
}
