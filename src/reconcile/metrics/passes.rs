//! Passes over objects: how many, how long, how they ended, how many wait.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::names;
use super::series::{counters, gauges, histograms};
use super::words::{Controller, PassResult};
use crate::reconcile::{Action, Error};

/// Seconds of a pass: a few requests to the API server up to the deadline of all steps together.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// The passes of one controller.
struct Of {
    results: [Counter; PassResult::ALL.len()],
    errors: Counter,
    panics: Counter,
    timeouts: Counter,
    seconds: Histogram,
    active: Gauge,
    most: Gauge,
    waiting: Gauge,
}

/// The passes of all controllers.
pub struct Passes([Of; Controller::ALL.len()]);

impl Passes {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let results = counters(registry, &names::RECONCILES);
        let errors = counters(registry, &names::RECONCILE_ERRORS);
        let panics = counters(registry, &names::RECONCILE_PANICS);
        let timeouts = counters(registry, &names::RECONCILE_TIMEOUTS);
        let seconds = histograms(registry, &names::RECONCILE_SECONDS, || Histogram::new(BUCKETS));
        let active = gauges(registry, &names::ACTIVE_WORKERS);
        let most = gauges(registry, &names::MAX_CONCURRENT);
        let waiting = gauges(registry, &names::QUEUE_DEPTH);
        Self(Controller::ALL.map(|controller| {
            let label = controller.as_str();
            Of {
                results: PassResult::ALL.map(|result| results.of(&[label, result.as_str()])),
                errors: errors.of(&[label]),
                panics: panics.of(&[label]),
                timeouts: timeouts.of(&[label]),
                seconds: seconds.of(&[label]),
                active: active.of(&[label]),
                most: most.of(&[label]),
                waiting: waiting.of(&[label]),
            }
        }))
    }

    /// So many passes of a controller may run at the same time.
    pub fn bound(&self, controller: Controller, most: usize) {
        self.0[controller as usize].most.set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    /// A pass that waits for its turn.
    pub fn waits(&self, controller: Controller) -> Pass<'_> {
        let of = &self.0[controller as usize];
        of.waiting.inc();
        Pass { of, begun: None }
    }
}

/// One pass; it is over when this is dropped, whatever became of it.
pub struct Pass<'a> {
    of: &'a Of,
    begun: Option<Instant>,
}

impl Pass<'_> {
    /// It has its turn.
    pub fn begins(&mut self) {
        if self.begun.is_none() {
            self.begun = Some(Instant::now());
            self.of.waiting.dec();
            self.of.active.inc();
        }
    }

    /// How it ended. One that never had its turn is not counted.
    pub fn ended(self, result: &Result<Action, Error>) {
        let Some(begun) = self.begun else { return };
        self.of.seconds.observe(begun.elapsed().as_secs_f64());
        let word = match result {
            Ok(action) if *action == Action::await_change() => PassResult::Success,
            Ok(_) => PassResult::RequeueAfter,
            Err(_) => PassResult::Error,
        };
        self.of.results[word as usize].inc();
        match result {
            Ok(_) => return,
            Err(Error::Panicked { .. }) => drop(self.of.panics.inc()),
            Err(Error::Overdue { .. }) => drop(self.of.timeouts.inc()),
            Err(Error::Cluster(_) | Error::Contended | Error::OffDuty) => {}
        }
        self.of.errors.inc();
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let gauge = if self.begun.is_some() { &self.of.active } else { &self.of.waiting };
        gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_pass_is_counted_once_by_how_it_ended() {
        let passes = Passes::new(&mut Registry::default());
        let of = &passes.0[Controller::SpotifyApp as usize];
        let run = |result: Result<Action, Error>| {
            let mut pass = passes.waits(Controller::SpotifyApp);
            assert_eq!((of.waiting.get(), of.active.get()), (1, 0));
            pass.begins();
            pass.begins();
            assert_eq!((of.waiting.get(), of.active.get()), (0, 1));
            pass.ended(&result);
            assert_eq!((of.waiting.get(), of.active.get()), (0, 0));
        };
        run(Ok(Action::await_change()));
        run(Ok(Action::requeue(Duration::from_secs(1))));
        run(Err(Error::OffDuty));
        run(Err(Error::Overdue { wait: Duration::ZERO }));
        assert_eq!(of.results.each_ref().map(Counter::get), [1, 1, 2]);
        assert_eq!([&of.errors, &of.panics, &of.timeouts].map(Counter::get), [2, 0, 1]);
        // One that goes away, and one that never had its turn.
        let mut gone = passes.waits(Controller::SpotifyApp);
        gone.begins();
        drop(gone);
        passes.waits(Controller::SpotifyApp).ended(&Ok(Action::await_change()));
        assert_eq!((of.waiting.get(), of.active.get()), (0, 0));
        assert_eq!(of.results.each_ref().map(Counter::get), [1, 1, 2]);
    }
}
