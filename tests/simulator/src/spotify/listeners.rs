//! Listeners and what happens to their tokens outside the OAuth protocol.

use jiff::Timestamp;

use super::tokens;
use crate::api::{AccountChange, AccountReport, Flow, NewAccount, TokenChange, Tokens};
use crate::control::Refusal;
use crate::digest;
use crate::state::{Authorization, Death, TokenKind, World};

/// Adds a listener who authorizes the app at once.
pub(crate) fn add(world: &mut World, new: NewAccount, now: Timestamp) -> Result<Tokens, Refusal> {
    if new.name.is_empty() || new.name.contains('/') {
        return Err(Refusal::Invalid("an account's name is not empty and has no slash".into()));
    }
    if world.accounts.contains(&new.name) {
        return Err(Refusal::Exists(format!("account {}", new.name)));
    }
    if !world.apps.contains(&new.client_id) {
        return Err(Refusal::Missing(format!("app {}", new.client_id)));
    }
    let made = digest::sha256(&new.name).chars().take(22).collect::<String>();
    let account = AccountReport {
        spotify_id: new.spotify_id.unwrap_or_else(|| new.name.clone()),
        account_id: new.account_id.unwrap_or_else(|| format!("acct{made}")),
        display_name: new.display_name.unwrap_or_else(|| new.name.clone()),
        name: new.name.clone(),
        client_id: new.client_id.clone(),
        rotation: new.rotation,
        grace_seconds: new.grace_seconds,
        access_token_seconds: new.access_token_seconds,
        allow_listed: new.allow_listed,
    };
    world.accounts.put(new.name.clone(), account);
    mint(world, &new.name, &new.client_id, new.scope, new.flow, new.authorized_time.unwrap_or(now), now)
}

/// Changes a listener.
pub(crate) fn change(world: &mut World, name: &str, change: AccountChange) -> Result<AccountReport, Refusal> {
    let account = world.accounts.edit(name).ok_or_else(|| Refusal::Missing(format!("account {name}")))?;
    if let Some(spotify_id) = change.spotify_id {
        account.spotify_id = spotify_id;
    }
    account.rotation = change.rotation.or(account.rotation);
    account.grace_seconds = change.grace_seconds.or(account.grace_seconds);
    account.access_token_seconds = change.access_token_seconds.or(account.access_token_seconds);
    account.allow_listed = change.allow_listed.unwrap_or(account.allow_listed);
    Ok(account.clone())
}

/// Does something to a listener's tokens; minting answers the new ones.
pub(crate) fn change_tokens(
    world: &mut World,
    name: &str,
    change: TokenChange,
    now: Timestamp,
) -> Result<Option<Tokens>, Refusal> {
    let account = world.accounts.get(name).ok_or_else(|| Refusal::Missing(format!("account {name}")))?;
    match change {
        TokenChange::Mint { client_id, scope, flow, authorized_time } => {
            let client_id = client_id.unwrap_or_else(|| account.client_id.clone());
            let scope = scope.unwrap_or_else(|| crate::api::READ_PLAYS.to_owned());
            return mint(world, name, &client_id, scope, flow, authorized_time.unwrap_or(now), now).map(Some);
        }
        TokenChange::Revoke => tokens::revoke(world, name),
        TokenChange::ExpireRefreshTokens => tokens::kill(world, name, TokenKind::Refresh, Death::Expired),
        TokenChange::ExpireAccessTokens => tokens::kill(world, name, TokenKind::Access, Death::Expired),
        TokenChange::RevokeAccessTokens => tokens::kill(world, name, TokenKind::Access, Death::Revoked),
    }
    Ok(None)
}

fn mint(
    world: &mut World,
    account: &str,
    client_id: &str,
    scope: String,
    flow: Option<Flow>,
    authorized_time: Timestamp,
    now: Timestamp,
) -> Result<Tokens, Refusal> {
    let app = world.apps.get(client_id).ok_or_else(|| Refusal::Missing(format!("app {client_id}")))?;
    let flow = flow.unwrap_or_else(|| tokens::usual_flow(app));
    if flow == Flow::Confidential && app.client_secret.is_none() {
        return Err(Refusal::Invalid(format!("app {client_id} has no secret: flow must be pkce")));
    }
    let authorization = Authorization {
        account: account.to_owned(),
        client_id: client_id.to_owned(),
        flow,
        scope: scope.clone(),
        authorized_time,
        revoked: false,
    };
    let lost = || Refusal::Missing("the authorization just made".into());
    let key = tokens::authorize(world, authorization);
    let (refresh_token, refresh_token_sha256, _) =
        tokens::issue(world, &key, TokenKind::Refresh, now).ok_or_else(lost)?;
    let (access_token, access_token_sha256, expiry_time) =
        tokens::issue(world, &key, TokenKind::Access, now).ok_or_else(lost)?;
    Ok(Tokens {
        account: account.to_owned(),
        client_id: client_id.to_owned(),
        refresh_token,
        refresh_token_sha256,
        access_token,
        access_token_sha256,
        expiry_time: expiry_time.unwrap_or(now),
        scope,
        authorized_time,
        flow,
    })
}
