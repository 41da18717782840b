//! Until when this process is sure to be the one on duty.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Until when this process is sure to be the one on duty, by its own clock.
///
/// Whoever was paused finds out here, before its next request, that somebody else may be on duty by now.
pub struct Tenure {
    start: Instant,
    begun: OnceLock<Instant>,
    milliseconds: AtomicU64,
}

impl Default for Tenure {
    fn default() -> Self {
        Self { start: Instant::now(), begun: OnceLock::new(), milliseconds: AtomicU64::new(u64::MAX) }
    }
}

impl Tenure {
    /// It begins now: whoever was on duty before takes no more work from here on.
    pub fn begins(&self) {
        let _ = self.begun.set(Instant::now());
    }

    /// For how long it has lasted.
    pub fn age(&self) -> Duration {
        self.begun.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// It lasts until then.
    pub fn lasts_until(&self, end: Instant) {
        let milliseconds = end.saturating_duration_since(self.start).as_millis();
        self.milliseconds.store(u64::try_from(milliseconds).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// It is over.
    pub fn ends(&self) {
        self.milliseconds.store(0, Ordering::SeqCst);
    }

    /// Whether it lasts.
    pub fn holds(&self) -> bool {
        self.start.elapsed().as_millis() < u128::from(self.milliseconds.load(Ordering::SeqCst))
    }
}
