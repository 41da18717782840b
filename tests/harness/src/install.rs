//! The chart, installed by helm as a user does it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{EnvVar, Namespace, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{ApiResource, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::control_plane::ControlPlane;
use crate::error::Error;
use crate::repository_root;

/// The release that brings the CRDs of a control plane. CRDs belong to one release: all others are installed without.
const DEFINITIONS: &str = "scrobble-operator-crds";

/// The namespace that a chart is rendered for before it is known which one it is: no other word of the chart.
const RENDERED_NAMESPACE: &str = "namespace-of-the-release";

/// What to install.
#[derive(Clone, Debug)]
pub struct Chart {
    namespace: String,
    release: String,
    values: Value,
}

impl Chart {
    /// The chart of this repository as the release `scrobble-operator` of this namespace, with its default values.
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), release: "scrobble-operator".to_owned(), values: json!({}) }
    }

    /// Another name for the release.
    #[must_use]
    pub fn release(mut self, release: &str) -> Self {
        release.clone_into(&mut self.release);
        self
    }

    /// The values, as in a values file. `crds.install` is always false: see [`ControlPlane::install_definitions`].
    #[must_use]
    pub fn values(mut self, values: Value) -> Self {
        self.values = values;
        self
    }

    /// Installs it by helm, and the CRDs first if this control plane has none yet.
    pub async fn install(self, plane: &ControlPlane) -> Result<Installation, Error> {
        plane.install_definitions().await?;
        let Self { namespace, release, values } = self.without_definitions();
        helm_install(plane, &namespace, &release, &values).await?;
        Installation::find(plane, namespace, release).await
    }

    /// Creates what helm renders, without helm's books and hooks: the same objects for a fraction of the work, for the
    /// many tests that are not about installing.
    pub async fn create(self, plane: &ControlPlane) -> Result<Installation, Error> {
        plane.install_definitions().await?;
        let Self { namespace, release, values } = self.without_definitions();
        let rendered = plane.render(&release, &values).await?.replace(RENDERED_NAMESPACE, &namespace);
        let client = plane.client()?;
        for document in serde_yaml::Deserializer::from_str(&rendered) {
            let object = DynamicObject::deserialize(document)
                .map_err(|error| Error::Misuse(format!("the chart renders no object: {error}")))?;
            create_object(&client, &namespace, &object).await?;
        }
        Installation::find(plane, namespace, release).await
    }

    fn without_definitions(mut self) -> Self {
        if let Some(values) = self.values.as_object_mut() {
            values.insert("crds".to_owned(), json!({"install": false}));
        }
        self
    }
}

/// An installed release.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub release: String,
    /// The `ServiceAccount` that its Deployment runs as.
    pub service_account: String,
    /// The arguments of its Deployment's container.
    pub arguments: Vec<String>,
    /// The environment of its Deployment's container, as the kubelet would set it: values, and the namespace. What comes
    /// from elsewhere is left out.
    pub environment: Vec<(String, String)>,
    /// A kubeconfig file with a token of the `ServiceAccount`: the operator that uses it runs under the chart's RBAC.
    pub kubeconfig: PathBuf,
}

impl Installation {
    /// Looks up what helm has installed.
    pub async fn find(plane: &ControlPlane, namespace: String, release: String) -> Result<Self, Error> {
        let deployments: Api<Deployment> = Api::namespaced(plane.client()?, &namespace);
        let own = ListParams::default().labels(&format!("app.kubernetes.io/instance={release}"));
        let found = deployments.list(&own).await.map_err(Error::cluster("list the chart's Deployments"))?;
        let [deployment] = found.items.as_slice() else {
            let count = found.items.len();
            return Err(Error::Misuse(format!("the release {namespace}/{release} has {count} Deployments, not one")));
        };
        let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let service_account = pod
            .and_then(|pod| pod.service_account_name.clone())
            .ok_or_else(|| Error::Misuse(format!("{} names no ServiceAccount", deployment.name_any())))?;
        let container = pod.and_then(|pod| pod.containers.first());
        let arguments = container.and_then(|container| container.args.clone()).unwrap_or_default();
        let given = container.and_then(|container| container.env.clone()).unwrap_or_default();
        let environment = given.into_iter().filter_map(|given| Some((given.name.clone(), value(given, &namespace)?)));
        let environment = environment.collect();
        let kubeconfig = plane.kubeconfig_for_service_account(&namespace, &service_account).await?;
        Ok(Self { namespace, release, service_account, arguments, environment, kubeconfig })
    }

    /// The user that the audit log names for this operator's requests.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}

impl ControlPlane {
    /// Installs the CRDs by the chart, once for each control plane, and returns when the API server serves them.
    pub async fn install_definitions(&self) -> Result<(), Error> {
        self.definitions
            .get_or_try_init(async || {
                create_namespace(&self.client()?, DEFINITIONS).await?;
                helm_install(self, DEFINITIONS, DEFINITIONS, &json!({"crds": {"install": true}})).await?;
                let definitions = [
                    "crd/scrobbleplans.scrobble-operator.io",
                    "crd/scrobbletargets.scrobble-operator.io",
                    "crd/spotifyaccounts.scrobble-operator.io",
                    "crd/spotifyapps.scrobble-operator.io",
                ];
                let mut wait = vec!["wait", "--for=condition=Established", "--timeout=60s"];
                wait.extend(definitions);
                self.kubectl(&wait).await?;
                self.restart_controller_manager().await
            })
            .await
            .copied()
    }
}

impl ControlPlane {
    /// What helm makes of the chart, for the namespace [`RENDERED_NAMESPACE`]; rendered once for each set of values.
    async fn render(&self, release: &str, values: &Value) -> Result<String, Error> {
        let key = format!("{release} {values}");
        let mut rendered = self.rendered.lock().await;
        if let Some(known) = rendered.get(&key) {
            return Ok(known.clone());
        }
        let (chart, file) = (chart_folder(), values_file(self, values)?);
        let arguments =
            ["template", release, &chart, "--namespace", RENDERED_NAMESPACE, "--no-hooks", "--values", &file];
        let text = self.helm(&arguments).await?.stdout;
        rendered.insert(key, text.clone());
        Ok(text)
    }
}

async fn create_object(client: &Client, namespace: &str, object: &DynamicObject) -> Result<(), Error> {
    let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
    let resource = match kind.as_str() {
        "ClusterRole" => ApiResource::erase::<ClusterRole>(&()),
        "ClusterRoleBinding" => ApiResource::erase::<ClusterRoleBinding>(&()),
        "Deployment" => ApiResource::erase::<Deployment>(&()),
        "Role" => ApiResource::erase::<Role>(&()),
        "RoleBinding" => ApiResource::erase::<RoleBinding>(&()),
        "Service" => ApiResource::erase::<Service>(&()),
        "ServiceAccount" => ApiResource::erase::<ServiceAccount>(&()),
        _ => return Err(Error::Misuse(format!("the chart renders a {kind}: install it by helm"))),
    };
    let objects: Api<DynamicObject> = if kind.starts_with("Cluster") {
        Api::all_with(client.clone(), &resource)
    } else {
        let namespace = object.metadata.namespace.as_deref().unwrap_or(namespace);
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let action = format!("create the chart's {kind} {}", object.name_any());
    objects.create(&PostParams::default(), object).await.map(drop).map_err(Error::cluster(action))
}

/// The value of an environment variable in a pod of this namespace.
fn value(given: EnvVar, namespace: &str) -> Option<String> {
    let path = given.value_from.and_then(|from| from.field_ref).map(|field| field.field_path);
    match path.as_deref() {
        Some("metadata.namespace") => Some(namespace.to_owned()),
        Some(_) => None,
        None => given.value,
    }
}

async fn create_namespace(client: &Client, name: &str) -> Result<(), Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    match namespaces.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(Error::cluster(format!("create the namespace {name}"))(error)),
    }
}

async fn helm_install(plane: &ControlPlane, namespace: &str, release: &str, values: &Value) -> Result<(), Error> {
    let (chart, file) = (chart_folder(), values_file(plane, values)?);
    // Nothing becomes ready without a kubelet, so there is nothing but hooks to wait for.
    let arguments = ["install", release, &chart, "--namespace", namespace, "--wait=hookOnly", "--values", &file];
    plane.helm(&arguments).await?;
    Ok(())
}

fn chart_folder() -> String {
    repository_root().join("charts/scrobble-operator").display().to_string()
}

fn values_file(plane: &ControlPlane, values: &Value) -> Result<String, Error> {
    let number = plane.counter.fetch_add(1, Ordering::Relaxed);
    let file = plane.folder().join(format!("values-{number}.json"));
    std::fs::write(&file, values.to_string()).map_err(Error::io("write the values of a release"))?;
    Ok(file.display().to_string())
}
