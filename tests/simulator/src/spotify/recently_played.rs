//! `GET /v1/me/player/recently-played` (spotify.md section 3).

use jiff::Timestamp;

use super::web_api::admit;
use super::{generator, items, plays};
use crate::api::{Effect, Endpoint, Play};
use crate::call::{Answer, Visit};
use crate::clock::plus_seconds;
use crate::faults::{insufficient_scope, web_error};

/// Items of a page unless asked.
const DEFAULT_LIMIT: usize = 20;

struct Query {
    limit: usize,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
}

pub(crate) fn answer(visit: &mut Visit<'_>) -> Answer {
    let admitted = match admit(visit, Endpoint::RecentlyPlayed) {
        Ok(admitted) => admitted,
        Err(answer) => return answer,
    };
    if !admitted.scope.split(' ').any(|scope| scope == crate::api::READ_PLAYS) {
        return insufficient_scope();
    }
    let query = match read_query(visit) {
        Ok(query) => query,
        Err(message) => return web_error(400, message),
    };
    generator::advance(visit.world, &admitted.account, visit.now);
    let exists = existing(visit, &admitted.account);
    let mut found: Vec<Play> = exists
        .into_iter()
        .filter(|play| query.before.is_none_or(|before| play.played_time < before))
        .filter(|play| query.after.is_none_or(|after| play.played_time > after))
        .collect();
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    visit.facts.plays = found.iter().map(|play| play.number).collect();
    let address = format!("{}{}", visit.call.origin(), visit.call.path);
    let next = found
        .last()
        .filter(|_| more)
        .map(|oldest| format!("{address}?before={}&limit={}", oldest.played_time.as_millisecond(), query.limit));
    let href = format!("{address}?limit={}", query.limit);
    let texts = items::rendered(&mut visit.world.rendered, &found);
    Answer::json_text(200, items::page(&href, query.limit, next, &found, &texts))
}

/// What exists for this reader now, or did at the moment that a fault says.
fn existing(visit: &Visit<'_>, account: &str) -> Vec<Play> {
    let now = visit.now;
    match visit.effect {
        Some(Effect::EmptyPage) => Vec::new(),
        Some(Effect::StalePage { seconds }) => plays::shown(visit.world, account, plus_seconds(now, -seconds), now),
        Some(Effect::HideNewest { count }) => {
            let shown = plays::shown(visit.world, account, now, now);
            shown.into_iter().skip(*count as usize).collect()
        }
        _ => plays::shown(visit.world, account, now, now),
    }
}

fn read_query(visit: &Visit<'_>) -> Result<Query, &'static str> {
    let limit = match visit.call.query("limit") {
        Some(text) => text.parse().map_err(|_| "Invalid limit")?,
        None => DEFAULT_LIMIT,
    };
    if !(1..=plays::KEPT).contains(&limit) {
        return Err("Invalid limit");
    }
    let cursor = |name: &str| match visit.call.query(name) {
        Some(text) => {
            let time = text.parse().ok().and_then(|number| Timestamp::from_millisecond(number).ok());
            time.map(Some).ok_or("Invalid cursor")
        }
        None => Ok(None),
    };
    let (before, after) = (cursor("before")?, cursor("after")?);
    if before.is_some() && after.is_some() {
        return Err("Only one of before and after can be given");
    }
    Ok(Query { limit, before, after })
}
