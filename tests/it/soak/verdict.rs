//! What Spotify showed compared with what a service holds.

use std::fmt;

use jiff::Timestamp;
use scrobble_simulator::api::Play;

/// A record of a service belongs to the play of its title that ended less than so many seconds before or after.
const WITHIN_SECONDS: u64 = 15;
/// So many mishaps are told.
const TOLD: usize = 40;

/// A record of a service.
#[derive(Clone, Debug)]
pub struct Held {
    pub title: String,
    pub second: i64,
    /// How often it was received.
    pub received: u32,
    /// In how many different forms.
    pub forms: usize,
    pub first_time: Timestamp,
}

impl Held {
    fn is_of(&self, play: &Play) -> bool {
        self.title == play.title && self.second.abs_diff(play.played_time.as_second()) < WITHIN_SECONDS
    }
}

/// What services hold of all the plays that they should hold.
#[derive(Debug, Default)]
pub struct Tally {
    /// Plays that a service should hold and does not.
    pub lost: usize,
    /// Records beyond the first of a play.
    pub doubled: usize,
    /// Records that are of no play, or of one that is refused there.
    pub unexplained: usize,
    /// Records that came in more than one form: a repeat was not the same bytes.
    pub altered: usize,
    /// Counts that a status has wrong.
    pub miscounted: usize,
    /// Records that came more than once.
    pub repeated: usize,
    /// Records that are of a play.
    pub held: usize,
    /// What is wrong, in words.
    pub mishaps: Vec<String>,
}

impl Tally {
    /// Adds what one user's records come to.
    pub fn add(&mut self, whose: &str, plays: &[&Play], held: &[Held]) {
        for play in plays {
            match held.iter().filter(|held| held.is_of(play)).count() {
                0 => {
                    self.lost += 1;
                    self.tell(&format!("{whose}: lost {} of {}", play.title, play.played_time));
                }
                records => {
                    self.held += 1;
                    self.doubled += records - 1;
                    if records > 1 {
                        self.tell(&format!("{whose}: {records} times {} of {}", play.title, play.played_time));
                    }
                }
            }
        }
        for record in held {
            self.repeated += usize::from(record.received > 1);
            self.altered += usize::from(record.forms > 1);
            if !plays.iter().any(|play| record.is_of(play)) {
                self.unexplained += 1;
                self.tell(&format!("{whose}: holds {} at {}, which nobody played", record.title, record.second));
            }
        }
    }

    /// Adds a count that a status tells.
    pub fn expect(&mut self, what: &str, told: i64, expected: usize) {
        if usize::try_from(told) != Ok(expected) {
            self.miscounted += 1;
            self.tell(&format!("{what}: the status tells {told} and not {expected}"));
        }
    }

    fn tell(&mut self, mishap: &str) {
        if self.mishaps.len() < TOLD {
            self.mishaps.push(mishap.to_owned());
        }
    }

    /// Whether every play is there once, as it was sent at first, and nothing else is.
    pub fn is_as_promised(&self) -> bool {
        (self.lost, self.doubled, self.unexplained, self.altered, self.miscounted) == (0, 0, 0, 0, 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, unexplained, altered, miscounted, repeated, held, .. } = self;
        write!(
            formatter,
            "lost {lost}, doubled {doubled} ({held} held, {repeated} received more than once, {altered} altered, {unexplained} unexplained, {miscounted} miscounted)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(title: &str, second: i64) -> Play {
        serde_json::from_value(serde_json::json!({
            "number": 1, "account": "alice", "kind": "track", "uri": "", "title": title, "artists": [], "album": "",
            "played_time": Timestamp::from_second(second).unwrap(), "visible_time": Timestamp::UNIX_EPOCH,
            "added_time": Timestamp::UNIX_EPOCH, "listed_time": Timestamp::UNIX_EPOCH, "duration_ms": 1,
            "track_id": null, "linked_from": null, "external_ids": "isrc", "context": null, "available_markets": 0,
            "raw": null,
        }))
        .unwrap()
    }

    fn held(title: &str, second: i64) -> Held {
        Held { title: title.to_owned(), second, received: 1, forms: 1, first_time: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn every_kind_of_mishap_is_counted() {
        let plays = [play("one", 100), play("two", 200), play("two", 240)];
        let plays: Vec<&Play> = plays.iter().collect();
        let whole = [held("one", 100), held("two", 200), held("two", 240)];
        let tally = |held: &[Held]| {
            let mut tally = Tally::default();
            tally.add("alice", &plays, held);
            (tally.lost, tally.doubled, tally.unexplained, tally.altered, tally.is_as_promised())
        };
        assert_eq!(tally(&whole), (0, 0, 0, 0, true));
        assert_eq!(tally(&whole[..2]), (1, 0, 0, 0, false));
        assert_eq!(tally(&[&whole[..], &[held("one", 101)]].concat()), (0, 1, 0, 0, false));
        assert_eq!(tally(&[&whole[..], &[held("three", 100)]].concat()), (0, 0, 1, 0, false));
        assert_eq!(tally(&[&whole[..], &[held("one", 200)]].concat()), (0, 0, 1, 0, false));
        let altered = [&whole[1..], &[Held { forms: 2, received: 2, ..held("one", 100) }]].concat();
        assert_eq!(tally(&altered), (0, 0, 0, 1, false));
    }
}
