//! Integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails may fail loudly")]
#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::disallowed_methods, reason = "tests of processes live in real time")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of a test are small"
)]
#![allow(clippy::doc_markdown, clippy::unused_self, reason = "a fixture reads like a sentence")]

mod accounts;
mod api;
mod architecture;
mod chaos;
mod chart;
mod connect;
mod control_plane;
mod conversion;
mod deliveries;
mod diagnostics;
mod documents;
mod image;
mod isolation;
mod lifecycle;
mod limits;
mod listening;
mod maloja;
mod metrics;
mod monitoring;
mod notifications;
mod plans;
mod secrecy;
mod snapshots;
mod soak;
mod traces;
mod world;
