use super::*;
use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{PlanMember, ScrobblePlanSpec, ScrobblePlanStatus};

fn plan(seats: i32, members: &[(&str, i64)]) -> ScrobblePlan {
    let mut plan = ScrobblePlan::new("gold", ScrobblePlanSpec { seats: Some(seats), ..ScrobblePlanSpec::default() });
    let members: Vec<PlanMember> = members
        .iter()
        .map(|(name, number)| PlanMember {
            namespace: "music".to_owned(),
            name: (*name).to_owned(),
            uid: None,
            number: Some(*number),
            granted_time: whole_seconds(Timestamp::UNIX_EPOCH),
        })
        .collect();
    let seats_taken = i32::try_from(members.len()).unwrap();
    plan.status = Some(ScrobblePlanStatus { seats_taken, members, ..ScrobblePlanStatus::default() });
    plan
}

#[test]
fn who_lost_a_seat_is_told_and_who_waits_where_there_are_seats_again() {
    for (what, before, after, expected) in [
        ("nothing", plan(2, &[("a", 1)]), plan(2, &[("a", 1)]), None),
        ("a seat was given", plan(3, &[("a", 1)]), plan(3, &[("a", 1), ("b", 2)]), None),
        ("the last one was", plan(2, &[("a", 1)]), plan(2, &[("a", 1), ("b", 2)]), Some((vec![], None))),
        (
            "one of a full plan went",
            plan(2, &[("a", 1), ("b", 2)]),
            plan(2, &[("b", 2)]),
            Some((vec!["a"], Some(vec!["b"]))),
        ),
        ("one of a plan with room went", plan(3, &[("a", 1), ("b", 2)]), plan(3, &[("b", 2)]), Some((vec!["a"], None))),
        ("one went and another came", plan(1, &[("a", 1)]), plan(1, &[("b", 2)]), Some((vec!["a"], None))),
        ("another number", plan(3, &[("a", 1)]), plan(3, &[("a", 7)]), Some((vec!["a"], None))),
        ("more seats", plan(1, &[("a", 1)]), plan(2, &[("a", 1)]), Some((vec![], Some(vec!["a"])))),
        ("fewer seats", plan(2, &[("a", 1), ("b", 2)]), plan(1, &[("a", 1), ("b", 2)]), Some((vec![], None))),
    ] {
        let mut members = Members::default();
        assert_eq!(members.notice(&before), None, "{what}: nothing is known before");
        let names = |names: Vec<&str>| -> Arc<BTreeSet<ObjectName>> {
            Arc::new(names.into_iter().map(|name| ObjectName::new("music", name)).collect())
        };
        let expected = expected.map(|(touched, seated): (Vec<&str>, Option<Vec<&str>>)| Change::Members {
            plan: "gold".to_owned(),
            touched: names(touched),
            seated: seated.map(names),
        });
        assert_eq!(members.notice(&after), expected, "{what}");
        assert_eq!(members.notice(&after), None, "{what}: told once");
    }
}

#[test]
fn a_count_that_is_not_that_of_the_members_is_told() {
    let mut miscounted = plan(3, &[("a", 1)]);
    miscounted.status.as_mut().unwrap().seats_taken = 2;
    let mut members = Members::default();
    members.notice(&plan(3, &[("a", 1)]));
    assert!(matches!(members.notice(&miscounted), Some(Change::Members { seated: None, .. })));
}
