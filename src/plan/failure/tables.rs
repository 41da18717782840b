//! The tables of `docs/reasons.md`, in Markdown.

use super::{Counts, EventType, Facts, Failure, Owner, Retry, is_about_secret};
use crate::api::condition::Reason;
use crate::api::v1alpha1::FailureType;

const RUNBOOKS: &str = "runbooks/reasons.md";
/// Apps and targets name Secrets, too.
const SECRETS_OWNER: &str = "the owner of the object that names it";
/// Between several words of one cell.
const OR: &str = "; ";

/// The table of reasons: each links to its runbook.
pub fn reasons() -> String {
    let head = ["reason", "who acts", "Stalled", "counts for", "tried again", "meaning and remedy", ""];
    let rows = Reason::ALL.iter().map(|&reason| {
        let word = |of: fn(Facts) -> &'static str| each(reason, of);
        [
            format!("`{reason}`"),
            who_acts(reason),
            stalled(reason),
            word(|facts| facts.counts.word()),
            word(|facts| facts.retry.word()),
            reason.description().to_owned(),
            format!("[runbook]({RUNBOOKS}#{})", anchor(reason)),
        ]
    });
    table(head, rows)
}

/// The table of failures.
pub fn failures() -> String {
    let head = [
        "failure",
        "what is seen",
        "whose",
        "reason",
        "`lastType`",
        "counts for",
        "tried again",
        "Event",
        "what to do",
    ];
    let rows = Failure::ALL.iter().map(|&failure| {
        let facts = failure.facts();
        [
            failure.as_str().to_owned(),
            failure.seen().to_owned(),
            facts.owner.word().to_owned(),
            format!("`{}`", facts.reason),
            format!("`{}`", facts.failure_type.as_str()),
            facts.counts.word().to_owned(),
            facts.retry.word().to_owned(),
            facts.event.as_str().to_owned(),
            facts.remedy.to_owned(),
        ]
    });
    table(head, rows)
}

/// The heading of a reason's runbook, as links name it.
pub fn anchor(reason: Reason) -> String {
    reason.as_str().to_ascii_lowercase()
}

fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(COLUMNS));
    [line(&head.map(str::to_owned)), rule].into_iter().chain(rows.map(|cells| line(&cells))).collect()
}

/// What the failures with a reason have to say, each thing once; a dash where there is none.
fn each(reason: Reason, of: fn(Facts) -> &'static str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in Failure::with_reason(reason).map(|failure| of(failure.facts())) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() { "-".to_owned() } else { words.join(OR) }
}

fn stalled(reason: Reason) -> String {
    match each(reason, |facts| if facts.stalled { "yes" } else { "no" }).as_str() {
        "-" => if reason == Reason::AuthorizationRequired { "yes" } else { "no" }.to_owned(),
        word if word.contains(OR) => "where plays were lost".to_owned(),
        word => word.to_owned(),
    }
}

fn who_acts(reason: Reason) -> String {
    match reason {
        Reason::Suspended => "the account's owner".to_owned(),
        Reason::AuthorizationRequired | Reason::AuthorizationExpiring => "the listener".to_owned(),
        Reason::JournalFull => "the target's owner".to_owned(),
        Reason::CircuitOpen => "see `failures`".to_owned(),
        Reason::NetworkError | Reason::InternalError => "nobody; the platform team if it lasts".to_owned(),
        _ if Failure::with_reason(reason).all(|failure| !failure.facts().stalled) => "nobody".to_owned(),
        _ if is_about_secret(reason) && reason != Reason::SecretWriteForbidden => SECRETS_OWNER.to_owned(),
        _ => each(reason, |facts| match facts.owner {
            Owner::Account if facts.failure_type == FailureType::Auth => "the listener",
            Owner::Account => "the account's owner",
            Owner::App => "the app's owner",
            Owner::Target => "the target's owner",
            Owner::Operator => "the platform team",
        }),
    }
}

impl Owner {
    const fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::App => "app",
            Self::Target => "target",
            Self::Operator => "operator",
        }
    }
}

impl Counts {
    const fn word(self) -> &'static str {
        match self {
            Self::Nowhere => "nobody",
            Self::Account => "the account",
            Self::App => "the app",
            Self::Target => "the target",
        }
    }
}

impl Retry {
    const fn word(self) -> &'static str {
        match self {
            Self::Now => "at once, then later",
            Self::Later => "later",
            Self::AtItsTime => "at its time",
            Self::OnChange => "on a change",
        }
    }
}

impl EventType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}
