//! What makes a listen valid, and what makes two the same.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::digest;

/// Largest listen in bytes. The server's code measures only the whole request, its documentation each listen: both hold.
pub(super) const LARGEST_LISTEN: usize = 10_240;
/// 2002-10-01, the oldest second that the server's code accepts.
const OLDEST: i64 = 1_033_430_400;
/// Seconds that a listen may lie in the future.
const SKEW: i64 = 3_600;
/// 24 days in seconds: the longest duration.
const LONGEST: i64 = 24 * 86_400;
const MOST_TAGS: usize = 50;
const LONGEST_TAG: usize = 64;
const MBID_KEYS: [&str; 5] = ["release_mbid", "recording_mbid", "release_group_mbid", "track_mbid", "artist_mbid"];
const MBID_LIST_KEYS: [&str; 2] = ["artist_mbids", "work_mbids"];

/// `listen_type` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenType {
    Single,
    PlayingNow,
    Import,
}

/// A valid listen.
#[derive(Debug)]
pub(crate) struct Submission {
    pub listened_at: i64,
    pub title: String,
    pub recording_msid: String,
    pub entry: Value,
}

pub(crate) fn listen_type(document: &Value) -> Result<ListenType, String> {
    match document["listen_type"].as_str() {
        Some("single") => Ok(ListenType::Single),
        Some("playing_now") => Ok(ListenType::PlayingNow),
        Some("import") => Ok(ListenType::Import),
        Some(other) => Err(format!("JSON document requires a valid listen_type key, not {other:?}")),
        None => Err("JSON document must contain the key listen_type".into()),
    }
}

/// The listen, or why the whole request is refused.
pub(crate) fn check(entry: &Value, listen_type: ListenType, now: Timestamp) -> Result<Submission, String> {
    let fields = entry.as_object().ok_or("A listen must be an object")?;
    let size = entry.to_string().len();
    if size > LARGEST_LISTEN {
        return Err(format!("Listen is too large: {size} bytes, at most {LARGEST_LISTEN}"));
    }
    if holds_nul(entry) {
        return Err("Listen contains a NUL character".into());
    }
    let listened_at = check_time(fields, listen_type, now)?;
    let metadata = fields.get("track_metadata").and_then(Value::as_object);
    let metadata = metadata.ok_or("JSON document must contain the key track_metadata with an object")?;
    let title = required(metadata, "track_name")?;
    let artist = required(metadata, "artist_name")?;
    let release = optional(metadata, "release_name")?;
    let empty = Map::new();
    let info = match metadata.get("additional_info") {
        None => &empty,
        Some(info) => info.as_object().ok_or("track_metadata.additional_info must be an object")?,
    };
    check_tags(info)?;
    check_mbids(info)?;
    let duration_ms = check_duration(info)?;
    let identity = [
        title.to_lowercase(),
        artist.to_lowercase(),
        release.unwrap_or_default().to_lowercase(),
        info.get("track_number").map(ToString::to_string).unwrap_or_default(),
        duration_ms.map(|duration| duration.to_string()).unwrap_or_default(),
    ];
    Ok(Submission {
        listened_at,
        title: title.to_owned(),
        recording_msid: as_uuid(&digest::sha256(identity.join("\0"))),
        entry: entry.clone(),
    })
}

fn check_time(fields: &Map<String, Value>, listen_type: ListenType, now: Timestamp) -> Result<i64, String> {
    if listen_type == ListenType::PlayingNow {
        if fields.contains_key("listened_at") {
            return Err("JSON document must not contain listened_at while submitting playing_now.".into());
        }
        if fields.keys().any(|key| key != "track_metadata") {
            return Err("JSON document may only contain track_metadata as top level key for playing_now.".into());
        }
        return Ok(0);
    }
    let listened_at = fields.get("listened_at").ok_or("JSON document must contain the key listened_at")?;
    let listened_at = listened_at.as_i64().ok_or("JSON document must contain an int value for listened_at.")?;
    if fields.keys().any(|key| key != "listened_at" && key != "track_metadata") {
        return Err("JSON document may only contain listened_at and track_metadata top level keys".into());
    }
    if listened_at < OLDEST {
        return Err(
            "Value for key listened_at is too low. listened_at timestamp should be greater than 1033410600".into()
        );
    }
    if listened_at >= now.as_second() + SKEW {
        return Err("Value for key listened_at is too high.".into());
    }
    Ok(listened_at)
}

fn required<'a>(metadata: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    let text = metadata.get(key).ok_or_else(|| format!("JSON document does not contain track_metadata.{key}"))?;
    let text = text.as_str().ok_or_else(|| format!("track_metadata.{key} must be a single string."))?;
    filled(text, key)
}

/// The text without blanks around it, which has to say something wherever it stands.
fn filled<'a>(text: &'a str, key: &str) -> Result<&'a str, String> {
    let text = text.trim();
    if text.is_empty() { Err(format!("field track_metadata.{key} is empty.")) } else { Ok(text) }
}

fn optional<'a>(metadata: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match metadata.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => filled(text, key).map(Some),
        Some(_) => Err(format!("track_metadata.{key} must be a single string.")),
    }
}

fn check_tags(info: &Map<String, Value>) -> Result<(), String> {
    let Some(tags) = info.get("tags") else { return Ok(()) };
    let tags = tags.as_array().ok_or("additional_info.tags must be a list")?;
    if tags.len() > MOST_TAGS {
        return Err(format!("JSON document may not contain more than {MOST_TAGS} items in additional_info.tags."));
    }
    if tags.iter().any(|tag| tag.as_str().is_none_or(|tag| tag.chars().count() > LONGEST_TAG)) {
        return Err(format!("additional_info.tags are strings of at most {LONGEST_TAG} characters."));
    }
    Ok(())
}

/// An empty one is dropped, a malformed one is refused.
fn check_mbids(info: &Map<String, Value>) -> Result<(), String> {
    let invalid = |key: &str| format!("{key} MBID format invalid.");
    for key in MBID_KEYS {
        match info.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() || is_uuid(text) => {}
            Some(_) => return Err(invalid(key)),
        }
    }
    for key in MBID_LIST_KEYS {
        let Some(value) = info.get(key) else { continue };
        let list = value.as_array().ok_or_else(|| invalid(key))?;
        if list.iter().any(|entry| entry.as_str().is_none_or(|text| !text.is_empty() && !is_uuid(text))) {
            return Err(invalid(key));
        }
    }
    Ok(())
}

fn check_duration(info: &Map<String, Value>) -> Result<Option<i64>, String> {
    let field = |key: &str, most: i64| match info.get(key) {
        None => Ok(None),
        Some(value) => {
            let number = value.as_i64().filter(|number| (1..=most).contains(number));
            number.map(Some).ok_or_else(|| format!("Value for {key} is invalid, should be a positive integer."))
        }
    };
    let (seconds, milliseconds) = (field("duration", LONGEST)?, field("duration_ms", LONGEST * 1_000)?);
    if seconds.is_some() && milliseconds.is_some() {
        return Err("JSON document should not contain both duration and duration_ms.".into());
    }
    Ok(milliseconds)
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(entries) => entries.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn as_uuid(hexadecimal: &str) -> String {
    let part = |from: usize, to: usize| hexadecimal.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
