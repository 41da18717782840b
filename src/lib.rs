//! scrobble-operator
