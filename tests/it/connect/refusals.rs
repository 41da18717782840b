//! What is refused, what is said about it, and that nothing is written then.

use kube::api::{DeleteParams, Patch, PatchParams};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewAccount, NewFault};
use serde_json::{Value, json};

use super::session::{Connect, Ended, Visit, assert_plain, request, token_secret, world};
use crate::accounts::tokens;
use crate::world::{CLIENT_ID, World};

/// The sign-in was refused: a plain page, a message, an exit code.
fn assert_refused(page: &Visit, ended: &Ended, title: &str, says: &str) {
    assert!((400..600).contains(&page.status), "{page:?}");
    assert_plain(page);
    assert!(page.text.contains(&format!("<h1>{title}</h1>")), "{title}: {}", page.text);
    assert_failed(ended, says);
}

fn assert_failed(ended: &Ended, says: &str) {
    assert_eq!(ended.code, 1, "{ended:?}");
    let message = ended.stderr.lines().find_map(|line| line.strip_prefix("scrobble-operator: "));
    assert!(message.is_some_and(|message| message.contains(says)), "wanted: {says}\n{}", ended.stderr);
    assert!(!ended.stdout.contains("holds the new authorization"), "{}", ended.stdout);
}

/// There is no token Secret, and the operator was not asked to look.
async fn assert_nothing_written(world: &World) {
    assert!(token_secret(world, "alice").await.is_none());
    assert_eq!(request(world, "alice").await, None);
}

#[tokio::test]
async fn a_listener_who_says_no_is_not_signed_in() {
    let world = world("connect-denied", false).await;
    world.script.add_fault(&NewFault::new(Effect::AccessDenied).at(Endpoint::Authorize).times(1)).await.unwrap();
    let (page, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
    assert_refused(&page, &ended, "Access was not allowed", "did not allow the access: run the command again");
    assert_nothing_written(&world).await;
    assert!(tokens::exchanges(&world, 0).await.is_empty());
    let (page, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{ended:?}");
}

#[tokio::test]
async fn another_spotify_user_than_the_account_has_is_refused() {
    let world = world("connect-other", true).await;
    let bob = world.script.add_account(&NewAccount::new("bob", CLIENT_ID)).await.unwrap().account;
    world.script.sign_in(CLIENT_ID, "alice").await.unwrap();
    let (_, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let mut operator = world.start().await;
    let account = world.wait_ready("alice", "True", "Succeeded").await;
    let known = account.status.unwrap().authorization.unwrap().spotify_account_id;
    assert_eq!(known, Some(world.script.account("alice").await.unwrap().account_id));
    operator.terminate().await.unwrap();
    let (before, asked) = (token_secret(&world, "alice").await, request(&world, "alice").await);

    world.script.sign_in(CLIENT_ID, &bob).await.unwrap();
    for output in [None, Some("output=yaml")] {
        let connect = Connect::new(&world, "alice").await;
        let connect = output.into_iter().fold(connect, Connect::flag);
        let (page, ended) = connect.start().sign_in().await;
        assert_refused(&page, &ended, "Another Spotify user", "another Spotify user signed in than the one");
        assert!(ended.stderr.contains(&format!("SpotifyAccount {}/alice", world.namespace)), "{}", ended.stderr);
        assert!(!ended.stdout.contains("kind: Secret"), "{}", ended.stdout);
    }
    assert_eq!(token_secret(&world, "alice").await, before);
    assert_eq!(request(&world, "alice").await, asked);
    world.script.sign_in(CLIENT_ID, "alice").await.unwrap();
    let (page, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
    assert_eq!((page.status, ended.code), (200, 0), "{ended:?}");
}

/// An account, what is wrong with it or its Secrets, and what is said before anybody is sent to Spotify.
struct Mistake {
    account: &'static str,
    spec: Value,
    secret: Option<Value>,
    says: &'static str,
}

fn mistakes() -> Vec<Mistake> {
    const USE: &str = "scrobble-operator.io/use";
    let mistake = |account, spec, secret, says| Mistake { account, spec, secret, says };
    let labelled = |labels: Value| Some(json!({"metadata": {"labels": labels}}));
    let none = || json!({});
    vec![
        mistake(
            "unlabelled",
            none(),
            labelled(json!({})),
            "label secret unlabelled-spotify scrobble-operator.io/use=token",
        ),
        mistake(
            "other-use",
            none(),
            labelled(json!({USE: "client"})),
            "other-use-spotify has the label scrobble-operator.io/use=client and is meant for something else",
        ),
        mistake(
            "unchangeable",
            none(),
            Some(json!({"metadata": {"labels": {USE: "token"}}, "immutable": true})),
            "unchangeable-spotify is immutable: delete it and run this command again",
        ),
        mistake(
            "operators-own",
            json!({"tokenSecretRef": {"name": "scrobble-operator-state-x"}}),
            None,
            "belongs to the operator itself: name another one in spec.tokenSecretRef",
        ),
        mistake(
            "younger",
            json!({"tokenSecretRef": {"name": "alice-spotify"}}),
            None,
            "alice-spotify is held by the older SpotifyAccount",
        ),
        mistake(
            "no-app",
            json!({"appRef": {"name": "nobody"}}),
            None,
            "nobody does not exist: create it or name another",
        ),
        mistake(
            "elsewhere",
            json!({"appRef": {"name": "main", "namespace": "kube-system"}}),
            None,
            "you may not get SpotifyApp kube-system/main: ask for that right",
        ),
        mistake(
            "bad-client",
            json!({"appRef": {"name": "bad"}}),
            None,
            "set its label scrobble-operator.io/use: client",
        ),
        mistake("no-client", json!({"appRef": {"name": "gone"}}), None, "the client secret of SpotifyApp"),
    ]
}

#[tokio::test]
async fn what_is_missing_is_said_before_anybody_is_sent_to_spotify() {
    let world = world("connect-mistakes", true).await;
    world.secret("bad-client", "credentials", &[("client-secret", "s")]).await;
    for app in ["bad", "gone"] {
        let reference = json!({"name": format!("{app}-client"), "key": "client-secret"});
        world
            .create::<SpotifyApp>("SpotifyApp", app, &json!({"clientId": CLIENT_ID, "clientSecretRef": reference}))
            .await;
    }
    // Ages are told by the second: the younger account is one.
    let older = world.api::<SpotifyAccount>().get("alice").await.unwrap().metadata.creation_timestamp.unwrap();
    scrobble_harness::wait_until("another second", crate::world::DEADLINE, async || {
        scrobble_simulator::Clock::real().now().as_second() > older.0.as_second()
    })
    .await
    .unwrap();
    let mut commands = Vec::new();
    for mistake in mistakes() {
        let Mistake { account, spec, secret, says } = mistake;
        let mut whole = world.spec(account, "1s");
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        world.create::<SpotifyAccount>("SpotifyAccount", account, &whole).await;
        let name = format!("{account}-spotify");
        if let Some(mut secret) = secret {
            let more = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"refresh-token": "old"}});
            secret.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            secret["metadata"]["name"] = json!(name);
            world.put_secret(&secret).await;
        }
        let before = world.secrets().get_opt(&name).await.unwrap();
        commands.push((Connect::new(&world, account).await.start(), name, before, says));
    }
    commands.push((
        Connect::new(&world, "nobody").await.start(),
        "nobody-spotify".to_owned(),
        None,
        "nobody does not exist: create it first, or correct --namespace and --account",
    ));
    for (running, name, before, says) in commands {
        let ended = running.end().await;
        assert_failed(&ended, says);
        assert_eq!(ended.stdout, "", "nobody is sent anywhere");
        assert_eq!(world.secrets().get_opt(&name).await.unwrap(), before, "{name}");
    }
    assert_eq!(world.script.last_seq().await.unwrap(), 0, "Spotify was asked nothing");
}

#[tokio::test]
async fn what_changes_during_the_sign_in_is_seen_before_anything_is_written() {
    let world = world("connect-changed", false).await;
    // The token Secret turns up, and cannot be written.
    let mut running = Connect::new(&world, "alice").await.start();
    running.link().await;
    world
        .put_secret(&json!({
            "apiVersion": "v1", "kind": "Secret", "immutable": true, "stringData": {"refresh-token": "somebody's"},
            "metadata": {"name": "alice-spotify", "labels": {"scrobble-operator.io/use": "token"}},
        }))
        .await;
    let before = token_secret(&world, "alice").await;
    let (page, ended) = running.sign_in().await;
    assert_refused(&page, &ended, "Not signed in", "alice-spotify is immutable");
    assert_eq!(token_secret(&world, "alice").await, before);
    world.secrets().delete("alice-spotify", &DeleteParams::default()).await.unwrap();

    // The account names another Secret; the account is another one of the same name.
    for recreate in [false, true] {
        let mut running = Connect::new(&world, "alice").await.start();
        running.link().await;
        if recreate {
            world.delete::<SpotifyAccount>("alice").await;
            world.create::<SpotifyAccount>("SpotifyAccount", "alice", &world.spec("alice", "1s")).await;
        } else {
            world.patch::<SpotifyAccount>("alice", json!({"spec": {"tokenSecretRef": {"name": "other"}}})).await;
        }
        let (page, ended) = running.sign_in().await;
        assert_refused(
            &page,
            &ended,
            "Not signed in",
            "or its app was changed during the sign-in: run the command again",
        );
        assert!(world.secrets().get_opt("other").await.unwrap().is_none());
        assert_nothing_written(&world).await;
    }
    // The account is gone.
    let mut running = Connect::new(&world, "alice").await.start();
    running.link().await;
    world.delete::<SpotifyAccount>("alice").await;
    let (page, ended) = running.sign_in().await;
    assert_refused(&page, &ended, "Not signed in", "does not exist");
    assert!(token_secret(&world, "alice").await.is_none());
}

#[tokio::test]
async fn every_answer_of_spotify_other_than_tokens_leaves_everything_as_it_was() {
    let world = world("connect-upstream", true).await;
    let status = |status| Effect::Status {
        status,
        body: BodyForm::Html,
        text: Some("planted <b>upstream</b> text".to_owned()),
        retry_after_seconds: Some(17),
    };
    let error = |error: &str| Effect::TokenError { error: error.into(), description: Some("planted upstream".into()) };
    for (endpoint, effect, says) in [
        (Endpoint::Token, error("invalid_grant"), "does not accept the code"),
        (Endpoint::Token, error("invalid_client"), "refuses the client id or secret of SpotifyApp"),
        (Endpoint::Token, error("unauthorized_client"), "answers unauthorized_client"),
        (Endpoint::Token, status(503), "(exchange of the code): HTTP status 503"),
        (Endpoint::Token, status(429), "asks to wait for 17 s"),
        (Endpoint::Token, Effect::CutAfter, "(exchange of the code): the connection ended"),
        (Endpoint::Token, Effect::HtmlBody, "(exchange of the code): an answer that cannot be read"),
        (Endpoint::Me, status(500), "(who signed in): HTTP status 500"),
        (Endpoint::Me, Effect::UserNotAllowlisted, "User Management"),
        (Endpoint::Me, Effect::OwnerNotPremium, "Premium"),
        (Endpoint::Me, Effect::WrongJsonType, "(who signed in): an answer that cannot be read"),
    ] {
        let seq = world.script.last_seq().await.unwrap();
        world.script.add_fault(&NewFault::new(effect).at(endpoint)).await.unwrap();
        let (page, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
        world.script.clear_faults().await.unwrap();
        assert_refused(&page, &ended, "Not signed in", says);
        for text in [&page.text, &ended.stdout, &ended.stderr] {
            assert!(!text.contains("planted"), "{text}");
        }
        assert_eq!(tokens::exchanges(&world, seq).await.len(), 1, "{says}: the code is sent once");
        assert_nothing_written(&world).await;
    }
    // A wrong client secret, as Spotify itself sees it.
    let wrong = Patch::Merge(json!({"stringData": {"client-secret": "wrong"}}));
    world.secrets().patch("main-client", &PatchParams::default(), &wrong).await.unwrap();
    let (page, ended) = Connect::new(&world, "alice").await.start().sign_in().await;
    assert_refused(&page, &ended, "Not signed in", "refuses the client id or secret of SpotifyApp");
    assert_nothing_written(&world).await;
}
