//! `user.getRecentTracks`: what a user's profile holds, newest first.

use serde_json::{Value, json};

use super::{INVALID_PARAMETERS, Refusal, parameter, session};
use crate::api::{LastfmApp, Scrobble};
use crate::call::Visit;

/// Tracks of a page unless asked, and at most.
const DEFAULT_LIMIT: usize = 50;
const MOST: usize = 200;

pub(crate) fn answer(visit: &mut Visit<'_>, app: &LastfmApp) -> Result<Value, Refusal> {
    session(visit, app)?;
    let user = parameter(visit.call, "user").ok_or(INVALID_PARAMETERS)?;
    if !visit.world.lastfm_users.contains(user) {
        return Err(INVALID_PARAMETERS);
    }
    let number = |name: &str| match parameter(visit.call, name) {
        Some(text) => text.parse::<i64>().map(Some).map_err(|_| INVALID_PARAMETERS),
        None => Ok(None),
    };
    let (from, to) = (number("from")?, number("to")?);
    let size = |given: Option<i64>, usual: usize| given.and_then(|given| usize::try_from(given).ok()).unwrap_or(usual);
    let limit = size(number("limit")?, DEFAULT_LIMIT).clamp(1, MOST);
    let page = size(number("page")?, 1).max(1);
    let found: Vec<&Scrobble> = visit
        .world
        .scrobbles
        .of(user)
        .map(|(_, scrobble)| scrobble)
        .rev()
        .filter(|scrobble| scrobble.ignored_code == 0)
        .filter(|scrobble| from.is_none_or(|from| scrobble.timestamp >= from))
        .filter(|scrobble| to.is_none_or(|to| scrobble.timestamp <= to))
        .collect();
    let tracks: Vec<Value> =
        found.iter().skip((page - 1) * limit).take(limit).map(|scrobble| shown(scrobble)).collect();
    Ok(json!({"recenttracks": {
        "track": tracks,
        "@attr": {
            "user": user,
            "page": page.to_string(),
            "perPage": limit.to_string(),
            "total": found.len().to_string(),
            "totalPages": found.len().div_ceil(limit).to_string(),
        },
    }}))
}

fn shown(scrobble: &Scrobble) -> Value {
    json!({
        "artist": {"mbid": "", "#text": scrobble.artist},
        "album": {"mbid": "", "#text": scrobble.other.get("album").map_or("", String::as_str)},
        "name": scrobble.track,
        "mbid": "",
        "streamable": "0",
        "image": [],
        "url": "https://www.last.fm/music/",
        "date": {"uts": scrobble.timestamp.to_string(), "#text": ""},
    })
}
