//! A leader that is paused past its Lease, and goes on when another one has long taken over.

use scrobble_harness::wait_until;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{RecordFilter, Rotation, TokenReport};

use super::election::{SHORT, elected, wait_on_duty};
use super::stages::{Member, OUT_AFTER, OUT_BEFORE, Stages};
use super::tokens::{app, assert_stored, held, report, text, wait_until_settled};
use crate::world::{DEADLINE, World, ready};

/// Every step of a refresh, in their order.
const STEPS: [&str; 11] = [
    "begun",
    "loaded",
    "claimed",
    "sending",
    OUT_BEFORE,
    OUT_AFTER,
    "exchanged",
    "state-stored",
    "committed",
    "finalized",
    "recorded",
];
/// Between the request's leaving and the first place where the answer is safe.
const IN_DANGER: [&str; 3] = [OUT_BEFORE, OUT_AFTER, "exchanged"];

#[tokio::test]
async fn a_leader_paused_at_any_step_and_resumed_uses_no_token_twice_but_one_that_was_on_its_way() {
    let world = World::with_app("pauses", app(Rotation::Never, 3600)).await;
    let stages = Stages::create(&world, &STEPS, 3600).await;
    // Long enough to reach every step on a machine that is busy.
    let mut first = stages.hold(&world, elected(&world, ["9s", "6s", "500ms"]), &[]).await.start().await.unwrap();
    stages.wait(&world, &first).await;
    first.pause().unwrap();
    let second = elected(&world, SHORT).flag("concurrency", "100").start().await.unwrap();
    wait_on_duty(&second).await;
    let lost =
        |member: &Member| member.is_at(&IN_DANGER) && matches!(member.policy, Rotation::SingleUse | Rotation::Strict);
    let mut told = Vec::new();
    for member in &stages.members {
        let wanted = if lost(member) { ("False", "RefreshInterrupted") } else { ("True", "Succeeded") };
        let account = world.wait_ready(&member.name, wanted.0, wanted.1).await;
        if lost(member) {
            let status = account.status.unwrap();
            let message = interruption(&status);
            let command =
                format!("scrobble-operator connect --namespace {} --account {}", world.namespace, member.name);
            assert!(message.contains("cut off at 20") && message.contains(&command), "{}: {message}", member.name);
            told.push((member.clone(), status));
        } else {
            wait_until_settled(&world, &member.name).await;
        }
    }

    let (seq, mark) = (world.script.last_seq().await.unwrap(), world.mark().await);
    stages.open();
    first.resume().unwrap();
    let ended = first.wait(DEADLINE).await.unwrap();
    assert!(!ended.success(), "{ended}");
    assert!(first.log().contains("Lease was lost"));
    // Nothing but tokens on their way to a Secret: no request to anybody, and no status. The second one may look at the
    // accounts whose token comes back at once.
    let looked_at = |name: &str| told.iter().any(|(member, _)| member.name == name);
    let mut requests = world.script.requests(&RecordFilter::default().since(seq)).await.unwrap();
    requests.retain(|request| request.account.as_deref().is_none_or(|account| !looked_at(account)));
    assert_eq!(requests, []);
    for write in world.writes(mark).await {
        let finalizer = write.is_about("spotifyaccounts") && write.verb == "patch";
        let allowed = write.is_about("secrets") || finalizer || write.name.as_deref().is_some_and(looked_at);
        assert!(allowed, "{} {}", write.verb, write.uri);
    }

    let mut twice: Vec<String> = Vec::new();
    for member in &stages.members {
        let tokens = report(&world, &member.name).await;
        twice.extend(used_twice(&tokens).map(|_| member.name.clone()));
        let interrupted = told.iter().find(|(other, _)| other.name == member.name);
        match interrupted {
            None => is_well(&world, member).await,
            Some((_, status)) => has_its_token_back(&world, member, status).await,
        }
    }
    let expected: Vec<String> =
        stages.members.iter().filter(|member| member.is_at(&IN_DANGER)).map(|member| member.name.clone()).collect();
    assert_eq!(twice, expected, "used twice");
    println!("{} accounts paused at {} steps; used twice: {twice:?}", stages.members.len(), STEPS.len());
}

/// Refresh tokens that were sent more than once.
fn used_twice(tokens: &TokenReport) -> impl Iterator<Item = &str> {
    tokens.refresh_tokens.iter().filter(|token| token.uses > 1).map(|token| token.sha256.as_str())
}

fn interruption(status: &SpotifyAccountStatus) -> String {
    find_condition(&status.conditions, ConditionType::Authorized).unwrap().message.clone()
}

/// Nothing is lost, nothing is open, nothing is said.
async fn is_well(world: &World, member: &Member) {
    let name = &member.name;
    assert_stored(world, name).await;
    assert_eq!(text(world, &format!("{name}-spotify"), "scrobble-operator.claim").await, None, "{name}");
    let account: SpotifyAccount = world.api().get(name).await.unwrap();
    let status = account.status.unwrap();
    assert_eq!(ready(&status), ("True", "Succeeded"), "{name}");
    assert_eq!(status.failures, None, "{name}");
    let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(kinds, ["Ready", "Authorized", "Synced"], "{name}");
    let tokens = report(world, name).await;
    let reused = usize::from(member.policy == Rotation::Grace && member.is_at(&IN_DANGER));
    assert_eq!(tokens.reused.len(), reused, "{name}: {:?}", tokens.reused);
}

/// The second one found the old token dead, and the first one has stored the new one since.
async fn has_its_token_back(world: &World, member: &Member, told: &SpotifyAccountStatus) {
    let name = &member.name;
    let before = told.authorization.as_ref().and_then(|known| known.refused_token_id.clone());
    let tokens = report(world, name).await;
    assert_eq!(tokens.reused, [tokens.rotations[0].old.clone()], "{name}");
    assert_eq!(held(world, name).await.as_ref(), Some(&tokens.rotations[0].new), "{name}");
    if member.policy == Rotation::SingleUse {
        world.wait_ready(name, "True", "Succeeded").await;
        wait_until_settled(world, name).await;
        assert_stored(world, name).await;
        return;
    }
    // Its reuse has revoked the whole authorization: still what happened, and still for the listener to mend.
    wait_until(&format!("the token of {name} to be tried"), DEADLINE, async || {
        let tried = report(world, name)
            .await
            .refresh_tokens
            .into_iter()
            .any(|token| token.sha256 == tokens.rotations[0].new && token.uses == 1);
        tried.then_some(())
    })
    .await
    .unwrap();
    world
        .wait(name, "that it is known", |status| {
            let known = status.authorization.as_ref().and_then(|known| known.refused_token_id.as_ref());
            known.is_some() && known != before.as_ref()
        })
        .await;
    let account = world.wait_ready(name, "False", "RefreshInterrupted").await;
    assert_eq!(interruption(account.status.as_ref().unwrap()), interruption(told), "{name}");
    assert_eq!(report(world, name).await.current, None, "{name}");
    assert_eq!(held(world, name).await.as_ref(), Some(&tokens.rotations[0].new), "nothing deletes a token");
}
