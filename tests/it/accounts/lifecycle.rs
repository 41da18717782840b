//! What an account's owner does with it: start times, pausing, asking, changing, and leaving.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter, Rotation};
use scrobble_simulator::sha256;
use serde_json::json;

use crate::world::{CLIENT_ID, DEADLINE, World, condition};

fn sent(count: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
}

fn read(status: &SpotifyAccountStatus) -> bool {
    status.sync.as_ref().is_some_and(|sync| sync.last_sync_time.is_some())
}

impl World {
    /// An account that reads once a day, with a start time, and 10 plays heard 1, 2, … minutes ago; answers their titles,
    /// newest first.
    async fn starting(&self, name: &str, ago: i64) -> Vec<String> {
        self.listener(name).await;
        self.listenbrainz(name).await;
        let plays = self.play(name, 10, 60).await;
        let mut spec = self.spec(name, "24h");
        let start = self.script.now().await.unwrap() - SignedDuration::from_secs(ago);
        spec["sync"]["startTime"] = json!(start);
        spec["targets"] = json!([spec["targets"][0]]);
        self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
        plays
    }

    async fn reads(&self, name: &str) -> usize {
        self.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(name)).await.unwrap().len()
    }

    async fn is_gone(&self, name: &str, patience: Duration) {
        let accounts = self.api::<SpotifyAccount>();
        let gone = async || accounts.get_opt(name).await.is_ok_and(|found| found.is_none());
        wait_until(&format!("{name} to be gone"), patience, gone).await.unwrap();
    }

    async fn refresh_token(&self, secret: &str) -> String {
        let data: BTreeMap<String, ByteString> = self.secrets().get(secret).await.unwrap().data.unwrap();
        String::from_utf8(data["refresh-token"].0.clone()).unwrap()
    }
}

fn oldest_first(plays: &[String]) -> Vec<String> {
    let mut plays = plays.to_vec();
    plays.sort();
    plays
}

#[tokio::test]
async fn plays_before_the_start_time_are_left_alone_until_it_is_moved() {
    let world = World::new("start-time").await;
    let all = world.starting("past", 3600).await;
    let some = world.starting("between", 5 * 60 + 30).await;
    world.starting("future", -3600).await;
    let _operator = world.start().await;

    world.wait("past", "ten deliveries", sent(10)).await;
    world.wait("between", "five deliveries", sent(5)).await;
    let waiting = world.wait("future", "a read", read).await.status.unwrap();
    assert_eq!(condition(&waiting, ConditionType::Ready), ("True", "Succeeded"));
    assert_eq!(waiting.sync.unwrap().pending_total, 0);
    assert_eq!(world.listens("past").await, oldest_first(&all));
    assert_eq!(world.listens("between").await, oldest_first(&some[..5]));
    assert_eq!(world.listens("future").await, Vec::<String>::new());

    // Moved back, it admits what is still shown and was not delivered; the spec is acted on at once.
    let start = world.script.now().await.unwrap() - SignedDuration::from_mins(60);
    for name in ["between", "future"] {
        world.patch::<SpotifyAccount>(name, json!({"spec": {"sync": {"startTime": start}}})).await;
        world.wait(name, "ten deliveries", sent(10)).await;
    }
    assert_eq!(world.listens("between").await, oldest_first(&some));
}

#[tokio::test]
async fn a_suspended_account_rests_and_catches_up() {
    let world = World::new("suspend").await;
    world.account("alice", "2s").await;
    let mut expected = world.play("alice", 2, 60).await;
    let _operator = world.start().await;
    world.wait("alice", "four deliveries", sent(4)).await;

    world.patch::<SpotifyAccount>("alice", json!({"spec": {"suspend": true}})).await;
    let suspended = world.wait_ready("alice", "False", "Suspended").await;
    let status = suspended.status.clone().unwrap();
    assert_eq!(condition(&status, ConditionType::Suspended), ("True", "Suspended"));
    assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
    assert_eq!(status.observed_generation, suspended.metadata.generation);
    let asked = world.script.last_seq().await.unwrap();
    expected.extend(world.play("alice", 3, 0).await);
    world.request("alice", "while suspended").await;
    let refused = async || {
        let told = world.events("alice").await;
        let refusal = |(reason, note): &(String, String)| reason == "Suspended" && note.contains("is refused");
        if told.iter().any(refusal) { Ok(()) } else { Err(format!("{told:?}")) }
    };
    wait_until("the refusal", DEADLINE, refused).await.unwrap();
    // Another account's ten reads stand for the time in which this one would have read.
    world.listener("bob").await;
    world.listenbrainz("bob").await;
    world.create::<SpotifyAccount>("SpotifyAccount", "bob", &world.spec("bob", "1s")).await;
    wait_until("ten reads of another account", DEADLINE, async || world.reads("bob").await >= 10).await.unwrap();
    let since = RecordFilter::default().since(asked);
    let requests = world.script.requests(&since).await.unwrap();
    assert!(requests.iter().all(|request| request.account.as_deref() != Some("alice")), "{requests:?}");

    world.patch::<SpotifyAccount>("alice", json!({"spec": {"suspend": false}})).await;
    world.wait("alice", "ten deliveries", sent(10)).await;
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Suspended), ("", ""));
    assert_eq!(status.sync.unwrap().gaps_total, 0);
    assert_eq!(world.listens("alice").await, oldest_first(&expected));
}

#[tokio::test]
async fn a_request_is_one_read_now() {
    let world = World::new("request").await;
    world.account("alice", "24h").await;
    let _operator = world.start().await;
    world.wait("alice", "a read", read).await;
    for (number, count) in [(1, 2), (2, 4), (3, 6)] {
        let before = world.reads("alice").await;
        world.play("alice", 1, 0).await;
        let token = format!("please-{number}");
        world.request("alice", &token).await;
        let handled = |status: &SpotifyAccountStatus| {
            sent(count)(status) && status.last_handled_reconcile_at.as_ref() == Some(&token)
        };
        world.wait("alice", "the request acknowledged", handled).await;
        assert_eq!(world.reads("alice").await, before + 1);
    }
    // A request without a new play is acknowledged as well.
    world.request("alice", "nothing new").await;
    world
        .wait("alice", "the request acknowledged", |status| {
            status.last_handled_reconcile_at.as_deref() == Some("nothing new")
        })
        .await;
}

#[tokio::test]
async fn targets_come_with_the_plays_since_and_go_without_a_trace() {
    let world = World::new("targets").await;
    world.account("alice", "24h").await;
    let before = world.play("alice", 3, 60).await;
    let both = world.spec("alice", "24h");
    let only = |index: usize| json!({"spec": {"targets": [both["targets"][index]]}});
    world.patch::<SpotifyAccount>("alice", only(0)).await;
    let _operator = world.start().await;
    world.wait("alice", "three deliveries", sent(3)).await;

    world.patch::<SpotifyAccount>("alice", json!({"spec": both})).await;
    let attached = |status: &SpotifyAccountStatus| {
        status.target("hook").is_some_and(|target| target.attached_time.is_some() && target.pending == 0)
    };
    world.wait("alice", "the second target attached", attached).await;
    let after = world.play("alice", 1, 0).await;
    world.request("alice", "now").await;
    world.wait("alice", "five deliveries", sent(5)).await;
    assert_eq!(world.script.deliveries("hook").await.unwrap().len(), 1, "what was heard before is not for it");
    assert_eq!(world.listens("alice").await, oldest_first(&[before, after].concat()));

    world.patch::<SpotifyAccount>("alice", only(1)).await;
    let account = world.wait("alice", "one target", |status| status.targets.len() == 1).await;
    let status = serde_json::to_string(&account.status.unwrap()).unwrap();
    assert!(!status.contains("listenbrainz"), "{status}");
    let account = world.wait_ready("alice", "True", "Succeeded").await;
    assert_eq!(account.status.unwrap().observed_generation, account.metadata.generation);
}

#[tokio::test]
async fn an_account_that_goes_takes_its_own_secrets_and_leaves_the_newest_token() {
    let app = NewApp { access_token_seconds: 302, ..NewApp::confidential(CLIENT_ID, "simulated-client-secret") };
    let world = World::with_app("delete", app).await;
    // Tokens that last two seconds beyond the buffer are refreshed, and rotate, every few seconds.
    world
        .listener_as(NewAccount { rotation: Some(Rotation::SingleUse), ..NewAccount::new("rotating", CLIENT_ID) })
        .await;
    world.listenbrainz("rotating").await;
    world.account("plain", "2s").await;
    world.create::<SpotifyAccount>("SpotifyAccount", "rotating", &world.spec("rotating", "24h")).await;
    let first = world.refresh_token("rotating-spotify").await;
    let _operator = world.start().await;
    world.wait_ready("plain", "True", "Succeeded").await;
    let rotating = world.wait_ready("rotating", "True", "Succeeded").await;
    assert_eq!(rotating.finalizers().len(), 1);
    let state = format!("scrobble-operator-state-{}", rotating.uid().unwrap());
    assert_eq!(world.secrets().get(&state).await.unwrap().labels()["scrobble-operator.io/use"], "state");

    // GitOps puts the first token back, long dead by now.
    let old = Secret {
        data: Some(BTreeMap::from([("refresh-token".to_owned(), ByteString(first.clone().into_bytes()))])),
        ..Secret::default()
    };
    world.secrets().patch("rotating-spotify", &PatchParams::default(), &Patch::Merge(&old)).await.unwrap();
    let current = world.script.tokens("rotating").await.unwrap().current.unwrap();
    assert_ne!(sha256(first.as_bytes()), current);
    for name in ["rotating", "plain"] {
        world.delete::<SpotifyAccount>(name).await;
        world.is_gone(name, DEADLINE).await;
    }
    let asked = world.script.last_seq().await.unwrap();
    assert_eq!(
        sha256(world.refresh_token("rotating-spotify").await.as_bytes()),
        current,
        "the newest token is handed back"
    );
    assert_eq!(world.script.tokens("rotating").await.unwrap().current, Some(current), "Spotify was not asked");
    world.refresh_token("plain-spotify").await;
    let collected = async || world.secrets().get_opt(&state).await.is_ok_and(|found| found.is_none());
    wait_until("the state Secret to be collected", DEADLINE, collected).await.unwrap();

    // Another account's ten reads stand for the time in which these would have read.
    world.listener("bob").await;
    world.listenbrainz("bob").await;
    world.create::<SpotifyAccount>("SpotifyAccount", "bob", &world.spec("bob", "1s")).await;
    wait_until("ten reads of another account", DEADLINE, async || world.reads("bob").await >= 10).await.unwrap();
    let requests = world.script.requests(&RecordFilter::default().since(asked)).await.unwrap();
    let ghosts = requests.iter().filter(|request| matches!(request.account.as_deref(), Some("rotating" | "plain")));
    assert_eq!(ghosts.count(), 0, "work stops with the account");
}

/// Takes a minute of real time, which is what the contract gives the hand-back.
#[tokio::test]
async fn an_account_whose_token_secret_is_gone_goes_after_a_minute() {
    let world = World::new("given-up").await;
    world.listener_as(NewAccount { rotation: Some(Rotation::SingleUse), ..NewAccount::new("alice", CLIENT_ID) }).await;
    world.listenbrainz("alice").await;
    world.webhook().await;
    world.create::<SpotifyAccount>("SpotifyAccount", "alice", &world.spec("alice", "24h")).await;
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.secrets().delete("alice-spotify", &kube::api::DeleteParams::default()).await.unwrap();
    world.delete::<SpotifyAccount>("alice").await;
    let leaving = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    assert!(leaving.metadata.deletion_timestamp.is_some(), "the hand-back holds the account");
    world.is_gone("alice", DEADLINE * 2).await;
    let told = world.events("alice").await;
    let lost =
        |(reason, note): &(String, String)| reason == "SecretNotFound" && note.contains("could not be handed back");
    assert!(told.iter().any(lost), "{told:?}");
    let asked = world.script.requests(&RecordFilter::at(Endpoint::Token)).await.unwrap();
    assert_eq!(asked.len(), 1, "Spotify was not asked again");
}

#[tokio::test]
async fn a_new_app_or_secret_in_the_spec_is_used_at_once() {
    let world = World::new("spec").await;
    world.account("alice", "24h").await;
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"tokenSecretRef": {"name": "elsewhere"}}})).await;
    let status = world.wait_ready("alice", "False", "SecretNotFound").await.status.unwrap();
    let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
    assert!(message.contains(&format!("{}/elsewhere", world.namespace)), "{message}");
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"appRef": {"name": "elsewhere"}}})).await;
    world.wait_ready("alice", "False", "AppNotFound").await;
    let right = json!({"spec": {"appRef": {"name": "main"}, "tokenSecretRef": {"name": "alice-spotify"}}});
    world.patch::<SpotifyAccount>("alice", right).await;
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
}

#[tokio::test]
async fn what_changes_during_a_pass_is_for_the_next_one() {
    let world = World::new("during").await;
    world.account("alice", "24h").await;
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let slow = NewFault::new(Effect::DelayAfter { milliseconds: 3000 }).at(Endpoint::RecentlyPlayed).times(1);
    for changed in ["spec", "annotation"] {
        let reads = world.reads("alice").await;
        world.play("alice", 1, 0).await;
        world.script.add_fault(&slow).await.unwrap();
        world.request("alice", &format!("before the {changed}")).await;
        wait_until("a read on its way", DEADLINE, async || world.reads("alice").await > reads).await.unwrap();
        // Spotify has acted and its answer is on the way: this is heard too late for the pass.
        let sent_before = world.play("alice", 1, 0).await.len();
        assert_eq!(sent_before, 1);
        match changed {
            "spec" => {
                let later = json!({"spec": {"sync": {"interval": "23h"}}});
                world.patch::<SpotifyAccount>("alice", later).await;
            }
            _ => world.request("alice", "now").await,
        }
        let total = if changed == "spec" { 4 } else { 8 };
        let status = world.wait("alice", &format!("{total} deliveries"), sent(total)).await.status.unwrap();
        assert_eq!(status.sync.unwrap().pending_total, 0);
    }
    let acknowledged = |status: &SpotifyAccountStatus| status.last_handled_reconcile_at.as_deref() == Some("now");
    world.wait("alice", "the request acknowledged", acknowledged).await;
}
