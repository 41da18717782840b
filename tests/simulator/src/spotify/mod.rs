//! Spotify's accounts service and Web API.

pub(crate) mod authorize;
pub(crate) mod client;
pub(crate) mod generator;
pub(crate) mod items;
pub(crate) mod listeners;
pub(crate) mod me;
pub(crate) mod plays;
pub(crate) mod recently_played;
pub(crate) mod token;
pub(crate) mod tokens;
pub(crate) mod web_api;
