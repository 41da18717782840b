//! Which second is sent for a play.

use jiff::Timestamp;

use super::observations::target;
use super::plays::play;
use crate::api::v1alpha1::{PlayTimestamp, TargetType};
use crate::domain::play::Play;
use crate::plan::delivery::second;
use crate::plan::open::sent_time;

/// When a play ended, how long it is in milliseconds, and the second that is sent in each mode.
const TIMES: [(&str, Option<i64>, &str, &str); 10] = [
    ("2026-11-23T10:00:00.381Z", Some(316_000), "2026-11-23T10:00:00Z", "2026-11-23T09:54:44Z"),
    ("2026-11-23T10:00:00.381Z", Some(316_381), "2026-11-23T10:00:00Z", "2026-11-23T09:54:44Z"),
    ("2026-11-23T10:00:00.381Z", Some(316_382), "2026-11-23T10:00:00Z", "2026-11-23T09:54:43Z"),
    ("2026-11-23T10:00:00Z", Some(1), "2026-11-23T10:00:00Z", "2026-11-23T09:59:59Z"),
    ("2026-11-23T10:00:00.999Z", None, "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
    ("2026-11-23T10:00:00.999Z", Some(86_400_000), "2026-11-23T10:00:00Z", "2026-11-22T10:00:00Z"),
    // Before the first year that there is: as if the length were not known.
    ("2026-11-23T10:00:00.999Z", Some(i64::MAX), "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
    ("1970-01-01T00:00:00.500Z", Some(501), "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
    ("1969-12-31T23:59:59.500Z", Some(500), "1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
    ("1969-12-31T23:59:59.500Z", Some(i64::MAX), "1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
];

#[test]
fn the_second_that_is_sent_is_rounded_down_in_both_modes_whatever_the_type() {
    for kind in [TargetType::LastFm, TargetType::ListenBrainz, TargetType::Maloja, TargetType::Webhook] {
        for (ended, duration_ms, played_at, estimated_start) in TIMES {
            let play = Play { duration_ms, ..play("a", ended.parse().unwrap()) };
            for (mode, expected) in
                [(PlayTimestamp::PlayedAt, played_at), (PlayTimestamp::EstimatedStart, estimated_start)]
            {
                let mut target = target("any", kind);
                target.spec.timestamp = mode;
                let expected: Timestamp = expected.parse().unwrap();
                assert_eq!(sent_time(&target, &play), expected, "{kind:?}, {mode:?}: {ended}, {duration_ms:?}");
                assert_eq!(second(&target, &play, None), expected.as_second());
                assert_eq!(second(&target, &play, Some(5)), 5, "one that was chosen goes first");
            }
        }
    }
}
