//! Signing a listener in: what has to be there before, which answer belongs to which sign-in, which Spotify user is
//! accepted, what the token Secret becomes, and what people are told.

pub mod attempt;
pub mod authorization;
pub mod page;
pub mod preparation;
pub mod refusal;
pub mod words;

pub use attempt::{Attempt, Callback, Verdict};
pub use authorization::Authorization;
pub use page::Page;
pub use preparation::{Preparation, Sighting};
pub use refusal::Refusal;

use jiff::SignedDuration;

use crate::domain::name::ObjectName;

/// How long a sign-in may take from its beginning until its answer arrives.
pub const SIGN_IN_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// The command that gets a new authorization.
pub fn command(account: &ObjectName) -> String {
    format!("scrobble-operator connect --namespace {} --account {}", account.namespace, account.name)
}
