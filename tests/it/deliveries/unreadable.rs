//! A journal that this version cannot read is set aside, told, and never overwritten.

use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use serde_json::json;

use super::stage::{fast, hook, journal_name, totals};
use crate::world::{World, condition};

async fn set_aside(world: &World, account: &SpotifyAccount) -> Option<ByteString> {
    world.journal_secret(account).await?.data?.remove("unreadable")
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_set_aside_and_told() {
    let world = fast("journal-unreadable").await;
    let mut accounts = Vec::new();
    for name in ["garbage", "newer"] {
        world.hook_target(name).await;
        world.hook_answers(name, 503).await;
        accounts.push(world.listening(name, "2m", json!([hook("hook", name)])).await);
        world.play(name, 2, 60).await;
    }
    let mut operator = world.start().await;
    for name in ["garbage", "newer"] {
        world.wait(name, "two plays that wait", totals(0, 2)).await;
    }
    assert!(operator.terminate().await.unwrap().success());
    let mut written = Vec::new();
    for (account, garbage) in accounts.iter().zip([true, false]) {
        let secret = world.journal_secret(account).await.unwrap();
        let mut bytes = secret.data.unwrap()["journal"].0.clone();
        if garbage {
            bytes = b"no journal at all".to_vec();
        } else {
            bytes[3] = b'9';
        }
        let data = json!({"data": {"journal": ByteString(bytes.clone())}});
        world.secrets().patch(&journal_name(account), &PatchParams::default(), &Patch::Merge(&data)).await.unwrap();
        written.push(ByteString(bytes));
    }
    operator.restart().await.unwrap();
    for (account, bytes) in accounts.iter().zip(&written) {
        let name = account.metadata.name.as_deref().unwrap();
        let status = world.wait_ready(name, "False", "JournalUnreadable").await.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("True", "JournalUnreadable"));
        assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"));
        let message = find_condition(&status.conditions, ConditionType::Ready).unwrap().message.clone();
        assert!(message.contains("keys unreadable*"), "{message}");
        assert_eq!(set_aside(&world, account).await.as_ref(), Some(bytes), "the same bytes");
        world.play(name, 1, 0).await;
        world.wait(name, "three plays that wait, two of them from Spotify again", totals(0, 3)).await;
        assert_eq!(world.journal(account).await.unwrap().entries.len(), 3, "a new journal is kept beside it");
        world.hook_answers(name, 204).await;
        world.wait(name, "three plays delivered", totals(3, 0)).await;
        assert_eq!(world.accepted(name).await.len(), 3);
        world.wait_for_journal(account, 0).await;
        assert_eq!(set_aside(&world, account).await.as_ref(), Some(bytes), "nobody overwrites it");
        world.wait_ready(name, "False", "JournalUnreadable").await;

        let data = json!({"data": {"unreadable": null}});
        world.secrets().patch(&journal_name(account), &PatchParams::default(), &Patch::Merge(&data)).await.unwrap();
        world.request(name, "the key is gone").await;
        world.wait_ready(name, "True", "Succeeded").await;
    }
}
