//! Last.fm's API 2.0 (services.md section 2.1).

mod auth;
mod recent_tracks;
mod scrobble;
mod user_info;
mod xml;

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::api::{Endpoint, LastfmApp};
use crate::call::{Answer, Call, Visit};
use crate::digest;
use crate::faults::Caller;
use crate::state::World;

pub(crate) use auth::allow;

/// A refusal by Last.fm's number.
pub(crate) type Refusal = u32;

const INVALID_METHOD: Refusal = 3;
const AUTHENTICATION_FAILED: Refusal = 4;
const INVALID_PARAMETERS: Refusal = 6;
const INVALID_SESSION_KEY: Refusal = 9;
const INVALID_API_KEY: Refusal = 10;
const INVALID_SIGNATURE: Refusal = 13;
const TOKEN_NOT_AUTHORIZED: Refusal = 14;
const TOKEN_EXPIRED: Refusal = 15;
const KEY_SUSPENDED: Refusal = 26;

/// A parameter, from the body of a POST or the query of a GET.
pub(crate) fn parameter<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.form(name).or_else(|| call.query(name))
}

/// Who is calling: the session's user or the user asked about, and the API key.
pub(crate) fn caller(world: &World, call: &Call) -> Caller {
    let session = parameter(call, "sk").and_then(|key| session_user(world, key));
    let token = || parameter(call, "token").and_then(|token| world.lastfm_tokens.get(&digest::sha256(token)));
    let account = session.or_else(|| token()?.user.clone());
    Caller {
        account: account.or_else(|| parameter(call, "user").map(ToOwned::to_owned)),
        client_id: parameter(call, "api_key").map(ToOwned::to_owned),
    }
}

/// The user of a session key.
fn session_user(world: &World, key: &str) -> Option<String> {
    world.lastfm_sessions.get(&digest::sha256(key)).cloned()
}

/// An error in JSON.
pub(crate) fn error(code: u32, status: u16) -> Answer {
    Answer::json(status, &json!({"error": code, "message": message(code)}))
}

pub(crate) fn answer(endpoint: Endpoint, visit: &mut Visit<'_>) -> Answer {
    if visit.call.segments.get(1).is_some_and(|part| part == "api") {
        return auth::page(visit);
    }
    let outcome = app(visit).and_then(|app| {
        let result = match endpoint {
            Endpoint::LastfmToken => auth::token(visit, &app),
            Endpoint::LastfmSession => auth::session(visit, &app),
            Endpoint::LastfmRecentTracks => recent_tracks::answer(visit, &app),
            Endpoint::LastfmUserInfo => user_info::answer(visit, &app),
            Endpoint::LastfmScrobble => scrobble::answer(visit, &app),
            _ => Err(INVALID_METHOD),
        };
        result.map_err(|code| (code, app.errors_with_200))
    });
    let as_json = parameter(visit.call, "format") == Some("json");
    match outcome {
        Ok(body) if as_json => Answer::json(200, &body),
        Ok(body) => xml::success(&body),
        Err((code, with_200)) => {
            visit.facts.error = Some(code.to_string());
            let status = if with_200 { 200 } else { usual_status(code) };
            if as_json { error(code, status) } else { xml::failure(status, code, message(code)) }
        }
    }
}

/// The application whose key a request carries.
fn app(visit: &Visit<'_>) -> Result<LastfmApp, (Refusal, bool)> {
    let key = parameter(visit.call, "api_key").ok_or((INVALID_API_KEY, false))?;
    let app = visit.world.lastfm_apps.get(key).ok_or((INVALID_API_KEY, false))?;
    if app.suspended { Err((KEY_SUSPENDED, app.errors_with_200)) } else { Ok(app.clone()) }
}

/// Parameters of a call for a session, its signature checked: all in the body of a POST, none given twice.
fn signed(visit: &Visit<'_>, app: &LastfmApp) -> Result<BTreeMap<String, String>, Refusal> {
    let pairs = if visit.call.method == http::Method::POST { &visit.call.form } else { &visit.call.query };
    let parameters: BTreeMap<String, String> = pairs.iter().cloned().collect();
    let sent = parameters.get("api_sig").ok_or(INVALID_SIGNATURE)?;
    if parameters.len() == pairs.len() && sent.eq_ignore_ascii_case(&signature(&parameters, &app.shared_secret)) {
        Ok(parameters)
    } else {
        Err(INVALID_SIGNATURE)
    }
}

/// The user of the session that a call carries which does not need one; a call that carries one is signed.
fn session(visit: &Visit<'_>, app: &LastfmApp) -> Result<Option<String>, Refusal> {
    let Some(key) = parameter(visit.call, "sk") else { return Ok(None) };
    signed(visit, app)?;
    session_user(visit.world, key).map(Some).ok_or(INVALID_SESSION_KEY)
}

/// MD5 over every name and value in the byte order of the names, then the secret; without `format`, `callback` and
/// the signature itself.
pub(crate) fn signature(parameters: &BTreeMap<String, String>, shared_secret: &str) -> String {
    let mut hash = Md5::new();
    let counted = parameters.iter().filter(|(name, _)| !matches!(name.as_str(), "format" | "callback" | "api_sig"));
    for (name, value) in counted {
        hash.update(name.as_bytes());
        hash.update(value.as_bytes());
    }
    hash.update(shared_secret.as_bytes());
    digest::hexadecimal(&hash.finalize())
}

fn message(code: u32) -> &'static str {
    match code {
        2 => "Invalid service - This service does not exist",
        3 => "Invalid Method - No method with that name in this package",
        4 => "Authentication Failed - You do not have permissions to access the service",
        5 => "Invalid format - This service doesn't exist in that format",
        6 => "Invalid parameters - Your request is missing a required parameter",
        7 => "Invalid resource specified",
        8 => "Operation failed - Something else went wrong",
        9 => "Invalid session key - Please re-authenticate",
        10 => "Invalid API key - You must be granted a valid key by last.fm",
        11 => "Service Offline - This service is temporarily offline. Try again later.",
        13 => "Invalid method signature supplied",
        14 => "Unauthorized Token - This token has not been authorized",
        15 => "This token has expired",
        16 => "There was a temporary error processing your request. Please try again",
        26 => "Suspended API key - Access for your account has been suspended, please contact Last.fm",
        29 => "Rate limit exceeded - Your IP has made too many requests in a short period",
        _ => "Error",
    }
}

fn usual_status(code: u32) -> u16 {
    match code {
        4 | 9 | 10 | 13 | 14 | 15 | 26 => 403,
        7 => 404,
        8 | 11 | 16 => 500,
        29 => 429,
        _ => 400,
    }
}

/// Whether a value was left out or empty, which Last.fm treats alike.
fn given<'a>(parameters: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// One or many, as Last.fm's JSON has it: a list of one is the thing itself.
fn one_or_many(mut entries: Vec<Value>) -> Value {
    match entries.pop() {
        Some(only) if entries.is_empty() => only,
        Some(last) => {
            entries.push(last);
            Value::Array(entries)
        }
        None => Value::Array(entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_signed_in_byte_order_and_some_not_at_all() {
        let pairs = [("artist[10]", "b"), ("artist[1]", "a"), ("format", "json"), ("api_sig", "?"), ("callback", "c")];
        let parameters = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let expected = digest::hexadecimal(&Md5::digest(b"artist[10]bartist[1]asecret"));
        assert_eq!(signature(&parameters, "secret"), expected);
    }
}
