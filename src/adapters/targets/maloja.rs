//! Maloja, native API.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::Scrobble;
use crate::adapters::http::GuardedClient;
use crate::domain::answer::{Delivery, Shown, Submitted, Trouble};

/// A listener's place at a server.
#[expect(dead_code, reason = "not served yet")]
pub(super) struct Account<'a> {
    pub(super) url: &'a Url,
    pub(super) api_key: &'a SecretString,
    pub(super) deadline: Duration,
}

fn unserved() -> Delivery {
    Delivery::NotNow { retry_after: None, trouble: Trouble::UrlRefused("this version does not deliver there") }
}

pub(super) async fn submit(_http: &GuardedClient, _account: &Account<'_>, scrobbles: &[Scrobble]) -> Submitted {
    Submitted::all(scrobbles.len(), &unserved())
}

pub(super) async fn validate(_http: &GuardedClient, _account: &Account<'_>) -> Delivery {
    unserved()
}

pub(super) async fn shown(
    _http: &GuardedClient,
    _account: &Account<'_>,
    _from: i64,
    _to: i64,
) -> Result<Vec<Shown>, Delivery> {
    Err(unserved())
}
