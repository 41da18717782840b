//! Accounts for tests, built so that a test reads as a sentence.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::condition::{ConditionType, Reason, find_condition, set_condition, whole_seconds};
use crate::api::v1alpha1::{
    AccountTarget, AuthorizationStatus, CredentialsReference, FailureStatus, GoDuration, NamespacedReference,
    SecretReference, SpotifyAccount, SpotifyAccountSpec, SpotifyAccountStatus, SyncStatus, TargetState,
};
use crate::api::{RECONCILE_REQUESTED_AT, RETRY_QUARANTINED_AT};

pub(super) const NAMESPACE: &str = "music";
pub(super) const LISTENER: &str = "listener-1";
pub(super) const AUTHORIZATION: &str = "authorization-1";

/// When tests begin.
pub(super) fn start() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

pub(super) fn minutes(number: i64) -> SignedDuration {
    SignedDuration::from_mins(number)
}

pub(super) fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

pub(super) fn hours(number: i64) -> SignedDuration {
    SignedDuration::from_hours(number)
}

/// A new account without targets.
pub(in crate::plan) fn account() -> SpotifyAccount {
    let mut account = SpotifyAccount::new("alice", SpotifyAccountSpec::default());
    account.metadata.namespace = Some(NAMESPACE.to_owned());
    account.metadata.uid = Some("0b9f3c9e-0000-4000-8000-000000000001".to_owned());
    account.metadata.generation = Some(1);
    account.spec.app_ref = NamespacedReference { name: "main".to_owned(), namespace: None };
    account.spec.token_secret_ref = SecretReference { name: "alice-spotify".to_owned() };
    account
}

/// What a test says about an account.
pub(super) trait AccountSentence: Sized {
    fn with_target(self, name: &str) -> Self;
    fn with_hook(self, name: &str) -> Self;
    fn without_target(self, name: &str) -> Self;
    fn reading_every(self, interval: SignedDuration) -> Self;
    fn starting_at(self, time: Timestamp) -> Self;
    fn with_target_starting_at(self, name: &str, time: Timestamp) -> Self;
    fn suspended(self) -> Self;
    fn requesting(self, value: &str) -> Self;
    fn retrying(self, value: &str) -> Self;
    fn edited(self) -> Self;
    fn ready_since(self, time: Timestamp) -> Self;
    fn stalled_by(self, reason: Reason, condition: ConditionType) -> Self;
    fn trying_again_at(self, reason: Reason, time: Timestamp) -> Self;
    fn with_target_state(self, name: &str, state: TargetState, reason: Reason) -> Self;
    fn with_status(self, change: impl FnOnce(&mut SpotifyAccountStatus)) -> Self;
    fn status(&self) -> SpotifyAccountStatus;
}

fn entry(name: &str, credentials: bool) -> AccountTarget {
    AccountTarget {
        name: name.to_owned(),
        target_ref: NamespacedReference { name: name.to_owned(), namespace: None },
        credentials_ref: credentials.then(|| CredentialsReference { name: format!("alice-{name}"), key: None }),
        start_time: None,
    }
}

impl AccountSentence for SpotifyAccount {
    fn with_target(mut self, name: &str) -> Self {
        self.spec.targets.push(entry(name, true));
        self
    }

    fn with_hook(mut self, name: &str) -> Self {
        self.spec.targets.push(entry(name, false));
        self
    }

    fn without_target(mut self, name: &str) -> Self {
        self.spec.targets.retain(|target| target.name != name);
        self
    }

    fn reading_every(mut self, interval: SignedDuration) -> Self {
        self.spec.sync.interval = GoDuration::from(interval);
        self
    }

    fn starting_at(mut self, time: Timestamp) -> Self {
        self.spec.sync.start_time = Some(Time(time));
        self
    }

    fn with_target_starting_at(mut self, name: &str, time: Timestamp) -> Self {
        let target = self.spec.targets.iter_mut().find(|target| target.name == name).unwrap();
        target.start_time = Some(Time(time));
        self
    }

    fn suspended(mut self) -> Self {
        self.spec.suspend = true;
        self
    }

    fn requesting(mut self, value: &str) -> Self {
        let annotations = self.metadata.annotations.get_or_insert_default();
        annotations.insert(RECONCILE_REQUESTED_AT.to_owned(), value.to_owned());
        self
    }

    fn retrying(mut self, value: &str) -> Self {
        let annotations = self.metadata.annotations.get_or_insert_default();
        annotations.insert(RETRY_QUARANTINED_AT.to_owned(), value.to_owned());
        self
    }

    fn edited(mut self) -> Self {
        self.metadata.generation = self.metadata.generation.map(|generation| generation + 1);
        self
    }

    fn ready_since(self, time: Timestamp) -> Self {
        let generation = self.metadata.generation;
        self.with_status(|status| {
            for kind in [ConditionType::Ready, ConditionType::Authorized, ConditionType::Synced] {
                set_condition(&mut status.conditions, kind, true.into(), Reason::Succeeded, "", generation, time);
            }
            status.observed_generation = generation;
            status.sync = Some(SyncStatus { last_sync_time: Some(whole_seconds(time)), ..SyncStatus::default() });
            status.authorization = Some(AuthorizationStatus {
                authorization_id: Some(AUTHORIZATION.to_owned()),
                spotify_account_id: Some(LISTENER.to_owned()),
                ..AuthorizationStatus::default()
            });
        })
    }

    fn stalled_by(self, reason: Reason, condition: ConditionType) -> Self {
        let generation = self.metadata.generation;
        self.with_status(|status| {
            let conditions = &mut status.conditions;
            set_condition(conditions, ConditionType::Ready, false.into(), reason, "", generation, start());
            set_condition(conditions, ConditionType::Stalled, true.into(), reason, "", generation, start());
            if condition == ConditionType::Authorized {
                set_condition(conditions, ConditionType::Authorized, false.into(), reason, "", generation, start());
                set_condition(conditions, ConditionType::Synced, false.into(), reason, "", generation, start());
            }
        })
    }

    fn trying_again_at(self, reason: Reason, time: Timestamp) -> Self {
        self.with_status(|status| {
            status.failures = Some(FailureStatus {
                consecutive: 1,
                last_reason: Some(reason.as_str().to_owned()),
                next_attempt_time: Some(whole_seconds(time)),
                ..FailureStatus::default()
            });
        })
    }

    fn with_target_state(self, name: &str, state: TargetState, reason: Reason) -> Self {
        let target_ref = self.spec.targets.iter().find(|target| target.name == name).unwrap().target_ref.clone();
        self.with_status(|status| {
            status.targets.retain(|target| target.name != name);
            status.targets.push(crate::api::v1alpha1::AccountTargetStatus {
                name: name.to_owned(),
                target_ref: Some(target_ref),
                state,
                reason: Some(reason.as_str().to_owned()),
                ..Default::default()
            });
        })
    }

    fn with_status(mut self, change: impl FnOnce(&mut SpotifyAccountStatus)) -> Self {
        change(self.status.get_or_insert_default());
        self
    }

    fn status(&self) -> SpotifyAccountStatus {
        self.status.clone().unwrap_or_default()
    }
}

/// What a test asks about a status.
pub(super) trait StatusQuestion {
    /// `True Succeeded`, or nothing where the condition is absent.
    fn condition(&self, kind: ConditionType) -> String;
    fn message(&self, kind: ConditionType) -> String;
}

impl StatusQuestion for SpotifyAccountStatus {
    fn condition(&self, kind: ConditionType) -> String {
        let found = find_condition(&self.conditions, kind);
        found.map_or_else(String::new, |found| format!("{} {}", found.status, found.reason))
    }

    fn message(&self, kind: ConditionType) -> String {
        find_condition(&self.conditions, kind).map_or_else(String::new, |found| found.message.clone())
    }
}
