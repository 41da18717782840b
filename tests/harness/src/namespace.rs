//! A namespace for each test.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::control_plane::ControlPlane;
use crate::error::Error;

/// A namespace whose name nobody else has. It goes with the control plane, or earlier by [`TestNamespace::delete`].
#[derive(Clone, Debug)]
pub struct TestNamespace {
    /// Its name.
    pub name: String,
}

impl TestNamespace {
    /// Makes a namespace called after the test.
    pub async fn create(client: &Client, test: &str) -> Result<Self, Error> {
        Self::create_with_labels(client, test, &[]).await
    }

    /// Makes a namespace that carries these labels.
    pub async fn create_with_labels(client: &Client, test: &str, labels: &[(&str, &str)]) -> Result<Self, Error> {
        let name = format!("{test}-{:08x}", rand::random::<u32>());
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let action = format!("create the namespace {name}");
        namespaces.create(&PostParams::default(), &namespace).await.map_err(Error::cluster(action))?;
        Ok(Self { name })
    }

    /// Asks for the end of the namespace and of all that is in it; does not wait for it.
    pub async fn delete(&self, plane: &ControlPlane) -> Result<(), Error> {
        let namespaces: Api<Namespace> = Api::all(plane.client()?);
        let action = format!("delete the namespace {}", self.name);
        namespaces.delete(&self.name, &DeleteParams::default()).await.map_err(Error::cluster(action))?;
        Ok(())
    }
}
