//! Which of our kinds the API server serves.

use super::{Cluster, ClusterError, within_deadline};
use crate::api::{GROUP, VERSION};

impl Cluster {
    /// The plural names of the kinds that are served in the group and version of ours; none where there is no such
    /// group.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn served_kinds(&self) -> Result<Vec<String>, ClusterError> {
        let version = format!("{GROUP}/{VERSION}");
        let asked = self.client.list_api_group_resources(&version);
        match within_deadline("list the kinds that are served", asked).await {
            Ok(listed) => Ok(listed.resources.into_iter().map(|resource| resource.name).collect()),
            Err(ClusterError::NotFound { .. }) => Ok(Vec::new()),
            // A group that nobody has ever defined is no path of the API server: that answer is plain text, no Status.
            Err(ClusterError::Unavailable { source, .. }) if is_no_path(&source) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn is_no_path(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::ResponseTemplate;

    use super::super::testing::{cluster, only_request, refusal, server};
    use super::*;

    #[tokio::test]
    async fn the_kinds_of_our_version_are_named() {
        let resource =
            |name: &str| json!({"name": name, "singularName": "", "namespaced": true, "kind": "", "verbs": []});
        let listed = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "scrobble-operator.io/v1alpha1",
            "resources": [resource("spotifyapps"), resource("spotifyapps/status")],
        });
        let server = server(ResponseTemplate::new(200).set_body_json(listed)).await;
        assert_eq!(cluster(&server).served_kinds().await.unwrap(), ["spotifyapps", "spotifyapps/status"]);
        assert_eq!(only_request(&server).await.url.path(), "/apis/scrobble-operator.io/v1alpha1");
    }

    #[tokio::test]
    async fn without_the_group_none_is_served_and_a_refusal_is_none() {
        let plain = ResponseTemplate::new(404).set_body_string("404 page not found\n");
        for answer in [refusal(404, "NotFound"), plain] {
            assert!(cluster(&server(answer).await).served_kinds().await.unwrap().is_empty());
        }
        let refused = cluster(&server(refusal(403, "Forbidden")).await).served_kinds().await;
        assert!(matches!(refused, Err(ClusterError::Forbidden { .. })));
    }
}
