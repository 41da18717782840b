//! Maloja, by its native API: `POST /apis/mlj_1/newscrobble` and `GET /apis/mlj_1/scrobbles` (Maloja's API.md; what is said
//! here beyond it was measured with 3.2.3 and 3.2.9).
//!
//! A second is a scrobble's primary key there, over everybody who scrobbles to the server. A refused second (409) leaves
//! Maloja with ids in its cache that its database does not have, for the track, its artists and its album, until a new
//! scrobble succeeds: what uses one of them before that is stored against nothing, and from then on every read is a 500.
//! So nothing is ever sent again here, and who calls looks for a free second first (`plan::maloja`).

use std::time::Duration;

use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{OneByOne, OrderedObject, Scrobble, filled, lost};
use crate::adapters::http::{ANSWER_BYTES, Answer, GuardedClient, LISTING_BYTES, retry_after};
use crate::domain::answer::{Delivery, Shown, Submitted, Trouble};

/// How many scrobbles are read at a time: about 150 KiB.
const PAGE: usize = 500;
/// How many such pages are read of three days: far more than anybody hears.
const MOST_PAGES: usize = 40;
/// A listing, all its pages together, may take this many times the deadline of one answer.
const LISTING: u32 = 4;
const MILLISECONDS: i64 = 1000;

/// A listener's place at a server.
pub(super) struct Account<'a> {
    pub(super) url: &'a Url,
    pub(super) api_key: &'a SecretString,
    pub(super) deadline: Duration,
}

/// Sends plays one by one and stops at the first that is neither there now nor refused for good.
pub(super) async fn submit(http: &GuardedClient, account: &Account<'_>, scrobbles: &[Scrobble]) -> Submitted {
    let mut answers = OneByOne::of(scrobbles.len());
    for scrobble in scrobbles {
        let delivery = post(http, account, &listen(scrobble)).await.map_or_else(lost, |answer| submitted(&answer));
        if !answers.go_on_after(delivery) {
            break;
        }
    }
    answers.submitted()
}

/// Asks whether the key is accepted, by a scrobble that lacks everything: it is refused for what it lacks only after the
/// key was accepted, and nothing but a line of Maloja's log comes of it. `GET /apis/mlj_1/test` takes the key from the
/// query, where a secret must not be; it also reads the body of a GET, but says 200 where a proxy has dropped that.
pub(super) async fn validate(http: &GuardedClient, account: &Account<'_>) -> Delivery {
    let mut nothing = OrderedObject::new();
    nothing.insert("artists", json!([]));
    nothing.insert("title", json!(""));
    match post(http, account, &nothing).await {
        Err(trouble) => Delivery::NotNow { retry_after: None, trouble },
        Ok(answer) => match answer.status.as_u16() {
            400 if error_type(&body(&answer)) == Some("missing_scrobble_data") => Delivery::Accepted,
            403 if !answer.is_page() => Delivery::CredentialsRefused,
            200..=299 => Delivery::NotNow { retry_after: None, trouble: Trouble::Unreadable },
            _ => not_now(&answer),
        },
    }
}

/// The scrobbles in the seconds `from..=to`. Reading needs no key.
///
/// Maloja's ranges are made of days, which begin in the time zone that it is set up with; a Unix time in their place is a
/// 500. So the days around are read, which hold these seconds in every time zone, and the rest is left out here. The end is
/// always given: without one Maloja ends the range today.
pub(super) async fn shown(
    http: &GuardedClient,
    account: &Account<'_>,
    from: i64,
    to: i64,
) -> Result<Vec<Shown>, Delivery> {
    let pages = pages(http, account, from, to);
    let late = Err(Delivery::NotNow { retry_after: None, trouble: Trouble::Timeout });
    tokio::time::timeout(account.deadline * LISTING, pages).await.unwrap_or(late)
}

async fn pages(http: &GuardedClient, account: &Account<'_>, from: i64, to: i64) -> Result<Vec<Shown>, Delivery> {
    let mut found = Vec::new();
    for page in 0..MOST_PAGES {
        let entries = read(http, account, from, to, page).await?;
        // Oldest first, so that the days after the window are not read.
        let last = entries.len() < PAGE || entries.last().is_some_and(|entry| entry.second > to);
        found.extend(entries.into_iter().filter(|entry| (from..=to).contains(&entry.second)));
        if last {
            return Ok(found);
        }
    }
    Err(Delivery::NotNow { retry_after: None, trouble: Trouble::TooLarge })
}

async fn read(
    http: &GuardedClient,
    account: &Account<'_>,
    from: i64,
    to: i64,
    page: usize,
) -> Result<Vec<Shown>, Delivery> {
    let mut url = endpoint(account.url, "scrobbles");
    url.query_pairs_mut()
        .append_pair("from", &day(date(from).yesterday().unwrap_or(Date::MIN)))
        .append_pair("to", &day(date(to).tomorrow().unwrap_or(Date::MAX)))
        .append_pair("reverse", "no")
        .append_pair("perpage", &PAGE.to_string())
        .append_pair("page", &page.to_string());
    let unusable = |trouble| Delivery::NotNow { retry_after: None, trouble };
    let answer =
        http.send(Method::GET, &url, account.deadline, LISTING_BYTES, |request| request).await.map_err(unusable)?;
    if answer.status.as_u16() != 200 {
        return Err(not_now(&answer));
    }
    let body = body(&answer);
    let list = body.get("list").and_then(Value::as_array).ok_or_else(|| unusable(Trouble::Unreadable))?;
    list.iter().map(entry).collect::<Option<_>>().ok_or_else(|| unusable(Trouble::Unreadable))
}

fn entry(entry: &Value) -> Option<Shown> {
    let track = entry.get("track")?;
    let artists = track.get("artists")?.as_array()?.iter().map(|artist| artist.as_str().map(str::to_owned));
    Some(Shown {
        second: entry.get("time")?.as_i64()?,
        title: track.get("title")?.as_str()?.to_owned(),
        artists: artists.collect::<Option<_>>()?,
    })
}

/// The day of a second in UTC.
fn date(second: i64) -> Date {
    Offset::UTC.to_datetime(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)).date()
}

fn day(date: Date) -> String {
    format!("{}/{}/{}", date.year(), date.month(), date.day())
}

/// Posts what a scrobble is made of, with the key.
async fn post(http: &GuardedClient, account: &Account<'_>, scrobble: &OrderedObject) -> Result<Answer, Trouble> {
    let mut body = scrobble.clone();
    body.insert("key", json!(account.api_key.expose_secret()));
    let body = json!(body).to_string();
    let complete = |request: RequestBuilder| request.header(CONTENT_TYPE, "application/json").body(body);
    http.send(Method::POST, &endpoint(account.url, "newscrobble"), account.deadline, ANSWER_BYTES, complete).await
}

fn submitted(answer: &Answer) -> Delivery {
    let body = body(answer);
    match answer.status.as_u16() {
        200..=299 if body.get("status").and_then(Value::as_str) == Some("success") => {
            if has_warning(&body, "scrobble_exists") { Delivery::AlreadyThere } else { Delivery::Accepted }
        }
        // A path that the API does not have.
        200..=299 if body.get("error").is_some() => {
            Delivery::NotNow { retry_after: None, trouble: Trouble::Unreadable }
        }
        // A proxy's page, or half an answer.
        200..=299 => Delivery::Unknown(Trouble::Unreadable),
        409 if error_type(&body) == Some("duplicate_timestamp") => {
            Delivery::NotNow { retry_after: None, trouble: Trouble::SecondTaken }
        }
        400 if error_type(&body) == Some("missing_scrobble_data") => {
            Delivery::Never { reason: "the server answered 400: the scrobble lacks a title or an artist".to_owned() }
        }
        413 => Delivery::Never { reason: "the server answered 413: the scrobble is too large".to_owned() },
        403 if !answer.is_page() => Delivery::CredentialsRefused,
        _ => not_now(answer),
    }
}

fn not_now(answer: &Answer) -> Delivery {
    Delivery::NotNow { retry_after: retry_after(&answer.headers), trouble: Trouble::Status(answer.status.as_u16()) }
}

/// The answer's JSON, or null.
fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

fn error_type(body: &Value) -> Option<&str> {
    body.get("error")?.get("type")?.as_str()
}

fn has_warning(body: &Value, kind: &str) -> bool {
    let warnings = body.get("warnings").and_then(Value::as_array);
    warnings.is_some_and(|all| all.iter().any(|one| one.get("type").and_then(Value::as_str) == Some(kind)))
}

fn endpoint(url: &Url, name: &str) -> Url {
    let mut endpoint = url.clone();
    endpoint.set_path(&format!("{}/apis/mlj_1/{name}", url.path().trim_end_matches('/')));
    endpoint
}

/// One scrobble, the same bytes each time. `nofix` keeps title and artists as they are, where Maloja would split and clean
/// them. Without album artists Maloja takes the track's; an empty list would say "various artists". `duration` would be
/// how long was listened, which Spotify does not tell.
fn listen(scrobble: &Scrobble) -> OrderedObject {
    let play = &scrobble.play;
    let mut fields = OrderedObject::new();
    if let Some(album) = filled(play.album.as_ref()) {
        fields.insert("album", json!(album));
        if !play.album_artists.is_empty() {
            fields.insert("albumartists", json!(play.album_artists));
        }
    }
    fields.insert("artists", json!(play.artists));
    if let Some(length) = play.duration_ms.map(|duration| duration / MILLISECONDS).filter(|length| *length > 0) {
        fields.insert("length", json!(length));
    }
    fields.insert("nofix", json!(true));
    fields.insert("time", json!(scrobble.timestamp.as_second()));
    fields.insert("title", json!(play.title));
    fields
}

#[cfg(test)]
mod tests;
