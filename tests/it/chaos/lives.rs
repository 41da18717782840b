//! The lives of an operator: begun, killed at a moment, begun anew.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use scrobble_harness::port::lost_race;
use scrobble_harness::{Operator, OperatorProcess};

use super::window;
use crate::accounts::tokens;
use crate::world::{DEADLINE, World};

/// The lease of everything that kills operators; a grace period has to exceed it together with the start, the claim's
/// deadline and the exchange's.
const ELECTION: [(&str, &str); 3] = [
    ("leader-elect-lease-duration", "3s"),
    ("leader-elect-renew-deadline", "2s"),
    ("leader-elect-retry-period", "500ms"),
];
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// The operator, which waits for a short Lease and refreshes a second ahead.
pub fn operator(world: &World) -> Operator {
    let operator = tokens::operator(world).argument("--leader-elect=true");
    ELECTION.iter().fold(operator, |operator, (flag, value)| operator.flag(flag, value))
}

/// A life that is over.
#[derive(Clone, Debug)]
pub struct Life {
    pub begun: Timestamp,
    pub ended: Timestamp,
    /// It ended by SIGKILL or at a failpoint, not by itself nor because it was asked to.
    pub killed: bool,
    /// At which moment.
    pub how: String,
}

/// The lives of the operator of one world, one after the other.
pub struct Lives<'a> {
    world: &'a World,
    current: Option<(OperatorProcess, Timestamp)>,
    /// Those that are over, oldest first.
    pub ended: Vec<Life>,
    /// For each commit, the milliseconds from the answer to the first write, as the operator tells.
    pub windows: Vec<f64>,
}

impl<'a> Lives<'a> {
    pub fn new(world: &'a World) -> Self {
        Self { world, current: None, ended: Vec::new(), windows: Vec::new() }
    }

    /// How many were killed.
    pub fn kills(&self) -> usize {
        self.ended.iter().filter(|life| life.killed).count()
    }

    /// Begins a life and returns at once. `failpoint`: see `reconcile::failpoint`.
    pub fn begin(&mut self, failpoint: Option<&str>) {
        assert!(self.current.is_none(), "one life after the other");
        let operator = operator(self.world);
        let operator = match failpoint {
            Some(point) => operator.environment("SCROBBLE_OPERATOR_FAILPOINT", point),
            None => operator,
        };
        let begun = Timestamp::now();
        self.current = Some((operator.start_unready().unwrap(), begun));
    }

    /// Waits until the operator has its Lease, or is gone. Begins anew where it ended because of its surroundings.
    pub async fn wait_on_duty(&mut self) {
        let end = Instant::now() + DEADLINE;
        loop {
            self.begin_anew_if_it_ended();
            let Some((process, _)) = &self.current else { return };
            if process.log().contains("\"on duty\"") {
                return;
            }
            assert!(Instant::now() < end, "the operator did not go on duty:\n{}", process.log());
            tokio::time::sleep(LOOK * 4).await;
        }
    }

    /// Whether the last life is over, as far as was looked.
    pub fn is_over(&self) -> bool {
        self.current.is_none()
    }

    /// Whether a life goes on.
    fn goes_on(&mut self) -> bool {
        self.current.as_mut().is_some_and(|(process, _)| process.exit_status().unwrap().is_none())
    }

    /// A Lease that could not be renewed on a slow machine, or a port that somebody else took, is no kill.
    pub fn begin_anew_if_it_ended(&mut self) {
        let Some((process, _)) = &mut self.current else { return };
        let Some(status) = process.exit_status().unwrap() else { return };
        if status.signal().is_some() {
            self.bury("failpoint");
            return;
        }
        let log = process.log();
        assert!(lost_race(&log) || log.contains("Lease was lost"), "the operator ended by itself, {status}:\n{log}");
        self.bury("its surroundings");
        self.begin(None);
    }

    /// Kills the operator now; nothing happens where it is gone.
    pub fn kill(&mut self, how: &str) {
        if let Some((process, _)) = &mut self.current {
            process.kill().unwrap();
            self.bury(how);
        }
    }

    /// Waits until a failpoint has ended the life; kills the operator where that takes too long.
    pub async fn wait_for_failpoint(&mut self, point: &str, patience: Duration) {
        let end = Instant::now() + patience;
        while self.goes_on() && Instant::now() < end {
            tokio::time::sleep(LOOK).await;
        }
        if self.goes_on() {
            self.kill(&format!("never at {point}"));
        } else {
            self.bury(point);
        }
    }

    /// Asks the operator to end, and waits until it has.
    pub async fn terminate(&mut self) {
        if let Some((process, _)) = &mut self.current {
            let status = process.terminate().await.unwrap();
            assert!(status.success(), "asked to end, it ended with {status}:\n{}", process.log());
            self.bury("asked to end");
        }
    }

    fn bury(&mut self, how: &str) {
        let Some((mut process, begun)) = self.current.take() else { return };
        let killed = process.exit_status().unwrap().is_some_and(|status| status.signal().is_some());
        self.windows.extend(window::told(&process.log()));
        self.ended.push(Life { begun, ended: Timestamp::now(), killed, how: how.to_owned() });
    }
}
