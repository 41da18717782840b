//! `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kube::client::ClientBuilder;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{Lookup, Store};

use super::RunError;
use super::stores::StoreCatalogue;
use crate::adapters::kube::SpanLayer;
use crate::adapters::kube::requests::WitnessLayer;
use crate::reconcile::context::Context;
use crate::reconcile::metrics::store::Seen;
use crate::reconcile::metrics::{ApiCalls, Build, Format, Metrics, Standing};

/// What was built.
pub(super) const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: env!("SCROBBLE_OPERATOR_REVISION"),
    rustc: env!("SCROBBLE_OPERATOR_RUSTC"),
};

/// A client whose requests are counted and have spans.
///
/// # Errors
/// [`RunError::Cluster`].
pub(super) fn client(configuration: kube::Config, metrics: &Metrics) -> Result<kube::Client, RunError> {
    let spans = SpanLayer::of(&configuration);
    let layer = WitnessLayer::new(Arc::<ApiCalls>::clone(&metrics.api));
    let builder = ClientBuilder::try_from(configuration).map_err(|error| RunError::Cluster(Box::new(error)))?;
    Ok(builder.with_layer(&layer).with_layer(&spans).build())
}

/// What a scrape reads.
struct Scrape {
    ctx: Arc<Context>,
    catalogue: Arc<StoreCatalogue>,
    /// For how many accounts there are series of their own.
    bound: Option<usize>,
}

/// `GET` and `HEAD /metrics`.
pub(super) fn routes(ctx: &Arc<Context>, catalogue: &Arc<StoreCatalogue>, bound: Option<usize>) -> Router {
    let scrape = Scrape { ctx: Arc::clone(ctx), catalogue: Arc::clone(catalogue), bound };
    Router::new().route("/metrics", get(metrics)).with_state(Arc::new(scrape))
}

async fn metrics(State(scrape): State<Arc<Scrape>>, headers: HeaderMap) -> Response {
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::of_accept(&accept.join(","));
    // Thousands of accounts take milliseconds, in which nobody else shall wait.
    match tokio::task::spawn_blocking(move || scrape.render(format)).await {
        Ok(text) => ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Scrape {
    fn render(&self, format: Format) -> String {
        let ctx = &self.ctx;
        let standing = Standing { leader: self.is_on_duty(), exchanges: ctx.exchanges.in_flight() };
        let stores = self.catalogue.stores().filter(|_| standing.leader && self.catalogue.is_listed());
        let Some(stores) = stores else { return ctx.metrics.render(format, standing, None, self.bound) };
        let scopes = &stores.scopes;
        let accounts = held(scopes.iter().map(|scope| &scope.accounts));
        let apps = held(scopes.iter().map(|scope| &scope.apps));
        let targets = held(scopes.iter().map(|scope| &scope.targets));
        let plans = held(std::iter::once(&stores.plans));
        let seen = Seen {
            accounts: readable(&accounts),
            apps: readable(&apps),
            targets: readable(&targets),
            plans: readable(&plans),
            last_read: &|uid| ctx.live.last_read(uid),
            since: ctx.duty().since,
            now: ctx.clock.now(),
        };
        ctx.metrics.render(format, standing, Some(&seen), self.bound)
    }

    /// Whether this process works: it was given the Lease, and may still have it.
    fn is_on_duty(&self) -> bool {
        self.ctx.duty.get().is_some() && self.ctx.tenure.holds()
    }
}

/// What stores hold, without a copy.
fn held<'a, K>(stores: impl Iterator<Item = &'a Store<K>>) -> Vec<Arc<K>>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    stores.flat_map(Store::state).collect()
}

/// The objects that this version can read.
fn readable<K>(held: &[Arc<DeserializeGuard<K>>]) -> Vec<&K> {
    held.iter().filter_map(|guarded| guarded.0.as_ref().ok()).collect()
}
