//! Targets of both hosted services, and listeners with an account that delivers to them.

use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyApp};
use scrobble_simulator::api::{LastfmApp, LastfmRule, LastfmUser, ListenBrainzRules, NewAccount, NewApp, Play};
use serde_json::json;

use super::verdict::Held;
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

/// Last.fm ignores this artist.
pub const IGNORED_ARTIST: &str = "The Ignored";
/// ListenBrainz refuses a request with a title that holds this.
pub const REFUSED_TITLE: &str = "Unspeakable";

/// The service that a target stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    LastFm,
    ListenBrainz,
}

/// A ScrobbleTarget, and the entry of the same name that each account has for it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub kind: Kind,
}

/// Two of each service; every listener is another user at each of them.
pub const TARGETS: [Target; 4] = [
    Target { name: "fm-one", kind: Kind::LastFm },
    Target { name: "fm-two", kind: Kind::LastFm },
    Target { name: "brainz-one", kind: Kind::ListenBrainz },
    Target { name: "brainz-two", kind: Kind::ListenBrainz },
];

/// A world whose tokens outlive the test, whose app has no daily budget, and where time passes faster.
pub async fn world(test: &str, rate: u32) -> World {
    let app = NewApp { access_token_seconds: 10_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate(test, app, rate).await;
    world.patch::<SpotifyApp>("main", json!({"spec": {"quota": {"dailyCalls": 0}}})).await;
    let app = LastfmApp {
        api_key: "lastfm-api-key".to_owned(),
        shared_secret: "lastfm-shared-secret".to_owned(),
        suspended: false,
        errors_with_200: false,
    };
    world.script.put_lastfm_app(&app).await.unwrap();
    let keys = [("api-key", app.api_key.as_str()), ("shared-secret", app.shared_secret.as_str())];
    world.secret("lastfm-app", "target", &keys).await;
    world
}

/// Creates the object of a target.
pub async fn target(world: &World, target: &Target) {
    let spec = match target.kind {
        Kind::LastFm => json!({
            "type": "LastFm", "url": world.script.lastfm_url(),
            "lastFm": {
                "apiKeyRef": {"name": "lastfm-app", "key": "api-key"},
                "sharedSecretRef": {"name": "lastfm-app", "key": "shared-secret"},
            },
        }),
        Kind::ListenBrainz => json!({"type": "ListenBrainz", "url": world.script.listenbrainz_url()}),
    };
    world.create::<ScrobbleTarget>("ScrobbleTarget", target.name, &spec).await;
}

/// Who a listener is at a target.
pub fn user(listener: &str, target: &str) -> String {
    format!("{listener}-{target}")
}

fn session_key(user: &str) -> String {
    format!("session-of-{user}")
}

/// Creates a listener at Spotify, who is a user of each target.
pub async fn listener(world: &World, listener: &str, targets: &[Target]) {
    world.listener_as(NewAccount::new(listener, CLIENT_ID)).await;
    for target in targets {
        let user = user(listener, target.name);
        let key = session_key(&user);
        match target.kind {
            Kind::LastFm => {
                world.script.put_lastfm_user(&LastfmUser::new(&user, &key)).await.unwrap();
                world.secret(&user, "credentials", &[("session-key", &key)]).await;
            }
            Kind::ListenBrainz => {
                world.script.put_listenbrainz_user(&user, &key).await.unwrap();
                world.secret(&user, "credentials", &[("token", &key)]).await;
            }
        }
    }
}

/// Creates the account that delivers to these targets.
pub async fn account(world: &World, listener: &str, interval: &str, targets: &[Target]) {
    let mut spec = world.spec(listener, interval);
    let entries = targets.iter().map(|target| {
        json!({
            "name": target.name, "targetRef": {"name": target.name},
            "credentialsRef": {"name": user(listener, target.name)},
        })
    });
    spec["targets"] = entries.collect();
    world.create::<SpotifyAccount>("SpotifyAccount", listener, &spec).await;
}

/// From now on the services refuse some plays: see [`is_refused`].
pub async fn refuse_some(world: &World, listeners: &[String]) {
    let rules = ListenBrainzRules { refuse_titles: vec![REFUSED_TITLE.to_owned()], ..ListenBrainzRules::default() };
    world.script.put_listenbrainz_rules(&rules).await.unwrap();
    let rule = LastfmRule { artist_contains: IGNORED_ARTIST.to_owned(), track_contains: String::new(), code: 1 };
    for target in TARGETS.iter().filter(|target| target.kind == Kind::LastFm) {
        for listener in listeners {
            let user = user(listener, target.name);
            let user = LastfmUser { ignore: vec![rule.clone()], ..LastfmUser::new(&user, session_key(&user)) };
            world.script.put_lastfm_user(&user).await.unwrap();
        }
    }
}

/// Whether a service refuses a play once [`refuse_some`] was called.
pub fn is_refused(kind: Kind, play: &Play) -> bool {
    match kind {
        Kind::LastFm => play.artists.iter().any(|artist| artist == IGNORED_ARTIST),
        Kind::ListenBrainz => play.title.contains(REFUSED_TITLE),
    }
}

/// What a service holds of a user, oldest first.
pub async fn held(world: &World, user: &str, kind: Kind) -> Vec<Held> {
    match kind {
        Kind::LastFm => {
            let scrobbles = world.script.scrobbles(user).await.unwrap();
            let accepted = scrobbles.into_iter().filter(|scrobble| scrobble.ignored_code == 0);
            accepted
                .map(|scrobble| Held {
                    title: scrobble.track,
                    second: scrobble.timestamp,
                    received: scrobble.received,
                    forms: scrobble.forms.len(),
                    first_time: scrobble.first_time,
                })
                .collect()
        }
        Kind::ListenBrainz => {
            let listens = world.script.listens(user).await.unwrap();
            let title = |metadata: &serde_json::Value| metadata["track_name"].as_str().unwrap().to_owned();
            listens
                .into_iter()
                .map(|listen| Held {
                    title: title(&listen.track_metadata),
                    second: listen.listened_at,
                    received: listen.received,
                    forms: listen.forms.len(),
                    first_time: listen.first_time,
                })
                .collect()
        }
    }
}
