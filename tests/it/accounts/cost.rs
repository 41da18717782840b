//! What a sync costs the API server, told by its audit log: every write of the operator, Leases apart. Events count.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use scrobble_harness::{AuditEntry, wait_until};
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter, Rotation};
use serde_json::json;

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, version};

const STATUS: &str = "patch spotifyaccounts/status";
const TOKEN_SECRET: &str = "patch secrets";

/// A write in words: `patch spotifyaccounts/status alice`.
pub(super) fn words(entry: &AuditEntry) -> String {
    let subresource = entry.subresource.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    let name = entry.name.as_deref().unwrap_or_default();
    format!("{} {}{subresource} {name}", entry.verb, entry.resource)
}

async fn reads(world: &World, listener: &str, since: u64) -> usize {
    let filter = RecordFilter::at(Endpoint::RecentlyPlayed).of(listener).since(since);
    world.script.requests(&filter).await.unwrap().len()
}

/// Waits until apps and targets have counted their accounts: what they cost is not the question here.
async fn wait_for_counts(world: &World, accounts: i32) {
    wait_until("app and targets to count their accounts", DEADLINE, async || {
        let app = world.api::<SpotifyApp>().get_status("main").await.ok()?;
        let targets = world.api::<ScrobbleTarget>().list(&kube::api::ListParams::default()).await.ok()?;
        let counted = app.status.is_some_and(|status| status.accounts == accounts)
            && targets.iter().all(|target| target.status.as_ref().is_some_and(|status| status.accounts == accounts));
        counted.then_some(())
    })
    .await
    .unwrap();
}

async fn wait_scrobbled(world: &World, listener: &str, total: i64) -> SpotifyAccount {
    let what = format!("{total} deliveries");
    world.wait(listener, &what, |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == total)).await
}

#[tokio::test]
async fn syncs_without_news_write_nothing_and_news_or_a_request_is_one_status_write() {
    let world = World::new("cost-of-syncs").await;
    world.account("alice", "1s").await;
    world.account("bob", "24h").await;
    world.play("alice", 3, 100).await;
    world.play("bob", 1, 100).await;
    let _operator = world.start().await;
    wait_scrobbled(&world, "alice", 6).await;
    wait_scrobbled(&world, "bob", 2).await;
    wait_for_counts(&world, 2).await;

    // The read that is under way may still have something to write.
    world.wait_for_reads("alice", world.script.last_seq().await.unwrap(), 2).await;
    let (mark, seq) = (world.mark().await, world.script.last_seq().await.unwrap());
    let before = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    // A read is over once the next one has come.
    world.wait_for_reads("alice", seq, 21).await;
    assert_eq!(world.writes_with_events(mark).await.iter().map(words).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(version(&world.api::<SpotifyAccount>().get("alice").await.unwrap()), version(&before));
    let requests = world.script.requests(&RecordFilter::default().since(seq)).await.unwrap();
    let others = requests.iter().filter(|request| request.endpoint != Endpoint::RecentlyPlayed).count();
    assert_eq!((others, reads(&world, "bob", seq).await), (0, 0), "{requests:?}");
    println!("{} syncs without news: 0 writes, 0 requests besides", requests.len());

    let mark = world.mark().await;
    world.play("alice", 3, 0).await;
    wait_scrobbled(&world, "alice", 12).await;
    world.wait_for_reads("alice", world.script.last_seq().await.unwrap(), 3).await;
    let writes = world.writes_with_events(mark).await;
    assert_eq!(writes.iter().map(words).collect::<Vec<_>>(), [format!("{STATUS} alice")]);
    let status = &writes[0].request.as_ref().unwrap()["status"];
    assert!(status["sync"]["lastSyncTime"].is_string(), "the time of the last sync rides along: {status}");
    let syncs = status["history"][0]["count"].as_i64().unwrap();
    assert!(syncs > 21, "the syncs that wrote nothing are counted in the next write: {status}");

    let (mark, seq) = (world.mark().await, world.script.last_seq().await.unwrap());
    let request =
        |token: &str| json!({"metadata": {"annotations": {"scrobble-operator.io/reconcile-requested-at": token}}});
    world.patch::<SpotifyAccount>("bob", request("now")).await;
    world.wait("bob", "an answer", |status| status.last_handled_reconcile_at.as_deref() == Some("now")).await;
    world.wait_for_reads("alice", world.script.last_seq().await.unwrap(), 3).await;
    let writes = world.writes_with_events(mark).await;
    assert_eq!(writes.iter().map(words).collect::<Vec<_>>(), [format!("{STATUS} bob")]);
    assert_eq!(reads(&world, "bob", seq).await, 1);
}

/// A world whose access tokens live for 10 s, and an operator that refreshes them 6 s ahead.
async fn short_lived(test: &str) -> World {
    let app = NewApp { access_token_seconds: 10, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    World::with_app(test, app).await
}

/// Waits until an account's status shows another refresh.
async fn next_refresh(world: &World, listener: &str) -> SpotifyAccount {
    let last = |account: &SpotifyAccount| account.status.clone()?.token?.last_refresh_time;
    let before = last(&world.api::<SpotifyAccount>().get(listener).await.unwrap());
    world
        .wait(listener, "the next refresh", |status| {
            status.token.as_ref().is_some_and(|token| token.last_refresh_time != before)
        })
        .await
}

async fn secret_text(world: &World, name: &str, key: &str) -> String {
    let secret: Secret = world.secrets().get(name).await.unwrap();
    String::from_utf8(secret.data.unwrap()[key].0.clone()).unwrap()
}

/// Milliseconds from the commit on the Secret to the status write after it, for each refresh.
pub(super) fn from_commit_to_status(writes: &[AuditEntry], listener: &str) -> Vec<i64> {
    let (mut committed, mut waits): (Option<Timestamp>, _) = (None, Vec::new());
    for entry in writes.iter().filter(|entry| entry.name.as_deref().is_some_and(|name| name.starts_with(listener))) {
        match (entry.is_about("secrets"), committed) {
            (true, _) => committed = Some(entry.time),
            (false, Some(time)) => {
                waits.push(entry.time.duration_since(time).as_millis().try_into().unwrap());
                committed = None;
            }
            (false, None) => {}
        }
    }
    waits
}

#[tokio::test]
async fn a_refresh_is_claim_commit_and_one_status_write() {
    let world = short_lived("cost-of-refreshes").await;
    world.account("alice", "1s").await;
    let _operator = world.operator().flag("refresh-buffer", "6s").start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_for_counts(&world, 1).await;
    next_refresh(&world, "alice").await;

    let mark = world.mark().await;
    for _ in 0..3 {
        next_refresh(&world, "alice").await;
    }
    let writes = world.writes_with_events(mark).await;
    let refresh =
        [format!("{TOKEN_SECRET} alice-spotify"), format!("{TOKEN_SECRET} alice-spotify"), format!("{STATUS} alice")];
    assert!(writes.len() >= 9, "{:?}", writes.iter().map(words).collect::<Vec<_>>());
    for (write, expected) in writes.iter().zip(refresh.iter().cycle()) {
        assert_eq!(words(write), *expected, "{:?}", writes.iter().map(words).collect::<Vec<_>>());
    }
    let waits = from_commit_to_status(&writes, "alice");
    println!("from commit to status: {waits:?} ms");
    assert!(waits.iter().min().unwrap() < &1000, "{waits:?}");
}

#[tokio::test]
async fn the_status_tells_a_tokens_life_before_the_read_after_it_is_answered() {
    let world = short_lived("status-of-tokens").await;
    world.account("alice", "1s").await;
    // No token lives as long as the buffer: every pass refreshes, then reads, and waits 3 s for the page.
    let slow = NewFault::new(Effect::DelayBefore { milliseconds: 3_000 }).at(Endpoint::RecentlyPlayed);
    world.script.add_fault(&slow).await.unwrap();
    let _operator = world.operator().flag("refresh-buffer", "20s").start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;

    let mark = world.mark().await;
    for _ in 0..3 {
        next_refresh(&world, "alice").await;
    }
    let account = next_refresh(&world, "alice").await;
    let shown = account.status.unwrap().token.unwrap().expiry_time.unwrap();
    assert_eq!(shown.0.to_string(), secret_text(&world, "alice-spotify", "expires-at").await);
    let waits = from_commit_to_status(&world.writes(mark).await, "alice");
    println!("from commit to status while the read waits: {waits:?} ms");
    assert!(waits.len() >= 3 && waits.iter().all(|wait| *wait < 1_000), "{waits:?}");
}

#[tokio::test]
async fn a_rotation_costs_one_write_of_the_state_secret_and_the_first_one_a_finalizer() {
    let world = short_lived("cost-of-rotations").await;
    let carol = NewAccount { rotation: Some(Rotation::SingleUse), ..NewAccount::new("carol", CLIENT_ID) };
    world.listener_as(carol).await;
    world.listenbrainz("carol").await;
    world.webhook().await;
    let created: SpotifyAccount = world.create("SpotifyAccount", "carol", &world.spec("carol", "1s")).await;
    let mark = world.mark().await;
    let _operator = world.operator().flag("refresh-buffer", "6s").start().await.unwrap();
    world.wait_ready("carol", "True", "Succeeded").await;
    for _ in 0..2 {
        next_refresh(&world, "carol").await;
    }

    let uid = created.uid().unwrap();
    let writes = world.writes(mark).await;
    let mine = |entry: &&AuditEntry| {
        entry.name.as_deref().is_some_and(|name| name.starts_with("carol") || name.ends_with(&uid))
    };
    let writes: Vec<String> = writes.iter().filter(mine).map(words).collect();
    let (token, status) = (format!("{TOKEN_SECRET} carol-spotify"), format!("{STATUS} carol"));
    let state = format!("secrets scrobble-operator-state-{uid}");
    let first = [
        status.clone(),
        token.clone(),
        format!("create {state}"),
        token.clone(),
        "patch spotifyaccounts carol".to_owned(),
        status.clone(),
        status.clone(),
    ];
    let later = [token.clone(), format!("patch {state}"), token, status];
    assert_eq!(writes[..first.len()], first, "{writes:?}");
    assert!(writes.len() >= first.len() + 2 * later.len(), "{writes:?}");
    for (write, expected) in writes[first.len()..].iter().zip(later.iter().cycle()) {
        assert_eq!(write, expected, "{writes:?}");
    }
    let rotations = world.script.tokens("carol").await.unwrap();
    assert_eq!(rotations.reused, Vec::<String>::new());
    println!("{} rotations, {} writes", rotations.rotations.len(), writes.len());
    let account = world.api::<SpotifyAccount>().get("carol").await.unwrap();
    assert_eq!(account.finalizers().len(), 1);
}
