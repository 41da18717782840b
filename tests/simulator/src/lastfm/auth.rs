//! Signing in without a callback: a token, a page where the user allows it, a session.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    AUTHENTICATION_FAILED, INVALID_PARAMETERS, Refusal, TOKEN_EXPIRED, TOKEN_NOT_AUTHORIZED, given, parameter, signed,
};
use crate::api::LastfmApp;
use crate::call::{Answer, Visit};
use crate::clock::plus_seconds;
use crate::digest;
use crate::state::{LastfmToken, World};

/// Seconds that a token lives.
const TOKEN_SECONDS: i64 = 3_600;

pub(crate) fn token(visit: &mut Visit<'_>, app: &LastfmApp) -> Result<Value, Refusal> {
    signed(visit, app)?;
    let value = digest::opaque("", 24);
    let token = LastfmToken { api_key: app.api_key.clone(), issued_time: visit.now, user: None, used: false };
    visit.world.lastfm_tokens.put(digest::sha256(&value), token);
    Ok(json!({"token": value}))
}

pub(crate) fn session(visit: &mut Visit<'_>, app: &LastfmApp) -> Result<Value, Refusal> {
    let parameters = signed(visit, app)?;
    let key = digest::sha256(given(&parameters, "token").ok_or(INVALID_PARAMETERS)?);
    let now = visit.now;
    let token = visit.world.lastfm_tokens.edit(&key).filter(|token| token.api_key == app.api_key && !token.used);
    let token = token.ok_or(AUTHENTICATION_FAILED)?;
    if is_over(token, now) {
        return Err(TOKEN_EXPIRED);
    }
    let user = token.user.clone().ok_or(TOKEN_NOT_AUTHORIZED)?;
    token.used = true;
    let session_key = digest::opaque("", 24);
    visit.world.lastfm_sessions.put(digest::sha256(&session_key), user.clone());
    Ok(json!({"session": {"name": user, "key": session_key, "subscriber": 0}}))
}

/// The page that a user opens: `?api_key=&token=`, here with `&user=` in place of a cookie.
pub(crate) fn page(visit: &mut Visit<'_>) -> Answer {
    let (Some(token), Some(user)) = (parameter(visit.call, "token"), parameter(visit.call, "user")) else {
        return Answer::html(400, "token and user are needed");
    };
    match allow(visit.world, token, user, visit.now) {
        Ok(()) => Answer::html(200, "You have allowed the application"),
        Err(_) => Answer::html(403, "Invalid token"),
    }
}

/// The user allows the application that holds a token.
pub(crate) fn allow(world: &mut World, token: &str, user: &str, now: Timestamp) -> Result<(), Refusal> {
    if !world.lastfm_users.contains(user) {
        return Err(INVALID_PARAMETERS);
    }
    let token = world.lastfm_tokens.edit(&digest::sha256(token)).ok_or(AUTHENTICATION_FAILED)?;
    if is_over(token, now) {
        return Err(TOKEN_EXPIRED);
    }
    token.user = Some(user.to_owned());
    Ok(())
}

fn is_over(token: &LastfmToken, now: Timestamp) -> bool {
    now >= plus_seconds(token.issued_time, TOKEN_SECONDS)
}
