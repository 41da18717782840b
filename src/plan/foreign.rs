//! Somebody else scrobbles too: Last.fm's own link to Spotify sends the same plays at other seconds.
//!
//! Once after a target is attached, when three or more plays are about to be sent, what the service shows is compared with
//! them. Fewer could not tell, and are sent.

use super::open::sent_time;
use super::schedule;
use crate::api::condition::Reason;
use crate::api::v1alpha1::{AccountTargetStatus, ForeignScrobbler, OnForeignScrobbler, ScrobbleTarget, SpotifyAccount};
use crate::domain::answer::{Delivery, Shown};
use crate::domain::play::Play;

/// So many plays that are there already tell of somebody else.
const MATCHES: usize = 3;
/// A track counts as the same play where it stands within its own duration and this (seconds).
const SLACK: i64 = 60;
/// The duration of a track that tells none (milliseconds): a long one.
const UNKNOWN_DURATION: i64 = 600_000;

/// What to do about a target with plays to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survey {
    /// Ask what the service shows.
    Ask,
    /// Send nothing.
    Hold,
    /// Send.
    Send,
}

/// What to do about a target with so many plays to be sent, from what its survey of this pass told, if there was one.
pub(super) fn survey(
    target: &ScrobbleTarget,
    known: Option<&AccountTargetStatus>,
    plays: usize,
    told: Option<&Result<bool, Delivery>>,
    account: &SpotifyAccount,
) -> Survey {
    if target.spec.last_fm.is_none() || is_told_to_send(target) {
        return Survey::Send;
    }
    match told {
        Some(Ok(false)) => return Survey::Send,
        Some(Ok(true) | Err(_)) => return Survey::Hold,
        None => {}
    }
    match known.and_then(|known| known.foreign_scrobbler) {
        Some(ForeignScrobbler::Absent) => Survey::Send,
        Some(ForeignScrobbler::Found) if schedule::requested(account).is_none() => Survey::Hold,
        None if plays < MATCHES => Survey::Send,
        Some(ForeignScrobbler::Found) | None => Survey::Ask,
    }
}

/// The seconds, first and last, between which the service is asked for plays; none where there are none.
pub fn span<'a>(target: &ScrobbleTarget, plays: impl Iterator<Item = &'a Play>) -> Option<(i64, i64)> {
    let reach = |play: &Play| {
        let (second, slack) = (sent_time(target, play).as_second(), slack(play));
        (second - slack, second + slack)
    };
    plays.map(reach).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

fn slack(play: &Play) -> i64 {
    play.duration_ms.unwrap_or(UNKNOWN_DURATION).clamp(0, UNKNOWN_DURATION) / 1000 + SLACK
}

/// Whether three or more of the plays are shown at another second than they would be sent with. What stands at the second
/// of another one of the plays is ours: a process that ended before it told so has sent it, of a track that was played
/// several times.
pub fn is_found<'a>(target: &ScrobbleTarget, plays: impl Iterator<Item = &'a Play> + Clone, shown: &[Shown]) -> bool {
    let second = |play: &Play| sent_time(target, play).as_second();
    let is_ours = |shown: &&Shown| plays.clone().any(|play| second(play) == shown.second && is_same_track(play, shown));
    let theirs: Vec<&Shown> = shown.iter().filter(|shown| !is_ours(shown)).collect();
    let is_there = |play: &&Play| {
        theirs.iter().any(|shown| (shown.second - second(play)).abs() <= slack(play) && is_same_track(play, shown))
    };
    plays.clone().filter(is_there).count() >= MATCHES
}

fn is_same_track(play: &Play, shown: &Shown) -> bool {
    let artist = |name: &String| shown.artists.iter().any(|other| other.to_lowercase() == name.to_lowercase());
    play.title.to_lowercase() == shown.title.to_lowercase() && play.artists.first().is_some_and(artist)
}

fn is_told_to_send(target: &ScrobbleTarget) -> bool {
    target.spec.last_fm.as_ref().is_some_and(|settings| settings.on_foreign_scrobbler == OnForeignScrobbler::Send)
}

/// Whether a target waits for a human's decision.
pub(super) fn is_held(target: &ScrobbleTarget, known: &AccountTargetStatus) -> bool {
    is_told(known) && !is_told_to_send(target)
}

/// Whether somebody else was found, and a human is to decide.
pub(super) fn is_found_and_held(target: &ScrobbleTarget, known: &AccountTargetStatus) -> bool {
    known.foreign_scrobbler == Some(ForeignScrobbler::Found) && !is_told_to_send(target)
}

/// Whether a target tells of somebody else.
pub(super) fn is_told(known: &AccountTargetStatus) -> bool {
    known.reason.as_deref() == Some(Reason::ForeignScrobbler.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_at_the_second_of_another_play_of_the_track_is_ours() {
        let target: ScrobbleTarget = serde_json::from_value(json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobbleTarget", "metadata": {"name": "fm"},
            "spec": {"type": "LastFm", "lastFm": {
                "apiKeyRef": {"name": "app", "key": "api-key"}, "sharedSecretRef": {"name": "app", "key": "shared-secret"},
            }},
        }))
        .unwrap();
        let play = |second: i64| Play {
            played_at: jiff::Timestamp::from_second(second).unwrap(),
            uri: String::new(),
            title: "Again".to_owned(),
            artists: vec!["The Heard".to_owned()],
            album: None,
            album_artists: Vec::new(),
            duration_ms: Some(180_000),
            track_number: None,
            isrc: None,
            track_id: None,
        };
        let shown = |second: i64| Shown { second, title: "again".to_owned(), artists: vec!["the heard".to_owned()] };
        let looped = [play(1_000), play(1_200), play(1_400), play(1_600)];
        let found = |shown: &[Shown]| is_found(&target, looped.iter(), shown);
        assert!(!found(&[]));
        assert!(!found(&[shown(1_000), shown(1_200), shown(1_400), shown(1_600)]), "all of it is what was sent before");
        assert!(!found(&[shown(1_200), shown(1_400)]));
        assert!(found(&[shown(1_001), shown(1_201), shown(1_401)]), "another second");
        assert!(found(&[shown(1_000), shown(1_001), shown(1_201), shown(1_401)]), "ours and somebody else's");
    }
}
