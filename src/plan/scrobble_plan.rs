//! What a `ScrobblePlan` shows.

use jiff::Timestamp;

use super::app::ready;
use super::failure::Failure;
use super::problem::Problem;
use crate::api::v1alpha1::{ScrobblePlan, ScrobblePlanStatus};

/// The status of a plan, from whether the plan named in `fallback` exists.
pub fn settle(plan: &ScrobblePlan, fallback_exists: bool, now: Timestamp) -> ScrobblePlanStatus {
    let mut status = plan.status.clone().unwrap_or_default();
    let missing = plan.spec.fallback.as_ref().filter(|_| !fallback_exists).map(|name| {
        let message = format!("ScrobblePlan {name}, named in spec.fallback, does not exist: create it or name another");
        Problem::of(Failure::FallbackNotFound, message)
    });
    ready(&mut status.conditions, plan.metadata.generation, missing.as_ref(), "the plan can be used", now);
    status.observed_generation = plan.metadata.generation;
    status
}
