//! Watches: what the stores hold, and what changes tell whom.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::{self, Store};
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::ExponentialBackoff;
use kube::runtime::{Predicate as _, WatchStreamExt as _, predicates, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::listing::Listed;
use super::triggers::{Change, Changes};
use crate::domain::name::ObjectName;

pub(super) type Guarded<K> = DeserializeGuard<K>;
type Objects<K> = futures::stream::BoxStream<'static, Result<Guarded<K>, watcher::Error>>;

/// A watch that is not run yet: its store, and its stream.
pub(super) struct Watch<K: Resource<DynamicType = ()> + Clone + 'static> {
    pub(super) store: Store<Guarded<K>>,
    pub(super) stream: Objects<K>,
}

/// The pauses between two tries to watch: an API server that is back is seen within seconds, however long it was away.
/// A process has a handful of watches, so that this asks little of it.
fn watch_backoff() -> ResetTimerBackoff<ExponentialBackoff> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter();
    ResetTimerBackoff::new(pauses.into(), Duration::from_mins(1))
}

/// No pause of a controller's own after its watch failed: the watch has paused already, and while a controller pauses it
/// hears of nothing else, either.
pub(super) struct NoPause;

impl Iterator for NoPause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

impl Backoff for NoPause {
    fn reset(&mut self) {}
}

/// Watches a kind. The store keeps objects without `managedFields`; the stream tells of what people changed, not of
/// status writes. What those mean to others is for `status_change` to say, which sees every object.
pub(super) fn watch<K>(
    api: Api<Guarded<K>>,
    listed: &Listed,
    changes: &Changes,
    change: fn(&Guarded<K>) -> Option<Change>,
    mut status_change: impl FnMut(&Guarded<K>) -> Option<Change> + Send + 'static,
) -> Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store::<Guarded<K>>();
    let (changes, gone) = (changes.clone(), changes.clone());
    let watched = listed.expect::<K>(api.namespace());
    let failing = watched.clone();
    let mut relisted = Vec::new();
    let people = predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers)
        .combine(|object: &Guarded<K>| Some(u64::from(object.meta().deletion_timestamp.is_some())));
    let stream = watcher(api, watcher::Config::default())
        .backoff(watch_backoff())
        .modify(|object| object.meta_mut().managed_fields = None)
        .reflect(writer)
        .inspect_ok(move |event| match event {
            watcher::Event::InitDone => {
                watched.has_listed();
                relisted.drain(..).for_each(|change| gone.tell(change));
            }
            // The filter below lets no object pass that looks as it did before, and one that goes does.
            watcher::Event::Delete(object) => change(object).into_iter().for_each(|change| gone.tell(change)),
            watcher::Event::Apply(object) => status_change(object).into_iter().for_each(|change| gone.tell(change)),
            // The store shows nothing of a list before all of it is there.
            watcher::Event::InitApply(object) => relisted.extend(status_change(object)),
            watcher::Event::Init => {}
        })
        .inspect_err(move |error| failing.has_failed(error))
        .touched_objects()
        .predicate_filter(people, kube::runtime::PredicateConfig::default())
        .inspect_ok(move |object| {
            if let Some(change) = change(object) {
                changes.tell(change);
            }
        })
        .boxed();
    Watch { store, stream }
}

/// What the status of an object tells is for that object alone.
pub(super) fn no_status_change<K: Resource>(_object: &Guarded<K>) -> Option<Change> {
    None
}

pub(super) fn name_of<K: Resource<DynamicType = ()>>(object: &Guarded<K>) -> ObjectName {
    let metadata: &ObjectMeta = object.meta();
    ObjectName::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

type NamespaceMetadata = PartialObjectMeta<Namespace>;

pub(super) fn watch_namespaces(
    client: &Client,
    listed: &Listed,
    changes: &Changes,
    stop: &CancellationToken,
) -> (Store<NamespaceMetadata>, BoxFuture<'static, ()>) {
    let (store, writer) = reflector::store::<NamespaceMetadata>();
    let changes = changes.clone();
    let watched = listed.expect::<Namespace>(None);
    let failing = watched.clone();
    let mut known: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let stream = watcher(Api::<NamespaceMetadata>::all(client.clone()), watcher::Config::default())
        .backoff(watch_backoff())
        .modify(|namespace| {
            namespace.metadata.managed_fields = None;
            namespace.metadata.annotations = None;
        })
        .reflect(writer)
        .inspect_ok(move |event| {
            if matches!(event, watcher::Event::InitDone) {
                watched.has_listed();
            }
        })
        .inspect_err(move |error| failing.has_failed(error))
        .touched_objects()
        .take_until(stop.clone().cancelled_owned());
    let task = stream
        .for_each(move |namespace| {
            match namespace {
                Ok(namespace) => {
                    let labels = namespace.labels().clone();
                    if known.insert(namespace.name_any(), labels.clone()).is_some_and(|before| before != labels) {
                        changes.tell(Change::Namespace(namespace.name_any()));
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the watch of namespaces failed");
                }
            }
            std::future::ready(())
        })
        .boxed();
    (store, task)
}
