//! Stands in for Spotify and the hosted scrobble services.
