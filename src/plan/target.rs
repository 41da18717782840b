//! What a `ScrobbleTarget` shows, and the URL it stands for.

use jiff::Timestamp;
use url::Url;

use super::app::ready;
use super::failure::Failure;
use super::problem::Problem;
use super::step::SecretTrouble;
use crate::api::v1alpha1::{ScrobbleTarget, ScrobbleTargetStatus, TargetType};

/// The URL in use: the target's, or the service's own.
pub fn url(target: &ScrobbleTarget) -> Option<Url> {
    let service = target.spec.target_type.own_url();
    target.spec.url.as_deref().or(service).and_then(|url| Url::parse(url).ok())
}

/// The status of a target, from how its own Secrets were found and how many accounts refer to it.
pub fn settle(
    target: &ScrobbleTarget,
    secrets: &Result<(), SecretTrouble>,
    accounts: i32,
    now: Timestamp,
) -> ScrobbleTargetStatus {
    let mut status = target.status.clone().unwrap_or_default();
    let url = url(target);
    let problem = match (secrets, &url) {
        (Err(trouble), _) => Some(Problem::secret("the target's Secret", trouble)),
        (Ok(()), None) => Some(Problem::of(
            Failure::TargetUrlUnreadable,
            "spec.url cannot be read as a URL: write it as https://host/path".to_owned(),
        )),
        (Ok(()), Some(_)) => None,
    };
    let fine = match target.spec.target_type {
        TargetType::Maloja if accounts > 1 => {
            format!("the target can be used; {accounts} accounts deliver to this Maloja, which mixes their histories")
        }
        _ => "the target can be used".to_owned(),
    };
    ready(&mut status.conditions, target.metadata.generation, problem.as_ref(), &fine, now);
    status.observed_generation = target.metadata.generation;
    status.url = url.map(String::from);
    status.accounts = accounts;
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::{ConditionType, find_condition};
    use crate::plan::tests::observations::target;

    #[test]
    fn accounts_that_share_a_maloja_are_told_and_others_not() {
        for (kind, accounts, mixes) in [
            (TargetType::Maloja, 0, false),
            (TargetType::Maloja, 1, false),
            (TargetType::Maloja, 2, true),
            (TargetType::LastFm, 9, false),
        ] {
            let status = settle(&target("shared", kind), &Ok(()), accounts, Timestamp::UNIX_EPOCH);
            let ready = find_condition(&status.conditions, ConditionType::Ready).unwrap();
            assert_eq!(
                (ready.status.as_str(), ready.message.contains("mixes")),
                ("True", mixes),
                "{kind:?} {accounts}"
            );
        }
    }
}
