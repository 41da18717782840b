//! A pass that panics, or never ends, hurts its own object alone: that is told on it, and it is left alone for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt as _};

use super::context::Context;
use super::live::Live;
use super::metrics::words::Controller;
use super::panics::{Place, caught};
use super::{Action, Error, record, spans};
use crate::adapters::kube::ClusterError;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::plan::settle::CutOff;
use crate::plan::{Lookup, breaker, settle};

/// Every step has a deadline of its own; a pass ends here even if they add up.
const LONGEST_PASS: Duration = Duration::from_mins(5);
/// What is left to tell of a pass is told within this.
const TELLING: Duration = Duration::from_mins(1);
/// The longest wait after a panic; the first is a minute.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// Runs a pass: within its deadline, and no further than a panic.
pub(super) async fn contained<T>(pass: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    within(LONGEST_PASS, pass).await
}

async fn within<T>(longest: Duration, pass: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match caught(tokio::time::timeout(longest, pass)).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => Err(overdue()),
        Err(place) => Err(panicked(place)),
    }
}

fn panicked(place: Place) -> Error {
    Error::Panicked { place, wait: breaker::FIRST_WAIT.unsigned_abs() }
}

fn overdue() -> Error {
    Error::Overdue { wait: breaker::FIRST_WAIT.unsigned_abs() }
}

/// What is left to do after a pass over an account that was cut off anywhere. Answers how it failed, and when it is
/// tried again.
pub(super) async fn tell(ctx: &Context, account: &Arc<SpotifyAccount>, name: &ObjectName, error: Error) -> Error {
    let uid = account.metadata.uid.clone().unwrap_or_default();
    if !matches!(error, Error::Panicked { .. } | Error::Overdue { .. }) || account.metadata.deletion_timestamp.is_some()
    {
        return error;
    }
    let telling = caught(tokio::time::timeout(TELLING, async {
        let live = ctx.live.of(&uid);
        let mut live = live.lock().await;
        live.forget_what_may_be_half_done();
        let (why, place) = match error {
            Error::Panicked { place, .. } => (CutOff::Panicked { place: place.to_string() }, Some(place)),
            _ => (CutOff::TooLong, None),
        };
        let wait = record_of(ctx, &mut live, account, name, &why).await.unwrap_or(breaker::FIRST_WAIT.unsigned_abs());
        place.map_or(Error::Overdue { wait }, |place| Error::Panicked { place, wait })
    }));
    match Box::pin(telling).await {
        Ok(Ok(error)) => error,
        Ok(Err(_)) => overdue(),
        Err(place) => panicked(place),
    }
}

/// Writes down why a pass was cut off, and answers when to try again. A status that is not taken is taken later.
async fn record_of(
    ctx: &Context,
    live: &mut Live,
    watched: &Arc<SpotifyAccount>,
    name: &ObjectName,
    why: &CutOff,
) -> Result<Duration, Error> {
    let (newest, mut stored) = live.newest(watched);
    let mut account = Arc::new(newest);
    let app = match ctx.catalogue.app(&account.spec.app_ref.object(&name.namespace)) {
        Lookup::Found(app) => Some(app),
        Lookup::Missing | Lookup::Unreadable => None,
    };
    let now = ctx.clock.now();
    let told = |account: &SpotifyAccount| settle::cut_off(account, app.as_deref(), why, now);
    let settled = record::record(ctx, live, &mut account, &mut stored, name, told).await?;
    Ok(ctx.clock.timer(settled.requeue))
}

/// What the passes over objects of one kind, other than accounts, came to where they panicked.
#[derive(Default)]
pub struct Faults(Mutex<HashMap<(&'static str, ObjectName), Fault>>);

struct Fault {
    /// In a row.
    panics: u32,
    generation: Option<i64>,
    until: Instant,
}

impl Faults {
    fn entries(&self) -> MutexGuard<'_, HashMap<(&'static str, ObjectName), Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long an object of this generation is left alone.
    fn rest(&self, kind: &'static str, name: &ObjectName, generation: Option<i64>) -> Option<Duration> {
        let faults = self.entries();
        let fault = faults.get(&(kind, name.clone())).filter(|fault| fault.generation == generation)?;
        Some(fault.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// One more panic; answers when to try again.
    fn again(&self, kind: &'static str, name: &ObjectName, generation: Option<i64>) -> Duration {
        let mut faults = self.entries();
        let fresh = Fault { panics: 0, generation, until: Instant::now() };
        let fault = faults.entry((kind, name.clone())).or_insert(fresh);
        fault.panics = fault.panics.saturating_add(1);
        let wait = breaker::doubled(breaker::FIRST_WAIT, fault.panics, LONGEST_WAIT).unsigned_abs();
        (fault.generation, fault.until) = (generation, Instant::now() + wait);
        wait
    }

    fn over(&self, kind: &'static str, name: &ObjectName) {
        self.entries().remove(&(kind, name.clone()));
    }
}

/// A pass over an object of another kind than accounts: where it panics, that is shown on `Ready`, and the object is
/// left alone for a while, from a minute to 15, or until it is changed.
pub(super) async fn guarded<K: Resource<DynamicType = ()>>(
    controller: Controller,
    object: &DeserializeGuard<K>,
    ctx: &Context,
    pass: impl Future<Output = Result<Action, Error>>,
) -> Result<Action, Error> {
    let mut counted = ctx.metrics.passes.waits(controller);
    counted.begins();
    let ended = backed_off(controller.kind(), object, ctx, pass).await;
    counted.ended(&ended);
    ended
}

async fn backed_off<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    object: &DeserializeGuard<K>,
    ctx: &Context,
    pass: impl Future<Output = Result<Action, Error>>,
) -> Result<Action, Error> {
    let metadata = object.meta();
    let name = ObjectName::new(metadata.namespace.clone().unwrap_or_default(), object.name_any());
    if let Some(left) = ctx.faults.rest(kind, &name, metadata.generation) {
        return Ok(Action::requeue(left));
    }
    let span = spans::pass_over(kind, &name);
    Box::pin(spans::told(kind, &name, span, shown(kind, object, ctx, &name, pass))).await
}

/// Runs a pass; where it panics, that is shown on the object.
async fn shown<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    object: &DeserializeGuard<K>,
    ctx: &Context,
    name: &ObjectName,
    pass: impl Future<Output = Result<Action, Error>>,
) -> Result<Action, Error> {
    let metadata = object.meta();
    let place = match contained(pass).await {
        Err(Error::Panicked { place, .. }) => place,
        ended => {
            ctx.faults.over(kind, name);
            return ended;
        }
    };
    let wait = ctx.faults.again(kind, name, metadata.generation);
    let conditions = settle::faulty(metadata.generation, &place.to_string(), ctx.clock.now());
    if ctx.tenure.holds() {
        match ctx.cluster.show_conditions::<K>(name, &conditions, metadata.generation).await {
            Ok(()) | Err(ClusterError::NotFound { .. } | ClusterError::Conflict { .. }) => {}
            Err(error) => {
                let (reason, error) = (error.reason(), &error as &dyn std::error::Error);
                tracing::warn!(kind, object = %name, reason, error, "a panic could not be shown");
            }
        }
    }
    Err(Error::Panicked { place, wait })
}

#[cfg(test)]
mod tests {
    use super::super::panics::note;
    use super::*;

    #[tokio::test]
    async fn a_pass_that_panics_tells_where_and_another_tells_what_it_came_to() {
        let ended = contained(async {
            note(Some(std::panic::Location::caller()));
            std::panic::resume_unwind(Box::new("data"))
        });
        let error = ended.await.map(|(): ()| ()).unwrap_err();
        assert!(error.to_string().contains("src/reconcile/fault.rs:"), "{error}");
        assert!(matches!(contained(async { Err::<(), _>(Error::OffDuty) }).await, Err(Error::OffDuty)));
    }

    #[tokio::test]
    async fn a_pass_that_never_ends_is_cut_off() {
        let never = std::future::pending::<Result<(), Error>>();
        assert!(matches!(within(Duration::from_millis(20), never).await, Err(Error::Overdue { .. })));
    }

    #[test]
    fn an_object_is_left_alone_longer_each_time_but_for_a_change() {
        let faults = Faults::default();
        let name = ObjectName::new("music", "main");
        assert_eq!(faults.rest("SpotifyApp", &name, Some(1)), None);
        let waits: Vec<u64> = (0..6).map(|_| faults.again("SpotifyApp", &name, Some(1)).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 15, 15]);
        assert!(faults.rest("SpotifyApp", &name, Some(1)).is_some());
        assert_eq!(faults.rest("SpotifyApp", &name, Some(2)), None, "it was changed");
        assert_eq!(faults.rest("ScrobbleTarget", &name, Some(1)), None, "another object");
        faults.over("SpotifyApp", &name);
        assert_eq!(faults.rest("SpotifyApp", &name, Some(1)), None);
    }
}
