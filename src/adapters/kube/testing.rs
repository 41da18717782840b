//! An API server of one answer.

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::Cluster;
use crate::domain::name::ObjectName;

/// A server with one answer to everything.
pub(super) async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// Access to it.
pub(super) fn cluster(server: &MockServer) -> Cluster {
    rustls::crypto::ring::default_provider().install_default().ok();
    let configuration = kube::Config::new(server.uri().parse().unwrap());
    Cluster::new(super::build_client(configuration).unwrap(), "tests".to_owned())
}

/// The object that every test is about.
pub(super) fn name() -> ObjectName {
    ObjectName::new("music", "alice")
}

/// A refusal as the API server words it.
pub(super) fn refusal(status: u16, reason: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused: the-value", "reason": reason, "code": status
    }))
}

/// The only request that the server saw.
pub(super) async fn only_request(server: &MockServer) -> Request {
    let mut requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

/// The request's body.
pub(super) fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
