//! Spotify: the accounts service and the Web API. Base URLs are arguments.

mod authorization;
mod error;
mod json;
mod model;
mod recently_played;
mod token;
mod web_api;

use std::time::Duration;

use url::Url;

pub use authorization::SignIn;
pub use token::AppCredentials;

/// The longest wait for an answer of the accounts service: together with the claim's deadline it bounds how long a
/// successor has to leave a claimed token alone.
pub const EXCHANGE_DEADLINE: Duration = Duration::from_secs(10);
/// The longest wait for an answer of the Web API.
const API_DEADLINE: Duration = Duration::from_secs(10);

/// A client for one Spotify.
#[derive(Clone)]
pub struct Spotify {
    http: reqwest::Client,
    accounts_url: Url,
    api_url: Url,
}

impl Spotify {
    /// A client for these two base URLs (`https://accounts.spotify.com`, `https://api.spotify.com`).
    pub fn new(http: reqwest::Client, accounts_url: Url, api_url: Url) -> Self {
        Self { http, accounts_url, api_url }
    }
}

/// Joins a base URL, with or without a slash at its end, and a path.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let joined = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&joined);
    url
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A client whose two base URLs are one mock server.
    pub fn spotify(uri: &str) -> Spotify {
        rustls::crypto::ring::default_provider().install_default().ok();
        let url: Url = uri.parse().unwrap();
        Spotify::new(crate::adapters::http::build_open_client().unwrap(), url.clone(), url)
    }
}
