//! Plays as a script describes them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of item stands in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlayKind {
    /// A track of Spotify's catalogue.
    #[default]
    Track,
    /// A file of the listener's own: no id, `spotify:local:` URI.
    Local,
    /// `track` is null.
    NullTrack,
    /// A podcast episode.
    Episode,
}

/// How `external_ids` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExternalIds {
    /// With an ISRC.
    #[default]
    Isrc,
    /// `{}`.
    Empty,
    /// The key is not there.
    Absent,
}

/// One play. `new(played_time)` is an ordinary track; fields make it unusual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewPlay {
    /// The END of the play; cut to milliseconds.
    pub played_time: Timestamp,
    /// When the page shows it first. Absent: from `played_time` on.
    #[serde(default)]
    pub visible_time: Option<Timestamp>,
    /// The time it is sorted by. Absent: `played_time`; anything else makes the page out of order.
    #[serde(default)]
    pub listed_time: Option<Timestamp>,
    /// What kind of item it is.
    #[serde(default)]
    pub kind: PlayKind,
    /// Track id. Absent: made from title, artists and album.
    #[serde(default)]
    pub track_id: Option<String>,
    /// The id that was asked for where Spotify played another one instead (`linked_from`).
    #[serde(default)]
    pub linked_from: Option<String>,
    /// Title. Absent: made from the play's number.
    #[serde(default)]
    pub title: Option<String>,
    /// Artists. Absent: one, made from the title.
    #[serde(default)]
    pub artists: Option<Vec<String>>,
    /// Album. Absent: one, made from the first artist.
    #[serde(default)]
    pub album: Option<String>,
    /// Length of the track in milliseconds.
    #[serde(default = "three_minutes")]
    pub duration_ms: i64,
    /// How `external_ids` looks.
    #[serde(default)]
    pub external_ids: ExternalIds,
    /// URI of the playlist or album it was played from. Absent: `context` is null.
    #[serde(default)]
    pub context: Option<String>,
    /// Length of the deprecated `available_markets` lists; 0: the keys are absent.
    #[serde(default)]
    pub available_markets: u32,
    /// The whole item, sent instead of everything above but the times.
    #[serde(default)]
    pub raw: Option<Value>,
}

impl NewPlay {
    /// An ordinary track that ended at `played_time`.
    pub fn new(played_time: Timestamp) -> Self {
        Self {
            played_time,
            visible_time: None,
            listed_time: None,
            kind: PlayKind::Track,
            track_id: None,
            linked_from: None,
            title: None,
            artists: None,
            album: None,
            duration_ms: three_minutes(),
            external_ids: ExternalIds::Isrc,
            context: None,
            available_markets: 0,
            raw: None,
        }
    }

    /// The same with title and one artist.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>, artist: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self.artists = Some(vec![artist.into()]);
        self
    }

    /// The same, shown only after a delay.
    #[must_use]
    pub fn late_by(mut self, delay: SignedDuration) -> Self {
        self.visible_time = self.played_time.checked_add(delay).ok();
        self
    }

    /// The same, of another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: PlayKind) -> Self {
        self.kind = kind;
        self
    }
}

/// A play as the simulator holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Play {
    /// Number within the account, from 1.
    pub number: u64,
    /// The listener.
    pub account: String,
    /// The END of the play.
    pub played_time: Timestamp,
    /// When the page shows it first.
    pub visible_time: Timestamp,
    /// When the simulator learned of it: a stale page is one from before that.
    pub added_time: Timestamp,
    /// The time it is sorted by.
    pub listed_time: Timestamp,
    /// What kind of item it is.
    pub kind: PlayKind,
    /// `spotify:track:…`, `spotify:local:…`, `spotify:episode:…`; empty for a null track.
    pub uri: String,
    /// Title as shown.
    pub title: String,
    /// Artists as shown.
    pub artists: Vec<String>,
    /// Album as shown.
    pub album: String,
    /// Length in milliseconds.
    pub duration_ms: i64,
    /// Track id, if it has one.
    pub track_id: Option<String>,
    /// See [`NewPlay::linked_from`].
    pub linked_from: Option<String>,
    /// See [`NewPlay::external_ids`].
    pub external_ids: ExternalIds,
    /// See [`NewPlay::context`].
    pub context: Option<String>,
    /// See [`NewPlay::available_markets`].
    pub available_markets: u32,
    /// See [`NewPlay::raw`].
    pub raw: Option<Value>,
}

/// Plays that appear by themselves as the clock passes. The same seed makes the same plays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewGenerator {
    /// Seed of everything random about it.
    #[serde(default)]
    pub seed: u64,
    /// When the first play begins. Absent: now.
    #[serde(default)]
    pub start_time: Option<Timestamp>,
    /// No play ends after this. Absent: it goes on for ever.
    #[serde(default)]
    pub end_time: Option<Timestamp>,
    /// At most so many plays. Absent: no bound.
    #[serde(default)]
    pub plays: Option<u64>,
    /// Length of each track in milliseconds.
    #[serde(default = "three_minutes")]
    pub duration_ms: i64,
    /// Silence after each track, up to so many milliseconds, random.
    #[serde(default)]
    pub pause_ms: i64,
    /// How many different tracks there are.
    #[serde(default = "five_hundred")]
    pub tracks: u64,
    /// Share of plays (0 to 1) that show late.
    #[serde(default)]
    pub late_share: f64,
    /// How late those are at most, in seconds.
    #[serde(default)]
    pub late_seconds: i64,
    /// Share of plays (0 to 1) without a context, ISRC or id, or with `linked_from`. All are deliverable.
    #[serde(default)]
    pub unusual_share: f64,
    /// Share of plays (0 to 1) that are a null track or an episode. None is deliverable.
    #[serde(default)]
    pub undeliverable_share: f64,
}

impl NewGenerator {
    /// Tracks of `duration_ms` without a pause, from now on.
    pub fn steady(seed: u64, duration_ms: i64) -> Self {
        Self {
            seed,
            start_time: None,
            end_time: None,
            plays: None,
            duration_ms,
            pause_ms: 0,
            tracks: five_hundred(),
            late_share: 0.0,
            late_seconds: 0,
            unusual_share: 0.0,
            undeliverable_share: 0.0,
        }
    }
}

fn three_minutes() -> i64 {
    180_000
}

fn five_hundred() -> u64 {
    500
}
