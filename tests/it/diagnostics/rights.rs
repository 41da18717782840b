//! Who may ask: nobody else makes a call leave, or learns whether an account exists.

use reqwest::Method;
use serde_json::json;

use super::session::{CHECKER, NOBODY, VIEWER, check, diagnostics, people, request, token};
use crate::documents::assert_names_every_flag;
use crate::world::World;

#[tokio::test]
async fn without_rights_nothing_is_told_and_no_call_leaves() {
    let world = World::new("diagnostics-rights").await;
    people(&world).await;
    world.account("alice", "24h").await;
    let operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let since = world.script.last_seq().await.unwrap();
    let (viewer, nobody) = (token(&world, VIEWER).await, token(&world, NOBODY).await);

    let path = format!("/diagnostics/{}/alice", world.namespace);
    for (what, bearer) in [("none", None), ("a wrong one", Some("not-a-token")), ("an empty one", Some(""))] {
        let answer = request(&operator, Method::GET, &path, bearer, None).await;
        assert_eq!((answer.status, &answer.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()), "{what}");
    }
    let mut answers = Vec::new();
    for account in ["alice", "does-not-exist", "Not%20A%20Name"] {
        let answer = diagnostics(&world, &operator, account, &nobody).await;
        assert_eq!(answer.status, 403, "{account}: {answer:?}");
        answers.push(answer.text);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "what is there is not told: {answers:?}");
    let elsewhere = format!("/diagnostics/kube-system/{}", "alice");
    assert_eq!(request(&operator, Method::GET, &elsewhere, Some(&viewer), None).await.status, 403);
    assert_eq!(diagnostics(&world, &operator, "does-not-exist", &viewer).await.status, 404);
    assert_eq!(request(&operator, Method::GET, "/diagnostics/alice", Some(&viewer), None).await.status, 404);

    let ended = check(&world, NOBODY, "alice", &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    let account = format!("you may not get SpotifyAccount {}/alice: ask for that right", world.namespace);
    assert!(ended.stderr.contains(&account), "{ended:?}");
    // Whoever sees accounts only may ask the operator, and not look for themselves.
    let ended = check(&world, VIEWER, "alice", &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("you may not list the SpotifyAccounts"), "{ended:?}");
    let ended = check(&world, CHECKER, "does-not-exist", &[]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("does not exist"), "{ended:?}");
    // A call that cannot be counted is not made.
    world.plane.kubectl_with_input(&["apply", "-f", "-"], &uncounted(&world)).await.unwrap();
    let limited = json!({"spec": {"quota": {"dailyCalls": 100}}});
    world.patch::<scrobble_operator::api::v1alpha1::SpotifyApp>("main", limited).await;
    scrobble_harness::wait_until("the right to be gone", crate::world::DEADLINE, async || {
        let user = format!("system:serviceaccount:{}:{CHECKER}", world.namespace);
        let resource = "spotifyapps.scrobble-operator.io";
        let arguments = ["auth", "can-i", "patch", resource, "--subresource=status", "--as", &user];
        let can = [&arguments[..], &["--namespace", &world.namespace]].concat();
        if world.plane.kubectl(&can).await.is_err() { Ok(()) } else { Err(String::new()) }
    })
    .await
    .unwrap();
    let ended = check(&world, CHECKER, "alice", &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("you may not patch the status of SpotifyApp"), "{ended:?}");
    assert_eq!(world.script.last_seq().await.unwrap(), since, "nobody has asked Spotify anything");

    let ended = check(&world, CHECKER, "alice/x", &[]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(diagnostics(&world, &operator, "alice", &viewer).await.status, 200);
}

/// The role of the command without the right to count its calls.
fn uncounted(world: &World) -> String {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "scrobble-operator-check", "namespace": world.namespace},
        "rules": [
            {
                "apiGroups": ["scrobble-operator.io"],
                "resources": ["spotifyaccounts", "spotifyapps", "scrobbletargets"], "verbs": ["get", "list"],
            },
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]},
        ],
    })
    .to_string()
}

#[tokio::test]
async fn a_standby_asks_nobody_and_names_who_is_on_duty() {
    let world = World::new("diagnostics-standby").await;
    people(&world).await;
    world.account("alice", "24h").await;
    let elected = || world.operator().argument("--leader-elect");
    let _leader = elected().environment("HOSTNAME", "leader").start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    let standby = elected().environment("HOSTNAME", "standby").start().await.unwrap();
    let since = world.script.last_seq().await.unwrap();
    let answer = diagnostics(&world, &standby, "alice", &token(&world, VIEWER).await).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text.contains("the Lease is held by leader_"), "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(diagnostics(&world, &standby, "alice", &token(&world, NOBODY).await).await.status, 403);
    assert_eq!(world.script.last_seq().await.unwrap(), since);
}

#[test]
fn the_page_names_every_flag() {
    assert_names_every_flag("docs/diagnostics.md", "check");
}
