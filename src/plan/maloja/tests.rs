//! The rule as a table, and whatever stands there.

use proptest::prelude::*;

use super::*;
use crate::domain::random::config;

const OWN: i64 = 1_795_428_000;

fn play_of(title: &str, artists: &[&str]) -> Play {
    Play {
        played_at: "2026-11-23T10:00:00.381Z".parse().unwrap(),
        uri: "spotify:track:x".to_owned(),
        title: title.to_owned(),
        artists: artists.iter().map(|artist| (*artist).to_owned()).collect(),
        album: None,
        album_artists: Vec::new(),
        duration_ms: None,
        track_number: None,
        isrc: None,
        track_id: None,
    }
}

fn play() -> Play {
    play_of("Song", &["One", "Two"])
}

fn at(offset: i64, title: &str, artists: &[&str]) -> Shown {
    Shown {
        second: OWN + offset,
        title: title.to_owned(),
        artists: artists.iter().map(|artist| (*artist).to_owned()).collect(),
    }
}

fn same(offset: i64) -> Shown {
    at(offset, "Song", &["Two", "One"])
}

fn other(offset: i64) -> Shown {
    at(offset, "Other", &["One", "Two"])
}

fn send(offset: i64) -> Choice {
    Choice::Send { second: OWN + offset }
}

/// A name, the recorded second, what stands there, what is explained, and the choice; seconds from the play's own.
type Case = (&'static str, Option<i64>, Vec<Shown>, Vec<i64>, Choice);

#[test]
fn the_second_is_chosen_from_what_stands_there() {
    let there = Choice::AlreadyThere;
    let all = |entry: fn(i64) -> Shown| (0..60).map(entry).collect::<Vec<_>>();
    let cases: Vec<Case> = vec![
        ("nothing there", None, vec![], vec![], send(0)),
        ("there", None, vec![same(0)], vec![], there),
        ("there, later", None, vec![other(0), same(29)], vec![], there),
        ("there, too late to be this play", None, vec![same(30)], vec![], send(0)),
        ("taken, and the same too late", None, vec![other(0), same(30)], vec![], send(1)),
        ("explained", None, vec![same(5)], vec![5], send(0)),
        ("explained at its own second", None, vec![same(0)], vec![0], send(1)),
        ("one explained, one not", None, vec![same(0), same(7)], vec![0], there),
        ("taken", None, vec![other(0)], vec![], send(1)),
        ("several taken", None, vec![other(2), other(0), same(1)], vec![1], send(3)),
        ("a gap", None, vec![other(0), other(2)], vec![], send(1)),
        ("one free", None, (0..59).map(other).collect(), vec![], send(59)),
        ("full", None, all(other), vec![], Choice::Full),
        ("full of itself, explained", None, all(same), (0..60).collect(), Choice::Full),
        ("outside the window", None, vec![other(-1), other(60)], vec![], send(0)),
        ("recorded and there", Some(3), vec![other(0), same(3)], vec![], there),
        ("recorded and there late", Some(45), vec![same(45)], vec![], there),
        ("recorded and there, though explained", Some(3), vec![same(3)], vec![3], there),
        ("recorded and free", Some(3), vec![other(0)], vec![], send(3)),
        ("recorded, its own second free by now", Some(3), vec![], vec![], send(3)),
        ("recorded, the same elsewhere", Some(3), vec![same(0)], vec![], send(3)),
        ("recorded, taken by another", Some(3), vec![other(0), other(3)], vec![], send(1)),
        ("recorded, taken by another, the same elsewhere", Some(3), vec![same(0), other(3)], vec![], send(1)),
        ("recorded, full", Some(3), all(other), vec![], Choice::Full),
        ("recorded outside the window", Some(60), vec![other(0)], vec![], send(1)),
        ("recorded outside the window, there", Some(-1), vec![same(2)], vec![], there),
    ];
    for (name, recorded, shown, explained, expected) in cases {
        let explained: Vec<i64> = explained.into_iter().map(|offset| OWN + offset).collect();
        let chosen = choose(&play(), OWN, recorded.map(|offset| OWN + offset), &shown, &explained);
        assert_eq!(chosen, expected, "{name}");
    }
}

/// What a real Maloja takes for one track is in the integration tests; this is the same list.
#[test]
fn a_track_is_recognised_in_the_spelling_that_came_first() {
    for (sent, shown, is_same) in [
        (("Song", vec!["One"]), ("Song", vec!["One"]), true),
        (("Song", vec!["One"]), ("SONG", vec!["oNe"]), true),
        (("Song", vec!["One", "Two"]), ("Song", vec!["Two", "One"]), true),
        (("Song", vec!["One", "one"]), ("Song", vec!["One"]), true),
        (("Song", vec!["Beyoncé"]), ("Song", vec!["Beyonce"]), true),
        (("Part 1: It's - All", vec!["a"]), ("part 1 its all", vec!["A"]), true),
        (("ｱ\u{3099}", vec!["Ａ"]), ("ｱ\u{3099}", vec!["ａ"]), true),
        (("Don’t", vec!["a"]), ("Don`t", vec!["a"]), true),
        (("ΟΔΟΣ", vec!["a"]), ("οδος", vec!["a"]), true),
        (("İ", vec!["a"]), ("i", vec!["a"]), true),
        (("Ａ", vec!["a"]), ("A", vec!["a"]), false),
        (("Straße", vec!["a"]), ("Strasse", vec!["a"]), false),
        (("Song", vec!["One", "Two"]), ("Song", vec!["One"]), false),
        (("Song", vec!["One"]), ("Song ", vec!["One"]), false),
        (("Song", vec!["One"]), ("Song (Live)", vec!["One"]), false),
        (("A-B", vec!["a"]), ("A B", vec!["a"]), false),
        (("Ø", vec!["a"]), ("O", vec!["a"]), false),
    ] {
        let (title, artists) = (sent.0, sent.1);
        let stands = at(0, shown.0, &shown.1);
        let chosen = choose(&play_of(title, &artists), OWN, None, &[stands], &[]);
        assert_eq!(chosen == Choice::AlreadyThere, is_same, "{title} {artists:?} {shown:?}");
    }
}

#[test]
fn a_refused_play_holds_what_shares_a_name_with_it() {
    let on = |title, artists: &[&str], album: Option<&str>, album_artists: &[&str]| Play {
        album: album.map(str::to_owned),
        album_artists: album_artists.iter().map(|artist| (*artist).to_owned()).collect(),
        ..play_of(title, artists)
    };
    let refused = on("Song", &["One", "Two"], Some("Album"), &["Various"]);
    assert!(is_held_by(&refused, &refused));
    for (held, name) in [
        (on("Another", &["Two"], None, &[]), "an artist"),
        (on("Another", &["TWO", "Three"], None, &[]), "an artist in another spelling"),
        (on("Another", &["Three"], Some("Other"), &["One"]), "its artist made the album"),
        (on("Another", &["Various"], None, &[]), "its album's artist"),
        (on("Another", &["Three"], Some("album"), &["Three"]), "the album"),
    ] {
        assert!(is_held_by(&held, &refused), "{name}");
    }
    let free = on("Song", &["Three"], Some("Other"), &["Three"]);
    assert!(!is_held_by(&free, &refused), "a title alone is not a track");
    let bare = |artist| on("Song", &[artist], Some(""), &[]);
    assert!(!is_held_by(&bare("Three"), &bare("One")), "no album is no album in common");
}

fn shown() -> impl Strategy<Value = Vec<Shown>> {
    let entry =
        (-5..70_i64, any::<bool>()).prop_map(|(offset, is_same)| if is_same { same(offset) } else { other(offset) });
    prop::collection::vec(entry, 0..90)
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn what_is_sent_goes_to_a_free_second_of_the_window_and_once_sent_it_is_there(
        mut shown in shown(),
        recorded in prop::option::of(-5..70_i64),
        explained in prop::collection::vec(0..60_i64, 0..5),
    ) {
        let explained: Vec<i64> = explained.into_iter().map(|offset| OWN + offset).collect();
        let recorded = recorded.map(|offset| OWN + offset);
        // Maloja holds one a second.
        let mut seen = BTreeSet::new();
        shown.retain(|entry| seen.insert(entry.second));
        match choose(&play(), OWN, recorded, &shown, &explained) {
            Choice::Send { second } => {
                prop_assert!((OWN..OWN + WINDOW_SECONDS).contains(&second));
                prop_assert!(!seen.contains(&second));
                shown.push(Shown { second, ..same(0) });
                // As it is after a lost answer: the second was recorded before it was sent.
                prop_assert_eq!(choose(&play(), OWN, Some(second), &shown, &explained), Choice::AlreadyThere);
            }
            Choice::AlreadyThere => prop_assert!(shown.iter().any(|entry| entry.title == "Song")),
            Choice::Full => prop_assert!((OWN..OWN + WINDOW_SECONDS).all(|second| seen.contains(&second))),
        }
    }
}
