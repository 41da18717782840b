//! Who listens.

/// The Spotify user behind a token, as `GET /v1/me` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Spotify's immutable `account_id` where the answer carries one, else the user `id`
    /// (Web API reference, "Get Current User's Profile", changes of May 2026).
    pub account_id: String,
}
