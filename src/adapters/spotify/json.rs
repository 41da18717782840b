//! JSON as it comes. A text that is cut in the middle of a character (half a surrogate pair, or half of UTF-8) costs that
//! character, not the page that it stands on: Rust's texts cannot hold it, and serde refuses the whole document.

use serde_json::Value;

/// Reads a document; what is no character in it becomes U+FFFD.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let strict = serde_json::from_slice(body).ok();
    strict.or_else(|| serde_json::from_str(&repaired(&String::from_utf8_lossy(body))).ok())
}

/// The document with U+FFFD in place of every escaped half of a surrogate pair (RFC 8259 section 8.2).
fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.find('\\').map(|at| rest.split_at(at)) {
        repaired.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                repaired.push(char::REPLACEMENT_CHARACTER);
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => escape.chars().take(2).map(char::len_utf8).sum(),
        };
        let (kept, after) = escape.split_at(length);
        repaired.push_str(kept);
        rest = after;
    }
    repaired.push_str(rest);
    repaired
}

/// The code unit of an escape of the form `\uXXXX` at the beginning of a text.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_costs_itself() {
        for (text, expected) in [
            (r#""plain""#, "plain"),
            (r#""\ud834\udd1e""#, "𝄞"),
            (r#""a\ud834""#, "a\u{fffd}"),
            (r#""\udd1eb""#, "\u{fffd}b"),
            (r#""\ud834\ud834\udd1e""#, "\u{fffd}𝄞"),
            (r#""\udd1e\ud834""#, "\u{fffd}\u{fffd}"),
            (r#""\ud834\u0041\n\\ud834""#, "\u{fffd}A\n\\ud834"),
            (r#""\ud834é\"""#, "\u{fffd}é\""),
        ] {
            assert_eq!(read(text.as_bytes()), Some(Value::from(expected)), "{text}");
        }
        assert_eq!(read(b"\"a\xf0\x9f\""), Some(Value::from("a\u{fffd}")));
    }

    #[test]
    fn what_is_no_json_stays_unread() {
        for text in ["", "{", r#""\ud834"#, r#""\u"#, r#""\ud8"#, "\\", r#""\é""#, "<html>", "7 7"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
