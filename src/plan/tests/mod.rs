//! The decisions, proved without a cluster, a network or a clock.

mod accounts;
mod announcements;
mod authorization;
mod clients;
mod commands;
mod deliveries;
mod due;
mod expiry;
mod failures;
mod gaps;
mod lineage;
mod listeners;
mod observations;
mod once;
mod paces;
mod passes;
mod plays;
mod random;
mod references;
mod refreshes;
mod refused_tokens;
mod states;
mod stops;
mod trouble;
mod world;
mod writes;
