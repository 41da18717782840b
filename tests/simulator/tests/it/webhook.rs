use scrobble_simulator::api::{Effect, Endpoint, NewFault, RecordFilter, WebhookSettings};
use scrobble_simulator::sha256;

use crate::stage::{Answer, Stage};

async fn post(stage: &Stage, name: &str, key: Option<&str>, body: &str) -> Answer {
    let mut request = stage.http.post(stage.url(&format!("/webhook/{name}"))).body(body.to_owned());
    request = request.header("x-signature", "sha256=abc").header("authorization", "Bearer hidden");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    stage.answer(request).await
}

#[tokio::test]
async fn deliveries_are_counted_by_idempotency_key() {
    let stage = Stage::new().await;
    for (key, body) in [("k1", "one"), ("k2", "two"), ("k1", "one")] {
        assert_eq!(post(&stage, "hook", Some(key), body).await.status, 204);
    }
    post(&stage, "hook", Some("k2"), "changed").await;
    post(&stage, "other", None, "no key").await;
    let held = stage.simulator.deliveries("hook").await.unwrap();
    assert_eq!(held.len(), 2);
    assert_eq!((held[0].key.as_str(), held[0].received, held[0].accepted), ("k1", 2, 2));
    assert_eq!(held[0].forms, [sha256("one")], "every repeat was byte-identical");
    assert_eq!(held[1].forms.len(), 2, "this one was not");
    assert_eq!(held[0].body, "one");
    assert_eq!(held[0].headers["x-signature"], "sha256=abc");
    assert!(!held[0].headers["authorization"].contains("hidden"));
    assert_eq!(stage.simulator.deliveries("other").await.unwrap()[0].key, format!("sha256:{}", sha256("no key")));
    let records = stage.simulator.requests(&RecordFilter::at(Endpoint::Webhook).of("hook")).await.unwrap();
    assert_eq!(records[0].facts.idempotency_key.as_deref(), Some("k1"));
    assert_eq!(records[0].body_sha256, Some(sha256("one")));
    let new: Vec<_> = records.iter().map(|record| record.facts.items_new.unwrap()).collect();
    assert_eq!(new, [1, 1, 0, 0]);
}

#[tokio::test]
async fn a_receiver_answers_as_told() {
    let stage = Stage::new().await;
    for status in [409, 410, 500, 200] {
        stage.simulator.put_webhook("hook", &WebhookSettings { status }).await.unwrap();
        assert_eq!(post(&stage, "hook", Some("k"), "body").await.status, status);
    }
    let held = stage.simulator.deliveries("hook").await.unwrap();
    assert_eq!((held[0].received, held[0].accepted), (4, 1));
}

#[tokio::test]
async fn a_cut_after_acting_has_been_received() {
    let stage = Stage::new().await;
    let fault = NewFault::new(Effect::CutAfter).at(Endpoint::Webhook).of("hook").times(1);
    stage.simulator.add_fault(&fault).await.unwrap();
    let request = stage.http.post(stage.url("/webhook/hook")).header("idempotency-key", "k").body("body");
    assert!(request.send().await.is_err());
    assert_eq!(stage.simulator.deliveries("hook").await.unwrap()[0].received, 1);
    assert_eq!(post(&stage, "hook", Some("k"), "body").await.status, 204);
    let held = stage.simulator.deliveries("hook").await.unwrap();
    assert_eq!((held[0].received, held[0].forms.len()), (2, 1));
}
