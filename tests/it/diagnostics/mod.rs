//! `/diagnostics` and `scrobble-operator check`: what they say, what they cost, and who may ask.

mod accounts;
mod race;
mod rights;
mod session;
