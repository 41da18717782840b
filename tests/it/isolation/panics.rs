//! A panic is told on the object it is about, with its place, and backed off; nobody else hears of it.

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use scrobble_harness::{OperatorProcess, wait_for_object, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{
    FailureType, ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, SpotifyApp,
};
use scrobble_simulator::api::{NewAccount, NewApp, Rotation};
use serde_json::json;

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, condition, ready};

/// Where failpoints panic.
const PLACE: &str = "a fault of the operator at src/reconcile/failpoint.rs:";
const INTERNAL: &str = "InternalError";

async fn start(world: &World, failpoints: &str) -> OperatorProcess {
    world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", failpoints).start().await.unwrap()
}

fn panicked(times: i32) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| {
        let failures = status.failures.clone().unwrap_or_default();
        (failures.last_reason.as_deref(), failures.consecutive) == (Some(INTERNAL), times)
    }
}

fn panics(log: &str) -> usize {
    log.lines().filter(|line| line.contains("the operator panicked")).count()
}

#[tokio::test]
async fn a_panic_is_told_on_its_account_and_backed_off() {
    // A minute takes six seconds.
    let world = World::at_rate("panic", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 10).await;
    world.account("alice", "1m").await;
    world.account("bob", "1m").await;
    let mut operator = start(&world, "panic:begun@alice#1,panic:begun@alice#2,panic:begun@alice#3").await;
    let status = world.wait("alice", "a panic", panicked(1)).await.status.unwrap();
    for kind in [ConditionType::Ready, ConditionType::Synced] {
        assert_eq!(condition(&status, kind), ("False", INTERNAL));
    }
    assert_eq!(condition(&status, ConditionType::Stalled), ("", ""), "nobody has to act");
    let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
    assert!(message.starts_with(PLACE) && message.contains("please report it"), "{message}");
    let failures = status.failures.unwrap();
    assert_eq!(failures.last_type, Some(FailureType::Unknown));
    wait_until("the Event", DEADLINE, async || {
        let events = world.events("alice").await;
        let told = events.iter().any(|(reason, note)| reason == INTERNAL && note.starts_with(PLACE));
        if told { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await
    .unwrap();

    // Whoever asks gets one try at once; the next is as far away as after any failure.
    world.request("alice", "now").await;
    let status = world.wait("alice", "a second panic", panicked(2)).await.status.unwrap();
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(panics(&operator.log()), 2, "no more than these two");

    // A restart hurries nothing.
    operator.kill().unwrap();
    let mark = world.mark().await;
    operator.restart().await.unwrap();
    world.wait_ready("bob", "True", "Succeeded").await;
    let next = status.failures.unwrap().next_attempt_time.unwrap().0;
    world.wait("alice", "a third panic", panicked(3)).await;
    assert!(world.script.now().await.unwrap() >= next);

    // One write clears it all.
    operator.kill().unwrap();
    let calm = world.start().await;
    world.request("alice", "again").await;
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!(status.failures, None);
    let told = world.statuses(mark, "alice").await;
    let cleared = |status: &&SpotifyAccountStatus| status.failures.is_none() || ready(status).0 == "True";
    assert!(told.iter().filter(cleared).all(|status| status.failures.is_none() && ready(status).0 == "True"));
    assert_eq!(panics(&calm.log()), 0);
    let status = world.wait_ready("bob", "True", "Succeeded").await.status.unwrap();
    assert!(status.failures.is_none() && status.history.iter().all(|entry| entry.reason == "Succeeded"));
    assert!(!operator.log().contains("planted-panic-message"));
}

#[tokio::test]
async fn a_panic_between_the_answer_and_the_end_of_its_commit_loses_no_token() {
    let app = NewApp { access_token_seconds: 3600, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::with_app("panic-tokens", app).await;
    let points = ["exchanged", "state-stored", "committed", "finalized"];
    for point in points {
        let account = NewAccount { rotation: Some(Rotation::SingleUse), ..NewAccount::new(point, CLIENT_ID) };
        world.listener_as(account).await;
        world.listenbrainz(point).await;
        let mut spec = world.spec(point, "1h");
        spec["targets"] = json!([spec["targets"][0]]);
        world.create::<SpotifyAccount>("SpotifyAccount", point, &spec).await;
    }
    let failpoints: Vec<String> = points.iter().map(|point| format!("panic:{point}@{point}")).collect();
    let operator = start(&world, &failpoints.join(",")).await;
    for point in points {
        let status = world.wait(point, "a panic", panicked(1)).await.status.unwrap();
        let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
        assert!(message.starts_with(PLACE), "{point}: {message}");
        world.request(point, "now").await;
    }
    for point in points {
        world.wait_ready(point, "True", "Succeeded").await;
        let tokens = world.script.tokens(point).await.unwrap();
        assert_eq!(tokens.rotations.len(), 1, "{point}: what came of the first exchange is in use");
        assert!(tokens.refresh_tokens.iter().all(|token| token.uses <= 1), "{point}: {tokens:?}");
    }
    assert_eq!(panics(&operator.log()), points.len());
}

#[tokio::test]
async fn a_panic_over_another_object_is_told_on_it_and_stops_no_account() {
    let world = World::new("panic-objects").await;
    world.account("alice", "2s").await;
    let plans: Api<ScrobblePlan> = Api::all(world.client.clone());
    let plan_name = format!("plan-of-{}", world.namespace);
    let plan = json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobblePlan", "metadata": {"name": plan_name}, "spec": {},
    });
    plans.create(&PostParams::default(), &serde_json::from_value(plan).unwrap()).await.unwrap();
    let operator = start(&world, &format!("panic:app@main,panic:target@hook,panic:plan@{plan_name}")).await;
    let is = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition], status: &str, reason: &str| {
        let ready = find_condition(conditions, ConditionType::Ready);
        ready.is_some_and(|ready| {
            (ready.status.as_str(), ready.reason.as_str()) == (status, reason)
                && (reason != INTERNAL || ready.message.starts_with(PLACE))
        })
    };
    let app = |status: &'static str, reason: &'static str| {
        move |app: &SpotifyApp| app.status.as_ref().is_some_and(|known| is(&known.conditions, status, reason))
    };
    let target = |status: &'static str, reason: &'static str| {
        move |target: &ScrobbleTarget| target.status.as_ref().is_some_and(|known| is(&known.conditions, status, reason))
    };
    let plan = |status: &'static str, reason: &'static str| {
        move |plan: &ScrobblePlan| plan.status.as_ref().is_some_and(|known| is(&known.conditions, status, reason))
    };
    let (apps, targets) = (world.api::<SpotifyApp>(), world.api::<ScrobbleTarget>());
    wait_for_object(&apps, "main", INTERNAL, DEADLINE, app("False", INTERNAL)).await.unwrap();
    wait_for_object(&targets, "hook", INTERNAL, DEADLINE, target("False", INTERNAL)).await.unwrap();
    wait_for_object(&plans, &plan_name, INTERNAL, DEADLINE, plan("False", INTERNAL)).await.unwrap();
    world.play("alice", 1, 0).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.wait_for_reads("alice", 0, 3).await;

    // A change is looked at at once.
    world.patch::<SpotifyApp>("main", json!({"spec": {"quota": {"dailyCalls": 0}}})).await;
    world.patch::<ScrobbleTarget>("hook", json!({"spec": {"circuitBreaker": {"failureThreshold": 7}}})).await;
    let seats = Patch::Merge(json!({"spec": {"seats": 7}}));
    plans.patch(&plan_name, &PatchParams::default(), &seats).await.unwrap();
    wait_for_object(&apps, "main", "Succeeded", DEADLINE, app("True", "Succeeded")).await.unwrap();
    wait_for_object(&targets, "hook", "Succeeded", DEADLINE, target("True", "Succeeded")).await.unwrap();
    wait_for_object(&plans, &plan_name, "Succeeded", DEADLINE, plan("True", "Succeeded")).await.unwrap();
    wait_until("three panics", DEADLINE, async || (panics(&operator.log()) == 3).then_some(())).await.unwrap();
}
