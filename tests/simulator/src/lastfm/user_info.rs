//! `user.getInfo`: the profile of a user by name, or of the user whose session it is.

use serde_json::{Value, json};

use super::{INVALID_PARAMETERS, Refusal, parameter, session};
use crate::api::LastfmApp;
use crate::call::Visit;

pub(crate) fn answer(visit: &mut Visit<'_>, app: &LastfmApp) -> Result<Value, Refusal> {
    let own = session(visit, app)?;
    let asked = parameter(visit.call, "user").filter(|name| !name.is_empty()).map(ToOwned::to_owned);
    let user = asked.or(own).ok_or(INVALID_PARAMETERS)?;
    if !visit.world.lastfm_users.contains(&user) {
        return Err(INVALID_PARAMETERS);
    }
    let held = visit.world.scrobbles.of(&user).filter(|(_, scrobble)| scrobble.ignored_code == 0).count();
    Ok(json!({"user": {
        "name": user,
        "realname": "",
        "age": "0",
        "gender": "n",
        "country": "None",
        "subscriber": "0",
        "bootstrap": "0",
        "playlists": "0",
        "playcount": held.to_string(),
        "image": [],
        "registered": {"unixtime": "1037793040", "#text": 1_037_793_040},
        "type": "user",
        "url": format!("https://www.last.fm/user/{user}"),
    }}))
}
