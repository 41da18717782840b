//! The HTTP server: `/livez` and `/readyz`, and what others bring.

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
<<<<<<< HEAD
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    others: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
=======
pub async fn serve(address: SocketAddr, probes: Probes, stop: CancellationToken) -> std::io::Result<()> {
>>>>>>> lifecycle
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving probes and metrics");
    let router = Router::new()
<<<<<<< HEAD
        .route("/livez", get(|| std::future::ready("ok")))
        .route("/readyz", get(|State(readiness): State<Readiness>| std::future::ready(readiness.answer())))
        .with_state(readiness)
        .merge(others);
=======
        .route("/livez", get(|State(probes): State<Probes>| std::future::ready(probes.live())))
        .route("/readyz", get(|State(probes): State<Probes>| std::future::ready(probes.ready())))
        .with_state(probes);
>>>>>>> lifecycle
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
