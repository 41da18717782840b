//! What the API server was asked, by its own count (`apiserver_request_total`).
//!
//! The metric does not tell who asked. Nobody else touches the resources that are counted while a window is open.

use std::collections::BTreeMap;

/// The metric: <https://kubernetes.io/docs/reference/instrumentation/metrics/>.
const METRIC: &str = "apiserver_request_total{";
/// What a controller of our kinds asks for. Leases are not here: each process renews its own, whatever it does.
const RESOURCES: [&str; 7] =
    ["events", "namespaces", "scrobbleplans", "scrobbletargets", "secrets", "spotifyaccounts", "spotifyapps"];
/// Verbs that change something, as the metric names them.
const WRITES: [&str; 5] = ["APPLY", "DELETE", "PATCH", "POST", "PUT"];
/// A watch is counted when it ends, and asked for again every few minutes, whatever the load.
const WATCH: &str = "WATCH";

/// Requests by verb and resource, such as `PATCH spotifyaccounts/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// Reads the API server's metrics.
    pub fn parse(metrics: &str) -> Self {
        let mut found = BTreeMap::new();
        for line in metrics.lines() {
            let Some((labels, value)) = line.strip_prefix(METRIC).and_then(|rest| rest.rsplit_once("} ")) else {
                continue;
            };
            let label = |name: &str| label(labels, name).unwrap_or_default();
            let (verb, resource, subresource) = (label("verb"), label("resource"), label("subresource"));
            if verb == WATCH || !RESOURCES.contains(&resource) {
                continue;
            }
            let Some(count) = count(value) else { continue };
            let slash = if subresource.is_empty() { "" } else { "/" };
            *found.entry(format!("{verb} {resource}{slash}{subresource}")).or_default() += count;
        }
        Self(found)
    }

    /// Those that came after `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let left = |(name, count): (&String, &u64)| {
            let known = before.0.get(name).copied().unwrap_or(0);
            (*count > known).then(|| (name.clone(), count - known))
        };
        Self(self.0.iter().filter_map(left).collect())
    }

    /// How many.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many of them could change something.
    pub fn writes(&self) -> u64 {
        let is_write = |name: &str| WRITES.iter().any(|verb| name.split(' ').next() == Some(verb));
        self.0.iter().filter(|(name, _)| is_write(name)).map(|(_, count)| count).sum()
    }

    /// In words, the most frequent first: `1000 GET secrets, 20 PATCH spotifyaccounts/status`.
    pub fn text(&self) -> String {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        let words: Vec<String> = entries.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

/// The value of a label. None of those that are read has an escaped character.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("{name}=\"");
    let at = labels.match_indices(&begin).map(|(at, _)| at).find(|at| *at == 0 || labels[..*at].ends_with(','))?;
    labels[at + begin.len()..].split('"').next()
}

/// A count, which is printed as a float: `1.234567e+06`.
fn count(text: &str) -> Option<u64> {
    let value: f64 = text.trim().parse().ok().filter(|value: &f64| *value >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "requests of minutes")]
    Some(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 1.5e+03
apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="scrobble-operator.io",resource="spotifyaccounts",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 40
apiserver_request_total{code="200",component="apiserver",dry_run="",group="scrobble-operator.io",resource="spotifyaccounts",scope="namespace",subresource="",verb="WATCH",version="v1alpha1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 90
apiserver_request_total{code="200",component="",dry_run="",group="",resource="",scope="",subresource="/readyz",verb="GET",version=""} 12
apiserver_request_duration_seconds_count{resource="secrets",verb="GET"} 77
"#;

    #[test]
    fn requests_are_counted_by_verb_and_resource() {
        let requests = Requests::parse(METRICS);
        assert_eq!(requests.text(), "1502 GET secrets, 40 PATCH spotifyaccounts/status");
        assert_eq!((requests.total(), requests.writes()), (1_542, 40));
    }

    #[test]
    fn only_what_came_since_is_told() {
        let before = Requests::parse(METRICS);
        let after = Requests::parse(&METRICS.replace("} 40", "} 45"));
        assert_eq!(after.since(&before).text(), "5 PATCH spotifyaccounts/status");
        assert_eq!(before.since(&before).text(), "none");
        // A server that was started anew counts from nothing.
        assert_eq!(Requests::default().since(&before).total(), 0);
    }

    #[test]
    fn a_label_is_not_found_within_another_one() {
        assert_eq!(label(r#"subresource="status",resource="secrets""#, "resource"), Some("secrets"));
        assert_eq!(label(r#"verb="GET""#, "resource"), None);
    }
}
