//! `scrobble-operator run`.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use ipnet::IpNet;

use super::spotify::SpotifyArguments;
use crate::adapters::http::AllowedRanges;
use crate::api::v1alpha1::GoDuration;
use crate::domain::name::ObjectName;
use crate::runtime::clock::OperatorClock;
use crate::runtime::leader::Election;
use crate::runtime::probes::Contact;
use crate::runtime::telemetry::{self, Endpoint, LogFilter, LogFormat, Traces};
use crate::runtime::{self, Configuration};

/// Flags of `scrobble-operator run`. Each has an environment variable, `SCROBBLE_OPERATOR_` and its name.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The kubeconfig; absent: the cluster that the process runs in, or the usual places
    #[arg(long, value_name = "FILE", env = "SCROBBLE_OPERATOR_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// Namespaces to watch, separated by commas; absent: all
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',', env = "SCROBBLE_OPERATOR_NAMESPACES")]
    namespaces: Vec<String>,

    #[command(flatten)]
    spotify: SpotifyArguments,

    /// Where probes and metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", env = "SCROBBLE_OPERATOR_HTTP_ADDR")]
    http_addr: SocketAddr,

    /// How many accounts are worked on at the same time; those of one app take half of it at most
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(1..),
        env = "SCROBBLE_OPERATOR_CONCURRENCY"
    )]
    concurrency: u16,

    /// An access token with less than this left is refreshed before it is used
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, env = "SCROBBLE_OPERATOR_REFRESH_BUFFER")]
    refresh_buffer: GoDuration,

    /// The shortest time between two reads of one account, whatever its spec says
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, env = "SCROBBLE_OPERATOR_MINIMUM_INTERVAL")]
    minimum_interval: GoDuration,

    /// How many calls of one app may be sent to Spotify's Web API in 30 seconds
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        env = "SCROBBLE_OPERATOR_APP_REQUESTS_PER_30S"
    )]
    app_requests_per_30s: u32,

    /// The shortest time between two requests (`reconcile-requested-at`) of one account that are granted
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration, env = "SCROBBLE_OPERATOR_MINIMUM_REQUEST_INTERVAL")]
    minimum_request_interval: GoDuration,

    /// Wait for the Lease before working; without it the Lease is kept all the same
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        env = "SCROBBLE_OPERATOR_LEADER_ELECT"
    )]
    leader_elect: bool,

    /// For how long after a renewal nobody else takes the Lease
    #[arg(long, value_name = "DURATION", default_value = "35s", value_parser = duration, env = "SCROBBLE_OPERATOR_LEADER_ELECT_LEASE_DURATION")]
    leader_elect_lease_duration: GoDuration,

    /// Without a renewal for this long the holder stops working
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, env = "SCROBBLE_OPERATOR_LEADER_ELECT_RENEW_DEADLINE")]
    leader_elect_renew_deadline: GoDuration,

    /// The time between two tries to get or renew the Lease
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, env = "SCROBBLE_OPERATOR_LEADER_ELECT_RETRY_PERIOD")]
    leader_elect_retry_period: GoDuration,

    /// The Lease's namespace; absent: the process's own (`POD_NAMESPACE`, the service account's), else the first watched,
    /// else the kubeconfig's
    #[arg(long, value_name = "NAMESPACE", env = "SCROBBLE_OPERATOR_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,

    /// The Lease's name
    #[arg(long, value_name = "NAME", default_value = "scrobble-operator", env = "SCROBBLE_OPERATOR_LEASE_NAME")]
    lease_name: String,

    /// Private address ranges that targets and webhooks may be in, separated by commas
    #[arg(long, value_name = "CIDR", value_delimiter = ',', env = "SCROBBLE_OPERATOR_ALLOW_PRIVATE_TARGETS")]
    allow_private_targets: Vec<IpNet>,

    /// Whether `/metrics` has series for each account
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        env = "SCROBBLE_OPERATOR_ACCOUNT_METRICS"
    )]
    account_metrics: bool,

    /// The most accounts for which `/metrics` has series of their own, the oldest first
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, env = "SCROBBLE_OPERATOR_ACCOUNT_METRICS_LIMIT")]
    account_metrics_limit: u32,

    /// How log lines look
    #[arg(long, value_enum, default_value_t = Format::Json, env = "SCROBBLE_OPERATOR_LOG_FORMAT")]
    log_format: Format,

    /// What is logged: error, warn, info, debug, trace or off, or a filter such as `scrobble_operator=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "SCROBBLE_OPERATOR_LOG_LEVEL")]
    log_level: LogFilter,

    /// Where traces are sent: the base URL of a receiver of OTLP over HTTP, to which /v1/traces is added; absent: nowhere
    #[arg(long, value_name = "URL", env = "SCROBBLE_OPERATOR_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Json,
    Text,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Text => Self::Text,
        }
    }
}

pub(super) fn duration(text: &str) -> Result<GoDuration, String> {
    text.parse::<GoDuration>().map_err(|error| error.to_string())
}

/// Threads that wait for something outside get so long to end.
pub(super) const LAST_THREADS: Duration = Duration::from_secs(1);

/// Runs the operator.
///
/// # Errors
/// A message for people: what went wrong, and the causes.
pub fn run(arguments: RunArguments) -> Result<(), String> {
    let (format, filter) = (arguments.log_format, arguments.log_level.clone());
    let endpoint = otlp_endpoint(arguments.otlp_endpoint.as_deref())?;
    arm_failpoints()?;
    let configuration = configuration(arguments)?;
    let traces = endpoint.map(|endpoint| Traces { endpoint, instance: configuration.election.holder.clone() });
    let telemetry = telemetry::start(format.into(), &filter, traces.as_ref()).map_err(|error| chain(&error))?;
    let ended = work(configuration);
    // Everything that has a span has ended by now.
    telemetry.finish();
    ended
}

fn work(configuration: Configuration) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| chain(&error))?;
    let ended = runtime.block_on(runtime::run(configuration)).map_err(|error| chain(&error));
    // Tokens are stored by now. What a name server keeps waiting ends with the process.
    runtime.shutdown_timeout(LAST_THREADS);
    ended
}

/// The receiver of traces. An empty variable is no receiver, as in OpenTelemetry's own.
fn otlp_endpoint(text: Option<&str>) -> Result<Option<Endpoint>, String> {
    let parsed = text.filter(|text| !text.is_empty()).map(str::parse::<Endpoint>).transpose();
    parsed.map_err(|error| format!("--otlp-endpoint (SCROBBLE_OPERATOR_OTLP_ENDPOINT): {error}"))
}

fn configuration(arguments: RunArguments) -> Result<Configuration, String> {
    let RunArguments {
        kubeconfig,
        namespaces,
        spotify,
        http_addr,
        concurrency,
        refresh_buffer,
        minimum_interval,
        app_requests_per_30s,
        minimum_request_interval,
        leader_elect,
        leader_elect_lease_duration,
        leader_elect_renew_deadline,
        leader_elect_retry_period,
        lease_namespace,
        lease_name,
        allow_private_targets,
        account_metrics,
        account_metrics_limit,
        log_format: _,
        log_level: _,
        otlp_endpoint: _,
    } = arguments;
    let namespaces: Vec<String> = namespaces.into_iter().filter(|namespace| !namespace.is_empty()).collect();
    let lease_duration = real(&leader_elect_lease_duration);
    let renew_deadline = real(&leader_elect_renew_deadline);
    let retry_period = real(&leader_elect_retry_period);
    if lease_duration <= renew_deadline || renew_deadline <= retry_period {
        return Err("--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, and that longer than --leader-elect-retry-period".to_owned());
    }
    let lease_namespace = lease_namespace.or_else(own_namespace).or_else(|| namespaces.first().cloned());
    let host = environment("HOSTNAME").unwrap_or_else(|| "scrobble-operator".to_owned());
    let start = crate::domain::digest::hexadecimal(&rand::random::<[u8; 4]>());
    Ok(Configuration {
        kubeconfig,
        namespaces,
        spotify_accounts_url: spotify.accounts_url,
        spotify_api_url: spotify.api_url,
        http_address: http_addr,
        concurrency,
        refresh_buffer: refresh_buffer.duration(),
        minimum_interval: minimum_interval.duration(),
        app_requests_per_30s,
        minimum_request_interval: minimum_request_interval.duration(),
        allowed_ranges: AllowedRanges::new(allow_private_targets),
        election: Election {
            // The kubeconfig's own namespace where nothing else names one.
            lease: ObjectName::new(lease_namespace.unwrap_or_default(), lease_name),
            holder: format!("{host}_{start}"),
            elect: leader_elect,
            lease_duration,
            renew_deadline,
            retry_period,
            contact: Contact::default(),
        },
        account_metrics: account_metrics.then(|| usize::try_from(account_metrics_limit).unwrap_or(usize::MAX)),
        clock: clock()?,
    })
}

fn real(duration: &GoDuration) -> Duration {
    Duration::try_from(duration.duration()).unwrap_or_default()
}

/// The namespace of the Pod that the process runs in.
fn own_namespace() -> Option<String> {
    const FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    environment("POD_NAMESPACE").or_else(|| std::fs::read_to_string(FILE).ok().map(|text| text.trim().to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(feature = "testing")]
pub(super) fn clock() -> Result<OperatorClock, String> {
    match environment("SCROBBLE_OPERATOR_TEST_CLOCK") {
        Some(text) => OperatorClock::parse(&text).map_err(|error| error.to_string()),
        None => Ok(OperatorClock::system()),
    }
}

#[cfg(not(feature = "testing"))]
#[expect(clippy::unnecessary_wraps, reason = "the test build's clock can be refused")]
pub(super) fn clock() -> Result<OperatorClock, String> {
    Ok(OperatorClock::system())
}

#[cfg(feature = "testing")]
fn arm_failpoints() -> Result<(), String> {
    use crate::reconcile::failpoint::{Failpoints, arm};

    if let Some(text) = environment("SCROBBLE_OPERATOR_FAILPOINT") {
        let gate = environment("SCROBBLE_OPERATOR_FAILPOINT_GATE").map(PathBuf::from);
        arm(Failpoints::parse(&text, gate)?);
    }
    Ok(())
}

#[cfg(not(feature = "testing"))]
#[expect(clippy::unnecessary_wraps, reason = "the test build's failpoints can be refused")]
fn arm_failpoints() -> Result<(), String> {
    Ok(())
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
