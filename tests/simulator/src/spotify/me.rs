//! `GET /v1/me`, as far as it needs no scope.

use serde_json::json;

use super::web_api::admit;
use crate::api::Endpoint;
use crate::call::{Answer, Visit};
use crate::faults::web_error;

pub(crate) fn answer(visit: &mut Visit<'_>) -> Answer {
    let admitted = match admit(visit, Endpoint::Me) {
        Ok(admitted) => admitted,
        Err(answer) => return answer,
    };
    let Some(account) = visit.world.accounts.get(&admitted.account) else {
        return web_error(404, "Not found.");
    };
    let id = &account.spotify_id;
    let body = json!({
        "id": id,
        "account_id": account.account_id,
        "display_name": account.display_name,
        "external_urls": {"spotify": format!("https://open.spotify.com/user/{id}")},
        "followers": {"href": null, "total": 0},
        "href": format!("https://api.spotify.com/v1/users/{id}"),
        "images": [],
        "type": "user",
        "uri": format!("spotify:user:{id}"),
    });
    Answer::json(200, &body)
}
