//! `Retry-After` (RFC 9110 section 10.2.3).

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

/// Nothing that a service asks for is longer than this; larger values are taken to be mistakes. Spotify's daily quota has
/// been seen to ask for 86,400 seconds.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);

/// The two other forms of a date that RFC 9110 section 5.6.7 wants to be read: those of RFC 850 and of `asctime`.
const OLD_DATES: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// How long the other side asks to be left alone: the longest wait of an answer that names several, at most 48 hours. A
/// date counts from the answer's own `Date`, so that nobody's clock matters; without one it cannot be used, and neither
/// can anything else.
pub fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let values = headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| wait(value, headers)).max()
}

fn wait(value: &str, headers: &HeaderMap) -> Option<SignedDuration> {
    if let Some(until) = date(value.trim()) {
        return Some(until.duration_since(answered_at(headers)?).clamp(SignedDuration::ZERO, LONGEST));
    }
    // Whoever passes an answer on may have joined several values into one.
    value.split(',').filter_map(seconds).max()
}

fn seconds(text: &str) -> Option<SignedDuration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| SignedDuration::from_secs(text.parse::<i64>().unwrap_or(i64::MAX).min(LONGEST.as_secs())))
}

/// When the other side answered, by its own clock (`Date`, RFC 9110 section 6.6.1): what it calls a time is held
/// against this, so that nobody else's clock matters.
pub fn answered_at(headers: &HeaderMap) -> Option<Timestamp> {
    date(headers.get(DATE)?.to_str().ok()?)
}

fn date(text: &str) -> Option<Timestamp> {
    let old = |form: &str| civil::DateTime::strptime(form, text).ok()?.to_zoned(TimeZone::UTC).ok();
    let zoned = jiff::fmt::rfc2822::parse(text).ok().or_else(|| OLD_DATES.iter().find_map(|form| old(form)));
    zoned.map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in entries {
            headers
                .append(http::HeaderName::from_static(name), http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn seconds_dates_and_nonsense() {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        for (entries, expected) in [
            (vec![("retry-after", "30")], Some(30)),
            (vec![("retry-after", " 0 ")], Some(0)),
            (vec![("retry-after", "52531")], Some(52_531)),
            (vec![("retry-after", "86400")], Some(86_400)),
            (vec![("retry-after", "172800")], Some(172_800)),
            (vec![("retry-after", "172801")], Some(172_800)),
            (vec![("retry-after", "99999999999999999999999")], Some(172_800)),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026 10:01:30 +0000")], Some(90)),
            (vec![date, ("retry-after", "Monday, 23-Nov-26 10:01:30 GMT")], Some(90)),
            (vec![date, ("retry-after", "Mon Nov 23 10:01:30 2026")], Some(90)),
            (vec![date, ("retry-after", "Thu Nov  5 10:01:30 2026")], Some(0)),
            (vec![date, ("retry-after", "Fri, 01 Jan 9999 00:00:00 GMT")], Some(172_800)),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026")], None),
            (vec![("date", "soon"), ("retry-after", "Mon, 23 Nov 2026 10:01:30 GMT")], None),
            (vec![("retry-after", "30"), ("retry-after", "90"), ("retry-after", "soon")], Some(90)),
            (vec![("retry-after", "30, 90")], Some(90)),
            (vec![("retry-after", "soon, 5")], Some(5)),
            (vec![("retry-after", "1.5")], None),
            (vec![("retry-after", "+5")], None),
            (vec![("retry-after", "0x10")], None),
            (vec![("retry-after", "٣٠")], None),
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
