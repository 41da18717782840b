//! Writing the token Secret: only the keys that belong to an authorization, and only over what was looked at.

use std::error::Error;
use std::time::{Duration, Instant};

use super::ConnectError;
use crate::adapters::kube::secrets::SecretContent;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::plan::sign_in::authorization::without_token;
use crate::plan::sign_in::preparation::ExistingSecret;
use crate::plan::sign_in::{Authorization, Preparation, Refusal};

/// How long an API server that does not answer is tried: the tokens would have to be asked for again.
const PATIENCE: Duration = Duration::from_mins(1);
const WAIT: Duration = Duration::from_millis(500);
/// How often a Secret that others write all the time is tried.
const TRIES: usize = 50;

/// Looks whether the token Secret can be written, so that nobody signs in for nothing. The API server tries the write and
/// forgets it.
pub(super) async fn rehearse(cluster: &Cluster, prepared: &Preparation) -> Result<(), ConnectError> {
    let tried = match look(cluster, prepared).await? {
        Some(found) => cluster.try_change_secret(&prepared.secret, &found.resource_version).await,
        None => cluster.create_secret(&without_token(&prepared.secret), true).await,
    };
    match tried {
        Err(ClusterError::Forbidden { .. }) => Err(forbidden(prepared)),
        // Whatever else it is may pass: the write will tell.
        _ => Ok(()),
    }
}

/// Stores an authorization: creates the token Secret, or changes the keys that belong to an authorization, and no others,
/// if it is still what was looked at.
pub(super) async fn store(
    cluster: &Cluster,
    prepared: &Preparation,
    authorization: &Authorization,
) -> Result<(), ConnectError> {
    let since = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let written = match look(cluster, prepared).await {
            Ok(Some(found)) => {
                let change = authorization.change();
                cluster.change_secret(&prepared.secret, &found.resource_version, &change).await.map(|_| ())
            }
            Ok(None) => cluster.create_secret(&authorization.secret(&prepared.secret), false).await,
            Err(ConnectError::Cluster(error)) => Err(error),
            Err(refused) => return Err(refused),
        };
        match written {
            Ok(()) => return Ok(()),
            Err(ClusterError::Forbidden { .. }) => return Err(forbidden(prepared)),
            // Somebody was faster: what is there now is looked at.
            Err(ClusterError::Conflict { .. } | ClusterError::NotFound { .. }) if tries < TRIES => {}
            Err(error @ (ClusterError::Timeout { .. } | ClusterError::Unavailable { .. }))
                if since.elapsed() < PATIENCE =>
            {
                tracing::warn!(error = described(&error), "the tokens are not stored yet; trying again");
                tokio::time::sleep(WAIT).await;
            }
            Err(error) => {
                // It may have been made immutable in between, which has words of its own.
                look(cluster, prepared).await?;
                return Err(ConnectError::Cluster(error));
            }
        }
    }
}

/// The token Secret as it is, if it exists and may be written.
async fn look(cluster: &Cluster, prepared: &Preparation) -> Result<Option<SecretContent>, ConnectError> {
    let found = match cluster.secret(&prepared.secret).await {
        Ok(found) => found,
        Err(ClusterError::Forbidden { .. }) => {
            let object = format!("Secret {}", prepared.secret);
            return Err(Refusal::Forbidden { action: "get", object, remedy: WAY_OUT }.into());
        }
        Err(error) => return Err(ConnectError::Cluster(error)),
    };
    if let Some(found) = &found {
        prepared.writable(&ExistingSecret { labels: &found.labels, immutable: found.immutable })?;
    }
    Ok(found)
}

const WAY_OUT: &str = ", or run this command with --output yaml and have somebody apply what it prints";

fn forbidden(prepared: &Preparation) -> ConnectError {
    let object = format!("Secret {}", prepared.secret);
    Refusal::Forbidden { action: "create and patch", object, remedy: WAY_OUT }.into()
}

/// An error with its causes. What the API server says in its own words stays out: it may repeat what it was sent.
pub(super) fn described(error: &ClusterError) -> String {
    let mut text = error.to_string();
    if let ClusterError::Unavailable { source, .. } = error {
        if let kube::Error::Api(status) = source.as_ref() {
            return format!("{text}: HTTP status {} {}", status.code, status.reason);
        }
        let mut cause: Option<&dyn Error> = Some(source.as_ref());
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::domain::name::ObjectName;
    use crate::domain::token::{AccessToken, Flow, Grant, RefreshToken};

    fn prepared() -> Preparation {
        Preparation {
            account: ObjectName::new("music", "alice"),
            uid: "uid".into(),
            secret: ObjectName::new("music", "alice-spotify"),
            app: ObjectName::new("music", "main"),
            client_id: "c".into(),
            client_secret: None,
            listener: None,
        }
    }

    fn authorization() -> Authorization {
        let grant = Grant {
            access_token: AccessToken::new("access-hunter".into()),
            expires_in: jiff::SignedDuration::from_hours(1),
            refresh_token: Some(RefreshToken::new("refresh-hunter".into())),
            scope: None,
        };
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        Authorization::new(grant, Flow::Pkce, now).unwrap()
    }

    fn secret(version: &str, usage: &str) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"refresh-token": "b2xk"},
            "metadata": {
                "name": "alice-spotify", "namespace": "music", "resourceVersion": version,
                "labels": {"scrobble-operator.io/use": usage}
            }
        }))
    }

    fn refusal(status: u16, reason: &str) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_json(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "denied: refresh-hunter", "reason": reason, "code": status
        }))
    }

    /// An API server with these answers to each verb, in their order; the last one stays.
    async fn server(answers: Vec<(&str, Vec<ResponseTemplate>)>) -> (MockServer, Cluster) {
        rustls::crypto::ring::default_provider().install_default().ok();
        let server = MockServer::start().await;
        for (verb, mut answers) in answers {
            let last = answers.pop().unwrap();
            for answer in answers {
                Mock::given(method(verb)).respond_with(answer).up_to_n_times(1).mount(&server).await;
            }
            Mock::given(method(verb)).respond_with(last).mount(&server).await;
        }
        let configuration = kube::Config::new(server.uri().parse().unwrap());
        let cluster = Cluster::new(kube::Client::try_from(configuration).unwrap(), "tests".to_owned());
        (server, cluster)
    }

    async fn sent(server: &MockServer, verb: &str) -> Vec<Value> {
        let requests = server.received_requests().await.unwrap();
        let of_verb = requests.iter().filter(|request| request.method.as_str() == verb);
        of_verb.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_somebody_else_wrote_meanwhile_is_looked_at_before_it_is_written_again() {
        let (server, cluster) = server(vec![
            ("GET", vec![secret("7", "token"), secret("8", "token")]),
            ("PATCH", vec![refusal(409, "Conflict"), secret("9", "token")]),
        ])
        .await;
        store(&cluster, &prepared(), &authorization()).await.unwrap();
        let patches = sent(&server, "PATCH").await;
        let versions: Vec<&Value> = patches.iter().map(|patch| &patch["metadata"]["resourceVersion"]).collect();
        assert_eq!(versions, ["7", "8"]);
        assert_eq!(patches[0]["metadata"].as_object().unwrap().len(), 1, "labels and annotations stay");
        let keys: Vec<&String> = patches[0]["data"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["access-token", "authorized-at", "expires-at", "flow", "refresh-token", "scope"]);
        assert_eq!(patches[0]["data"], patches[1]["data"]);
    }

    #[tokio::test]
    async fn what_it_was_made_into_meanwhile_is_respected() {
        let (server, cluster) = server(vec![
            ("GET", vec![secret("7", "token"), secret("8", "client")]),
            ("PATCH", vec![refusal(409, "Conflict")]),
        ])
        .await;
        match store(&cluster, &prepared(), &authorization()).await {
            Err(ConnectError::Refused(Refusal::OtherUse { label, .. })) => assert_eq!(label, "client"),
            other => panic!("{other:?}"),
        }
        assert_eq!(sent(&server, "PATCH").await.len(), 1);
    }

    #[tokio::test]
    async fn a_secret_that_turns_up_or_goes_is_met_as_it_is() {
        let (first, cluster) = server(vec![
            ("GET", vec![refusal(404, "NotFound"), secret("7", "token")]),
            ("POST", vec![refusal(409, "AlreadyExists")]),
            ("PATCH", vec![secret("8", "token")]),
        ])
        .await;
        store(&cluster, &prepared(), &authorization()).await.unwrap();
        assert_eq!(sent(&first, "PATCH").await.len(), 1);
        let (second, cluster) = server(vec![
            ("GET", vec![secret("7", "token"), refusal(404, "NotFound")]),
            ("PATCH", vec![refusal(404, "NotFound")]),
            ("POST", vec![secret("1", "token")]),
        ])
        .await;
        store(&cluster, &prepared(), &authorization()).await.unwrap();
        let created = &sent(&second, "POST").await[0];
        assert_eq!(created["metadata"]["labels"], json!({"scrobble-operator.io/use": "token"}));
        assert_eq!(created["data"]["refresh-token"], "cmVmcmVzaC1odW50ZXI=");
    }

    #[tokio::test]
    async fn an_api_server_in_trouble_is_tried_again() {
        let (server, cluster) = server(vec![
            ("GET", vec![refusal(500, "InternalError"), secret("7", "token")]),
            ("PATCH", vec![refusal(500, "InternalError"), secret("8", "token")]),
        ])
        .await;
        store(&cluster, &prepared(), &authorization()).await.unwrap();
        assert_eq!(sent(&server, "PATCH").await.len(), 2);
    }

    #[tokio::test]
    async fn what_is_forbidden_or_immutable_is_said_and_not_tried_again() {
        for (answer, says) in [
            (refusal(403, "Forbidden"), "you may not create and patch Secret music/alice-spotify"),
            (refusal(422, "Invalid"), "the API server finds it invalid: run the command again once it does"),
        ] {
            let (server, cluster) = server(vec![("GET", vec![secret("7", "token")]), ("PATCH", vec![answer])]).await;
            let error = store(&cluster, &prepared(), &authorization()).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hunter"), "{error}");
            assert_eq!(sent(&server, "PATCH").await.len(), 1);
        }
    }

    #[test]
    fn what_the_api_server_says_in_its_own_words_is_not_repeated() {
        let status = kube::core::Status::failure("denied: refresh-hunter", "InternalError").with_code(500).boxed();
        let source = Box::new(kube::Error::Api(status));
        let text = described(&ClusterError::Unavailable { action: "write the Secret", source });
        assert_eq!(text, "could not write the Secret: HTTP status 500 InternalError");
    }
}
