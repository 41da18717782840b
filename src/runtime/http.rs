//! The HTTP server: `/livez` and `/readyz`, and what others bring.

mod callers;
pub mod diagnostics;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::probes::Probes;

/// Serves the probes and `others` until `stop`.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    probes: Probes,
    others: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving probes and metrics");
    let router = Router::new()
        .route("/livez", get(|State(probes): State<Probes>| std::future::ready(probes.live())))
        .route("/readyz", get(|State(probes): State<Probes>| std::future::ready(probes.ready())))
        .with_state(probes)
        .merge(others);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
