//! `scrobble-operator connect`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use url::Url;

use super::run::{Format, chain, clock};
use super::spotify::SpotifyArguments;
use crate::adapters::http::build_open_client;
use crate::adapters::kube::Cluster;
use crate::adapters::spotify::Spotify;
use crate::connect::{self, Connected, Destination, Outcome, Tools};
use crate::domain::name::ObjectName;
use crate::plan::sign_in::words;
use crate::runtime;
use crate::runtime::telemetry::{self, LogFilter};

/// Flags of `scrobble-operator connect`. Each has an environment variable, `SCROBBLE_OPERATOR_` and its name.
#[derive(Debug, Args)]
pub struct ConnectArguments {
    /// The account's namespace; absent: that of the kubeconfig's context
    #[arg(long, value_name = "NAMESPACE", env = "SCROBBLE_OPERATOR_NAMESPACE")]
    namespace: Option<String>,

    /// The SpotifyAccount whose listener signs in
    #[arg(long, value_name = "NAME", env = "SCROBBLE_OPERATOR_ACCOUNT")]
    account: String,

    /// The kubeconfig; absent: the usual places, and `KUBECONFIG`
    #[arg(long, value_name = "FILE", env = "SCROBBLE_OPERATOR_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context; absent: the current one
    #[arg(long, value_name = "NAME", env = "SCROBBLE_OPERATOR_CONTEXT")]
    context: Option<String>,

    /// The port on 127.0.0.1 that Spotify sends the browser back to; 0: any, which an app allows that has registered the
    /// address without a port
    #[arg(long, value_name = "PORT", default_value_t = 0, env = "SCROBBLE_OPERATOR_PORT")]
    port: u16,

    /// Open no browser: print the link only
    #[arg(long, env = "SCROBBLE_OPERATOR_NO_BROWSER")]
    no_browser: bool,

    /// Print the token Secret and write nothing; absent: it is written
    #[arg(long, value_enum, value_name = "FORMAT", env = "SCROBBLE_OPERATOR_OUTPUT")]
    output: Option<OutputFormat>,

    #[command(flatten)]
    spotify: SpotifyArguments,

    /// How log lines look
    #[arg(long, value_enum, default_value_t = Format::Text, env = "SCROBBLE_OPERATOR_LOG_FORMAT")]
    log_format: Format,

    /// What is logged: error, warn, info, debug or trace, or a filter such as `scrobble_operator=debug`
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "SCROBBLE_OPERATOR_LOG_LEVEL")]
    log_level: LogFilter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputFormat {
    Yaml,
}

/// Signs a listener in.
///
/// # Errors
/// A message for people: what went wrong, and what to do.
pub fn run(arguments: ConnectArguments) -> Result<(), String> {
    telemetry::start(arguments.log_format.into(), &arguments.log_level, None).map_err(|error| chain(&error))?.finish();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| chain(&error))?;
    runtime.block_on(sign_in(arguments))
}

async fn sign_in(arguments: ConnectArguments) -> Result<(), String> {
    let client = runtime::client(arguments.kubeconfig.as_deref(), arguments.context.as_deref())
        .await
        .map_err(|error| format!("{}: name a kubeconfig that works with --kubeconfig and --context", chain(&error)))?;
    let namespace = arguments.namespace.filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let account = ObjectName::new(namespace, arguments.account);
    let tools = Tools {
        cluster: Cluster::new(client, "connect".to_owned()),
        spotify: Spotify::new(
            build_open_client().map_err(|error| chain(&error))?,
            arguments.spotify.accounts_url,
            arguments.spotify.api_url,
        ),
        clock: Arc::new(clock()?),
    };
    let destination = match arguments.output {
        None => Destination::Cluster,
        Some(OutputFormat::Yaml) => Destination::Manifest,
    };
    let session = connect::begin(tools, &account, arguments.port, destination).await.map_err(|error| chain(&error))?;
    let opened = !arguments.no_browser && open(session.url());
    say(destination, &words::invitation(&account, session.url(), session.redirect_url(), opened))?;
    let Connected { secret, earliest_end, outcome } = session.finish().await.map_err(|error| chain(&error))?;
    match outcome {
        Outcome::Stored { asked } => say(destination, &words::farewell(&account, &secret, earliest_end, asked)),
        Outcome::Manifest(manifest) => written(io::stdout().lock(), &manifest),
    }
}

/// Standard output is the manifest's where one is asked for, so that it can be sent on.
fn say(destination: Destination, text: &str) -> Result<(), String> {
    match destination {
        Destination::Cluster => written(io::stdout().lock(), text),
        Destination::Manifest => written(io::stderr().lock(), text),
    }
}

fn written(mut output: impl Write, text: &str) -> Result<(), String> {
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| chain(&error))
}

/// Whether a browser was asked to show a page. One that fails later does no harm: the link is printed too.
fn open(url: &Url) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut browser = tokio::process::Command::new(program);
    // What a browser has to say is not for whoever reads the manifest.
    browser.arg(url.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    browser.spawn().is_ok()
}
