//! What a `ScrobblePlan` shows.

use jiff::Timestamp;

use super::app::ready;
use super::failure::Failure;
use super::problem::Problem;
use super::seat::{self, Room};
use crate::api::v1alpha1::{ScrobblePlan, ScrobblePlanStatus};

/// The status of a plan, from whether the plan named in `fallback` exists, and the highest number that accounts show as
/// theirs in it.
pub fn settle(plan: &ScrobblePlan, fallback_exists: bool, shown: i64, now: Timestamp) -> ScrobblePlanStatus {
    let mut status = plan.status.clone().unwrap_or_default();
    let missing = plan.spec.fallback.as_ref().filter(|_| !fallback_exists).map(|name| {
        let message = format!("ScrobblePlan {name}, named in spec.fallback, does not exist: create it or name another");
        Problem::of(Failure::FallbackNotFound, message)
    });
    seat::count(plan, &mut status, shown);
    ready(&mut status.conditions, plan.metadata.generation, missing.as_ref(), &fine(plan), now);
    status.observed_generation = plan.metadata.generation;
    status
}

/// What `Ready` says of a plan that can be used.
fn fine(plan: &ScrobblePlan) -> String {
    let (taken, seats) = (seat::members(plan).len(), seat::seats(plan).unwrap_or_default());
    match seat::room(plan) {
        Room::Left => "the plan can be used".to_owned(),
        Room::Full => format!("the plan can be used; all of its {seats} seats are taken"),
        Room::Overfull => format!(
            "the plan can be used; it has {taken} members and {seats} seats: nobody loses a seat, and nobody new gets one"
        ),
    }
}
