//! Clients and kubeconfig files: for the admin, for any `ServiceAccount`, for any user by impersonation.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use serde_json::json;

use super::ControlPlane;
use crate::certificates::Certificates;
use crate::error::Error;

/// How long a `ServiceAccount`'s token lives, in seconds: longer than any test.
const TOKEN_LIFE: i64 = 24 * 3600;

impl ControlPlane {
    /// A client for the admin. It belongs to the async runtime that it is made in: make one for each test. As every kube
    /// client it tries up to 15 times when the server answers 429, 503 or 504.
    pub fn client(&self) -> Result<Client, Error> {
        client(self.api_port, &self.certificates, token(&self.admin_token), true)
    }

    /// A client for the admin that tries every request once.
    pub fn client_without_retries(&self) -> Result<Client, Error> {
        client(self.api_port, &self.certificates, token(&self.admin_token), false)
    }

    /// A client that acts as this user with these groups.
    pub fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client, Error> {
        let admin = AuthInfo {
            impersonate: Some(user.to_owned()),
            impersonate_groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
            ..token(&self.admin_token)
        };
        client(self.api_port, &self.certificates, admin, true)
    }

    /// A client with a token that the API server issued for the `ServiceAccount`.
    pub async fn client_for_service_account(&self, namespace: &str, name: &str) -> Result<Client, Error> {
        let issued = self.service_account_token(namespace, name).await?;
        client(self.api_port, &self.certificates, token(&issued), true)
    }

    /// The certificate authority that clients have to trust, as PEM.
    pub fn authority(&self) -> &str {
        &self.certificates.authority
    }

    /// The admin's kubeconfig file.
    pub fn kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// Writes a kubeconfig file with a token that the API server issued for the `ServiceAccount`. The token lives for a day.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, Error> {
        let issued = self.service_account_token(namespace, name).await?;
        let content = kubeconfig(self.api_port, &self.certificates, &issued, Some(namespace));
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.folder.write(&format!("{namespace}.{name}.{number}.kubeconfig"), &content)
    }

    /// A token for the `ServiceAccount`, by `TokenRequest`.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFE), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let action = format!("get a token for the ServiceAccount {namespace}/{name}");
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(Error::cluster(action.clone()))?;
        answer
            .status
            .map(|status| status.token)
            .ok_or_else(|| Error::Misuse(format!("could not {action}: no token came")))
    }
}

/// The API server's address.
pub fn url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

/// 256 bits that nobody guesses, in hexadecimal.
pub fn random_token() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// Credentials that are a bearer token.
pub fn token(token: &str) -> AuthInfo {
    AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() }
}

/// A client that trusts this control plane's authority and nothing else, and no proxy.
pub fn client(port: u16, certificates: &Certificates, auth: AuthInfo, retry: bool) -> Result<Client, Error> {
    crate::install_crypto_provider();
    let address = url(port).parse().map_err(|error| Error::Misuse(format!("not an address: {error}")))?;
    let mut config = Config::new(address);
    config.root_cert = Some(vec![certificates.authority_der.clone()]);
    config.auth_info = auth;
    config.default_retry = retry;
    Client::try_from(config).map_err(Error::cluster("make a client"))
}

/// The content of a kubeconfig file. The authority is in it, so that the file can be moved.
pub fn kubeconfig(port: u16, certificates: &Certificates, token: &str, namespace: Option<&str>) -> String {
    use base64::Engine as _;

    let authority = base64::engine::general_purpose::STANDARD.encode(&certificates.authority);
    let mut context = json!({"cluster": "test", "user": "user"});
    if let (Some(namespace), Some(context)) = (namespace, context.as_object_mut()) {
        context.insert("namespace".to_owned(), namespace.into());
    }
    let file = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url(port), "certificate-authority-data": authority}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": context}],
    });
    // JSON is YAML.
    format!("{file:#}\n")
}
