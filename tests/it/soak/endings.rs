//! At which moment the operator is killed.

use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_simulator::api::{Effect, Endpoint, NewFault};

use crate::world::World;

/// A life that ends at a random moment ends within this many milliseconds, the start included.
const LONGEST_LIFE: u64 = 6_000;
/// A failpoint that is not reached within this: the operator is killed all the same.
const PATIENCE: Duration = Duration::from_secs(12);

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// A service has taken plays and has not said so.
    Taken(Endpoint),
    /// A step of a pass that `reconcile::failpoint` names.
    Failpoint(&'static str),
    /// Any moment.
    AnyMoment,
}

/// The endings come in this order, again and again: every one between two writes, and some at any moment.
const ENDINGS: [Ending; 8] = [
    Ending::Taken(Endpoint::ListenbrainzSubmit),
    Ending::Failpoint("journaled"),
    Ending::Taken(Endpoint::LastfmScrobble),
    Ending::Failpoint("delivered"),
    Ending::Failpoint("settled"),
    Ending::AnyMoment,
    Ending::Failpoint("emptied"),
    Ending::AnyMoment,
];

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(endpoint) => write!(formatter, "when {endpoint:?} had taken plays without an answer"),
            Self::Failpoint(point) => write!(formatter, "at \"{point}\""),
            Self::AnyMoment => formatter.write_str("at a random moment"),
        }
    }
}

/// Starts an operator and kills it. Answers at which moment, in words.
pub async fn live_and_die(world: &World, number: usize, accounts: usize, random: &mut StdRng) -> String {
    let ending = ENDINGS[number % ENDINGS.len()];
    let mut reached = true;
    match ending {
        Ending::Taken(endpoint) => {
            let hang = NewFault::new(Effect::HangAfter).at(endpoint).times(1);
            let hang = world.script.add_fault(&hang).await.unwrap();
            let mut operator = world.operator().start_unready().unwrap();
            world.struck(hang, 1).await;
            operator.kill().unwrap();
        }
        Ending::Failpoint(point) => {
            // Some accounts have passed it by then, and others have not.
            let point = format!("{point}#{}", random.random_range(1..=2 * accounts));
            let operator = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", &point);
            let mut operator = operator.start_unready().unwrap();
            reached = wait_until_gone(&mut operator).await;
            operator.kill().unwrap();
        }
        Ending::AnyMoment => {
            let mut operator = world.operator().start_unready().unwrap();
            // The moment of a kill is what varies here: nothing is waited for.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..LONGEST_LIFE))).await;
            operator.kill().unwrap();
        }
    }
    format!("{ending}{}", if reached { "" } else { ", which was not reached" })
}

async fn wait_until_gone(operator: &mut OperatorProcess) -> bool {
    wait_until("the failpoint", PATIENCE, async || operator.exit_status().unwrap().is_some()).await.is_ok()
}
