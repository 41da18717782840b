//! Points at which a test stops the process for good. Release builds do not contain them.

/// Ends the process here if a test asks for it: `SCROBBLE_OPERATOR_FAILPOINT` names the point.
#[cfg(feature = "testing")]
pub fn reached(point: &str) {
    if ARMED.get().is_some_and(|armed| armed == point) {
        std::process::abort();
    }
}

/// Nothing, outside of tests.
#[cfg(not(feature = "testing"))]
#[inline]
pub fn reached(_point: &str) {}

#[cfg(feature = "testing")]
static ARMED: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Arms a failpoint for the rest of the process's life.
#[cfg(feature = "testing")]
pub fn arm(point: String) {
    let _ = ARMED.set(point);
}
