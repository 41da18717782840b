//! What happens on the wire, seen through a plain socket.

use std::time::Duration;

use jiff::SignedDuration;
use scrobble_simulator::api::{Effect, Endpoint, NewFault, NewPlay, Record, RecordFilter, Tokens};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{ALICE, Stage, app};

async fn stage() -> (Stage, Tokens) {
    let (stage, tokens) = Stage::with_alice(app()).await;
    let now = stage.now().await;
    let plays: Vec<_> = (1..=50).map(|number| NewPlay::new(now - SignedDuration::from_mins(number))).collect();
    stage.simulator.add_plays(ALICE, &plays).await.unwrap();
    (stage, tokens)
}

async fn connect(stage: &Stage, tokens: &Tokens) -> TcpStream {
    let mut stream = TcpStream::connect(stage.simulator.address()).await.unwrap();
    let request = format!(
        "GET /spotify/api/v1/me/player/recently-played?limit=50 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        tokens.access_token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Everything until the server closes the connection.
async fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    read.expect("the connection is closed").unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The first request after the one of this number, waited for.
async fn record_after(stage: &Stage, seq: u64) -> Record {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let records = stage.simulator.requests(&RecordFilter::default().since(seq)).await.unwrap();
        if let Some(record) = records.into_iter().next() {
            return record;
        }
        assert!(tokio::time::Instant::now() < deadline, "no request was recorded");
        tokio::task::yield_now().await;
    }
}

async fn script(stage: &Stage, effect: Effect) {
    let fault = NewFault::new(effect).at(Endpoint::RecentlyPlayed).times(1);
    stage.simulator.add_fault(&fault).await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_carries_not_one_byte() {
    let (stage, tokens) = stage().await;
    for (effect, acted) in [(Effect::CutBefore, false), (Effect::CutAfter, true)] {
        script(&stage, effect.clone()).await;
        assert_eq!(read_to_end(connect(&stage, &tokens).await).await, "");
        let records = stage.simulator.requests(&RecordFilter::at(Endpoint::RecentlyPlayed)).await.unwrap();
        let last = records.last().unwrap();
        assert_eq!((last.status, last.acted, last.fault.as_ref()), (None, acted, Some(&effect)));
        assert_eq!(last.facts.plays.is_empty(), !acted);
    }
}

#[tokio::test]
async fn a_truncated_body_breaks_off_in_the_middle() {
    let (stage, tokens) = stage().await;
    script(&stage, Effect::TruncatedBody).await;
    let text = read_to_end(connect(&stage, &tokens).await).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"));
    let announced: usize =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert_eq!(body.len(), announced / 2);
    assert!(body.starts_with("{\""));
    script(&stage, Effect::TruncatedBody).await;
    let url = stage.url("/spotify/api/v1/me/player/recently-played");
    let answer = stage.http.get(url).bearer_auth(&tokens.access_token).send().await.unwrap();
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn a_hang_never_answers_and_ends_with_the_client() {
    let (stage, tokens) = stage().await;
    for (effect, acted) in [(Effect::Hang, false), (Effect::HangAfter, true)] {
        script(&stage, effect).await;
        let before = stage.simulator.last_seq().await.unwrap();
        let mut stream = connect(&stage, &tokens).await;
        let record = record_after(&stage, before).await;
        assert_eq!((record.status, record.acted), (None, acted));
        let mut byte = [0];
        let silence = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut byte)).await;
        assert!(silence.is_err(), "neither an answer nor an end");
    }
    assert_eq!(stage.me(&tokens.access_token).await.status, 200, "others are served meanwhile");
}

#[tokio::test]
async fn a_delayed_service_acts_even_if_the_client_has_gone() {
    let (stage, tokens) = stage().await;
    script(&stage, Effect::DelayBefore { milliseconds: 100 }).await;
    let before = stage.simulator.last_seq().await.unwrap();
    drop(connect(&stage, &tokens).await);
    assert!(record_after(&stage, before).await.acted);
    script(&stage, Effect::DelayAfter { milliseconds: 20 }).await;
    assert_eq!(stage.recently_played(&tokens.access_token, "").await.status, 200);
}

#[tokio::test]
async fn one_cut_leaves_other_connections_alone() {
    let (stage, tokens) = stage().await;
    let mut first = connect(&stage, &tokens).await;
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    script(&stage, Effect::CutBefore).await;
    assert_eq!(read_to_end(connect(&stage, &tokens).await).await, "");
    first.read_exact(&mut byte).await.unwrap();
    assert_eq!(stage.recently_played(&tokens.access_token, "").await.status, 200);
}
