//! Conditions and their reasons: both closed sets.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub use reason::Reason;

mod reason;

/// The longest message of a condition, in characters (metav1.Condition).
pub const MESSAGE_MAXIMUM: usize = 32_768;

/// The types of condition that any kind may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The summary: plays flow (an account), or what others need from it is in order (the other kinds).
    Ready,
    /// Accounts only: Spotify accepts the listener's token.
    Authorized,
    /// Accounts only: plays are read, and no loss is known.
    Synced,
    /// Work is going on that a waiting client should wait for; present only while True (kstatus).
    Reconciling,
    /// Nothing moves until a human acts; present only while True (kstatus).
    Stalled,
    /// The object's own circuit breaker is open; present only while True.
    CircuitOpen,
    /// `spec.suspend` is set; present only while True.
    Suspended,
}

impl ConditionType {
    /// All types, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Authorized,
        Self::Synced,
        Self::Reconciling,
        Self::Stalled,
        Self::CircuitOpen,
        Self::Suspended,
    ];

    /// The name as it stands in `conditions[].type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Authorized => "Authorized",
            Self::Synced => "Synced",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::CircuitOpen => "CircuitOpen",
            Self::Suspended => "Suspended",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// Nobody has looked yet.
    Unknown,
}

impl ConditionStatus {
    /// The word as it stands in `conditions[].status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Sets one condition and tells whether anything changed.
///
/// `lastTransitionTime` moves only when `status` does, so that an unchanged state never causes a write. `now` is cut to
/// whole seconds, which is what the API server keeps; a message longer than [`MESSAGE_MAXIMUM`] is cut.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    condition_type: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let mut wanted = Condition {
        last_transition_time: whole_seconds(now),
        message: message.chars().take(MESSAGE_MAXIMUM).collect(),
        observed_generation: generation,
        reason: reason.as_str().to_owned(),
        status: status.as_str().to_owned(),
        type_: condition_type.as_str().to_owned(),
    };
    let Some(present) = conditions.iter_mut().find(|condition| condition.type_ == wanted.type_) else {
        conditions.push(wanted);
        return true;
    };
    if present.status == wanted.status {
        wanted.last_transition_time = present.last_transition_time.clone();
    }
    if *present == wanted {
        return false;
    }
    *present = wanted;
    true
}

/// Removes one condition and tells whether it was there. Absence is how `Reconciling`, `Stalled`, `CircuitOpen` and
/// `Suspended` say that they are not True.
pub fn remove_condition(conditions: &mut Vec<Condition>, condition_type: ConditionType) -> bool {
    let before = conditions.len();
    conditions.retain(|condition| condition.type_ != condition_type.as_str());
    conditions.len() != before
}

/// The condition of this type, if present.
pub fn find_condition(conditions: &[Condition], condition_type: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == condition_type.as_str())
}

/// Whether the condition of this type is present and True.
pub fn is_condition_true(conditions: &[Condition], condition_type: ConditionType) -> bool {
    find_condition(conditions, condition_type).is_some_and(|condition| condition.status == "True")
}

/// The time as the API server keeps it: whole seconds, rounded down.
pub fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_millisecond().div_euclid(1000)).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn set(conditions: &mut Vec<Condition>, status: ConditionStatus, reason: Reason, message: &str, now: &str) -> bool {
        set_condition(conditions, ConditionType::Ready, status, reason, message, Some(3), at(now))
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        assert!(set(&mut conditions, ConditionStatus::True, Reason::Succeeded, "flowing", "2026-11-23T10:00:00.9Z"));
        assert_eq!(conditions[0].last_transition_time.0, at("2026-11-23T10:00:00Z"));

        assert!(!set(&mut conditions, ConditionStatus::True, Reason::Succeeded, "flowing", "2026-11-23T11:00:00Z"));
        assert!(set(&mut conditions, ConditionStatus::True, Reason::Succeeded, "two plays", "2026-11-23T12:00:00Z"));
        assert_eq!(conditions[0].last_transition_time.0, at("2026-11-23T10:00:00Z"));

        assert!(set(&mut conditions, ConditionStatus::False, Reason::SecretNotFound, "x", "2026-11-23T13:00:00Z"));
        assert_eq!(conditions[0].last_transition_time.0, at("2026-11-23T13:00:00Z"));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_new_generation_is_a_change() {
        let mut conditions = Vec::new();
        set(&mut conditions, ConditionStatus::True, Reason::Succeeded, "", "2026-11-23T10:00:00Z");
        assert!(set_condition(
            &mut conditions,
            ConditionType::Ready,
            ConditionStatus::True,
            Reason::Succeeded,
            "",
            Some(4),
            at("2026-11-23T11:00:00Z"),
        ));
        assert_eq!(conditions[0].observed_generation, Some(4));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let mut conditions = Vec::new();
        let message = "ü".repeat(MESSAGE_MAXIMUM + 1);
        set(&mut conditions, ConditionStatus::True, Reason::Succeeded, &message, "2026-11-23T10:00:00Z");
        assert_eq!(conditions[0].message.chars().count(), MESSAGE_MAXIMUM);
    }

    #[test]
    fn removing_tells_whether_it_was_there() {
        let mut conditions = Vec::new();
        set(&mut conditions, ConditionStatus::True, Reason::Succeeded, "", "2026-11-23T10:00:00Z");
        assert!(is_condition_true(&conditions, ConditionType::Ready));
        assert!(!remove_condition(&mut conditions, ConditionType::Stalled));
        assert!(remove_condition(&mut conditions, ConditionType::Ready));
        assert!(conditions.is_empty());
    }
}
