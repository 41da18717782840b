//! Choosing what goes wrong with a request, and doing it to an answer.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{BodyForm, Effect, Endpoint, FaultReport, NewFault};
use crate::call::Answer;
use crate::digest;
use crate::state::{World, numbered};

/// Who sends a request, as far as it can be told before any logic runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub account: Option<String>,
    pub client_id: Option<String>,
}

/// Adds a rule and says its number.
pub(crate) fn add(world: &mut World, rule: NewFault) -> u64 {
    let id = world.next("faults");
    world.faults.put(numbered(id), FaultReport { id, rule, matched: 0, applied: 0 });
    id
}

/// The first rule that matches and strikes; counts it.
pub(crate) fn choose(world: &mut World, endpoint: Endpoint, caller: &Caller, now: Timestamp) -> Option<(u64, Effect)> {
    let candidates: Vec<String> = world
        .faults
        .iter()
        .filter(|(_, fault)| matches(fault, endpoint, caller, now))
        .map(|(key, _)| key.clone())
        .collect();
    for key in candidates {
        let Some(fault) = world.faults.edit(&key) else { continue };
        fault.matched += 1;
        if fault.matched <= u64::from(fault.rule.skip) {
            continue;
        }
        let struck = fault.rule.probability.is_none_or(|likely| digest::draw(fault.rule.seed, fault.matched) < likely);
        if struck {
            fault.applied += 1;
            return Some((fault.id, fault.rule.effect.clone()));
        }
    }
    None
}

fn matches(fault: &FaultReport, endpoint: Endpoint, caller: &Caller, now: Timestamp) -> bool {
    let rule = &fault.rule;
    rule.times.is_none_or(|times| fault.applied < times)
        && rule.endpoint.is_none_or(|wanted| wanted == endpoint)
        && rule.account.as_ref().is_none_or(|wanted| caller.account.as_ref() == Some(wanted))
        && rule.client_id.as_ref().is_none_or(|wanted| caller.client_id.as_ref() == Some(wanted))
        && rule.from_time.is_none_or(|from| now >= from)
        && rule.until_time.is_none_or(|until| now < until)
}

/// The answer of an effect that stands instead of the service's logic.
pub(crate) fn instead(effect: &Effect, endpoint: Endpoint) -> Option<Answer> {
    let answer = match effect {
        Effect::Status { status, body, text, retry_after_seconds } => {
            let mut answer = with_form(endpoint, *status, *body);
            if let Some(text) = text {
                answer.body = text.clone().into_bytes();
            }
            match retry_after_seconds {
                Some(seconds) => answer.with("retry-after", seconds.to_string()),
                None => answer,
            }
        }
        Effect::RateLimited { retry_after_seconds } => {
            rate_limited(endpoint).with("retry-after", retry_after_seconds.to_string())
        }
        Effect::QuotaExceeded { retry_after_seconds } => quota_exceeded(*retry_after_seconds),
        Effect::TokenError { error, description } => token_error(error, description.as_deref()),
        Effect::AccessTokenExpired => web_error(401, "The access token expired"),
        Effect::UserNotAllowlisted => user_not_allowlisted(),
        Effect::OwnerNotPremium => owner_not_premium(),
        Effect::InsufficientScope => insufficient_scope(),
        Effect::LastfmError { code, status } => crate::lastfm::error(*code, *status),
        _ => return None,
    };
    Some(answer)
}

/// Does to an answer what its service's logic had no part in.
pub(crate) fn spoil(effect: &Effect, answer: Answer) -> Answer {
    match effect {
        Effect::HtmlBody => Answer::html(answer.status, "Just a moment"),
        Effect::WrongJsonType => match serde_json::from_slice(&answer.body) {
            Ok(value) => Answer { body: retyped(value).to_string().into_bytes(), ..answer },
            Err(_) => answer,
        },
        _ => answer,
    }
}

/// The token endpoint's error body (RFC 6749 section 5.2).
pub(crate) fn token_error(error: &str, description: Option<&str>) -> Answer {
    let mut body = json!({"error": error});
    if let Some(description) = description {
        body["error_description"] = json!(description);
    }
    Answer::json(400, &body)
}

/// The Web API's error body.
pub(crate) fn web_error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"status": status, "message": message}}))
}

/// The 46 bytes that Spotify was seen to send to a listener who is not on the allow-list.
pub(crate) fn user_not_allowlisted() -> Answer {
    Answer::text(403, "User not registered in the Developer Dashboard")
}

/// The 159 bytes that Spotify was seen to send when the app's owner has no Premium.
pub(crate) fn owner_not_premium() -> Answer {
    Answer::text(
        403,
        "Active premium subscription required for the owner of the app. When the subscription status changes, \
         it can take a few hours before requests are allowed again.",
    )
}

pub(crate) fn insufficient_scope() -> Answer {
    web_error(403, "Insufficient client scope")
}

/// Spotify's 429 of the daily quota.
pub(crate) fn quota_exceeded(retry_after_seconds: Option<u64>) -> Answer {
    let body = json!({"error": {"status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED"}});
    let answer = Answer::json(429, &body);
    match retry_after_seconds {
        Some(seconds) => answer.with("retry-after", seconds.to_string()),
        None => answer,
    }
}

/// The 429 of the short kind, in each service's own words.
pub(crate) fn rate_limited(endpoint: Endpoint) -> Answer {
    match endpoint {
        Endpoint::Me | Endpoint::RecentlyPlayed => web_error(429, "API rate limit exceeded"),
        Endpoint::ListenbrainzValidate | Endpoint::ListenbrainzSubmit | Endpoint::ListenbrainzListens => {
            crate::listenbrainz::too_many_requests()
        }
        Endpoint::LastfmToken
        | Endpoint::LastfmSession
        | Endpoint::LastfmRecentTracks
        | Endpoint::LastfmUserInfo
        | Endpoint::LastfmScrobble
        | Endpoint::LastfmOther => crate::lastfm::error(29, 429),
        Endpoint::Authorize | Endpoint::Token | Endpoint::Webhook | Endpoint::Unknown => {
            Answer::text(429, "Too many requests")
        }
    }
}

fn with_form(endpoint: Endpoint, status: u16, form: BodyForm) -> Answer {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or("Error");
    match form {
        BodyForm::Json => match endpoint {
            Endpoint::Authorize | Endpoint::Token => {
                let code = if status >= 500 { "server_error" } else { "invalid_request" };
                Answer { status, ..token_error(code, Some(reason)) }
            }
            Endpoint::Me | Endpoint::RecentlyPlayed => web_error(status, reason),
            Endpoint::LastfmToken
            | Endpoint::LastfmSession
            | Endpoint::LastfmRecentTracks
            | Endpoint::LastfmUserInfo
            | Endpoint::LastfmScrobble
            | Endpoint::LastfmOther => crate::lastfm::error(if status >= 500 { 11 } else { 8 }, status),
            _ => Answer::json(status, &json!({"code": status, "error": reason})),
        },
        BodyForm::Text => Answer::text(
            status,
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        ),
        BodyForm::Html => Answer::html(status, &format!("{status} {reason}")),
        BodyForm::Empty => Answer::empty(status),
    }
}

/// The same keys, every value of another type.
fn retyped(value: Value) -> Value {
    let Value::Object(fields) = value else { return json!("not what was asked for") };
    let fields: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| {
            let other = match value {
                Value::Null => json!(0),
                Value::Bool(_) => json!("perhaps"),
                Value::Number(_) => json!("seven"),
                Value::String(_) => json!(7),
                Value::Array(_) => json!({"first": null}),
                Value::Object(_) => json!([]),
            };
            (name, other)
        })
        .collect();
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_refusals_have_the_length_that_was_seen() {
        assert_eq!(user_not_allowlisted().body.len(), 46);
        assert_eq!(owner_not_premium().body.len(), 159);
    }

    #[test]
    fn retyping_changes_every_type() {
        let changed = retyped(json!({"a": "x", "b": 1, "c": [], "d": {}, "e": null, "f": true}));
        assert_eq!(changed, json!({"a": 7, "b": "seven", "c": {"first": null}, "d": [], "e": 0, "f": "perhaps"}));
    }
}
