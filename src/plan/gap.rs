//! Plays that nobody may have seen: more was heard between two reads than Spotify shows.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{SpotifyAccountStatus, SyncStatus};
use crate::domain::ledger::Ledger;
use crate::domain::play::{Heard, Page, SHORTEST_PLAY};

/// A gap is told, and shortens the interval, for so long after it was found.
pub const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How many plays may have been lost between the reads before and a page; none where none can have been.
///
/// `ledger` is what was known before the page. Plays may have been lost where the page is full and all of it is new: at
/// most as many as fit between the newest play known, or `start_time` where that is later, and the oldest one shown, at
/// one in 30 s. Where not even one fits, it is no gap. That covers a page with a play that is known, of which none is
/// shown more than 30 s late ([`Ledger::find`]), and one that Spotify shows long after: they reach back to what is known.
///
/// Where no play is known the gap begins at `last_read`, the last successful read, which showed none; at the first read
/// there is no gap, for nothing tells where it would begin.
pub fn lost_at_most(
    ledger: &Ledger,
    page: &Page,
    last_read: Option<Timestamp>,
    start_time: Option<Timestamp>,
) -> Option<i64> {
    let newest_known = ledger.newest_ms().or(last_read.map(Timestamp::as_millisecond)).filter(|_| page.full)?;
    let oldest_shown = page.entries.iter().map(Heard::played_at).min()?.as_millisecond();
    let begin = start_time.map_or(newest_known, |start| newest_known.max(start.as_millisecond()));
    let shortest = i64::try_from(SHORTEST_PLAY.as_millis()).unwrap_or(i64::MAX);
    let bound = oldest_shown.saturating_sub(begin).div_euclid(shortest).saturating_sub(1);
    (bound > 0).then_some(bound)
}

/// Counts what a successful read may have missed. `ledger` is what was known before its page.
pub(super) fn count(
    sync: &mut SyncStatus,
    ledger: &Ledger,
    page: &Page,
    start_time: Option<Timestamp>,
    read_time: Timestamp,
) {
    // Whatever was heard while suspended nobody promised to see.
    let suspended = sync.suspended_time.take().is_some();
    let last_read = sync.last_sync_time.as_ref().map(|time| time.0);
    let Some(lost) = lost_at_most(ledger, page, last_read, start_time).filter(|_| last_read.is_some()) else { return };
    if suspended {
        sync.missed_while_suspended_at_most = sync.missed_while_suspended_at_most.saturating_add(lost);
        return;
    }
    sync.gaps_total = sync.gaps_total.saturating_add(1);
    sync.lost_at_most_total = sync.lost_at_most_total.saturating_add(lost);
    sync.last_gap_time = Some(whole_seconds(read_time));
    sync.last_gap_lost_at_most = Some(lost);
}

/// Remembers that an account which was read before is suspended, until the next successful read. That it is suspended
/// is written anyway, and so is that read.
pub(super) fn remember_suspension(status: &mut SpotifyAccountStatus, now: Timestamp) {
    if let Some(sync) = status.sync.as_mut().filter(|sync| sync.last_sync_time.is_some()) {
        sync.suspended_time.get_or_insert_with(|| whole_seconds(now));
    }
}

/// Until when the last gap is told.
pub fn told_until(sync: &SyncStatus) -> Option<Timestamp> {
    let Time(found) = sync.last_gap_time.as_ref()?;
    found.checked_add(TOLD_FOR).ok()
}

/// What is told of the last gap; nothing once it is over.
pub(super) fn message(status: &SpotifyAccountStatus, now: Timestamp) -> Option<String> {
    let sync = status.sync.as_ref()?;
    let until = told_until(sync).filter(|until| now < *until)?;
    let Time(found) = sync.last_gap_time.as_ref()?;
    let lost = match sync.last_gap_lost_at_most {
        Some(1) => "at most 1 play was lost".to_owned(),
        Some(number) => format!("at most {number} plays were lost"),
        None => "plays may be lost".to_owned(),
    };
    Some(format!(
        "all that Spotify showed at {found:.0} was new, so that more may have been heard before: {lost}. Reads come more often until {until:.0}, where the plan and the operator allow it"
    ))
}
