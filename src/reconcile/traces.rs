//! What this process knows of the exchanges of each token, whatever becomes of the Secret in which they are noted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::name::ObjectName;
use crate::domain::token_secret::Claim;
use crate::plan::lineage::TokenInUse;
use crate::plan::trace::{Known, Trace};

/// What this process knows of the exchanges of each token, by token Secret.
#[derive(Default)]
pub struct Traces {
    traces: Mutex<HashMap<ObjectName, Trace>>,
    claims: Mutex<HashMap<ObjectName, (String, Instant)>>,
}

impl Traces {
    /// What is known of the token in a Secret.
    pub(super) fn of(&self, secret: &ObjectName) -> Trace {
        self.all().get(secret).cloned().unwrap_or_default()
    }

    /// This process is the first to work on the account.
    pub(super) fn untouched(&self, secret: &ObjectName) {
        self.all().insert(secret.clone(), Trace { void: None, known: Known::Untouched });
    }

    /// The Secrets were read, and no exchange of this process's was on its way. What this process knows of its own claim
    /// stays.
    pub(super) fn seen(&self, secret: &ObjectName, found: &TokenInUse, holder: &str) {
        let known = Known::of(&found.mark.token, found.view.interrupted, found.claim.as_ref());
        let is_own = matches!(&known, Known::Claimed(claim) if claim.holder == holder);
        if known != Known::Nothing && !is_own {
            self.all().entry(secret.clone()).or_default().known = known;
        }
    }

    /// This claim is about to be written. Until it is known that it stands, nothing is sent under it.
    pub(super) fn claiming(&self, secret: &ObjectName, claim: &Claim) {
        self.all().entry(secret.clone()).or_default().void = Some(claim.id.clone());
    }

    /// The claim stands: from here on the token may be sent.
    pub(super) fn claimed(&self, secret: &ObjectName, claim: Claim) {
        self.all().insert(secret.clone(), Trace { void: None, known: Known::Claimed(claim) });
    }

    /// This claim is released: the server certainly did nothing under it, and the token is as it was before.
    pub(super) fn released(&self, secret: &ObjectName, claim: &Claim, before: &TokenInUse) {
        let known = Known::of(&before.mark.token, before.view.interrupted, before.claim.as_ref());
        self.all().insert(secret.clone(), Trace { void: Some(claim.id.clone()), known });
    }

    /// New tokens are stored.
    pub(super) fn settled(&self, secret: &ObjectName, token: &str) {
        let known = Known::Settled { token: token.to_owned() };
        self.all().insert(secret.clone(), Trace { void: None, known });
    }

    /// How long ago this process saw a claim first; this may be now.
    pub(super) fn seen_for(&self, secret: &ObjectName, claim: &str) -> Duration {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.get(secret) {
            Some((known, since)) if known == claim => since.elapsed(),
            _ => {
                claims.insert(secret.clone(), (claim.to_owned(), Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&self, secret: &ObjectName) {
        self.all().remove(secret);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ObjectName, Trace>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
