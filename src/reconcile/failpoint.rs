//! Points at which a test stops the process, holds it, or lets it panic. Release builds do not contain them.
//!
//! Of each pass: `begun`; `chosen` (a seat of a plan is decided upon, and not written yet); and `seated` (the account has its place in a plan, which its status may not tell yet).
//!
//! The points of a refresh, in their order: `loaded` (nothing is claimed yet), `claimed` (the claim stands), `sending` (the request is about to leave), `exchanged` (the answer is there, nothing is stored),
//! `state-stored` (the state Secret holds the newest token: a rotated one, or a human's), `committed` (the token Secret
//! holds it, too, or the commit has ended without), `finalized` (the finalizer stands, if it has to), `recorded` (the
//! status tells it). What a crash at each of them leaves behind: `docs/tokens.md`.
//!
//! The points of a delivery, in their order: `delivered` (targets have answered, nothing of it is stored; once for each
//! round of requests), `journaled` (the journal holds what waits, the status does not count it yet), `settled` (the
//! status tells what targets have, which the journal still holds), `emptied` (the journal holds only what waits).
//! `settled` is also passed where nothing was delivered.
//!
//! The passes of the other kinds have one point each: `app`, `target` and `plan`, at their beginning.
//! The point of a notice: `counted` (the status counts it, nothing is sent).

#[cfg(not(feature = "testing"))]
use std::future::{Ready, ready};

use crate::api::v1alpha1::SpotifyAccount;
#[cfg(feature = "testing")]
pub use armed::{Failpoints, arm, reached, reached_by};

/// Nothing, outside of tests.
#[cfg(not(feature = "testing"))]
#[inline]
pub fn reached(_point: &str, _account: &SpotifyAccount) -> Ready<()> {
    ready(())
}

/// Nothing, outside of tests.
#[cfg(not(feature = "testing"))]
#[inline]
pub fn reached_by(_point: &str, _name: &str) -> Ready<()> {
    ready(())
}

#[cfg(feature = "testing")]
mod armed {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::SpotifyAccount;

    /// How often a held task looks whether its gate is open.
    const LOOK: Duration = Duration::from_millis(2);

    static ARMED: OnceLock<Failpoints> = OnceLock::new();

    /// Where the process fails, and how.
    #[derive(Debug)]
    pub struct Failpoints {
        points: Vec<Failpoint>,
        gate: Option<PathBuf>,
    }

    #[derive(Debug)]
    struct Failpoint {
        action: Action,
        point: String,
        account: Option<String>,
        /// The passing at which it strikes, from 1.
        at: u32,
        passed: AtomicU32,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Action {
        /// The process is gone, as by a kill.
        Abort,
        /// Whoever comes by stays until the gate is there; the rest of the process goes on.
        Hold,
        /// Whoever comes by panics.
        Panic,
    }

    impl Failpoints {
        /// Reads `[abort:|hold:|panic:]<point>[@<account>][#<n>]`, several of them separated by commas. Without an action
        /// the process aborts; `@<start>*` means every account whose name starts so; `#<n>` lets the first n - 1 pass.
        /// `gate` is the file whose existence lets all go on that are held.
        ///
        /// # Errors
        /// What cannot be read.
        pub fn parse(text: &str, gate: Option<PathBuf>) -> Result<Self, String> {
            let points = text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(Failpoint::parse);
            let points = points.collect::<Result<Vec<_>, _>>()?;
            if gate.is_none() && points.iter().any(|point| point.action == Action::Hold) {
                return Err("a failpoint that holds needs a gate".to_owned());
            }
            Ok(Self { points, gate })
        }

        /// What happens to an account that comes by.
        fn strikes(&self, point: &str, account: &str) -> Option<Action> {
            let comes_by = |failpoint: &&Failpoint| {
                failpoint.point == point && failpoint.account.as_deref().is_none_or(|only| means(only, account))
            };
            let struck = self.points.iter().filter(comes_by).filter(|failpoint| {
                let passing = failpoint.passed.fetch_add(1, Ordering::SeqCst) + 1;
                if failpoint.action == Action::Hold { passing >= failpoint.at } else { passing == failpoint.at }
            });
            struck.map(|failpoint| failpoint.action).last()
        }
    }

    fn means(only: &str, account: &str) -> bool {
        only.strip_suffix('*').map_or(only == account, |start| account.starts_with(start))
    }

    impl Failpoint {
        fn parse(text: &str) -> Result<Self, String> {
            let (action, rest) = match text.split_once(':') {
                None => (Action::Abort, text),
                Some(("abort", rest)) => (Action::Abort, rest),
                Some(("hold", rest)) => (Action::Hold, rest),
                Some(("panic", rest)) => (Action::Panic, rest),
                Some((other, _)) => return Err(format!("a failpoint cannot {other}")),
            };
            let (rest, at) = match rest.split_once('#') {
                None => (rest, 1),
                Some((rest, number)) => (rest, number.parse().map_err(|_| format!("{number} is not a number"))?),
            };
            let (point, account) = match rest.split_once('@') {
                None => (rest, None),
                Some((point, account)) => (point, Some(account.to_owned())),
            };
            Ok(Self { action, point: point.to_owned(), account, at, passed: AtomicU32::new(0) })
        }
    }

    /// Arms failpoints for the rest of the process's life.
    pub fn arm(failpoints: Failpoints) {
        let _ = ARMED.set(failpoints);
    }

    /// Does here what a test asks for.
    ///
    /// # Panics
    /// Where a test asks for it.
    pub async fn reached(point: &str, account: &SpotifyAccount) {
        reached_by(point, account.metadata.name.as_deref().unwrap_or_default()).await;
    }

    /// The same for an object of any kind.
    ///
    /// # Panics
    /// Where a test asks for it.
    pub async fn reached_by(point: &str, name: &str) {
        let Some(armed) = ARMED.get() else { return };
        match armed.strikes(point, name) {
            None => {}
            Some(Action::Abort) => std::process::abort(),
            Some(Action::Hold) => held(armed, point, name).await,
            #[expect(clippy::panic, reason = "what a test asks for")]
            Some(Action::Panic) => panic!("planted-panic-message"),
        }
    }

    async fn held(armed: &Failpoints, point: &str, name: &str) {
        let Some(gate) = &armed.gate else { return };
        if gate.exists() {
            return;
        }
        tracing::info!(point, name, "held at a failpoint");
        while !gate.exists() {
            tokio::time::sleep(LOOK).await;
        }
        tracing::info!(point, name, "goes on from a failpoint");
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn failpoints(text: &str) -> Failpoints {
            Failpoints::parse(text, Some("gate".into())).unwrap()
        }

        #[test]
        fn the_point_the_account_and_the_passing_are_told_apart() {
            let armed = failpoints("claimed#2,hold:sending@alice, panic:begun@bob,hold:loaded@the-*");
            assert_eq!(armed.strikes("claimed", "alice"), None);
            assert_eq!(armed.strikes("claimed", "bob"), Some(Action::Abort));
            assert_eq!(armed.strikes("claimed", "bob"), None, "once");
            assert_eq!(armed.strikes("sending", "bob"), None);
            assert_eq!(armed.strikes("sending", "alice"), Some(Action::Hold));
            assert_eq!(armed.strikes("sending", "alice"), Some(Action::Hold), "again and again");
            assert_eq!(armed.strikes("begun", "bob"), Some(Action::Panic));
            assert_eq!(armed.strikes("loaded", "the-second"), Some(Action::Hold));
            assert_eq!(armed.strikes("loaded", "bob"), None);
        }

        #[test]
        fn what_cannot_be_read_is_refused() {
            for text in ["drop:claimed", "claimed#often"] {
                assert!(Failpoints::parse(text, None).is_err(), "{text}");
            }
            assert!(Failpoints::parse("hold:claimed", None).is_err(), "nothing would open it");
        }
    }
}
