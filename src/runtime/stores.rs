//! What the watches know, and who has to be looked at when something changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store};

use super::listing::Listed;
use crate::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::plan::Lookup;
use crate::reconcile::context::Catalogue;

/// The stores of one watched namespace, or of all.
pub struct Scope {
    /// The accounts.
    pub accounts: Store<DeserializeGuard<SpotifyAccount>>,
    /// The apps.
    pub apps: Store<DeserializeGuard<SpotifyApp>>,
    /// The targets.
    pub targets: Store<DeserializeGuard<ScrobbleTarget>>,
}

/// All stores.
pub struct Stores {
    /// One for each watched namespace, or one for all.
    pub scopes: Vec<Scope>,
    /// The plans.
    pub plans: Store<DeserializeGuard<ScrobblePlan>>,
    /// The namespaces' metadata.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// Which of them are complete.
    pub listed: Listed,
}

/// The catalogue: empty until this process is on duty and watches.
#[derive(Default)]
pub struct StoreCatalogue(OnceLock<Stores>);

impl StoreCatalogue {
    /// Sets the stores, once.
    pub fn fill(&self, stores: Stores) {
        let _ = self.0.set(stores);
    }

    /// Whether everything has been listed once.
    pub fn is_listed(&self) -> bool {
        self.stores().is_some_and(|stores| stores.listed.is_complete())
    }

    /// An account.
    pub fn account(&self, name: &ObjectName) -> Lookup<SpotifyAccount> {
        let scopes = self.stores().map(|stores| stores.scopes.as_slice()).unwrap_or_default();
        first(scopes.iter().map(|scope| find(&scope.accounts, name)))
    }

    /// The stores, if this process watches.
    pub fn stores(&self) -> Option<&Stores> {
        self.0.get()
    }
}

fn find<K>(store: &Store<DeserializeGuard<K>>, name: &ObjectName) -> Lookup<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    let mut reference = ObjectRef::<DeserializeGuard<K>>::new(&name.name);
    if !name.namespace.is_empty() {
        reference = reference.within(&name.namespace);
    }
    let Some(guarded) = store.get(&reference) else { return Lookup::Missing };
    match &guarded.0 {
        Ok(object) => Lookup::Found(Arc::new(object.clone())),
        Err(_) => Lookup::Unreadable,
    }
}

impl Catalogue for StoreCatalogue {
    fn app(&self, name: &ObjectName) -> Lookup<SpotifyApp> {
        let scopes = self.stores().map(|stores| stores.scopes.as_slice()).unwrap_or_default();
        first(scopes.iter().map(|scope| find(&scope.apps, name)))
    }

    fn target(&self, name: &ObjectName) -> Lookup<ScrobbleTarget> {
        let scopes = self.stores().map(|stores| stores.scopes.as_slice()).unwrap_or_default();
        first(scopes.iter().map(|scope| find(&scope.targets, name)))
    }

    fn plan(&self, name: &str) -> Lookup<ScrobblePlan> {
        self.stores().map_or(Lookup::Missing, |stores| find(&stores.plans, &ObjectName::new("", name)))
    }

    fn namespace_labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let found = self.stores()?.namespaces.get(&ObjectRef::new(namespace))?;
        Some(found.labels().clone())
    }

    fn is_filled(&self) -> bool {
        self.stores().is_some()
    }

    fn wait_until_listed(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(stores) = self.stores() {
                stores.listed.wait().await;
            }
        }
        .boxed()
    }

    fn targets(&self) -> Vec<Arc<ScrobbleTarget>> {
        let scopes = self.stores().map(|stores| stores.scopes.as_slice()).unwrap_or_default();
        let state = scopes.iter().flat_map(|scope| scope.targets.state());
        state.filter_map(|guarded| guarded.0.as_ref().ok().cloned().map(Arc::new)).collect()
    }

    fn accounts(&self, wanted: &dyn Fn(&SpotifyAccount) -> bool) -> Vec<Arc<SpotifyAccount>> {
        let scopes = self.stores().map(|stores| stores.scopes.as_slice()).unwrap_or_default();
        matching(scopes.iter().map(|scope| &scope.accounts), wanted)
    }

    fn apps(&self, wanted: &dyn Fn(&SpotifyApp) -> bool) -> Vec<Arc<SpotifyApp>> {
        let scopes = self.stores().map(|stores| stores.scopes.as_slice()).unwrap_or_default();
        matching(scopes.iter().map(|scope| &scope.apps), wanted)
    }
}

fn matching<'a, K>(
    stores: impl Iterator<Item = &'a Store<DeserializeGuard<K>>>,
    wanted: &dyn Fn(&K) -> bool,
) -> Vec<Arc<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    let state = stores.flat_map(Store::state);
    state.filter_map(|guarded| guarded.0.as_ref().ok().filter(|object| wanted(object)).cloned().map(Arc::new)).collect()
}

fn first<T>(mut lookups: impl Iterator<Item = Lookup<T>>) -> Lookup<T> {
    lookups.find(|lookup| !matches!(lookup, Lookup::Missing)).unwrap_or(Lookup::Missing)
}
