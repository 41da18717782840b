//! Everything here talks HTTP to a simulator, as the operator would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on should say where")]

mod authorize;
mod connections;
mod faults;
mod lastfm;
mod listenbrainz;
mod plays;
mod program;
mod records;
mod rotation;
mod stage;
mod state;
mod token;
mod web_api;
mod webhook;
