//! The fields of Spotify's JSON that are used. Everything may be absent, null or of another type: one odd field costs
//! that field, one odd entry costs that entry.

use serde_json::Value;

/// A text that is there and not blank, without NUL characters (databases behind services cannot hold them: ListenBrainz
/// refuses a listen with one) and cut to a length that no service accepts anyway.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    const MAXIMUM_CHARACTERS: usize = 2048;
    let text = value?.as_str()?;
    let cut: String = text.chars().filter(|character| *character != '\0').take(MAXIMUM_CHARACTERS).collect();
    (!cut.trim().is_empty()).then_some(cut)
}

/// A whole number above zero.
pub(super) fn positive(value: Option<&Value>) -> Option<i64> {
    value?.as_i64().filter(|number| *number > 0)
}

/// The names in a list of artists, in order.
pub(super) fn names(artists: Option<&Value>) -> Vec<String> {
    let entries = artists.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|artist| text(artist.get("name"))).take(64).collect()
}
