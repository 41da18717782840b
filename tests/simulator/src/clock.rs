//! The test clock: the same formula and the same text as the operator's, so that both agree on what time it is.

use jiff::{SignedDuration, Timestamp};

/// The environment variable that carries the clock to a process.
pub const VARIABLE: &str = "SCROBBLE_OPERATOR_TEST_CLOCK";

/// Simulated time: `anchor + offset + rate * (real time - anchor)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    anchor: Timestamp,
    offset: SignedDuration,
    rate: f64,
}

/// Why a clock's text was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClockError {
    /// A part is none of `+183d`, `x120`, `@2026-11-23T10:00:00Z`.
    #[error("`{0}` is none of +183d (units s, m, h, d), x120 or @2026-11-23T10:00:00Z")]
    Part(String),
    /// A rate other than 1 has no meaning that two processes share unless an anchor is given.
    #[error("a rate needs an anchor: add @<RFC 3339 time>")]
    RateWithoutAnchor,
    /// A rate must move time forwards.
    #[error("the rate must be above 0")]
    Rate,
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl Clock {
    /// Real time.
    pub fn real() -> Self {
        Self { anchor: Timestamp::UNIX_EPOCH, offset: SignedDuration::ZERO, rate: 1.0 }
    }

    /// Reads `+183d,x120,@2026-11-23T10:00:00Z`: offset, rate and anchor, each optional, in any order.
    ///
    /// # Errors
    /// A part that cannot be read, or a rate without an anchor.
    pub fn parse(text: &str) -> Result<Self, ClockError> {
        let mut clock = Self::real();
        let mut anchored = false;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let refused = || ClockError::Part(part.to_owned());
            if let Some(anchor) = part.strip_prefix('@') {
                clock.anchor = anchor.parse().map_err(|_| refused())?;
                anchored = true;
            } else if let Some(rate) = part.strip_prefix('x') {
                clock.rate = rate.parse().map_err(|_| refused())?;
                if !clock.rate.is_finite() || clock.rate <= 0.0 {
                    return Err(ClockError::Rate);
                }
            } else {
                clock.offset = parse_offset(part).ok_or_else(refused)?;
            }
        }
        if !anchored && (clock.rate - 1.0).abs() > f64::EPSILON {
            return Err(ClockError::RateWithoutAnchor);
        }
        Ok(clock)
    }

    /// The simulated time now.
    pub fn now(&self) -> Timestamp {
        self.at(real_now())
    }

    /// The simulated time at a real time; clipped at the ends of what a timestamp can hold.
    pub fn at(&self, real: Timestamp) -> Timestamp {
        let elapsed = real.duration_since(self.anchor);
        let scaled = if (self.rate - 1.0).abs() > f64::EPSILON {
            SignedDuration::try_from_secs_f64(elapsed.as_secs_f64() * self.rate).unwrap_or(SignedDuration::MAX)
        } else {
            elapsed
        };
        self.anchor
            .checked_add(self.offset)
            .and_then(|time| time.checked_add(scaled))
            .unwrap_or(if scaled.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
    }
}

/// Real time, for records that compare with other processes' clocks.
#[expect(clippy::disallowed_methods, reason = "this is the simulator's one clock")]
pub(crate) fn real_now() -> Timestamp {
    Timestamp::now()
}

/// `time` cut to whole milliseconds, as Spotify shows times.
pub(crate) fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// `time + seconds`, clipped at the ends of what a timestamp can hold.
pub(crate) fn plus_seconds(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn parse_offset(text: &str) -> Option<SignedDuration> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let mut seconds: i64 = 0;
    let mut number = String::new();
    for character in digits.chars() {
        let unit = match character {
            '0'..='9' => {
                number.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && !digits.is_empty()).then(|| SignedDuration::from_secs(sign * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn without_text_it_is_real_time() {
        let real = time("2026-11-23T10:00:00.123456789Z");
        assert_eq!(Clock::parse("").unwrap().at(real), real);
    }

    #[test]
    fn offset_rate_and_anchor_follow_the_formula() {
        let clock = Clock::parse("+183d,x120,@2026-11-23T10:00:00Z").unwrap();
        assert_eq!(clock.at(time("2026-11-23T10:00:00Z")), time("2027-05-25T10:00:00Z"));
        assert_eq!(clock.at(time("2026-11-23T10:00:30Z")), time("2027-05-25T11:00:00Z"));
        let clock = Clock::parse("@2026-11-23T10:00:00Z,-90m").unwrap();
        assert_eq!(clock.at(time("2026-11-23T12:00:00Z")), time("2026-11-23T10:30:00Z"));
        let clock = Clock::parse("+1h30m,x0.5,@2026-11-23T10:00:00Z").unwrap();
        assert_eq!(clock.at(time("2026-11-23T12:00:00Z")), time("2026-11-23T12:30:00Z"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["183d", "+", "+d", "+1", "+1w", "x", "xfast", "@yesterday", "+1d,nonsense"] {
            assert_eq!(Clock::parse(text).err(), Some(ClockError::Part(text.rsplit(',').next().unwrap().to_owned())));
        }
        assert_eq!(Clock::parse("x120"), Err(ClockError::RateWithoutAnchor));
        assert_eq!(Clock::parse("x0,@2026-11-23T10:00:00Z"), Err(ClockError::Rate));
    }
}
