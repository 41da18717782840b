//! Scripting the scrobble services, and what they hold.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{Outcome, Refusal, Script, change};
use crate::api::{
    Delivery, LastfmApp, LastfmAuthorization, LastfmUser, Listen, ListenBrainzRules, ListenBrainzUser, Scrobble,
    WebhookSettings,
};
use crate::site::Site;
use crate::state::World;
use crate::{digest, lastfm, listenbrainz};

pub(super) async fn put_listenbrainz_user(
    State(site): State<Site>,
    Script(user): Script<ListenBrainzUser>,
) -> Outcome<Value> {
    change(&site, |world, _| {
        plain_name(&user.name)?;
        forget_listenbrainz_user(world, &user.name);
        world.listenbrainz_tokens.put(user.token, user.name);
        Ok(json!({}))
    })
}

/// The user's token is refused from now on; the listens stay.
pub(super) async fn remove_listenbrainz_user(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Value> {
    change(&site, |world, _| {
        forget_listenbrainz_user(world, &name);
        Ok(json!({}))
    })
}

fn forget_listenbrainz_user(world: &mut World, name: &str) {
    let tokens = world.listenbrainz_tokens.iter().filter(|(_, user)| *user == name);
    let tokens: Vec<String> = tokens.map(|(token, _)| token.clone()).collect();
    for token in tokens {
        world.listenbrainz_tokens.remove(&token);
    }
}

pub(super) async fn put_listenbrainz_rules(
    State(site): State<Site>,
    Script(rules): Script<ListenBrainzRules>,
) -> Outcome<Value> {
    change(&site, |world, _| {
        world.listenbrainz_rules.put(listenbrainz::RULES, rules);
        Ok(json!({}))
    })
}

pub(super) async fn listens(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Vec<Listen>> {
    change(&site, |world, _| Ok(world.listens.of(&name).map(|(_, listen)| listen.clone()).collect()))
}

pub(super) async fn put_lastfm_app(State(site): State<Site>, Script(app): Script<LastfmApp>) -> Outcome<Value> {
    change(&site, |world, _| {
        world.lastfm_apps.put(app.api_key.clone(), app);
        Ok(json!({}))
    })
}

pub(super) async fn put_lastfm_user(State(site): State<Site>, Script(user): Script<LastfmUser>) -> Outcome<Value> {
    change(&site, |world, _| {
        plain_name(&user.name)?;
        let sessions = world.lastfm_sessions.iter().filter(|(_, known)| **known == user.name);
        let sessions: Vec<String> = sessions.map(|(key, _)| key.clone()).collect();
        for key in sessions {
            world.lastfm_sessions.remove(&key);
        }
        for key in &user.session_keys {
            world.lastfm_sessions.put(digest::sha256(key), user.name.clone());
        }
        world.lastfm_users.put(user.name.clone(), user);
        Ok(json!({}))
    })
}

pub(super) async fn authorize_lastfm(
    State(site): State<Site>,
    Script(wish): Script<LastfmAuthorization>,
) -> Outcome<Value> {
    change(&site, |world, now| {
        lastfm::allow(world, &wish.token, &wish.user, now)
            .map(|()| json!({}))
            .map_err(|code| Refusal::Invalid(format!("Last.fm error {code}")))
    })
}

pub(super) async fn scrobbles(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Vec<Scrobble>> {
    change(&site, |world, _| Ok(world.scrobbles.of(&name).map(|(_, scrobble)| scrobble.clone()).collect()))
}

pub(super) async fn put_webhook(
    State(site): State<Site>,
    Path(name): Path<String>,
    Script(settings): Script<WebhookSettings>,
) -> Outcome<Value> {
    change(&site, |world, _| {
        if !(200..600).contains(&settings.status) {
            return Err(Refusal::Invalid("status must be 200 to 599".into()));
        }
        world.webhooks.put(name, settings);
        Ok(json!({}))
    })
}

pub(super) async fn deliveries(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Vec<Delivery>> {
    change(&site, |world, _| {
        let mut deliveries: Vec<Delivery> = world.deliveries.of(&name).map(|(_, found)| found.clone()).collect();
        deliveries.sort_by_key(|delivery| delivery.first_seq);
        Ok(deliveries)
    })
}

fn plain_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.contains('/') {
        return Err(Refusal::Invalid("a user's name is not empty and has no slash".into()));
    }
    Ok(())
}
