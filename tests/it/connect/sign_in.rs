//! The listener signs in, and the tokens are where they belong.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use scrobble_harness::TestNamespace;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Endpoint, RecordFilter};
use scrobble_simulator::sha256;
use serde_json::{Value, json};

use super::session::{self, Connect, assert_plain, parameter, request, token_secret, world};
use crate::accounts::tokens;
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World};

fn text(secret: &Secret, key: &str) -> String {
    let value = secret.data.as_ref().unwrap().get(key).unwrap_or_else(|| panic!("no {key}"));
    String::from_utf8(value.0.clone()).unwrap()
}

/// What the simulator recorded of the exchange of the code.
async fn exchange(world: &World) -> scrobble_simulator::api::Record {
    let records = world.script.requests(&RecordFilter::at(Endpoint::Token)).await.unwrap();
    assert_eq!(records.len(), 1, "{records:?}");
    records.into_iter().next().unwrap()
}

async fn a_listener_signs_in(test: &str, confidential: bool) {
    let world = world(test, confidential).await;
    let before = world.script.now().await.unwrap();
    let mut running = Connect::new(&world, "alice").await.start();
    let link = running.link().await;
    assert_eq!(parameter(&link, "scope").as_deref(), Some("user-read-recently-played"));
    assert_eq!(parameter(&link, "code_challenge_method").as_deref(), (!confidential).then_some("S256"));
    let redirect = parameter(&link, "redirect_uri").unwrap();
    assert!(redirect.starts_with("http://127.0.0.1:") && redirect.ends_with("/callback"), "{redirect}");

    let (page, ended) = running.sign_in().await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_plain(&page);
    assert!(page.text.contains(&format!("SpotifyAccount {}/alice", world.namespace)), "{}", page.text);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout.contains("holds the new authorization"), "{}", ended.stdout);

    let exchange = exchange(&world).await;
    let authenticated = exchange.facts.client_authentication.as_deref();
    assert_eq!(authenticated, Some(if confidential { "basic" } else { "none" }));
    let secret = token_secret(&world, "alice").await.unwrap();
    assert_eq!(secret.labels(), &BTreeMap::from([("scrobble-operator.io/use".to_owned(), "token".to_owned())]));
    assert!(secret.owner_references().is_empty(), "it stays when the account goes");
    let keys: Vec<&str> = secret.data.as_ref().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["authorized-at", "flow", "refresh-token", "scope"]);
    assert_eq!(Some(sha256(text(&secret, "refresh-token"))), exchange.facts.refresh_token_issued);
    assert_eq!(text(&secret, "flow"), if confidential { "confidential" } else { "pkce" });
    assert_eq!(text(&secret, "scope"), "user-read-recently-played");
    let authorized: jiff::Timestamp = text(&secret, "authorized-at").parse().unwrap();
    assert!(before.as_second() <= authorized.as_second() && authorized <= world.script.now().await.unwrap());
    assert!(request(&world, "alice").await.is_some(), "the operator is asked to look");

    // The operator takes it up, and knows when the listener signed in.
    let _operator = world.start().await;
    let account = world.wait_ready("alice", "True", "Succeeded").await;
    let known = account.status.unwrap().authorization.unwrap();
    assert_eq!(known.authorized_time.unwrap().0.as_second(), authorized.as_second());
    assert!(!known.estimated);
    assert_eq!(known.flow.unwrap().as_str(), text(&secret, "flow"));
    assert_eq!(known.scopes, ["user-read-recently-played"]);
    assert_eq!(known.spotify_account_id, Some(world.script.account("alice").await.unwrap().account_id));
    tokens::assert_stored(&world, "alice").await;
}

#[tokio::test]
async fn a_public_app_signs_in_by_pkce() {
    a_listener_signs_in("connect-public", false).await;
}

#[tokio::test]
async fn a_confidential_app_signs_in_by_its_secret() {
    a_listener_signs_in("connect-confidential", true).await;
}

#[tokio::test]
async fn a_manifest_is_printed_and_nothing_is_written() {
    let world = world("connect-yaml", false).await;
    let mark = world.mark().await;
    let (page, ended) = Connect::new(&world, "alice").await.flag("output=yaml").start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    assert!(ended.stderr.contains("Sign in to Spotify"), "{}", ended.stderr);
    let printed: Value = serde_yaml::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["metadata"]["name"], "alice-spotify");
    assert_eq!(printed["metadata"]["namespace"], world.namespace);
    let keys: Vec<&String> = printed["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["authorized-at", "flow", "refresh-token", "scope"]);

    assert!(token_secret(&world, "alice").await.is_none());
    assert_eq!(request(&world, "alice").await, None);
    let human = format!("system:serviceaccount:{}:human", world.namespace);
    world.plane.audit().settle(&world.client).await.unwrap();
    let writes = world.plane.audit().writes_by(&human, &world.namespace, mark).unwrap();
    assert!(writes.is_empty(), "{writes:?}");

    // A name that is text for Kubernetes and something else for YAML.
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"tokenSecretRef": {"name": "no"}}})).await;
    let (_, odd) = Connect::new(&world, "alice").await.flag("output=yaml").start().sign_in().await;
    world.plane.kubectl_with_input(&["apply", "--dry-run=server", "-f", "-"], &odd.stdout).await.unwrap();
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"tokenSecretRef": {"name": "alice-spotify"}}})).await;

    let _operator = world.start().await;
    world.wait_ready("alice", "False", "SecretNotFound").await;
    world.plane.kubectl_with_input(&["apply", "-f", "-"], &ended.stdout).await.unwrap();
    world.request("alice", "now").await;
    let account = world.wait_ready("alice", "True", "Succeeded").await;
    let secret = token_secret(&world, "alice").await.unwrap();
    let known = account.status.unwrap().authorization.unwrap();
    let authorized: jiff::Timestamp = text(&secret, "authorized-at").parse().unwrap();
    assert_eq!(known.authorized_time.unwrap().0.as_second(), authorized.as_second());
    assert!(!known.estimated);
    let held = tokens::held(&world, "alice").await;
    assert!(tokens::report(&world, "alice").await.valid.contains(&held.unwrap()));
}

#[tokio::test]
async fn of_a_secret_that_exists_only_the_keys_of_an_authorization_change() {
    let world = world("connect-existing", true).await;
    let before = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "alice-spotify",
            "labels": {"scrobble-operator.io/use": "token", "team": "music"},
            "annotations": {"example.org/kept": "yes", "scrobble-operator.io/own": "kept"},
            "finalizers": ["example.org/kept"],
        },
        "stringData": {
            "refresh-token": "an-old-token", "access-token": "an-old-access-token", "expires-at": "not even a time",
            "authorized-at": "2026-05-01T00:00:00Z", "flow": "pkce", "scope": "user-read-email",
            "scrobble-operator.lineage": "{}", "scrobble-operator.claim": "{\"a\":\"claim\"}",
            "note": "the owner's own", "password": "of something else",
        },
    });
    world.put_secret(&before).await;
    let before = token_secret(&world, "alice").await.unwrap();
    let (page, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    let after = token_secret(&world, "alice").await.unwrap();
    for (metadata, other) in [(&before.metadata, &after.metadata), (&after.metadata, &before.metadata)] {
        assert_eq!(metadata.labels, other.labels);
        assert_eq!(metadata.annotations, other.annotations);
        assert_eq!(metadata.finalizers, other.finalizers);
        assert_eq!(metadata.uid, other.uid);
    }
    assert_eq!(before.type_, after.type_);
    for kept in ["note", "password", "scrobble-operator.lineage", "scrobble-operator.claim"] {
        assert_eq!(text(&before, kept), text(&after, kept), "{kept}");
    }
    for new in ["refresh-token", "authorized-at", "flow", "scope"] {
        assert_ne!(text(&before, new), text(&after, new), "{new}");
    }
    // Those were the previous authorization's.
    for gone in ["access-token", "expires-at"] {
        assert!(!after.data.as_ref().unwrap().contains_key(gone), "{gone}");
    }
    assert_eq!(after.data.as_ref().unwrap().len(), before.data.as_ref().unwrap().len() - 2);
    let _operator = world.start().await;
    world.wait_ready("alice", "True", "Succeeded").await;
    let unfinalized = json!({"metadata": {"finalizers": null}});
    let patch = kube::api::Patch::Merge(unfinalized);
    world.secrets().patch("alice-spotify", &kube::api::PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_browser_is_asked_to_show_the_link() {
    let world = world("connect-browser", false).await;
    let folder = tempfile::tempdir().unwrap();
    let browser = folder.path().join("xdg-open");
    let seen = folder.path().join("seen");
    std::fs::write(&browser, format!("#!/bin/sh\necho noise\nprintf %s \"$1\" >{}\n", seen.display())).unwrap();
    std::fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let line = format!("scrobble-operator connect --namespace {} --account alice", world.namespace);
    let connect = Connect::as_printed(&world, super::session::HUMAN, &line).await;
    let mut running = connect.environment("PATH", &folder.path().display().to_string()).start();
    let link = running.link().await;
    assert!(running.stdout().contains("A browser on this machine opens"), "{}", running.stdout());
    let opened = scrobble_harness::wait_until("the browser", DEADLINE, async || {
        std::fs::read_to_string(&seen).ok().filter(|text| !text.is_empty())
    })
    .await
    .unwrap();
    assert_eq!(opened, link.as_str());
    let (_, ended) = running.sign_in().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.stdout.contains("noise"), "{}", ended.stdout);
}

#[tokio::test]
async fn the_kubeconfigs_own_namespace_and_a_named_context_are_used() {
    let world = world("connect-context", false).await;
    let line = "scrobble-operator connect --account alice --no-browser --context test";
    let (page, ended) = Connect::as_printed(&world, super::session::HUMAN, line).await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    assert!(token_secret(&world, "alice").await.is_some());
    let line = "scrobble-operator connect --account alice --no-browser --context elsewhere";
    let ended = Connect::as_printed(&world, super::session::HUMAN, line).await.start().end().await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("name a kubeconfig that works with --kubeconfig and --context"), "{}", ended.stderr);
    let account: SpotifyAccount = world.api().get("alice").await.unwrap();
    assert!(account.status.is_none(), "no operator runs");
}

#[tokio::test]
async fn an_app_that_another_namespace_shares_is_used() {
    let world = world("connect-shared", false).await;
    let platform = TestNamespace::create(&world.client, "connect-platform").await.unwrap();
    let namespace = platform.name.as_str();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"client-secret": CLIENT_SECRET},
        "metadata": {"name": "client", "labels": {"scrobble-operator.io/use": "client"}},
    });
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"music": "allowed"}}});
    let app = json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "SpotifyApp", "metadata": {"name": "shared"},
        "spec": {
            "clientId": CLIENT_ID, "clientSecretRef": {"name": "client", "key": "client-secret"},
            "allowedNamespaces": selector,
        },
    });
    for object in [secret, app] {
        let apply = ["apply", "--namespace", namespace, "-f", "-"];
        world.plane.kubectl_with_input(&apply, &object.to_string()).await.unwrap();
    }
    world.script.put_app(&session::app(true)).await.unwrap();
    let reference = json!({"spec": {"appRef": {"name": "shared", "namespace": namespace}}});
    world.patch::<SpotifyAccount>("alice", reference).await;
    let admin = world.plane.kubeconfig().display().to_string();
    let connect = async || Connect::new(&world, "alice").await.flag(&format!("kubeconfig={admin}")).start();

    let ended = connect().await.end().await;
    assert_eq!(ended.code, 1);
    let says = format!("SpotifyApp {namespace}/shared does not exist or is not shared with this namespace");
    assert!(ended.stderr.contains(&says), "{}", ended.stderr);
    world.plane.kubectl(&["label", "namespace", &world.namespace, "music=allowed"]).await.unwrap();
    let (page, ended) = connect().await.sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{page:?} {ended:?}");
    assert_eq!(text(&token_secret(&world, "alice").await.unwrap(), "flow"), "confidential");
}

#[tokio::test]
async fn an_api_server_that_is_away_is_named() {
    let world = world("connect-away", false).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "away",
        "clusters": [{"name": "away", "cluster": {"server": format!("http://{closed}")}}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {}}],
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let connect = Connect::new(&world, "alice").await.flag(&format!("kubeconfig={}", file.display()));
    let ended = connect.start().end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
    for part in ["could not read the object", "run the command again once it does"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}
