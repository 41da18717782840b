//! The three servers: their files, flags and first answer.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kube::Client;
use tokio::net::TcpStream;

use crate::audit::POLICY;
use crate::certificates::Certificates;
use crate::error::Error;
use crate::folder::Folder;
use crate::process::{Grace, Process, scrub_environment};
use crate::tools::Tools;
use crate::wait::wait_until;

/// Writes what the servers are started with.
pub fn write_files(
    folder: &Folder,
    certificates: &Certificates,
    admin_token: &str,
    controller_token: &str,
) -> Result<(), Error> {
    for name in ["etcd", "cert", "logs", "audit"] {
        folder.make(name)?;
    }
    folder.write("authority.crt", &certificates.authority)?;
    folder.write("apiserver.crt", &certificates.server)?;
    folder.write("apiserver.key", &certificates.server_key)?;
    folder.write("service-account.key", &certificates.token_key)?;
    folder.write("service-account.pub", &certificates.token_public_key)?;
    folder.write("audit-policy.yaml", POLICY)?;
    // The controller manager has a name of its own so that the audit log tells its requests from the tests'.
    let tokens = format!(
        "{admin_token},admin,admin,\"system:masters\"\n\
         {controller_token},controller-manager,controller-manager,\"system:masters\"\n"
    );
    folder.write("tokens.csv", &tokens)?;
    Ok(())
}

/// The file that the API server writes its audit log to.
pub fn audit_log(folder: &Folder) -> PathBuf {
    folder.path().join("audit/audit.log")
}

/// The file that a server logs to.
pub fn log(folder: &Folder, program: &str) -> PathBuf {
    folder.path().join(format!("logs/{program}.log"))
}

/// Starts etcd and returns when it accepts connections.
pub async fn etcd(tools: &Tools, folder: &Folder, port: u16) -> Result<Process, Error> {
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(tools.program("etcd"));
    command.arg("--data-dir").arg(folder.path().join("etcd"));
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
    command.args(["--listen-peer-urls", "http://127.0.0.1:0", "--unsafe-no-fsync", "--log-level", "error"]);
    let mut process = spawn("etcd", folder, command)?;
    let reached = wait_until("etcd to listen", Duration::from_mins(1), async || {
        if let Err(ended) = process.ensure_running() {
            return Ok(Err(ended));
        }
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map(|_| Ok(()))
    });
    reached.await??;
    process.ensure_running()?;
    Ok(process)
}

/// Starts kube-apiserver.
pub fn api_server(
    tools: &Tools,
    folder: &Folder,
    port: u16,
    etcd_port: u16,
    flags: &[String],
) -> Result<Process, Error> {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut command = Command::new(tools.program("kube-apiserver"));
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", file("cert")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        "--service-account-issuer=https://127.0.0.1".to_owned(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        // Room for a Service of every test.
        "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
        // As some distributions have it: an owner that blocks its deletion takes a right to the owner's finalizers.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
        // Nobody reaches this server through the Service `kubernetes`.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.yaml")),
        format!("--audit-log-path={}", audit_log(folder).display()),
        "--audit-log-mode=blocking".to_owned(),
        // In megabytes: never rotated away under its reader.
        "--audit-log-maxsize=1000000".to_owned(),
    ]);
    command.args(flags);
    spawn("kube-apiserver", folder, command)
}

/// Returns when the API server says that it is ready.
pub async fn wait_until_ready(process: &mut Process, client: &Client, deadline: Duration) -> Result<(), Error> {
    wait_until("kube-apiserver to be ready", deadline, async || {
        if let Err(ended) = process.ensure_running() {
            return Ok(Err(ended));
        }
        let request = http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
        client.request_text(request).await.map(|_| Ok(())).map_err(|error| error.to_string())
    })
    .await?
}

/// Starts kube-controller-manager with the controllers that tests rely on.
pub fn controller_manager(
    tools: &Tools,
    folder: &Folder,
    kubeconfig: &Path,
    flags: &[String],
) -> Result<Process, Error> {
    let mut command = Command::new(tools.program("kube-controller-manager"));
    command.arg("--kubeconfig").arg(kubeconfig);
    command.args([
        "--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller,\
         serviceaccount-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ]);
    command.args(flags);
    spawn("kube-controller-manager", folder, command)
}

fn spawn(name: &str, folder: &Folder, mut command: Command) -> Result<Process, Error> {
    scrub_environment(&mut command);
    // These live for minutes, beside many tests: memory costs less than collecting it.
    command.env("GOGC", "400");
    command.current_dir(folder.path());
    // Their data goes with them: no reason to wait for an orderly end.
    Process::spawn(name, &command, &log(folder, name), Grace::None)
}
