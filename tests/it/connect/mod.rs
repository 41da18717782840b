//! `scrobble-operator connect`: a listener signs in at the simulator with a real HTTP client that follows the redirects,
//! and the tokens are in a real cluster.

mod operator;
mod refusals;
mod rights;
mod secrecy;
pub mod session;
mod sign_in;
mod strays;
