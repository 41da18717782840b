//! Several look at once at an account whose access token has ended and whose refresh token is replaced with each use.

use futures::future::join_all;
use kube::ResourceExt as _;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::Rotation;
use serde_json::json;

use super::session::{CHECKER, VIEWER, check, diagnostics, people, token};
use crate::accounts::tokens;

#[tokio::test]
async fn one_exchange_serves_everybody_who_looks() {
    // A token that is used twice ends the authorization.
    let world = tokens::world("diagnostics-race", Rotation::Strict, 3600).await;
    people(&world).await;
    world.account("alice", "24h").await;
    let operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    tokens::wait_until_settled(&world, "alice").await;
    tokens::put(&world, "alice", json!({"expires-at": "2026-01-01T00:00:00Z"})).await;
    let (since, mark) = (world.script.last_seq().await.unwrap(), world.mark().await);
    let viewer = token(&world, VIEWER).await;

    let looks = join_all((0..3).map(|_| check(&world, CHECKER, "alice", &["-o", "json"])));
    let (answer, looks) = tokio::join!(diagnostics(&world, &operator, "alice", &viewer), looks);

    assert_eq!(answer.status, 200, "{answer:?}");
    let mut refreshed = usize::from(answer.json()["token"]["refreshed"] == true);
    assert_eq!(answer.json()["healthy"], true, "{answer:?}");
    for look in looks {
        assert_eq!(look.code, 0, "{look:?}");
        assert_eq!(look.json()["token"]["state"], "Fresh", "{look:?}");
        refreshed += usize::from(look.json()["token"]["refreshed"] == true);
    }
    assert_eq!(tokens::exchanges(&world, since).await.len(), 1, "one exchange");
    assert_eq!(refreshed, 1);
    tokens::wait_until_settled(&world, "alice").await;

    // What a refresh writes, and nothing else.
    let audit = world.plane.audit();
    let checker = format!("system:serviceaccount:{}:{CHECKER}", world.namespace);
    let mut writes = world.writes_with_events(mark).await;
    writes.extend(audit.writes_by(&checker, &world.namespace, mark).unwrap());
    for entry in writes.iter().filter(|entry| entry.group != "authorization.k8s.io") {
        assert!(entry.is_about("secrets"), "{entry:?}");
    }

    // The operator goes on with the new token, and tells of it.
    world.request("alice", "now").await;
    world.wait("alice", "the request's end", |status| status.last_handled_reconcile_at.as_deref() == Some("now")).await;
    let account = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    let told = account.status.as_ref().unwrap().token.as_ref().unwrap().expiry_time.as_ref().unwrap().0;
    assert_eq!(
        tokens::text(&world, "alice-spotify", "expires-at").await,
        Some(told.to_string()),
        "{}",
        account.name_any()
    );
    assert_eq!(tokens::exchanges(&world, since).await.len(), 1, "and needs no other one");
}
