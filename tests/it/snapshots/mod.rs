//! What status says of each failure that the simulator can make, and what it says afterwards: one file a case, to be read.
//!
//! `SCROBBLE_OPERATOR_GENERATE=1` writes the files from what is seen; whoever changes them reads the difference.

mod cases;
mod picture;

use std::path::{Path, PathBuf};

use futures::future::join_all;
use kube::api::ListParams;
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Endpoint, NewAccount, NewApp, NewFault};
use serde_json::json;

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, ready};
use cases::{Case, cases};

fn file(case: &Case) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots").join(format!("{}.yaml", case.name))
}

#[expect(clippy::disallowed_methods, reason = "how the files are written anew")]
fn writes() -> bool {
    std::env::var("SCROBBLE_OPERATOR_GENERATE").is_ok_and(|value| value == "1")
}

impl World {
    /// An account with an app and a webhook of its own: what happens to one concerns no other.
    async fn alone(&self, name: &str) {
        self.listener_as(NewAccount::new(name, CLIENT_ID)).await;
        self.app(name, &NewApp::confidential(CLIENT_ID, CLIENT_SECRET)).await;
        let spec = json!({
            "type": "Webhook", "url": self.script.webhook_url(name),
            "webhook": {"signingKeyRef": {"name": "hook", "key": "hmac"}},
        });
        self.create::<ScrobbleTarget>("ScrobbleTarget", name, &spec).await;
        let spec = json!({
            "appRef": {"name": name}, "tokenSecretRef": {"name": format!("{name}-spotify")},
            "sync": {"interval": "6h"}, "targets": [{"name": "hook", "targetRef": {"name": name}}],
        });
        self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    /// Asks for a pass and waits until it is over.
    async fn visited(&self, name: &str, token: &str) -> SpotifyAccountStatus {
        self.request(name, token).await;
        let handled = |status: &SpotifyAccountStatus| status.last_handled_reconcile_at.as_deref() == Some(token);
        self.wait(name, &format!("an answer to {token}"), handled).await.status.unwrap_or_default()
    }

    /// Makes it go wrong once, and sees what is said.
    async fn wrong(&self, case: &Case) -> SpotifyAccountStatus {
        let name = case.name;
        let fault = NewFault::new(case.effect.clone()).at(case.endpoint).of(name);
        self.script.add_fault(&fault).await.unwrap();
        if matches!(case.endpoint, Endpoint::Token) {
            let end = json!({"stringData": {"expires-at": "2026-01-01T00:00:00Z"}});
            let patch = kube::api::Patch::Merge(&end);
            self.secrets().patch(&format!("{name}-spotify"), &kube::api::PatchParams::default(), &patch).await.unwrap();
        }
        self.play(name, 1, 1).await;
        self.visited(name, "wrong").await;
        let told = |status: &SpotifyAccountStatus| {
            status.failures.is_some() || status.targets.iter().any(|target| target.reason.is_some())
        };
        self.wait(name, "something to be said", told).await.status.unwrap_or_default()
    }

    /// It is right again, and somebody asks until all is well.
    async fn mended(&self, case: &Case) -> SpotifyAccountStatus {
        let mut number = 0;
        let what = format!("{} to be well", case.name);
        let well = wait_until(&what, DEADLINE * 2, async || {
            number += 1;
            let status = self.visited(case.name, &format!("right-{number}")).await;
            let delivered = status.targets.iter().all(|target| target.reason.is_none() && target.pending == 0);
            let is_well = ready(&status) == ("True", "Succeeded") && status.failures.is_none() && delivered;
            if is_well { Ok(status) } else { Err(picture::of(&status, &self.namespace)) }
        });
        well.await.unwrap()
    }
}

#[tokio::test]
async fn status_is_true_and_sufficient_while_something_is_wrong_and_clean_afterwards() {
    // A minute is a second.
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("snapshots", app, 60).await;
    world.secret("hook", "target", &[("hmac", "webhook-signing-key")]).await;
    let cases = cases();
    for some in cases.chunks(8) {
        join_all(some.iter().map(|case| world.alone(case.name))).await;
    }
    let _operator = world.start().await;
    let mut different = Vec::new();
    for some in cases.chunks(8) {
        let seen = join_all(some.iter().map(async |case| {
            world.wait_ready(case.name, "True", "Succeeded").await;
            picture::of(&world.wrong(case).await, &world.namespace)
        }))
        .await;
        let faults = world.script.faults().await.unwrap();
        for fault in faults.iter().filter(|fault| fault.applied > 0) {
            world.script.remove_fault(fault.id).await.unwrap();
        }
        let after =
            join_all(some.iter().map(async |case| picture::of(&world.mended(case).await, &world.namespace))).await;
        for ((case, wrong), mended) in some.iter().zip(seen).zip(after) {
            let seen = format!("# {}\n\n--- # while it is wrong\n{wrong}\n--- # afterwards\n{mended}", case.what);
            let path = file(case);
            if writes() {
                std::fs::write(&path, &seen).unwrap();
            }
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            if known != seen {
                different.push(format!("{}:\n{seen}", case.name));
            }
        }
    }
    let none_left = world.api::<SpotifyAccount>().list(&ListParams::default()).await.unwrap();
    assert_eq!(none_left.items.len(), cases.len());
    assert!(different.is_empty(), "other than the files say:\n{}", different.join("\n"));
}
