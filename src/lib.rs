//! scrobble-operator carries Spotify plays to scrobble services, from Kubernetes.
//!
//! ```text
//! layer  module       what                                                     may use
//! L1     api          what users write and read: kinds, conditions, names      itself
//! L1     domain       plays, tokens, the ledger: words without I/O             itself
//! L2     plan         decisions: state in, steps out; `now` is an argument     api, domain
//! L3     adapters     outside systems, one folder each; no decisions           api, domain (and adapters::http)
//! L4     reconcile    the driver: observe -> plan -> act -> settle -> record   api, domain, plan, adapters
//! L4     connect      signing a listener in: prepare -> exchange -> store      api, domain, plan, adapters, reconcile
//! L5     runtime      wiring: watches, leader, probes, clock, shutdown         all
//!        cli          flags and subcommands; the only reader of the environment
//! ```
//!
//! `tests/it/architecture.rs` holds the table.

pub mod adapters;
pub mod api;
pub mod cli;
pub mod connect;
pub mod domain;
pub mod plan;
pub mod reconcile;
pub mod runtime;
