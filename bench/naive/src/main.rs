//! The controller that a good tutorial would have written for the same kinds: what `make bench` compares with.
//!
//! It is no straw man. Status writes do not wake it (`predicates::generation`), its passes are bounded as the operator's
//! are, connections are kept, and a token is refreshed only where it ends. It does per sync what tutorials do: it gets the
//! token Secret, asks Spotify, delivers what is newer than `status.sync.lastPlayTime`, writes the status with the time of
//! the sync, and asks to be called again after the interval.
//!
//! What it does not do: notice a play that turns up late or out of order, keep apart what each target has, keep what a
//! target cannot take, survive a crash between exchange and commit of a rotating token, obey rate limits and budgets,
//! back off, tell what is wrong, or delay anything after a restart.

mod reconcile;
mod spotify;
mod targets;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Config, Controller};
use kube::runtime::{WatchStreamExt as _, predicates, reflector, watcher};
use kube::{Api, Client};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use tracing_subscriber::EnvFilter;

use crate::reconcile::{Context, after_error, reconcile};
use crate::spotify::Spotify;

/// No request takes longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// As many passes at a time as the operator has by default.
const CONCURRENCY: u16 = 32;

/// Carries plays as a tutorial would.
#[derive(Debug, Parser)]
struct Arguments {
    /// The kubeconfig.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The namespace to watch.
    #[arg(long)]
    namespace: String,
    /// Base URL of Spotify's accounts service.
    #[arg(long)]
    spotify_accounts_url: String,
    /// Base URL of Spotify's Web API.
    #[arg(long)]
    spotify_api_url: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    // There is one provider, and nobody else installs one.
    rustls::crypto::ring::default_provider().install_default().ok();
    let arguments = Arguments::parse();
    let kubeconfig = Kubeconfig::read_from(&arguments.kubeconfig)?;
    let configuration = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(configuration)?;
    let http = reqwest::Client::builder().timeout(DEADLINE).build()?;
    let ctx = Arc::new(Context {
        client: client.clone(),
        spotify: Spotify::new(http.clone(), arguments.spotify_accounts_url, arguments.spotify_api_url),
        http,
    });

    let accounts: Api<SpotifyAccount> = Api::namespaced(client, &arguments.namespace);
    let (store, writer) = reflector::store();
    let stream = watcher(accounts, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect_ok(|event| {
            if matches!(event, watcher::Event::InitDone) {
                tracing::info!("all accounts are listed");
            }
        })
        .applied_objects()
        .predicate_filter(predicates::generation, kube::runtime::PredicateConfig::default());
    Controller::for_stream(stream, store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .shutdown_on_signal()
        .run(reconcile, after_error, ctx)
        .for_each(|ended| {
            if let Err(error) = ended {
                tracing::warn!(error = &error as &dyn Error, "a pass failed");
            }
            std::future::ready(())
        })
        .await;
    Ok(())
}
