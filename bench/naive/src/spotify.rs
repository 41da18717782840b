//! Spotify's two endpoints that a sync needs.

use jiff::Timestamp;
use serde::Deserialize;

/// Spotify.
pub struct Spotify {
    http: reqwest::Client,
    accounts_url: String,
    api_url: String,
}

/// The answer to a refresh.
#[derive(Deserialize)]
pub struct Issued {
    /// The new access token.
    pub access_token: String,
    /// Its life in seconds.
    pub expires_in: i64,
    /// A new refresh token, where Spotify replaces it.
    pub refresh_token: Option<String>,
}

/// A play.
#[derive(Clone, Debug)]
pub struct Play {
    /// When it ended.
    pub heard: Timestamp,
    /// The track's title.
    pub title: String,
    /// Its artists.
    pub artists: Vec<String>,
    /// Its album.
    pub album: String,
    /// Its length in milliseconds.
    pub duration_ms: i64,
    /// Its URI.
    pub uri: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    played_at: Timestamp,
    track: Option<Track>,
}

#[derive(Deserialize)]
struct Track {
    name: String,
    uri: String,
    duration_ms: i64,
    album: Named,
    artists: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Spotify {
    /// Spotify at these base URLs.
    pub fn new(http: reqwest::Client, accounts_url: String, api_url: String) -> Self {
        Self { http, accounts_url, api_url }
    }

    /// Exchanges a refresh token.
    pub async fn refresh(
        &self,
        client_id: &str,
        client_secret: Option<&str>,
        refresh_token: &str,
    ) -> Result<Issued, reqwest::Error> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", client_id)];
        let request = self.http.post(format!("{}/api/token", self.accounts_url));
        let request = match client_secret {
            Some(secret) => request.basic_auth(client_id, Some(secret)).form(&form[..2]),
            None => request.form(&form),
        };
        request.send().await?.error_for_status()?.json().await
    }

    /// The plays of the page.
    pub async fn recently_played(&self, token: &str) -> Result<Vec<Play>, reqwest::Error> {
        let url = format!("{}/v1/me/player/recently-played?limit=50", self.api_url);
        let page: Page = self.http.get(url).bearer_auth(token).send().await?.error_for_status()?.json().await?;
        Ok(page.items.into_iter().filter_map(play).collect())
    }
}

fn play(item: Item) -> Option<Play> {
    let track = item.track?;
    Some(Play {
        heard: item.played_at,
        title: track.name,
        artists: track.artists.into_iter().map(|artist| artist.name).collect(),
        album: track.album.name,
        duration_ms: track.duration_ms,
        uri: track.uri,
    })
}
