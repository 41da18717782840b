//! What a `SpotifyApp` shows.

use jiff::Timestamp;

use super::problem::Problem;
use super::step::SecretTrouble;
use crate::api::condition::{ConditionType, Reason, remove_condition, set_condition};
use crate::api::v1alpha1::{SpotifyApp, SpotifyAppStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The status of an app, from how its client secret was found and how many accounts refer to it.
pub fn settle(app: &SpotifyApp, secret: &Result<(), SecretTrouble>, accounts: i32, now: Timestamp) -> SpotifyAppStatus {
    let mut status = app.status.clone().unwrap_or_default();
    let problem = secret.as_ref().err().map(|trouble| Problem::secret("the client secret, Secret", trouble));
    ready(&mut status.conditions, app.metadata.generation, problem.as_ref(), "the app can be used", now);
    status.observed_generation = app.metadata.generation;
    status.accounts = accounts;
    status
}

/// `Ready`, and `Stalled` while a human must act: for the kinds that only describe something.
pub(super) fn ready(
    conditions: &mut Vec<Condition>,
    generation: Option<i64>,
    problem: Option<&Problem>,
    fine: &str,
    now: Timestamp,
) {
    match problem {
        None => {
            set_condition(conditions, ConditionType::Ready, true.into(), Reason::Succeeded, fine, generation, now);
            remove_condition(conditions, ConditionType::Stalled);
        }
        Some(problem) => {
            let (reason, message) = (problem.reason, problem.message.as_str());
            set_condition(conditions, ConditionType::Ready, false.into(), reason, message, generation, now);
            if problem.stalled {
                set_condition(conditions, ConditionType::Stalled, true.into(), reason, message, generation, now);
            } else {
                remove_condition(conditions, ConditionType::Stalled);
            }
        }
    }
}
