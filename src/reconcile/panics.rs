//! Panics are faults of the operator: each is counted and told with its place, never with its message, which may hold
//! data.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;

/// How a place is told that nobody noted.
const UNKNOWN: &str = "a place that is not known";
/// Under this the sources of crates lie, each registry in a folder of its own.
const REGISTRIES: &str = "/registry/src/";
/// A place takes no more of a message than this, in characters.
const LONGEST_PLACE: usize = 200;

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Where this thread panicked last: a pass unwinds on the thread that polls it.
    static LAST: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Where a panic was: file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    fn of(file: &str, line: u32) -> Self {
        // Whose machine it was built on is nobody's business.
        let crates = file.split_once(REGISTRIES).and_then(|(_, rest)| rest.split_once('/'));
        let file = crates.map_or(file, |(_, file)| file);
        let start = file.chars().count().saturating_sub(LONGEST_PLACE);
        Self(format!("{}:{line}", file.chars().skip(start).collect::<String>()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Counts a panic and notes its place for whoever catches it; for the process's panic hook.
pub fn note(location: Option<&Location<'_>>) -> Place {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = location.map_or_else(|| Place(UNKNOWN.to_owned()), |at| Place::of(at.file(), at.line()));
    // A thread that is ending has nobody who would ask.
    let _ = LAST.try_with(|last| last.set(Some(place.clone())));
    place
}

/// How often this process has panicked.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Runs something that may panic.
///
/// # Errors
/// Where it panicked.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Place> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.map_err(|payload| match payload.downcast::<Place>() {
        Ok(place) => *place,
        Err(_) => LAST.with(Cell::take).unwrap_or_else(|| Place(UNKNOWN.to_owned())),
    })
}

/// Goes on with a panic that was caught elsewhere, in another task: it ends the pass that waited for it, too. It was
/// counted and logged before.
pub(super) fn pass_on(place: Place) -> ! {
    resume_unwind(Box::new(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_the_source_and_nobodys_machine() {
        for (file, expected) in [
            ("src/plan/open.rs", "src/plan/open.rs:7"),
            (
                "/builds/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.1/src/de.rs",
                "serde-1.0.1/src/de.rs:7",
            ),
            ("/rustc/0123/library/core/src/str/mod.rs", "/rustc/0123/library/core/src/str/mod.rs:7"),
        ] {
            assert_eq!(Place::of(file, 7).to_string(), expected);
        }
        let long = Place::of(&"é/".repeat(400), 7).to_string();
        assert_eq!(long.chars().count(), LONGEST_PLACE + 2);
    }

    #[tokio::test]
    async fn what_panics_is_caught_with_its_place() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let place = Place::of("src/exchange.rs", 3);
        assert_eq!(caught(async { pass_on(place.clone()) }).await, Err::<(), _>(place), "of another task");
        let before = count();
        let noted = caught(async {
            // As the hook does it.
            let place = note(Some(Location::caller()));
            resume_unwind(Box::new(place.to_string()))
        });
        let told = noted.await.map(|(): ()| ()).unwrap_err().to_string();
        assert!(told.starts_with("src/reconcile/panics.rs:"), "{told}");
        assert!(count() > before);
        let message = caught(async { resume_unwind(Box::new("data")) }).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(message.to_string(), UNKNOWN, "a message is no place");
    }
}
