//! Which plan is in force for an account: the one it names, or, where that has no seat left, what it falls back to.
//!
//! Fallbacks are followed, for at most [`LONGEST_CHAIN`] plans and each plan once: plans may well fall back to one
//! another. A plan in between that is missing or not shared with the namespace ends the chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::failure::Failure;
use super::observed::{Lookup, Observed};
use super::problem::Problem;
use super::reference;
use super::seat::{self, Admission, Applicant};
use super::settle::Announcement;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{MembershipStatus, PlanMember, ScrobblePlan, SpotifyAccount, SpotifyAccountStatus};

/// So many plans are asked for one account.
pub const LONGEST_CHAIN: usize = 8;

/// Word of the Event that tells of a seat.
const SEAT_GRANTED: &str = "SeatGranted";

/// An account's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Seating {
    /// It names no plan.
    #[default]
    Unplanned,
    /// The plan that it names does not exist or is not shared with its namespace.
    Refused {
        /// The plan.
        plan: String,
    },
    /// It is suspended and has no seat: it asks for one when it is resumed.
    Unasked,
    /// A plan is in force.
    InForce(InForce),
    /// There is no seat, neither in the plan that it names nor in those that it falls back to.
    NoSeat {
        /// The plans without a seat, the one that the account names first.
        full: Vec<String>,
        /// The fallback that ended the search: it does not exist or is not shared with the namespace.
        missing: Option<String>,
    },
}

/// The plan in force.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// Its name.
    pub plan: String,
    /// Its shortest time between two reads.
    pub min_interval: SignedDuration,
    /// The account's number in it, if it has one.
    pub number: Option<i64>,
    /// When the account's seat was granted; none where the plan counts nobody.
    pub granted_time: Option<Timestamp>,
    /// The plans before it that have no seat left, the one that the account names first.
    pub full: Vec<String>,
}

/// What is known of an account's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// All there is to know.
    Known(Seating),
    /// This plan has a seat left for the account, which is to be written down.
    Ask(String),
}

/// An account's place in the plans as they are known. `labels` are those of its namespace.
pub fn place(
    account: &SpotifyAccount,
    applicant: &Applicant,
    labels: Option<&BTreeMap<String, String>>,
    plans: &dyn Fn(&str) -> Lookup<ScrobblePlan>,
    now: Timestamp,
) -> Place {
    let Some(asked) = &account.spec.plan else { return Place::Known(Seating::Unplanned) };
    let mut full: Vec<String> = Vec::new();
    let mut name = asked.clone();
    loop {
        let lookup = plans(&name);
        let Some(plan) = reference::shared_plan(&lookup, labels) else {
            return Place::Known(if full.is_empty() {
                Seating::Refused { plan: name }
            } else {
                Seating::NoSeat { full, missing: Some(name) }
            });
        };
        // Which number it would be is for whoever writes it down.
        let member = match seat::admit(plan, applicant, 0, now) {
            Admission::Unneeded => return Place::Known(in_force(name, plan, None, full)),
            Admission::Member(member) => return Place::Known(in_force(name, plan, Some(&member), full)),
            Admission::Admitted { .. } if !account.spec.suspend => return Place::Ask(name),
            Admission::Admitted { .. } => match seat::member(plan, applicant) {
                None => return Place::Known(Seating::Unasked),
                member => member,
            },
            Admission::NoSeat => None,
        };
        if member.is_some() {
            return Place::Known(in_force(name, plan, member, full));
        }
        full.push(name);
        name = match &plan.spec.fallback {
            Some(next) if full.len() < LONGEST_CHAIN && !full.contains(next) => next.clone(),
            _ => return Place::Known(Seating::NoSeat { full, missing: None }),
        };
    }
}

/// An account's place as its status tells it, for whoever does not read plans; none where it has none yet.
pub fn recorded(account: &SpotifyAccount) -> Option<Seating> {
    let Some(asked) = &account.spec.plan else { return Some(Seating::Unplanned) };
    let status = account.status.as_ref()?;
    if let Some(MembershipStatus { plan: Some(plan), number, granted_time }) = &status.membership {
        return Some(Seating::InForce(InForce {
            plan: plan.clone(),
            min_interval: SignedDuration::ZERO,
            number: *number,
            granted_time: granted_time.as_ref().map(|time| time.0),
            full: Vec::new(),
        }));
    }
    if account.spec.suspend {
        return Some(Seating::Unasked);
    }
    let ready = find_condition(&status.conditions, ConditionType::Ready)?;
    (Reason::from_name(&ready.reason) == Some(Reason::NoSeatLeft))
        .then(|| Seating::NoSeat { full: vec![asked.clone()], missing: None })
}

fn in_force(name: String, plan: &Arc<ScrobblePlan>, member: Option<&PlanMember>, full: Vec<String>) -> Seating {
    Seating::InForce(InForce {
        plan: name,
        min_interval: plan.spec.min_interval.duration(),
        number: member.and_then(|member| member.number),
        granted_time: member.map(|member| member.granted_time.0),
        full,
    })
}

impl Seating {
    /// The plan in force, if there is one.
    pub fn in_force(&self) -> Option<&InForce> {
        match self {
            Self::InForce(in_force) => Some(in_force),
            _ => None,
        }
    }

    /// What keeps the account from being read.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::Refused { plan } => Some(reference::plan_not_allowed(plan)),
            Self::NoSeat { full, missing } => {
                let remedy = "raise spec.seats, name a plan with room in spec.fallback, or remove a member that needs its seat no more from status.members";
                let left = no_seat_is_left(full);
                let message = match missing {
                    None => format!("{left}: {remedy}"),
                    Some(missing) => format!(
                        "{left}, and its fallback {missing} does not exist or is not shared with this namespace: {remedy}"
                    ),
                };
                Some(Problem::of(Failure::NoSeatLeft, message))
            }
            Self::Unplanned | Self::Unasked | Self::InForce(_) => None,
        }
    }
}

fn no_seat_is_left(full: &[String]) -> String {
    match full {
        [first, fallbacks @ ..] if !fallbacks.is_empty() => {
            format!("no seat is left in ScrobblePlan {first}, nor in what it falls back to ({})", fallbacks.join(", "))
        }
        [first, ..] => format!("no seat is left in ScrobblePlan {first}"),
        [] => "no seat is left".to_owned(),
    }
}

/// Writes the place into an account's status. While the plan that it names cannot be used, its number in it stays: it is
/// what is left to tell which numbers were given, should the plan come back without its status.
pub(super) fn settle(status: &mut SpotifyAccountStatus, observed: &Observed) {
    status.membership = match &observed.seating {
        Seating::Refused { plan } => {
            status.membership.take().filter(|known| known.plan.as_ref() == Some(plan) && known.number.is_some())
        }
        Seating::Unplanned | Seating::Unasked | Seating::NoSeat { .. } => None,
        Seating::InForce(in_force) => Some(MembershipStatus {
            plan: Some(in_force.plan.clone()),
            number: in_force.number,
            granted_time: in_force.granted_time.map(crate::api::condition::whole_seconds),
        }),
    };
}

/// What people should hear of a change of the place: a seat, or that a fallback is in force instead. That there is none at
/// all is told by `Ready`.
pub(super) fn announcements(
    before: &SpotifyAccountStatus,
    after: &SpotifyAccountStatus,
    observed: &Observed,
) -> Vec<Announcement> {
    let Some(in_force) = observed.seating.in_force() else { return Vec::new() };
    let known = before.membership.clone().unwrap_or_default();
    let shown = after.membership.clone().unwrap_or_default();
    let mut announcements = Vec::new();
    let name = &in_force.plan;
    if known.plan != shown.plan && !in_force.full.is_empty() {
        announcements.push(Announcement {
            warning: true,
            reason: Reason::NoSeatLeft.as_str().to_owned(),
            note: format!("{}: ScrobblePlan {name} is in force", no_seat_is_left(&in_force.full)),
        });
    }
    if known != shown && in_force.granted_time.is_some() {
        let number = in_force.number.map_or_else(String::new, |number| format!(", number {number}"));
        announcements.push(Announcement {
            warning: false,
            reason: SEAT_GRANTED.to_owned(),
            note: format!("the account has a seat in ScrobblePlan {name}{number}"),
        });
    }
    announcements
}
