//! What the services received, by the simulator's own records, held against what was heard.

use jiff::Timestamp;
use scrobble_simulator::Client;
use scrobble_simulator::api::{Delivery, Listen, Play};
use serde_json::Value;

use crate::cast::LISTENERS;
use crate::failure::Failure;

/// The services of examples/demo/targets.yaml, as a reader calls them.
pub const SERVICES: [&str; 2] = ["ListenBrainz", "Webhook"];
const LISTENBRAINZ: &str = SERVICES[0];
const WEBHOOK: &str = SERVICES[1];

/// A play that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who.
    pub listener: String,
    /// What.
    pub title: String,
    /// By whom.
    pub artist: String,
    /// When it ended, in UTC seconds: what both services are told.
    pub second: i64,
    /// Whether it must reach the services.
    pub wanted: bool,
}

/// A play that a service holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The service.
    pub service: &'static str,
    /// Who, what, by whom and when.
    pub play: Heard,
    /// How often it was sent.
    pub sent: u32,
    /// When it arrived first.
    pub arrived: Timestamp,
}

/// Both sides.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What was heard.
    pub heard: Vec<Heard>,
    /// What the services hold, oldest play first.
    pub held: Vec<Held>,
}

impl Evidence {
    /// Reads the simulator's records.
    pub async fn gather(simulator: &Client) -> Result<Self, Failure> {
        let mut evidence = Self::default();
        let mut identities = Vec::new();
        for listener in LISTENERS {
            let plays = simulator.plays(listener.name).await?;
            evidence.heard.extend(plays.iter().map(|play| heard(listener.name, !listener.revoked, play)));
            let listens = simulator.listens(listener.name).await?;
            evidence.held.extend(listens.iter().map(of_listenbrainz));
            let account = simulator.account(listener.name).await?;
            identities.push((listener.name, [account.spotify_id, account.account_id]));
        }
        for delivery in simulator.deliveries("archive").await? {
            let mut held = of_webhook(&delivery)?;
            // The webhook is told Spotify's id of the listener.
            if let Some((name, _)) = identities.iter().find(|(_, ids)| ids.contains(&held.play.listener)) {
                (*name).clone_into(&mut held.play.listener);
            }
            evidence.held.push(held);
        }
        evidence.held.sort_by_key(|held| (held.service, held.play.second));
        Ok(evidence)
    }

    /// How many arrivals there must be: every wanted play at every service.
    pub fn expected(&self) -> usize {
        self.heard.iter().filter(|heard| heard.wanted).count() * SERVICES.len()
    }

    /// What differs from "every wanted play once at every service, and nothing else". Empty: nothing.
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for service in SERVICES {
            for heard in self.heard.iter().filter(|heard| heard.wanted) {
                let copies: Vec<&Held> = self.held_by(service).filter(|held| is_same(&held.play, heard)).collect();
                let sent: u32 = copies.iter().map(|held| held.sent).sum();
                let name = format!("{}'s play of {:?}", heard.listener, heard.title);
                match copies.len() {
                    0 => differences.push(format!("{service} does not hold {name}")),
                    1 if sent == 1 => {}
                    1 => differences.push(format!("{service} was sent {name} {sent} times")),
                    more => differences.push(format!("{service} holds {name} {more} times")),
                }
            }
            for held in self.held_by(service) {
                if !self.heard.iter().any(|heard| heard.wanted && is_same(&held.play, heard)) {
                    let play = &held.play;
                    differences
                        .push(format!("{service} holds {}'s {:?}, which it must not", play.listener, play.title));
                }
            }
        }
        differences
    }

    /// What one service holds.
    pub fn held_by(&self, service: &str) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.service == service)
    }
}

fn is_same(one: &Heard, other: &Heard) -> bool {
    (&one.listener, &one.title, &one.artist, one.second) == (&other.listener, &other.title, &other.artist, other.second)
}

fn heard(listener: &str, wanted: bool, play: &Play) -> Heard {
    Heard {
        listener: listener.to_owned(),
        title: play.title.clone(),
        artist: play.artists.first().cloned().unwrap_or_default(),
        second: play.played_time.as_millisecond().div_euclid(1_000),
        wanted,
    }
}

fn of_listenbrainz(listen: &Listen) -> Held {
    let text = |field: &str| listen.track_metadata[field].as_str().unwrap_or_default().to_owned();
    let play = Heard {
        listener: listen.user.clone(),
        title: text("track_name"),
        artist: text("artist_name"),
        second: listen.listened_at,
        wanted: true,
    };
    Held { service: LISTENBRAINZ, play, sent: listen.received, arrived: listen.first_time }
}

fn of_webhook(delivery: &Delivery) -> Result<Held, Failure> {
    let body: Value = serde_json::from_str(&delivery.body)
        .map_err(|error| Failure::Story(format!("the webhook received something that is not JSON: {error}")))?;
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let play = Heard {
        listener: text("/listener/spotifyAccountId"),
        title: text("/track/title"),
        artist: text("/track/artists/0"),
        second: body["timestamp"].as_i64().unwrap_or_default(),
        wanted: true,
    };
    Ok(Held { service: WEBHOOK, play, sent: delivery.received, arrived: delivery.first_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(listener: &str, title: &str, wanted: bool) -> Heard {
        Heard { listener: listener.into(), title: title.into(), artist: "Somebody".into(), second: 7, wanted }
    }

    fn held(service: &'static str, play: &Heard) -> Held {
        Held { service, play: play.clone(), sent: 1, arrived: Timestamp::UNIX_EPOCH }
    }

    /// One play that must arrive, one that must not, and everything as it should be.
    fn in_order() -> Evidence {
        let (wanted, unwanted) = (play("alice", "Low Tide", true), play("carol", "Glass Orchard", false));
        let held = SERVICES.map(|service| held(service, &wanted)).to_vec();
        Evidence { heard: vec![wanted, unwanted], held }
    }

    #[test]
    fn once_at_each_service_and_nothing_else_is_in_order() {
        let evidence = in_order();
        assert_eq!(evidence.expected(), 2);
        assert_eq!(evidence.differences(), Vec::<String>::new());
    }

    #[test]
    fn a_play_that_is_missing_at_one_service_is_a_difference() {
        let mut evidence = in_order();
        evidence.held.remove(0);
        assert_eq!(evidence.differences(), ["ListenBrainz does not hold alice's play of \"Low Tide\""]);
    }

    #[test]
    fn a_play_that_came_twice_is_a_difference() {
        let mut evidence = in_order();
        evidence.held[1].sent = 2;
        assert_eq!(evidence.differences(), ["Webhook was sent alice's play of \"Low Tide\" 2 times"]);
        let mut evidence = in_order();
        evidence.held.push(evidence.held[1].clone());
        assert_eq!(evidence.differences(), ["Webhook holds alice's play of \"Low Tide\" 2 times"]);
    }

    #[test]
    fn a_play_of_the_revoked_listener_or_with_another_time_is_a_difference() {
        let mut evidence = in_order();
        let unwanted = evidence.heard[1].clone();
        evidence.held.push(held(WEBHOOK, &unwanted));
        assert_eq!(evidence.differences(), ["Webhook holds carol's \"Glass Orchard\", which it must not"]);
        let mut evidence = in_order();
        evidence.held[0].play.second = 8;
        assert_eq!(evidence.differences().len(), 2);
    }
}
