//! The moments at which an operator is killed: random ones, and forced ones.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use scrobble_simulator::api::{Effect, Endpoint, NewFault, RecordFilter, Rotation};

use super::lives::Lives;
use crate::world::World;

/// How long a moment that depends on an exchange is waited for: all accounts may be fenced off for 15 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// Every step of claim, exchange and commit at which the operator can be stopped.
const POINTS: [&str; 8] =
    ["loaded", "claimed", "sending", "exchanged", "state-stored", "committed", "finalized", "recorded"];
/// Points that are passed only where the token was rotated.
const ROTATED: [&str; 1] = ["state-stored"];

/// When to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At any time from the start on, also while it waits for the Lease.
    AnyTime,
    /// At any time once it is on duty.
    OnDuty,
    /// Some milliseconds before or after an answer of the token endpoint.
    AroundAnAnswer,
    /// The server has acted, and its answer is on its way.
    Unanswered,
    /// The operator is about to take this step.
    At(&'static str),
}

impl Moment {
    /// All kinds of moments, to be taken from the end: the one that loses most comes first, so that no run is without it,
    /// then the others as chance has it.
    pub fn shuffled(rotation: Rotation, random: &mut StdRng) -> Vec<Self> {
        let points = POINTS.into_iter().filter(|point| rotation != Rotation::Never || !ROTATED.contains(point));
        let mut moments: Vec<Self> = points.map(Self::At).chain([Self::AnyTime]).chain(Self::SIGNALS).collect();
        moments.shuffle(random);
        moments.sort_by_key(|moment| *moment == Self::At("exchanged"));
        moments
    }

    /// Moments at which an operator that is at work already can be killed.
    pub const SIGNALS: [Self; 3] = [Self::OnDuty, Self::AroundAnAnswer, Self::Unanswered];

    /// One of them.
    pub fn signal(random: &mut StdRng) -> Self {
        Self::SIGNALS[random.random_range(0..Self::SIGNALS.len())]
    }

    /// Begins a life where none goes on, and ends it at this moment. `accounts`: how many may come by.
    pub async fn kill(self, world: &World, lives: &mut Lives<'_>, accounts: usize, random: &mut StdRng) {
        let name = format!("{self:?}");
        lives.begin_anew_if_it_ended();
        if let Self::At(point) = self {
            // A failpoint is armed at the start.
            lives.kill("before a failpoint");
            let passing = random.random_range(1..=accounts);
            lives.begin(Some(&format!("{point}#{passing}")));
            lives.wait_on_duty().await;
            lives.wait_for_failpoint(point, PATIENCE).await;
            return;
        }
        if lives.is_over() {
            lives.begin(None);
        }
        match self {
            Self::At(_) => {}
            Self::AnyTime => sleep(random.random_range(0..8_000)).await,
            Self::OnDuty => {
                lives.wait_on_duty().await;
                sleep(random.random_range(0..3_000)).await;
            }
            Self::AroundAnAnswer => {
                lives.wait_on_duty().await;
                wait_for_answer(world, random.random_range(0..40)).await;
                sleep(random.random_range(0..60)).await;
            }
            Self::Unanswered => {
                lives.wait_on_duty().await;
                wait_for_answer(world, 3_000).await;
            }
        }
        lives.begin_anew_if_it_ended();
        lives.kill(&name);
        world.script.clear_faults().await.unwrap();
    }
}

/// The moment of a kill is what is varied: nothing is waited for.
async fn sleep(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Waits until the token endpoint has acted on a request, whose answer then takes so long.
async fn wait_for_answer(world: &World, milliseconds: u64) {
    let filter = RecordFilter::at(Endpoint::Token).since(world.script.last_seq().await.unwrap());
    let slow = NewFault::new(Effect::DelayAfter { milliseconds }).at(Endpoint::Token).times(1);
    world.script.add_fault(&slow).await.unwrap();
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let answers = world.script.requests(&filter).await.unwrap();
        if answers.iter().any(|answer| answer.fault.is_some()) {
            return;
        }
        sleep(2).await;
    }
}
