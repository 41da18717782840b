//! Exchanges in flight: at most one for each token Secret, and shutdown waits for all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::context::Context;
use crate::domain::name::ObjectName;

/// Exchanges in flight: at most one for each token Secret.
#[derive(Default)]
pub struct Exchanges {
    tasks: TaskTracker,
    secrets: Mutex<HashMap<ObjectName, Stage>>,
}

/// How far an exchange has come.
#[derive(Clone, Default)]
pub(super) struct Stage(Arc<AtomicBool>);

impl Stage {
    /// Whether there are new tokens, which are being stored.
    pub(super) fn is_committing(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why an exchange cannot begin now.
pub(super) enum Busy {
    /// Another exchange of this token was answered and is being stored.
    Committing,
    /// Another exchange of this token is on its way.
    Exchanging,
    /// The process stops.
    Stopping,
}

impl Exchanges {
    /// Waits until no exchange is in flight. No new one can begin afterwards.
    pub async fn finish(&self) {
        {
            let _nobody_begins = self.secrets();
            self.tasks.close();
        }
        self.tasks.wait().await;
    }

    /// How many exchanges are in flight.
    pub fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    /// Whether an exchange of the token in this Secret is in flight.
    pub(super) fn is_in_flight(&self, secret: &ObjectName) -> bool {
        self.secrets().contains_key(secret)
    }

    fn secrets(&self) -> MutexGuard<'_, HashMap<ObjectName, Stage>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to exchange one token. Given back when it is dropped, also by a panic.
pub(super) struct Turn {
    ctx: Arc<Context>,
    secret: ObjectName,
    stage: Stage,
    _counted: TaskTrackerToken,
}

impl Turn {
    /// Takes the turn for a token Secret.
    ///
    /// # Errors
    /// Somebody has it, or the process stops.
    pub(super) fn take(ctx: &Arc<Context>, secret: &ObjectName) -> Result<Self, Busy> {
        let exchanges = &ctx.exchanges;
        let mut secrets = exchanges.secrets();
        match secrets.get(secret) {
            _ if exchanges.tasks.is_closed() => Err(Busy::Stopping),
            Some(stage) if stage.is_committing() => Err(Busy::Committing),
            Some(_) => Err(Busy::Exchanging),
            None => {
                let stage = Stage::default();
                secrets.insert(secret.clone(), stage.clone());
                let counted = exchanges.tasks.token();
                Ok(Self { ctx: Arc::clone(ctx), secret: secret.clone(), stage, _counted: counted })
            }
        }
    }

    /// How far it has come.
    pub(super) fn stage(&self) -> Stage {
        self.stage.clone()
    }

    /// There are new tokens, which are being stored.
    pub(super) fn commits(&self) {
        self.stage.0.store(true, Ordering::SeqCst);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.ctx.exchanges.secrets().remove(&self.secret);
    }
}
