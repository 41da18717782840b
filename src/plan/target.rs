//! What a `ScrobbleTarget` shows, and the URL it stands for.

use jiff::Timestamp;
use url::Url;

use super::app::ready;
use super::failure::Failure;
use super::problem::Problem;
use super::step::SecretTrouble;
use super::target_standing::Standing;
use crate::api::condition::{ConditionType, Reason, find_condition, remove_condition, set_condition};
use crate::api::v1alpha1::{ScrobbleTarget, ScrobbleTargetStatus, TargetType};

/// The URL in use: the target's, or the service's own.
pub fn url(target: &ScrobbleTarget) -> Option<Url> {
    let service = target.spec.target_type.own_url();
    target.spec.url.as_deref().or(service).and_then(|url| Url::parse(url).ok())
}

/// The status of a target, from how its own Secrets were found, what is known of its service, and how many accounts refer
/// to it.
pub fn settle(
    target: &ScrobbleTarget,
    secrets: &Result<(), SecretTrouble>,
    standing: &Standing,
    accounts: i32,
    now: Timestamp,
) -> ScrobbleTargetStatus {
    let mut status = target.status.clone().unwrap_or_default();
    let url = url(target);
    let said = find_condition(&status.conditions, ConditionType::Ready)
        .is_some_and(|ready| ready.status == "False" && ready.reason == Reason::RateLimited.as_str());
    let service = standing.problem().or_else(|| standing.long_pause(said, now));
    let problem = match (secrets, &url) {
        (Err(SecretTrouble::Cluster), _) if service.is_some() => service,
        (Err(trouble), _) => Some(Problem::secret("the target's Secret", trouble)),
        (Ok(()), None) => Some(Problem::of(
            Failure::TargetUrlUnreadable,
            "spec.url cannot be read as a URL: write it as https://host/path".to_owned(),
        )),
        (Ok(()), Some(_)) => service,
    };
    let fine = match target.spec.target_type {
        TargetType::Maloja if accounts > 1 => {
            format!("the target can be used; {accounts} accounts deliver to this Maloja, which mixes their histories")
        }
        _ => "the target can be used".to_owned(),
    };
    let generation = target.metadata.generation;
    ready(&mut status.conditions, generation, problem.as_ref(), &fine, now);
    tell_circuit(&mut status, standing, generation, now);
    standing.write_to(&mut status, now);
    status.observed_generation = generation;
    status.url = url.map(String::from);
    status.accounts = accounts;
    status
}

/// Tells in a target what this process has learned since the target's status was written.
pub fn write_standing(target: &mut ScrobbleTarget, standing: &Standing, now: Timestamp) {
    let status = target.status.get_or_insert_default();
    if let Some(problem) = standing.problem() {
        ready(&mut status.conditions, status.observed_generation, Some(&problem), "", now);
    }
    let generation = status.observed_generation;
    tell_circuit(status, standing, generation, now);
    standing.write_to(status, now);
}

fn tell_circuit(status: &mut ScrobbleTargetStatus, standing: &Standing, generation: Option<i64>, now: Timestamp) {
    let conditions = &mut status.conditions;
    match &standing.trouble {
        Some(trouble) => {
            let (kind, reason) = (ConditionType::CircuitOpen, Reason::CircuitOpen);
            set_condition(conditions, kind, true.into(), reason, &trouble.message, generation, now);
        }
        None => {
            remove_condition(conditions, ConditionType::CircuitOpen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::observations::target;

    #[test]
    fn accounts_that_share_a_maloja_are_told_and_others_not() {
        for (kind, accounts, mixes) in [
            (TargetType::Maloja, 0, false),
            (TargetType::Maloja, 1, false),
            (TargetType::Maloja, 2, true),
            (TargetType::LastFm, 9, false),
        ] {
            let status =
                settle(&target("shared", kind), &Ok(()), &Standing::default(), accounts, Timestamp::UNIX_EPOCH);
            let ready = find_condition(&status.conditions, ConditionType::Ready).unwrap();
            assert_eq!(
                (ready.status.as_str(), ready.message.contains("mixes")),
                ("True", mixes),
                "{kind:?} {accounts}"
            );
        }
    }
}
