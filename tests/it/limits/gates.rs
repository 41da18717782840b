//! Spotify asks one account to wait, and all accounts of the app do, over a restart, and come back one after the other.

use jiff::SignedDuration;
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::SpotifyApp;
use scrobble_operator::plan::pacing::level_spacing;
use scrobble_simulator::api::{Effect, NewApp, NewFault};
use serde_json::json;

use super::{LONG, busiest_second, is_long};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, ready, told};

/// What `--concurrency` is here.
const CONCURRENCY: usize = 32;

struct Crowd {
    accounts: usize,
    interval: &'static str,
    rate: u32,
    requests_per_30s: &'static str,
}

/// The long form is in real time and with the usual pace.
fn crowd() -> Crowd {
    if is_long() {
        Crowd { accounts: 200, interval: "2m", rate: 1, requests_per_30s: "60" }
    } else {
        Crowd { accounts: 60, interval: "1m", rate: 2, requests_per_30s: "120" }
    }
}

async fn gated(test: &str, effect: Effect, reason: &str, wait: SignedDuration) {
    let crowd = crowd();
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate(test, app, crowd.rate).await;
    world.webhook().await;
    let names = world.crowd("listener", crowd.accounts, "main", crowd.interval).await;
    let operator = || world.operator().flag("concurrency", &CONCURRENCY.to_string());
    let first = operator().start().await.unwrap();
    world.wait_until_all("True", "Succeeded").await;
    drop(first);

    // The first request that is refused closes the gate.
    let before = world.script.last_seq().await.unwrap();
    world.script.add_fault(&NewFault::new(effect)).await.unwrap();
    let paced = |clock: Option<&str>| {
        let operator = operator().flag("app-requests-per-30s", crowd.requests_per_30s);
        clock.into_iter().fold(operator, scrobble_harness::Operator::clock)
    };
    let second = paced(None).start().await.unwrap();
    let status = world
        .wait_app("main", reason, DEADLINE * 2, |status| {
            told(&status.conditions, ConditionType::Ready) == ("False", reason)
        })
        .await;
    let rate_until = status.rate_limit.as_ref().and_then(|limit| limit.until_time.clone());
    let quota_until = status.quota.as_ref().and_then(|quota| quota.until_time.clone());
    let until = rate_until.or(quota_until).expect("until when").0;
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("", ""), "nobody has to act");
    let refused = world.asked_of_spotify(before).await;
    let closed = refused.last().unwrap().seq;
    assert!(refused.len() <= CONCURRENCY + 1, "{} requests before the gate closed", refused.len());
    assert!(until >= refused[0].time + wait - SignedDuration::from_secs(1), "{until} after {}", refused[0].time);
    world.script.clear_faults().await.unwrap();
    // Another process knows it, too.
    drop(second);
    let mut third = paced(None).start().await.unwrap();
    for account in world.everybody().await {
        let status = account.status.unwrap();
        assert_eq!(ready(&status), ("True", "Succeeded"), "less than an interval is passed over");
        assert_eq!(status.failures.map_or(0, |failures| failures.consecutive), 0, "no account is to blame");
    }

    // Hours pass while nobody works.
    let leap = if wait > SignedDuration::from_hours(1) {
        let leap = until.duration_since(world.script.now().await.unwrap()) - SignedDuration::from_secs(20);
        drop(third);
        third = paced(Some(&format!("+{}s,{}", leap.as_secs(), world.clock.as_ref().unwrap()))).start().await.unwrap();
        leap
    } else {
        SignedDuration::ZERO
    };
    let reads = wait_until("everybody to be read again", LONG * 2, async || {
        let asked = world.asked_of_spotify(closed).await;
        let is_read = |name: &&String| asked.iter().any(|record| record.account.as_ref() == Some(name));
        let missing = names.iter().filter(|name| !is_read(name)).count();
        if missing == 0 { Ok(asked) } else { Err(format!("{missing} missing")) }
    })
    .await
    .unwrap();
    let until = until - leap;
    assert!(reads[0].time >= until, "{} before the gate opened at {until}", reads[0].time);
    let times: Vec<_> = reads.iter().map(|record| record.time).collect();
    let (busiest, mean) = busiest_second(&times);
    println!(
        "{reason}: {} requests before the gate closed, none until it opened; then {} in {} s, at most {busiest} in a second (mean {mean:.2})",
        refused.len(),
        reads.len(),
        times.last().unwrap().duration_since(times[0]).as_secs(),
    );
    // Whoever is late is so for reasons of the machine; nobody is early.
    let steady = level_spacing(crowd.requests_per_30s.parse().unwrap());
    for (number, time) in times.iter().take(crowd.accounts).enumerate() {
        let turn = until + steady * i32::try_from(number).unwrap() - SignedDuration::from_millis(100);
        assert!(*time >= turn, "request {number} at {time}, {:?} early", turn.duration_since(*time));
    }
    if is_long() {
        // They come a second apart: one that is a moment late falls into the second of the next one.
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let most = busiest as f64;
        assert!(most <= (2.0 * mean).max(2.0), "{busiest} in one second where {mean} are the mean");
    }
    assert_clean(&world).await;
    drop(third);
}

/// After recovery nothing is left to be said.
async fn assert_clean(world: &World) {
    let status = world
        .wait_app("main", "well again", DEADLINE * 2, |status| {
            told(&status.conditions, ConditionType::Ready) == ("True", "Succeeded")
        })
        .await;
    assert_eq!(status.rate_limit, None);
    assert_eq!(status.quota.and_then(|quota| quota.until_time), None);
    let accounts = wait_until("nothing to be left to say", LONG, async || {
        let found = world.everybody().await;
        let told =
            found.iter().filter(|account| account.status.as_ref().is_some_and(|status| status.failures.is_some()));
        let told = told.count();
        if told == 0 { Ok(found) } else { Err(format!("{told} still tell of it")) }
    });
    for account in accounts.await.unwrap() {
        assert_eq!(ready(&account.status.unwrap()), ("True", "Succeeded"));
    }
}

#[tokio::test]
async fn a_rate_limit_that_one_account_meets_stops_all_and_they_come_back_one_after_the_other() {
    gated("rate-limit", Effect::RateLimited { retry_after_seconds: 30 }, "RateLimited", SignedDuration::from_secs(30))
        .await;
}

#[tokio::test]
async fn a_quota_that_is_spent_for_hours_is_remembered_for_hours() {
    let wait = SignedDuration::from_hours(14);
    let effect = Effect::QuotaExceeded { retry_after_seconds: Some(wait.as_secs().unsigned_abs()) };
    gated("quota", effect, "QuotaExceeded", wait).await;
}

#[tokio::test]
async fn a_gate_of_one_app_is_no_other_apps() {
    let world = World::at_rate("two-apps", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), 10).await;
    world.webhook().await;
    let client = json!({"name": "main-client", "key": "client-secret"});
    for (name, group) in [("grouped", Some("dev")), ("kin", Some("dev")), ("stranger", None)] {
        let quota = json!({"dailyCalls": 0, "group": group});
        let spec = json!({"clientId": CLIENT_ID, "clientSecretRef": client, "quota": quota});
        world.create::<SpotifyApp>("SpotifyApp", name, &spec).await;
        world.crowd(name, 2, name, "1m").await;
    }
    let fault = NewFault::new(Effect::QuotaExceeded { retry_after_seconds: Some(50_000) }).of("grouped-0");
    world.script.add_fault(&fault).await.unwrap();
    let _operator = world.start().await;
    let is_spent = |name: &'static str| {
        let world = &world;
        async move {
            let says = |status: &scrobble_operator::api::v1alpha1::SpotifyAppStatus| {
                told(&status.conditions, ConditionType::Ready) == ("False", "QuotaExceeded")
            };
            world.wait_app(name, "spent", DEADLINE * 2, says).await.quota.unwrap().until_time.unwrap()
        }
    };
    // The developer account's quota is shared, and told by each of its apps.
    assert_eq!(is_spent("grouped").await, is_spent("kin").await);
    for name in ["stranger-0", "stranger-1"] {
        world.wait_ready(name, "True", "Succeeded").await;
    }
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("stranger-0", seq, 3).await;
    let asked = world.asked_of_spotify(seq).await;
    assert!(asked.iter().all(|record| record.account.as_ref().is_some_and(|name| name.starts_with("stranger"))));
}
