//! A repository that applies the first token Secret again and again: the operator keeps the newest token in use, says so
//! once, and does not fight.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use scrobble_harness::{AuditEntry, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Delivery, Endpoint, Listen, NewAccount, Record, RecordFilter, Rotation};

use super::repository::{Manifest, Tool, Way};
use super::tokens::{
    app, assert_stored, assert_used_once, exchanges, operator, put, report, state_name, text, wait_for_exchanges,
    wait_until_settled,
};
use crate::world::{CLIENT_ID, DEADLINE, World, ready};

/// What every account of a repository is.
#[derive(Clone, Copy)]
pub struct Kept {
    pub listener: &'static str,
    pub rotation: Rotation,
    pub way: Way,
}

/// Each way of applying under each way of rotating.
const KEPT: [Kept; 6] = [
    Kept { listener: "never-applied", rotation: Rotation::Never, way: Way::Apply },
    Kept { listener: "never-replaced", rotation: Rotation::Never, way: Way::Replace },
    Kept { listener: "grace-applied", rotation: Rotation::Grace, way: Way::Apply },
    Kept { listener: "grace-replaced", rotation: Rotation::Grace, way: Way::Replace },
    Kept { listener: "strict-applied", rotation: Rotation::Strict, way: Way::Apply },
    Kept { listener: "strict-replaced", rotation: Rotation::Strict, way: Way::Replace },
];

/// Accounts of a world, each with a listener whose tokens rotate in its own way, and the manifests of their Secrets.
pub async fn accounts(world: &World, kept: &[Kept]) -> Vec<Manifest> {
    world.webhook().await;
    let mut manifests = Vec::new();
    for Kept { listener, rotation, .. } in kept {
        world.listener_as(NewAccount { rotation: Some(*rotation), ..NewAccount::new(*listener, CLIENT_ID) }).await;
        manifests.push(Manifest::of(world, listener).await);
        world.listenbrainz(listener).await;
        world.create::<SpotifyAccount>("SpotifyAccount", listener, &world.spec(listener, "1s")).await;
    }
    manifests
}

/// Records how the accounts of a world stand, at every change.
pub struct Watched {
    /// What was seen that is not Ready, by account.
    not_ready: Arc<Mutex<Vec<String>>>,
    changes: Arc<Mutex<usize>>,
    task: tokio::task::JoinHandle<()>,
}

impl Watched {
    pub fn start(world: &World) -> Self {
        let (not_ready, changes) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let (sink, count) = (Arc::clone(&not_ready), Arc::clone(&changes));
        let mut stream = watcher(world.api::<SpotifyAccount>(), watcher::Config::default()).applied_objects().boxed();
        let task = tokio::spawn(async move {
            while let Some(seen) = stream.next().await {
                let Ok(account) = seen else { continue };
                *count.lock().unwrap() += 1;
                let status = account.status.clone().unwrap_or_default();
                if ready(&status) != ("True", "Succeeded") {
                    sink.lock().unwrap().push(format!("{}: {:?}", account.name_any(), status.conditions));
                }
            }
        });
        Self { not_ready, changes, task }
    }

    /// Every account was Ready at every change.
    pub fn assert_ready_all_the_time(self) {
        self.task.abort();
        assert!(*self.changes.lock().unwrap() > 0);
        assert_eq!(*self.not_ready.lock().unwrap(), Vec::<String>::new());
    }
}

/// Every play was delivered to both targets, and to each of them once; or at least once, where the operator was killed.
pub async fn assert_delivered(world: &World, kept: &[Kept], once: bool) {
    let mut total = 0;
    for Kept { listener, .. } in kept {
        let plays = world.script.plays(listener).await.unwrap();
        let mut expected: Vec<String> = plays.into_iter().map(|play| play.title).collect();
        expected.sort();
        total += expected.len();
        wait_until(&format!("all plays of {listener}"), DEADLINE, async || {
            let listens = world.listens(listener).await;
            if listens == expected { Ok(()) } else { Err(format!("{} of {}", listens.len(), expected.len())) }
        })
        .await
        .unwrap();
        let listens: Vec<Listen> = world.script.listens(listener).await.unwrap();
        assert!(!once || listens.iter().all(|listen| listen.received == 1), "{listens:?}");
    }
    wait_until("all plays at the webhook", DEADLINE, async || {
        let deliveries: Vec<Delivery> = world.script.deliveries("hook").await.map_err(|error| error.to_string())?;
        assert!(!once || deliveries.iter().all(|delivery| delivery.received == 1), "{deliveries:?}");
        if deliveries.len() == total { Ok(()) } else { Err(format!("{} of {total}", deliveries.len())) }
    })
    .await
    .unwrap();
}

async fn exchanges_of(world: &World, listener: &str) -> Vec<Record> {
    world.script.requests(&RecordFilter::at(Endpoint::Token).of(listener)).await.unwrap()
}

/// Waits until reads go on.
async fn read_on(world: &World, kept: &[Kept]) {
    let since = world.script.last_seq().await.unwrap();
    for Kept { listener, .. } in kept {
        world.wait_for_reads(listener, since, 3).await;
    }
}

#[tokio::test]
async fn two_minutes_of_a_repository_cost_no_token_no_play_and_no_fight() {
    let world = World::with_app("repository", app(Rotation::Never, 5)).await;
    let manifests = accounts(&world, &KEPT).await;
    let mark = world.mark().await;
    let mut operator = operator(&world).start().await.unwrap();
    for Kept { listener, .. } in KEPT {
        world.wait_ready(listener, "True", "Succeeded").await;
    }
    let watched = Watched::start(&world);
    let tools = KEPT.iter().zip(manifests).map(|(kept, manifest)| Tool::start(&world, manifest, kept.way));
    let tools: Vec<Tool> = tools.collect();

    // The time is what is tested: half of it, a clean stop and start, and the other half.
    for half in 0..2 {
        for _ in 0..6 {
            for Kept { listener, .. } in KEPT {
                world.play(listener, 1, 0).await;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        read_on(&world, &KEPT).await;
        if half == 0 {
            assert!(operator.terminate().await.unwrap().success());
            operator.restart().await.unwrap();
            read_on(&world, &KEPT).await;
        }
    }
    let mut applied = Vec::new();
    for tool in tools {
        applied.push(tool.stop().await);
    }
    assert_delivered(&world, &KEPT, true).await;
    for Kept { listener, .. } in KEPT {
        wait_until_settled(&world, listener).await;
    }
    assert!(operator.terminate().await.unwrap().success());
    watched.assert_ready_all_the_time();

    let writes = world.writes(mark).await;
    for (Kept { listener, rotation, .. }, applied) in KEPT.into_iter().zip(applied) {
        let tokens = report(&world, listener).await;
        assert_used_once(&tokens);
        wait_until_settled(&world, listener).await;
        assert_stored(&world, listener).await;
        let status = world.api::<SpotifyAccount>().get(listener).await.unwrap().status.unwrap();
        assert_eq!(status.failures, None, "{listener}");
        let rotates = rotation != Rotation::Never;
        assert_eq!(status.authorization.unwrap().put_back_time.is_some(), rotates, "{listener}");
        let events = world.events(listener).await;
        let said = events.iter().filter(|(_, note)| note.contains("was put back")).count();
        assert_eq!(said, usize::from(rotates), "{listener}: {events:?}");

        // Nothing is written but for refreshes, and for plays: nobody fights.
        let state = state_name(&world, listener).await;
        let count = |wanted: &dyn Fn(&AuditEntry) -> bool| writes.iter().filter(|entry| wanted(entry)).count();
        let named = |entry: &AuditEntry, name: &str| entry.is_about("secrets") && entry.name.as_deref() == Some(name);
        let exchanges = exchanges_of(&world, listener).await.len();
        assert!(exchanges >= 20, "{exchanges} exchanges of {listener}");
        assert_eq!(count(&|entry| named(entry, &format!("{listener}-spotify"))), 2 * exchanges, "{listener}");
        assert_eq!(count(&|entry| named(entry, &state)), tokens.rotations.len(), "{listener}");
        let status_writes =
            count(&|entry| entry.is_about("spotifyaccounts/status") && entry.name.as_deref() == Some(listener));
        let plays = world.script.plays(listener).await.unwrap().len();
        assert!((1..=exchanges + plays + 6).contains(&status_writes), "{listener}: {status_writes} status writes");
        println!(
            "{listener}: applied {applied} times, {exchanges} exchanges, {plays} plays, {status_writes} status writes"
        );
    }
}

#[tokio::test]
async fn a_humans_new_token_outlives_the_repository_that_puts_the_old_one_back() {
    let world = World::with_app("taken-over", app(Rotation::Never, 3)).await;
    let kept = [
        Kept { listener: "alice", rotation: Rotation::Never, way: Way::Replace },
        Kept { listener: "bob", rotation: Rotation::SingleUse, way: Way::Apply },
    ];
    let manifests = accounts(&world, &kept).await;
    let mut operator = operator(&world).start().await.unwrap();
    for (Kept { listener, way, .. }, manifest) in kept.into_iter().zip(manifests) {
        world.wait_ready(listener, "True", "Succeeded").await;
        let state = state_name(&world, listener).await;
        let before = lineage(&world, &state).await;
        let minted = world.script.mint_tokens(listener).await.unwrap();
        put(&world, listener, serde_json::json!({"refresh-token": minted.refresh_token})).await;
        wait_until("the new token to be used", DEADLINE, async || {
            let sent = exchanges_of(&world, listener).await;
            sent.iter()
                .any(|record| record.facts.refresh_token_sent.as_ref() == Some(&minted.refresh_token_sha256))
                .then_some(())
        })
        .await
        .unwrap();
        wait_until_settled(&world, listener).await;
        let after = wait_until("the lineage to go on", DEADLINE, async || {
            lineage(&world, &state).await.filter(|after| before.as_ref().is_none_or(|before| before.0 < after.0))
        })
        .await
        .unwrap();
        assert!(before.is_none_or(|(_, replaced)| after.1.starts_with(&replaced)), "what was replaced stays replaced");
        let seq = world.script.last_seq().await.unwrap();
        for _ in 0..2 {
            manifest.apply(&world.secrets(), way).await;
            wait_for_exchanges(&world, 2).await;
        }
        // Also by a process that has not seen the human's token.
        assert!(operator.terminate().await.unwrap().success());
        manifest.apply(&world.secrets(), way).await;
        operator.restart().await.unwrap();
        world.wait_for_reads(listener, world.script.last_seq().await.unwrap(), 2).await;
        let first = scrobble_simulator::sha256(
            String::from_utf8(manifest.secret().data.as_ref().unwrap()["refresh-token"].0.clone()).unwrap(),
        );
        let sent = exchanges(&world, seq).await;
        assert!(sent.iter().all(|record| record.facts.refresh_token_sent.as_ref() != Some(&first)), "{sent:?}");
        wait_until_settled(&world, listener).await;
        assert_stored(&world, listener).await;
        let account = world.wait_ready(listener, "True", "Succeeded").await;
        assert_eq!(account.finalizers().len(), 1);
        let said = world.events(listener).await.iter().filter(|(_, note)| note.contains("was put back")).count();
        assert_eq!(said, 1, "{listener}");
        let asked = world.script.requests(&RecordFilter::at(Endpoint::Me).of(listener)).await.unwrap();
        assert_eq!(asked.len(), 2, "{listener}: once for each authorization");
    }
}

/// The place of the newest token in the lineage, and the hashes of the tokens that were replaced.
async fn lineage(world: &World, state: &str) -> Option<(u64, String)> {
    let mark: serde_json::Value =
        serde_json::from_str(&text(world, state, "scrobble-operator.lineage").await?).unwrap();
    Some((mark["number"].as_u64().unwrap(), text(world, state, "replaced").await?))
}
