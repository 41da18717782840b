//! What scrobble services may answer: an account for each trouble. The other target never waits, Ready stays for so few
//! failures, and in the end every play is there once.

use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, TargetState};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter};
use serde_json::json;

use crate::world::{CLIENT_ID, World, ready};

/// A trouble of one of an account's two targets.
struct Trouble {
    name: &'static str,
    endpoint: Endpoint,
    effect: Effect,
    times: u32,
    /// The least time between two tries, in seconds.
    wait: i64,
}

impl Trouble {
    fn target(&self) -> &'static str {
        if self.endpoint == Endpoint::Webhook { "hook" } else { "listenbrainz" }
    }

    /// Whether it is no failure. A rate limit of ListenBrainz would pause every account of this test.
    fn asks_to_wait(&self) -> bool {
        self.name == "hook-429"
    }

    /// Reason and message while it lasts.
    fn words(&self) -> (&'static str, &'static str) {
        if self.asks_to_wait() {
            ("RateLimited", "the service asks to wait")
        } else {
            ("TargetFailing", "the last delivery failed")
        }
    }

    /// Whom the simulator sees.
    fn caller(&self) -> String {
        if self.endpoint == Endpoint::Webhook { format!("hook-{}", self.name) } else { self.name.to_owned() }
    }
}

fn troubles() -> Vec<Trouble> {
    let listens = |name, effect| Trouble { name, endpoint: Endpoint::ListenbrainzSubmit, effect, times: 3, wait: 60 };
    let hook = |name, effect| Trouble { name, endpoint: Endpoint::Webhook, effect, times: 3, wait: 60 };
    let later = |status| Effect::Status { status, body: BodyForm::Text, text: None, retry_after_seconds: Some(600) };
    vec![
        listens("listens-500", Effect::status(500)),
        listens("listens-html", Effect::status_as(502, BodyForm::Html)),
        listens("listens-cut-before", Effect::CutBefore),
        listens("listens-cut-after", Effect::CutAfter),
        listens("listens-truncated", Effect::TruncatedBody),
        Trouble { times: 1, ..listens("listens-oversized", Effect::OversizedBody { bytes: 0 }) },
        Trouble { times: 1, ..listens("listens-hangs", Effect::HangAfter) },
        Trouble { times: 1, wait: 600, ..listens("listens-503", later(503)) },
        hook("hook-500", Effect::status(500)),
        hook("hook-cut-before", Effect::CutBefore),
        hook("hook-cut-after", Effect::CutAfter),
        Trouble { times: 1, ..hook("hook-hangs", Effect::Hang) },
        Trouble { times: 1, wait: 600, ..hook("hook-429", later(429)) },
    ]
}

fn sent(count: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
}

#[tokio::test]
async fn a_target_in_trouble_is_tried_again_and_gets_each_play_once() {
    // An hour takes a minute.
    let app = NewApp { access_token_seconds: 100_000, ..NewApp::confidential(CLIENT_ID, "simulated-client-secret") };
    let world = World::at_rate("targets", app, 60).await;
    let troubles = troubles();
    for trouble in &troubles {
        let name = trouble.name;
        world.listener_as(NewAccount::new(name, CLIENT_ID)).await;
        world.listenbrainz(name).await;
        let hook = format!("hook-{name}");
        let key = format!("{hook}-key");
        world.secret(&key, "target", &[("hmac", "webhook-signing-key")]).await;
        let target = json!({
            "type": "Webhook", "url": world.script.webhook_url(&hook),
            "webhook": {"signingKeyRef": {"name": key, "key": "hmac"}},
        });
        world.create::<ScrobbleTarget>("ScrobbleTarget", &hook, &target).await;
        let mut spec = world.spec(name, "5m");
        spec["targets"][1]["targetRef"]["name"] = json!(hook);
        world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
        world.play(name, 1, 30).await;
    }
    // The troubles are those of single accounts here, however many they are: the target's own breaker is not under test.
    let patient = json!({"spec": {"circuitBreaker": {"failureThreshold": 100}}});
    world.patch::<ScrobbleTarget>("listenbrainz", patient).await;
    let operator = world.start().await;
    for trouble in &troubles {
        world.wait(trouble.name, "two deliveries", |status| sent(2)(status) && ready(status).0 == "True").await;
    }
    let mark = world.plane.audit().marker().unwrap();
    let seq = world.script.last_seq().await.unwrap();
    for trouble in &troubles {
        let fault =
            NewFault::new(trouble.effect.clone()).at(trouble.endpoint).of(trouble.caller()).times(trouble.times);
        world.script.add_fault(&fault).await.unwrap();
        world.play(trouble.name, 1, 0).await;
    }
    for trouble in &troubles {
        let name = trouble.name;
        let status = world.wait(name, "four deliveries", sent(4)).await.status.unwrap();
        for target in &status.targets {
            assert_eq!(
                (target.state, target.pending, target.consecutive_failures),
                (TargetState::Healthy, 0, 0),
                "{name}"
            );
            assert_eq!((&target.message, &target.next_attempt_time), (&None, &None), "{name}");
        }
        let mut failures = 0;
        for status in world.statuses(mark, name).await {
            assert_eq!(ready(&status), ("True", "Succeeded"), "{name}: so few failures are passed over");
            let target = status.target(trouble.target()).unwrap();
            if target.state == TargetState::Failing {
                failures = failures.max(target.consecutive_failures);
                let (reason, message) = trouble.words();
                assert_eq!(target.reason.as_deref(), Some(reason), "{name}");
                assert!(target.message.as_deref().unwrap().contains(message), "{name}");
                assert!(target.next_attempt_time.is_some() && target.pending == 1, "{name}");
                assert!(sent(3)(&status), "{name}: the other target does not wait");
            }
        }
        let counted = if trouble.asks_to_wait() { 0 } else { i32::try_from(trouble.times).unwrap() };
        assert_eq!(failures, counted, "{name}");
        assert_eq!(world.listens(name).await.len(), 2, "{name}");
        let deliveries = world.script.deliveries(&format!("hook-{name}")).await.unwrap();
        assert_eq!(deliveries.len(), 2, "{name}");
        assert!(deliveries.iter().all(|delivery| delivery.forms.len() == 1), "{name}: a repeat is the same bytes");
        let tries = RecordFilter::at(trouble.endpoint).of(trouble.caller()).since(seq);
        let tries = world.script.requests(&tries).await.unwrap();
        assert_eq!(tries.len(), trouble.times as usize + 1, "{name}");
        for pair in tries.windows(2) {
            let waited = pair[1].time.duration_since(pair[0].time).as_secs();
            assert!(waited >= trouble.wait - 1, "{name}: tried again after {waited} s");
        }
    }
    assert!(!operator.log().contains("panicked"));
}
