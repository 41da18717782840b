//! A service that is down for all accounts alike: one breaker opens, one request probes, and each play arrives once.

use futures::future::join_all;
use kube::api::{ListParams, Patch, PatchParams};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{
    BreakerOwner, BreakerState, ScrobbleTarget, ScrobbleTargetStatus, SpotifyAccount, SpotifyAccountStatus, TargetState,
};
use scrobble_simulator::api::{Effect, Endpoint, NewFault, Record, RecordFilter};
use serde_json::json;

use super::stage::{fast, hook, keyed, totals};
use crate::world::{DEADLINE, World, condition, ready, told};

const ACCOUNTS: usize = 16;

impl World {
    /// Waits until a target is as wanted.
    async fn wait_target(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ScrobbleTargetStatus) -> bool,
    ) -> ScrobbleTargetStatus {
        let wanted = |target: &ScrobbleTarget| target.status.as_ref().is_some_and(&wanted);
        let api = self.api::<ScrobbleTarget>();
        scrobble_harness::wait_for_object(&api, name, what, DEADLINE, wanted).await.unwrap().status.unwrap()
    }

    /// Waits until the breaker of a target has opened so often in a row.
    async fn wait_trips(&self, name: &str, trips: i32) -> ScrobbleTargetStatus {
        self.wait_target(name, &format!("{trips} trips"), |status| {
            status.circuit_breaker.as_ref().is_some_and(|breaker| breaker.trips >= trips)
        })
        .await
    }

    /// Waits until every account is as wanted.
    async fn wait_every_account(
        &self,
        what: &str,
        wanted: impl Fn(&SpotifyAccountStatus) -> bool,
    ) -> Vec<SpotifyAccountStatus> {
        wait_until(what, DEADLINE * 2, async || {
            let found = self.api::<SpotifyAccount>().list(&ListParams::default()).await.map_err(|e| e.to_string())?;
            let statuses: Vec<SpotifyAccountStatus> = found.into_iter().filter_map(|account| account.status).collect();
            let count = statuses.iter().filter(|status| wanted(status)).count();
            if count == ACCOUNTS { Ok(statuses) } else { Err(format!("{count} of {ACCOUNTS}")) }
        })
        .await
        .unwrap()
    }
}

fn is_held(status: &SpotifyAccountStatus) -> bool {
    status.targets[0].circuit_breaker_of == Some(BreakerOwner::Target) && status.targets[0].pending == 1
}

fn is_well(status: &ScrobbleTargetStatus) -> bool {
    told(&status.conditions, ConditionType::Ready) == ("True", "Succeeded")
        && status.conditions.len() == 1
        && status.circuit_breaker.is_none()
}

fn names() -> Vec<String> {
    (0..ACCOUNTS).map(|number| format!("listener-{number}")).collect()
}

/// No probe came before the time that was told before it: a tenth of a quarter of an hour early at most.
fn assert_probes_apart(probes: &[Record]) {
    for pair in probes.windows(2) {
        let wait = pair[1].time.duration_since(pair[0].time).as_secs();
        assert!(wait >= 15 * 60 * 9 / 10 - 1, "{wait} s between {pair:?}");
    }
}

#[tokio::test]
async fn sixteen_accounts_of_a_service_that_is_down_cost_it_a_handful_of_requests() {
    let world = fast("target-breaker").await;
    world.hook_target("hook").await;
    for some in names().chunks(10) {
        join_all(some.iter().map(async |name| {
            world.listening(name, "20m", json!([hook("hook", "hook")])).await;
            world.play(name, 1, 60).await;
        }))
        .await;
    }
    world.hook_answers("hook", 503).await;
    let seq = world.script.last_seq().await.unwrap();
    let mut operator = world.start().await;
    let status = world.wait_trips("hook", 1).await;
    assert_eq!(told(&status.conditions, ConditionType::Ready), ("False", "UpstreamUnavailable"));
    assert_eq!(told(&status.conditions, ConditionType::CircuitOpen), ("True", "CircuitOpen"));
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("", ""));
    assert_eq!(status.circuit_breaker.as_ref().unwrap().state, BreakerState::Open);
    for status in world.wait_every_account("everybody to be told", is_held).await {
        let entry = &status.targets[0];
        assert_eq!((entry.state, entry.reason.as_deref()), (TargetState::CircuitOpen, Some("TargetFailing")));
        assert!(entry.next_attempt_time.is_some() && entry.consecutive_failures <= 1, "{entry:?}");
        let message = entry.message.as_deref().unwrap();
        assert!(message.starts_with(&format!("ScrobbleTarget {}/hook: ", world.namespace)), "{message}");
        assert_eq!(ready(&status), ("False", "TargetFailing"));
        assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
    }
    let at_hook = RecordFilter::at(Endpoint::Webhook).since(seq);
    let opened = world.wait_trips("hook", 1).await.circuit_breaker.unwrap();
    let before = world.script.requests(&at_hook).await.unwrap();
    assert!(before.len() < 5 + opened.trips as usize, "one at a time, until the fifth: {}", before.len());

    // Killed before a probe: nothing is sent before its time.
    operator.kill().unwrap();
    let known = world.api::<ScrobbleTarget>().get("hook").await.unwrap().status.unwrap().circuit_breaker.unwrap();
    let sent = world.count(&at_hook).await;
    operator.restart().await.unwrap();
    world.wait_trips("hook", known.trips + 1).await;
    let requests = world.script.requests(&at_hook).await.unwrap();
    if sent == 5 + known.trips as usize - 1 {
        let next = known.next_probe_time.unwrap().0;
        assert!(requests[sent].time >= next, "{next} {requests:?}");
    }
    assert_probes_apart(&requests[4..]);
    let status = world.wait_trips("hook", known.trips + 1).await;
    let most = 5 + status.circuit_breaker.unwrap().trips as usize;
    assert!(world.count(&at_hook).await <= most, "{most}");

    // It is back: everybody is served, and says so in one write each.
    let mark = world.mark().await;
    world.hook_answers("hook", 204).await;
    let is_clean = |status: &SpotifyAccountStatus| totals(1, 0)(status) && ready(status) == ("True", "Succeeded");
    for status in world.wait_every_account("everybody to be served", is_clean).await {
        let entry = &status.targets[0];
        assert_eq!((entry.state, entry.consecutive_failures), (TargetState::Healthy, 0));
        assert_eq!((&entry.circuit_breaker, entry.circuit_breaker_of, &entry.message), (&None, None, &None));
    }
    world.wait_target("hook", "a target that is well", is_well).await;
    let accepted = world.accepted("hook").await;
    assert_eq!(accepted.len(), ACCOUNTS);
    assert!(accepted.iter().all(|delivery| delivery.accepted == 1 && delivery.forms.len() == 1), "{accepted:?}");
    let closing = |status: &SpotifyAccountStatus| status.targets[0].state == TargetState::Healthy;
    for name in names() {
        let statuses = world.statuses(mark, &name).await;
        assert_eq!(statuses.iter().filter(|status| closing(status)).count(), 1, "{name}: {statuses:?}");
    }
    let reasons: Vec<String> = world.events("hook").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["UpstreamUnavailable", "Succeeded"]);
}

#[tokio::test]
async fn keys_of_a_target_that_are_refused_are_found_out_by_one_request_and_taken_up_when_corrected() {
    let world = fast("target-keys").await;
    world.lastfm_target("fm", "PlayedAt", json!({})).await;
    let put = async |secret: &str| {
        let data = json!({"stringData": {"shared-secret": secret}});
        world.secrets().patch("fm-application", &PatchParams::default(), &Patch::Merge(&data)).await.unwrap();
    };
    put("not-the-shared-secret").await;
    for some in names().chunks(10) {
        join_all(some.iter().map(async |name| {
            world.lastfm_user(name).await;
            world.listening(name, "20m", json!([keyed("fm", "fm", &format!("{name}-lastfm"))])).await;
            world.play(name, 1, 60).await;
        }))
        .await;
    }
    let operator = world.start().await;
    let status = world.wait_trips("fm", 1).await;
    assert_eq!(told(&status.conditions, ConditionType::Ready), ("False", "ClientCredentialsInvalid"));
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("True", "ClientCredentialsInvalid"));
    for status in world.wait_every_account("everybody to be told", is_held).await {
        let entry = &status.targets[0];
        assert_eq!((entry.reason.as_deref(), entry.consecutive_failures), (Some("ClientCredentialsInvalid"), 0));
        assert_eq!(ready(&status), ("False", "TargetFailing"), "no listener is to blame");
        assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
    }
    let asked = world.count(&RecordFilter::at(Endpoint::LastfmUserInfo)).await;
    let scrobbled = world.count(&RecordFilter::at(Endpoint::LastfmScrobble)).await;
    println!("{asked} looks and {scrobbled} scrobbles with the wrong secret");
    let trips = world.wait_trips("fm", 1).await.circuit_breaker.unwrap().trips as usize;
    assert!(asked + scrobbled <= trips, "one request finds out, and one a probe: {asked} {scrobbled} {trips}");
    put("lastfm-shared-secret").await;
    let is_clean = |status: &SpotifyAccountStatus| totals(1, 0)(status) && ready(status) == ("True", "Succeeded");
    world.wait_every_account("everybody to be served", is_clean).await;
    world.wait_target("fm", "a target that is well", is_well).await;
    for name in names() {
        assert_eq!(world.script.scrobbles(&name).await.unwrap().len(), 1, "{name}");
    }
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn a_rate_limit_outlives_the_process_and_is_taken_back_when_it_is_over() {
    let world = fast("target-pause").await;
    for name in ["alice", "bob"] {
        world.listenbrainz(name).await;
        let entry = keyed("brainz", "listenbrainz", &format!("{name}-listenbrainz"));
        world.listening(name, "2m", json!([entry])).await;
    }
    let mut operator = world.start().await;
    let checks = RecordFilter::at(Endpoint::ListenbrainzValidate);
    world.wait_for_requests("both checks", &checks, 2).await;
    let seq = world.script.last_seq().await.unwrap();
    let limited = Effect::RateLimited { retry_after_seconds: 600 };
    let fault = NewFault::new(limited).at(Endpoint::ListenbrainzSubmit).times(1);
    world.script.add_fault(&fault).await.unwrap();
    world.play("alice", 1, 0).await;
    let limit = |status: &ScrobbleTargetStatus| status.rate_limit.is_some();
    let status = world.wait_target("listenbrainz", "the rate limit", limit).await;
    let until = status.rate_limit.unwrap().until_time.unwrap().0;
    assert_eq!(told_ready(&world).await, ("True".to_owned(), "Succeeded".to_owned()), "ten minutes are passed over");
    operator.kill().unwrap();
    world.play("bob", 1, 0).await;
    operator.restart().await.unwrap();
    for name in ["alice", "bob"] {
        world.wait(name, "the play", totals(1, 0)).await;
    }
    let requests = world.script.requests(&RecordFilter::at(Endpoint::ListenbrainzSubmit).since(seq)).await.unwrap();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[1].time >= until, "{until}: {requests:?}");
    world.wait_target("listenbrainz", "no rate limit", |status| status.rate_limit.is_none()).await;
}

async fn told_ready(world: &World) -> (String, String) {
    let status = world.api::<ScrobbleTarget>().get("listenbrainz").await.unwrap().status.unwrap();
    let (status, reason) = told(&status.conditions, ConditionType::Ready);
    (status.to_owned(), reason.to_owned())
}
