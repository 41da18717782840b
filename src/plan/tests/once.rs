//! Whatever the order, the delay and the moment of a crash: each target has each play that it can take, once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::plays::play;
use super::world::{Moment, World};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::play::Play;
use crate::domain::random::config;

/// What a service does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    /// It acts, and the answer is lost.
    Cuts,
    Fails,
    AsksToWait,
}

/// What happens in ten minutes.
#[derive(Clone, Debug)]
struct Stretch {
    moods: Vec<Mood>,
    dies_at: Option<Moment>,
    /// Turns the page's order.
    order: u64,
    /// The page shows nothing, although plays exist.
    empty: bool,
}

/// A play, and how many minutes after its end Spotify shows it.
#[derive(Clone, Debug)]
struct Heard {
    late: i64,
    refused: bool,
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood =
        prop_oneof![4 => Just(Mood::Takes), 2 => Just(Mood::Cuts), 2 => Just(Mood::Fails), 1 => Just(Mood::AsksToWait)];
    vec(mood, 0..5)
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let moment = prop_oneof![Just(Moment::Delivered), Just(Moment::Journaled), Just(Moment::Recorded)];
    (moods(), prop::option::weighted(0.4, moment), any::<u64>(), prop::bool::weighted(0.1))
        .prop_map(|(moods, dies_at, order, empty)| Stretch { moods, dies_at, order, empty })
}

fn heard() -> impl Strategy<Value = Heard> {
    let late = prop_oneof![3 => Just(0_i64), 1 => 0_i64..90];
    (late, prop::bool::weighted(0.1)).prop_map(|(late, refused)| Heard { late, refused })
}

/// What a service holds: by play, how often it was stored. A repeat is recognised by time and track.
type Held = Rc<RefCell<BTreeMap<(String, String, Timestamp), u32>>>;

/// One answer of a service that recognises repeats.
fn answer(held: &Held, mood: Mood, entry: &str, plays: &[Arc<Play>]) -> Submission {
    let refuses = |play: &Arc<Play>| play.title.contains("refused");
    let trouble = |retry_after, trouble| Submission::all(plays.len(), &Delivery::NotNow { retry_after, trouble });
    match mood {
        Mood::Fails => return trouble(None, Trouble::Status(503)),
        Mood::AsksToWait => return trouble(Some(seconds(90)), Trouble::RateLimited),
        Mood::Takes | Mood::Cuts => {}
    }
    if plays.iter().any(refuses) {
        return match plays.len() {
            1 => Submission::all(1, &Delivery::Never { reason: "refused".to_owned() }),
            _ => Submission::BatchRefused,
        };
    }
    for play in plays {
        let mut held = held.borrow_mut();
        let stored = held.entry((entry.to_owned(), play.uri.clone(), play.played_at)).or_default();
        *stored = (*stored).max(1);
    }
    match mood {
        Mood::Cuts => Submission::all(plays.len(), &Delivery::Unknown(Trouble::Cut)),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    }
}

/// The newest fifty of the plays that Spotify shows by now, in any order.
fn shown(plays: &[(Play, Timestamp)], now: Timestamp, order: u64) -> Vec<Play> {
    let mut shown: Vec<Play> = plays.iter().filter(|(_, from)| *from <= now).map(|(play, _)| play.clone()).collect();
    shown.sort_by_key(|play| std::cmp::Reverse(play.played_at));
    shown.truncate(50);
    shown.sort_by_key(|play| (play.played_at.as_second().cast_unsigned()).wrapping_mul(order | 1));
    shown
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn each_target_has_what_it_can_take_once_whatever_the_order_the_delay_and_the_crash(
        heard in vec(heard(), 1..70),
        stretches in vec(stretch(), 1..30),
    ) {
        let mut world = World::of(account().with_target("brainz").with_hook("hook"));
        let held = Held::default();
        let moods: Rc<RefCell<Vec<Mood>>> = Rc::default();
        let (service, temper) = (Rc::clone(&held), Rc::clone(&moods));
        world.targets = Box::new(move |entry, plays| {
            let mood = temper.borrow_mut().pop().unwrap_or(Mood::Takes);
            answer(&service, mood, entry, plays)
        });
        let plays: Vec<(Play, Timestamp)> = (0_i64..).zip(&heard).map(|(number, heard)| {
            let ended = start() + minutes(4 * number);
            let name = if heard.refused { format!("refused-{number}") } else { format!("{number}") };
            (play(&name, ended), ended + minutes(heard.late))
        }).collect();
        let end = start() + minutes(4 * 70 + 100);
        let calm = Stretch { moods: Vec::new(), dies_at: None, order: 1, empty: false };
        for stretch in stretches.into_iter().chain(std::iter::repeat(calm)) {
            world.shows(if stretch.empty { Vec::new() } else { shown(&plays, world.now, stretch.order) });
            world.dies_at = stretch.dies_at;
            *moods.borrow_mut() = stretch.moods;
            world.run_for(minutes(10));
            if world.now > end {
                break;
            }
        }
        world.dies_at = None;
        world.run_for(hours(3));

        let wanted = |target: &str| -> BTreeSet<(String, String, Timestamp)> {
            let taken = plays.iter().filter(|(play, _)| !play.title.contains("refused"));
            taken.map(|(play, _)| (target.to_owned(), play.uri.clone(), play.played_at)).collect()
        };
        let stored: BTreeSet<_> = held.borrow().keys().cloned().collect();
        let all: BTreeSet<_> = wanted("brainz").into_iter().chain(wanted("hook")).collect();
        prop_assert_eq!(&stored, &all);
        let status = world.status();
        let sync = status.sync.clone().unwrap();
        let refused = i64::try_from(plays.len()).unwrap() - i64::try_from(wanted("hook").len()).unwrap();
        prop_assert_eq!(sync.scrobbled_total, i64::try_from(all.len()).unwrap(), "each counts once");
        prop_assert_eq!((sync.pending_total, sync.lost_at_most_total), (0, 0));
        for target in &status.targets {
            prop_assert_eq!((target.quarantined, target.dropped_total), (refused, 0));
        }
        prop_assert_eq!(i64::try_from(world.journal.entries.len()).unwrap(), refused, "the rest is taken out");
    }
}
