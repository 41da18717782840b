//! Last.fm, end to end: each play once, each with its own answer, and whose key is wrong.

use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{Effect, Endpoint, LastfmApp, LastfmRule, LastfmUser, NewApp, NewFault, Scrobble};
use serde_json::json;

use crate::world::{CLIENT_ID, World};

/// An application with a target, `fm`, and a listener there with an account that delivers to it only.
async fn stage(world: &World, shared_secret: &str) {
    let app = LastfmApp {
        api_key: "lastfm-api-key".to_owned(),
        shared_secret: "lastfm-shared-secret".to_owned(),
        suspended: false,
        errors_with_200: false,
    };
    world.script.put_lastfm_app(&app).await.unwrap();
    world.script.put_lastfm_user(&LastfmUser::new("alice", "lastfm-session-of-alice")).await.unwrap();
    let keys = [("api-key", app.api_key.as_str()), ("shared-secret", shared_secret)];
    world.secret("lastfm-app", "target", &keys).await;
    let target = json!({
        "type": "LastFm", "url": world.script.lastfm_url(),
        "lastFm": {
            "apiKeyRef": {"name": "lastfm-app", "key": "api-key"},
            "sharedSecretRef": {"name": "lastfm-app", "key": "shared-secret"},
        },
    });
    world.create::<ScrobbleTarget>("ScrobbleTarget", "fm", &target).await;
    world.listener("alice").await;
    world.secret("alice-lastfm", "credentials", &[("session-key", "lastfm-session-of-alice")]).await;
    let mut spec = world.spec("alice", "2m");
    spec["targets"] = json!([{"name": "fm", "targetRef": {"name": "fm"}, "credentialsRef": {"name": "alice-lastfm"}}]);
    world.create::<SpotifyAccount>("SpotifyAccount", "alice", &spec).await;
}

#[tokio::test]
async fn each_play_reaches_last_fm_once_or_is_set_aside() {
    // A minute passes before the second try.
    let app = NewApp { access_token_seconds: 100_000, ..NewApp::confidential(CLIENT_ID, "simulated-client-secret") };
    let world = World::at_rate("last-fm", app, 60).await;
    stage(&world, "lastfm-shared-secret").await;
    let titles = world.play("alice", 5, 60).await;
    let rule = LastfmRule { artist_contains: String::new(), track_contains: titles[2].clone(), code: 2 };
    let alice = LastfmUser { ignore: vec![rule], ..LastfmUser::new("alice", "lastfm-session-of-alice") };
    world.script.put_lastfm_user(&alice).await.unwrap();
    let lost = NewFault::new(Effect::CutAfter).at(Endpoint::LastfmScrobble).times(1);
    world.script.add_fault(&lost).await.unwrap();
    let _operator = world.start().await;

    let settled = |status: &SpotifyAccountStatus| {
        let sent = status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 4);
        sent && status.target("fm").is_some_and(|target| (target.pending, target.quarantined) == (0, 1))
    };
    world.wait("alice", "four plays delivered and one set aside", settled).await;
    let held = world.script.scrobbles("alice").await.unwrap();
    assert_eq!(held.len(), 5);
    assert!(held.iter().all(|scrobble| (scrobble.received, scrobble.forms.len()) == (2, 1)), "{held:?}");
    let ignored: Vec<&Scrobble> = held.iter().filter(|scrobble| scrobble.ignored_code != 0).collect();
    assert_eq!(ignored.iter().map(|scrobble| &scrobble.track).collect::<Vec<_>>(), [&titles[2]]);
}

#[tokio::test]
async fn a_shared_secret_that_is_wrong_is_the_targets_fault() {
    let world = World::new("last-fm-keys").await;
    stage(&world, "another-secret").await;
    world.play("alice", 1, 60).await;
    let _operator = world.start().await;
    let told = |status: &SpotifyAccountStatus| status.target("fm").is_some_and(|target| target.message.is_some());
    let account = world.wait("alice", "what is wrong with the target", told).await;
    let target = account.status.unwrap().target("fm").unwrap().clone();
    assert_eq!(target.reason.as_deref(), Some("ClientCredentialsInvalid"));
    let message = target.message.unwrap();
    assert!(message.contains("the shared secret is not that of the API key"), "{message}");
    assert!(message.contains(&format!("ScrobbleTarget {}/fm", world.namespace)), "{message}");
    assert!(world.script.scrobbles("alice").await.unwrap().is_empty());
}
