//! Two entries of the page that are one play, and two that are not.

use scrobble_operator::domain::ledger::Identity;
use serde_json::{Value, json};

use super::{items, read};

/// The same track at another time.
fn at(played_at: &str, changes: &[(&str, Value)]) -> Value {
    let mut track = items::rows().swap_remove(0).item["track"].take();
    for (key, value) in changes {
        track[*key] = value.clone();
    }
    items::item(played_at, track)
}

#[tokio::test]
async fn a_play_that_comes_back_at_a_shifted_time_or_under_another_uri_is_the_same_in_the_ledger() {
    let relinked = [("linked_from", json!({"id": "1original", "uri": "spotify:track:1original"}))];
    let other_uri = ("uri", json!("spotify:track:2other"));
    let other_title = ("name", json!("Teardrop"));
    let other_artist = ("artists", json!([{"name": "Portishead"}]));
    let once = items::PLAYED_AT;
    for (name, item, same) in [
        ("unchanged", at(once, &[]), true),
        ("a millisecond later", at("2026-11-23T10:00:00.382Z", &[]), true),
        ("the same second, cut", at("2026-11-23T10:00:00Z", &[]), true),
        ("half a minute later, almost", at("2026-11-23T10:00:30.380Z", &[]), true),
        ("half a minute earlier, almost", at("2026-11-23T09:59:30.382Z", &[]), true),
        ("half a minute later", at("2026-11-23T10:00:30.381Z", &[]), false),
        ("half a minute earlier", at("2026-11-23T09:59:30.381Z", &[]), false),
        ("shifted, with corrected texts", at("2026-11-23T10:00:09.381Z", std::slice::from_ref(&other_title)), true),
        ("relinked by now", at(once, &relinked), true),
        ("relinked and shifted", at("2026-11-23T10:00:00.382Z", &relinked), false),
        ("under another URI", at(once, std::slice::from_ref(&other_uri)), true),
        ("another track at the same time", at(once, &[other_uri.clone(), other_title]), false),
        ("another artist's at the same time", at(once, &[other_uri, other_artist]), false),
        ("no longer with its track", items::item(once, Value::Null), false),
    ] {
        let page = read(&[at(once, &[]), item]).await;
        let [first, second] = [&page.entries[0], &page.entries[1]].map(Identity::of);
        assert_eq!(first.is_same(&second), same, "{name}");
        assert_eq!(second.is_same(&first), same, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_scrobbled_is_counted_once_although_it_is_shown_again() {
    for row in items::rows().into_iter().filter(|row| row.skipped.is_some()) {
        let page = read(&[row.item.clone(), row.item]).await;
        let [first, second] = [&page.entries[0], &page.entries[1]].map(Identity::of);
        assert!(first.is_same(&second), "{}", row.name);
    }
}
