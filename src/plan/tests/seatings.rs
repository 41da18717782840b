//! Which plan is in force for an account.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::accounts::{AccountSentence, account, minutes, start};
use super::observations::around;
use super::seats::{applicant, member, plan};
use super::world::{Deed, World};
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{
    GoDuration, MembershipStatus, PlanNamespaces, PlanNamespacesFrom, ScrobblePlan, SpotifyAccount,
};
use crate::plan::pace::Bounds;
use crate::plan::seating::{InForce, LONGEST_CHAIN, Place, Seating, place};
use crate::plan::{Lookup, Observed, problem};

/// The plans of a cluster.
#[derive(Default)]
struct Plans(BTreeMap<String, ScrobblePlan>);

impl Plans {
    fn with(mut self, plan: ScrobblePlan, fallback: Option<&str>) -> Self {
        let mut plan = plan;
        plan.spec.fallback = fallback.map(ToOwned::to_owned);
        self.0.insert(plan.metadata.name.clone().unwrap(), plan);
        self
    }

    fn of(&self, account: &SpotifyAccount) -> Place {
        let find = |name: &str| match self.0.get(name) {
            Some(plan) => Lookup::Found(Arc::new(plan.clone())),
            None => Lookup::Missing,
        };
        place(account, &applicant("alice"), Some(&BTreeMap::new()), &find, start())
    }
}

fn asking(name: &str) -> SpotifyAccount {
    let mut account = account();
    account.spec.plan = Some(name.to_owned());
    account
}

/// A plan of one seat, which somebody else has.
fn full(name: &str) -> ScrobblePlan {
    plan(name, Some(1), true, vec![member("bob", Some(1), 0)])
}

fn open(name: &str) -> ScrobblePlan {
    plan(name, None, false, vec![])
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn no_seat(names: &[&str], missing: Option<&str>) -> Place {
    Place::Known(Seating::NoSeat { full: words(names), missing: missing.map(ToOwned::to_owned) })
}

/// The plan in force and those before it.
fn in_force(place: &Place) -> (&str, Vec<&str>) {
    let Place::Known(Seating::InForce(found)) = place else { panic!("{place:?}") };
    (&found.plan, found.full.iter().map(String::as_str).collect())
}

#[test]
fn the_plan_that_is_named_comes_first() {
    let gold = || plan("gold", Some(2), true, vec![member("bob", Some(1), 0)]);
    assert_eq!(Plans::default().of(&account()), Place::Known(Seating::Unplanned));
    assert_eq!(Plans::default().of(&asking("gold")), Place::Known(Seating::Refused { plan: "gold".to_owned() }));
    assert_eq!(Plans::default().with(gold(), None).of(&asking("gold")), Place::Ask("gold".to_owned()));
    assert_eq!(Plans::default().with(gold(), Some("free")).of(&asking("gold")), Place::Ask("gold".to_owned()));
    assert_eq!(in_force(&Plans::default().with(open("free"), None).of(&asking("free"))), ("free", vec![]));
    let mut held = full("gold");
    held.status.as_mut().unwrap().members.push(member("alice", Some(7), 5));
    held.spec.min_interval = GoDuration::from_mins(9);
    let place = Plans::default().with(held, Some("nowhere")).of(&asking("gold"));
    let expected = InForce {
        plan: "gold".to_owned(),
        min_interval: minutes(9),
        number: Some(7),
        granted_time: Some(start() + super::accounts::seconds(5)),
        full: vec![],
    };
    assert_eq!(place, Place::Known(Seating::InForce(expected)));
}

#[test]
fn fallbacks_are_followed_once_each() {
    let alice = asking("gold");
    let plans = || Plans::default().with(full("gold"), Some("silver"));
    assert_eq!(Plans::default().with(full("gold"), None).of(&alice), no_seat(&["gold"], None));
    assert_eq!(plans().of(&alice), no_seat(&["gold"], Some("silver")), "it does not exist");
    assert_eq!(in_force(&plans().with(open("silver"), None).of(&alice)), ("silver", vec!["gold"]));
    assert_eq!(plans().with(plan("silver", Some(1), false, vec![]), None).of(&alice), Place::Ask("silver".to_owned()));
    assert_eq!(plans().with(full("silver"), None).of(&alice), no_seat(&["gold", "silver"], None));
    let chain = plans().with(full("silver"), Some("free")).with(open("free"), None);
    assert_eq!(in_force(&chain.of(&alice)), ("free", vec!["gold", "silver"]));
    let circle = plans().with(full("silver"), Some("gold"));
    assert_eq!(circle.of(&alice), no_seat(&["gold", "silver"], None), "each is asked once");
    let mut hidden = open("silver");
    hidden.spec.allowed_namespaces = PlanNamespaces { from: PlanNamespacesFrom::Selector, selector: None };
    assert_eq!(plans().with(hidden, None).of(&alice), no_seat(&["gold"], Some("silver")), "it is not shared");
}

#[test]
fn a_chain_without_end_is_cut() {
    let mut plans = Plans::default();
    for number in 0..20 {
        plans = plans.with(full(&format!("plan-{number}")), Some(&format!("plan-{}", number + 1)));
    }
    let Place::Known(Seating::NoSeat { full, missing: None }) = plans.of(&asking("plan-0")) else { panic!() };
    assert_eq!(full.len(), LONGEST_CHAIN);
}

#[test]
fn a_suspended_account_asks_for_nothing_and_loses_nothing() {
    let alice = asking("gold").suspended();
    let of = |plan: ScrobblePlan| Plans::default().with(plan, None).of(&alice);
    assert_eq!(of(plan("gold", Some(1), true, vec![])), Place::Known(Seating::Unasked));
    assert_eq!(of(full("gold")), no_seat(&["gold"], None));
    let mut known = member("alice", None, 0);
    assert_eq!(in_force(&of(plan("gold", Some(1), true, vec![known.clone()]))), ("gold", vec![]));
    known.uid = Some("an older one".to_owned());
    assert_eq!(in_force(&of(plan("gold", Some(1), false, vec![known]))), ("gold", vec![]));
}

#[test]
fn the_plan_in_force_bounds_the_interval() {
    let mut world = World::of(asking("gold"));
    let bounds = |world: &World| Bounds::of(&world.account, &world.surroundings).shortest;
    assert_eq!(bounds(&world), minutes(5));
    world.surroundings.seating = seated("free", None, &["gold"]);
    assert_eq!(bounds(&world), minutes(7));
    world.surroundings.settings.minimum_interval = minutes(11);
    assert_eq!(bounds(&world), minutes(11), "the operator's own bound holds for all plans");
}

/// A plan is in force, with seats if there is a number.
fn seated(name: &str, number: Option<i64>, full: &[&str]) -> Seating {
    Seating::InForce(InForce {
        plan: name.to_owned(),
        min_interval: minutes(7),
        number,
        granted_time: number.map(|_| start()),
        full: words(full),
    })
}

fn membership(name: &str, number: Option<i64>) -> Option<MembershipStatus> {
    let granted_time = number.map(|_| crate::api::condition::whole_seconds(start()));
    Some(MembershipStatus { plan: Some(name.to_owned()), number, granted_time })
}

/// What was said of seats since this was asked last.
fn said(world: &mut World) -> Vec<(bool, String, String)> {
    let said = std::mem::take(&mut world.said);
    let is_about_seats = |reason: &str| ["NoSeatLeft", "SeatGranted"].contains(&reason);
    said.into_iter()
        .filter(|said| is_about_seats(&said.reason))
        .map(|said| (said.warning, said.reason, said.note))
        .collect()
}

#[test]
fn without_a_seat_nothing_is_asked_until_there_is_one() {
    let mut world = World::of(asking("gold"));
    world.surroundings.seating = Seating::NoSeat { full: words(&["gold"]), missing: None };
    world.run_for(super::accounts::hours(5));
    assert_eq!(world.count(|_| true), 0, "nobody is asked anything");
    let status = world.status();
    assert_eq!(status.membership, None);
    for (kind, shown) in [
        (ConditionType::Ready, Some(("False", "NoSeatLeft"))),
        (ConditionType::Stalled, Some(("True", "NoSeatLeft"))),
        (ConditionType::Synced, Some(("False", "NoSeatLeft"))),
        (ConditionType::Authorized, Some(("Unknown", "Progressing"))),
        (ConditionType::Reconciling, None),
    ] {
        let found = find_condition(&status.conditions, kind);
        assert_eq!(found.map(|found| (found.status.as_str(), found.reason.as_str())), shown, "{kind:?}");
    }
    let ready = find_condition(&status.conditions, ConditionType::Ready).unwrap();
    assert!(ready.message.starts_with("no seat is left in ScrobblePlan gold: raise spec.seats"), "{}", ready.message);
    assert_eq!(said(&mut world), [(true, "NoSeatLeft".to_owned(), ready.message.clone())], "said once");
    let writes = world.writes;
    world.restart_after(minutes(5));
    world.run_for(minutes(30));
    assert_eq!((world.writes, said(&mut world)), (writes, vec![]), "a restart neither writes nor says anything");

    world.surroundings.seating = seated("gold", Some(3), &[]);
    world.pass();
    assert_eq!(world.count(|deed| *deed == Deed::Read), 1, "it is read at once");
    assert_eq!(world.status().membership, membership("gold", Some(3)));
    let granted = "the account has a seat in ScrobblePlan gold, number 3".to_owned();
    assert_eq!(said(&mut world), [(false, "SeatGranted".to_owned(), granted)]);
    assert!(find_condition(&world.status().conditions, ConditionType::Stalled).is_none());
}

#[test]
fn a_fallback_is_told_once_and_so_is_the_seat_that_comes_later() {
    let mut world = World::of(asking("gold"));
    world.surroundings.seating = seated("free", None, &["gold", "silver"]);
    world.run_for(super::accounts::hours(2));
    assert_eq!(world.status().membership, membership("free", None));
    let told =
        "no seat is left in ScrobblePlan gold, nor in what it falls back to (silver): ScrobblePlan free is in force";
    assert_eq!(said(&mut world), [(true, "NoSeatLeft".to_owned(), told.to_owned())]);
    let ready = world.status();
    let ready = find_condition(&ready.conditions, ConditionType::Ready).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "Succeeded"), "plays flow");

    world.surroundings.seating = seated("gold", Some(1), &[]);
    world.run_for(super::accounts::hours(2));
    assert_eq!(world.status().membership, membership("gold", Some(1)));
    let granted = "the account has a seat in ScrobblePlan gold, number 1".to_owned();
    assert_eq!(said(&mut world), [(false, "SeatGranted".to_owned(), granted)]);

    // The plan goes, and its number is remembered; the account names no plan any more, and nothing is in force.
    world.surroundings.seating = Seating::Refused { plan: "gold".to_owned() };
    world.pass();
    assert_eq!(world.status().membership, membership("gold", Some(1)));
    world.surroundings.seating = Seating::Unplanned;
    world.pass();
    assert_eq!(world.status().membership, None);
    assert_eq!(said(&mut world), []);
}

#[test]
fn where_nobody_has_a_seat_the_message_says_what_to_do() {
    for (full, missing, expected) in [
        (vec!["gold"], None, "no seat is left in ScrobblePlan gold: raise"),
        (
            vec!["gold", "free"],
            None,
            "no seat is left in ScrobblePlan gold, nor in what it falls back to (free): raise",
        ),
        (
            vec!["gold"],
            Some("free"),
            "no seat is left in ScrobblePlan gold, and its fallback free does not exist or is not shared with this namespace: raise",
        ),
    ] {
        let seating = Seating::NoSeat { full: words(&full), missing: missing.map(ToOwned::to_owned) };
        let account = asking("gold");
        let observed = Observed { seating, ..around(&account) };
        let problem = problem::blocking(&account, &observed).unwrap();
        assert_eq!(problem.reason, Reason::NoSeatLeft);
        assert!(problem.message.starts_with(expected), "{}", problem.message);
        assert!(problem.stalled && !problem.attempted);
    }
}
