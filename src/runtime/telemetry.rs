//! Logs.

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::reconcile::panics;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Starts logging to standard error. `level` is a filter such as `info` or `scrobble_operator=debug`; one that cannot
/// be read counts as `info`. No filter brings out what other crates say below `info`.
pub fn start(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        // The message may hold data: the place is enough to find the fault.
        let place = panics::note(panic.location());
        tracing::error!(%place, "the operator panicked");
    }));
    // A second start keeps the first one's settings.
    drop(started);
}

/// The crates underneath print headers, bodies and URLs at their finer levels: only our own words are printed there.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().split("::").next() == Some("scrobble_operator");
    ours || *metadata.level() <= Level::INFO
}
