//! Who the token endpoint is talking to (RFC 6749 section 2.3.1).

use crate::api::NewApp;
use crate::call::{Answer, Call};
use crate::faults::token_error;
use crate::state::World;

/// An app that named itself, and whether it proved to be it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub app: NewApp,
    pub proven: bool,
}

/// How a request authenticates its client: `basic`, `body`, `basic+body` or `none`.
pub(crate) fn authentication(call: &Call) -> &'static str {
    match (call.header("authorization").is_some(), call.form("client_secret").is_some()) {
        (true, true) => "basic+body",
        (true, false) => "basic",
        (false, true) => "body",
        (false, false) => "none",
    }
}

/// The client, or the refusal.
pub(crate) fn authenticate(world: &World, call: &Call) -> Result<Client, Answer> {
    let refused = |description: &str| token_error("invalid_client", Some(description));
    let (id, secret) = match authentication(call) {
        "basic+body" => {
            return Err(token_error("invalid_request", Some("More than one way of client authentication")));
        }
        "basic" => {
            let (id, secret) = call.basic().ok_or_else(|| refused("Invalid client"))?;
            if call.form("client_id").is_some_and(|named| named != id) {
                return Err(refused("Invalid client"));
            }
            (id, Some(secret))
        }
        _ => {
            let id = call.form("client_id").ok_or_else(|| {
                token_error("invalid_request", Some("client_id or an Authorization header must be supplied"))
            })?;
            (id.to_owned(), call.form("client_secret").map(ToOwned::to_owned))
        }
    };
    let app = world.apps.get(&id).ok_or_else(|| refused("Invalid client"))?;
    match secret {
        Some(secret) if app.client_secret.as_ref() == Some(&secret) => Ok(Client { app: app.clone(), proven: true }),
        Some(_) => Err(refused("Invalid client secret")),
        None => Ok(Client { app: app.clone(), proven: false }),
    }
}
