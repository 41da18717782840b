//! Plays that come little by little: however slow the machine is, no more of them wait to be noted than Spotify shows.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;
use scrobble_harness::wait_for_object;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::NewPlay;

use super::stage::{IGNORED_ARTIST, REFUSED_TITLE};
use crate::world::World;

/// Spotify shows 50. So many may not be noted when more are announced.
pub const MOST_UNNOTED: usize = 25;
/// A service that hangs is waited for, by all in their turn, and in real time.
const PATIENCE: Duration = Duration::from_mins(3);
/// One title in so many is one that ListenBrainz refuses, and one artist one that Last.fm ignores.
const REFUSED_SHARE: usize = 17;
const IGNORED_SHARE: usize = 7;
/// One play in so many is of the same track as the one before.
const AGAIN_SHARE: usize = 6;

/// The plays of one listener.
pub struct Feed {
    pub listener: String,
    /// The newest play, which may be yet to come.
    newest: Timestamp,
    times: Vec<Timestamp>,
    track: (String, String),
}

impl Feed {
    pub async fn new(world: &World, listener: &str) -> Self {
        let newest = world.script.now().await.unwrap();
        Self { listener: listener.to_owned(), newest, times: Vec::new(), track: (String::new(), String::new()) }
    }

    /// Adds plays that end from now on, one after the other.
    pub async fn announce(&mut self, world: &World, count: usize, random: &mut StdRng) {
        self.newest = self.newest.max(world.script.now().await.unwrap());
        let plays: Vec<NewPlay> = (0..count).map(|_| self.next(random)).collect();
        world.script.add_plays(&self.listener, &plays).await.unwrap();
    }

    fn next(&mut self, random: &mut StdRng) -> NewPlay {
        self.newest += SignedDuration::from_millis(random.random_range(31_000..45_000));
        let number = self.times.len();
        self.times.push(self.newest);
        if number == 0 || !number.is_multiple_of(AGAIN_SHARE) {
            let word = if number % REFUSED_SHARE == REFUSED_SHARE - 1 { REFUSED_TITLE } else { "Title" };
            let artist = if number % IGNORED_SHARE == IGNORED_SHARE - 1 { IGNORED_ARTIST } else { "The Heard" };
            self.track = (format!("{word} {number} of {}", self.listener), artist.to_owned());
        }
        let (title, artist) = self.track.clone();
        NewPlay::new(self.newest).titled(title, artist)
    }

    /// How many plays the status does not know of.
    pub async fn unnoted(&self, world: &World) -> usize {
        let account = world.api::<SpotifyAccount>().get(&self.listener).await.unwrap();
        let known = account.status.as_ref().and_then(newest_noted).unwrap_or(Timestamp::MIN);
        self.times.iter().filter(|time| time.as_second() > known.as_second()).count()
    }

    /// Waits until the status knows of every play.
    pub async fn wait_until_noted(&self, world: &World) {
        self.wait(world, "noted", |status| self.is_noted(status)).await;
    }

    /// Waits until every play was delivered or set aside.
    pub async fn wait_until_done(&self, world: &World) {
        let done = |status: &SpotifyAccountStatus| {
            self.is_noted(status) && status.sync.as_ref().is_some_and(|sync| sync.pending_total == 0)
        };
        self.wait(world, "delivered or set aside", done).await;
    }

    async fn wait(&self, world: &World, what: &str, wanted: impl Fn(&SpotifyAccountStatus) -> bool) {
        let what = format!("every play of {} {what}", self.listener);
        let wanted = |account: &SpotifyAccount| account.status.as_ref().is_some_and(&wanted);
        wait_for_object(&world.api::<SpotifyAccount>(), &self.listener, &what, PATIENCE, wanted).await.unwrap();
    }

    fn is_noted(&self, status: &SpotifyAccountStatus) -> bool {
        newest_noted(status).is_some_and(|newest| newest.as_second() >= self.newest.as_second())
    }
}

/// The newest play that a status knows of; to the second.
pub fn newest_noted(status: &SpotifyAccountStatus) -> Option<Timestamp> {
    status.sync.as_ref()?.last_play_time.as_ref().map(|time| time.0)
}
