//! Plays that a target cannot take now wait in a Secret of the operator's own, and go out oldest first.

use kube::ResourceExt as _;
use scrobble_harness::{AuditEntry, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use serde_json::{Value, json};

use super::stage::{fast, hook, journal_name, keyed, title, totals};
use crate::world::{DEADLINE, World};

/// What the operator wrote, in the order in which it was stored: `journal`, or pending and scrobbled as a status tells.
fn story(writes: &[AuditEntry], journal: &str) -> Vec<String> {
    let told = |entry: &AuditEntry| {
        if entry.is_about("secrets") && entry.name.as_deref() == Some(journal) {
            return Some("journal".to_owned());
        }
        let sync: &Value =
            &entry.response.as_ref().filter(|_| entry.is_about("spotifyaccounts/status"))?["status"]["sync"];
        Some(format!("{} wait, {} sent", sync.get("pendingTotal")?, sync.get("scrobbledTotal")?))
    };
    let mut story: Vec<String> = writes.iter().filter_map(told).collect();
    story.dedup();
    story
}

async fn alice(world: &World, interval: &str) -> SpotifyAccount {
    world.hook_target("hook").await;
    world.listenbrainz("alice").await;
    let targets = json!([keyed("listenbrainz", "listenbrainz", "alice-listenbrainz"), hook("hook", "hook")]);
    world.listening("alice", interval, targets).await
}

#[tokio::test]
async fn plays_are_written_down_before_the_status_counts_them_and_struck_out_after_it() {
    let world = fast("journal-order").await;
    let account = alice(&world, "2m").await;
    world.hook_answers("hook", 503).await;
    let titles = world.play("alice", 3, 60).await;
    let mark = world.mark().await;
    let _operator = world.start().await;
    world.wait("alice", "three plays that wait", totals(3, 3)).await;

    let secret = world.journal_secret(&account).await.unwrap();
    assert_eq!(secret.labels()["scrobble-operator.io/use"], "state");
    let owners = secret.owner_references();
    assert_eq!(owners.iter().map(|owner| &owner.uid).collect::<Vec<_>>(), [&account.uid().unwrap()]);
    assert_eq!(world.journal(&account).await.unwrap().entries.len(), 3);

    world.hook_answers("hook", 204).await;
    world.wait("alice", "three plays at the webhook", totals(6, 0)).await;
    world.wait_for_journal(&account, 0).await;
    let story = story(&world.writes(mark).await, &journal_name(&account));
    let seen: Vec<&str> = story.iter().map(String::as_str).skip_while(|told| *told == "0 wait, 0 sent").collect();
    assert_eq!(seen, ["journal", "3 wait, 3 sent", "0 wait, 6 sent", "journal"]);
    assert_eq!(world.accepted("hook").await.len(), 3);
    world.assert_listens("alice", &titles).await;

    world.delete::<SpotifyAccount>("alice").await;
    wait_until("the journal to go with its account", DEADLINE, async || world.journal_secret(&account).await.is_none())
        .await
        .unwrap();
}

#[tokio::test]
async fn plays_outlive_a_restart_and_what_spotify_shows() {
    let world = fast("journal-window").await;
    let account = alice(&world, "2m").await;
    world.hook_answers("hook", 503).await;
    let mut titles = world.play("alice", 30, 7_200).await;
    let mut operator = world.start().await;
    world.wait("alice", "thirty plays that wait", totals(30, 30)).await;
    titles.extend(world.play("alice", 30, 60).await);
    world.wait("alice", "sixty plays that wait", totals(60, 60)).await;
    assert!(operator.terminate().await.unwrap().success());
    let shown = world.script.page("alice").await.unwrap();
    assert_eq!(shown.iter().filter(|play| titles.contains(&play.title)).count(), 50, "ten are not shown any more");
    assert_eq!(world.journal(&account).await.unwrap().entries.len(), 60);

    world.hook_answers("hook", 204).await;
    operator.restart().await.unwrap();
    world.wait("alice", "all plays at the webhook", totals(120, 0)).await;
    let mut accepted = world.accepted("hook").await;
    accepted.sort_by_key(|delivery| delivery.last_time);
    let sent: Vec<String> = accepted.iter().map(title).collect();
    titles.sort();
    assert_eq!(sent, titles, "once each, oldest first");
    assert!(accepted.iter().all(|delivery| delivery.accepted == 1 && delivery.forms.len() == 1), "{accepted:?}");
    world.assert_listens("alice", &titles).await;
    world.wait_for_journal(&account, 0).await;
}
