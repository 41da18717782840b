//! Who a bearer token belongs to, and what they may do: asked of the API server.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use kube::core::{ClusterResourceScope, Resource};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cluster, ClusterError, within_deadline};
use crate::domain::name::ObjectName;

/// A user of the cluster, as the API server knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's name.
    pub username: String,
    /// What tells users of the same name apart.
    pub uid: String,
    /// The groups that the user belongs to.
    pub groups: Vec<String>,
    /// What else authorizers may want to know.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl From<UserInfo> for Caller {
    fn from(user: UserInfo) -> Self {
        Self {
            username: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }
    }
}

/// Something that may be done to an object of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed<'a> {
    /// The verb, such as `get`.
    pub verb: &'a str,
    /// The resource, such as `spotifyaccounts`.
    pub resource: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
    /// The object.
    pub object: &'a ObjectName,
}

impl Deed<'_> {
    fn attributes(self) -> ResourceAttributes {
        ResourceAttributes {
            group: Some("scrobble-operator.io".to_owned()),
            resource: Some(self.resource.to_owned()),
            subresource: Some(self.subresource.to_owned()).filter(|subresource| !subresource.is_empty()),
            namespace: Some(self.object.namespace.clone()),
            name: Some(self.object.name.clone()),
            verb: Some(self.verb.to_owned()),
            ..ResourceAttributes::default()
        }
    }
}

impl Cluster {
    /// Asks whose a bearer token is; none where the API server does not accept it.
    ///
    /// # Errors
    /// The API server does not answer, or this process may not ask.
    pub async fn review_token(&self, token: &SecretString) -> Result<Option<Caller>, ClusterError> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token.expose_secret().to_owned()), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let status = self.ask("review a token", &review).await?.status.unwrap_or_default();
        let accepted = status.authenticated.unwrap_or(false) && status.error.is_none();
        Ok(status.user.filter(|_| accepted).map(Caller::from))
    }

    /// Asks whether a user may do something.
    ///
    /// # Errors
    /// The API server does not answer, or this process may not ask.
    pub async fn may(&self, caller: &Caller, deed: Deed<'_>) -> Result<bool, ClusterError> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(caller.username.clone()),
                uid: given(&caller.uid),
                groups: Some(caller.groups.clone()),
                extra: Some(caller.extra.clone()),
                resource_attributes: Some(deed.attributes()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let status = self.ask("review a user's rights", &review).await?.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }

    /// Asks whether whoever runs this process may do something.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn may_self(&self, deed: Deed<'_>) -> Result<bool, ClusterError> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(deed.attributes()),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        Ok(self.ask("review one's own rights", &review).await?.status.unwrap_or_default().allowed)
    }

    async fn ask<K>(&self, action: &'static str, review: &K) -> Result<K, ClusterError>
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()> + Clone + Serialize + DeserializeOwned,
        K: std::fmt::Debug,
    {
        let reviews: Api<K> = Api::all(self.client.clone());
        within_deadline(action, reviews.create(&PostParams::default(), review)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::ResponseTemplate;

    use super::super::testing::{body, cluster, name, only_request, refusal, server};
    use super::*;

    fn answer(kind: &str, status: Value) -> ResponseTemplate {
        let group = if kind == "TokenReview" { "authentication.k8s.io/v1" } else { "authorization.k8s.io/v1" };
        ResponseTemplate::new(201).set_body_json(json!({
            "apiVersion": group, "kind": kind, "metadata": {}, "spec": {}, "status": status,
        }))
    }

    #[tokio::test]
    async fn a_token_is_somebodys_only_where_the_api_server_says_so_without_an_error() {
        let user = json!({"username": "somebody", "uid": "1", "groups": ["music"], "extra": {"scopes": ["a"]}});
        for (status, accepted) in [
            (json!({"authenticated": true, "user": user}), true),
            (json!({"authenticated": true, "user": user, "error": "the audience is another one"}), false),
            (json!({"authenticated": false, "user": user}), false),
            (json!({"user": user}), false),
            (json!({}), false),
        ] {
            let server = server(answer("TokenReview", status.clone())).await;
            let found = cluster(&server).review_token(&SecretString::from("the-token")).await.unwrap();
            let expected = Caller {
                username: "somebody".to_owned(),
                uid: "1".to_owned(),
                groups: vec!["music".to_owned()],
                extra: BTreeMap::from([("scopes".to_owned(), vec!["a".to_owned()])]),
            };
            assert_eq!(found, accepted.then_some(expected), "{status}");
            let request = only_request(&server).await;
            assert_eq!(request.url.path(), "/apis/authentication.k8s.io/v1/tokenreviews");
            assert_eq!(body(&request)["spec"], json!({"token": "the-token"}));
        }
    }

    #[tokio::test]
    async fn rights_are_asked_about_the_very_account_with_all_that_is_known_of_the_user() {
        let caller = Caller {
            username: "somebody".to_owned(),
            uid: "1".to_owned(),
            groups: vec!["music".to_owned()],
            extra: BTreeMap::from([("scopes".to_owned(), vec!["a".to_owned()])]),
        };
        let deed = Deed { verb: "get", resource: "spotifyaccounts", subresource: "", object: &name() };
        for (status, allowed) in [
            (json!({"allowed": true}), true),
            (json!({"allowed": false}), false),
            (json!({"allowed": true, "denied": true}), false),
        ] {
            let server = server(answer("SubjectAccessReview", status)).await;
            assert_eq!(cluster(&server).may(&caller, deed).await.unwrap(), allowed);
            let attributes = json!({
                "group": "scrobble-operator.io", "resource": "spotifyaccounts", "verb": "get",
                "namespace": "music", "name": "alice",
            });
            let expected = json!({
                "user": "somebody", "uid": "1", "groups": ["music"], "extra": {"scopes": ["a"]},
                "resourceAttributes": attributes,
            });
            assert_eq!(body(&only_request(&server).await)["spec"], expected);
        }
    }

    #[tokio::test]
    async fn a_process_that_may_not_ask_is_told_so() {
        let server = server(refusal(403, "Forbidden")).await;
        let asked = cluster(&server).review_token(&SecretString::from("the-token")).await;
        assert!(matches!(asked, Err(ClusterError::Forbidden { .. })));
        let error = asked.unwrap_err().to_string();
        assert!(!error.contains("the-"), "{error}");
    }
}
