//! The table: each failure once, with what is seen of it and what follows.

use super::classes::{
    ASKED, AT_TARGET, BUSY, CLUSTER, CONFIGURED, INTERNAL, NETWORK, PASSING, REFUSED, SECRET, STOPPED, TARGET_ASKS,
};
use super::{Counts, EventType, Facts, MendedBy, Owner, Retry};
use crate::api::condition::{ConditionType, Reason};
use crate::api::v1alpha1::FailureType;

/// Writes each failure once: its name, what is seen, and its facts.
macro_rules! failures {
    ($($name:ident: $seen:literal => $facts:expr;)+) => {
        /// Something that can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Failure {
            $(#[doc = $seen] $name,)+
        }

        impl Failure {
            /// All failures, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What is seen of it.
            pub const fn seen(self) -> &'static str {
                match self {
                    $(Self::$name => $seen,)+
                }
            }

            /// What follows from it.
            pub const fn facts(self) -> Facts {
                match self {
                    $(Self::$name => $facts,)+
                }
            }
        }
    };
}

const AUTHORIZE: &str = "the listener must authorize the app again, with the command that the message names";
const GRANT: &str = "grant the operator get, create, patch and update on Secrets of the namespace";

failures! {
    AuthorizationExpired:
        "Token endpoint: 400 `invalid_grant`, and Spotify calls it expired or the authorization is 180 days old." =>
        Facts { reason: Reason::AuthorizationExpired, remedy: AUTHORIZE, ..REFUSED };
    AuthorizationRevoked:
        "Token endpoint: 400 `invalid_grant`." =>
        Facts { reason: Reason::AuthorizationRevoked, remedy: AUTHORIZE, ..REFUSED };
    RefreshInterrupted:
        "Token endpoint: 400 `invalid_grant` after an exchange that was cut off." =>
        Facts { reason: Reason::RefreshInterrupted, remedy: AUTHORIZE, ..REFUSED };
    ClientRefused:
        "Token endpoint: `invalid_client`, and the app is to blame." =>
        Facts { owner: Owner::App, counts: Counts::App, mended_by: MendedBy::Outside,
            reason: Reason::ClientCredentialsInvalid,
            remedy: "the app's owner must correct the client Secret, or create an app with the right client id",
            ..REFUSED };
    ClientRefusedForToken:
        "Token endpoint: `invalid_client` for this token alone." =>
        Facts { reason: Reason::ConfigurationInvalid, failure_type: FailureType::Configuration,
            remedy: "check the app's client id; else the listener must authorize the app again", ..REFUSED };
    TokenRequestRefused:
        "Token endpoint: `invalid_request`, `unauthorized_client` or `unsupported_grant_type`." =>
        Facts { reason: Reason::ConfigurationInvalid, failure_type: FailureType::Configuration,
            remedy: "the listener must authorize the app again in the way that the app uses", ..REFUSED };
    TokenEndpointLimited:
        "Token endpoint: 429." =>
        ASKED;
    TokenEndpointBusy:
        "Token endpoint: another error, with `Retry-After`. It closes the app's gate: `TokenEndpointLimited` is told in its place." =>
        BUSY;
    TokenEndpointTrouble:
        "Token endpoint: any other error, or an answer that is too large or cannot be read." =>
        PASSING;
    TokenEndpointNetwork:
        "Token endpoint: no connection, no answer in time, or a connection that ended early." =>
        NETWORK;
    AccessTokenRefused:
        "Web API: 401 for an access token that was just issued." =>
        Facts { owner: Owner::Account, failure_type: FailureType::Auth,
            remedy: "nothing: the operator tries again; if it lasts, have the listener authorize the app again",
            ..PASSING };
    ScopeInsufficient:
        "Web API: 403 `Insufficient client scope`." =>
        Facts { reason: Reason::ScopeInsufficient,
            remedy: "the listener must authorize the app again with it", ..REFUSED };
    UserNotAllowlisted:
        "Web API: 403 `User not registered in the Developer Dashboard`." =>
        Facts { owner: Owner::App, mended_by: MendedBy::Outside, reason: Reason::UserNotAllowlisted,
            remedy: "its owner must add the listener's name and e-mail address under User Management in Spotify's developer dashboard",
            ..REFUSED };
    AppOwnerNotPremium:
        "Web API: 403 `Active premium subscription required for the owner`." =>
        Facts { owner: Owner::App, counts: Counts::App, mended_by: MendedBy::Outside, reason: Reason::AppOwnerNotPremium,
            remedy: "the owner must subscribe; it takes a few hours afterwards", ..REFUSED };
    ForbiddenOtherwise:
        "Web API: 403 with any other text." =>
        PASSING;
    ApiLimited:
        "Web API: 429, too many requests within 30 seconds." =>
        ASKED;
    QuotaExceeded:
        "Web API: 429 `QUOTA_EXCEEDED`." =>
        Facts { reason: Reason::QuotaExceeded, event: EventType::Warning,
            remedy: "nothing: the operator waits for the quota to be renewed; set `quota.dailyCalls` of the app below it",
            ..ASKED };
    AppAway:
        "Spotify: no usable answer to several accounts of one app in a row." =>
        Facts { owner: Owner::App, counts: Counts::App, retry: Retry::AtItsTime,
            remedy: "nothing: one request in 15 minutes probes, and all accounts go on once it is answered", ..PASSING };
    ApiBusy:
        "Web API: another error, with `Retry-After`. It closes the app's gate: `ApiLimited` is told in its place." =>
        BUSY;
    ApiTrouble:
        "Web API: 5xx." =>
        Facts { retry: Retry::Now, ..PASSING };
    ApiUnusable:
        "Web API: another status, or a body that is too large or cannot be read." =>
        PASSING;
    ApiNetwork:
        "Web API: no connection, no answer in time, or a connection that ended early." =>
        Facts { retry: Retry::Now, ..NETWORK };
    ListenerMismatch:
        "Web API: the token belongs to another Spotify user than before." =>
        Facts { reason: Reason::ListenerMismatch,
            remedy: "put a token of the same listener into the Secret, or create another SpotifyAccount", ..REFUSED };
    SecretNotFound:
        "A Secret that is referred to does not exist." =>
        Facts { reason: Reason::SecretNotFound, remedy: "create it, with its label", ..SECRET };
    SecretKeyMissing:
        "A Secret lacks a key." =>
        Facts { reason: Reason::SecretKeyMissing, remedy: "add the key that the message names", ..SECRET };
    SecretInvalid:
        "A value in a Secret is empty, too long, holds control characters or cannot be parsed." =>
        Facts { reason: Reason::SecretInvalid, remedy: "replace the value", ..SECRET };
    SecretNotLabelled:
        "A Secret lacks the label for this use, or is the operator's own." =>
        Facts { reason: Reason::SecretNotLabelled, remedy: "label it, or name another Secret", ..SECRET };
    SecretImmutable:
        "A Secret that must be written is `immutable: true`." =>
        Facts { reason: Reason::SecretImmutable, remedy: "replace it with one that is not", ..SECRET };
    SecretReadForbidden:
        "The operator may not read a Secret." =>
        Facts { owner: Owner::Operator, reason: Reason::SecretWriteForbidden, remedy: GRANT, ..SECRET };
    SecretWriteForbidden:
        "The operator may not write a Secret." =>
        Facts { owner: Owner::Operator, reason: Reason::SecretWriteForbidden, remedy: GRANT, ..SECRET };
    SecretNotOurs:
        "Somebody else wrote a Secret with a name that belongs to the operator." =>
        Facts { reason: Reason::SecretInvalid, remedy: "remove it", ..SECRET };
    SecretInUse:
        "An older account holds the token Secret." =>
        Facts { reason: Reason::SecretInUse, remedy: "give this account a token Secret of its own", ..CONFIGURED };
    ApiServerAway:
        "The API server does not answer a request about a Secret." =>
        CLUSTER;
    CommitPending:
        "New tokens were obtained, and the API server does not take them yet." =>
        CLUSTER;
    FlowMismatch:
        "The token Secret's `flow` contradicts the app." =>
        Facts { mended_by: MendedBy::Secret, remedy: "authorize anew, or correct `flow`", ..CONFIGURED };
    AppNotFound:
        "The `SpotifyApp` does not exist in the account's namespace." =>
        Facts { reason: Reason::AppNotFound, remedy: "create it or name another in spec.appRef", ..CONFIGURED };
    TargetNotFound:
        "A `ScrobbleTarget` does not exist in the account's namespace." =>
        Facts { reason: Reason::TargetNotFound, condition: ConditionType::Ready,
            remedy: "create it or name another in the entry's targetRef", ..CONFIGURED };
    FallbackNotFound:
        "The plan named in a plan's `fallback` does not exist." =>
        Facts { owner: Owner::Operator, reason: Reason::PlanNotFound, condition: ConditionType::Ready,
            remedy: "create it or name another", ..CONFIGURED };
    ReferenceNotAllowed:
        "An object of another namespace, or a plan, does not exist or is not shared with this namespace." =>
        Facts { reason: Reason::ReferenceNotAllowed, remedy: "ask its owner to allow it, or name another", ..CONFIGURED };
    ObjectUnreadable:
        "An object was written for another version of the schema." =>
        Facts { owner: Owner::Operator, reason: Reason::ObjectUnreadable,
            remedy: "upgrade the operator or correct the object", ..CONFIGURED };
    EntryContradictory:
        "An entry of `targets` does not fit the type of its target." =>
        Facts { mended_by: MendedBy::Outside, condition: ConditionType::Ready,
            remedy: "name the listener's key in credentialsRef, or remove it for a webhook", ..CONFIGURED };
    TargetUrlUnreadable:
        "A target's `url` cannot be read as one." =>
        Facts { owner: Owner::Target, mended_by: MendedBy::Outside, condition: ConditionType::Ready,
            remedy: "write it as https://host/path", ..CONFIGURED };
    NoSeatLeft:
        "The plan has no seat left, and no plan to fall back to." =>
        Facts { owner: Owner::Operator, reason: Reason::NoSeatLeft, condition: ConditionType::Synced,
            remedy: "raise `seats`, free one, or name a `fallback`", ..CONFIGURED };
    DuplicateListener:
        "An older account delivers the same listener's plays to the target with the same credentials." =>
        Facts { mended_by: MendedBy::Outside, reason: Reason::DuplicateListener, condition: ConditionType::Ready,
            remedy: "remove this entry, or the other account", ..CONFIGURED };
    BudgetShort:
        "The calls allowed per day do not suffice for this listening; no play was lost." =>
        Facts { reason: Reason::BudgetTooSmall, failure_type: FailureType::Configuration,
            remedy: "nothing yet: raise `quota.dailyCalls`, or share the app among fewer accounts, before plays are lost",
            ..ASKED };
    BudgetLosing:
        "The calls allowed per day do not suffice, and plays were lost in the last 24 hours." =>
        Facts { owner: Owner::App, retry: Retry::AtItsTime, mended_by: MendedBy::Outside, reason: Reason::BudgetTooSmall,
            condition: ConditionType::Synced,
            remedy: "raise `quota.dailyCalls`, or share the app among fewer accounts", ..CONFIGURED };
    TargetCredentialsRefused:
        "Target: the listener's key, or the webhook's signature, is refused." =>
        Facts { mended_by: MendedBy::Secret, owner: Owner::Account, reason: Reason::TargetUnauthorized,
            remedy: "replace the key in the Secret of credentialsRef, or a webhook's signingKeyRef", ..STOPPED };
    TargetKeysRefused:
        "Target: its own API key or shared secret is refused." =>
        Facts { reason: Reason::ClientCredentialsInvalid, remedy: "the target's owner must correct its keys", ..STOPPED };
    TargetMisused:
        "Target: another kind of server than its type says." =>
        Facts { reason: Reason::ConfigurationInvalid, remedy: "correct `type` or `url` of the target", ..STOPPED };
    TargetGone:
        "Target: 410." =>
        Facts { reason: Reason::TargetSuspended, remedy: "change or remove the target", ..STOPPED };
    TargetLimited:
        "Target: it asks to wait." =>
        TARGET_ASKS;
    TargetDayFull:
        "Target: it takes no more plays of this listener today." =>
        TARGET_ASKS;
    TargetTrouble:
        "Target: any other error, or an answer that is too large or cannot be read." =>
        AT_TARGET;
    TargetNetwork:
        "Target: no connection, no answer in time, or a connection that ended early." =>
        AT_TARGET;
    TargetAddressRefused:
        "Target: its address is private and not allowed, or its URL cannot be used." =>
        Facts { mended_by: MendedBy::Outside, reason: Reason::AddressRefused, stalled: true,
            remedy: "use a public one, or allow its range with --allow-private-targets", ..AT_TARGET };
    TargetSecretUnread:
        "Target: its Secret could not be read, for the API server does not answer." =>
        Facts { counts: Counts::Nowhere, condition: ConditionType::Ready, ..CLUSTER };
    ForeignScrobbler:
        "Target: somebody else scrobbles the same plays." =>
        Facts { owner: Owner::Account, retry: Retry::OnChange, reason: Reason::ForeignScrobbler,
            remedy: "remove the other link and request a read, or set lastFm.onForeignScrobbler of the target to Send",
            ..STOPPED };
    JournalUnreadable:
        "The journal Secret holds plays that this version cannot read." =>
        Facts { owner: Owner::Operator, mended_by: MendedBy::Outside, reason: Reason::JournalUnreadable,
            condition: ConditionType::Ready,
            remedy: "go back to the version that wrote them, or keep a copy and remove these keys, then request a read",
            ..CONFIGURED };
    PassPanicked:
        "A pass over the account ended in a panic." =>
        INTERNAL;
    PassTooLong:
        "A pass over the account took longer than it may." =>
        INTERNAL;
}
