//! The series of one metric of this process, by their labels.

use std::fmt::Debug;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::names::Name;

/// Label names with their values.
pub(super) type Labels = Vec<(&'static str, &'static str)>;

/// The series of one metric. What is counted often keeps the series it needs, and looks nothing up.
pub(super) struct Series<M> {
    labels: &'static [&'static str],
    family: Family<Labels, M, fn() -> M>,
}

impl<M: EncodeMetric + TypedMetric + Clone + Debug + Send + Sync + 'static> Series<M> {
    /// Registers a metric under its name.
    fn register(registry: &mut Registry, name: &Name, new: fn() -> M) -> Self {
        let family = Family::new_with_constructor(new);
        registry.register(name.family(), name.help, family.clone());
        Self { labels: name.labels, family }
    }

    /// The series with these label values, in the order of the metric's labels. It is there from now on.
    pub(super) fn of(&self, values: &[&'static str]) -> M {
        let labels: Labels = self.labels.iter().copied().zip(values.iter().copied()).collect();
        self.family.get_or_create_owned(&labels)
    }
}

pub(super) fn counters(registry: &mut Registry, name: &Name) -> Series<Counter> {
    Series::register(registry, name, Counter::default)
}

/// A counter without labels.
pub(super) fn counter(registry: &mut Registry, name: &Name) -> Counter {
    let counter = Counter::default();
    registry.register(name.family(), name.help, counter.clone());
    counter
}

pub(super) fn gauges(registry: &mut Registry, name: &Name) -> Series<Gauge> {
    Series::register(registry, name, Gauge::default)
}

pub(super) fn histograms(registry: &mut Registry, name: &Name, new: fn() -> Histogram) -> Series<Histogram> {
    Series::register(registry, name, new)
}
