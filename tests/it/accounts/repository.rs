//! A repository, and the tool that applies what it holds again and again: the token Secret as it was first written.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// How a tool applies a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Server-side apply, with a field manager of its own and force.
    Apply,
    /// A plain replace, which wipes what others have written.
    Replace,
}

/// A listener's token Secret as it is in the repository.
#[derive(Clone)]
pub struct Manifest(Secret);

impl Manifest {
    /// As it is in the cluster now, which is as the listener wrote it.
    pub async fn of(world: &World, listener: &str) -> Self {
        let mut secret = world.secrets().get(&format!("{listener}-spotify")).await.unwrap();
        secret.metadata.resource_version = None;
        secret.metadata.uid = None;
        secret.metadata.creation_timestamp = None;
        secret.metadata.managed_fields = None;
        Self(secret)
    }

    /// The Secret.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Applies it once. What a tool gets over with its next try is no failure: that somebody created or deleted the
    /// Secret in between.
    pub async fn apply(&self, secrets: &Api<Secret>, way: Way) {
        let name = self.0.metadata.name.as_deref().unwrap();
        let applied = match way {
            Way::Apply => {
                let parameters = PatchParams::apply("repository").force();
                secrets.patch(name, &parameters, &Patch::Apply(&self.0)).await
            }
            Way::Replace => match secrets.replace(name, &PostParams::default(), &self.0).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    secrets.create(&PostParams::default(), &self.0).await
                }
                replaced => replaced,
            },
        };
        match applied {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            applied => drop(applied.unwrap()),
        }
    }
}

/// A tool that applies a manifest again and again.
pub struct Tool {
    stop: CancellationToken,
    task: JoinHandle<u32>,
}

impl Tool {
    /// Applies it now and every 2 s.
    pub fn start(world: &World, manifest: Manifest, way: Way) -> Self {
        let (secrets, stop) = (world.secrets(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (mut ticks, mut times) = (tokio::time::interval(Duration::from_secs(2)), 0);
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return times,
                    _ = ticks.tick() => {}
                }
                manifest.apply(&secrets, way).await;
                times += 1;
            }
        });
        Self { stop, task }
    }

    /// Stops, and tells how often it applied the manifest.
    pub async fn stop(self) -> u32 {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}
