use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::random::config;
use crate::plan::budget::need::tests::{minutes, now, playing};

fn member<'a>(uid: &'a str, plays: &'a [i64]) -> Member<'a> {
    let bounds = Bounds { longest: minutes(20), shortest: minutes(5) };
    Member { uid, bounds, plays, hurried_until: None, reads: true }
}

fn uids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("uid-{number}")).collect()
}

fn fresh(daily_calls: i64) -> Allowance {
    Allowance::new(daily_calls, &[0; 25])
}

fn interval(level: Option<Level>) -> SignedDuration {
    level.map_or(minutes(20), |level| level.interval(minutes(20)))
}

#[test]
fn nobody_is_held_where_every_interval_fits_the_day() {
    let uids = uids(6);
    let fast = playing(60, 31, 1);
    let mut members: Vec<Member> = uids.iter().take(5).map(|uid| member(uid, &[])).collect();
    members[0].plays = &fast;
    assert_eq!(share(&members, &fresh(400), now()), Division { levels: vec![None; 5], shortfall: None });
    members.push(Member { reads: false, ..member(&uids[5], &[]) });
    assert_eq!(share(&members, &fresh(400), now()).shortfall, None, "one that is not read costs nothing");
    members[5].reads = true;
    let shortfall = share(&members, &fresh(400), now()).shortfall.unwrap();
    assert!(!shortfall.loses(), "{shortfall:?}");
}

#[test]
fn calls_go_first_to_those_who_play_then_to_those_who_may_and_then_to_wishes() {
    let uids = uids(40);
    let (skips, album, evening) = (playing(60, 31, 1), playing(60, 240, 10), playing(60, 240, 1200));
    let plays = |index: usize| match index {
        0 => &skips[..],
        1 => &album[..],
        2..14 => &evening[..],
        _ => &[],
    };
    let members: Vec<Member> = uids.iter().enumerate().map(|(index, uid)| member(uid, plays(index))).collect();
    let division = share(&members, &fresh(400), now());
    let found: Vec<SignedDuration> = division.levels.iter().map(|level| interval(*level)).collect();
    assert_eq!(found[..2], [minutes(20), minutes(160)]);
    assert!(found[2..14].iter().all(|found| *found == minutes(160)), "{found:?}");
    assert!(found[14..].iter().all(|found| *found >= minutes(160)), "{found:?}");
    assert!(division.shortfall.is_some_and(|found| !found.loses()));
    // Nothing is left: reads are far apart, and those who play lose.
    let spent = share(&members, &Allowance::new(400, &[20; 25]), now());
    assert!(spent.levels.iter().all(|level| interval(*level) >= SignedDuration::from_hours(24)));
    assert!(spent.shortfall.is_some_and(|found| found.loses()));
}

#[test]
fn those_who_cannot_all_be_followed_lose_alike() {
    let uids = uids(20);
    let skips = playing(60, 31, 1);
    let members: Vec<Member> = uids.iter().map(|uid| member(uid, &skips)).collect();
    let levels = share(&members, &Allowance::new(400, &[15; 25]), now()).levels;
    let found: Vec<SignedDuration> = levels.into_iter().map(interval).collect();
    let (shortest, longest) = (found.iter().min().unwrap(), found.iter().max().unwrap());
    assert!(*longest <= *shortest * 2, "{found:?}");
}

#[test]
fn even_the_fewest_reads_of_many_leave_half_of_the_calls() {
    for (count, calls) in [(1, 1), (40, 1), (40, 10), (1000, 400), (3000, 400)] {
        let uids = uids(count);
        let members: Vec<Member> = uids.iter().map(|uid| member(uid, &[])).collect();
        let spent = Allowance::new(calls, &[calls; 25]);
        let levels = share(&members, &spent, now()).levels;
        let a_day: i64 = levels.into_iter().map(|level| rate(interval(level)) * 24).sum();
        assert!(a_day <= calls * CALL / 2 + CALL, "{count} accounts, {calls} calls: {a_day}");
    }
}

#[test]
fn a_slot_is_admitted_from_when_its_level_is() {
    let uids = uids(40);
    let members: Vec<Member> = uids.iter().map(|uid| member(uid, &[])).collect();
    let mut shares = Shares::default();
    assert!(shares.update(&members, Some(&fresh(400)), now()).is_empty(), "nothing is known of before");
    let first = shares.portion("uid-3");
    assert!(first.level.is_some() && first.since.is_none());
    assert_eq!(shares.update(&members, None, now() + minutes(5)).len(), 40);
    let free = Portion { level: None, since: Some(now() + minutes(5)) };
    assert_eq!(shares.portion("uid-3"), free);
    assert_eq!(shares.shortfall(), None);
    assert!(shares.update(&members, Some(&fresh(400)), now() + minutes(9)).is_empty());
    assert_eq!(shares.portion("uid-3"), Portion { level: first.level, ..free }, "a coarser level brings no slot");
    shares.update(&members[..3], Some(&fresh(400)), now());
    assert_eq!(shares.portion("uid-3"), Portion::default(), "gone");
}

#[test]
fn what_falls_due_within_the_hour_is_what_the_slots_say() {
    let uids = uids(50);
    let members: Vec<Member> = uids.iter().map(|uid| member(uid, &[])).collect();
    let mut shares = Shares::default();
    let begin = Timestamp::from_second(1_795_000_000 / 3600 * 3600).unwrap();
    assert_eq!(shares.due(&members, begin), 150);
    let late = shares.due(&members, begin + minutes(50));
    assert!((10..40).contains(&late), "{late}");
    shares.update(&members, Some(&fresh(400)), begin);
    assert!(shares.due(&members, begin) < 40);
    assert_eq!(shares.due(&[], begin), 0);
}

fn group() -> impl Strategy<Value = Vec<(String, Vec<i64>, i64, Option<i64>)>> {
    let plays = (0_i64..100, 31_i64..400, 0_i64..3000).prop_map(|(count, gap, ago)| playing(count, gap, ago));
    vec(("[a-f0-9]{8}", plays, 1_i64..300, proptest::option::of(0_i64..1440)), 1..40)
}

fn members(group: &[(String, Vec<i64>, i64, Option<i64>)]) -> Vec<Member<'_>> {
    let all = group.iter().map(|(uid, plays, longest, gap)| Member {
        bounds: Bounds { longest: minutes(*longest), shortest: minutes((*longest).min(5)) },
        hurried_until: gap.map(|ago| now() + minutes(1440 - ago)),
        ..member(uid, plays)
    });
    all.collect()
}

fn intervals(members: &[Member], division: &Division) -> Vec<SignedDuration> {
    let wait = |(member, level): (&Member, &Option<Level>)| {
        level.map_or(SignedDuration::ZERO, |level| level.interval(member.bounds.longest))
    };
    members.iter().zip(&division.levels).map(wait).collect()
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn with_less_left_nobody_gets_more(group in group(), calls in 1_i64..4000, used in vec(0_i64..60, 25), more in vec(0_i64..60, 25)) {
        let members = members(&group);
        let all: Vec<i64> = used.iter().zip(&more).map(|(used, more)| used + more).collect();
        let before = intervals(&members, &share(&members, &Allowance::new(calls, &used), now()));
        let after = intervals(&members, &share(&members, &Allowance::new(calls, &all), now()));
        prop_assert!(before.iter().zip(&after).all(|(before, after)| before <= after));
    }

    #[test]
    fn the_order_of_accounts_says_nothing(group in group(), calls in 1_i64..4000, used in vec(0_i64..60, 25)) {
        let allowance = Allowance::new(calls, &used);
        let mut members = members(&group);
        let forwards = share(&members, &allowance, now());
        members.reverse();
        let mut backwards = share(&members, &allowance, now());
        backwards.levels.reverse();
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn an_hour_of_shares_fits_what_may_be_planned(group in group(), calls in 1_i64..4000, used in vec(0_i64..60, 25)) {
        let members = members(&group);
        let allowance = Allowance::new(calls, &used);
        let division = share(&members, &allowance, now());
        let an_hour: i64 = members.iter().zip(&division.levels).map(|(member, level)| match level {
            Some(level) => rate(level.interval(member.bounds.longest)),
            None => rate(Rhythm::within(member.uid, member.bounds, member.plays.to_vec(), member.hurried_until).interval_at(now())),
        }).sum();
        let fewest = calls * CALL / 48 + CALL;
        prop_assert!(an_hour <= allowance.need.max(fewest), "{} of {:?}", an_hour, allowance);
    }
}
