//! Who asks, and whether they may: `TokenReview`, then `SubjectAccessReview`. What strangers can make the API server do is
//! bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use crate::adapters::kube::reviews::{Caller, Deed};
use crate::adapters::kube::{Cluster, ClusterError};
use crate::domain::digest::keyed_hash;
use crate::domain::name::ObjectName;
use crate::plan::inquiry::Bucket;
use crate::reconcile::context::Clock;

/// What the API server has said is believed for so long.
const LIFE: Duration = Duration::from_secs(10);
/// So many answers are remembered; beyond that the API server is asked each time.
const MOST: usize = 1024;
/// So many reviews are on their way at a time.
const AT_ONCE: usize = 4;
/// How long is waited for one of those.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many reviews of each kind in a row, and one more after each [`SPACING`].
const ROOM: i32 = 20;
const SPACING: SignedDuration = SignedDuration::from_millis(100);
/// A token that the API server issues is shorter.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Why somebody is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token, or none that the API server accepts.
    Unauthorized,
    /// The right is missing.
    Forbidden,
    /// Too many ask.
    Busy(SignedDuration),
    /// The API server does not tell.
    Unavailable,
}

/// Finds out who asks, and whether they may.
pub(super) struct Callers {
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    /// Tokens are remembered by a hash that is of no use to another process.
    key: [u8; 32],
    known: Mutex<Remembered<Option<Caller>>>,
    allowed: Mutex<Remembered<bool>>,
    tokens: Mutex<Bucket>,
    rights: Mutex<Bucket>,
    permits: Semaphore,
}

/// Somebody whose token the API server accepts.
pub(super) struct Known {
    caller: Caller,
    token: [u8; 32],
}

impl Callers {
    pub(super) fn new(cluster: Cluster, clock: Arc<dyn Clock>) -> Self {
        Self {
            cluster,
            clock,
            key: rand::random(),
            known: Mutex::default(),
            allowed: Mutex::default(),
            tokens: Mutex::new(Bucket::of(ROOM, SPACING)),
            rights: Mutex::new(Bucket::of(ROOM, SPACING)),
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// Whose token it is.
    pub(super) async fn identify(&self, token: &SecretString) -> Result<Known, Refusal> {
        let text = token.expose_secret();
        if text.is_empty() || text.len() > LONGEST_TOKEN {
            return Err(Refusal::Unauthorized);
        }
        let hash = keyed_hash(&self.key, &[b"token", text.as_bytes()]);
        let remembered = lock(&self.known).get(&hash);
        let caller = if let Some(caller) = remembered {
            caller
        } else {
            let caller = self.ask(&self.tokens, self.cluster.review_token(token)).await?;
            lock(&self.known).keep(hash, caller.clone());
            caller
        };
        caller.map(|caller| Known { caller, token: hash }).ok_or(Refusal::Unauthorized)
    }

    /// Whether they may get an account, be it there or not.
    pub(super) async fn admit(&self, known: &Known, account: &ObjectName) -> Result<(), Refusal> {
        let parts: [&[u8]; 4] = [b"get", &known.token, account.namespace.as_bytes(), account.name.as_bytes()];
        let hash = keyed_hash(&self.key, &parts);
        let remembered = lock(&self.allowed).get(&hash);
        let allowed = if let Some(allowed) = remembered {
            allowed
        } else {
            let deed = Deed { verb: "get", resource: "spotifyaccounts", subresource: "", object: account };
            let allowed = self.ask(&self.rights, self.cluster.may(&known.caller, deed)).await?;
            lock(&self.allowed).keep(hash, allowed);
            allowed
        };
        if allowed { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    async fn ask<T>(
        &self,
        bucket: &Mutex<Bucket>,
        review: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, Refusal> {
        lock(bucket).take(self.clock.real_now()).map_err(Refusal::Busy)?;
        let Ok(Ok(_permit)) = tokio::time::timeout(PATIENCE, self.permits.acquire()).await else {
            return Err(Refusal::Busy(SignedDuration::from_secs(1)));
        };
        review.await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "who asks for diagnostics cannot be found out");
            Refusal::Unavailable
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers by a hash of what was asked, for a while.
struct Remembered<T>(HashMap<[u8; 32], (Instant, T)>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Remembered<T> {
    fn get(&self, hash: &[u8; 32]) -> Option<T> {
        self.0.get(hash).filter(|(since, _)| since.elapsed() < LIFE).map(|(_, answer)| answer.clone())
    }

    fn keep(&mut self, hash: [u8; 32], answer: T) {
        if self.0.len() >= MOST {
            self.0.retain(|_, (since, _)| since.elapsed() < LIFE);
        }
        if self.0.len() < MOST {
            self.0.insert(hash, (Instant::now(), answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_are_remembered_and_no_more() {
        let mut remembered = Remembered::default();
        let hash = |number: usize| keyed_hash(b"key", &[&number.to_be_bytes()]);
        for number in 0..=MOST {
            remembered.keep(hash(number), number);
        }
        assert_eq!(remembered.get(&hash(0)), Some(0));
        assert_eq!(remembered.get(&hash(MOST)), None);
        for (since, _) in remembered.0.values_mut() {
            *since = Instant::now().checked_sub(LIFE).unwrap();
        }
        assert_eq!(remembered.get(&hash(0)), None, "it is too old");
        remembered.keep(hash(MOST), 1);
        assert_eq!((remembered.get(&hash(MOST)), remembered.0.len()), (Some(1), 1));
    }
}
