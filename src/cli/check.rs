//! `scrobble-operator check`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::run::{Format, LAST_THREADS, chain, clock, duration};
use super::spotify::SpotifyArguments;
use crate::adapters::http::{AllowedRanges, GuardedClient, build_open_client};
use crate::adapters::kube::Cluster;
use crate::adapters::spotify::Spotify;
use crate::api::v1alpha1::GoDuration;
use crate::domain::name::ObjectName;
use crate::plan::diagnosis::{Diagnosis, table};
use crate::reconcile::guest::{Guest, Tools};
use crate::runtime;
use crate::runtime::telemetry::{self, LogFilter};

/// The exit code where a flag is wrong or a right is missing.
const UNABLE: u8 = 2;

/// Flags of `scrobble-operator check`. Each has an environment variable, `SCROBBLE_OPERATOR_` and its name.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The SpotifyAccount
    #[arg(value_name = "NAMESPACE/NAME", value_parser = account)]
    account: ObjectName,

    /// The kubeconfig; absent: the usual places, and `KUBECONFIG`
    #[arg(long, value_name = "FILE", env = "SCROBBLE_OPERATOR_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context; absent: the current one
    #[arg(long, value_name = "NAME", env = "SCROBBLE_OPERATOR_CONTEXT")]
    context: Option<String>,

    /// How the answer is printed
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t = OutputFormat::Table,
        env = "SCROBBLE_OPERATOR_OUTPUT"
    )]
    output: OutputFormat,

    /// An access token with less than this left is refreshed before it is used
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, env = "SCROBBLE_OPERATOR_REFRESH_BUFFER")]
    refresh_buffer: GoDuration,

    #[command(flatten)]
    spotify: SpotifyArguments,

    /// How log lines look
    #[arg(long, value_enum, default_value_t = Format::Text, env = "SCROBBLE_OPERATOR_LOG_FORMAT")]
    log_format: Format,

    /// What is logged: error, warn, info, debug or trace, or a filter such as `scrobble_operator=debug`
    #[arg(long, value_name = "FILTER", default_value = "error", env = "SCROBBLE_OPERATOR_LOG_LEVEL")]
    log_level: LogFilter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputFormat {
    Table,
    Json,
    Yaml,
}

fn account(text: &str) -> Result<ObjectName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ObjectName::new(namespace, name))
        }
        _ => Err("write it as NAMESPACE/NAME, such as music/alice".to_owned()),
    }
}

/// There is no answer.
struct Failure {
    message: String,
    code: ExitCode,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, code: ExitCode::FAILURE }
    }
}

/// Looks at an account and prints what was found. The exit code is 0 where it is healthy, 1 where it is not or could not
/// be looked at, and 2 where a flag is wrong or a right is missing.
pub fn run(arguments: CheckArguments) -> ExitCode {
    let logs = telemetry::start(arguments.log_format.into(), &arguments.log_level, None);
    let looked = logs.map_err(|error| Failure::from(chain(&error))).and_then(|logs| {
        logs.finish();
        started(arguments)
    });
    match looked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure { message, code }) => {
            let _ = writeln!(io::stderr(), "scrobble-operator: {message}");
            code
        }
    }
}

fn started(arguments: CheckArguments) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| chain(&error))?;
    let looked = runtime.block_on(check(arguments));
    runtime.shutdown_timeout(LAST_THREADS);
    looked
}

/// Answers whether the account is healthy.
async fn check(arguments: CheckArguments) -> Result<bool, Failure> {
    let client = runtime::client(arguments.kubeconfig.as_deref(), arguments.context.as_deref())
        .await
        .map_err(|error| format!("{}: name a kubeconfig that works with --kubeconfig and --context", chain(&error)))?;
    let failed = |error: reqwest::Error| chain(&error);
    let holder = format!("check_{}", crate::domain::digest::hexadecimal(&rand::random::<[u8; 8]>()));
    let tools = Tools {
        cluster: Cluster::new(client, holder.clone()),
        spotify: Spotify::new(
            build_open_client().map_err(failed)?,
            arguments.spotify.accounts_url,
            arguments.spotify.api_url,
        ),
        http: GuardedClient::new(&AllowedRanges::default()).map_err(failed)?,
        clock: Arc::new(clock()?),
        holder,
        refresh_buffer: arguments.refresh_buffer.duration(),
    };
    let diagnosis = diagnosed(tools, &arguments.account).await?;
    let text = printed(&diagnosis, arguments.output)?;
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| chain(&error))?;
    Ok(diagnosis.healthy)
}

/// However it ends, new tokens are stored first.
async fn diagnosed(tools: Tools, account: &ObjectName) -> Result<Diagnosis, Failure> {
    let told = |error: crate::reconcile::guest::GuestError| Failure {
        message: chain(&error),
        code: if error.is_forbidden() { ExitCode::from(UNABLE) } else { ExitCode::FAILURE },
    };
    let guest = Guest::of(tools, account).await.map_err(told)?;
    let looked = tokio::select! {
        looked = guest.diagnose() => looked.map_err(told),
        () = runtime::asked_to_stop() => Err("interrupted".to_owned().into()),
    };
    guest.stop();
    guest.finish().await;
    looked
}

fn printed(diagnosis: &Diagnosis, format: OutputFormat) -> Result<String, String> {
    match format {
        OutputFormat::Table => Ok(table(diagnosis)),
        OutputFormat::Json => {
            serde_json::to_string_pretty(diagnosis).map(|text| format!("{text}\n")).map_err(|error| chain(&error))
        }
        OutputFormat::Yaml => serde_yaml::to_string(diagnosis).map_err(|error| chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_namespace_and_name() {
        assert_eq!(account("music/alice"), Ok(ObjectName::new("music", "alice")));
        for text in ["alice", "/alice", "music/", "music/alice/x", ""] {
            assert!(account(text).is_err(), "{text}");
        }
    }
}
