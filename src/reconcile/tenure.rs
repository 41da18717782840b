//! Until when this process is sure to be the one on duty.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Until when this process is sure to be the one on duty, by its own clock.
///
/// Whoever was paused finds out here, before its next request, that somebody else may be on duty by now.
pub struct Tenure {
    start: Instant,
    milliseconds: AtomicU64,
}

impl Default for Tenure {
    fn default() -> Self {
        Self { start: Instant::now(), milliseconds: AtomicU64::new(u64::MAX) }
    }
}

impl Tenure {
    /// It lasts until then.
    pub fn lasts_until(&self, end: Instant) {
        let milliseconds = end.saturating_duration_since(self.start).as_millis();
        self.milliseconds.store(u64::try_from(milliseconds).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether it lasts.
    pub fn holds(&self) -> bool {
        self.start.elapsed().as_millis() < u128::from(self.milliseconds.load(Ordering::SeqCst))
    }
}
