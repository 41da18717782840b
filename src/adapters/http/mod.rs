//! HTTP to the outside: every request has a deadline, every body a bound, and private addresses are refused.

mod address;
#[cfg(test)]
mod private_addresses;
mod request;
mod retry_after;
pub mod signature;
pub mod span;
pub mod trace_context;
#[cfg(test)]
pub(crate) mod traced;

pub use address::AllowedRanges;
pub use request::{ANSWER_BYTES, Answer, GuardedClient, LISTING_BYTES, PAGE_BYTES, Witness, build_open_client, send};
pub use retry_after::{answered_at, retry_after};
