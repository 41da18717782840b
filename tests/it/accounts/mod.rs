//! Accounts, end to end: the operator as a process under the chart's ServiceAccount, on the real API server.

mod ahead;
mod bad_input;
mod claim;
mod client_credentials;
mod commit;
mod cost;
mod dead_tokens;
mod election;
mod expiry;
mod interruptions;
mod kills;
mod lifecycle;
mod main_path;
mod mistakes;
mod outages;
mod pauses;
mod references;
mod restarts;
mod rotation;
mod spoiled_answers;
mod stages;
mod target_change;
mod token_answers;
pub mod tokens;
mod unreadable;
mod unreliable_targets;
mod upstream;
