//! Durations as Go writes them: `20m`, `1h30m`, `1.5h`.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::schema;

/// The longest text of a duration; the schema has the same bound.
const TEXT_MAXIMUM: usize = 40;

/// The most digits before the decimal point of one part; the schema has the same bound.
const DIGITS_MAXIMUM: usize = 6;

/// The most digits after the decimal point of one part; the schema has the same bound.
const DECIMALS_MAXIMUM: usize = 3;

/// A duration in Go's syntax, without signs, days and units under a millisecond.
///
/// It keeps the text that it was read from, so that an object is written back as its author wrote it. Reading never
/// panics: the longest text is about 456 years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoDuration {
    text: Cow<'static, str>,
    duration: SignedDuration,
}

impl GoDuration {
    /// Whole seconds, written `90s`.
    pub fn from_secs(seconds: u32) -> Self {
        SignedDuration::from_secs(i64::from(seconds)).into()
    }

    /// Whole minutes, written `20m`.
    pub fn from_mins(minutes: u32) -> Self {
        Self::from_secs(minutes.saturating_mul(60))
    }

    /// Whole hours, written `24h`.
    pub fn from_hours(hours: u32) -> Self {
        Self::from_mins(hours.saturating_mul(60))
    }

    /// How long it is; never negative.
    pub fn duration(&self) -> SignedDuration {
        self.duration
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Milliseconds are the finest unit that is kept; a negative duration counts as zero.
impl From<SignedDuration> for GoDuration {
    fn from(duration: SignedDuration) -> Self {
        let milliseconds = duration.as_millis().max(0);
        let duration = SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or(i64::MAX));
        if milliseconds == 0 {
            return Self { text: Cow::Borrowed("0s"), duration };
        }
        let mut text = String::new();
        for (amount, unit) in [
            (milliseconds / 3_600_000, "h"),
            (milliseconds / 60_000 % 60, "m"),
            (milliseconds / 1000 % 60, "s"),
            (milliseconds % 1000, "ms"),
        ] {
            if amount > 0 {
                text.push_str(&amount.to_string());
                text.push_str(unit);
            }
        }
        Self { text: Cow::Owned(text), duration }
    }
}

/// The text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration such as 90s, 20m or 1h30m")]
pub struct InvalidDuration;

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > TEXT_MAXIMUM {
            return Err(InvalidDuration);
        }
        let mut microseconds: i64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (part, remaining) = first_part(rest).ok_or(InvalidDuration)?;
            microseconds = microseconds.checked_add(part).ok_or(InvalidDuration)?;
            rest = remaining;
        }
        Ok(Self { text: Cow::Owned(text.to_owned()), duration: SignedDuration::from_micros(microseconds) })
    }
}

/// The first number with its unit in microseconds (a thousandth of the smallest unit), and what follows.
fn first_part(text: &str) -> Option<(i64, &str)> {
    let (whole, rest) = digits(text, DIGITS_MAXIMUM)?;
    let (decimals, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest, DECIMALS_MAXIMUM)?,
        None => ("", rest),
    };
    let (unit, rest) = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        .into_iter()
        .find_map(|(name, milliseconds)| Some((milliseconds, rest.strip_prefix(name)?)))?;
    let thousandths: i64 = format!("{whole}{decimals:0<DECIMALS_MAXIMUM$}").parse().ok()?;
    Some((thousandths.checked_mul(unit)?, rest))
}

fn digits(text: &str, most: usize) -> Option<(&str, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    (1..=most).contains(&end).then(|| text.split_at(end))
}

impl fmt::Display for GoDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("GoDuration")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema::up_to_a_day(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads_and_keeps_the_text() {
        for (text, milliseconds) in [
            ("20m", 1_200_000),
            ("1h30m", 5_400_000),
            ("90m", 5_400_000),
            ("1.5h", 5_400_000),
            ("1.5h30m", 7_200_000),
            ("30m1h", 5_400_000),
            ("1s1s", 2000),
            ("300ms", 300),
            ("24h", 86_400_000),
            ("0s", 0),
            ("000001s", 1000),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(duration.duration(), SignedDuration::from_millis(milliseconds), "{text}");
            assert_eq!(duration.to_string(), text);
            assert_eq!(serde_json::to_value(&duration).unwrap(), text);
        }
        let half: GoDuration = "0.5ms".parse().unwrap();
        assert_eq!(half.duration(), SignedDuration::from_micros(500));
    }

    #[test]
    fn refuses_everything_else_without_a_panic() {
        for text in [
            "",
            "0",
            "90",
            "1d",
            "m",
            "-5m",
            "+5m",
            "1s-5s",
            "1 h",
            " 1h",
            "1h ",
            ".5h",
            "1.h",
            "1..5h",
            "1.1234h",
            "99999999999999999999h",
            "1000000h",
            "1us",
            "1H",
            "٣m",
            "1hé",
            "999999h999999h999999h999999h999999h999999h",
        ] {
            assert_eq!(text.parse::<GoDuration>(), Err(InvalidDuration), "{text}");
            assert!(serde_json::from_value::<GoDuration>(serde_json::json!(text)).is_err());
        }
        assert!(serde_json::from_str::<GoDuration>("20").is_err());
        assert!(serde_json::from_str::<GoDuration>("null").is_err());
        assert!("999999h999999h999999h999999h".parse::<GoDuration>().is_ok());
    }

    #[test]
    fn writes_the_shortest_form() {
        for (duration, text) in [
            (SignedDuration::from_secs(1200), "20m"),
            (SignedDuration::from_secs(5400), "1h30m"),
            (SignedDuration::from_secs(86_400), "24h"),
            (SignedDuration::from_millis(61_250), "1m1s250ms"),
            (SignedDuration::ZERO, "0s"),
            (SignedDuration::from_secs(-5), "0s"),
        ] {
            let written = GoDuration::from(duration);
            assert_eq!(written.as_str(), text);
            assert_eq!(text.parse::<GoDuration>().unwrap(), written);
        }
        assert!(!GoDuration::from(SignedDuration::MAX).as_str().is_empty());
        assert_eq!(GoDuration::from_hours(24).as_str(), "24h");
    }

    #[test]
    fn an_escaped_text_is_read_too() {
        let duration: GoDuration = serde_json::from_str(r#""20m""#).unwrap();
        assert_eq!(duration.as_str(), "20m");
    }
}
