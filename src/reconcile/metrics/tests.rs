//! The exposition as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{ALL, Kind, Part};
use super::*;

fn metrics() -> Metrics {
    Metrics::new(Build { version: "1.2.3", revision: "a\"b", rustc: "1.92.0" })
}

fn standing() -> Standing {
    Standing { leader: true, exchanges: 2 }
}

/// What a parser of either form sees: families with their types, and the samples below each.
fn parsed(text: &str, format: Format) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    let (mut current, mut help) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    let body = match format {
        Format::OpenMetrics => text.strip_suffix("# EOF\n").unwrap(),
        Format::Text => text,
    };
    assert!(text.ends_with('\n') && !body.contains("# EOF") && !body.contains("\n\n"));
    for line in body.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            told.split_once(' ').unwrap().0.clone_into(&mut help);
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            assert_eq!(name, help, "help and type stand together");
            name.clone_into(&mut current);
            assert!(families.insert(name.to_owned(), (kind.to_owned(), Vec::new())).is_none(), "{name} twice");
        } else {
            assert!(!line.starts_with('#'), "{line}");
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series.to_owned()), "{series} twice");
            let (kind, samples) = families.get_mut(&current).unwrap();
            let name = series.split('{').next().unwrap();
            let suffixes: &[&str] = match (format, kind.as_str()) {
                (_, "histogram") => &["_bucket", "_sum", "_count"],
                (Format::OpenMetrics, "counter") => &["_total"],
                (Format::OpenMetrics, "info") => &["_info"],
                _ => &[""],
            };
            assert!(suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(&current)), "{series} of {current}");
            samples.push(series.to_owned());
        }
    }
    families
}

#[test]
fn both_forms_are_sound_and_hold_every_metric_of_the_process_from_the_start() {
    let metrics = metrics();
    for format in [Format::OpenMetrics, Format::Text] {
        let text = metrics.render(format, standing(), None, Some(10));
        let families = parsed(&text, format);
        let mut named = BTreeSet::new();
        for name in ALL.iter().filter(|name| name.part == Part::Process) {
            let (family, kind) = match (format, name.kind) {
                (Format::OpenMetrics, kind) => (name.family(), kind),
                (Format::Text, Kind::Info) => (name.name, Kind::Gauge),
                (Format::Text, kind) => (name.name, kind),
            };
            let (told, samples) = families.get(family).unwrap_or_else(|| panic!("{family} is missing: {text}"));
            assert_eq!(told, kind.as_str(), "{family}");
            assert!(!samples.is_empty(), "{family} has no series");
            for label in name.labels {
                assert!(samples.iter().all(|sample| sample.contains(&format!("{label}=\""))), "{family}: {label}");
            }
            named.insert(family);
        }
        let unknown: Vec<&String> = families.keys().filter(|family| !named.contains(family.as_str())).collect();
        assert!(unknown.is_empty(), "not in the file of names: {unknown:?}");
        for line in [
            "controller_runtime_reconcile_total{controller=\"scrobbleplan\",result=\"error\"} 0",
            "scrobble_operator_build_info{version=\"1.2.3\",revision=\"a\\\"b\",rustc=\"1.92.0\"} 1",
            "scrobble_operator_leader 1",
            "scrobble_operator_exchanges_in_flight 2",
            "scrobble_operator_metrics_account_series_omitted 0",
            "scrobble_operator_spotify_requests_total{endpoint=\"recently_played\",class=\"quota\"} 0",
            "scrobble_operator_target_requests_total{type=\"Webhook\",endpoint=\"submit\",class=\"success\"} 0",
            "scrobble_operator_plays_read_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}

#[test]
fn what_is_counted_is_told() {
    let metrics = metrics();
    metrics.refreshed(&RefreshOutcome::Superseded);
    metrics.refreshed(&RefreshOutcome::CommitPending);
    metrics.late(SignedDuration::from_secs(3));
    let each = |deliveries: &[Delivery]| (Vec::new(), Submission::Each(deliveries.to_vec()));
    let submissions = vec![
        each(&[Delivery::Accepted, Delivery::Suspended, Delivery::AlreadyThere]),
        (Vec::new(), Submission::BatchRefused),
        each(&[Delivery::Accepted]),
    ];
    metrics.delivered(TargetType::ALL[2], &TargetProgress { submissions, ..TargetProgress::default() });
    let text = metrics.render(Format::Text, standing(), None, None);
    for line in [
        "scrobble_operator_token_refreshes_total{outcome=\"superseded\"} 1",
        "scrobble_operator_token_refreshes_total{outcome=\"success\"} 0",
        "scrobble_operator_sync_lateness_seconds_bucket{le=\"2.0\"} 0",
        "scrobble_operator_sync_lateness_seconds_bucket{le=\"5.0\"} 1",
        "scrobble_operator_plays_delivered_total{type=\"Maloja\"} 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_request_that_did_not_leave_is_none() {
    let metrics = metrics();
    let me = metrics.spotify(SpotifyEndpoint::Me);
    for class in [Some(words::Class::Timeout), None] {
        me.counted(std::future::ready(()), |()| class).await;
    }
    let text = metrics.render(Format::Text, standing(), None, None);
    let count = "scrobble_operator_spotify_request_duration_seconds_count{endpoint=\"me\"} 1";
    assert!(text.lines().any(|line| line == count), "{text}");
}

#[test]
fn lateness_is_that_of_scheduled_reads_without_what_held_them() {
    let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let ago = |seconds: i64| now - SignedDuration::from_secs(seconds);
    for (due, held_until, expected) in [
        (Due::Read(ago(5)), None, Some(5)),
        (Due::Read(ago(5)), Some(ago(2)), Some(2)),
        (Due::Read(ago(5)), Some(ago(9)), Some(5)),
        (Due::Read(ago(5)), Some(ago(-9)), Some(0)),
        (Due::Read(now), None, None),
        (Due::Read(ago(-60)), None, None),
        (Due::Poll, None, None),
        (Due::Refresh(ago(5)), None, None),
    ] {
        assert_eq!(lateness(due, held_until, now), expected.map(SignedDuration::from_secs), "{due:?}, {held_until:?}");
    }
}
