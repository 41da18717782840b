//! What a service says it will not take, known before anything is sent.

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::TargetType;
use crate::domain::answer::{Delivery, Trouble};
use crate::domain::play::Play;

/// Last.fm takes tracks that are longer than this (last.fm/api, "Scrobbling 2.0", "When is a scrobble a scrobble?").
const SHORTEST_TRACK_MS: i64 = 30_000;
/// Last.fm ignores what is older; it says so in `ignoredMessage` only, and at times blames the artist.
const LONGEST_AGE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Clocks differ. What lies further ahead than this is not the clock's doing.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What becomes of a play that is not worth sending to a service of this type, at the second `sent` that it would be
/// told; none where it is sent and the service decides.
///
/// Only Last.fm publishes such rules. `Never` is as final as the service's own word; `NotNow` passes with time.
pub fn refused(target_type: TargetType, play: &Play, sent: Timestamp, now: Timestamp) -> Option<Delivery> {
    (target_type == TargetType::LastFm).then(|| refused_by_last_fm(play, sent, now))?
}

/// From when on a service of this type takes a play no more that it would be told at the second `sent`; none where it
/// never becomes too old.
pub fn too_old_from(target_type: TargetType, sent: Timestamp) -> Option<Timestamp> {
    (target_type == TargetType::LastFm).then(|| sent.saturating_add(LONGEST_AGE).unwrap_or(Timestamp::MAX))
}

fn refused_by_last_fm(play: &Play, sent: Timestamp, now: Timestamp) -> Option<Delivery> {
    // A length of nothing is one that is not known.
    if play.duration_ms.is_some_and(|length| (1..=SHORTEST_TRACK_MS).contains(&length)) {
        return Some(Delivery::Never { reason: "Last.fm takes no tracks of 30 seconds or less".to_owned() });
    }
    if now.duration_since(sent) > LONGEST_AGE {
        return Some(Delivery::Never { reason: "too old: Last.fm takes nothing older than 14 days".to_owned() });
    }
    let is_ahead = sent.duration_since(now) > CLOCK_SKEW;
    is_ahead.then_some(Delivery::NotNow { retry_after: None, trouble: Trouble::TooNew })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-23T10:00:00.5Z";
    const TYPES: [TargetType; 3] = [TargetType::ListenBrainz, TargetType::Maloja, TargetType::Webhook];

    fn play(duration_ms: Option<i64>) -> Play {
        Play {
            played_at: NOW.parse().unwrap(),
            uri: "spotify:track:4uLU6hMCjMI75M1A2tKUQC".to_owned(),
            title: "Karmacoma".to_owned(),
            artists: vec!["Massive Attack".to_owned()],
            album: None,
            album_artists: Vec::new(),
            duration_ms,
            track_number: None,
            isrc: None,
            track_id: None,
        }
    }

    #[test]
    fn last_fm_takes_tracks_longer_than_half_a_minute() {
        let now = NOW.parse().unwrap();
        let short = Delivery::Never { reason: "Last.fm takes no tracks of 30 seconds or less".to_owned() };
        for (duration_ms, expected) in [
            (None, None),
            (Some(-1), None),
            (Some(0), None),
            (Some(1), Some(&short)),
            (Some(29_999), Some(&short)),
            (Some(30_000), Some(&short)),
            (Some(30_001), None),
            (Some(86_400_000), None),
        ] {
            let play = play(duration_ms);
            assert_eq!(refused(TargetType::LastFm, &play, now, now).as_ref(), expected, "{duration_ms:?}");
            assert!(TYPES.iter().all(|other| refused(*other, &play, now, now).is_none()), "{duration_ms:?}");
        }
    }

    #[test]
    fn last_fm_takes_what_is_at_most_fourteen_days_old_and_not_ahead_of_the_clock() {
        let old = Delivery::Never { reason: "too old: Last.fm takes nothing older than 14 days".to_owned() };
        let new = Delivery::NotNow { retry_after: None, trouble: Trouble::TooNew };
        let (now, play) = (NOW.parse().unwrap(), play(None));
        for (sent, expected) in [
            (Timestamp::MIN.to_string().as_str(), Some(&old)),
            ("1970-01-01T00:00:00Z", Some(&old)),
            ("2026-11-09T09:59:59Z", Some(&old)),
            ("2026-11-09T10:00:00Z", Some(&old)),
            ("2026-11-09T10:00:01Z", None),
            ("2026-11-23T10:00:00Z", None),
            ("2026-11-23T10:05:00Z", None),
            ("2026-11-23T10:05:01Z", Some(&new)),
            ("2027-11-23T10:00:00Z", Some(&new)),
        ] {
            let sent = sent.parse().unwrap();
            assert_eq!(refused(TargetType::LastFm, &play, sent, now).as_ref(), expected, "{sent}");
            assert!(TYPES.iter().all(|other| refused(*other, &play, sent, now).is_none()), "{sent}");
        }
    }

    #[test]
    fn the_time_that_is_sent_counts_and_not_the_plays_own() {
        let now: Timestamp = NOW.parse().unwrap();
        let ended = Play { played_at: now - LONGEST_AGE, ..play(Some(316_000)) };
        let began = ended.played_at - SignedDuration::from_millis(316_000);
        assert_eq!(refused(TargetType::LastFm, &ended, ended.played_at, now), None);
        assert!(matches!(refused(TargetType::LastFm, &ended, began, now), Some(Delivery::Never { .. })));
    }

    #[test]
    fn a_track_that_is_too_short_is_never_taken_even_where_it_lies_ahead() {
        let now: Timestamp = NOW.parse().unwrap();
        let ahead = now + SignedDuration::from_hours(1);
        assert!(matches!(refused(TargetType::LastFm, &play(Some(9)), ahead, now), Some(Delivery::Never { .. })));
    }
}
