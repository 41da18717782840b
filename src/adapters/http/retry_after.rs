//! `Retry-After` (RFC 9110 section 10.2.3).

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};

/// Nothing that a service asks for is longer than this; larger values are taken to be mistakes.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How long the other side asks to be left alone. A date counts from the answer's own `Date`, so that nobody's clock
/// matters; without one it cannot be used. More than a week is cut to a week.
pub fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse::<i64>().unwrap_or(i64::MAX).min(LONGEST.as_secs());
        return Some(SignedDuration::from_secs(seconds));
    }
    let until = date(text)?;
    Some(until.duration_since(answered_at(headers)?).clamp(SignedDuration::ZERO, LONGEST))
}

/// When the other side answered, by its own clock (`Date`, RFC 9110 section 6.6.1): what it calls a time is held
/// against this, so that nobody else's clock matters.
pub fn answered_at(headers: &HeaderMap) -> Option<Timestamp> {
    date(headers.get(DATE)?.to_str().ok()?)
}

fn date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        entries.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn seconds_dates_and_nonsense() {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        for (entries, expected) in [
            (vec![("retry-after", "30")], Some(30)),
            (vec![("retry-after", " 0 ")], Some(0)),
            (vec![("retry-after", "52531")], Some(52_531)),
            (vec![("retry-after", "99999999999999999999999")], Some(604_800)),
            (vec![("retry-after", "9999999")], Some(604_800)),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026 10:01:30 GMT")], Some(90)),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026 09:00:00 GMT")], Some(0)),
            (vec![("retry-after", "Mon, 23 Nov 2026 10:01:30 GMT")], None),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "")], None),
            (vec![], None),
        ] {
            assert_eq!(retry_after(&headers(&entries)), expected.map(SignedDuration::from_secs), "{entries:?}");
        }
    }
}
