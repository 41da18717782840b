//! The command has the rights of whoever runs it, and says which one is missing.

use super::session::{Connect, bind, token_secret, world};
use crate::documents::{assert_names_every_flag, flags};

#[tokio::test]
async fn rights_that_are_missing_are_named_before_anybody_is_sent_to_spotify() {
    let world = world("connect-rights", true).await;
    bind(&world, "nobody", "ClusterRole", "scrobble-operator-does-not-exist").await;
    let ended = Connect::by(&world, "nobody", "alice").await.start().end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
    let account = format!("SpotifyAccount {}/alice", world.namespace);
    assert!(ended.stderr.contains(&format!("you may not get {account}: ask for that right")), "{}", ended.stderr);

    // Whoever may see everything but no Secret.
    bind(&world, "viewer", "ClusterRole", "view").await;
    let ended = Connect::by(&world, "viewer", "alice").await.start().end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
    let secret = format!("you may not get Secret {}/main-client", world.namespace);
    assert!(ended.stderr.contains(&secret), "{}", ended.stderr);
    assert_eq!(world.script.last_seq().await.unwrap(), 0, "Spotify was asked nothing");

    // Whoever may read Secrets and not write them: only the manifest can be had.
    let role = format!(
        r#"{{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
             "metadata": {{"name": "reader", "namespace": "{}"}},
             "rules": [{{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}},
                       {{"apiGroups": ["scrobble-operator.io"], "resources": ["spotifyaccounts", "spotifyapps"],
                         "verbs": ["get", "list"]}}]}}"#,
        world.namespace
    );
    world.plane.kubectl_with_input(&["apply", "-f", "-"], &role).await.unwrap();
    bind(&world, "reader", "Role", "reader").await;
    let ended = Connect::by(&world, "reader", "alice").await.start().end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
    for part in [
        "you may not create and patch Secret",
        "alice-spotify: ask for that right, or run this command with --output yaml",
    ] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let (_, ended) = Connect::by(&world, "reader", "alice").await.flag("output=yaml").start().sign_in().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(token_secret(&world, "alice").await.is_none());

    // Whoever may write Secrets, and not ask the operator to look: the tokens are stored, and it is said what is left.
    let role = role.replace(r#"["get"]"#, r#"["get", "create", "patch"]"#);
    world.plane.kubectl_with_input(&["apply", "-f", "-"], &role).await.unwrap();
    scrobble_harness::wait_until("the new right", crate::world::DEADLINE, async || {
        let ended = Connect::by(&world, "reader", "nobody").await.start().end().await;
        assert_eq!(ended.code, 1);
        let who = format!("system:serviceaccount:{}:reader", world.namespace);
        let can = ["auth", "can-i", "create", "secrets", "--namespace", &world.namespace, "--as", &who];
        world.plane.kubectl(&can).await.is_ok()
    })
    .await
    .unwrap();
    let (_, ended) = Connect::by(&world, "reader", "alice").await.start().sign_in().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("could not be asked to look at it now"), "{}", ended.stdout);
    assert!(ended.stdout.contains("annotate spotifyaccount alice --overwrite"), "{}", ended.stdout);
    assert!(token_secret(&world, "alice").await.is_some());

    // The built-in role that the page names.
    bind(&world, "editor", "ClusterRole", "edit").await;
    let (page, ended) = Connect::by(&world, "editor", "alice").await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{ended:?}");
    assert!(ended.stdout.contains("The operator was asked to look at it now"), "{}", ended.stdout);
}

#[test]
fn the_page_names_every_flag() {
    let known = assert_names_every_flag("docs/connect.md", "connect");
    for page in ["README.md", "docs/connect.md"] {
        let text = std::fs::read_to_string(format!("{}/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("$ scrobble-operator connect")).collect();
        assert!(!commands.is_empty(), "{page}");
        for command in commands {
            let ours = command.split('|').next().unwrap();
            assert!(flags(ours).is_subset(&known), "{page}: {command}");
        }
    }
}
