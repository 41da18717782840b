//! The answer as a table for people.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::answer::{Diagnosis, PlaySample, TargetDiagnosis};
use crate::api::v1alpha1::{BreakerState, TargetState};

/// Words before values end here.
const COLUMN: usize = 16;

/// The answer as lines of a word and what it is.
pub fn table(diagnosis: &Diagnosis) -> String {
    let mut lines = Lines::default();
    lines.add("Account", &diagnosis.account);
    lines.add("Healthy", if diagnosis.healthy { "yes" } else { "no" });
    lines.add("Ready", &format!("{} ({}): {}", diagnosis.ready, diagnosis.reason, diagnosis.message));
    if let Some(problem) = &diagnosis.problem {
        lines.add("Problem", &format!("{}: {}", problem.reason, problem.message));
    }
    if let Some(why) = &diagnosis.not_asked {
        lines.add("Not asked", &format!("{}: {}", why.reason, why.message));
    }
    lines.add("Token", &token(diagnosis));
    lines.add("Authorization", &authorization(diagnosis));
    match &diagnosis.plays {
        None => lines.add("Plays", "not read"),
        Some(plays) => {
            lines.add("Plays", &format!("{} shown, {} new, {} skipped", plays.shown, plays.new, plays.skipped));
            plays.samples.iter().for_each(|play| lines.sample(play));
        }
    }
    for target in &diagnosis.targets {
        lines.add("Target", &line_of(target));
        target.samples.iter().for_each(|play| lines.sample(play));
    }
    let failures = &diagnosis.failures;
    let last = failures.last_reason.as_deref().map_or_else(String::new, |reason| format!(", last {reason}"));
    lines.add("Failures", &format!("{} in a row{last}", failures.consecutive));
    let breaker = &diagnosis.circuit_breaker;
    let probe = breaker.next_probe_time.as_ref().map_or_else(String::new, |next| format!(", probes at {:.0}", next.0));
    lines.add("Circuit breaker", &format!("{}{probe}", circuit(breaker.state)));
    if let Some(gate) = &diagnosis.gate {
        lines.add("Gate", &format!("{}, until {:.0}", gate.limit, gate.until));
    }
    lines.add("Last scrobble", &when(diagnosis.last_scrobble_time));
    lines.add("Last read", &when(diagnosis.last_read_time));
    lines.add("Next read", &when(diagnosis.next_read_time));
    lines.0
}

fn when(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "none".to_owned(), |time| format!("{time:.0}"))
}

fn token(diagnosis: &Diagnosis) -> String {
    let token = &diagnosis.token;
    let left = token.expires_in_minutes.map_or_else(String::new, |minutes| format!(", {minutes} minutes left"));
    format!("{:?}{left}{}", token.state, if token.refreshed { ", refreshed just now" } else { "" })
}

fn authorization(diagnosis: &Diagnosis) -> String {
    let known = &diagnosis.authorization;
    let until = known.expiry_time.map_or_else(String::new, |end| {
        let day = end.strftime("%Y-%m-%d");
        let left = known.days_left.unwrap_or_default();
        let estimated = if known.estimated { "at the latest " } else { "" };
        format!(", {left} days until re-authorization ({estimated}{day})")
    });
    format!("{} ({}){until}", known.authorized, known.reason)
}

fn line_of(target: &TargetDiagnosis) -> String {
    let kind = target.target_type.map_or_else(|| "unknown".to_owned(), |kind| format!("{kind:?}"));
    let mut line = format!(
        "{} ({kind}) {}: would receive {}, of which {} waited; {} quarantined",
        target.name,
        state(target.state),
        target.would_receive,
        target.pending.min(target.would_receive),
        target.quarantined
    );
    if target.circuit_breaker.state != BreakerState::Closed {
        let _ = write!(line, "; circuit breaker {}", circuit(target.circuit_breaker.state));
    }
    if let Some(next) = target.next_attempt_time {
        let _ = write!(line, "; next attempt {next:.0}");
    }
    if let Some(message) = &target.message {
        let _ = write!(line, "; {message}");
    }
    line
}

fn state(state: TargetState) -> String {
    format!("{state:?}")
}

fn circuit(state: BreakerState) -> String {
    format!("{state:?}")
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, word: &str, value: &str) {
        let _ = writeln!(self.0, "{:<COLUMN$}{}", format!("{word}:"), plain(value));
    }

    fn sample(&mut self, play: &PlaySample) {
        let line = format!("{:.0}  {} - {}", play.played_at, play.artist, play.title);
        let _ = writeln!(self.0, "{:<COLUMN$}  {}", "", plain(&line));
    }
}

/// Titles are Spotify's: nothing in them moves the cursor of whoever looks, or turns the direction of the text.
fn plain(text: &str) -> String {
    let moves = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|character| if moves(character) { '\u{fffd}' } else { character }).collect()
}
