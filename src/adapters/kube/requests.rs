//! Requests to the API server, seen one by one: which verb on which resource, and what came of it.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use tower::{Layer, Service};

/// A request as RBAC names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// `get`, `list`, `create`, `update`, `patch`, `delete`, or `other`.
    pub verb: &'static str,
    /// The resource, with its subresource after a slash; `other` where it is none that the operator uses.
    pub resource: &'static str,
}

/// The resources that the operator uses. Names of objects never get further than this.
const RESOURCES: [&str; 14] = [
    "secrets",
    "namespaces",
    "events",
    "leases",
    "spotifyaccounts",
    "spotifyaccounts/status",
    "spotifyapps",
    "spotifyapps/status",
    "scrobbletargets",
    "scrobbletargets/status",
    "scrobbleplans",
    "scrobbleplans/status",
    "tokenreviews",
    "subjectaccessreviews",
];

impl ApiRequest {
    /// What a method and an address ask for; none for a watch, which lasts.
    fn of(method: &Method, path: &str, query: Option<&str>) -> Option<Self> {
        if query.is_some_and(|query| query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")) {
            return None;
        }
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        // /api/v1/… or /apis/group/version/…
        let skipped = if parts.next() == Some("api") { 1 } else { 2 };
        let parts: Vec<&str> = parts.skip(skipped).collect();
        let parts = match parts.as_slice() {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            parts => parts,
        };
        let (resource, is_named) = match parts {
            [resource, _, part, ..] => (format!("{resource}/{part}"), true),
            [resource, rest @ ..] => ((*resource).to_owned(), !rest.is_empty()),
            [] => (String::new(), false),
        };
        let verb = match *method {
            Method::GET if is_named => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "other",
        };
        let resource = RESOURCES.into_iter().find(|known| *known == resource).unwrap_or("other");
        Some(Self { verb, resource })
    }
}

/// Is told how requests ended.
pub trait ApiWitness: Send + Sync {
    /// One was answered with this status; or not, or nobody waited any longer.
    fn answered(&self, request: ApiRequest, status: Option<StatusCode>);
}

/// A layer of kube's client that shows every request but watches to a witness.
#[derive(Clone)]
pub struct WitnessLayer(Arc<dyn ApiWitness>);

impl WitnessLayer {
    /// Shows them to this one.
    pub fn new(witness: Arc<dyn ApiWitness>) -> Self {
        Self(witness)
    }
}

impl<S> Layer<S> for WitnessLayer {
    type Service = Witnessed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Witnessed { inner, witness: Arc::clone(&self.0) }
    }
}

/// A service whose requests are seen.
#[derive(Clone)]
pub struct Witnessed<S> {
    inner: S,
    witness: Arc<dyn ApiWitness>,
}

impl<S, B> Service<Request<Body>> for Witnessed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seen = ApiRequest::of(request.method(), request.uri().path(), request.uri().query());
        let mut pending = seen.map(|request| Pending { request, status: None, witness: Arc::clone(&self.witness) });
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            if let Some(pending) = &mut pending {
                pending.status = answer.as_ref().ok().map(Response::status);
            }
            answer
        }
        .boxed()
    }
}

/// A request under way: also one that nobody waits for any longer is seen.
struct Pending {
    request: ApiRequest,
    status: Option<StatusCode>,
    witness: Arc<dyn ApiWitness>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.witness.answered(self.request, self.status);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use kube::Api;
    use kube::client::ClientBuilder;
    use wiremock::ResponseTemplate;

    use super::super::testing::{refusal, server};
    use super::*;

    #[test]
    fn a_request_is_named_as_rbac_names_it() {
        for (method, path, query, expected) in [
            (Method::GET, "/api/v1/namespaces/music/secrets/alice", None, Some(("get", "secrets"))),
            (Method::GET, "/api/v1/namespaces/music", None, Some(("get", "namespaces"))),
            (Method::GET, "/api/v1/namespaces", Some("limit=500"), Some(("list", "namespaces"))),
            (Method::GET, "/api/v1/namespaces", Some("&watch=true&timeoutSeconds=290"), None),
            (
                Method::PATCH,
                "/apis/scrobble-operator.io/v1alpha1/namespaces/music/spotifyaccounts/alice/status",
                Some("fieldManager=x"),
                Some(("patch", "spotifyaccounts/status")),
            ),
            (
                Method::GET,
                "/apis/scrobble-operator.io/v1alpha1/spotifyapps",
                Some("&limit=500&continue=x"),
                Some(("list", "spotifyapps")),
            ),
            (
                Method::PATCH,
                "/apis/scrobble-operator.io/v1alpha1/scrobbleplans/free/status",
                None,
                Some(("patch", "scrobbleplans/status")),
            ),
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/music/leases/scrobble-operator",
                None,
                Some(("update", "leases")),
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/music/events", None, Some(("create", "events"))),
            (Method::GET, "/version", None, Some(("list", "other"))),
            (Method::DELETE, "/api/v1/namespaces/music/pods/secret-name", None, Some(("delete", "other"))),
            (Method::HEAD, "/", None, Some(("other", "other"))),
        ] {
            let found = ApiRequest::of(&method, path, query).map(|request| (request.verb, request.resource));
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[derive(Default)]
    struct Seen(Mutex<Vec<(ApiRequest, Option<u16>)>>);

    impl ApiWitness for Seen {
        fn answered(&self, request: ApiRequest, status: Option<StatusCode>) {
            self.0.lock().unwrap().push((request, status.map(|status| status.as_u16())));
        }
    }

    #[tokio::test]
    async fn every_request_is_seen_with_its_answer_or_without() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let seen = Arc::new(Seen::default());
        let slow = refusal(404, "NotFound").set_delay(Duration::from_mins(10));
        let (long, short) = (Duration::from_mins(1), Duration::from_millis(200));
        for (answer, patience) in [(refusal(409, "Conflict"), long), (slow, short), (ResponseTemplate::new(201), long)]
        {
            let server = server(answer).await;
            let configuration = kube::Config::new(server.uri().parse().unwrap());
            let layer = WitnessLayer::new(Arc::<Seen>::clone(&seen));
            let client = ClientBuilder::try_from(configuration).unwrap().with_layer(&layer).build();
            let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client, "music");
            let _ = tokio::time::timeout(patience, secrets.get_opt("alice")).await;
        }
        let request = ApiRequest { verb: "get", resource: "secrets" };
        assert_eq!(*seen.0.lock().unwrap(), [(request, Some(409)), (request, None), (request, Some(201))]);
    }
}
