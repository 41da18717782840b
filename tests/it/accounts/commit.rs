//! What a commit finds that it did not expect: another token, another process's commit, a Secret that is not ours, an
//! answer that was lost.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Effect, Endpoint, NewFault, Rotation};
use serde_json::json;

use super::claim::{allow, answered};
use super::tokens::{
    assert_stored, assert_used_once, exchanges, held, operator, put, report, state_name, text, wait_until_settled,
    world,
};
use crate::world::{DEADLINE, World, condition};

async fn slow_exchange(world: &World, milliseconds: u64) {
    let slow = NewFault::new(Effect::DelayAfter { milliseconds }).at(Endpoint::Token).times(1);
    world.script.add_fault(&slow).await.unwrap();
}

#[tokio::test]
async fn a_humans_new_token_wins_over_the_exchange_of_the_old_one() {
    let world = world("human-wins", Rotation::SingleUse, 3600).await;
    world.account("alice", "1s").await;
    slow_exchange(&world, 1500).await;
    let operator = operator(&world).start().await.unwrap();
    answered(&world, 0).await;
    let minted = world.script.mint_tokens("alice").await.unwrap();
    put(&world, "alice", json!({"refresh-token": minted.refresh_token})).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_until_settled(&world, "alice").await;

    let sent = exchanges(&world, 0).await;
    assert_eq!(sent.last().unwrap().facts.refresh_token_sent.as_ref(), Some(&minted.refresh_token_sha256));
    assert_eq!(sent.len(), 2);
    assert_used_once(&report(&world, "alice").await);
    assert_stored(&world, "alice").await;
    assert!(operator.log().contains("are dropped"));
}

#[tokio::test]
async fn a_process_that_was_paused_overwrites_no_successors_commit() {
    let world = world("paused-commit", Rotation::Grace, 3600).await;
    world.account("alice", "1s").await;
    slow_exchange(&world, 1500).await;
    let mut first = operator(&world).start().await.unwrap();
    answered(&world, 0).await;
    first.pause().unwrap();
    let _second = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    let stored = held(&world, "alice").await;
    let sent = exchanges(&world, 0).await;
    assert_eq!(sent.len(), 2, "the successor tries the old token once");
    let apart = sent[1].real_time.duration_since(sent[0].real_time);
    assert!(apart.as_secs() >= 14, "after the claim's deadline and the exchange's: {apart}");

    first.resume().unwrap();
    wait_until("the first one to drop its token", DEADLINE, async || first.log().contains("are dropped").then_some(()))
        .await
        .unwrap();
    assert_eq!(held(&world, "alice").await, stored);
    assert_stored(&world, "alice").await;
}

#[tokio::test]
async fn a_state_secret_of_somebody_else_is_not_adopted_and_the_token_is_stored_all_the_same() {
    let world = world("foreign-state", Rotation::Strict, 3600).await;
    world.account("alice", "1s").await;
    let name = state_name(&world, "alice").await;
    slow_exchange(&world, 1500).await;
    let _operator = operator(&world).start().await.unwrap();
    answered(&world, 0).await;
    world.secret(&name, "state", &[("refresh-token", "planted")]).await;
    wait_until_settled(&world, "alice").await;
    assert_eq!(text(&world, &name, "refresh-token").await.as_deref(), Some("planted"));

    // From now on it stops the account before anything is sent.
    let seq = world.script.last_seq().await.unwrap();
    world.request("alice", "look again").await;
    let account = world.wait_ready("alice", "False", "SecretInvalid").await;
    assert_eq!(exchanges(&world, seq).await.len(), 0);
    assert!(account.finalizers().is_empty());
    world.secrets().delete(&name, &DeleteParams::default()).await.unwrap();
    world.request("alice", "mended").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_used_once(&report(&world, "alice").await);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_asked_for_again_at_once_and_its_claim_stays() {
    let world = world("lost-answer", Rotation::Strict, 3600).await;
    world.account("alice", "1s").await;
    world.script.add_fault(&NewFault::new(Effect::CutAfter).at(Endpoint::Token).times(1)).await.unwrap();
    let _operator = operator(&world).start().await.unwrap();
    let failed = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| status.failures.is_some();
    let status = world.wait("alice", "a failure", failed).await.status.unwrap();
    assert_eq!(exchanges(&world, 0).await.len(), 1, "not repeated in the request");
    assert!(status.failures.unwrap().next_attempt_time.is_some());
    assert!(text(&world, "alice-spotify", "scrobble-operator.claim").await.is_some());

    world.request("alice", "try again").await;
    let account = world.wait_ready("alice", "False", "RefreshInterrupted").await;
    let status = account.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", "RefreshInterrupted"));
    assert_eq!(exchanges(&world, 0).await.len(), 2);

    // A new authorization ends it.
    let minted = world.script.mint_tokens("alice").await.unwrap();
    put(&world, "alice", json!({"refresh-token": minted.refresh_token})).await;
    world.request("alice", "authorized anew").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_stored(&world, "alice").await;
}

#[tokio::test]
async fn a_token_that_is_not_stored_yet_shows_in_status() {
    let world = world("commit-pending", Rotation::Strict, 3600).await;
    world.account("alice", "1s").await;
    slow_exchange(&world, 1500).await;
    let _operator = operator(&world).start().await.unwrap();
    answered(&world, 0).await;
    allow(&world, &["get"]).await;
    let pending = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        let message = |kind| {
            scrobble_operator::api::condition::find_condition(&status.conditions, kind)
                .is_some_and(|found| found.message.contains("could not be stored yet"))
        };
        message(ConditionType::Ready) && status.failures.is_some()
    };
    world.wait("alice", "that the commit is pending", pending).await;
    assert_eq!(exchanges(&world, 0).await.len(), 1);

    allow(&world, &["get", "create", "update", "patch"]).await;
    wait_until_settled(&world, "alice").await;
    world.request("alice", "go on").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_eq!(exchanges(&world, 0).await.len(), 1, "the tokens that were stored are used");
    assert_used_once(&report(&world, "alice").await);
}

#[tokio::test]
async fn an_account_that_goes_hands_its_newest_token_to_no_secret_that_is_not_for_tokens() {
    let world = world("hand-back", Rotation::Strict, 3600).await;
    world.account("alice", "1s").await;
    let first = text(&world, "alice-spotify", "refresh-token").await.unwrap();
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_until_settled(&world, "alice").await;
    // Put back, so that the newest token is in the state Secret alone.
    put(&world, "alice", json!({"refresh-token": first})).await;
    let secrets = world.secrets();
    let label = |usage: &str| Patch::Merge(json!({"metadata": {"labels": {"scrobble-operator.io/use": usage}}}));
    secrets.patch("alice-spotify", &PatchParams::default(), &label("client")).await.unwrap();
    let before: Secret = secrets.get("alice-spotify").await.unwrap();
    let mark = world.mark().await;
    world.delete::<SpotifyAccount>("alice").await;
    wait_until("the operator to look at the Secret again and again", DEADLINE, async || {
        let entries = world.plane.audit().entries_since(mark).map_err(|error| error.to_string())?;
        let looks = entries.iter().filter(|entry| {
            entry.verb == "get" && entry.is_about("secrets") && entry.name.as_deref() == Some("alice-spotify")
        });
        let looks = looks.filter(|entry| entry.user == world.installation.user()).count();
        if looks >= 3 { Ok(()) } else { Err(format!("{looks} looks")) }
    })
    .await
    .unwrap();
    assert_eq!(secrets.get("alice-spotify").await.unwrap().data, before.data);

    secrets.patch("alice-spotify", &PatchParams::default(), &label("token")).await.unwrap();
    wait_until("the account to be gone", DEADLINE, async || {
        world.api::<SpotifyAccount>().get_opt("alice").await.unwrap().is_none()
    })
    .await
    .unwrap();
    assert_eq!(held(&world, "alice").await, report(&world, "alice").await.current);
}
