//! Last.fm's API 2.0 (last.fm/api: "Scrobbling 2.0", `track.scrobble`, `user.getInfo`, `user.getRecentTracks`) and what
//! speaks it. docs/lastfm.md is the user's side of this file.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use md5::{Digest as _, Md5};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::{Scrobble, lost};
use crate::adapters::http::{Answer, GuardedClient, PAGE_BYTES, retry_after};
use crate::domain::answer::{Delivery, Shown, Submission, Submitted, Trouble};
use crate::domain::digest::hexadecimal;

/// A shorter `duration` makes Last.fm ignore the scrobble, undocumented: the field is left out then.
const SHORTEST_SECONDS: i64 = 30;
/// Album artists that stand for nobody; the first makes Last.fm ignore the scrobble, undocumented.
const NOBODY: [&str; 2] = ["VA", "Various Artists"];
/// The day for which a listener's scrobbles are counted.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The most tracks of a page of `user.getRecentTracks`.
const LARGEST_PAGE: &str = "200";

/// A listener's place at a server.
pub(super) struct Account<'a> {
    pub(super) url: &'a Url,
    pub(super) api_key: &'a SecretString,
    pub(super) shared_secret: &'a SecretString,
    pub(super) session_key: &'a SecretString,
    pub(super) deadline: Duration,
}

/// Parameters of a call, in the order in which they are sent.
type Parameters = Vec<(String, String)>;

/// Scrobbles plays, at most 50: `track.scrobble`.
pub(super) async fn submit(http: &GuardedClient, account: &Account<'_>, scrobbles: &[Scrobble]) -> Submitted {
    let count = scrobbles.len();
    let answer = match call(http, account, "track.scrobble", batch(scrobbles)).await {
        Ok(answer) => answer,
        Err(trouble) => return Submitted::all(count, &lost(trouble)),
    };
    let body = read(&answer);
    match failure(&answer, &body) {
        None => Submitted::plain(play_by_play(&body, count)),
        // Parameters or a resource that are invalid: one of the plays has them.
        Some(Delivery::NotNow { trouble: Trouble::Code(6 | 7), .. }) if count > 1 => {
            Submitted::plain(Submission::BatchRefused)
        }
        Some(Delivery::NotNow { trouble: Trouble::Code(code @ (6 | 7)), .. }) => {
            Submitted::all(count, &never(format!("the service does not accept this play (error {code})")))
        }
        Some(delivery) => {
            let pause = match delivery {
                // The limit is the caller's address's, not the listener's.
                Delivery::NotNow { retry_after, trouble: Trouble::RateLimited } => retry_after,
                _ => None,
            };
            Submitted { submission: Submission::all(count, &delivery), pause }
        }
    }
}

/// Asks whose session it is, which takes all three keys.
pub(super) async fn validate(http: &GuardedClient, account: &Account<'_>) -> Delivery {
    match user(http, account).await {
        Ok(_) => Delivery::Accepted,
        Err(delivery) => delivery,
    }
}

/// What the listener's profile shows between two seconds, both included: the newest 200 scrobbles, newest first.
pub(super) async fn shown(
    http: &GuardedClient,
    account: &Account<'_>,
    from: i64,
    to: i64,
) -> Result<Vec<Shown>, Delivery> {
    let user = user(http, account).await?;
    // Whether the bounds belong to the range is not documented: it is asked for wider and cut here.
    let (after, before) = (from.saturating_sub(1).to_string(), to.saturating_add(1).to_string());
    let parameters = [("user", user), ("from", after), ("to", before), ("limit", LARGEST_PAGE.to_owned())];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let body = ask(http, account, "user.getRecentTracks", parameters).await?;
    let page = body.get("recenttracks").filter(|page| page.is_object()).ok_or_else(unreadable)?;
    let mut shown = Vec::new();
    // What is playing now has no date, and is no scrobble yet.
    for track in list(page.get("track")).iter().filter(|track| track.get("date").is_some()) {
        let scrobble = shown_track(track).ok_or_else(unreadable)?;
        if (from..=to).contains(&scrobble.second) {
            shown.push(scrobble);
        }
    }
    Ok(shown)
}

fn shown_track(track: &Value) -> Option<Shown> {
    let text = |pointer| track.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
    let second = number(track.pointer("/date/uts"))?;
    Some(Shown { second, title: text("/name")?, artists: vec![text("/artist/#text")?] })
}

/// The name of the user whose session it is: `user.getInfo` without a name.
async fn user(http: &GuardedClient, account: &Account<'_>) -> Result<String, Delivery> {
    let body = ask(http, account, "user.getInfo", Parameters::new()).await?;
    let name = body.pointer("/user/name").and_then(Value::as_str).filter(|name| !name.is_empty());
    name.map(ToOwned::to_owned).ok_or_else(unreadable)
}

/// A call that changes nothing, so that a lost answer is no more than that.
async fn ask(
    http: &GuardedClient,
    account: &Account<'_>,
    method: &str,
    parameters: Parameters,
) -> Result<Value, Delivery> {
    let answer = call(http, account, method, parameters).await;
    let answer = answer.map_err(|trouble| Delivery::NotNow { retry_after: None, trouble })?;
    let body = read(&answer);
    failure(&answer, &body).map_or(Ok(body), Err)
}

/// Every call is a signed POST whose parameters are all in the body: nothing secret stands in a URL.
async fn call(
    http: &GuardedClient,
    account: &Account<'_>,
    method: &str,
    parameters: Parameters,
) -> Result<Answer, Trouble> {
    let own =
        [("method", method), ("api_key", account.api_key.expose_secret()), ("sk", account.session_key.expose_secret())];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut form: Parameters = own.into_iter().chain(parameters).collect();
    let signature = signature(&form, account.shared_secret);
    form.push(("api_sig".to_owned(), signature));
    form.push(("format".to_owned(), "json".to_owned()));
    http.send(Method::POST, account.url, account.deadline, PAGE_BYTES, |request| request.form(&form)).await
}

/// `api_sig`: MD5 over names and values in the byte order of the names (`artist[10]` before `artist[1]`), then the
/// secret. `format` is no part of it.
fn signature(parameters: &Parameters, shared_secret: &SecretString) -> String {
    let mut sorted: Vec<&(String, String)> = parameters.iter().collect();
    sorted.sort();
    let mut hash = Md5::new();
    for (name, value) in sorted {
        hash.update(name);
        hash.update(value);
    }
    hash.update(shared_secret.expose_secret());
    hexadecimal(&hash.finalize())
}

/// Plays under their indexes, in order.
fn batch(scrobbles: &[Scrobble]) -> Parameters {
    let indexed = scrobbles.iter().enumerate();
    indexed
        .flat_map(|(index, scrobble)| {
            fields(scrobble).into_iter().map(move |(name, value)| (format!("{name}[{index}]"), value))
        })
        .collect()
}

/// What is said of one play, the same each time: a repeat is recognised by user, artist, track and second. Nothing is
/// empty, because Last.fm ignores a scrobble for an empty value.
fn fields(scrobble: &Scrobble) -> Vec<(&'static str, String)> {
    let play = &scrobble.play;
    let artist = play.artists.first();
    let is_nobody = |name: &str| NOBODY.iter().any(|nobody| nobody.eq_ignore_ascii_case(name));
    let album_artist = play.album_artists.first().filter(|name| Some(*name) != artist && !is_nobody(name));
    let at_least = |least: i64, number: Option<i64>| number.filter(|number| *number >= least);
    let fields = [
        ("artist", artist.cloned()),
        ("track", Some(play.title.clone())),
        ("timestamp", Some(scrobble.timestamp.as_second().to_string())),
        ("album", play.album.clone()),
        ("albumArtist", album_artist.cloned()),
        ("trackNumber", at_least(1, play.track_number).map(|number| number.to_string())),
        ("duration", at_least(SHORTEST_SECONDS, play.duration_ms.map(|length| length / 1000)).map(|it| it.to_string())),
    ];
    let filled = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    filled.filter(|(_, value)| !value.trim().is_empty()).collect()
}

/// The body as JSON, or null.
fn read(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// What an error means, with whatever HTTP status it comes; none where the call succeeded.
fn failure(answer: &Answer, body: &Value) -> Option<Delivery> {
    let not_now = |trouble| Delivery::NotNow { retry_after: retry_after(&answer.headers), trouble };
    let client_refused = |reason: &str| Delivery::ClientRefused { reason: reason.to_owned() };
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Some(not_now(Trouble::RateLimited));
    }
    let failure = match number::<u32>(body.get("error")) {
        // 14 and 15 belong to signing in; elsewhere they can only mean that there is no session.
        Some(4 | 9 | 14 | 15) => Delivery::CredentialsRefused,
        Some(8) => not_now(Trouble::OperationFailed),
        Some(10) => client_refused("the service does not know the API key (error 10)"),
        Some(13) => client_refused("the signature is wrong: the shared secret is not that of the API key (error 13)"),
        Some(26) => client_refused("the service has suspended the API key (error 26)"),
        Some(29) => not_now(Trouble::RateLimited),
        Some(code) => not_now(Trouble::Code(code)),
        None if answer.status.is_success() => return None,
        None => not_now(Trouble::Status(answer.status.as_u16())),
    };
    Some(failure)
}

/// What became of each play. Other than one entry a play cannot be told apart: the service may have them all, and
/// recognises them when they come again.
fn play_by_play(body: &Value, count: usize) -> Submission {
    let entries = list(body.pointer("/scrobbles/scrobble"));
    if entries.len() != count {
        return Submission::all(count, &Delivery::Unknown(Trouble::Unreadable));
    }
    Submission::Each(entries.iter().map(|entry| taken(number(entry.pointer("/ignoredMessage/code")))).collect())
}

/// The codes of `ignoredMessage` ("Scrobbling 2.0", "Filtered scrobbles").
fn taken(ignored: Option<u32>) -> Delivery {
    let not_now = |retry_after, trouble| Delivery::NotNow { retry_after, trouble };
    match ignored {
        None => Delivery::Unknown(Trouble::Unreadable),
        Some(0) => Delivery::Accepted,
        Some(1) => never("Last.fm ignores the artist; it says the same of some plays that are too old".to_owned()),
        Some(2) => never("Last.fm ignores the track".to_owned()),
        Some(3) => never("too old for Last.fm".to_owned()),
        Some(4) => not_now(None, Trouble::TooNew),
        Some(5) => not_now(Some(DAY), Trouble::DailyLimit),
        Some(code) => not_now(None, Trouble::Ignored(code)),
    }
}

fn never(reason: String) -> Delivery {
    Delivery::Never { reason }
}

fn unreadable() -> Delivery {
    Delivery::NotNow { retry_after: None, trouble: Trouble::Unreadable }
}

/// One or many: Last.fm's JSON is made from XML, where a list of one is the thing itself.
fn list(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(entries)) => entries,
        Some(entry) => std::slice::from_ref(entry),
    }
}

/// A number, which may be written as a text.
fn number<T: std::str::FromStr>(value: Option<&Value>) -> Option<T> {
    match value? {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
