//! etcd, kube-apiserver and kube-controller-manager as one thing.
//!
//! There is no kubelet and no scheduler: a Deployment makes no pods. RBAC is enforced, owner references are collected,
//! namespaces end, the built-in `view`, `edit` and `admin` roles are aggregated.

mod access;
mod servers;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};

use crate::audit::AuditLog;
use crate::certificates::Certificates;
use crate::error::Error;
use crate::folder::Folder;
use crate::install_crypto_provider;
use crate::port::{free_port, lost_race};
use crate::process::Process;
use crate::tools::Tools;

/// How often a server is started anew when another process took its port first.
const ATTEMPTS: usize = 5;
/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(90);
/// How long a server may take to end after SIGTERM, before it is killed. kube-apiserver stops to listen within a second or
/// two, but one that was only just started may take half a minute more to end.
const STOP: Duration = Duration::from_secs(5);

/// What may differ between control planes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further flags of kube-apiserver; the last of two equal flags wins.
    pub api_server_flags: Vec<String>,
    /// Further flags of kube-controller-manager.
    pub controller_manager_flags: Vec<String>,
}

/// A running control plane. Dropping it ends the servers and removes everything they wrote; so does the end of this
/// process, however it ends.
pub struct ControlPlane {
    // Fields are dropped in this order: the servers before the folder they write into.
    controller_manager: Mutex<Option<Process>>,
    api_server: Mutex<Option<Process>>,
    etcd: Mutex<Option<Process>>,
    etcd_port: u16,
    api_port: u16,
    certificates: Certificates,
    admin_token: String,
    admin_kubeconfig: PathBuf,
    controller_kubeconfig: PathBuf,
    tools: Tools,
    options: Options,
    shared: bool,
    /// Numbers files of this control plane.
    pub(crate) counter: AtomicU64,
    /// Whether the chart's CRDs are there.
    pub(crate) definitions: OnceCell<()>,
    /// What helm made of the chart, by release and values.
    pub(crate) rendered: Mutex<HashMap<String, String>>,
    folder: Folder,
}

static SHARED: OnceCell<Result<ControlPlane, Arc<Error>>> = OnceCell::const_new();

impl ControlPlane {
    /// The one control plane of this process, started when it is first asked for. Tests keep apart by namespaces
    /// ([`crate::TestNamespace`]). A start that failed is not tried again.
    pub async fn shared() -> Result<&'static Self, Arc<Error>> {
        let start = async || match Self::start(Options::default()).await {
            Ok(plane) => Ok(Self { shared: true, ..plane }),
            Err(error) => Err(Arc::new(error)),
        };
        SHARED.get_or_init(start).await.as_ref().map_err(Arc::clone)
    }

    /// Starts a control plane of one's own, and returns when its API server answers. Takes seconds, and minutes where the
    /// programs have to be built first.
    pub async fn start(options: Options) -> Result<Self, Error> {
        install_crypto_provider();
        let tools = Tools::locate().await?;
        let folder = Folder::create("control-plane")?;
        let certificates = Certificates::create()?;
        let admin_token = access::random_token();
        let controller_token = access::random_token();
        servers::write_files(&folder, &certificates, &admin_token, &controller_token)?;

        let (etcd_port, etcd) = with_free_port(async |port| servers::etcd(&tools, &folder, port).await).await?;
        let (api_port, api_server) = with_free_port(async |port| {
            let mut process = servers::api_server(&tools, &folder, port, etcd_port, &options.api_server_flags)?;
            let client = access::client(port, &certificates, access::token(&admin_token), false)?;
            servers::wait_until_ready(&mut process, &client, START).await?;
            Ok(process)
        })
        .await?;
        let write =
            |name: &str, token: &str| folder.write(name, &access::kubeconfig(api_port, &certificates, token, None));
        let admin_kubeconfig = write("admin.kubeconfig", &admin_token)?;
        let controller_kubeconfig = write("controller-manager.kubeconfig", &controller_token)?;
        let controller_manager =
            servers::controller_manager(&tools, &folder, &controller_kubeconfig, &options.controller_manager_flags)?;

        let mut plane = Self {
            controller_manager: Mutex::new(Some(controller_manager)),
            api_server: Mutex::new(Some(api_server)),
            etcd: Mutex::new(Some(etcd)),
            etcd_port,
            api_port,
            certificates,
            admin_token,
            admin_kubeconfig,
            controller_kubeconfig,
            tools,
            options,
            shared: false,
            counter: AtomicU64::new(0),
            definitions: OnceCell::new(),
            rendered: Mutex::default(),
            folder,
        };
        // Its port may have been another's when the API server connected to it.
        if let Some(etcd) = plane.etcd.get_mut() {
            etcd.ensure_running()?;
        }
        Ok(plane)
    }

    /// The address of the API server.
    pub fn url(&self) -> String {
        access::url(self.api_port)
    }

    /// The API server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.api_port
    }

    /// The folder of this control plane's files; it goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The programs it was started from.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What the API server was asked.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(servers::audit_log(&self.folder))
    }

    /// The process ids of the servers that run: etcd, API server, controller manager.
    pub async fn process_ids(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        for server in [&self.etcd, &self.api_server, &self.controller_manager] {
            ids.extend(server.lock().await.as_ref().map(Process::id));
        }
        ids
    }

    /// What a server has logged, for a person to read: `etcd`, `kube-apiserver` or `kube-controller-manager`.
    pub fn server_log(&self, program: &str) -> String {
        std::fs::read_to_string(servers::log(&self.folder, program)).unwrap_or_default()
    }

    /// Asks the API server to end, and returns when it has and its port is free.
    pub async fn stop_api_server(&self) -> Result<(), Error> {
        self.refuse_if_shared()?;
        stop(&self.api_server).await
    }

    /// Kills the API server.
    pub async fn kill_api_server(&self) -> Result<(), Error> {
        self.refuse_if_shared()?;
        kill(&self.api_server).await
    }

    /// Starts the API server again, on the port and the data it had, and returns when it answers.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        let mut server = self.api_server.lock().await;
        if server.is_none() {
            let flags = &self.options.api_server_flags;
            let process = servers::api_server(&self.tools, &self.folder, self.api_port, self.etcd_port, flags)?;
            let process = server.insert(process);
            let client = access::client(self.api_port, &self.certificates, access::token(&self.admin_token), false)?;
            servers::wait_until_ready(process, &client, START).await?;
        }
        Ok(())
    }

    /// Asks etcd to end, and returns when it has.
    pub async fn stop_etcd(&self) -> Result<(), Error> {
        self.refuse_if_shared()?;
        stop(&self.etcd).await
    }

    /// Kills etcd.
    pub async fn kill_etcd(&self) -> Result<(), Error> {
        self.refuse_if_shared()?;
        kill(&self.etcd).await
    }

    /// Starts etcd again, on the port and the data it had.
    pub async fn start_etcd(&self) -> Result<(), Error> {
        let mut server = self.etcd.lock().await;
        if server.is_none() {
            *server = Some(servers::etcd(&self.tools, &self.folder, self.etcd_port).await?);
        }
        Ok(())
    }

    /// Ends the controller manager: nothing is collected until it is started again.
    pub async fn stop_controller_manager(&self) -> Result<(), Error> {
        self.refuse_if_shared()?;
        kill(&self.controller_manager).await
    }

    /// Starts the controller manager again.
    pub async fn start_controller_manager(&self) -> Result<(), Error> {
        let mut server = self.controller_manager.lock().await;
        if server.is_none() {
            let flags = &self.options.controller_manager_flags;
            let kubeconfig = &self.controller_kubeconfig;
            *server = Some(servers::controller_manager(&self.tools, &self.folder, kubeconfig, flags)?);
        }
        Ok(())
    }

    /// Starts the controller manager anew. Its garbage collector looks for new kinds of owners only every 30 seconds, and
    /// at its start: do this after CRDs were installed. Harmless to other tests, which wait a second longer.
    pub async fn restart_controller_manager(&self) -> Result<(), Error> {
        kill(&self.controller_manager).await?;
        self.start_controller_manager().await
    }

    /// Suspends the API server (SIGSTOP): connections stay open and nothing is answered.
    pub async fn pause_api_server(&self) -> Result<(), Error> {
        self.refuse_if_shared()?;
        signal(&self.api_server, rustix::process::Signal::STOP).await
    }

    /// Lets a suspended API server go on.
    pub async fn resume_api_server(&self) -> Result<(), Error> {
        signal(&self.api_server, rustix::process::Signal::CONT).await
    }

    fn refuse_if_shared(&self) -> Result<(), Error> {
        if self.shared {
            let message = "other tests use this control plane: start one with ControlPlane::start to stop its servers";
            return Err(Error::Misuse(message.to_owned()));
        }
        Ok(())
    }
}

async fn stop(server: &Mutex<Option<Process>>) -> Result<(), Error> {
    let mut server = server.lock().await;
    if let Some(process) = server.as_mut() {
        match process.terminate(STOP).await {
            Err(Error::Timeout { .. }) => process.kill()?,
            ended => ended?,
        };
    }
    *server = None;
    Ok(())
}

async fn kill(server: &Mutex<Option<Process>>) -> Result<(), Error> {
    let mut server = server.lock().await;
    if let Some(process) = server.as_mut() {
        process.kill()?;
    }
    *server = None;
    Ok(())
}

async fn signal(server: &Mutex<Option<Process>>, signal: rustix::process::Signal) -> Result<(), Error> {
    match server.lock().await.as_mut() {
        Some(process) => process.signal(signal),
        None => Err(Error::Misuse("the server does not run".to_owned())),
    }
}

/// Starts a server on a free port, and on another one if somebody else was faster.
async fn with_free_port(start: impl AsyncFn(u16) -> Result<Process, Error>) -> Result<(u16, Process), Error> {
    let mut attempt = 1;
    loop {
        let port = free_port()?;
        match start(port).await {
            Ok(process) => return Ok((port, process)),
            Err(Error::Ended { log, .. }) if attempt < ATTEMPTS && lost_race(&log) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
