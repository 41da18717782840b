//! What users write and read: the custom resources of `scrobble-operator.io`, their conditions and the names that go with them.
//!
//! Nothing here talks to a server, waits or reads a clock.

pub mod condition;
pub mod crds;
pub mod secret;
pub mod v1alpha1;

/// The API group of all kinds.
pub const GROUP: &str = "scrobble-operator.io";

/// The only version of the API.
pub const VERSION: &str = "v1alpha1";

/// The category of all kinds: `kubectl get scrobble` lists them together.
pub const CATEGORY: &str = "scrobble";

/// Annotation on a `SpotifyAccount`: any new value asks for a read now. Acknowledged in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "scrobble-operator.io/reconcile-requested-at";

/// Annotation on a `SpotifyAccount`: any new value sends the quarantined plays again.
pub const RETRY_QUARANTINED_AT: &str = "scrobble-operator.io/retry-quarantined-at";

/// Finalizer of a `SpotifyAccount` while a state Secret exists: the newest token goes back to the token Secret first.
pub const TOKEN_HANDBACK_FINALIZER: &str = "scrobble-operator.io/token-handback";
