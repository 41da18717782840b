//! Webhooks that hang, fail, want no more or lead where nothing may be sent, and keys that are not there: the app says so,
//! and no account is worse off.

use scrobble_harness::{wait_for_object, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{NotificationWebhookState, SpotifyApp, SpotifyAppStatus};
use scrobble_simulator::api::{Effect, Endpoint, NewApp, NewFault, RecordFilter, WebhookSettings};
use serde_json::json;

use super::{KEY, counted, is_signed};
use crate::accounts::tokens;
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World};

impl World {
    async fn wait_webhook(&self, what: &str, wanted: impl Fn(&SpotifyAppStatus) -> bool) -> SpotifyAppStatus {
        let wanted = |app: &SpotifyApp| app.status.as_ref().is_some_and(&wanted);
        let found = wait_for_object(&self.api::<SpotifyApp>(), "main", what, DEADLINE, wanted).await.unwrap();
        found.status.unwrap()
    }

    /// How often something was said about the app.
    async fn said_of_the_app(&self, reason: &str) -> usize {
        self.events("main").await.iter().filter(|(said, _)| said == reason).count()
    }
}

fn webhook(status: &SpotifyAppStatus) -> Option<(NotificationWebhookState, &str)> {
    status.notifications.as_ref().map(|known| (known.state, known.reason.as_str()))
}

#[tokio::test]
async fn a_webhook_that_hangs_delays_no_account_and_is_told_once() {
    let world = World::new("notify-hangs").await;
    world.notified().await;
    for number in 0..8 {
        world.revoked_account(&format!("away-{number}")).await;
    }
    world.listener_with_its_hook("bob", "1s").await;
    world.script.add_fault(&NewFault::new(Effect::Hang).at(Endpoint::Webhook).of("notices")).await.unwrap();
    let mut operator = world.start().await;
    for number in 0..8 {
        world.wait_ready(&format!("away-{number}"), "False", "AuthorizationRevoked").await;
    }
    let seq = world.script.last_seq().await.unwrap();
    world.play("bob", 2, 60).await;
    world.wait_for_reads("bob", seq, 3).await;
    // Also the account that the notice is about goes on.
    let new = world.script.mint_tokens("away-0").await.unwrap();
    tokens::put(&world, "away-0", json!({"refresh-token": new.refresh_token})).await;
    world.request("away-0", "signed in").await;
    world.wait_ready("away-0", "True", "Succeeded").await;
    let status = world.api::<SpotifyApp>().get("main").await.unwrap().status.unwrap();
    assert_eq!(webhook(&status), None, "all this while the first requests hang");

    let failing = Some((NotificationWebhookState::Failing, "NetworkError"));
    world.wait_webhook("the webhook to be told", |status| webhook(status) == failing).await;
    wait_until("the Event", DEADLINE, async || (world.said_of_the_app("NetworkError").await == 1).then_some(()))
        .await
        .unwrap();
    let requests = world.script.requests(&RecordFilter::at(Endpoint::Webhook).of("notices")).await.unwrap();
    assert!(requests.len() <= 8, "four at a time: {requests:?}");
    let ready = find_condition(&status.conditions, ConditionType::Ready).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "Succeeded"));
    // An end is an end: it waits for no webhook's deadline.
    assert!(operator.terminate().await.unwrap().success());
}

#[tokio::test]
async fn a_webhook_that_wants_no_more_is_left_alone_until_the_spec_changes() {
    let world = World::new("notify-gone").await;
    world.notified().await;
    world.script.put_webhook("notices", &WebhookSettings { status: 410 }).await.unwrap();
    world.revoked_account("alice").await;
    let mut operator = world.start().await;
    let gone = Some((NotificationWebhookState::Gone, "TargetSuspended"));
    world.wait_webhook("the 410", |status| webhook(status) == gone).await;
    wait_until("the Event", DEADLINE, async || (world.said_of_the_app("TargetSuspended").await == 1).then_some(()))
        .await
        .unwrap();

    // Neither the next account nor the next process asks it again.
    world.revoked_account("bob").await;
    world.wait_ready("bob", "False", "AuthorizationRevoked").await;
    assert_eq!(counted(&world.visited_again("bob", "first").await), 0, "what is not sent is not counted");
    assert!(operator.terminate().await.unwrap().success());
    let mut operator = world.start().await;
    assert_eq!(counted(&world.visited_again("bob", "second").await), 0);
    assert_eq!(world.notices_about("alice").await.len() + world.notices_about("bob").await.len(), 1);

    // Another spec may lead elsewhere; this one leads where nothing is sent.
    let metadata_service = json!({"url": "https://169.254.169.254/latest"});
    world.patch::<SpotifyApp>("main", json!({"spec": {"notifications": metadata_service}})).await;
    let refused = Some((NotificationWebhookState::Failing, "AddressRefused"));
    world.wait_webhook("the refused address", |status| webhook(status) == refused).await;
    wait_until("the Event", DEADLINE, async || (world.said_of_the_app("AddressRefused").await == 1).then_some(()))
        .await
        .unwrap();
    assert_eq!(counted(&world.visited_again("bob", "third").await), 1);
    assert!(operator.terminate().await.unwrap().success());
    assert_eq!(world.said_of_the_app("TargetSuspended").await, 1);
}

#[tokio::test]
async fn a_signing_key_that_is_missing_is_said_on_the_app_and_its_notices_wait_for_it() {
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("notify-key", app, 60).await;
    world.notifies("notices").await;
    world.listener_with_its_hook("bob", "2m").await;
    world.revoked_account("alice").await;
    let _operator = world.start().await;
    let is_missing = |status: &SpotifyAppStatus| {
        let ready = find_condition(&status.conditions, ConditionType::Ready);
        ready.is_some_and(|ready| (ready.status.as_str(), ready.reason.as_str()) == ("False", "SecretNotFound"))
    };
    world.wait_webhook("the missing key", is_missing).await;
    world.wait_ready("bob", "True", "Succeeded").await;
    world.wait("alice", "the notice to be counted", |status| counted(status) == 1).await;
    assert!(world.notices_about("alice").await.is_empty(), "nothing is sent unsigned");

    // One that is labelled for another use is none.
    world.secret("hooks", "target", &[("hmac", KEY)]).await;
    let is_unlabelled =
        |status: &SpotifyAppStatus| webhook(status).is_some_and(|(_, reason)| reason == "SecretNotLabelled");
    world.wait_webhook("the wrong label", is_unlabelled).await;
    world.secret("hooks", "client", &[("hmac", KEY)]).await;
    let told = world.wait_notices_about("alice", 1).await;
    assert!(is_signed(&told[0].0), "{told:?}");
    assert_eq!((told[0].0.received, &told[0].1["number"]), (1, &json!(1)));
    let is_fine = |status: &SpotifyAppStatus| {
        let ready = find_condition(&status.conditions, ConditionType::Ready);
        webhook(status).is_none() && ready.is_some_and(|ready| ready.status == "True")
    };
    world.wait_webhook("the key", is_fine).await;
}
