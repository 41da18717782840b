//! Where Spotify is: flags that every command has which talks to it.

use clap::Args;
use url::Url;

/// Spotify's two base URLs. They are the platform's own, so that no address is refused.
#[derive(Debug, Args)]
pub(super) struct SpotifyArguments {
    /// Base URL of Spotify's accounts service
    #[arg(
        long = "spotify-accounts-url",
        value_name = "URL",
        default_value = "https://accounts.spotify.com",
        env = "SCROBBLE_OPERATOR_SPOTIFY_ACCOUNTS_URL"
    )]
    pub(super) accounts_url: Url,

    /// Base URL of Spotify's Web API
    #[arg(
        long = "spotify-api-url",
        value_name = "URL",
        default_value = "https://api.spotify.com",
        env = "SCROBBLE_OPERATOR_SPOTIFY_API_URL"
    )]
    pub(super) api_url: Url,
}
