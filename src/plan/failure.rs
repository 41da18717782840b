//! What can go wrong with Spotify, a target or the cluster: one closed set, and for each failure what follows from it.
//!
//! Whoever decides about counting, trying again, `Stalled` or Events asks [`Failure::facts`]. `docs/reasons.md` shows the
//! same table ([`tables`]).

mod answers;
mod classes;
mod table;
pub mod tables;

pub use table::Failure;

use crate::api::condition::{ConditionType, Reason};
use crate::api::v1alpha1::FailureType;

/// Who owns a failure: whose object, key or system it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The account's: its spec, its Secrets, the listener's authorization.
    Account,
    /// The app's: its client, its quota, what Spotify does to all of its accounts.
    App,
    /// The target's: its spec, its keys, the service behind it.
    Target,
    /// The operator's: this program, the cluster it runs in, its plans and rights.
    Operator,
}

/// Whose circuit breaker a failure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counts {
    /// Nobody's: it waits for a time that is known, or for a human.
    Nowhere,
    /// The account's own.
    Account,
    /// The app's, and it is no failure of the account.
    App,
    /// That of the account's target.
    Target,
}

/// Whether and when a failure is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// At once, within the same pass ([`super::attempt`]); then [`Retry::Later`].
    Now,
    /// After a wait that doubles from a minute, and then as the breaker says.
    Later,
    /// At a time of its own: as long as the other side asks, or a slow probe.
    AtItsTime,
    /// When something changes; nothing is sent before.
    OnChange,
}

/// What mends a failure, as far as the operator can see it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MendedBy {
    /// Time.
    Time,
    /// Another Secret, or another value in one: it is looked at once a minute.
    Secret,
    /// Another object, which is watched.
    Reference,
    /// Something else, which no watch and no Secret tells.
    Outside,
}

/// The type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Nothing is wrong.
    Normal,
    /// Something is.
    Warning,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who owns it.
    pub owner: Owner,
    /// Whose breaker it moves.
    pub counts: Counts,
    /// When it is tried again.
    pub retry: Retry,
    /// What mends it.
    pub mended_by: MendedBy,
    /// The reason of the condition, and `failures.lastReason`.
    pub reason: Reason,
    /// `failures.lastType`.
    pub failure_type: FailureType,
    /// The type of the Event that tells of it, where one does.
    pub event: EventType,
    /// A human must act: nothing the operator does by itself will help.
    pub stalled: bool,
    /// The condition that it shows on, besides `Ready`.
    pub condition: ConditionType,
    /// What to do.
    pub remedy: &'static str,
}

impl Failure {
    /// Every failure that shows with a reason.
    pub fn with_reason(reason: Reason) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |failure| failure.facts().reason == reason)
    }
}

/// Whether a failure that shows with this reason may be mended by a change of a Secret.
pub fn may_be_mended_by_secret(reason: Reason) -> bool {
    Failure::with_reason(reason).any(|failure| failure.facts().mended_by == MendedBy::Secret)
}

/// Whether every failure that shows with this reason is mended by a change of another object, which is watched.
pub fn is_mended_by_reference(reason: Reason) -> bool {
    is_always(reason, |facts| facts.mended_by == MendedBy::Reference)
}

/// Whether every failure that shows with this reason is about a Secret that cannot be used: nothing was asked.
pub fn is_about_secret(reason: Reason) -> bool {
    is_always(reason, |facts| facts.mended_by == MendedBy::Secret && facts.retry == Retry::OnChange)
}

/// Whether every failure that shows with this reason passes by itself.
pub fn passes(reason: Reason) -> bool {
    is_always(reason, |facts| !facts.stalled)
}

/// Whether every failure that shows with this reason is a wait that somebody asked for: nothing but time ends it.
pub fn asks_to_wait(reason: Reason) -> bool {
    is_always(reason, |facts| facts.retry == Retry::AtItsTime && facts.mended_by == MendedBy::Time)
}

/// Whether a reason is told in an Event that warns: a wait that somebody asked for is no trouble.
pub fn warns(reason: Reason) -> bool {
    !is_always(reason, |facts| facts.event == EventType::Normal)
}

fn is_always(reason: Reason, holds: impl Fn(Facts) -> bool) -> bool {
    let mut failures = Failure::with_reason(reason).peekable();
    failures.peek().is_some() && failures.all(|failure| holds(failure.facts()))
}

#[cfg(test)]
mod tests;
