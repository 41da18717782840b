//! What one listener needs: how many plays there would be between reads, now and should they begin to play.

use jiff::{SignedDuration, Timestamp};

use crate::domain::play::SHORTEST_PLAY;

/// So many of the 50 plays that Spotify shows may lie between two reads while calls are short: two are room for a read
/// that is a little late.
const ROOM: i64 = 48;
/// The pace of somebody who plays is the fastest of a while, so that one is enough.
const ROOM_PLAYING: i64 = 49;
/// Plays are counted in thousandths.
const PLAY: i64 = 1000;
/// A track, where nothing is known of a listener: three and a half minutes.
const UNKNOWN: i64 = 210_000;
/// The pace of somebody who plays is the fastest of so many plays in a row among the newest of twice as many.
const PLAYING: usize = 10;
/// The pace at which somebody may begin to play is the fastest of so many in a row that are known.
const KNOWN: usize = 20;
/// The newest few tell of a pace that is a quarter faster than that, for an hour.
const QUICK: usize = 4;
const LATELY: i64 = 3_600_000;
/// Somebody plays until this is over since the last play that is known, or until twice the room is.
const SHORTEST_MEMORY: i64 = 3_600_000;
const DAY: i64 = 86_400_000;

/// How somebody listens; times from one play to the next are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The time from one play to the next of somebody who plays.
    playing: Option<i64>,
    /// The same, should they begin to play as fast as they ever did.
    may_play: i64,
    /// How likely that is, in sixteenths: less so with the days since the last play, and least if there was none.
    likely: i64,
    /// The same as `may_play`, but for what is played now.
    known: i64,
}

/// Why a read is worth its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// Nothing is lost without it; it is wished for.
    Wish,
    /// Somebody may begin to play.
    Caution,
    /// Somebody plays.
    Need,
}

impl Need {
    /// From the times at which known plays ended, in milliseconds, oldest first.
    pub(super) fn of(plays: &[i64], now: Timestamp) -> Self {
        let now = now.as_millisecond();
        let newest = plays.last().copied();
        let age = newest.map_or(i64::MAX, |newest| now.saturating_sub(newest));
        let recent = &plays[plays.len().saturating_sub(2 * PLAYING)..];
        let steady = fastest(recent, PLAYING);
        let lately = &plays[plays.partition_point(|played| *played < now.saturating_sub(LATELY))..];
        let quick = fastest(&lately[lately.len().saturating_sub(QUICK)..], QUICK);
        let pace = match (steady, quick) {
            (Some(steady), Some(quick)) if quick.saturating_mul(4) >= steady.saturating_mul(3) => Some(steady),
            (steady, quick) => quick.or(steady),
        };
        let playing = pace.filter(|pace| age <= pace.saturating_mul(2 * ROOM).clamp(SHORTEST_MEMORY, DAY));
        let known = fastest(plays, KNOWN).or_else(|| fastest(plays, PLAYING).map(|pace| pace.min(UNKNOWN)));
        let may_play = known.or(pace.map(|pace| pace.min(UNKNOWN))).unwrap_or(UNKNOWN);
        let likely = match age / DAY {
            ..1 => 16,
            1..3 => 8,
            3..7 => 4,
            _ if newest.is_some() => 2,
            _ => 1,
        };
        Self {
            playing,
            may_play: playing.map_or(may_play, |pace| pace.min(may_play)),
            likely,
            known: known.unwrap_or(UNKNOWN),
        }
    }

    /// Whether reads so far apart keep everything that is played now.
    pub(super) fn is_held_by(&self, interval: SignedDuration) -> bool {
        self.playing.is_none_or(|pace| between(interval, pace) <= ROOM_PLAYING * PLAY)
    }

    /// Whether they keep everything, should this listener begin to play.
    pub(super) fn is_safe_with(&self, interval: SignedDuration) -> bool {
        between(interval, self.known) <= ROOM * PLAY
    }

    /// Thousandths of plays between reads so far apart; of somebody who rests, should they begin to play.
    pub(super) fn between(&self, interval: SignedDuration) -> i64 {
        between(interval, self.playing.unwrap_or(self.may_play))
    }

    /// Whether the listener plays.
    pub(super) fn plays(&self) -> bool {
        self.playing.is_some()
    }

    /// What a call is worth that brings reads from a longer interval to a shorter one: why, and how much it keeps, in
    /// numbers that can be compared where the reason is the same.
    pub(super) fn worth(&self, longer: SignedDuration, shorter: SignedDuration) -> (Worth, i64) {
        let now = self.playing.map_or(0, |pace| kept(pace, longer, shorter));
        if now > 0 {
            return (Worth::Need, now);
        }
        let at_a_start = kept_at_a_start(self.may_play, longer, shorter).saturating_mul(self.likely);
        if at_a_start > 0 { (Worth::Caution, at_a_start) } else { (Worth::Wish, 0) }
    }
}

/// Thousandths of plays that each call more keeps: a read shows at most so many, and those who play fast fill it.
fn kept(pace: i64, longer: SignedDuration, shorter: SignedDuration) -> i64 {
    let (long, short) = (milliseconds(longer), milliseconds(shorter));
    let seen = |interval| i128::from(between(interval, pace).min(ROOM_PLAYING * PLAY));
    let more = i128::from(long) * seen(shorter) - i128::from(short) * seen(longer);
    i64::try_from(more / i128::from((long - short).max(1))).unwrap_or(0)
}

/// Thousandths of plays that a call more an hour keeps when somebody begins to play, on average over the times from one
/// read to the next: what comes after that is known. For plays in between beyond the room, that is (plays - room)² / 2 plays.
fn kept_at_a_start(pace: i64, longer: SignedDuration, shorter: SignedDuration) -> i64 {
    let lost = |interval| {
        let plays = i128::from(between(interval, pace));
        let beyond = (plays - i128::from(ROOM * PLAY)).max(0);
        beyond * beyond / (2 * plays).max(1)
    };
    let (long, short) = (i128::from(milliseconds(longer)), i128::from(milliseconds(shorter)));
    let kept = (lost(longer) - lost(shorter)) * long * short / (long - short).max(1);
    i64::try_from(kept / i128::from(LATELY)).unwrap_or(i64::MAX)
}

/// Thousandths of plays between two reads.
fn between(interval: SignedDuration, pace: i64) -> i64 {
    milliseconds(interval).saturating_mul(PLAY) / pace.max(1)
}

/// The shortest time from one play to the next, on average over so many times; never less than 30 s.
fn fastest(plays: &[i64], plays_in_a_row: usize) -> Option<i64> {
    let times = i64::try_from(plays_in_a_row).unwrap_or(i64::MAX).saturating_sub(1).max(1);
    let averages = plays.windows(plays_in_a_row).filter_map(|row| Some((row.last()? - row.first()?) / times));
    averages.min().map(|pace| pace.max(milliseconds(SHORTEST_PLAY)))
}

pub(super) fn milliseconds(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::plan::budget) fn now() -> Timestamp {
        Timestamp::from_second(1_795_000_000).unwrap()
    }

    pub(in crate::plan::budget) fn minutes(minutes: i64) -> SignedDuration {
        SignedDuration::from_mins(minutes)
    }

    /// So many plays, so many seconds apart, the newest so many minutes ago.
    pub(in crate::plan::budget) fn playing(count: i64, seconds: i64, ago: i64) -> Vec<i64> {
        let newest = (now() - minutes(ago)).as_millisecond();
        (0..count).rev().map(|number| newest - number * seconds * 1000).collect()
    }

    #[test]
    fn a_pace_is_told_by_what_is_known() {
        for (what, plays, playing_at, may_play_at, likely) in [
            ("nobody has played", Vec::new(), None, 210, 1),
            ("three plays tell nothing", playing(3, 31, 1), None, 210, 16),
            ("four do, for an hour", playing(4, 31, 1), Some(31), 31, 16),
            ("an hour later they do not", playing(4, 31, 61), None, 210, 16),
            ("an album", playing(12, 240, 5), Some(240), 210, 16),
            ("a long evening", playing(60, 240, 5), Some(240), 240, 16),
            ("somebody who skips", playing(60, 31, 5), Some(31), 31, 16),
            ("and has stopped", playing(60, 31, 61), None, 31, 16),
            ("a song in four minutes counts for longer", playing(60, 240, 300), Some(240), 240, 16),
            ("two days ago", playing(60, 240, 2880), None, 240, 8),
            ("a month ago", playing(60, 31, 43_200), None, 31, 2),
            ("faster than Spotify shows", playing(60, 1, 1), Some(30), 30, 16),
        ] {
            let found = Need::of(&plays, now());
            assert_eq!(found.playing, playing_at.map(|pace: i64| pace * 1000), "{what}");
            assert_eq!((found.may_play, found.likely), (may_play_at * 1000, likely), "{what}");
        }
    }

    #[test]
    fn the_newest_four_count_where_they_are_much_faster() {
        let mut plays = playing(60, 240, 5);
        plays.extend(playing(4, 60, 0));
        assert_eq!(Need::of(&plays, now()).playing, Some(60_000));
        let mut plays = playing(60, 240, 16);
        plays.extend(playing(4, 200, 0));
        assert!(Need::of(&plays, now()).playing.unwrap() > 220_000);
    }

    #[test]
    fn a_call_is_worth_what_it_keeps() {
        let skips = Need::of(&playing(60, 30, 1), now());
        assert_eq!(skips.worth(minutes(160), minutes(80)), (Worth::Need, 49_000), "both are full");
        assert_eq!(skips.worth(minutes(40), minutes(20)), (Worth::Need, 31_000), "80 plays are 49, or twice 40");
        assert_eq!(skips.worth(minutes(20), minutes(10)), (Worth::Wish, 0));
        let album = Need::of(&playing(60, 240, 1), now());
        assert_eq!(album.worth(minutes(320), minutes(160)), (Worth::Need, 31_000));
        let rests = Need::of(&playing(60, 240, 43_200), now());
        let (worth, kept) = rests.worth(minutes(320), minutes(160));
        assert_eq!((worth, kept), (Worth::Caution, 68_266), "32² / 160 plays for 6 calls in 32 hours");
        let skipped = Need::of(&playing(60, 30, 43_200), now());
        assert!(skipped.worth(minutes(160), minutes(80)).1 > kept);
        assert!(skipped.worth(minutes(40), minutes(20)).1 < kept);
        assert!(album.is_held_by(minutes(190)) && !album.is_held_by(minutes(200)));
        assert!(rests.is_held_by(minutes(200)) && !rests.is_safe_with(minutes(200)));
    }
}
