//! Who a plan admits.

use jiff::Timestamp;
use proptest::prelude::*;

use super::accounts::{account, seconds, start};
use crate::api::condition::{ConditionType, find_condition, whole_seconds};
use crate::api::v1alpha1::{
    MembershipStatus, PlanMember, ScrobblePlan, ScrobblePlanSpec, ScrobblePlanStatus, SpotifyAccount,
    SpotifyAccountStatus,
};
use crate::domain::name::ObjectName;
use crate::domain::random::config;
use crate::plan::scrobble_plan;
use crate::plan::seat::{self, Admission, Applicant, Room, admit, room};

pub(super) fn applicant(name: &str) -> Applicant {
    Applicant { name: ObjectName::new("music", name), uid: Some(format!("uid-of-{name}")) }
}

pub(super) fn member(name: &str, number: Option<i64>, granted: i64) -> PlanMember {
    PlanMember {
        namespace: "music".to_owned(),
        name: name.to_owned(),
        uid: Some(format!("uid-of-{name}")),
        number,
        granted_time: whole_seconds(start() + seconds(granted)),
    }
}

pub(super) fn plan(name: &str, seats: Option<i32>, numbered: bool, members: Vec<PlanMember>) -> ScrobblePlan {
    let mut plan = ScrobblePlan::new(name, ScrobblePlanSpec { seats, numbered, ..ScrobblePlanSpec::default() });
    let mut status = ScrobblePlanStatus { members, ..ScrobblePlanStatus::default() };
    if !status.members.is_empty() {
        status.seats_taken = i32::try_from(status.members.len()).unwrap();
        status.next_number = status.members.iter().filter_map(|member| member.number).max().map(|number| number + 1);
    }
    plan.status = Some(status);
    plan
}

/// The status to write, and the applicant's entry in it.
fn admitted(plan: &ScrobblePlan, name: &str) -> (ScrobblePlanStatus, PlanMember) {
    match admit(plan, &applicant(name), 0, start()) {
        Admission::Admitted { status, member } => (*status, member),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plan_says_who_comes_in() {
    let (alice, bob) = (member("alice", Some(1), 0), member("bob", Some(2), 1));
    for (what, seats, numbered, members, expected) in [
        ("it counts nobody", None, false, vec![], "unneeded"),
        ("it counts nobody any more, and has a seat", None, false, vec![alice.clone()], "member"),
        ("a seat is free", Some(1), false, vec![], "admitted"),
        ("a seat and a number are free", Some(2), true, vec![bob.clone()], "admitted"),
        ("numbers without seats", None, true, vec![bob.clone()], "admitted"),
        ("a seat is held", Some(1), true, vec![alice.clone()], "member"),
        ("a seat is held, of fewer than there are members", Some(1), true, vec![bob.clone(), alice.clone()], "member"),
        ("no seat is free", Some(1), true, vec![bob.clone()], "no seat"),
        ("fewer seats than members", Some(1), true, vec![bob.clone(), member("carol", Some(3), 2)], "no seat"),
        ("a member has no number yet", Some(1), true, vec![member("alice", None, 0)], "admitted"),
        ("a member needs no number", Some(1), false, vec![member("alice", None, 0)], "member"),
        ("a member keeps its number", Some(1), false, vec![alice], "member"),
    ] {
        let told = match admit(&plan("gold", seats, numbered, members), &applicant("alice"), 0, start()) {
            Admission::Unneeded => "unneeded",
            Admission::Member(_) => "member",
            Admission::Admitted { .. } => "admitted",
            Admission::NoSeat => "no seat",
        };
        assert_eq!(told, expected, "{what}");
    }
}

#[test]
fn a_seat_is_an_entry_with_the_next_number() {
    let now = start() + seconds(90) + jiff::SignedDuration::from_millis(700);
    let mut plan = plan("gold", Some(3), true, vec![member("bob", Some(4), 0)]);
    plan.status.as_mut().unwrap().next_number = Some(9);
    let Admission::Admitted { status, member: entry } = admit(&plan, &applicant("alice"), 0, now) else { panic!() };
    assert_eq!(entry, member("alice", Some(9), 90));
    assert_eq!(status.members, [member("bob", Some(4), 0), entry]);
    assert_eq!((status.seats_taken, status.next_number), (2, Some(10)));
}

#[test]
fn a_seat_belongs_to_namespace_and_name() {
    let plan = plan("gold", Some(1), true, vec![member("alice", Some(1), 0)]);
    let again = Applicant { uid: Some("another".to_owned()), ..applicant("alice") };
    let Admission::Admitted { status, member: entry } = admit(&plan, &again, 0, start() + seconds(99)) else {
        panic!()
    };
    assert_eq!(entry, PlanMember { uid: again.uid.clone(), ..member("alice", Some(1), 0) }, "its own seat and number");
    assert_eq!((status.members.len(), status.next_number), (1, Some(2)));
    let namesake = Applicant { name: ObjectName::new("art", "alice"), ..applicant("alice") };
    assert_eq!(admit(&plan, &namesake, 0, start()), Admission::NoSeat);
}

#[test]
fn no_number_is_used_twice() {
    // The newest member's entry was removed.
    let mut shrunk = plan("gold", Some(3), true, vec![member("bob", Some(1), 0)]);
    shrunk.status.as_mut().unwrap().next_number = Some(3);
    assert_eq!(admitted(&shrunk, "alice").1.number, Some(3));
    // Somebody set the next number back.
    shrunk.status.as_mut().unwrap().next_number = Some(1);
    assert_eq!(admitted(&shrunk, "alice").1.number, Some(2));
    // The status was wiped, or the plan created anew: accounts still show their numbers.
    let wiped = plan("gold", Some(3), true, vec![]);
    let Admission::Admitted { member, .. } = admit(&wiped, &applicant("alice"), 41, start()) else { panic!() };
    assert_eq!(member.number, Some(42));
    // What accounts show does not matter where the plan says what is next.
    let Admission::Admitted { member, .. } = admit(&shrunk, &applicant("alice"), 41, start()) else { panic!() };
    assert_eq!(member.number, Some(2));
}

#[test]
fn accounts_show_the_numbers_that_were_given() {
    let showing = |plan: &str, number| -> SpotifyAccount {
        let membership = MembershipStatus { plan: Some(plan.to_owned()), number, granted_time: None };
        let status = SpotifyAccountStatus { membership: Some(membership), ..SpotifyAccountStatus::default() };
        SpotifyAccount { status: Some(status), ..account() }
    };
    let accounts = [
        account(),
        showing("gold", Some(3)),
        showing("gold", Some(7)),
        showing("gold", None),
        showing("free", Some(9)),
    ];
    assert_eq!(seat::shown("gold", &accounts), 7);
    assert_eq!(seat::shown("silver", &accounts), 0);
}

#[test]
fn numbers_that_come_later_follow_the_order_of_the_seats() {
    let members = vec![member("dora", None, 30), member("carol", None, 10), member("bob", None, 10)];
    let (status, alice) = admitted(&plan("gold", Some(9), true, members), "alice");
    let numbers: Vec<_> = status.members.iter().map(|member| (member.name.as_str(), member.number)).collect();
    assert_eq!(numbers, [("dora", Some(3)), ("carol", Some(2)), ("bob", Some(1)), ("alice", Some(4))]);
    assert_eq!((alice.number, status.next_number), (Some(4), Some(5)));
}

#[test]
fn a_plan_shows_its_seats() {
    let members = |count: i64| (0..count).map(|n| member(&format!("m{n}"), None, n)).collect::<Vec<_>>();
    for (seats, numbered, count, expected, message) in [
        (Some(2), false, 1, Room::Left, "the plan can be used"),
        (Some(2), false, 2, Room::Full, "the plan can be used; all of its 2 seats are taken"),
        (
            Some(2),
            true,
            3,
            Room::Overfull,
            "the plan can be used; it has 3 members and 2 seats: nobody loses a seat, and nobody new gets one",
        ),
        (None, false, 3, Room::Left, "the plan can be used"),
        (None, true, 1999, Room::Left, "the plan can be used"),
        (None, true, 2000, Room::Full, "the plan can be used; all of its 2000 seats are taken"),
    ] {
        let plan = plan("gold", seats, numbered, members(count));
        assert_eq!(room(&plan), expected, "{seats:?} {count}");
        let status = scrobble_plan::settle(&plan, true, 0, start());
        let ready = find_condition(&status.conditions, ConditionType::Ready).unwrap();
        assert_eq!((ready.status.as_str(), ready.message.as_str()), ("True", message));
        assert_eq!(i64::from(status.seats_taken), count);
        let numbers = status.members.iter().filter(|member| member.number.is_some()).count();
        assert_eq!(numbers, if numbered { status.members.len() } else { 0 });
        let again = ScrobblePlan { status: Some(status.clone()), ..plan };
        assert_eq!(scrobble_plan::settle(&again, true, 0, start() + seconds(60)), status, "nothing moves by itself");
    }
}

/// What one of several operators, or an administrator, does.
#[derive(Clone, Debug)]
enum Deed {
    /// An operator sees the plan as it is.
    Watch { operator: usize },
    /// An operator decides for an account on what it knows, and keeps the decision.
    Decide { operator: usize, account: usize },
    /// An operator writes its decision, if nobody wrote since; it may die before it knows.
    Write { operator: usize, dies: bool },
    /// An administrator removes an entry.
    Remove { place: usize },
    /// An administrator changes the spec.
    Change { seats: i32, numbered: bool },
}

fn deed() -> impl Strategy<Value = Deed> {
    let operator = 0..3_usize;
    prop_oneof![
        3 => operator.clone().prop_map(|operator| Deed::Watch { operator }),
        6 => (operator.clone(), 0..12_usize).prop_map(|(operator, account)| Deed::Decide { operator, account }),
        6 => (operator, any::<bool>()).prop_map(|(operator, dies)| Deed::Write { operator, dies }),
        1 => (0..12_usize).prop_map(|place| Deed::Remove { place }),
        1 => (1..8, any::<bool>()).prop_map(|(seats, numbered)| Deed::Change { seats, numbered }),
    ]
}

/// The plan as the cluster holds it.
struct Stored {
    plan: ScrobblePlan,
    version: u64,
}

#[derive(Clone)]
struct Operator {
    seen: (ScrobblePlan, u64),
    decided: Option<(ScrobblePlanStatus, u64)>,
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn random_operators_with_stale_copies_never_admit_one_too_many(
        deeds in proptest::collection::vec(deed(), 1..120), seats in 1..8_i32, numbered in any::<bool>(),
    ) {
        let mut stored = Stored { plan: plan("gold", Some(seats), numbered, vec![]), version: 1 };
        let fresh = Operator { seen: (stored.plan.clone(), 1), decided: None };
        let mut operators = vec![fresh; 3];
        let mut owners: std::collections::BTreeMap<i64, (String, Timestamp)> = std::collections::BTreeMap::new();
        for (second, deed) in deeds.into_iter().enumerate() {
            let now = start() + seconds(i64::try_from(second).unwrap());
            let before = stored.plan.clone();
            match deed {
                Deed::Watch { operator } => operators[operator].seen = (stored.plan.clone(), stored.version),
                Deed::Decide { operator, account } => {
                    let operator = &mut operators[operator];
                    let applicant = applicant(&format!("account-{account}"));
                    if let Admission::Admitted { status, .. } = admit(&operator.seen.0, &applicant, 0, now) {
                        operator.decided = Some((*status, operator.seen.1));
                    }
                }
                Deed::Write { operator, dies } => {
                    let operator = &mut operators[operator];
                    if let Some((status, version)) = operator.decided.take() && version == stored.version {
                        let grown = status.members.len() > seat::members(&before).len();
                        prop_assert!(!grown || room(&before) == Room::Left, "nobody gets in where nothing is left");
                        stored.plan.status = Some(status);
                        stored.version += 1;
                        if !dies {
                            operator.seen = (stored.plan.clone(), stored.version);
                        }
                    }
                }
                Deed::Remove { place } => {
                    let members = &mut stored.plan.status.as_mut().unwrap().members;
                    if place < members.len() {
                        members.remove(place);
                        stored.version += 1;
                    }
                }
                Deed::Change { seats, numbered } => {
                    stored.plan.spec.seats = Some(seats);
                    stored.plan.spec.numbered = numbered;
                    stored.version += 1;
                }
            }
            let names: std::collections::BTreeSet<_> =
                seat::members(&stored.plan).iter().map(|member| &member.name).collect();
            prop_assert_eq!(names.len(), seat::members(&stored.plan).len(), "one seat for each account");
            for member in seat::members(&stored.plan) {
                let known = seat::members(&before).iter().find(|known| known.name == member.name);
                if let Some(number) = known.and_then(|known| known.number) {
                    prop_assert_eq!(member.number, Some(number), "a number does not change");
                }
                if let Some(number) = member.number {
                    let owner = (member.name.clone(), member.granted_time.0);
                    prop_assert_eq!(owners.entry(number).or_insert_with(|| owner.clone()), &owner, "{}", number);
                }
            }
        }
    }
}
