//! What a `SpotifyApp` shows.

use jiff::Timestamp;

use super::budget::Shortfall;
use super::client::{self, Standing};
use super::failure::{self, Failure};
use super::gate;
use super::notification;
use super::premium;
use super::problem::Problem;
use super::settle::Announcement;
use super::step::SecretTrouble;
use crate::api::condition::{ConditionType, Reason, find_condition, remove_condition, set_condition};
use crate::api::v1alpha1::{BreakerState, SpotifyApp, SpotifyAppStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The status of an app, from how its client secret was found, what Spotify says about it, how many accounts refer to the
/// app, and what its call budget cannot give.
pub fn settle(
    app: &SpotifyApp,
    secret: &Result<(), SecretTrouble>,
    standing: &Standing,
    accounts: i32,
    shortfall: Option<&Shortfall>,
    now: Timestamp,
) -> SpotifyAppStatus {
    let mut status = app.status.clone().unwrap_or_default();
    let refused = standing.refused.as_ref().map(|_| client::problem_of_app(app));
    let problem = match (secret, refused) {
        (Ok(()) | Err(SecretTrouble::Cluster), Some(refused)) => Some(refused),
        // What a human must mend comes before what passes by itself.
        (Ok(()), None) => premium::problem(standing)
            .or_else(|| notification::problem(app))
            .or_else(|| gate::problem_of_app(standing, now))
            .or_else(|| shortfall.map(short_of_calls)),
        (Err(trouble), _) => Some(Problem::secret("the client secret, Secret", trouble)),
    };
    let generation = app.metadata.generation;
    ready(&mut status.conditions, generation, problem.as_ref(), "the app can be used", now);
    if standing.breaker.as_ref().is_some_and(|breaker| breaker.state != BreakerState::Closed) {
        let message =
            "nothing is sent for the app's accounts: one request probes at status.circuitBreaker.nextProbeTime";
        let (kind, reason) = (ConditionType::CircuitOpen, Reason::CircuitOpen);
        set_condition(&mut status.conditions, kind, true.into(), reason, message, generation, now);
    } else {
        remove_condition(&mut status.conditions, ConditionType::CircuitOpen);
    }
    Standing { gates: standing.gates.lifted(now), ..standing.clone() }.write_to(&mut status);
    status.observed_generation = generation;
    status.accounts = accounts;
    status
}

/// The app cannot make the calls that its accounts wish for, or need.
fn short_of_calls(shortfall: &Shortfall) -> Problem {
    let failure = if shortfall.loses() { Failure::BudgetLosing } else { Failure::BudgetShort };
    Problem::of(failure, shortfall.message())
}

/// What changed between the conditions of two statuses of an app or a target that people should hear of.
pub fn announcement(before: &[Condition], after: &[Condition]) -> Option<Announcement> {
    let now = find_condition(after, ConditionType::Ready)?;
    let known = find_condition(before, ConditionType::Ready);
    let fails = now.status == "False";
    // A wait that somebody asked for is no trouble.
    let warning = fails && Reason::from_name(&now.reason).is_none_or(failure::warns);
    let changed = known.map_or(fails, |known| known.status != now.status || known.reason != now.reason);
    changed.then(|| Announcement { warning, reason: now.reason.clone(), note: now.message.clone() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_was_asked_for_is_told_without_a_warning() {
        let now = Timestamp::UNIX_EPOCH;
        let mut before = Vec::new();
        ready(&mut before, None, None, "the app can be used", now);
        for (failure, warns) in
            [(Failure::ApiLimited, false), (Failure::QuotaExceeded, true), (Failure::ClientRefused, true)]
        {
            let mut after = before.clone();
            ready(&mut after, None, Some(&Problem::of(failure, "why".to_owned())), "", now);
            let told = announcement(&before, &after).unwrap();
            assert_eq!((told.warning, told.reason.as_str()), (warns, failure.facts().reason.as_str()));
            assert!(!announcement(&after, &before).unwrap().warning);
            assert_eq!(announcement(&after, &after), None);
        }
    }
}
