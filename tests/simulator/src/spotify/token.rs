//! `POST /api/token`: authorization code, PKCE and refresh (spotify.md section 1; RFC 6749, RFC 7636).

use jiff::Timestamp;
use serde_json::json;

use super::client::{Client, authenticate};
use super::tokens;
use crate::api::{Flow, Rotation};
use crate::call::{Answer, Visit};
use crate::clock::plus_seconds;
use crate::digest;
use crate::faults::token_error;
use crate::state::{Authorization, Death, TokenKind};

/// Seconds that an authorization code lives.
const CODE_SECONDS: i64 = 600;

/// An OAuth error and its description.
type Refusal = (&'static str, &'static str);

pub(crate) fn answer(visit: &mut Visit<'_>) -> Answer {
    if visit.call.method != http::Method::POST {
        return Answer::empty(405).with("allow", "POST");
    }
    let grant = visit.call.form("grant_type").map(ToOwned::to_owned);
    let client = match authenticate(visit.world, visit.call) {
        Ok(client) => client,
        Err(answer) => {
            visit.facts.error = serde_json::from_slice::<serde_json::Value>(&answer.body)
                .ok()
                .and_then(|body| body["error"].as_str().map(ToOwned::to_owned));
            return answer;
        }
    };
    let outcome = match grant.as_deref() {
        Some("authorization_code") => exchange_code(visit, &client),
        Some("refresh_token") => refresh(visit, &client),
        Some(_) => Err(("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")),
        None => Err(("unsupported_grant_type", "grant_type parameter is missing")),
    };
    outcome.unwrap_or_else(|(error, description)| {
        visit.facts.error = Some(error.to_owned());
        token_error(error, Some(description))
    })
}

fn exchange_code(visit: &mut Visit<'_>, client: &Client) -> Result<Answer, Refusal> {
    let now = visit.now;
    let value = visit.call.form("code").ok_or(("invalid_request", "code must be supplied"))?;
    let key = digest::sha256(value);
    let code = visit.world.codes.get(&key).filter(|code| code.client_id == client.app.client_id).cloned();
    let code = code.filter(|code| code.used.is_none()).ok_or(("invalid_grant", "Invalid authorization code"))?;
    if now >= plus_seconds(code.issued_time, CODE_SECONDS) {
        return Err(("invalid_grant", "Authorization code expired"));
    }
    let redirect_uri = visit.call.form("redirect_uri").ok_or(("invalid_request", "redirect_uri must be supplied"))?;
    if redirect_uri != code.redirect_uri {
        return Err(("invalid_grant", "Invalid redirect URI"));
    }
    match (&code.challenge, visit.call.form("code_verifier")) {
        (Some(challenge), Some(verifier)) => {
            if !is_verifier(verifier) {
                return Err(("invalid_request", "code_verifier must be 43 to 128 unreserved characters"));
            }
            if digest::challenge(verifier) != *challenge {
                return Err(("invalid_grant", "code_verifier was incorrect"));
            }
        }
        (Some(_), None) => return Err(("invalid_request", "code_verifier required")),
        (None, Some(_)) => return Err(("invalid_grant", "code_verifier without a code_challenge")),
        (None, None) if !client.proven => {
            return Err(("invalid_request", "client authentication or code_verifier required"));
        }
        (None, None) => {}
    }
    let flow = if client.proven { Flow::Confidential } else { Flow::Pkce };
    let authorization = Authorization {
        account: code.account.clone(),
        client_id: code.client_id.clone(),
        flow,
        scope: code.scope.clone(),
        // The listener consented when the code was issued, not when it was exchanged.
        authorized_time: code.issued_time,
        revoked: false,
    };
    let authorization = tokens::authorize(visit.world, authorization);
    if let Some(code) = visit.world.codes.edit(&key) {
        code.used = Some(authorization.clone());
    }
    let refresh_token = tokens::issue(visit.world, &authorization, TokenKind::Refresh, now);
    let refresh_token = refresh_token.map(|(value, sha256, _)| (value, sha256));
    success(visit, &authorization, refresh_token, now)
}

fn refresh(visit: &mut Visit<'_>, client: &Client) -> Result<Answer, Refusal> {
    const UNKNOWN: Refusal = ("invalid_grant", "Invalid refresh token");
    let now = visit.now;
    let value = visit.call.form("refresh_token").ok_or(("invalid_request", "refresh_token must be supplied"))?;
    let key = digest::sha256(value);
    let token = visit.world.tokens.get(&key).ok_or(UNKNOWN)?.clone();
    if token.kind != TokenKind::Refresh || token.client_id != client.app.client_id {
        return Err(UNKNOWN);
    }
    let flow = visit.world.authorizations.get(&token.authorization).map(|granted| granted.flow);
    if flow == Some(Flow::Confidential) && !client.proven {
        return Err(("invalid_request", "client authentication required"));
    }
    if let Some(token) = visit.world.tokens.edit(&key) {
        token.uses += 1;
        token.uses_after_replacement += u32::from(token.replaced_time.is_some());
    }
    if let Err(death) = tokens::alive(visit.world, &token, now) {
        let (rotation, _) = tokens::rotation(visit.world, &token.account, &client.app);
        if token.replaced_time.is_some()
            && rotation == Rotation::Strict
            && let Some(granted) = visit.world.authorizations.edit(&token.authorization)
        {
            granted.revoked = true;
        }
        return Err(match death {
            Death::Expired => ("invalid_grant", "Refresh token expired"),
            Death::Revoked => ("invalid_grant", "Refresh token revoked"),
        });
    }
    if let Some(token) = visit.world.tokens.edit(&key) {
        token.exchanges += 1;
    }
    let replacement = tokens::replace(visit.world, &key, &client.app, now);
    visit.facts.rotated = replacement.is_some();
    success(visit, &token.authorization, replacement, now)
}

fn success(
    visit: &mut Visit<'_>,
    authorization: &str,
    refresh_token: Option<(String, String)>,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    const LOST: Refusal = ("server_error", "the authorization is gone");
    let granted = visit.world.authorizations.get(authorization).ok_or(LOST)?.clone();
    let (access_token, sha256, _) = tokens::issue(visit.world, authorization, TokenKind::Access, now).ok_or(LOST)?;
    visit.facts.access_token_issued = Some(sha256);
    let mut body = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": tokens::access_token_seconds(visit.world, &granted),
        "scope": granted.scope,
    });
    if let Some((value, sha256)) = refresh_token {
        visit.facts.refresh_token_issued = Some(sha256);
        body["refresh_token"] = json!(value);
    }
    Ok(Answer::json(200, &body).with("cache-control", "no-store"))
}

/// RFC 7636 section 4.1.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}
