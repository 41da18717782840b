//! The words of the product, without Kubernetes and without I/O: plays, tokens, names.

pub mod answer;
pub mod digest;
pub mod journal;
pub mod journal_codec;
pub mod ledger;
pub mod ledger_codec;
pub mod listener;
pub mod name;
pub mod notice;
pub mod play;
#[cfg(test)]
pub(crate) mod random;
pub mod sign_in;
pub mod state_secret;
pub mod token;
pub mod token_secret;
