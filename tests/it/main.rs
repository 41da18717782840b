//! Integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails may fail loudly")]

mod accounts;
mod api;
mod architecture;
mod chart;
mod control_plane;
mod documents;
mod world;
