//! What a process knows of a token's exchanges by itself, whatever becomes of the Secret in which they are noted.

use super::observed::Interruption;
use crate::domain::token_secret::Claim;

/// What a process knows of the exchanges of the token in one token Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// A claim of this process's own under which nothing is open, although it may still stand in the Secret.
    pub void: Option<String>,
    /// How the token stands.
    pub known: Known,
}

/// How a token stands, as far as a process knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// This process has not looked yet.
    #[default]
    Nothing,
    /// Nobody worked on the account before this process.
    Untouched,
    /// No exchange of the token with this digest is open: this process stored it, or has seen it so.
    Settled {
        /// The token's digest.
        token: String,
    },
    /// An exchange is open, or was cut off.
    Claimed(Claim),
}

impl Known {
    /// What is known of a token that was found like this.
    pub fn of(token: &str, interrupted: Option<Interruption>, claim: Option<&Claim>) -> Self {
        match (interrupted, claim) {
            (None, _) => Self::Settled { token: token.to_owned() },
            (Some(Interruption::Claimed { .. }), Some(claim)) => Self::Claimed(claim.clone()),
            (Some(_), _) => Self::Nothing,
        }
    }
}
