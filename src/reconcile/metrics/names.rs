//! Every metric: its name, kind, labels and meaning. `docs/metrics.md` is written from this file.

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives; its name ends in `_total`.
    Counter,
    /// A value at the time of the scrape.
    Gauge,
    /// Counts by size, in buckets.
    Histogram,
    /// Always 1: its labels tell. Text 0.0.4 has no such kind, and calls it a gauge.
    Info,
}

impl Kind {
    /// The word of OpenMetrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// Where a metric comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This process, counted from its start. Standbys tell it, too.
    Process,
    /// The watched objects, at the time of the scrape; on duty only.
    Store,
    /// One account; on duty, unless switched off, and for a bounded number of accounts.
    Account,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The name as a query has it; a histogram's is that without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
    /// What it tells, without a full stop and without quotation marks.
    pub help: &'static str,
    /// Where it comes from.
    pub part: Part,
}

impl Name {
    /// The name of the family: a counter's without `_total`, an info's without `_info` (OpenMetrics 1.0, "Metric types").
    pub fn family(&self) -> &'static str {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(suffix).unwrap_or(self.name)
    }
}

macro_rules! names {
    ($($constant:ident $part:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $constant: Name =
                Name { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help, part: Part::$part };
        )*

        /// All of them.
        pub const ALL: &[Name] = &[$($constant),*];
    };
}

names! {
    RECONCILES Process Counter "controller_runtime_reconcile_total" ["controller", "result"]
        "Passes over objects: success waits for a change, requeue_after for a time, error is tried again";
    RECONCILE_ERRORS Process Counter "controller_runtime_reconcile_errors_total" ["controller"]
        "Passes that the API server, a panic or a deadline ended";
    RECONCILE_PANICS Process Counter "controller_runtime_reconcile_panics_total" ["controller"]
        "Passes that panicked: faults of the operator";
    RECONCILE_TIMEOUTS Process Counter "controller_runtime_reconcile_timeouts_total" ["controller"]
        "Passes that were cut off because they took too long";
    RECONCILE_SECONDS Process Histogram "controller_runtime_reconcile_time_seconds" ["controller"]
        "How long passes took, without the wait for a turn";
    ACTIVE_WORKERS Process Gauge "controller_runtime_active_workers" ["controller"]
        "Passes that run";
    MAX_CONCURRENT Process Gauge "controller_runtime_max_concurrent_reconciles" ["controller"]
        "Passes that may run at the same time";
    BUILD Process Info "scrobble_operator_build_info" ["version", "revision", "rustc"]
        "What was built: the version, the source's revision and the compiler";
    LEADER Process Gauge "scrobble_operator_leader" []
        "1 on duty, 0 on standby";
    QUEUE_DEPTH Process Gauge "scrobble_operator_queue_depth" ["controller"]
        "Passes that wait for a turn";
    LATENESS Process Histogram "scrobble_operator_sync_lateness_seconds" []
        "How long after its time a scheduled read began; waits for gates and budgets are left out";
    SPOTIFY_REQUESTS Process Counter "scrobble_operator_spotify_requests_total" ["endpoint", "class"]
        "Requests to Spotify by what the answer says";
    SPOTIFY_SECONDS Process Histogram "scrobble_operator_spotify_request_duration_seconds" ["endpoint"]
        "How long Spotify took to answer";
    TARGET_REQUESTS Process Counter "scrobble_operator_target_requests_total" ["type", "endpoint", "class"]
        "Requests to scrobble services by the status of the answer";
    TARGET_SECONDS Process Histogram "scrobble_operator_target_request_duration_seconds" ["type", "endpoint"]
        "How long scrobble services took to answer";
    NOTIFICATION_REQUESTS Process Counter "scrobble_operator_notification_requests_total" ["class"]
        "Requests to notification webhooks by the status of the answer";
    KUBERNETES_REQUESTS Process Counter "scrobble_operator_kubernetes_requests_total" ["verb", "resource", "class"]
        "Requests to the API server, watches apart; one that the client repeats by itself counts once";
    REFRESHES Process Counter "scrobble_operator_token_refreshes_total" ["outcome"]
        "Refreshes of access tokens that were begun, by how they ended";
    ROTATIONS Process Counter "scrobble_operator_token_rotations_total" []
        "Refresh tokens that Spotify replaced and that are stored";
    PLAYS_READ Process Counter "scrobble_operator_plays_read_total" []
        "Plays that Spotify showed for the first time";
    PLAYS_DELIVERED Process Counter "scrobble_operator_plays_delivered_total" ["type"]
        "Plays that a target accepted, or had already, each at each target";
    PLAYS_REFUSED Process Counter "scrobble_operator_plays_quarantined_total" ["type"]
        "Plays that a target will never accept and that were set aside";
    PLAYS_SKIPPED Process Counter "scrobble_operator_plays_skipped_total" []
        "Entries of Spotify's page that no target can take: no track, no title, no artist, or an episode";
    EXCHANGES Process Gauge "scrobble_operator_exchanges_in_flight" []
        "Token exchanges whose tokens are not stored yet";
    OMITTED Process Gauge "scrobble_operator_metrics_account_series_omitted" []
        "Accounts whose own series are left out because of the bound";

    ACCOUNTS Store Gauge "scrobble_operator_accounts" ["app_namespace", "app", "ready"]
        "Accounts by app and status of Ready (True, False or Unknown); those that are suspended apart (Suspended)";
    ACCOUNTS_STALLED Store Gauge "scrobble_operator_accounts_stalled" ["app_namespace", "app", "reason"]
        "Accounts that need a human, by reason of Ready";
    REAUTHORIZATION_DUE Store Gauge "scrobble_operator_accounts_reauthorization_due" ["app_namespace", "app"]
        "Accounts whose authorization may end within 7 days; those that are suspended or need a human anyway are left out";
    PLAYS_PENDING Store Gauge "scrobble_operator_plays_pending" ["app_namespace", "app"]
        "Plays that wait for a target, over all accounts of an app and their targets";
    PLAYS_IN_QUARANTINE Store Gauge "scrobble_operator_plays_in_quarantine" ["app_namespace", "app"]
        "Plays that a target refused for good and that are set aside, over all accounts of an app";
    PLAYS_LOST Store Gauge "scrobble_operator_plays_lost_at_most" ["app_namespace", "app"]
        "At most so many plays were lost, over all accounts of an app since each was created";
    APP_READY Store Gauge "scrobble_operator_app_ready" ["namespace", "name"]
        "Whether the app is Ready";
    APP_CIRCUIT_OPEN Store Gauge "scrobble_operator_app_circuit_open" ["namespace", "name"]
        "Whether the app's breaker keeps requests from Spotify";
    APP_GATE Store Gauge "scrobble_operator_app_gate_seconds" ["namespace", "name", "limit"]
        "Seconds until Spotify may be asked again by its 30-second limit (rate) or daily quota (quota); 0 is now";
    BUDGET_CALLS Store Gauge "scrobble_operator_app_budget_calls" ["namespace", "name"]
        "Calls that the app has reserved in the rolling 24 hours";
    BUDGET_LIMIT Store Gauge "scrobble_operator_app_budget_limit_calls" ["namespace", "name"]
        "Calls that the app's quota group may make in any 24 hours; 0 is unlimited";
    BUDGET_TOO_SMALL Store Gauge "scrobble_operator_app_budget_too_small" ["namespace", "name"]
        "Whether the budget is too small for the accounts";
    APP_LAST_READ Store Gauge "scrobble_operator_app_seconds_since_last_read" ["namespace", "name"]
        "Seconds since Spotify was last read for any account of the app that is not suspended; since this process is on duty where none was yet";
    APP_INTERVAL Store Gauge "scrobble_operator_app_interval_seconds" ["namespace", "name"]
        "The shortest interval in force of the app's accounts that are not suspended; absent without such accounts";
    TARGET_READY Store Gauge "scrobble_operator_target_ready" ["namespace", "name", "type"]
        "Whether the target is Ready";
    TARGET_CIRCUIT_OPEN Store Gauge "scrobble_operator_target_circuit_open" ["namespace", "name", "type"]
        "Whether the target's breaker keeps plays from it";
    TARGET_GATE Store Gauge "scrobble_operator_target_gate_seconds" ["namespace", "name", "type"]
        "Seconds until the service may be called again, as it asked; 0 is now";
    TARGET_PENDING Store Gauge "scrobble_operator_target_plays_pending" ["namespace", "name", "type"]
        "Plays that wait for the target, over all accounts that are not suspended and need nobody to do something first";
    TARGET_LAST_DELIVERY Store Gauge "scrobble_operator_target_seconds_since_last_delivery" ["namespace", "name", "type"]
        "Seconds since the target last accepted a play; since this process is on duty where it never did";
    PLAN_SEATS Store Gauge "scrobble_operator_plan_seats" ["name"]
        "Seats of the plan; absent where they are not limited";
    PLAN_SEATS_TAKEN Store Gauge "scrobble_operator_plan_seats_taken" ["name"]
        "Seats of the plan that are taken";

    ACCOUNT_READY Account Gauge "scrobble_operator_account_ready" ["namespace", "name"]
        "Whether the account is Ready";
    ACCOUNT_INFO Account Gauge "scrobble_operator_account_info"
        ["namespace", "name", "app_namespace", "app", "reason", "plan"]
        "1; the labels tell the account's app, its reason of Ready and its plan";
    ACCOUNT_STALLED Account Gauge "scrobble_operator_account_stalled" ["namespace", "name"]
        "Whether the account needs a human";
    ACCOUNT_SUSPENDED Account Gauge "scrobble_operator_account_suspended" ["namespace", "name"]
        "Whether the account is suspended";
    ACCOUNT_TOKEN_EXPIRY Account Gauge "scrobble_operator_account_token_expiry_seconds" ["namespace", "name"]
        "Seconds until the access token expires; negative once it has; absent while that is not known";
    ACCOUNT_REAUTHORIZATION Account Gauge "scrobble_operator_account_reauthorization_seconds" ["namespace", "name"]
        "Seconds until the listener's authorization may end; absent while that is not known";
    ACCOUNT_LAST_REFRESH Account Gauge "scrobble_operator_account_seconds_since_last_refresh" ["namespace", "name"]
        "Seconds since the access token was refreshed; absent where it never was";
    ACCOUNT_LAST_SCROBBLE Account Gauge "scrobble_operator_account_seconds_since_last_scrobble" ["namespace", "name"]
        "Seconds since a target accepted a play; absent where none did";
    ACCOUNT_PENDING Account Gauge "scrobble_operator_account_plays_pending" ["namespace", "name"]
        "Plays that wait, over all targets of the account";
    ACCOUNT_FAILURES Account Gauge "scrobble_operator_account_consecutive_failures" ["namespace", "name"]
        "Failures in a row of refreshing and reading";
    ACCOUNT_CIRCUIT_OPEN Account Gauge "scrobble_operator_account_circuit_open" ["namespace", "name"]
        "Whether the account's own breaker keeps requests from Spotify";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_kind_and_no_two_are_the_same() {
        let mut seen = std::collections::BTreeSet::new();
        for name in ALL {
            // OpenMetrics has families, and `a` and `a_total` would be one.
            assert!(seen.insert(name.family()), "{} twice", name.name);
            assert_eq!(name.name.ends_with("_total"), name.kind == Kind::Counter, "{}", name.name);
            let known = ["scrobble_operator_", "controller_runtime_"];
            assert!(known.iter().any(|prefix| name.name.starts_with(prefix)), "{}", name.name);
            let plain =
                |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
            assert!(name.name.chars().all(plain), "{}", name.name);
            assert!(name.labels.iter().all(|label| label.chars().all(plain)), "{}", name.name);
            assert!(!name.help.ends_with('.') && !name.help.contains(['"', '\\', '\n', '|']), "{}", name.name);
        }
    }
}
