use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::random::config;

fn at(hour: i64, minute: i64) -> Timestamp {
    start_of(500_000 + hour) + SignedDuration::from_mins(minute)
}

fn entry(hour: i64, calls: i64) -> QuotaHour {
    QuotaHour { time: Time(at(hour, 0)), calls }
}

/// Takes a call, writing what must be written. Answers until when nothing can be had.
fn take(hours: &mut Hours, app: &str, limit: i64, due: i64, now: Timestamp) -> Result<Option<Reservation>, Timestamp> {
    match hours.take(app, limit, due, now) {
        Take::Granted => Ok(None),
        Take::Spent { until } => Err(until),
        Take::Reserve(reservation) => {
            hours.reserved(app, &reservation);
            assert_eq!(hours.take(app, limit, due, now), Take::Granted);
            Ok(Some(reservation))
        }
    }
}

fn said(reservation: &Reservation) -> Vec<(i64, i64)> {
    reservation.hours.iter().map(|entry| (hour_of(entry.time.0) - 500_000, entry.calls)).collect()
}

#[test]
fn a_block_is_what_falls_due_and_at_most_a_twentieth() {
    for (limit, due, expected) in [(400, 100, 20), (400, 7, 7), (400, 0, 1), (400, -5, 1), (10, 5, 1), (1, 9, 1)] {
        let mut hours = Hours::default();
        let reservation = take(&mut hours, "app", limit, due, at(0, 5)).unwrap().unwrap();
        assert_eq!(said(&reservation), [(0, expected)], "{limit}, {due} due");
        for _ in 1..expected {
            assert_eq!(take(&mut hours, "app", limit, due, at(0, 59)).unwrap(), None);
        }
    }
}

#[test]
fn a_block_lapses_with_its_hour_and_what_was_not_used_is_given_back_with_the_next_write() {
    let mut hours = Hours::default();
    take(&mut hours, "app", 400, 20, at(0, 50)).unwrap();
    take(&mut hours, "app", 400, 20, at(0, 59)).unwrap();
    let next = take(&mut hours, "app", 400, 5, at(1, 0)).unwrap().unwrap();
    assert_eq!(said(&next), [(0, 2), (1, 5)]);
    assert_eq!(next.window_start_time.0, at(0, 0));
    hours.observe("app", &[entry(0, 20)]);
    assert_eq!(hours.by_age(at(1, 1))[..3], [5, 2, 0], "a watch that is late takes nothing back");
}

#[test]
fn a_restart_counts_what_was_reserved_as_used() {
    let mut hours = Hours::default();
    let reservation = take(&mut hours, "app", 400, 20, at(0, 10)).unwrap().unwrap();
    let mut next = Hours::default();
    next.observe("app", &reservation.hours);
    let reservation = take(&mut next, "app", 400, 20, at(0, 11)).unwrap().unwrap();
    assert_eq!(said(&reservation), [(0, 40)]);
    let reservation = take(&mut next, "app", 400, 1, at(1, 0)).unwrap().unwrap();
    assert_eq!(said(&reservation), [(0, 21), (1, 1)], "only its own block is given back");
}

#[test]
fn a_write_that_was_not_noted_counts_once_it_is_seen() {
    let mut hours = Hours::default();
    let Take::Reserve(lost) = hours.take("app", 400, 20, at(0, 10)) else { panic!("nothing is reserved") };
    hours.observe("app", &lost.hours);
    let reservation = take(&mut hours, "app", 400, 20, at(0, 11)).unwrap().unwrap();
    assert_eq!(said(&reservation), [(0, 40)]);
}

#[test]
fn nothing_is_granted_once_the_day_is_spent_until_enough_has_lapsed() {
    for (entries, limit, until) in [
        (vec![entry(-24, 3), entry(-3, 397)], 400, 1),
        (vec![entry(-24, 3), entry(-3, 400)], 400, 22),
        (vec![entry(-24, 3), entry(-3, 4), entry(0, 500)], 400, 25),
        (vec![entry(-20, 10), entry(-10, 10)], 10, 15),
    ] {
        let mut hours = Hours::default();
        hours.observe("app", &entries);
        let spent = take(&mut hours, "app", limit, 5, at(0, 30)).unwrap_err();
        assert_eq!(spent, at(until, 0), "{entries:?}");
        let before = spent - SignedDuration::from_secs(1);
        assert_eq!(take(&mut hours, "app", limit, 5, before).unwrap_err(), spent);
        assert!(take(&mut hours, "app", limit, 5, spent).is_ok(), "{entries:?}");
    }
}

#[test]
fn apps_of_a_group_share_its_limit() {
    let mut hours = Hours::default();
    hours.observe("other", &[entry(-2, 390)]);
    let first = take(&mut hours, "app", 400, 20, at(0, 0)).unwrap().unwrap();
    assert_eq!(said(&first), [(0, 10)], "what is left, and only the app's own hours");
    assert_eq!(take(&mut hours, "other", 400, 20, at(0, 1)).unwrap_err(), at(23, 0));
    hours.forget("other");
    assert!(take(&mut hours, "third", 400, 20, at(0, 1)).is_ok());
}

#[test]
fn zero_sets_no_limit_and_takes_none_away() {
    assert_eq!(super::super::limit([0, 0]), None);
    assert_eq!(super::super::limit([]), None);
    assert_eq!(super::super::limit([0, 400, 1000]), Some(400));
}

#[test]
fn hours_that_make_no_sense_grant_nothing() {
    let mut hours = Hours::default();
    let future = QuotaHour { time: Time(Timestamp::MAX), calls: 4 };
    let past = QuotaHour { time: Time(Timestamp::MIN), calls: i64::MAX };
    hours.observe("app", &[entry(0, -400), entry(-1, 3), entry(-1, 3), entry(9, 5), future, past]);
    let reservation = take(&mut hours, "app", 400, 2, at(0, 1)).unwrap().unwrap();
    assert_eq!(said(&reservation), [(-1, 6), (0, 11)]);
    hours.observe("other", &[entry(0, i64::MAX), entry(-1, i64::MAX)]);
    assert!(take(&mut hours, "other", 400, 2, at(0, 1)).is_err());
}

#[test]
fn a_clock_that_goes_back_gives_nothing_back() {
    let mut hours = Hours::default();
    for _ in 0..40 {
        take(&mut hours, "app", 100, 5, at(7, 1)).unwrap();
    }
    let reservation = take(&mut hours, "app", 100, 5, at(3, 0)).unwrap().unwrap();
    assert_eq!(said(&reservation), [(3, 45)]);
    assert_eq!(said(&take(&mut hours, "app", 100, 5, at(7, 0)).unwrap().unwrap()), [(3, 41), (7, 5)]);
}

#[derive(Clone, Debug)]
enum Deed {
    Wait(i64),
    Take(usize, i64),
    Restart,
    LoseAnswer(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0_i64..90).prop_map(Deed::Wait),
        12 => (0_usize..3, 0_i64..30).prop_map(|(app, due)| Deed::Take(app, due)),
        1 => Just(Deed::Restart),
        1 => (0_usize..3).prop_map(Deed::LoseAnswer),
    ]
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn no_24_hours_see_more_calls_than_allowed(limit in 1_i64..60, deeds in vec(deed(), 1..600)) {
        const APPS: [&str; 3] = ["one", "two", "three"];
        let mut status = vec![Vec::new(); APPS.len()];
        let mut hours = Hours::default();
        let mut calls: Vec<Timestamp> = Vec::new();
        let mut now = at(0, 0);
        for deed in deeds {
            match deed {
                Deed::Wait(minutes) => now += SignedDuration::from_mins(minutes),
                Deed::Restart => {
                    hours = Hours::default();
                    for (app, written) in APPS.iter().zip(&status) {
                        hours.observe(app, written);
                    }
                }
                Deed::LoseAnswer(app) => {
                    if let Take::Reserve(reservation) = hours.take(APPS[app], limit, 9, now) {
                        status[app].clone_from(&reservation.hours);
                        hours.observe(APPS[app], &status[app]);
                    }
                }
                Deed::Take(app, due) => {
                    let known = hours.clone();
                    match take(&mut hours, APPS[app], limit, due, now) {
                        Ok(Some(reservation)) => {
                            prop_assert!(reservation.calls <= (limit / 20).max(1));
                            prop_assert!(reservation.hours.len() <= 25);
                            status[app].clone_from(&reservation.hours);
                            calls.push(now);
                        }
                        Ok(None) => calls.push(now),
                        Err(until) => {
                            prop_assert!(until > now);
                            let mut later = known;
                            prop_assert!(take(&mut later, APPS[app], limit, due, until).is_ok());
                        }
                    }
                }
            }
            let day = now - SignedDuration::from_hours(24);
            let since = calls.iter().filter(|call| **call > day).count();
            prop_assert!(since <= usize::try_from(limit).unwrap(), "{} calls", since);
            let first = hour_of(now) - 24;
            let stored: i64 = status.iter().flatten().filter(|entry| hour_of(entry.time.0) >= first).map(|entry| entry.calls).sum();
            prop_assert!(stored <= limit, "{} are reserved", stored);
        }
    }
}
