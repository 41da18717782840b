//! The adapter against the simulated service, which checks every signature.

use scrobble_simulator::api::{Effect, Endpoint, LastfmApp, LastfmRule, LastfmUser, NewFault};
use scrobble_simulator::{Options, Simulator};

use super::*;
use crate::adapters::targets::testing::open_client;

const SESSION: &str = "session-key";

async fn stage() -> Simulator {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.put_lastfm_app(&app()).await.unwrap();
    let rule = LastfmRule { artist_contains: "Banned".to_owned(), track_contains: String::new(), code: 1 };
    let alice = LastfmUser { ignore: vec![rule], ..LastfmUser::new("alice", SESSION) };
    simulator.put_lastfm_user(&alice).await.unwrap();
    simulator
}

fn app() -> LastfmApp {
    let (api_key, shared_secret) = ("key".to_owned(), "secret".to_owned());
    LastfmApp { api_key, shared_secret, suspended: false, errors_with_200: false }
}

fn at(simulator: &Simulator, keys: [&str; 3]) -> Service {
    let [api_key, shared_secret, session_key] = keys.map(|key| key.to_owned().into());
    Service::LastFm { url: simulator.lastfm_url().parse().unwrap(), api_key, shared_secret, session_key }
}

/// Plays that ended a minute apart, the last one now; every fifth is by an artist who is ignored.
async fn plays(simulator: &Simulator, count: i64) -> Vec<Scrobble> {
    let now = simulator.now().await.unwrap().as_second();
    let play = |number: i64| {
        let artist = if number % 5 == 4 { "Banned Band" } else { "Björk" };
        let timestamp = jiff::Timestamp::from_second(now - (count - 1 - number) * 60).unwrap();
        let album_artists = vec!["Various Artists".to_owned()];
        let artists = vec![artist.to_owned()];
        let play = Play { artists, album_artists, title: format!("Jóga & {number}"), ..full_play() };
        Scrobble { play: Play { played_at: timestamp, ..play }, timestamp }
    };
    (0..count).map(play).collect()
}

#[tokio::test]
async fn a_full_batch_arrives_once_and_a_lost_answer_doubles_nothing() {
    let simulator = stage().await;
    let plays = plays(&simulator, 50).await;
    let service = at(&simulator, ["key", "secret", SESSION]);
    let lost = NewFault::new(Effect::CutAfter).at(Endpoint::LastfmScrobble).times(1);
    simulator.add_fault(&lost).await.unwrap();
    let first = service.submit(&open_client(), &plays).await.submission;
    assert_eq!(first, Submission::all(50, &Delivery::Unknown(Trouble::Cut)));
    let Submission::Each(second) = service.submit(&open_client(), &plays).await.submission else { panic!() };
    for (scrobble, delivery) in plays.iter().zip(&second) {
        let banned = scrobble.play.artists[0] == "Banned Band";
        assert_eq!(matches!(delivery, Delivery::Never { .. }), banned, "{delivery:?}");
        assert_eq!(*delivery == Delivery::Accepted, !banned, "{delivery:?}");
    }
    let held = simulator.scrobbles("alice").await.unwrap();
    assert_eq!((held.len(), held.iter().filter(|scrobble| scrobble.ignored_code == 0).count()), (50, 40));
    assert!(held.iter().all(|scrobble| scrobble.received == 2 && scrobble.forms.len() == 1), "the same both times");
    let (second, last) = (plays[1].timestamp.as_second(), plays[49].timestamp.as_second());
    let shown = service.shown(&open_client(), second, last).await.unwrap().unwrap();
    let newest_first: Vec<(i64, String)> = plays[1..]
        .iter()
        .rev()
        .filter(|sent| sent.play.artists[0] != "Banned Band")
        .map(|sent| (sent.timestamp.as_second(), sent.play.title.clone()))
        .collect();
    assert_eq!(newest_first.len(), 39);
    assert_eq!(shown.into_iter().map(|shown| (shown.second, shown.title)).collect::<Vec<_>>(), newest_first);
}

#[tokio::test]
async fn each_wrong_key_is_told_apart() {
    let simulator = stage().await;
    let now = plays(&simulator, 1).await;
    let unknown = "the service does not know the API key (error 10)";
    let signature = "the signature is wrong: the shared secret is not that of the API key (error 13)";
    let suspended = "the service has suspended the API key (error 26)";
    let client_refused = |reason: &str| Delivery::ClientRefused { reason: reason.to_owned() };
    for errors_with_200 in [false, true] {
        simulator.put_lastfm_app(&LastfmApp { errors_with_200, ..app() }).await.unwrap();
        for (keys, expected) in [
            (["key", "secret", SESSION], Delivery::Accepted),
            (["other", "secret", SESSION], client_refused(unknown)),
            (["key", "other", SESSION], client_refused(signature)),
            (["key", "secret", "other"], Delivery::CredentialsRefused),
        ] {
            let service = at(&simulator, keys);
            assert_eq!(service.check_credentials(&open_client()).await.as_ref(), Some(&expected), "{keys:?}");
            assert_eq!(only(service.submit(&open_client(), &now).await.submission), expected, "{keys:?}");
        }
    }
    simulator.put_lastfm_app(&LastfmApp { suspended: true, ..app() }).await.unwrap();
    let service = at(&simulator, ["key", "secret", SESSION]);
    assert_eq!(service.check_credentials(&open_client()).await, Some(client_refused(suspended)));
}

#[tokio::test]
async fn the_day_has_its_limit_and_one_play_of_many_can_be_too_old() {
    let simulator = stage().await;
    let limited = LastfmUser { daily_limit: 2, too_old_code: 1, ..LastfmUser::new("alice", SESSION) };
    simulator.put_lastfm_user(&limited).await.unwrap();
    let mut plays = plays(&simulator, 4).await;
    plays[0].timestamp -= SignedDuration::from_hours(15 * 24);
    let submission = at(&simulator, ["key", "secret", SESSION]).submit(&open_client(), &plays).await.submission;
    let Submission::Each(deliveries) = submission else { panic!("{submission:?}") };
    let Delivery::Never { reason } = &deliveries[0] else { panic!("{deliveries:?}") };
    assert!(reason.contains("too old"), "{reason}");
    assert_eq!(deliveries[1..3], [Delivery::Accepted, Delivery::Accepted]);
    assert!(matches!(&deliveries[3], Delivery::NotNow { trouble: Trouble::DailyLimit, .. }), "{deliveries:?}");
}
