//! One run of the command, with the rights of the page that tells who may run it, and the listener's browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use reqwest::redirect::Policy;
use scrobble_harness::process::{Grace, Process, append, scrub_environment};
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{NewAccount, NewApp};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World};

/// Who runs the command.
pub const HUMAN: &str = "human";

/// A world with one app, which has registered the redirect URI that the page names, and an account `alice` that has no
/// token Secret yet.
pub async fn world(test: &str, confidential: bool) -> World {
    let world = World::with_app(test, app(confidential)).await;
    world.script.add_account(&NewAccount::new("alice", CLIENT_ID)).await.unwrap();
    world.listenbrainz("alice").await;
    world.webhook().await;
    world.create::<SpotifyAccount>("SpotifyAccount", "alice", &world.spec("alice", "1s")).await;
    human(&world).await;
    world
}

/// The app of such a world.
pub fn app(confidential: bool) -> NewApp {
    let app = if confidential { NewApp::confidential(CLIENT_ID, CLIENT_SECRET) } else { NewApp::public(CLIENT_ID) };
    NewApp { redirect_uris: vec!["http://127.0.0.1/callback".to_owned()], ..app }
}

/// Somebody with the rights that docs/connect.md names, and no more.
pub async fn human(world: &World) {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/connect.md")).unwrap();
    let role = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let role = role.replace("namespace: music", &format!("namespace: {}", world.namespace));
    world.plane.kubectl_with_input(&["apply", "-f", "-"], &role).await.unwrap();
    bind(world, HUMAN, "Role", "scrobble-operator-connect").await;
}

/// Gives a new ServiceAccount a role.
pub async fn bind(world: &World, name: &str, kind: &str, role: &str) {
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &world.namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), &world.namespace);
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": world.namespace}],
    });
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
}

/// The command, not started.
pub struct Connect {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Connect {
    /// The command for an account, run by [`HUMAN`].
    pub async fn new(world: &World, account: &str) -> Self {
        Self::by(world, HUMAN, account).await
    }

    /// The command run by somebody else.
    pub async fn by(world: &World, human: &str, account: &str) -> Self {
        let line = format!("scrobble-operator connect --namespace {} --account {account}", world.namespace);
        Self::as_printed(world, human, &line).await.flag("no-browser")
    }

    /// The command as a message names it: what else it needs comes from the environment.
    pub async fn as_printed(world: &World, human: &str, line: &str) -> Self {
        let kubeconfig = world.plane.kubeconfig_for_service_account(&world.namespace, human).await.unwrap();
        Self::with_kubeconfig(world, &kubeconfig, line)
    }

    /// The same by whoever has this kubeconfig.
    pub fn with_kubeconfig(world: &World, kubeconfig: &Path, line: &str) -> Self {
        let mut words = line.split_whitespace().map(str::to_owned);
        assert_eq!(words.next().as_deref(), Some("scrobble-operator"), "{line}");
        Self { arguments: words.collect(), environment: Vec::new() }
            .environment("KUBECONFIG", &kubeconfig.display().to_string())
            .environment("SCROBBLE_OPERATOR_SPOTIFY_ACCOUNTS_URL", &world.script.spotify_accounts_url())
            .environment("SCROBBLE_OPERATOR_SPOTIFY_API_URL", &world.script.spotify_api_url())
    }

    /// Adds `--flag`, or `--flag=value`.
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(format!("--{flag}"));
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn start(self) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_scrobble-operator"));
        scrub_environment(&mut command);
        // No browser of this machine is found.
        command.env_remove("RUST_LOG").env("PATH", folder.path()).current_dir(folder.path());
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| folder.path().join(name));
        let output = (append(&stdout).unwrap(), append(&stderr).unwrap());
        let process = Process::spawn_with("connect", &command, output.0, output.1, &stderr, Grace::None).unwrap();
        Running { process, stdout, stderr, _folder: folder }
    }
}

/// The command while it runs.
pub struct Running {
    process: Process,
    stdout: PathBuf,
    stderr: PathBuf,
    _folder: TempDir,
}

/// How the command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Running {
    /// Waits for the link at which the listener signs in.
    pub async fn link(&mut self) -> Url {
        wait_until("the link", DEADLINE, async || {
            self.process.ensure_running().map_err(|error| error.to_string()).unwrap();
            let said = format!("{}\n{}", self.stdout(), self.stderr());
            let whole = said.rfind("If Spotify shows").map(|end| said[..end].to_owned()).ok_or("no link yet")?;
            let link = whole.lines().find_map(|line| line.strip_prefix("  http")).ok_or("no link")?;
            Ok::<_, String>(Url::parse(&format!("http{link}")).unwrap())
        })
        .await
        .unwrap()
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.exit_status().unwrap().is_none()
    }

    /// Waits until the command has ended by itself.
    pub async fn end(mut self) -> Ended {
        let status = self.process.wait(DEADLINE).await.unwrap();
        Ended { code: status.code().unwrap(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// The listener signs in, in a browser that follows every redirect; the page at the end, and how the command ended.
    pub async fn sign_in(mut self) -> (Visit, Ended) {
        let link = self.link().await;
        let visit = visit(&link).await;
        (visit, self.end().await)
    }
}

/// A page as the browser shows it.
#[derive(Debug)]
pub struct Visit {
    pub status: u16,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

/// Opens a page and follows every redirect.
pub async fn visit(url: &Url) -> Visit {
    try_visit(url).await.unwrap()
}

/// The same; an error where nobody answers.
pub async fn try_visit(url: &Url) -> Result<Visit, reqwest::Error> {
    let browser = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()?;
    let answer = browser.get(url.clone()).send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Ok(Visit { status, headers, text: answer.text().await? })
}

/// The address that Spotify sends the listener back to, not visited yet.
pub async fn consent(link: &Url) -> Url {
    let browser = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(DEADLINE).build().unwrap();
    let answer = browser.get(link.clone()).send().await.unwrap();
    assert!(answer.status().is_redirection(), "{answer:?}");
    Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
}

/// One parameter of an address.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The same address with another value of a parameter; without it where there is none.
pub fn with_parameter(url: &Url, name: &str, value: Option<&str>) -> Url {
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url
}

/// A plain page: no script, nothing loaded, nothing kept.
pub fn assert_plain(visit: &Visit) {
    assert_eq!(visit.headers["content-type"], "text/html; charset=utf-8");
    assert!(visit.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(visit.headers["referrer-policy"], "no-referrer");
    assert_eq!(visit.headers["cache-control"], "no-store");
    assert!(!visit.text.contains("<script"), "{}", visit.text);
}

/// A listener's token Secret as it is.
pub async fn token_secret(world: &World, listener: &str) -> Option<Secret> {
    world.secrets().get_opt(&format!("{listener}-spotify")).await.unwrap()
}

/// The value that asks the operator to look, if there is one.
pub async fn request(world: &World, account: &str) -> Option<String> {
    let account = world.api::<SpotifyAccount>().get(account).await.unwrap();
    account.annotations().get("scrobble-operator.io/reconcile-requested-at").cloned()
}
