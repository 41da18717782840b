//! A world for one test: a namespace, the chart installed in it, a simulator, an operator.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use scrobble_harness::audit::Marker;
use scrobble_harness::{
    AuditEntry, Chart, ControlPlane, Installation, Operator, OperatorProcess, TestNamespace, wait_for_object,
    wait_until,
};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{
    ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, SpotifyApp, SpotifyAppStatus,
};
use scrobble_simulator::Simulator;
use scrobble_simulator::api::{Endpoint, Listen, NewAccount, NewApp, NewPlay, Record, RecordFilter};
use scrobble_simulator::client::Client as Script;
use serde_json::{Value, json};

/// The longest wait for anything that a test waits for.
pub const DEADLINE: Duration = Duration::from_mins(2);
/// The client id of the app called `main`.
pub const CLIENT_ID: &str = "0123456789abcdef0123456789abcdef";
/// Its client secret.
pub const CLIENT_SECRET: &str = "simulated-client-secret";

/// A world for one test.
pub struct World {
    pub plane: &'static ControlPlane,
    pub client: Client,
    pub namespace: String,
    pub installation: Installation,
    #[expect(dead_code, reason = "the simulator ends when this is dropped")]
    pub simulator: Simulator,
    pub script: Script,
    /// The test clock that simulator and operator share, if it is not real time.
    pub clock: Option<String>,
}

impl World {
    /// A namespace with the chart, a simulator with one app that has a secret, and that app's objects.
    pub async fn new(test: &str) -> Self {
        Self::with_app(test, NewApp::confidential(CLIENT_ID, CLIENT_SECRET)).await
    }

    /// The same with an app of the test's own settings. Its client id is [`CLIENT_ID`].
    pub async fn with_app(test: &str, app: NewApp) -> Self {
        Self::with_simulator(test, app, scrobble_simulator::Options::default()).await
    }

    /// The same with a simulator of the test's own settings, such as a clock.
    pub async fn with_simulator(test: &str, app: NewApp, options: scrobble_simulator::Options) -> Self {
        Self::on(ControlPlane::shared().await.unwrap(), test, app, options).await
    }

    /// The same where time passes faster, from now on, for simulator and operator alike.
    pub async fn at_rate(test: &str, app: NewApp, rate: u32) -> Self {
        let clock = format!("x{rate},@{}", scrobble_simulator::Clock::real().now());
        let options = scrobble_simulator::Options {
            clock: scrobble_simulator::Clock::parse(&clock).unwrap(),
            ..scrobble_simulator::Options::default()
        };
        Self { clock: Some(clock), ..Self::with_simulator(test, app, options).await }
    }

    /// The same on a control plane of the test's own.
    pub async fn on(
        plane: &'static ControlPlane,
        test: &str,
        app: NewApp,
        options: scrobble_simulator::Options,
    ) -> Self {
        let client = plane.client().unwrap();
        let TestNamespace { name: namespace } = TestNamespace::create(&client, test).await.unwrap();
        // Roles of users that grow with every world would keep the control plane busy.
        let values = json!({"rbac": {"aggregateRoles": false}});
        let installation = Chart::new(&namespace).values(values).create(plane).await.unwrap();
        let simulator = Simulator::start(options).await.unwrap();
        let script = simulator.client();
        let world = Self { plane, client, namespace, installation, simulator, script, clock: None };
        world.script.put_app(&app).await.unwrap();
        world.app("main", &app).await;
        world
    }

    /// Creates a `SpotifyApp` for a client.
    pub async fn app(&self, name: &str, app: &NewApp) {
        // No budget, unless a test is about it.
        let mut spec = json!({"clientId": app.client_id, "quota": {"dailyCalls": 0}});
        if let Some(secret) = &app.client_secret {
            self.secret(&format!("{name}-client"), "client", &[("client-secret", secret)]).await;
            spec["clientSecretRef"] = json!({"name": format!("{name}-client"), "key": "client-secret"});
        }
        self.create::<SpotifyApp>("SpotifyApp", name, &spec).await;
    }

    /// Creates a Secret that is labelled for a use.
    pub async fn secret(&self, name: &str, usage: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<&str, &str> = data.iter().copied().collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "labels": {"scrobble-operator.io/use": usage}},
            "stringData": data,
        });
        self.put_secret(&secret).await;
    }

    /// Creates a Secret from its manifest, in the place of one of the same name.
    pub async fn put_secret(&self, manifest: &Value) {
        let secret: Secret = serde_json::from_value(manifest.clone()).unwrap();
        if self.secrets().get_opt(&secret.name_any()).await.unwrap().is_some() {
            self.secrets().delete(&secret.name_any(), &DeleteParams::default()).await.unwrap();
        }
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }

    /// Creates a listener at the simulator and the token Secret `<name>-spotify`.
    pub async fn listener(&self, name: &str) {
        self.listener_as(NewAccount::new(name, CLIENT_ID)).await;
    }

    /// The same with settings of the test's own.
    pub async fn listener_as(&self, account: NewAccount) {
        let name = account.name.clone();
        let tokens = self.script.add_account(&account).await.unwrap();
        self.secret(&format!("{name}-spotify"), "token", &[("refresh-token", &tokens.refresh_token)]).await;
    }

    /// Creates the ScrobbleTarget `listenbrainz` and, for one listener, a user there and the Secret
    /// `<listener>-listenbrainz`.
    pub async fn listenbrainz(&self, listener: &str) {
        let token = format!("listenbrainz-token-of-{listener}");
        self.script.put_listenbrainz_user(listener, &token).await.unwrap();
        self.secret(&format!("{listener}-listenbrainz"), "credentials", &[("token", &token)]).await;
        self.listenbrainz_target().await;
    }

    /// Creates the ScrobbleTarget `listenbrainz`, if it is not there.
    pub async fn listenbrainz_target(&self) {
        let spec = json!({"type": "ListenBrainz", "url": self.script.listenbrainz_url()});
        self.create_once::<ScrobbleTarget>("ScrobbleTarget", "listenbrainz", &spec).await;
    }

    /// Creates the ScrobbleTarget `hook`, a webhook with a signing key.
    pub async fn webhook(&self) {
        self.secret("hook", "target", &[("hmac", "webhook-signing-key")]).await;
        let spec = json!({
            "type": "Webhook", "url": self.script.webhook_url("hook"),
            "webhook": {"signingKeyRef": {"name": "hook", "key": "hmac"}},
        });
        self.create::<ScrobbleTarget>("ScrobbleTarget", "hook", &spec).await;
    }

    /// The spec of an account that reads every `interval` and delivers to `listenbrainz` and `hook`.
    pub fn spec(&self, listener: &str, interval: &str) -> Value {
        json!({
            "appRef": {"name": "main"},
            "tokenSecretRef": {"name": format!("{listener}-spotify")},
            "sync": {"interval": interval},
            "targets": [
                {
                    "name": "listenbrainz", "targetRef": {"name": "listenbrainz"},
                    "credentialsRef": {"name": format!("{listener}-listenbrainz")},
                },
                {"name": "hook", "targetRef": {"name": "hook"}},
            ],
        })
    }

    /// A listener with a ListenBrainz user, both targets, and the account that ties them together.
    pub async fn account(&self, listener: &str, interval: &str) {
        self.listener(listener).await;
        self.listenbrainz(listener).await;
        if self.api::<ScrobbleTarget>().get_opt("hook").await.unwrap().is_none() {
            self.webhook().await;
        }
        self.create::<SpotifyAccount>("SpotifyAccount", listener, &self.spec(listener, interval)).await;
    }

    /// Creates an object of ours.
    pub async fn create<K: Kind>(&self, kind: &str, name: &str, spec: &Value) -> K {
        self.api::<K>().create(&PostParams::default(), &object(kind, name, spec)).await.unwrap()
    }

    async fn create_once<K: Kind>(&self, kind: &str, name: &str, spec: &Value) {
        if self.api::<K>().get_opt(name).await.unwrap().is_none() {
            self.create::<K>(kind, name, spec).await;
        }
    }

    /// Merges a patch into an object of ours.
    pub async fn patch<K: Kind>(&self, name: &str, patch: Value) -> K {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Deletes an object of ours.
    pub async fn delete<K: Kind>(&self, name: &str) {
        self.api::<K>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Asks for a pass over an account now.
    pub async fn request(&self, name: &str, token: &str) {
        let annotations = json!({"scrobble-operator.io/reconcile-requested-at": token});
        self.patch::<SpotifyAccount>(name, json!({"metadata": {"annotations": annotations}})).await;
    }

    /// Events about an object of this namespace: reason and note.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let listed = events.list(&ListParams::default()).await.unwrap();
        let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(name);
        let word = |text: Option<String>| text.unwrap_or_default();
        listed.into_iter().filter(about).map(|event| (word(event.reason), word(event.note))).collect()
    }

    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The operator under the chart's ServiceAccount, not started: reads as often as once a second.
    pub fn operator(&self) -> Operator {
        let operator = Operator::installed(env!("CARGO_BIN_EXE_scrobble-operator"), &self.installation)
            .simulator(self.script.base_url())
            .minimum_interval("1s")
            // Tests of other things are in a hurry.
            .flag("app-requests-per-30s", "1000000")
            .flag("minimum-request-interval", "0s")
            .without("leader-elect");
        self.clock.iter().fold(operator, |operator, clock| operator.clock(clock))
    }

    /// Starts the operator.
    pub async fn start(&self) -> OperatorProcess {
        self.operator().start().await.unwrap()
    }

    /// Waits until an account is as wanted.
    pub async fn wait(&self, name: &str, what: &str, wanted: impl Fn(&SpotifyAccountStatus) -> bool) -> SpotifyAccount {
        let wanted = |account: &SpotifyAccount| account.status.as_ref().is_some_and(&wanted);
        wait_for_object(&self.api::<SpotifyAccount>(), name, what, DEADLINE, wanted).await.unwrap()
    }

    /// Waits until an app is as wanted.
    pub async fn wait_app(
        &self,
        name: &str,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&SpotifyAppStatus) -> bool,
    ) -> SpotifyAppStatus {
        let wanted = |app: &SpotifyApp| app.status.as_ref().is_some_and(&wanted);
        let found = wait_for_object(&self.api::<SpotifyApp>(), name, what, deadline, wanted).await.unwrap();
        found.status.unwrap()
    }

    /// Waits until `Ready` of an account has this status and reason.
    pub async fn wait_ready(&self, name: &str, status: &str, reason: &str) -> SpotifyAccount {
        self.wait(name, &format!("Ready={status}/{reason}"), |account| ready(account) == (status, reason)).await
    }

    /// Adds plays that ended `ago` seconds ago, one a minute before one another; answers their titles.
    pub async fn play(&self, listener: &str, count: i64, ago: i64) -> Vec<String> {
        let now = self.script.now().await.unwrap();
        let plays: Vec<NewPlay> = (0..count).map(|number| play(listener, now, ago + 60 * number)).collect();
        self.script.add_plays(listener, &plays).await.unwrap();
        plays.into_iter().filter_map(|play| play.title).collect()
    }

    /// Titles that ListenBrainz holds for a listener, sorted.
    pub async fn listens(&self, listener: &str) -> Vec<String> {
        let listens = self.script.listens(listener).await.unwrap();
        let title = |listen: &Listen| listen.track_metadata["track_name"].as_str().unwrap().to_owned();
        let mut titles: Vec<String> = listens.iter().map(title).collect();
        titles.sort();
        titles
    }

    /// What the operator wrote in this namespace since a mark, Leases and Events apart.
    pub async fn writes(&self, since: Marker) -> Vec<AuditEntry> {
        let writes = self.writes_with_events(since).await;
        writes.into_iter().filter(|entry| entry.resource != "events").collect()
    }

    /// What the operator wrote in this namespace since a mark, Leases apart.
    pub async fn writes_with_events(&self, since: Marker) -> Vec<AuditEntry> {
        let audit = self.plane.audit();
        audit.settle(&self.client).await.unwrap();
        let writes = audit.writes_by(&self.installation.user(), &self.namespace, since).unwrap();
        writes.into_iter().filter(|entry| entry.resource != "leases").collect()
    }

    /// The audit log's end: what is asked for from now on comes after it.
    pub async fn mark(&self) -> Marker {
        self.plane.audit().settle(&self.client).await.unwrap()
    }

    /// Waits until Spotify's recently-played page was asked for so often for an account since a request.
    pub async fn wait_for_reads(&self, listener: &str, since: u64, count: usize) -> Vec<Record> {
        let filter = RecordFilter::at(Endpoint::RecentlyPlayed).of(listener).since(since);
        wait_until(&format!("{count} reads of {listener}"), DEADLINE, async || {
            let reads = self.script.requests(&filter).await.map_err(|error| error.to_string())?;
            if reads.len() >= count { Ok(reads) } else { Err(format!("{} reads", reads.len())) }
        })
        .await
        .unwrap()
    }
}

/// A play of a track named after its listener and time.
pub fn play(listener: &str, now: Timestamp, ago: i64) -> NewPlay {
    let time = now - jiff::SignedDuration::from_secs(ago);
    NewPlay::new(time).titled(format!("{listener} at {}", time.as_millisecond()), "The Simulated")
}

/// The status and reason of `Ready`.
pub fn ready(status: &SpotifyAccountStatus) -> (&str, &str) {
    condition(status, ConditionType::Ready)
}

/// The status and reason of a condition; empty where it is absent.
pub fn condition(status: &SpotifyAccountStatus, kind: ConditionType) -> (&str, &str) {
    told(&status.conditions, kind)
}

/// The same of any kind's conditions.
pub fn told(conditions: &[Condition], kind: ConditionType) -> (&str, &str) {
    find_condition(conditions, kind).map_or(("", ""), |found| (found.status.as_str(), found.reason.as_str()))
}

/// An object of ours.
pub fn object<K: Kind>(kind: &str, name: &str, spec: &Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap()
}

/// What our namespaced kinds have in common.
pub trait Kind:
    kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + serde::Serialize
    + serde::de::DeserializeOwned
    + Send
    + 'static
{
}

impl<K> Kind for K where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + 'static
{
}

/// The resourceVersion of an account, which moves with every write.
pub fn version(account: &SpotifyAccount) -> String {
    account.resource_version().unwrap()
}
