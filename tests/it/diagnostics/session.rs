//! Somebody who asks: the page by a bearer token, the command by a kubeconfig.

use std::fs;
use std::process::Command;

use reqwest::Method;
use scrobble_harness::process::scrub_environment;
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use serde_json::Value;

use crate::connect::session::bind;
use crate::world::{DEADLINE, World};

/// Who runs the command.
pub const CHECKER: &str = "checker";
/// Who may see accounts and nothing else.
pub const VIEWER: &str = "viewer";
/// Who may nothing.
pub const NOBODY: &str = "nobody";

/// Everybody, each with a ServiceAccount: the rights of the command are those that its page names.
pub async fn people(world: &World) {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnostics.md")).unwrap();
    let role = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let role = role.replace("namespace: music", &format!("namespace: {}", world.namespace));
    let viewer = format!(
        r#"{{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
             "metadata": {{"name": "viewer", "namespace": "{}"}},
             "rules": [{{"apiGroups": ["scrobble-operator.io"], "resources": ["spotifyaccounts"], "verbs": ["get"]}}]}}"#,
        world.namespace
    );
    for manifest in [&role, &viewer] {
        world.plane.kubectl_with_input(&["apply", "-f", "-"], manifest).await.unwrap();
    }
    bind(world, CHECKER, "Role", "scrobble-operator-check").await;
    bind(world, VIEWER, "Role", "viewer").await;
    bind(world, NOBODY, "Role", "none").await;
    for who in [CHECKER, VIEWER] {
        wait_until(&format!("the rights of {who}"), DEADLINE, async || {
            let user = format!("system:serviceaccount:{}:{who}", world.namespace);
            let can = ["auth", "can-i", "get", "spotifyaccounts", "--namespace", &world.namespace, "--as", &user];
            world.plane.kubectl(&can).await.map(|_| ()).map_err(|error| error.to_string())
        })
        .await
        .unwrap();
    }
}

/// A bearer token of somebody.
pub async fn token(world: &World, who: &str) -> String {
    world.plane.service_account_token(&world.namespace, who).await.unwrap()
}

/// An answer of the operator.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// Asks the operator.
pub async fn request(
    operator: &OperatorProcess,
    method: Method,
    path: &str,
    token: Option<&str>,
    accept: Option<&str>,
) -> Answer {
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    let mut request = client.request(method, format!("{}{path}", operator.url()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, text: answer.text().await.unwrap() }
}

/// Asks the operator about an account of this world.
pub async fn diagnostics(world: &World, operator: &OperatorProcess, account: &str, token: &str) -> Answer {
    let path = format!("/diagnostics/{}/{account}", world.namespace);
    request(operator, Method::GET, &path, Some(token), None).await
}

/// How the command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// Runs the command as somebody.
pub async fn check(world: &World, who: &str, account: &str, flags: &[&str]) -> Ended {
    let kubeconfig = world.plane.kubeconfig_for_service_account(&world.namespace, who).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrobble-operator"));
    scrub_environment(&mut command);
    command.env_remove("RUST_LOG").current_dir(folder.path());
    command.args(["check", &format!("{}/{account}", world.namespace)]);
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command.arg(format!("--spotify-accounts-url={}", world.script.spotify_accounts_url()));
    command.arg(format!("--spotify-api-url={}", world.script.spotify_api_url()));
    command.args(flags);
    if let Some(clock) = &world.clock {
        command.env("SCROBBLE_OPERATOR_TEST_CLOCK", clock);
    }
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(DEADLINE, output).await.expect("the command ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The calls that an app's status counts.
pub async fn counted(world: &World, app: &str) -> i64 {
    let app = world.api::<scrobble_operator::api::v1alpha1::SpotifyApp>().get(app).await.unwrap();
    let hours = app.status.and_then(|status| status.quota).map(|quota| quota.hours).unwrap_or_default();
    hours.iter().map(|hour| hour.calls).sum()
}

/// An account's status as it is recorded, without what moves by itself.
pub async fn recorded(world: &World, account: &str) -> Value {
    let account = world.api::<SpotifyAccount>().get(account).await.unwrap();
    serde_json::to_value(account.status).unwrap()
}
