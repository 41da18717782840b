//! The HTTP server: `/livez` and `/readyz`, and what others bring.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether the process can do its work, and if not, why.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<&'static str>>>);

impl Readiness {
    /// Not ready, for this reason.
    pub fn starting(reason: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Some(reason))))
    }

    /// Not ready, for this reason, from now on.
    pub fn wait_for(&self, reason: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Ready from now on.
    pub fn ready(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => (StatusCode::OK, "ok"),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
        }
    }
}

/// Serves the probes and `others` until `stop`.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    others: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving probes and metrics");
    let router = Router::new()
        .route("/livez", get(|| std::future::ready("ok")))
        .route("/readyz", get(|State(readiness): State<Readiness>| std::future::ready(readiness.answer())))
        .with_state(readiness)
        .merge(others);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
