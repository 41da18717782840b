//! Which spans and events go where.

use std::str::FromStr;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

/// The crate, which is the first part of the target of whatever it says.
const OURS: &str = "scrobble_operator";

/// What is logged: a level, or a list of filters such as `scrobble_operator=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

/// Text that is no filter of log lines.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{directive}` is neither a level (error, warn, info, debug, trace or off) nor a filter such as `scrobble_operator=debug`"
)]
pub struct LogFilterError {
    directive: String,
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        for directive in text.split(',') {
            let directive = directive.trim();
            // A single word that is no level would be the name of a crate: whoever misspells a level gets no line at all.
            let is_filter = directive.contains(['=', '[']) || directive.split("::").next() == Some(OURS);
            let is_known = directive.parse::<LevelFilter>().is_ok() && !directive.is_empty();
            let is_good = is_known || (is_filter && EnvFilter::try_new(directive).is_ok());
            if !is_good {
                return Err(LogFilterError { directive: directive.to_owned() });
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl LogFilter {
    /// What becomes log lines, and the spans that are shown with them. No filter brings out what other crates say below
    /// `info`: they print headers, bodies and URLs at their finer levels.
    pub(super) fn logged<S>(&self) -> impl Filter<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        let asked_for = EnvFilter::try_new(&self.0).unwrap_or_else(|_| EnvFilter::new("info"));
        // What is asked before a line of the crate `log` is made is neither span nor event.
        let lines =
            filter_fn(|metadata| !metadata.is_span() && (is_ours(metadata) || *metadata.level() <= Level::INFO));
        // Whom a line is about is told at every level of lines.
        let spans = filter_fn(|metadata| metadata.is_span() && is_ours(metadata) && *metadata.level() <= Level::INFO);
        // Without a hint every crate would be asked about its finest level at every call.
        let lines = asked_for.and(lines.with_max_level_hint(LevelFilter::TRACE));
        lines.or(spans.with_max_level_hint(LevelFilter::INFO))
    }
}

/// What becomes spans and their events. Other crates' spans hold URLs, and are many.
pub(super) fn traced() -> FilterFn {
    let traced =
        |metadata: &Metadata<'_>| is_ours(metadata) && (metadata.is_span() || *metadata.level() <= Level::INFO);
    FilterFn::new(traced as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::DEBUG)
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some(OURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_told_from_what_would_silence_everything() {
        for good in [
            "info",
            "WARN",
            "off",
            "scrobble_operator=debug",
            "scrobble_operator::reconcile",
            "warn, scrobble_operator::reconcile=trace",
            "info,kube=off",
            "warn,[reconcile{account=music/alice}]=debug",
        ] {
            assert_eq!(good.parse::<LogFilter>().map(|filter| filter.0).as_deref(), Ok(good));
        }
        for (bad, directive) in [
            ("", ""),
            ("verbose", "verbose"),
            ("warning", "warning"),
            ("info,loud", "loud"),
            ("scrobble_operator=loud", "scrobble_operator=loud"),
            ("info,", ""),
        ] {
            let error = bad.parse::<LogFilter>().unwrap_err();
            assert_eq!(error, LogFilterError { directive: directive.to_owned() }, "{bad:?}");
        }
    }
}
