//! Where the operator asks for a new authorization, its message names a command. That command, word for word, mends it.

use kube::api::{Patch, PatchParams};
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewFault, Record, Rotation, TokenChange};
use scrobble_simulator::sha256;
use serde_json::json;

use super::session::{self, Connect, HUMAN, consent, human, request, visit};
use crate::accounts::tokens;
use crate::world::{CLIENT_ID, DEADLINE, World, condition};

/// The command that the message of `Ready` names.
fn named(account: &SpotifyAccount) -> String {
    named_by(account, ConditionType::Ready)
}

fn named_by(account: &SpotifyAccount, condition: ConditionType) -> String {
    let status = account.status.as_ref().unwrap();
    let message = &find_condition(&status.conditions, condition).unwrap().message;
    let command = message.split("Run: ").nth(1).unwrap_or_else(|| panic!("no command in: {message}"));
    command.to_owned()
}

/// Runs exactly the command that the account's message names, and waits until the account works again.
async fn mend(world: &World, reason: &str) -> SpotifyAccount {
    let account = world.wait_ready("alice", "False", reason).await;
    let before = tokens::held(world, "alice").await;
    let (page, ended) = Connect::as_printed(world, HUMAN, &named(&account)).await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{reason}: {page:?} {ended:?}");
    let account = world.wait_ready("alice", "True", "Succeeded").await;
    assert_ne!(tokens::held(world, "alice").await, before, "{reason}");
    let status = account.status.as_ref().unwrap();
    let asked = request(world, "alice").await;
    assert!(asked.as_ref().is_some_and(|asked| asked.parse::<jiff::Timestamp>().is_ok()), "{reason}: {asked:?}");
    assert_eq!(status.last_handled_reconcile_at, asked, "{reason}: it was asked to look");
    assert_eq!(status.failures, None, "{reason}: the failures were the previous authorization's");
    assert!(!status.authorization.as_ref().unwrap().estimated, "{reason}");
    assert_eq!(tokens::held(world, "alice").await, tokens::report(world, "alice").await.current, "{reason}");
    account
}

/// A world under one way of replacing tokens, with the operator at work and plays delivered.
async fn at_work(test: &str, rotation: Rotation) -> (World, OperatorProcess) {
    let world = tokens::world(test, rotation, 3).await;
    world.account("alice", "1s").await;
    human(&world).await;
    let operator = tokens::operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    (world, operator)
}

#[tokio::test]
async fn a_revoked_authorization_is_mended_by_the_command_that_the_message_names() {
    let (world, _operator) = at_work("connect-revoked", Rotation::Never).await;
    world.script.revoke("alice").await.unwrap();
    mend(&world, "AuthorizationRevoked").await;
    let played = world.play("alice", 2, 0).await;
    wait_until("the plays", DEADLINE, async || {
        let heard = world.listens("alice").await;
        played.iter().all(|title| heard.contains(title)).then_some(()).ok_or(format!("{heard:?}"))
    })
    .await
    .unwrap();
    // Once more, after a new authorization: nothing of the first one is in the way.
    world.script.revoke("alice").await.unwrap();
    mend(&world, "AuthorizationRevoked").await;
}

#[tokio::test]
async fn an_expired_authorization_is_mended_by_the_command_that_the_message_names() {
    let (world, _operator) = at_work("connect-expired", Rotation::Grace).await;
    world.script.change_tokens("alice", &TokenChange::ExpireRefreshTokens).await.unwrap();
    mend(&world, "AuthorizationExpired").await;
    // The lineage goes on from the new token.
    tokens::wait_for_exchanges(&world, 2).await;
    tokens::wait_until_settled(&world, "alice").await;
    tokens::assert_stored(&world, "alice").await;
}

#[tokio::test]
async fn an_interrupted_refresh_is_mended_by_the_command_that_the_message_names() {
    let (world, _operator) = at_work("connect-interrupted", Rotation::SingleUse).await;
    world.script.add_fault(&NewFault::new(Effect::CutAfter).at(Endpoint::Token).times(1)).await.unwrap();
    // The old token is tried again, and turns out to be dead.
    world.wait("alice", "the lost answer", |status| status.failures.is_some()).await;
    world.request("alice", "try again").await;
    let mended = mend(&world, "RefreshInterrupted").await;
    let authorization = mended.status.unwrap().authorization.unwrap();
    assert_eq!(authorization.scopes, ["user-read-recently-played"]);
    tokens::wait_for_exchanges(&world, 2).await;
    tokens::wait_until_settled(&world, "alice").await;
    tokens::assert_stored(&world, "alice").await;
}

#[tokio::test]
async fn a_token_that_contradicts_the_app_is_mended_by_the_command_that_the_message_names() {
    let (world, _operator) = at_work("connect-flow", Rotation::Never).await;
    tokens::put(&world, "alice", json!({"flow": "pkce"})).await;
    world.request("alice", "flow").await;
    let account = world.wait_ready("alice", "False", "ConfigurationInvalid").await;
    assert!(named(&account).starts_with("scrobble-operator connect --namespace"), "{}", named(&account));
    mend(&world, "ConfigurationInvalid").await;
}

#[tokio::test]
async fn a_sign_in_in_the_middle_of_an_exchange_wins() {
    let (world, _operator) = at_work("connect-contended", Rotation::Grace).await;
    let line = format!("scrobble-operator connect --namespace {} --account alice --no-browser", world.namespace);
    let mut running = Connect::as_printed(&world, HUMAN, &line).await.start();
    let answer = consent(&running.link().await).await;
    // Spotify has replaced the token, and its answer is on the way for longer than the sign-in takes.
    let since = world.script.last_seq().await.unwrap();
    let slow = Effect::DelayAfter { milliseconds: 4_000 };
    world.script.add_fault(&NewFault::new(slow).at(Endpoint::Token).times(1)).await.unwrap();
    wait_until("a refresh on its way", DEADLINE, async || !tokens::exchanges(&world, since).await.is_empty())
        .await
        .unwrap();
    let page = visit(&answer).await;
    let ended = running.end().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    let exchanges = tokens::exchanges(&world, since).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    // From here on every token descends from the one that the sign-in brought.
    let is_sign_in = |record: &&Record| record.facts.grant_type.as_deref() == Some("authorization_code");
    let signed_in = exchanges.iter().find(is_sign_in).unwrap();
    let new = signed_in.facts.refresh_token_issued.clone().unwrap();
    wait_until("the lineage to go on from it", DEADLINE, async || {
        let report = tokens::report(&world, "alice").await;
        let mut newest = new.clone();
        let mut steps = 0;
        while let Some(rotation) = report.rotations.iter().find(|rotation| rotation.old == newest) {
            newest.clone_from(&rotation.new);
            steps += 1;
        }
        let held = tokens::text(&world, "alice-spotify", "refresh-token").await.map(sha256);
        (steps > 1 && held == Some(newest)).then_some(()).ok_or_else(|| format!("{steps} steps, {held:?}"))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_token_before_that_is_put_back_after_a_sign_in_is_not_used() {
    let (world, _operator) = at_work("connect-put-back", Rotation::Never).await;
    let original = tokens::text(&world, "alice-spotify", "refresh-token").await.unwrap();
    world.script.revoke("alice").await.unwrap();
    mend(&world, "AuthorizationRevoked").await;
    let current = tokens::report(&world, "alice").await.current;
    // As GitOps does it.
    world.secret("alice-spotify", "token", &[("refresh-token", &original)]).await;
    world.request("alice", "put back").await;
    let seen = |status: &SpotifyAccountStatus| {
        status.authorization.as_ref().is_some_and(|known| known.put_back_time.is_some())
    };
    world.wait("alice", "the token that was put back", seen).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_eq!(tokens::report(&world, "alice").await.current, current);
    let name = tokens::state_name(&world, "alice").await;
    assert_eq!(tokens::text(&world, &name, "refresh-token").await.map(sha256), current);
}

#[tokio::test]
async fn a_first_token_is_asked_for_by_a_command_too() {
    let world = session::world("connect-first", false).await;
    let _operator = world.start().await;
    mend(&world, "SecretNotFound").await;
    // Somebody takes the token out of the Secret.
    let without = Patch::Merge(json!({"data": {"refresh-token": null}}));
    world.secrets().patch("alice-spotify", &PatchParams::default(), &without).await.unwrap();
    world.request("alice", "taken out").await;
    mend(&world, "SecretKeyMissing").await;
}

#[tokio::test]
async fn somebody_elses_token_is_mended_by_the_command_that_the_message_names() {
    let (world, _operator) = at_work("connect-mismatch", Rotation::Never).await;
    let bob = world.script.add_account(&NewAccount::new("bob", CLIENT_ID)).await.unwrap();
    world.script.sign_in(CLIENT_ID, "alice").await.unwrap();
    tokens::put(&world, "alice", json!({"refresh-token": bob.refresh_token})).await;
    world.request("alice", "somebody else's").await;
    mend(&world, "ListenerMismatch").await;
}

#[tokio::test]
async fn a_token_without_the_scope_is_mended_by_the_command_that_the_message_names() {
    let (world, _operator) = at_work("connect-scope", Rotation::Never).await;
    let narrow = TokenChange::Mint {
        client_id: None,
        scope: Some("user-read-email".to_owned()),
        flow: None,
        authorized_time: None,
    };
    let minted = world.script.change_tokens("alice", &narrow).await.unwrap().unwrap();
    tokens::put(&world, "alice", json!({"refresh-token": minted.refresh_token})).await;
    world.request("alice", "without the scope").await;
    let account = mend(&world, "ScopeInsufficient").await;
    assert_eq!(account.status.unwrap().authorization.unwrap().scopes, ["user-read-recently-played"]);
}

#[tokio::test]
async fn an_authorization_that_ends_soon_is_renewed_by_the_command_that_the_message_names() {
    let world = session::world("connect-expiring", true).await;
    let tokens = world.script.mint_tokens("alice").await.unwrap();
    let authorized = world.script.now().await.unwrap() - jiff::SignedDuration::from_hours(24 * 160);
    let keys = [("refresh-token", tokens.refresh_token.as_str()), ("authorized-at", &format!("{authorized:.0}"))];
    world.secret("alice-spotify", "token", &keys).await;
    let _operator = world.start().await;
    let shows = |reason: &'static str| {
        move |status: &SpotifyAccountStatus| condition(status, ConditionType::Authorized) == ("True", reason)
    };
    let account = world.wait("alice", "the warning", shows("AuthorizationExpiring")).await;
    let line = named_by(&account, ConditionType::Authorized);
    let (page, ended) = Connect::as_printed(&world, HUMAN, &line).await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    let account = world.wait("alice", "the renewal", shows("Succeeded")).await;
    let known = account.status.unwrap().authorization.unwrap();
    assert!(known.expiry_time.unwrap().0 > authorized + jiff::SignedDuration::from_hours(24 * 330));
}
