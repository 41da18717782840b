//! The clock: the system's, or in tests one that is moved and runs faster.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::reconcile::context::Clock;

/// The one clock of the process.
#[derive(Clone, Copy, Debug)]
pub struct OperatorClock {
    anchor: Timestamp,
    offset: SignedDuration,
    rate: u32,
}

impl OperatorClock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { anchor: Timestamp::UNIX_EPOCH, offset: SignedDuration::ZERO, rate: 1 }
    }

    /// A time of the system's clock in this clock's time: anchor + offset + rate * (real - anchor).
    pub fn convert(&self, real: Timestamp) -> Timestamp {
        if self.rate == 1 && self.offset.is_zero() {
            return real;
        }
        let rate = i32::try_from(self.rate).unwrap_or(i32::MAX);
        let passed = real.duration_since(self.anchor).saturating_mul(rate);
        let moved = self.anchor.saturating_add(passed).and_then(|time| time.saturating_add(self.offset));
        moved.unwrap_or(Timestamp::MAX)
    }
}

impl Clock for OperatorClock {
    fn now(&self) -> Timestamp {
        self.convert(self.real_now())
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system's clock")]
    fn real_now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn timer(&self, duration: SignedDuration) -> Duration {
        duration.max(SignedDuration::ZERO).unsigned_abs() / self.rate.max(1)
    }
}

/// A test clock cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SCROBBLE_OPERATOR_TEST_CLOCK: {0}; write it as +183d,x120,@2026-11-23T10:00:00Z")]
pub struct InvalidClock(pub &'static str);

#[cfg(feature = "testing")]
impl OperatorClock {
    /// The clock that a test asks for: `+183d`, `x120` and `@2026-11-23T10:00:00Z`, each optional. Without an anchor it
    /// starts at the process's start and keeps rate 1.
    ///
    /// # Errors
    /// A part is not understood.
    pub fn parse(text: &str) -> Result<Self, InvalidClock> {
        let mut clock = Self { anchor: Self::system().real_now(), ..Self::system() };
        let mut anchored = false;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (kind, value) = part.split_at(1);
            match kind {
                "+" | "-" => {
                    let offset = offset(value).ok_or(InvalidClock("the offset needs a unit: s, m, h or d"))?;
                    clock.offset = if kind == "-" { -offset } else { offset };
                }
                "x" => {
                    let rate = value.parse().ok().filter(|rate| (1..=100_000).contains(rate));
                    clock.rate = rate.ok_or(InvalidClock("the rate must be a whole number from 1"))?;
                }
                "@" => {
                    clock.anchor = value.parse().map_err(|_| InvalidClock("the anchor must be an RFC 3339 time"))?;
                    anchored = true;
                }
                _ => return Err(InvalidClock("a part starts with neither +, -, x nor @")),
            }
        }
        if !anchored && clock.rate != 1 {
            return Err(InvalidClock("a rate needs an anchor, so that restarts agree"));
        }
        Ok(clock)
    }
}

#[cfg(feature = "testing")]
fn offset(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let number: i64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_system_clock_changes_nothing() {
        let clock = OperatorClock::system();
        assert_eq!(clock.convert(time("2026-11-23T10:00:00Z")), time("2026-11-23T10:00:00Z"));
        assert_eq!(clock.timer(SignedDuration::from_secs(7)), Duration::from_secs(7));
        assert_eq!(clock.timer(SignedDuration::from_secs(-7)), Duration::ZERO);
    }

    #[cfg(feature = "testing")]
    #[test]
    fn a_test_clock_follows_its_formula() {
        let clock = OperatorClock::parse("+1d,x120,@2026-11-23T10:00:00Z").unwrap();
        assert_eq!(clock.convert(time("2026-11-23T10:00:00Z")), time("2026-11-24T10:00:00Z"));
        assert_eq!(clock.convert(time("2026-11-23T10:00:30Z")), time("2026-11-24T11:00:00Z"));
        assert_eq!(clock.timer(SignedDuration::from_mins(2)), Duration::from_secs(1));
        for text in ["+5", "x0", "x120", "@yesterday", "183d", "+1w"] {
            assert!(OperatorClock::parse(text).is_err(), "{text}");
        }
    }
}
