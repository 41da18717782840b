//! Scripting Spotify: apps, listeners, tokens, plays.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{Outcome, Refusal, Script, change};
use crate::api::{
    AccountChange, AccountReport, NewAccount, NewApp, NewGenerator, NewPlay, Play, SignedIn, TokenChange, TokenReport,
    Tokens,
};
use crate::site::Site;
use crate::spotify::{generator, listeners, plays as history, tokens as token_life};
use crate::state::World;

fn known(world: &World, name: &str) -> Result<(), Refusal> {
    if world.accounts.contains(name) { Ok(()) } else { Err(Refusal::Missing(format!("account {name}"))) }
}

pub(super) async fn list_apps(State(site): State<Site>) -> Outcome<Vec<NewApp>> {
    change(&site, |world, _| Ok(world.apps.values().cloned().collect()))
}

pub(super) async fn put_app(State(site): State<Site>, Script(app): Script<NewApp>) -> Outcome<NewApp> {
    change(&site, |world, _| {
        if app.client_id.is_empty() {
            return Err(Refusal::Invalid("client_id is empty".into()));
        }
        world.apps.put(app.client_id.clone(), app.clone());
        Ok(app)
    })
}

pub(super) async fn sign_in(State(site): State<Site>, Script(wish): Script<SignedIn>) -> Outcome<SignedIn> {
    change(&site, |world, _| {
        known(world, &wish.account)?;
        world.signed_in.put(wish.client_id.clone(), wish.account.clone());
        Ok(wish)
    })
}

pub(super) async fn list_accounts(State(site): State<Site>) -> Outcome<Vec<AccountReport>> {
    change(&site, |world, _| Ok(world.accounts.values().cloned().collect()))
}

pub(super) async fn add_account(State(site): State<Site>, Script(new): Script<NewAccount>) -> Outcome<Tokens> {
    change(&site, |world, now| listeners::add(world, new, now))
}

pub(super) async fn account(State(site): State<Site>, Path(name): Path<String>) -> Outcome<AccountReport> {
    change(&site, |world, _| {
        world.accounts.get(&name).cloned().ok_or_else(|| Refusal::Missing(format!("account {name}")))
    })
}

pub(super) async fn change_account(
    State(site): State<Site>,
    Path(name): Path<String>,
    Script(wish): Script<AccountChange>,
) -> Outcome<AccountReport> {
    change(&site, |world, _| listeners::change(world, &name, wish))
}

pub(super) async fn tokens(State(site): State<Site>, Path(name): Path<String>) -> Outcome<TokenReport> {
    change(&site, |world, now| {
        known(world, &name)?;
        Ok(token_life::report(world, &name, now))
    })
}

pub(super) async fn change_tokens(
    State(site): State<Site>,
    Path(name): Path<String>,
    Script(wish): Script<TokenChange>,
) -> Outcome<Option<Tokens>> {
    change(&site, |world, now| listeners::change_tokens(world, &name, wish, now))
}

/// Every play so far, oldest number first, also those that no page shows.
pub(super) async fn plays(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Vec<Play>> {
    change(&site, |world, now| {
        known(world, &name)?;
        generator::advance(world, &name, now);
        Ok(world.plays.of(&name).map(|(_, play)| play.clone()).collect())
    })
}

pub(super) async fn add_plays(
    State(site): State<Site>,
    Path(name): Path<String>,
    Script(new): Script<Vec<NewPlay>>,
) -> Outcome<Vec<Play>> {
    change(&site, |world, now| {
        known(world, &name)?;
        Ok(new.into_iter().map(|play| history::add(world, &name, play, now)).collect())
    })
}

/// What an honest page of fifty would show now, without reading it.
pub(super) async fn page(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Vec<Play>> {
    change(&site, |world, now| {
        known(world, &name)?;
        generator::advance(world, &name, now);
        Ok(history::shown(world, &name, now, now))
    })
}

pub(super) async fn add_generator(
    State(site): State<Site>,
    Path(name): Path<String>,
    Script(rule): Script<NewGenerator>,
) -> Outcome<Value> {
    change(&site, |world, now| {
        known(world, &name)?;
        Ok(json!({"number": generator::add(world, &name, rule, now)}))
    })
}

/// The music stops; what was played stays.
pub(super) async fn stop_generators(State(site): State<Site>, Path(name): Path<String>) -> Outcome<Value> {
    change(&site, |world, now| {
        known(world, &name)?;
        generator::advance(world, &name, now);
        generator::stop(world, &name);
        Ok(json!({}))
    })
}
