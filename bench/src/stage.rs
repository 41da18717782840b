//! What both subjects run on: a control plane of their own, the chart, the simulator, and the accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, pin_mut, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::core::object::{NotUsed, Object};
use kube::runtime::watcher;
use kube::{Api, Client};
use scrobble_harness::{Chart, ControlPlane, Installation, Options, SimulatorProcess, TestNamespace};
use scrobble_simulator::Client as Script;
use scrobble_simulator::api::{NewAccount, NewApp, NewPlay};
use serde_json::{Value, json};

use crate::failure::Failure;

const CLIENT_ID: &str = "0123456789abcdef0123456789abcdef";
const CLIENT_SECRET: &str = "simulated-client-secret";
/// Nothing expires while it is measured: what a refresh costs is told by the first sync.
const ACCESS_TOKEN_SECONDS: i64 = 86_400;
/// So many objects are created at a time.
const AT_ONCE: usize = 32;
/// So many plays every page shows from the beginning; they were heard before the accounts begin.
const SHOWN: i64 = 5;
/// The API server logs nothing: what it does is counted by its metrics, and its time is measured.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n  - level: None\n";

/// What runs. Dropping it ends everything.
pub struct Stage {
    /// The simulated services.
    pub simulator: SimulatorProcess,
    /// The control plane.
    pub plane: ControlPlane,
    /// The chart as installed.
    pub installation: Installation,
    /// The namespace of everything.
    pub namespace: String,
    client: Client,
    _policy: tempfile::TempDir,
}

impl Stage {
    /// Starts control plane and simulator, installs the chart, and creates app and targets.
    pub async fn start(simulator: &Path) -> Result<Self, Failure> {
        let policy = tempfile::tempdir().map_err(|error| Failure::Broken(format!("no temporary folder: {error}")))?;
        let file = policy.path().join("audit-policy.yaml");
        std::fs::write(&file, AUDIT_POLICY)
            .map_err(|error| Failure::Broken(format!("could not write a file: {error}")))?;
        let flags = vec![format!("--audit-policy-file={}", file.display())];
        let plane = ControlPlane::start(Options { api_server_flags: flags, ..Options::default() }).await?;
        let client = plane.client()?;
        let TestNamespace { name: namespace } = TestNamespace::create(&client, "bench").await?;
        let installation = Chart::new(&namespace).install(&plane).await?;
        let simulator = SimulatorProcess::start(simulator).await?;
        let stage = Self { simulator, plane, installation, namespace, client, _policy: policy };

        let app =
            NewApp { access_token_seconds: ACCESS_TOKEN_SECONDS, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
        stage.script().put_app(&app).await?;
        stage.secret("main-client", "client", "client-secret", CLIENT_SECRET).await?;
        let secret = json!({"name": "main-client", "key": "client-secret"});
        let app = json!({"clientId": CLIENT_ID, "clientSecretRef": secret, "quota": {"dailyCalls": 0}});
        stage.create("SpotifyApp", "main", app).await?;
        let listenbrainz = json!({"type": "ListenBrainz", "url": stage.script().listenbrainz_url()});
        stage.create("ScrobbleTarget", "listenbrainz", listenbrainz).await?;
        stage.secret("hook", "target", "hmac", "webhook-signing-key").await?;
        let key = json!({"signingKeyRef": {"name": "hook", "key": "hmac"}});
        let hook = json!({"type": "Webhook", "url": stage.script().webhook_url("hook"), "webhook": key});
        stage.create("ScrobbleTarget", "hook", hook).await?;
        Ok(stage)
    }

    /// Scripts the simulator and reads its records.
    pub fn script(&self) -> &Script {
        self.simulator.client()
    }

    /// Creates listeners with two Secrets and an account each. Answers their names.
    pub async fn accounts(&self, prefix: &str, count: u32, interval: Duration) -> Result<BTreeSet<String>, Failure> {
        let names: BTreeSet<String> = (0..count).map(|number| format!("{prefix}-{number:06}")).collect();
        let begin = self.script().now().await?;
        let one = |name: String| async move { self.account(&name, interval, begin).await };
        stream::iter(names.iter().cloned().map(one)).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(names)
    }

    async fn account(&self, name: &str, interval: Duration, begin: Timestamp) -> Result<(), Failure> {
        let tokens = self.script().add_account(&NewAccount::new(name, CLIENT_ID)).await?;
        let plays: Vec<NewPlay> = (1..=SHOWN).map(|number| play(name, begin, 240 * number)).collect();
        self.script().add_plays(name, &plays).await?;
        let key = format!("listenbrainz-token-of-{name}");
        self.script().put_listenbrainz_user(name, &key).await?;
        self.secret(&format!("{name}-spotify"), "token", "refresh-token", &tokens.refresh_token).await?;
        self.secret(&format!("{name}-listenbrainz"), "credentials", "token", &key).await?;
        let spec = json!({
            "appRef": {"name": "main"},
            "tokenSecretRef": {"name": format!("{name}-spotify")},
            "sync": {"interval": format!("{}s", interval.as_secs()), "startTime": whole_seconds(begin)},
            "targets": [
                {
                    "name": "listenbrainz", "targetRef": {"name": "listenbrainz"},
                    "credentialsRef": {"name": format!("{name}-listenbrainz")},
                },
                {"name": "hook", "targetRef": {"name": "hook"}},
            ],
        });
        self.create("SpotifyAccount", name, spec).await
    }

    /// Each of these listeners has heard one more play, which no target has.
    pub async fn play(&self, names: &BTreeSet<String>) -> Result<(), Failure> {
        let now = self.script().now().await?;
        let one = |name: String| async move {
            self.script().add_plays(&name, &[play(&name, now, 1)]).await?;
            Ok::<_, Failure>(())
        };
        stream::iter(names.iter().cloned().map(one)).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Removes an account and waits until it is gone.
    pub async fn remove(&self, name: &str) -> Result<(), Failure> {
        let arguments = ["delete", "spotifyaccount", name, "--namespace", &self.namespace, "--wait=true"];
        self.plane.kubectl(&arguments).await?;
        Ok(())
    }

    /// How many accounts say that they are Ready.
    pub async fn ready(&self) -> Result<u64, Failure> {
        let listed = self.objects("SpotifyAccount").list(&ListParams::default()).await;
        let is_ready = |account: &DynamicObject| {
            let conditions = account.data.pointer("/status/conditions").and_then(Value::as_array);
            let told = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
            conditions.is_some_and(|conditions| conditions.iter().any(told))
        };
        Ok(listed.map_err(Failure::cluster("list the accounts"))?.iter().filter(|account| is_ready(account)).count()
            as u64)
    }

    /// The API server's metrics.
    pub async fn metrics(&self) -> Result<String, Failure> {
        let request = http::Request::get("/metrics").body(Vec::new());
        let request = request.map_err(|error| Failure::Broken(format!("no request: {error}")))?;
        self.client.request_text(request).await.map_err(Failure::cluster("read the API server's metrics"))
    }

    /// How long it takes to receive all accounts from a streaming list, and to do nothing with them.
    pub async fn drain(&self) -> Result<Duration, Failure> {
        let resource = resource("SpotifyAccount");
        let accounts: Api<Object<NotUsed, NotUsed>> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let begin = Instant::now();
        let events = watcher(accounts, watcher::Config::default().streaming_lists());
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::InitDone) => return Ok(begin.elapsed()),
                Ok(_) => {}
                Err(error) => return Err(Failure::Broken(format!("could not stream the accounts: {error}"))),
            }
        }
        Err(Failure::Broken("the stream of the accounts ended".to_owned()))
    }

    async fn create(&self, kind: &str, name: &str, spec: Value) -> Result<(), Failure> {
        let object = DynamicObject::new(name, &resource(kind)).data(json!({"spec": spec}));
        let created = self.objects(kind).create(&PostParams::default(), &object).await;
        created.map(drop).map_err(Failure::cluster("create an object"))
    }

    async fn secret(&self, name: &str, usage: &str, key: &str, value: &str) -> Result<(), Failure> {
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.labels = Some(BTreeMap::from([("scrobble-operator.io/use".to_owned(), usage.to_owned())]));
        secret.string_data = Some(BTreeMap::from([(key.to_owned(), value.to_owned())]));
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        secrets.create(&PostParams::default(), &secret).await.map(drop).map_err(Failure::cluster("create a Secret"))
    }

    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }
}

fn resource(kind: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("scrobble-operator.io", "v1alpha1", kind);
    let plural = format!("{}s", kind.kind.to_lowercase());
    ApiResource::from_gvk_with_plural(&kind, &plural)
}

fn play(listener: &str, now: Timestamp, ago: i64) -> NewPlay {
    let time = now - SignedDuration::from_secs(ago);
    NewPlay::new(time).titled(format!("{listener} at {}", time.as_millisecond()), "The Simulated")
}

fn whole_seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
