//! Refresh tokens that Spotify says are dead: what is told, what is asked in a week, and that the token is kept.

use std::time::Duration;

use jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use scrobble_harness::{wait_for_object, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Endpoint, NewAccount, NewApp, Record, RecordFilter};
use serde_json::json;

use super::tokens::{held, put, report, text};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World, condition, ready};

/// A simulated week takes a minute and a half.
const RATE: u32 = 7_000;
const LONG: Duration = Duration::from_mins(4);

async fn asked(world: &World, name: &str) -> Vec<Record> {
    world.script.requests(&RecordFilter::at(Endpoint::Token).of(name)).await.unwrap()
}

async fn wait_for(world: &World, name: &str, what: &str, wanted: impl Fn(&SpotifyAccountStatus) -> bool) {
    let wanted = |account: &SpotifyAccount| account.status.as_ref().is_some_and(&wanted);
    wait_for_object(&world.api::<SpotifyAccount>(), name, what, LONG, wanted).await.unwrap();
}

fn hours(from: &Record, to: &Record) -> f64 {
    to.time.duration_since(from.time).as_secs_f64() / 3600.0
}

#[tokio::test]
async fn a_dead_token_is_kept_and_asked_about_after_an_hour_then_daily_whoever_restarts() {
    let app = NewApp {
        access_token_seconds: 100_000_000,
        authorization_lifetime_days: Some(170),
        ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET)
    };
    let world = World::at_rate("dead-tokens", app, RATE).await;
    world.webhook().await;
    let now = world.script.now().await.unwrap();
    let cases = [
        ("revoked", 10, Some(10), "AuthorizationRevoked"),
        // Spotify says so, although 180 days have not passed.
        ("expired", 172, Some(172), "AuthorizationExpired"),
        // 180 days have passed, although Spotify says something else.
        ("old", 10, Some(181), "AuthorizationExpired"),
        ("unknown", 10, None, "AuthorizationRevoked"),
    ];
    for (name, days, said, _) in &cases {
        let ago = |days: i64| now - SignedDuration::from_hours(24 * days);
        world.listener_as(NewAccount { authorized_time: Some(ago(*days)), ..NewAccount::new(*name, CLIENT_ID) }).await;
        if let Some(said) = said {
            put(&world, name, json!({"authorized-at": ago(*said).to_string()})).await;
        }
        if *name != "expired" {
            world.script.revoke(name).await.unwrap();
        }
        let mut spec = world.spec(name, "24h");
        spec["targets"] = json!([spec["targets"][1]]);
        world.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }
    let before: Vec<_> = futures::future::join_all(cases.iter().map(|(name, ..)| held(&world, name))).await;
    let mut operator = world.start().await;
    for (name, _, _, reason) in &cases {
        wait_for(&world, name, reason, |status| ready(status) == ("False", *reason)).await;
        let status = world.api::<SpotifyAccount>().get(name).await.unwrap().status.unwrap();
        assert_eq!(condition(&status, ConditionType::Authorized), ("False", *reason), "{name}");
        assert_eq!(condition(&status, ConditionType::Stalled), ("True", *reason), "{name}");
        let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
        let command = format!("scrobble-operator connect --namespace {} --account {name}", world.namespace);
        assert!(message.contains(&command), "{message}");
    }
    // Three days in, a kill; a restart sends nothing that would not have been sent.
    for (name, ..) in &cases {
        wait_until("three days of probes", LONG, async || {
            let count = asked(&world, name).await.len();
            let claim = text(&world, &format!("{name}-spotify"), "scrobble-operator.claim").await;
            if count >= 5 && claim.is_none() { Ok(()) } else { Err(format!("{count} requests, {claim:?}")) }
        })
        .await
        .unwrap();
    }
    operator.kill().unwrap();
    operator.restart().await.unwrap();
    let end = asked(&world, "revoked").await[0].time + SignedDuration::from_hours(24 * 7);
    wait_until("a week to pass", LONG, async || {
        let now = world.script.now().await.map_err(|error| error.to_string())?;
        if now > end { Ok(()) } else { Err(format!("{now:.0}")) }
    })
    .await
    .unwrap();
    for ((name, _, _, reason), before) in cases.iter().zip(before) {
        let asked = asked(&world, name).await;
        let week = asked[0].time + SignedDuration::from_hours(24 * 7);
        let week: Vec<&Record> = asked.iter().filter(|request| request.time < week).collect();
        println!("{name}: {} requests in a week", week.len());
        // At once, after an hour, then daily; some fewer where the machine is slow, and never more.
        assert!((5..=8).contains(&week.len()), "{name}: {week:?}");
        assert!(hours(week[0], week[1]) >= 1.0, "{name}");
        for pair in week[1..].windows(2) {
            assert!(hours(pair[0], pair[1]) >= 24.0, "{name}: {week:?}");
        }
        assert_eq!(held(&world, name).await, before, "{name}: the token is kept");
        let status = world.api::<SpotifyAccount>().get(name).await.unwrap().status.unwrap();
        assert_eq!(ready(&status), ("False", *reason), "{name}");
    }
    for endpoint in [Endpoint::Me, Endpoint::RecentlyPlayed] {
        assert_eq!(world.script.requests(&RecordFilter::at(endpoint)).await.unwrap().len(), 0, "{endpoint:?}");
    }

    // On request, once.
    let count = asked(&world, "old").await.len();
    world.request("old", "please").await;
    wait_for(&world, "old", "the request", |status| status.last_handled_reconcile_at.as_deref() == Some("please"))
        .await;
    assert!(asked(&world, "old").await.len() > count);
    // Another key of the Secret is no other token; another token is.
    let label = json!({"metadata": {"labels": {"team": "music"}}});
    world.secrets().patch("expired-spotify", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    let tokens = world.script.mint_tokens("expired").await.unwrap();
    let authorized = world.script.now().await.unwrap().to_string();
    put(&world, "expired", json!({"refresh-token": tokens.refresh_token, "authorized-at": authorized})).await;
    wait_for(&world, "expired", "Ready", |status| ready(status) == ("True", "Succeeded")).await;
    let status = world.api::<SpotifyAccount>().get("expired").await.unwrap().status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
    assert_eq!(status.failures, None);
    assert_eq!(held(&world, "expired").await, report(&world, "expired").await.current);
}

#[tokio::test]
async fn a_revocation_is_one_refused_read_and_one_refused_refresh() {
    let world = World::at_rate("revocation", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 60).await;
    world.webhook().await;
    for name in ["alice", "bystander"] {
        world
            .hooked(NewAccount { access_token_seconds: Some(100_000), ..NewAccount::new(name, CLIENT_ID) }, "1m")
            .await;
    }
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let before = held(&world, "alice").await;
    world.script.revoke("alice").await.unwrap();
    world.wait_ready("alice", "False", "AuthorizationRevoked").await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("bystander", seq, 15).await;
    let asked = world.script.requests(&RecordFilter::default().of("alice")).await.unwrap();
    let refused: Vec<&Record> = asked.iter().filter(|request| request.status != Some(200)).collect();
    let refused: Vec<_> = refused.iter().map(|request| (request.endpoint, request.status)).collect();
    assert_eq!(refused, [(Endpoint::RecentlyPlayed, Some(401)), (Endpoint::Token, Some(400))]);
    assert_eq!(held(&world, "alice").await, before);
}
