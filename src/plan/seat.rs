//! Who one plan admits: first come, first served, never one more than there are seats, no number twice.
//!
//! Everything follows from the plan as it was read. What is decided here counts once it is written over that very
//! version; where somebody wrote in between, it is decided anew.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{PlanMember, ScrobblePlan, ScrobblePlanStatus, SpotifyAccount};
use crate::domain::name::ObjectName;

/// A plan holds no more members than this, whatever `seats` says: they are part of one object, whose size etcd bounds.
/// The schema says the same.
pub const MOST_MEMBERS: usize = 2000;

/// An account that wants a place in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Its namespace and name, to which a seat belongs for good.
    pub name: ObjectName,
    /// Its uid: another one once the account was deleted and created anew.
    pub uid: Option<String>,
}

impl Applicant {
    /// An account of this name.
    pub fn of(account: &SpotifyAccount, name: &ObjectName) -> Self {
        Self { name: name.clone(), uid: account.metadata.uid.clone() }
    }

    fn is(&self, member: &PlanMember) -> bool {
        member.name == self.name.name && member.namespace == self.name.namespace
    }
}

/// What a plan says to an applicant.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// The plan counts nobody: whoever may use it is admitted.
    Unneeded,
    /// The applicant has a seat.
    Member(PlanMember),
    /// The applicant has a seat once this status is written over the version that was decided on.
    Admitted {
        /// The plan's new status.
        status: Box<ScrobblePlanStatus>,
        /// The applicant's entry in it.
        member: PlanMember,
    },
    /// No seat is left.
    NoSeat,
}

/// How many seats are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Some, or the plan counts nobody.
    Left,
    /// None.
    Full,
    /// More members than seats: `seats` was lowered. Nobody loses a seat, and nobody new gets one.
    Overfull,
}

/// The members of a plan.
pub fn members(plan: &ScrobblePlan) -> &[PlanMember] {
    plan.status.as_ref().map_or(&[], |status| &status.members)
}

/// The seat of an applicant, if it has one.
pub fn member<'a>(plan: &'a ScrobblePlan, applicant: &Applicant) -> Option<&'a PlanMember> {
    members(plan).iter().find(|member| applicant.is(member))
}

/// How many seats a plan has left.
pub fn room(plan: &ScrobblePlan) -> Room {
    let Some(seats) = seats(plan) else { return Room::Left };
    match members(plan).len().cmp(&seats) {
        Ordering::Less => Room::Left,
        Ordering::Equal => Room::Full,
        Ordering::Greater => Room::Overfull,
    }
}

/// How many accounts a plan admits; none where it counts nobody, having neither seats nor numbers.
pub fn seats(plan: &ScrobblePlan) -> Option<usize> {
    match plan.spec.seats {
        Some(seats) => Some(usize::try_from(seats).unwrap_or_default().min(MOST_MEMBERS)),
        None => plan.spec.numbered.then_some(MOST_MEMBERS),
    }
}

/// What a plan says to an applicant.
///
/// `shown` is the highest number that accounts show as theirs in this plan: it counts where the plan does not say which
/// number is next.
pub fn admit(plan: &ScrobblePlan, applicant: &Applicant, shown: i64, now: Timestamp) -> Admission {
    let Some(known) = member(plan, applicant) else {
        return match (seats(plan), room(plan)) {
            (None, _) => Admission::Unneeded,
            (Some(_), Room::Left) => admitted(plan, applicant, shown, |status| {
                status.members.push(PlanMember {
                    namespace: applicant.name.namespace.clone(),
                    name: applicant.name.name.clone(),
                    uid: applicant.uid.clone(),
                    number: None,
                    granted_time: whole_seconds(now),
                });
            }),
            (Some(_), Room::Full | Room::Overfull) => Admission::NoSeat,
        };
    };
    if known.uid == applicant.uid && (known.number.is_some() || !plan.spec.numbered) {
        return Admission::Member(known.clone());
    }
    admitted(plan, applicant, shown, |status| {
        if let Some(known) = status.members.iter_mut().find(|member| applicant.is(member)) {
            known.uid.clone_from(&applicant.uid);
        }
    })
}

fn admitted(
    plan: &ScrobblePlan,
    applicant: &Applicant,
    shown: i64,
    change: impl FnOnce(&mut ScrobblePlanStatus),
) -> Admission {
    let mut status = plan.status.clone().unwrap_or_default();
    // Who came before has a number before.
    count(plan, &mut status, shown);
    change(&mut status);
    count(plan, &mut status, shown);
    match status.members.iter().find(|member| applicant.is(member)).cloned() {
        Some(member) => Admission::Admitted { status: Box::new(status), member },
        None => Admission::NoSeat,
    }
}

/// Counts the members of a status; in a numbered plan, those without a number get one, in the order of their seats.
///
/// The next number only grows: what somebody had is never given to anybody else, also where the entry is gone.
pub fn count(plan: &ScrobblePlan, status: &mut ScrobblePlanStatus, shown: i64) {
    status.seats_taken = i32::try_from(status.members.len()).unwrap_or(i32::MAX);
    if !plan.spec.numbered {
        return;
    }
    let given = status.members.iter().filter_map(|member| member.number).max().unwrap_or(0);
    let told = status.next_number.unwrap_or_else(|| shown.saturating_add(1));
    let mut next = told.max(given.saturating_add(1));
    let mut unnumbered: Vec<&mut PlanMember> =
        status.members.iter_mut().filter(|member| member.number.is_none()).collect();
    unnumbered.sort_by(|one, other| by_seniority(one).cmp(&by_seniority(other)));
    for member in unnumbered {
        member.number = Some(next);
        next = next.saturating_add(1);
    }
    // Who sees no account leaves it to whoever sees some: an operator may know a few namespaces only.
    if status.next_number.is_some() || next > 1 {
        status.next_number = Some(next);
    }
}

fn by_seniority(member: &PlanMember) -> (Timestamp, &str, &str) {
    (member.granted_time.0, &member.namespace, &member.name)
}

/// The highest number that accounts show as theirs in a plan: what is left to tell where a plan does not say which number
/// is next, as after its status was wiped, or it was deleted and created anew.
pub fn shown<'a>(plan: &str, accounts: impl IntoIterator<Item = &'a SpotifyAccount>) -> i64 {
    let number = |account: &SpotifyAccount| {
        let membership = account.status.as_ref()?.membership.as_ref()?;
        membership.number.filter(|_| membership.plan.as_deref() == Some(plan))
    };
    accounts.into_iter().filter_map(number).max().unwrap_or(0)
}
