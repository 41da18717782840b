//! The two forms of `/metrics`: OpenMetrics 1.0, and Prometheus' text 0.0.4, which Prometheus reads since its first
//! release (prometheus.io, "Exposition formats").

use std::fmt::Write as _;

use super::names::Name;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Text 0.0.4.
    Text,
}

impl Format {
    /// The media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The form that a client asks for by `Accept` (RFC 9110, section 12.5.1): OpenMetrics where it is named and nothing
    /// else is preferred, else text, also to whoever accepts neither.
    pub fn of_accept(accept: &str) -> Self {
        let mut open_metrics = 0;
        // How exactly a range names text 0.0.4, and how much it is wanted.
        let mut text = (0, 0);
        for range in accept.split(',').filter_map(Range::parse) {
            match range.media_type.as_str() {
                "application/openmetrics-text" if range.is_version("1.0.0") => {
                    open_metrics = open_metrics.max(range.quality);
                }
                "text/plain" if range.is_version("0.0.4") => text = text.max((3, range.quality)),
                "text/*" => text = text.max((2, range.quality)),
                "*/*" => text = text.max((1, range.quality)),
                _ => {}
            }
        }
        if open_metrics > 0 && open_metrics >= text.1 { Self::OpenMetrics } else { Self::Text }
    }
}

/// One range of `Accept`.
struct Range {
    media_type: String,
    version: Option<String>,
    /// In thousandths.
    quality: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next()?.to_ascii_lowercase();
        let mut range = Self { media_type, version: None, quality: 1000 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = thousandths(value)?,
                "version" => range.version = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(range)
    }

    fn is_version(&self, version: &str) -> bool {
        self.version.as_deref().is_none_or(|asked| asked == version)
    }
}

/// A weight, at most 1 with three digits behind the point.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let value = whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    (value <= 1000).then_some(value)
}

/// Appends what was encoded as OpenMetrics, without its end, in the form asked for.
pub(super) fn append(out: &mut String, encoded: &str, format: Format) {
    match format {
        Format::OpenMetrics => out.push_str(encoded),
        Format::Text => older(out, encoded),
    }
}

/// Ends an exposition.
pub(super) fn end(out: &mut String, format: Format) {
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
}

/// Text 0.0.4 of an OpenMetrics text: there a counter's family is named like its series, an info is a gauge, and neither
/// units nor an end are told.
fn older(out: &mut String, encoded: &str) {
    let mut help = "";
    for line in encoded.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            help = told.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|told| told.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            let _ = writeln!(out, "# HELP {family}{suffix} {help}\n# TYPE {family}{suffix} {kind}");
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
}

/// Writes gauges, which both forms have alike. A metric without a sample is left out.
pub(super) fn gauges<L: AsRef<str>>(out: &mut String, name: &Name, samples: impl IntoIterator<Item = (L, i64)>) {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return;
    }
    // Writing to a String does not fail.
    let _ = writeln!(out, "# HELP {0} {1}.\n# TYPE {0} gauge", name.name, name.help);
    for (labels, value) in samples {
        let _ = writeln!(out, "{}{} {value}", name.name, labels.as_ref());
    }
}

/// Labels in braces, their values escaped. `keys` are the metric's, in order.
pub(super) fn labels(keys: &[&str], values: &[&str]) -> String {
    let mut text = String::with_capacity(64);
    for (key, value) in keys.iter().zip(values) {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(key);
        text.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    #[test]
    fn the_form_follows_from_what_is_accepted() {
        // What Prometheus sends: 2.30, 2.53 and 3.0, the last two also where they would rather have protobuf.
        let prometheus = [
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.2",
        ];
        assert_eq!(
            prometheus.map(Format::of_accept),
            [Format::Text, Format::OpenMetrics, Format::OpenMetrics, Format::OpenMetrics, Format::Text]
        );
        for (accept, expected) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,*/*;q=0.8", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text ; Version=\"1.0.0\"", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0.5,text/plain", Format::Text),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.5", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.1,*/*;q=0.5", Format::Text),
            ("application/openmetrics-text;q=0.4,text/plain;q=0.3,*/*;q=0.5", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=0,text/plain;q=0", Format::Text),
            ("application/openmetrics-text;q=many", Format::Text),
            ("application/openmetrics-text;q=7,;;,=", Format::Text),
            ("application/*", Format::Text),
        ] {
            assert_eq!(Format::of_accept(accept), expected, "{accept}");
        }
    }

    #[test]
    fn the_older_form_names_families_like_their_series() {
        let encoded = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n\
            # HELP b Built.\n# TYPE b info\nb_info{v=\"# 1\"} 1\n# HELP c C.\n# TYPE c histogram\nc_sum 1.0\n\
            # HELP d D.\n# TYPE d gauge\nd 0\n# EOF\n";
        let mut text = String::new();
        append(&mut text, encoded, Format::Text);
        end(&mut text, Format::Text);
        assert_eq!(
            text,
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total 1\n\
            # HELP b_info Built.\n# TYPE b_info gauge\nb_info{v=\"# 1\"} 1\n# HELP c C.\n# TYPE c histogram\nc_sum 1.0\n\
            # HELP d D.\n# TYPE d gauge\nd 0\n"
        );
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(labels(&["a", "b"], &["x\"y\\z\n", "ü"]), "{a=\"x\\\"y\\\\z\\n\",b=\"ü\"}");
        assert_eq!(labels(&[], &[]), "");
    }

    #[test]
    fn a_metric_without_a_sample_is_left_out() {
        let mut out = String::new();
        gauges(&mut out, &names::LEADER, Vec::<(&str, i64)>::new());
        assert_eq!(out, "");
        gauges(&mut out, &names::LEADER, [("", 1)]);
        assert_eq!(
            out,
            "# HELP scrobble_operator_leader 1 on duty, 0 on standby.\n# TYPE scrobble_operator_leader gauge\nscrobble_operator_leader 1\n"
        );
    }
}
