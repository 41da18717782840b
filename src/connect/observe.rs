//! What a sign-in has to know of the cluster.

use super::ConnectError;
use crate::adapters::kube::{Cluster, ClusterError};
use crate::adapters::spotify::AppCredentials;
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::{NamespacesFrom, SpotifyAccount, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::plan::observed::Lookup;
use crate::plan::problem::Problem;
use crate::plan::sign_in::{Preparation, Refusal, Sighting};
use crate::plan::step::SecretTrouble;
use crate::reconcile::secret_access;

/// Looks whether a listener can be signed in for an account.
pub(super) async fn prepare(cluster: &Cluster, name: &ObjectName) -> Result<Preparation, ConnectError> {
    let account: Option<SpotifyAccount> =
        allowed(cluster.object(name).await, "get", || format!("SpotifyAccount {name}"))?;
    let account = account.ok_or_else(|| Refusal::AccountMissing(name.clone()))?;
    let app_name = account.spec.app_ref.object(&name.namespace);
    let (neighbours, app) = tokio::join!(cluster.objects(&name.namespace), cluster.object::<SpotifyApp>(&app_name));
    let neighbours = allowed(neighbours, "list", || format!("the SpotifyAccounts of namespace {}", name.namespace))?;
    let app = allowed(app, "get", || format!("SpotifyApp {app_name}"))?;
    let selects = app.as_ref().is_some_and(|app| app.spec.allowed_namespaces.from == NamespacesFrom::Selector);
    let namespace_labels = if selects && app_name.namespace != name.namespace {
        let labels = cluster.namespace_labels(&name.namespace).await;
        Some(allowed(labels, "get", || format!("Namespace {}", name.namespace))?)
    } else {
        None
    };
    let app = app.map_or(Lookup::Missing, |app| Lookup::Found(std::sync::Arc::new(app)));
    let seen = Sighting { name: name.clone(), account, app_name, app, namespace_labels, neighbours };
    Ok(Preparation::of(&seen)?)
}

/// The app's side of the exchange.
pub(super) async fn credentials(cluster: &Cluster, prepared: &Preparation) -> Result<AppCredentials, ConnectError> {
    let client_id = prepared.client_id.clone();
    let Some(reference) = &prepared.client_secret else {
        return Ok(AppCredentials { client_id, client_secret: None });
    };
    let secret = ObjectName::new(&prepared.app.namespace, &reference.name);
    match secret_access::credential(cluster, &secret, &reference.key, SecretUse::Client).await {
        Ok(value) => Ok(AppCredentials { client_id, client_secret: Some(value) }),
        Err(SecretTrouble::ReadForbidden { secret }) => {
            let object = format!("Secret {secret}, which holds the client secret of SpotifyApp {}", prepared.app);
            let remedy = ", or have somebody run this command who has it";
            Err(Refusal::Forbidden { action: "get", object, remedy }.into())
        }
        Err(trouble) => {
            let what = format!("the client secret of SpotifyApp {}, Secret", prepared.app);
            Err(Refusal::ClientSecret(Problem::secret(&what, &trouble).message).into())
        }
    }
}

fn allowed<T>(
    found: Result<T, ClusterError>,
    action: &'static str,
    object: impl Fn() -> String,
) -> Result<T, ConnectError> {
    found.map_err(|error| match error {
        ClusterError::Forbidden { .. } => Refusal::Forbidden { action, object: object(), remedy: "" }.into(),
        error => ConnectError::Cluster(error),
    })
}
