//! What every call of the Web API goes through: the token, the app's owner, the allow-list, the limits.

use jiff::Timestamp;

use super::tokens;
use crate::api::Endpoint;
use crate::call::{Answer, Visit};
use crate::clock::plus_seconds;
use crate::digest;
use crate::faults;
use crate::state::{Death, TokenKind};

/// The window of the rate limit in seconds.
const RATE_WINDOW: i64 = 30;
/// The window of the daily quota in seconds.
const QUOTA_WINDOW: i64 = 86_400;

/// Who may go on: the listener's name and the granted scope.
pub(crate) struct Admitted {
    pub account: String,
    pub scope: String,
}

/// Lets a call through or says why not.
pub(crate) fn admit(visit: &mut Visit<'_>, endpoint: Endpoint) -> Result<Admitted, Answer> {
    if visit.call.method != http::Method::GET {
        return Err(faults::web_error(405, "Method not allowed"));
    }
    let value = match (visit.call.header("authorization"), visit.call.credentials("bearer")) {
        (None, _) => return Err(faults::web_error(401, "No token provided")),
        (Some(_), None) => return Err(faults::web_error(400, "Only valid bearer authentication supported")),
        (Some(_), Some(value)) => value,
    };
    let token = visit.world.tokens.get(&digest::sha256(value)).filter(|token| token.kind == TokenKind::Access);
    let Some(token) = token.cloned() else { return Err(faults::web_error(401, "Invalid access token")) };
    tokens::alive(visit.world, &token, visit.now).map_err(|death| match death {
        Death::Expired => faults::web_error(401, "The access token expired"),
        Death::Revoked => faults::web_error(401, "Invalid access token"),
    })?;
    if let Some(app) = visit.world.apps.get(&token.client_id).cloned() {
        let client = format!("spotify-rate/{}", app.client_id);
        limit(visit, &client, app.requests_per_30_seconds, RATE_WINDOW)
            .map_err(|wait| faults::rate_limited(endpoint).with("retry-after", wait.to_string()))?;
        let developer = format!("spotify-quota/{}", app.developer.unwrap_or(app.client_id));
        limit(visit, &developer, app.daily_quota, QUOTA_WINDOW).map_err(|wait| faults::quota_exceeded(Some(wait)))?;
        if !app.owner_premium {
            return Err(faults::owner_not_premium());
        }
    }
    if visit.world.accounts.get(&token.account).is_some_and(|account| !account.allow_listed) {
        return Err(faults::user_not_allowlisted());
    }
    let scope = visit.world.authorizations.get(&token.authorization).map(|granted| granted.scope.clone());
    Ok(Admitted { account: token.account, scope: scope.unwrap_or_default() })
}

/// Counts a call in a rolling window, or says in how many whole seconds there is room for one.
fn limit(visit: &mut Visit<'_>, bucket: &str, most: Option<u32>, window: i64) -> Result<(), u64> {
    let Some(most) = most else { return Ok(()) };
    let now = visit.now;
    let mut row = visit.world.buckets.get(bucket).cloned().unwrap_or_default();
    row.times.retain(|time| plus_seconds(*time, window) > now);
    if row.times.len() < most as usize {
        row.times.push(now);
        visit.world.buckets.put(bucket, row);
        return Ok(());
    }
    let wait = row.times.first().map_or(window, |oldest: &Timestamp| {
        let free = plus_seconds(*oldest, window).duration_since(now);
        free.as_secs() + 1
    });
    Err(wait.unsigned_abs())
}
