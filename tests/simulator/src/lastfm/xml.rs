//! What Last.fm answers to those who do not ask for JSON.

use serde_json::Value;

use crate::call::Answer;

pub(crate) fn success(body: &Value) -> Answer {
    let mut text = String::new();
    write_fields(&mut text, body);
    answer(200, &format!("<lfm status=\"ok\">{text}</lfm>"))
}

pub(crate) fn failure(status: u16, code: u32, message: &str) -> Answer {
    answer(status, &format!("<lfm status=\"failed\"><error code=\"{code}\">{}</error></lfm>", escaped(message)))
}

fn answer(status: u16, text: &str) -> Answer {
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}\n");
    Answer::text(status, document).with("content-type", "text/xml; charset=utf-8")
}

fn write_fields(text: &mut String, value: &Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields.iter().filter(|(name, _)| *name != "@attr") {
        match value {
            Value::Array(entries) => entries.iter().for_each(|entry| write_element(text, name, entry)),
            value => write_element(text, name, value),
        }
    }
}

/// `@attr` and, beside a text, the plain fields are attributes.
fn write_element(text: &mut String, name: &str, value: &Value) {
    let attributes = if value.get("#text").is_some() { Some(value) } else { value.get("@attr") };
    text.extend(["<", name]);
    for (name, value) in
        attributes.and_then(Value::as_object).into_iter().flatten().filter(|(name, _)| *name != "#text")
    {
        text.extend([" ", name, "=\"", &escaped(&plain(value)), "\""]);
    }
    text.push('>');
    match value {
        Value::Object(fields) => match fields.get("#text") {
            Some(content) => text.push_str(&escaped(&plain(content))),
            None => write_fields(text, value),
        },
        value => text.push_str(&escaped(&plain(value))),
    }
    text.extend(["</", name, ">"]);
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn attributes_texts_and_lists_become_elements() {
        let body = json!({"scrobbles": {"@attr": {"accepted": 1}, "scrobble": [{"artist": {"corrected": "0", "#text": "A & B"}, "timestamp": "7"}]}});
        let text = String::from_utf8(success(&body).body).unwrap();
        assert!(text.ends_with(
            "<lfm status=\"ok\"><scrobbles accepted=\"1\"><scrobble><artist corrected=\"0\">A &amp; B</artist>\
             <timestamp>7</timestamp></scrobble></scrobbles></lfm>\n"
        ));
    }
}
