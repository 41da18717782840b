//! What the probes say of this process: whether it can do its work, and whether it is stuck.

use std::fmt;
use std::time::Duration;

use crate::api::VERSION;

/// So many names are told; the rest is counted.
const TOLD: usize = 8;

/// What this process is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for the Lease.
    StandingBy,
    /// It is on duty.
    OnDuty,
    /// It takes no more work.
    Stopping,
}

/// What is known when somebody asks whether the process is ready.
#[derive(Clone, Debug)]
pub struct Known {
    /// What the process is about.
    pub stage: Stage,
    /// For how long the API server gave no answer; none where it never gave one.
    pub silence: Option<Duration>,
    /// A silence of this length is passed over.
    pub patience: Duration,
    /// What may not be done with the Lease that has to be won.
    pub refused_lease: Vec<&'static str>,
    /// The Lease's namespace.
    pub lease_namespace: String,
    /// Definitions that are not served, as whoever stands by has looked them up; none: not looked up yet.
    pub unserved: Option<Vec<String>>,
    /// The watches of whoever is on duty; none: not begun yet.
    pub watches: Option<Vec<Watch>>,
    /// Refreshes whose tokens are not stored yet.
    pub exchanges: usize,
}

/// A watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Plural and group, as `spotifyapps.scrobble-operator.io`.
    pub resource: String,
    /// The namespace; none: all of them, or a kind that is in none.
    pub namespace: Option<String>,
    /// Whether everything has been listed once.
    pub listed: bool,
    /// What the API server says lately.
    pub trouble: Option<Trouble>,
}

/// Why a watch cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such kind in this version.
    NotServed,
    /// RBAC does not allow it.
    Forbidden {
        /// `list` or `watch`.
        verb: &'static str,
    },
    /// Another HTTP status.
    Answered {
        /// The status.
        code: u16,
    },
}

/// Something that keeps the process from its work, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// It takes no more work.
    Stopping {
        /// Refreshes whose tokens are not stored yet.
        exchanges: usize,
    },
    /// The API server never answered.
    NeverAnswered,
    /// The API server has been silent for longer than this.
    Silent {
        /// The patience.
        patience: Duration,
    },
    /// The Lease cannot be had.
    Lease {
        /// The verbs that are refused.
        verbs: Vec<&'static str>,
        /// The Lease's namespace.
        namespace: String,
    },
    /// Kinds are not served.
    NotServed {
        /// The names of their definitions.
        definitions: Vec<String>,
    },
    /// Rights are missing.
    Forbidden {
        /// Each as `list spotifyapps.scrobble-operator.io in namespace music`.
        rights: Vec<String>,
    },
    /// Objects are not known yet.
    NotSynced {
        /// Each as `spotifyapps.scrobble-operator.io in namespace music`; empty: nothing is known yet.
        watches: Vec<String>,
    },
}

/// All that keeps the process from its work. Nothing: it is ready.
///
/// Whoever stands by is ready if it could take over. Whoever stops is not, whatever else is true; and while the API
/// server is silent nothing else that is known of it counts.
pub fn hindrances(known: &Known) -> Vec<Hindrance> {
    if known.stage == Stage::Stopping {
        return vec![Hindrance::Stopping { exchanges: known.exchanges }];
    }
    match known.silence {
        None => return vec![Hindrance::NeverAnswered],
        Some(silence) if silence > known.patience => return vec![Hindrance::Silent { patience: known.patience }],
        Some(_) => {}
    }
    let mut found = Vec::new();
    if !known.refused_lease.is_empty() {
        let (verbs, namespace) = (known.refused_lease.clone(), known.lease_namespace.clone());
        found.push(Hindrance::Lease { verbs, namespace });
    }
    match known.stage {
        Stage::OnDuty => found.extend(known.watches.as_deref().map_or_else(nothing_known, of_watches)),
        Stage::StandingBy | Stage::Stopping => match &known.unserved {
            None => found.extend(nothing_known()),
            Some(unserved) if unserved.is_empty() => {}
            Some(unserved) => found.push(Hindrance::NotServed { definitions: unserved.clone() }),
        },
    }
    found
}

fn nothing_known() -> Vec<Hindrance> {
    vec![Hindrance::NotSynced { watches: Vec::new() }]
}

fn of_watches(watches: &[Watch]) -> Vec<Hindrance> {
    let (mut definitions, mut rights, mut unlisted) = (Vec::new(), Vec::new(), Vec::new());
    for watch in watches {
        let place = match &watch.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", watch.resource),
            None => watch.resource.clone(),
        };
        match watch.trouble {
            Some(Trouble::NotServed) => definitions.push(watch.resource.clone()),
            Some(Trouble::Forbidden { verb }) => {
                let everywhere = if watch.namespace.is_none() { " in the whole cluster" } else { "" };
                rights.push(format!("{verb} {place}{everywhere}"));
            }
            Some(Trouble::Answered { code }) if !watch.listed => {
                unlisted.push(format!("{place} (the API server answers {code})"));
            }
            None if !watch.listed => unlisted.push(place),
            // What was listed once is watched again in a moment.
            Some(Trouble::Answered { .. }) | None => {}
        }
    }
    definitions.sort();
    definitions.dedup();
    let mut found = Vec::new();
    if !definitions.is_empty() {
        found.push(Hindrance::NotServed { definitions });
    }
    if !rights.is_empty() {
        found.push(Hindrance::Forbidden { rights });
    }
    if !unlisted.is_empty() {
        found.push(Hindrance::NotSynced { watches: unlisted });
    }
    found
}

impl fmt::Display for Hindrance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopping { exchanges: 0 } => write!(formatter, "shutting down"),
            Self::Stopping { exchanges } => write!(
                formatter,
                "shutting down; the tokens of {exchanges} refreshes are not stored yet: the process stays until they are, do not kill it"
            ),
            Self::NeverAnswered => write!(
                formatter,
                "the API server has not answered yet: see that the pod reaches it (network policy, name servers, kubeconfig)"
            ),
            Self::Silent { patience } => write!(
                formatter,
                "the API server has not answered for more than {} s: see that it works, and that the pod reaches it",
                patience.as_secs()
            ),
            Self::Lease { verbs, namespace } => write!(
                formatter,
                "RBAC does not allow to {} leases.coordination.k8s.io in namespace {namespace}, so nobody can go on duty: grant what the chart's Role grants",
                verbs.join(", ")
            ),
            Self::NotServed { definitions } => write!(
                formatter,
                "CustomResourceDefinition missing, or without version {VERSION}: {}: install those of this version of the operator, which its chart brings (crds.install=true)",
                told(definitions)
            ),
            Self::Forbidden { rights } => write!(
                formatter,
                "RBAC does not allow to {}: grant what the chart grants, by rbac.mode and rbac.namespaces",
                told(rights)
            ),
            Self::NotSynced { watches } if watches.is_empty() => {
                write!(formatter, "not synced yet: nothing is listed yet")
            }
            Self::NotSynced { watches } => write!(formatter, "not synced yet: not listed: {}", told(watches)),
        }
    }
}

fn told(names: &[String]) -> String {
    let shown = names.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Why the process has to be started anew; nothing where it goes on.
///
/// The loop that gets and keeps the Lease turns every few seconds whatever the API server does, since all that it waits
/// for has a deadline. One that stands still will never do its work again. A process that holds new tokens in memory is
/// never told to be stuck: killing it loses them.
pub fn stuck(since_last_turn: Duration, patience: Duration, exchanges: usize) -> Option<String> {
    let stuck = since_last_turn > patience && exchanges == 0;
    stuck.then(|| format!("stuck: the loop that keeps the Lease has not turned for more than {} s", patience.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const APPS: &str = "spotifyapps.scrobble-operator.io";
    const PLANS: &str = "scrobbleplans.scrobble-operator.io";

    fn known(stage: Stage) -> Known {
        Known {
            stage,
            silence: Some(Duration::from_secs(5)),
            patience: PATIENCE,
            refused_lease: Vec::new(),
            lease_namespace: "music".to_owned(),
            unserved: Some(Vec::new()),
            watches: Some(vec![watch(APPS, Some("music"), true, None), watch(PLANS, None, true, None)]),
            exchanges: 0,
        }
    }

    fn watch(resource: &str, namespace: Option<&str>, listed: bool, trouble: Option<Trouble>) -> Watch {
        Watch { resource: resource.to_owned(), namespace: namespace.map(str::to_owned), listed, trouble }
    }

    fn said(known: &Known) -> String {
        hindrances(known).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn whoever_can_work_or_take_over_is_ready() {
        for stage in [Stage::StandingBy, Stage::OnDuty] {
            assert_eq!(hindrances(&known(stage)), [], "{stage:?}");
            let patient = Known { silence: Some(PATIENCE), ..known(stage) };
            assert_eq!(hindrances(&patient), [], "{stage:?}");
        }
        // What is not looked at in a stage does not count.
        let standby = Known { watches: None, ..known(Stage::StandingBy) };
        assert_eq!(hindrances(&standby), []);
        let on_duty = Known { unserved: None, ..known(Stage::OnDuty) };
        assert_eq!(hindrances(&on_duty), []);
    }

    #[test]
    fn what_stops_or_hears_nothing_says_that_alone() {
        let lost = |stage| Known {
            refused_lease: vec!["get"],
            unserved: Some(vec![APPS.to_owned()]),
            watches: Some(vec![watch(APPS, None, false, Some(Trouble::NotServed))]),
            ..known(stage)
        };
        for silence in [None, Some(Duration::ZERO), Some(PATIENCE * 2)] {
            let stopping = Known { silence, ..lost(Stage::Stopping) };
            assert_eq!(hindrances(&stopping), [Hindrance::Stopping { exchanges: 0 }]);
        }
        for stage in [Stage::StandingBy, Stage::OnDuty] {
            let never = Known { silence: None, ..lost(stage) };
            assert_eq!(hindrances(&never), [Hindrance::NeverAnswered], "{stage:?}");
            let silent = Known { silence: Some(PATIENCE + Duration::from_millis(1)), ..lost(stage) };
            assert_eq!(hindrances(&silent), [Hindrance::Silent { patience: PATIENCE }], "{stage:?}");
        }
    }

    #[test]
    fn a_stop_tells_of_tokens_in_memory() {
        let stopping = Known { exchanges: 3, ..known(Stage::Stopping) };
        assert_eq!(
            said(&stopping),
            "shutting down; the tokens of 3 refreshes are not stored yet: the process stays until they are, do not kill it"
        );
        assert_eq!(said(&known(Stage::Stopping)), "shutting down");
    }

    #[test]
    fn nothing_is_known_at_first() {
        for stage in [Stage::StandingBy, Stage::OnDuty] {
            let first = Known { watches: None, unserved: None, ..known(stage) };
            assert_eq!(said(&first), "not synced yet: nothing is listed yet", "{stage:?}");
        }
    }

    #[test]
    fn everything_that_is_missing_is_named_with_what_to_do() {
        let standby = Known { unserved: Some(vec![PLANS.to_owned(), APPS.to_owned()]), ..known(Stage::StandingBy) };
        assert_eq!(
            said(&standby),
            "CustomResourceDefinition missing, or without version v1alpha1: scrobbleplans.scrobble-operator.io, \
             spotifyapps.scrobble-operator.io: install those of this version of the operator, which its chart brings \
             (crds.install=true)"
        );
        let watches = vec![
            watch(APPS, Some("one"), false, Some(Trouble::NotServed)),
            watch(APPS, Some("two"), true, Some(Trouble::NotServed)),
            watch(
                "scrobbletargets.scrobble-operator.io",
                Some("one"),
                false,
                Some(Trouble::Forbidden { verb: "list" }),
            ),
            watch("namespaces", None, true, Some(Trouble::Forbidden { verb: "watch" })),
            watch("spotifyaccounts.scrobble-operator.io", Some("one"), false, Some(Trouble::Answered { code: 500 })),
            watch("spotifyaccounts.scrobble-operator.io", Some("two"), true, Some(Trouble::Answered { code: 500 })),
            watch(PLANS, None, false, None),
        ];
        let refused_lease = vec!["create", "update"];
        let on_duty = Known { watches: Some(watches), refused_lease, ..known(Stage::OnDuty) };
        let lines = [
            "RBAC does not allow to create, update leases.coordination.k8s.io in namespace music, so nobody can go on duty: grant what the chart's Role grants",
            "CustomResourceDefinition missing, or without version v1alpha1: spotifyapps.scrobble-operator.io: install those of this version of the operator, which its chart brings (crds.install=true)",
            "RBAC does not allow to list scrobbletargets.scrobble-operator.io in namespace one, watch namespaces in the whole cluster: grant what the chart grants, by rbac.mode and rbac.namespaces",
            "not synced yet: not listed: spotifyaccounts.scrobble-operator.io in namespace one (the API server answers 500), scrobbleplans.scrobble-operator.io",
        ];
        assert_eq!(said(&on_duty), lines.join("\n"));
    }

    #[test]
    fn a_hundred_namespaces_are_counted_and_not_listed() {
        let numbers = 0..100;
        let watches = numbers.map(|number| watch(APPS, Some(&format!("team-{number}")), false, None)).collect();
        let said = said(&Known { watches: Some(watches), ..known(Stage::OnDuty) });
        assert!(said.ends_with("in namespace team-7 and 92 more"), "{said}");
    }

    #[test]
    fn a_loop_that_stands_still_is_stuck_unless_tokens_would_be_lost() {
        let patience = Duration::from_mins(2);
        let still = patience + Duration::from_millis(1);
        assert_eq!(stuck(patience, patience, 0), None);
        assert_eq!(
            stuck(still, patience, 0).as_deref(),
            Some("stuck: the loop that keeps the Lease has not turned for more than 120 s")
        );
        assert_eq!(stuck(still * 1000, patience, 1), None);
    }
}
