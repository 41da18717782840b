//! The adapter and the rule for a free second, against a real Maloja.

mod operator;

use std::collections::BTreeMap;

use jiff::Timestamp;
use scrobble_harness::{Maloja, MalojaProxy, MalojaScrobble, install_crypto_provider};
use scrobble_operator::adapters::http::{AllowedRanges, GuardedClient};
use scrobble_operator::adapters::targets::{Scrobble, Service};
use scrobble_operator::domain::answer::{Delivery, Shown, Submission, Trouble};
use scrobble_operator::domain::play::Play;
use scrobble_operator::plan::maloja::{Choice, WINDOW_SECONDS, choose, is_held_by};

const KEYS: [(&str, &str); 2] = [("alice", "key-of-alice"), ("bob", "key: of 'bob'")];
/// 2026-11-23 10:00:00 UTC.
const OWN: i64 = 1_795_428_000;

fn client() -> GuardedClient {
    install_crypto_provider();
    GuardedClient::new(&AllowedRanges::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap()
}

fn service(base_url: &str, key: &str) -> Service {
    Service::Maloja { url: base_url.parse().unwrap(), api_key: key.to_owned().into() }
}

fn play(title: &str, artists: &[&str]) -> Play {
    Play {
        played_at: "2026-11-23T10:00:00.381Z".parse().unwrap(),
        uri: format!("spotify:track:{title}"),
        title: title.to_owned(),
        artists: artists.iter().map(|artist| (*artist).to_owned()).collect(),
        album: None,
        album_artists: Vec::new(),
        duration_ms: Some(200_999),
        track_number: None,
        isrc: None,
        track_id: None,
    }
}

fn on_album(play: Play, album: &str) -> Play {
    Play { album: Some(album.to_owned()), album_artists: play.artists.clone(), ..play }
}

async fn send(service: &Service, play: &Play, second: i64) -> Delivery {
    let scrobble = Scrobble { play: play.clone(), timestamp: Timestamp::from_second(second).unwrap() };
    match service.submit(&client(), &[scrobble]).await.submission {
        Submission::Each(mut deliveries) if deliveries.len() == 1 => deliveries.remove(0),
        other => panic!("{other:?}"),
    }
}

async fn window(service: &Service, own: i64) -> Result<Vec<Shown>, Delivery> {
    service.shown(&client(), own, own + WINDOW_SECONDS - 1).await.unwrap()
}

fn not_now(trouble: Trouble) -> Delivery {
    Delivery::NotNow { retry_after: None, trouble }
}

fn stands(all: &[MalojaScrobble]) -> Vec<(i64, &str)> {
    all.iter().map(|scrobble| (scrobble.second - OWN, scrobble.title.as_str())).collect()
}

#[tokio::test]
async fn a_real_maloja_answers_as_the_adapter_reads_it() {
    let mut maloja = Maloja::start(&KEYS).await.unwrap();
    let alice = service(&maloja.base_url(), KEYS[0].1);
    let bob = service(&maloja.base_url(), KEYS[1].1);
    let stranger = service(&maloja.base_url(), "key-of-nobody");

    assert_eq!(alice.check_credentials(&client()).await, Some(Delivery::Accepted));
    assert_eq!(bob.check_credentials(&client()).await, Some(Delivery::Accepted));
    assert_eq!(stranger.check_credentials(&client()).await, Some(Delivery::CredentialsRefused));
    assert_eq!(maloja.scrobbles().await.unwrap(), [], "to ask for a key leaves nothing behind");

    let title = "  Karmacoma - (Radio Edit) feat. \"Ça\" 夜𝄞\u{2028}\n";
    let song = on_album(play(title, &["Massive Attack feat. X & Y", "b  Artist "]), "Protection; Live");
    assert_eq!(send(&stranger, &song, OWN).await, Delivery::CredentialsRefused);
    assert_eq!(send(&alice, &song, OWN).await, Delivery::Accepted);
    assert_eq!(send(&alice, &song, OWN).await, Delivery::AlreadyThere);
    assert_eq!(send(&bob, &song, OWN).await, Delivery::AlreadyThere, "the second is everybody's");
    assert_eq!(send(&bob, &song, OWN + 1).await, Delivery::Accepted);
    let nameless =
        Delivery::Never { reason: "the server answered 400: the scrobble lacks a title or an artist".into() };
    assert_eq!(send(&alice, &play("", &["a"]), OWN + 2).await, nameless);
    let long = play(&"long ".repeat(15_000), &["Somebody"]);
    assert_eq!(send(&alice, &long, OWN + 2).await, Delivery::Accepted);
    // Known to Maloja by now, so that the refusal does no harm.
    assert_eq!(send(&alice, &long, OWN + 1).await, not_now(Trouble::SecondTaken));

    let as_sent = |second, client: &str| MalojaScrobble {
        second,
        title: title.to_owned(),
        artists: song.artists.clone(),
        album: song.album.clone(),
        length: Some(200),
        client: client.to_owned(),
    };
    let sorted = |mut scrobble: MalojaScrobble| {
        // It keeps a set of them.
        scrobble.artists.sort_by_key(|artist| !artist.starts_with('M'));
        scrobble
    };
    let before = maloja.scrobbles().await.unwrap();
    assert_eq!(before.len(), 3);
    assert_eq!(sorted(before[0].clone()), as_sent(OWN, "alice"));
    assert_eq!(sorted(before[1].clone()), as_sent(OWN + 1, "bob"));
    assert_eq!(before[2].title, long.title);

    maloja.restart().await.unwrap();
    assert_eq!(maloja.scrobbles().await.unwrap(), before);
    assert_eq!(alice.check_credentials(&client()).await, Some(Delivery::Accepted));
    maloja.kill().unwrap();
    assert_eq!(send(&alice, &song, OWN + 5).await, not_now(Trouble::Unreachable));
    assert_eq!(window(&alice, OWN).await, Err(not_now(Trouble::Unreachable)));
}

#[tokio::test]
async fn the_window_is_exact_in_every_time_zone() {
    // With neighbours on both sides, over the midnights of these two and of UTC.
    let seconds = [-1, 0, 30, 59, 60, -86_400, 86_400];
    for hours in [-12, 14] {
        let maloja = Maloja::start_in_time_zone(&KEYS, hours).await.unwrap();
        let service = service(&maloja.base_url(), KEYS[0].1);
        for own in [OWN - 30, OWN + 2 * 3600 - 30, OWN + 14 * 3600 - 30] {
            for offset in seconds {
                maloja.occupy(own + offset, &format!("{own} {offset}"), "Somebody").await.unwrap();
            }
            let shown = window(&service, own).await.unwrap();
            let offsets: Vec<i64> = shown.iter().map(|entry| entry.second - own).collect();
            assert_eq!(offsets, [0, 30, 59], "{own} at {hours} h");
        }
    }
}

#[tokio::test]
async fn more_scrobbles_than_a_page_are_read_through() {
    let maloja = Maloja::start(&KEYS).await.unwrap();
    let service = service(&maloja.base_url(), KEYS[0].1);
    for number in 0..520 {
        maloja.occupy(OWN - 510 + number, "One song", "Somebody").await.unwrap();
    }
    assert_eq!(window(&service, OWN).await.unwrap().len(), 10);
    assert_eq!(maloja.scrobbles().await.unwrap().len(), 520);
}

#[tokio::test]
async fn what_maloja_takes_for_one_track_the_rule_does_too() {
    let maloja = Maloja::start(&KEYS).await.unwrap();
    let service = service(&maloja.base_url(), KEYS[0].1);
    let pairs: [(&str, &[&str], &str, &[&str]); 16] = [
        ("Song A", &["One"], "SONG a", &["oNe"]),
        ("Song B", &["One", "Two"], "Song B", &["Two", "One"]),
        ("Song C", &["One", "one"], "Song C", &["One"]),
        ("Song D", &["Beyoncé"], "Song D", &["Beyonce"]),
        ("Part 1: It's - All", &["a"], "part 1 its all", &["A"]),
        ("Song E ｱ\u{3099}", &["Ａ"], "Song E ｱ\u{3099}", &["ａ"]),
        ("Don’t", &["a"], "Don`t", &["a"]),
        ("ΟΔΟΣ", &["a"], "οδος", &["a"]),
        ("İ", &["a"], "i", &["a"]),
        ("Ａ", &["a"], "A", &["a"]),
        ("Straße", &["a"], "Strasse", &["a"]),
        ("Song F", &["One", "Two"], "Song F", &["One"]),
        ("Song G", &["One"], "Song G ", &["One"]),
        ("Song H", &["One"], "Song H (Live)", &["One"]),
        ("A-B", &["a"], "A B", &["a"]),
        ("Ø", &["a"], "O", &["a"]),
    ];
    let mut same = 0;
    for (number, (title, artists, other_title, other_artists)) in (0_i64..).zip(pairs) {
        let (first, second) = (play(title, artists), play(other_title, other_artists));
        let own = OWN + number * 200;
        assert_eq!(send(&service, &first, own).await, Delivery::Accepted);
        assert_eq!(send(&service, &second, own + 100).await, Delivery::Accepted);
        let shown = window(&service, own + 100).await.unwrap();
        // A track that Maloja knows is shown as it was first sent.
        let is_same = shown[0].title == window(&service, own).await.unwrap()[0].title
            && shown[0].artists == window(&service, own).await.unwrap()[0].artists;
        let chosen = choose(&first, own + 100, None, &shown, &[]);
        assert_eq!(chosen == Choice::AlreadyThere, is_same, "{title} and {other_title}");
        assert_eq!(choose(&second, own + 100, None, &shown, &[]), Choice::AlreadyThere, "{other_title}");
        same += usize::from(is_same);
    }
    assert_eq!(same, 9);
}

/// A client that does as the rule says, with what an operator remembers.
struct Follower<'a> {
    maloja: &'a Maloja,
    service: Service,
    /// The second that was chosen for a play.
    recorded: &'a mut BTreeMap<String, i64>,
}

impl Follower<'_> {
    /// What was answered, or none where the play stood there already.
    async fn deliver(&mut self, play: &Play, own: i64) -> Option<Delivery> {
        let shown = window(&self.service, own).await.unwrap();
        let recorded = self.recorded.get(&play.uri).copied();
        match choose(play, own, recorded, &shown, &[]) {
            Choice::AlreadyThere => None,
            Choice::Send { second } => {
                self.recorded.insert(play.uri.clone(), second);
                let delivery = send(&self.service, play, second).await;
                self.maloja.scrobbles().await.unwrap();
                Some(delivery)
            }
            Choice::Full => panic!("no second is free"),
        }
    }
}

#[tokio::test]
async fn who_follows_the_rule_finds_everything_once_and_maloja_whole() {
    let mut maloja = Maloja::start(&KEYS).await.unwrap();
    let proxy = MalojaProxy::start(&maloja.base_url()).await.unwrap();
    let mut recorded = BTreeMap::new();
    for offset in [0, 1, 2, 5, 20, 21] {
        maloja.occupy(OWN + offset, &format!("Somebody's {offset}"), "Somebody").await.unwrap();
    }
    let plays: Vec<Play> = (0..40)
        .map(|number| on_album(play(&format!("Song {number}"), &[&format!("Artist {}", number % 7)]), "Album"))
        .collect();
    for (number, song) in plays.iter().enumerate() {
        // Three plays a second, of two listeners in turn.
        let own = OWN + i64::try_from(number / 3).unwrap();
        let key = KEYS[number % 2].1;
        let lost = number % 5 == 4;
        if lost {
            proxy.lose_answers(1);
        }
        let mut follower =
            Follower { maloja: &maloja, service: service(&proxy.base_url(), key), recorded: &mut recorded };
        let expected = if lost { Delivery::Unknown(Trouble::Cut) } else { Delivery::Accepted };
        assert_eq!(follower.deliver(song, own).await, Some(expected), "{number}");
        if lost {
            assert_eq!(follower.deliver(song, own).await, None, "it arrived: {number}");
        }
        if number % 13 == 12 {
            maloja.restart().await.unwrap();
        }
    }
    let all = maloja.scrobbles().await.unwrap();
    assert_eq!(all.len(), 46);
    for song in &plays {
        let found: Vec<&MalojaScrobble> = all.iter().filter(|scrobble| scrobble.title == song.title).collect();
        assert_eq!(found.len(), 1, "{}", song.title);
        assert_eq!(found[0].artists, song.artists);
        assert_eq!(found[0].album.as_deref(), Some("Album"));
        assert_eq!(Some(&found[0].second), recorded.get(&song.uri));
    }
    assert_eq!(proxy.most_at_a_time(), 1);
    let passed = proxy.passed();
    assert!(passed.iter().all(|request| request.status == 200), "nothing was refused");
    assert!(passed.iter().all(|request| !request.target.contains("key")), "no key in a URL");
}

/// A Maloja that has refused a song's second, for a song that it does not know.
async fn refused(song: &Play) -> (Maloja, Service) {
    let maloja = Maloja::start(&KEYS).await.unwrap();
    maloja.occupy(OWN, "Somebody's", "Somebody").await.unwrap();
    let proxy = MalojaProxy::start(&maloja.base_url()).await.unwrap();
    proxy.hide_scrobbles(true);
    let blind = service(&proxy.base_url(), KEYS[0].1);
    let shown = window(&blind, OWN).await.unwrap();
    assert_eq!(choose(song, OWN, None, &shown, &[]), Choice::Send { second: OWN });
    assert_eq!(send(&blind, song, OWN).await, not_now(Trouble::SecondTaken));
    let service = service(&maloja.base_url(), KEYS[0].1);
    (maloja, service)
}

#[tokio::test]
async fn after_a_refused_second_a_song_with_nothing_in_common_makes_the_way_free() {
    let song = on_album(play("Refused", &["Artist"]), "Album");
    let (maloja, service) = refused(&song).await;
    let free = on_album(play("Refused", &["Other"]), "Other");
    assert!(!is_held_by(&free, &song));
    assert_eq!(send(&service, &free, OWN + 60).await, Delivery::Accepted);
    let shown = window(&service, OWN).await.unwrap();
    assert_eq!(choose(&song, OWN, None, &shown, &[]), Choice::Send { second: OWN + 1 });
    assert_eq!(send(&service, &song, OWN + 1).await, Delivery::Accepted);
    let next = on_album(play("Next", &["Artist"]), "Album");
    assert_eq!(send(&service, &next, OWN + 2).await, Delivery::Accepted);
    let all = maloja.scrobbles().await.unwrap();
    assert_eq!(stands(&all), [(0, "Somebody's"), (1, "Refused"), (2, "Next"), (60, "Refused")]);
    assert_eq!(all[1].artists, song.artists);
    assert_eq!(all[2].album, song.album);
}

/// Upstream's bug, as it is in the pinned version. When this fails, it is repaired, and the rule can be given up.
#[tokio::test]
async fn what_shares_a_name_with_a_refused_song_would_corrupt_maloja() {
    let song = on_album(play("Refused", &["Artist"]), "Album");
    let same_artist = play("Another", &["Artist"]);
    for harmful in [&song, &same_artist] {
        assert!(is_held_by(harmful, &song));
        let (mut maloja, service) = refused(&song).await;
        assert_eq!(send(&service, harmful, OWN + 1).await, Delivery::Accepted, "it says so");
        assert!(maloja.scrobbles().await.unwrap_err().to_string().contains("500"));
        assert_eq!(window(&service, OWN).await, Err(not_now(Trouble::Status(500))), "nothing is sent to it any more");
        maloja.restart().await.unwrap();
        assert!(maloja.scrobbles().await.is_err());
    }
    let known = "Known";
    let song = on_album(play("Refused", &["Somebody"]), "Album");
    let same_album = on_album(play(known, &["Somebody"]), "Album");
    assert!(is_held_by(&same_album, &song));
    let (maloja, service) = refused(&song).await;
    assert_eq!(send(&service, &same_album, OWN + 1).await, Delivery::Accepted);
    let all = maloja.scrobbles().await.unwrap();
    assert_eq!((all[1].title.as_str(), all[1].album.as_ref()), (known, None), "the album is lost");
}
