//! Plays on their way to targets that are down, slow, choosy or shared: the real operator, the real API server.

mod attachments;
mod crashes;
mod credentials;
mod duplicates;
mod foreign;
mod hanging;
mod journal;
mod last_fm_limits;
mod quarantine;
pub mod stage;
mod strangers;
mod target_breaker;
mod unreadable;
