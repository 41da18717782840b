//! The life of tokens: issuing, dying, replacing.

use jiff::Timestamp;

use crate::api::{Effect, Flow, NewApp, RefreshTokenReport, Rotation, RotationReport, TokenReport};
use crate::clock::plus_seconds;
use crate::digest;
use crate::state::{Authorization, Death, Token, TokenKind, World, numbered};

/// Records a listener's consent and says its key.
pub(crate) fn authorize(world: &mut World, authorization: Authorization) -> String {
    let key = numbered(world.next("authorizations"));
    world.authorizations.put(key.clone(), authorization);
    key
}

/// A new token of an authorization: its value, which nobody keeps, its hash and its expiry.
pub(crate) fn issue(
    world: &mut World,
    authorization: &str,
    kind: TokenKind,
    now: Timestamp,
) -> Option<(String, String, Option<Timestamp>)> {
    let granted = world.authorizations.get(authorization)?.clone();
    let (value, expiry_time) = match kind {
        // Spotify's are more than 200 characters long.
        TokenKind::Access => {
            let seconds = access_token_seconds(world, &granted);
            (digest::opaque("BQ", 186), Some(plus_seconds(now, seconds)))
        }
        TokenKind::Refresh => (digest::opaque("AQ", 98), None),
    };
    let sha256 = digest::sha256(&value);
    let number = world.next("tokens");
    let token = Token {
        kind,
        account: granted.account,
        client_id: granted.client_id,
        authorization: authorization.to_owned(),
        number,
        issued_time: now,
        expiry_time,
        death: None,
        replaced_time: None,
        uses: 0,
        exchanges: 0,
        uses_after_replacement: 0,
    };
    world.tokens.put(sha256.clone(), token);
    Some((value, sha256, expiry_time))
}

/// Seconds that an access token of this authorization lives.
pub(crate) fn access_token_seconds(world: &World, granted: &Authorization) -> i64 {
    let own = world.accounts.get(&granted.account).and_then(|account| account.access_token_seconds);
    own.or_else(|| world.apps.get(&granted.client_id).map(|app| app.access_token_seconds)).unwrap_or(3_600)
}

/// How a listener's refresh tokens are replaced, and for how many seconds a replaced one lives on under `grace`.
pub(crate) fn rotation(world: &World, account: &str, app: &NewApp) -> (Rotation, i64) {
    let own = world.accounts.get(account);
    (
        own.and_then(|account| account.rotation).unwrap_or(app.rotation),
        own.and_then(|account| account.grace_seconds).unwrap_or(app.grace_seconds),
    )
}

/// Whether a token would be accepted, and if not, what it died of.
pub(crate) fn alive(world: &World, token: &Token, now: Timestamp) -> Result<(), Death> {
    let Some(granted) = world.authorizations.get(&token.authorization) else { return Err(Death::Revoked) };
    if granted.revoked {
        return Err(Death::Revoked);
    }
    if let Some(death) = token.death {
        return Err(death);
    }
    if token.expiry_time.is_some_and(|expiry| now >= expiry) {
        // A replaced refresh token whose grace is over is revoked, as far as its owner is told.
        return Err(if token.kind == TokenKind::Access { Death::Expired } else { Death::Revoked });
    }
    let lifetime = world.apps.get(&token.client_id).and_then(|app| app.authorization_lifetime_days);
    let over = lifetime.is_some_and(|days| now >= plus_seconds(granted.authorized_time, i64::from(days) * 86_400));
    if over && token.kind == TokenKind::Refresh { Err(Death::Expired) } else { Ok(()) }
}

/// Replaces a refresh token that was just used; `None` where tokens stay.
pub(crate) fn replace(world: &mut World, old: &str, app: &NewApp, now: Timestamp) -> Option<(String, String)> {
    let token = world.tokens.get(old)?.clone();
    let (rotation, grace_seconds) = rotation(world, &token.account, app);
    if rotation == Rotation::Never {
        return None;
    }
    let (value, sha256, _) = issue(world, &token.authorization, TokenKind::Refresh, now)?;
    if let Some(token) = world.tokens.edit(old)
        && token.replaced_time.is_none()
    {
        token.replaced_time = Some(now);
        match rotation {
            Rotation::Grace => token.expiry_time = Some(plus_seconds(now, grace_seconds)),
            _ => token.death = Some(Death::Revoked),
        }
    }
    Some((value, sha256))
}

/// Removes every consent of a listener.
pub(crate) fn revoke(world: &mut World, account: &str) {
    world.authorizations.edit_where(|granted| granted.account == account, |granted| granted.revoked = true);
}

/// Kills a listener's tokens of one kind.
pub(crate) fn kill(world: &mut World, account: &str, kind: TokenKind, death: Death) {
    world.tokens.edit_where(
        |token| token.account == account && token.kind == kind && token.death.is_none(),
        |token| token.death = Some(death),
    );
}

/// What is known of a listener's refresh tokens.
pub(crate) fn report(world: &World, account: &str, now: Timestamp) -> TokenReport {
    let mut tokens: Vec<(&String, &Token)> =
        world.tokens.iter().filter(|(_, token)| token.account == account && token.kind == TokenKind::Refresh).collect();
    tokens.sort_by_key(|(_, token)| token.number);
    let refresh_tokens: Vec<RefreshTokenReport> = tokens
        .into_iter()
        .map(|(sha256, token)| RefreshTokenReport {
            sha256: sha256.clone(),
            client_id: token.client_id.clone(),
            issued_time: token.issued_time,
            valid: alive(world, token, now).is_ok(),
            uses: token.uses,
            exchanges: token.exchanges,
            uses_after_replacement: token.uses_after_replacement,
            replaced_time: token.replaced_time,
        })
        .collect();
    let valid: Vec<String> =
        refresh_tokens.iter().filter(|token| token.valid).map(|token| token.sha256.clone()).collect();
    let reused = refresh_tokens.iter().filter(|token| token.uses_after_replacement > 0);
    TokenReport {
        current: valid.last().cloned(),
        valid,
        reused: reused.map(|token| token.sha256.clone()).collect(),
        rotations: rotations(world, account),
        refresh_tokens,
    }
}

fn rotations(world: &World, account: &str) -> Vec<RotationReport> {
    let records = world.records.values();
    let rotated = records.filter(|record| record.facts.rotated && record.account.as_deref() == Some(account));
    rotated
        .map(|record| RotationReport {
            seq: record.seq,
            time: record.time,
            real_time: record.real_time,
            old: record.facts.refresh_token_sent.clone().unwrap_or_default(),
            new: record.facts.refresh_token_issued.clone().unwrap_or_default(),
            answered: record.status.is_some() && !record.fault.as_ref().is_some_and(spoils),
        })
        .collect()
}

fn spoils(effect: &Effect) -> bool {
    matches!(effect, Effect::TruncatedBody | Effect::HtmlBody | Effect::OversizedBody { .. } | Effect::WrongJsonType)
}

/// The flow that an app's tokens come from unless told.
pub(crate) fn usual_flow(app: &NewApp) -> Flow {
    if app.client_secret.is_some() { Flow::Confidential } else { Flow::Pkce }
}
