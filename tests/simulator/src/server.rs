//! Connections. hyper rather than axum's own server, because some of them have to be cut.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// In a response's extensions: close the connection instead of sending it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection;

/// Serves until the task is aborted, which closes every connection.
pub(crate) async fn accept(listener: TcpListener, router: Router) {
    let service = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone()))),
            // Out of descriptors, most likely: connections that end make room.
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, service: TowerToHyperService<Router>) {
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = service.call(Request::from(request.map(Body::new)));
        async move {
            let Ok(response) = answer.await;
            if response.extensions().get::<CutConnection>().is_some() {
                return Err(std::io::Error::other("cut by script"));
            }
            Ok(response)
        }
    });
    // An error here is a client that went away or a connection that was cut on purpose.
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}
