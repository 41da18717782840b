//! `track.scrobble`: up to fifty at once, each accepted or ignored by itself, repeats dropped without a word.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{INVALID_PARAMETERS, INVALID_SESSION_KEY, Refusal, given, one_or_many, session_user, signed};
use crate::api::{LastfmApp, LastfmUser, Scrobble};
use crate::call::Visit;
use crate::digest;

/// Most scrobbles of a request.
const MOST: usize = 50;
/// Seconds that a scrobble may lie in the future.
const SKEW: i64 = 3_600;
const DAY: i64 = 86_400;

/// `ignoredMessage` codes.
const ACCEPTED: u32 = 0;
const ARTIST_IGNORED: u32 = 1;
const TRACK_IGNORED: u32 = 2;
const TOO_NEW: u32 = 4;
const DAILY_LIMIT: u32 = 5;

pub(crate) fn answer(visit: &mut Visit<'_>, app: &LastfmApp) -> Result<Value, Refusal> {
    if visit.call.method != http::Method::POST {
        return Err(INVALID_PARAMETERS);
    }
    let parameters = signed(visit, app)?;
    let user = given(&parameters, "sk").and_then(|key| session_user(visit.world, key)).ok_or(INVALID_SESSION_KEY)?;
    let user = visit.world.lastfm_users.get(&user).cloned().ok_or(INVALID_SESSION_KEY)?;
    let entries = entries(&parameters)?;
    visit.facts.items = Some(entries.len() as u64);
    let (mut new, mut accepted, mut ignored) = (0, 0, 0);
    let mut answers = Vec::new();
    for entry in &entries {
        let (code, fresh) = store(visit, &user, entry);
        new += u64::from(fresh);
        accepted += u64::from(code == ACCEPTED);
        ignored += u64::from(code != ACCEPTED);
        answers.push(shown(entry, code));
    }
    visit.facts.items_new = Some(new);
    visit.facts.items_ignored = Some(ignored);
    let counts = json!({"accepted": accepted, "ignored": ignored});
    Ok(json!({"scrobbles": {"scrobble": one_or_many(answers), "@attr": counts}}))
}

/// One scrobble's parameters without their index.
type Entry = BTreeMap<String, String>;

fn entries(parameters: &BTreeMap<String, String>) -> Result<Vec<Entry>, Refusal> {
    let mut found: BTreeMap<usize, Entry> = BTreeMap::new();
    for (name, value) in parameters {
        if matches!(name.as_str(), "api_key" | "api_sig" | "sk" | "method" | "format" | "callback") {
            continue;
        }
        let (name, index) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, index)) => (name, index.parse().map_err(|_| INVALID_PARAMETERS)?),
            None => (name.as_str(), 0),
        };
        found.entry(index).or_default().insert(name.to_owned(), value.clone());
    }
    let complete = |entry: &Entry| {
        given(entry, "artist").is_some()
            && given(entry, "track").is_some()
            && given(entry, "timestamp").is_some_and(|time| time.parse::<i64>().is_ok())
    };
    let within = found.keys().next_back().is_some_and(|last| *last < MOST);
    if within && found.values().all(complete) { Ok(found.into_values().collect()) } else { Err(INVALID_PARAMETERS) }
}

/// The code, and whether the scrobble is new.
fn store(visit: &mut Visit<'_>, user: &LastfmUser, entry: &Entry) -> (u32, bool) {
    let artist = given(entry, "artist").unwrap_or_default().to_owned();
    let track = given(entry, "track").unwrap_or_default().to_owned();
    let timestamp = given(entry, "timestamp").and_then(|time| time.parse().ok()).unwrap_or(0);
    let identity = digest::sha256(format!("{artist}\0{track}"));
    let key = format!("{}/{timestamp:012}/{identity}", user.name);
    let form = digest::sha256(serde_json::to_string(entry).unwrap_or_default());
    let held = visit.world.scrobbles.get(&key).is_some_and(|known| known.ignored_code == ACCEPTED);
    let code = if held { ACCEPTED } else { judge(visit, user, entry, timestamp) };
    if let Some(known) = visit.world.scrobbles.edit(&key) {
        known.received += 1;
        known.last_time = visit.now;
        known.ignored_code = code;
        if !held && code == ACCEPTED {
            known.accepted_time = Some(visit.now);
        }
        if !known.forms.contains(&form) {
            known.forms.push(form);
        }
        return (code, !held && code == ACCEPTED);
    }
    let mut other = entry.clone();
    other.retain(|name, _| !matches!(name.as_str(), "artist" | "track" | "timestamp"));
    let scrobble = Scrobble {
        user: user.name.clone(),
        artist,
        track,
        timestamp,
        other,
        ignored_code: code,
        accepted_time: (code == ACCEPTED).then_some(visit.now),
        forms: vec![form],
        received: 1,
        first_time: visit.now,
        last_time: visit.now,
    };
    visit.world.scrobbles.put(key, scrobble);
    (code, code == ACCEPTED)
}

fn judge(visit: &Visit<'_>, user: &LastfmUser, entry: &Entry, timestamp: i64) -> u32 {
    let text = |name: &str| given(entry, name).unwrap_or_default();
    let scripted = user.ignore.iter().find(|rule| {
        text("artist").contains(rule.artist_contains.as_str()) && text("track").contains(rule.track_contains.as_str())
    });
    if let Some(rule) = scripted {
        return rule.code;
    }
    let now = visit.now.as_second();
    if timestamp < now - i64::from(user.maximum_age_days) * DAY {
        return user.too_old_code;
    }
    if timestamp > now + SKEW {
        return TOO_NEW;
    }
    // Two habits that Last.fm does not document: both were met by other scrobblers.
    if text("duration").parse::<i64>().is_ok_and(|seconds| seconds < 30) {
        return TRACK_IGNORED;
    }
    if matches!(text("albumArtist"), "VA") {
        return ARTIST_IGNORED;
    }
    let today = now.div_euclid(DAY);
    let own = visit.world.scrobbles.of(&user.name).filter_map(|(_, scrobble)| scrobble.accepted_time);
    let accepted = own.filter(|time| time.as_second().div_euclid(DAY) == today);
    if accepted.count() >= user.daily_limit as usize { DAILY_LIMIT } else { ACCEPTED }
}

fn shown(entry: &Entry, code: u32) -> Value {
    let corrected = |name: &str| json!({"corrected": "0", "#text": given(entry, name).unwrap_or_default()});
    let message = match code {
        ACCEPTED => "",
        ARTIST_IGNORED => "Artist name failed filter",
        TRACK_IGNORED => "Track name failed filter",
        3 => "Timestamp failed filter: too old",
        TOO_NEW => "Timestamp failed filter: too new",
        DAILY_LIMIT => "Daily scrobble limit exceeded",
        _ => "Ignored",
    };
    json!({
        "artist": corrected("artist"),
        "album": corrected("album"),
        "track": corrected("track"),
        "albumArtist": corrected("albumArtist"),
        "ignoredMessage": {"code": code.to_string(), "#text": message},
        "timestamp": given(entry, "timestamp").unwrap_or_default(),
    })
}
