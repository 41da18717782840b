//! Why a condition is as it is.

use std::fmt;

/// Writes each reason once: its name and the sentence that documentation and code share.
macro_rules! reasons {
    ($($name:ident: $description:literal,)+) => {
        /// The closed set of reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $description] $name,)+
        }

        impl Reason {
            /// All reasons, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word as it stands in `conditions[].reason`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// One sentence: what it means and who must do what.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)+
                }
            }
        }
    };
}

reasons! {
    Succeeded: "Everything is in order.",
    Progressing: "The object was seen and its first visit is not over; nothing to do.",
    Suspended: "`spec.suspend` is set; nothing is read or delivered until it is taken away.",
    SecretNotFound: "A Secret that is referred to does not exist; create it.",
    SecretKeyMissing: "A Secret exists but lacks the key that is needed; add it.",
    SecretInvalid: "A value in a Secret is empty, too long, holds control characters or cannot be parsed; replace it.",
    SecretNotLabelled: "A Secret lacks the `scrobble-operator.io/use` label for this use; label it.",
    SecretInUse: "An older account holds this token Secret; give this account its own.",
    SecretImmutable: "The token Secret is `immutable: true`; replace it with one that can be written.",
    SecretWriteForbidden:
        "The operator may not write the token Secret; grant it `update` on Secrets of the namespace.",
    AppNotFound:
        "The `SpotifyApp` named in `appRef` does not exist in the account's namespace; create it or name another.",
    TargetNotFound:
        "A `ScrobbleTarget` named in `targetRef` does not exist in the account's namespace; create it or name another.",
    PlanNotFound: "The plan named in `fallback` does not exist; create it or name another.",
    ReferenceNotAllowed:
        "An object of another namespace, or a plan, does not exist or is not shared with this namespace.",
    ClientCredentialsInvalid:
        "Spotify refuses the app's client id or secret (`invalid_client`); the app's owner must correct the client Secret, which is looked at every minute.",
    AuthorizationRequired: "There is no usable refresh token yet; the listener must authorize the app.",
    AuthorizationRevoked:
        "Spotify no longer accepts the refresh token (`invalid_grant`); the listener must authorize the app again.",
    AuthorizationExpired: "The authorization is older than Spotify allows; the listener must authorize the app again.",
    AuthorizationExpiring: "The authorization ends within 30 days; the listener should authorize the app again.",
    RefreshInterrupted:
        "A token exchange was cut off and the old token no longer works; the listener must authorize the app again.",
    ListenerMismatch: "The token belongs to another Spotify user than before; put back a token of the same listener.",
    DuplicateListener: "An older account already serves this Spotify user at this target; the target stays idle here.",
    ScopeInsufficient: "The token lacks the scope to read plays; the listener must authorize the app again.",
    UserNotAllowlisted:
        "The Spotify app is in development mode and does not list this user; the app's owner must add the user.",
    AppOwnerNotPremium: "Spotify asks that the owner of a development-mode app has Premium; the app's owner must act.",
    RateLimited: "Spotify or a service asked to wait; the operator does, and continues by itself.",
    QuotaExceeded:
        "The daily quota of the Spotify developer account is used up; the operator waits for it to be renewed.",
    UpstreamUnavailable: "Spotify or a service answers with an error of its own; the operator tries again.",
    NetworkError: "Spotify or a service cannot be reached; the operator tries again.",
    CircuitOpen: "Too many failures in a row; the operator waits and probes with one request.",
    TargetFailing: "A target's circuit breaker is open; plays wait in the journal for it.",
    TargetUnauthorized: "A target refuses the listener's key; replace it.",
    GapDetected: "More plays were heard between two reads than Spotify shows; some may be lost.",
    BudgetTooSmall:
        "The calls allowed per day do not suffice for this listening; raise `dailyCalls` or share the app among fewer accounts.",
    NoSeatLeft: "The plan has no seat left; raise `seats`, or name a `fallback`.",
    JournalFull:
        "The journal of waiting plays is nearly full; when it is, plays are lost once Spotify no longer shows them. Mend the target, or remove its entry.",
    JournalUnreadable: "The journal Secret holds plays that this version cannot read, set aside under its keys `unreadable…`; go back to the version that wrote them, or keep a copy and remove these keys, then request a read.",
    ConfigurationInvalid: "Fields contradict each other in a way that the schema cannot see; the message names them.",
    AddressRefused:
        "A URL leads to a private, loopback or link-local address that `--allow-private-targets` does not name.",
    ForeignScrobbler: "Another program already sends this listener's plays to the target; stop one of them.",
    TargetSuspended: "The webhook answered 410 Gone and wants no more plays; change or remove the target.",
    ObjectUnreadable:
        "The object was written for another version of the schema; upgrade the operator or correct the object.",
    InternalError:
        "A fault of the operator at the place that the message names; please report it. The operator tries again by itself.",
}

impl Reason {
    /// The reason with this name; none for one that this version does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_is_listed_once_and_found_by_its_name() {
        let names: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
            assert_eq!(format!("{reason:?}"), reason.as_str());
        }
    }

    #[test]
    fn every_name_is_what_the_api_server_accepts_as_a_reason() {
        for &reason in Reason::ALL {
            assert!(reason.as_str().chars().all(|character| character.is_ascii_alphabetic()), "{reason}");
            assert!(reason.description().ends_with('.'), "{reason}");
        }
    }
}
