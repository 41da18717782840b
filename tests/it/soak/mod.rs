//! `make soak`: hosted services that fail in every way, an operator that is killed again and again, and each play is at
//! each service once in the end.
//!
//! | module | what it is |
//! |---|---|
//! | [`stage`] | targets of both hosted services, and listeners with an account that delivers to them |
//! | [`feed`] | plays that come little by little, never more at once than Spotify shows |
//! | [`troubles`] | what the services do wrong |
//! | [`endings`] | at which moment the operator is killed |
//! | [`kept`] | what the journal holds |
//! | [`verdict`] | what Spotify showed compared with what a service holds |
//! | [`outage`] | services that are away for two days |
//! | [`refused`] | one play that a service refuses among a hundred |

mod endings;
mod feed;
mod kept;
mod outage;
mod refused;
mod stage;
mod troubles;
pub mod verdict;

use std::collections::BTreeSet;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use scrobble_harness::OperatorProcess;
use scrobble_simulator::api::{Endpoint, Play, RecordFilter};

use crate::chaos::seed;
use crate::world::World;
use feed::Feed;
use stage::TARGETS;
use verdict::Tally;

/// A minute's wait is half a second: the most that the clock is sped up for.
const RATE: u32 = 120;

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Scale {
    listeners: usize,
    /// Each ends with a kill.
    lives: usize,
    /// New plays of each listener in each life.
    plays: usize,
}

impl Scale {
    /// The short run, which is part of all tests: 200 plays, twice as many of each listener as Spotify shows.
    const SHORT: Self = Self { listeners: 2, lives: 5, plays: 20 };
    /// The long run: 2,000 plays, 20 kills.
    const FULL: Self = Self { listeners: 10, lives: 20, plays: 10 };

    /// As `SCROBBLE_OPERATOR_SOAK` says: `full`, or nothing for the short run.
    fn chosen() -> Self {
        match std::env::var("SCROBBLE_OPERATOR_SOAK").ok().as_deref() {
            Some("full") => Self::FULL,
            None | Some("" | "short") => Self::SHORT,
            Some(other) => panic!("SCROBBLE_OPERATOR_SOAK is {other}: it can be `short` or `full`"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_and_no_trouble_loses_a_play_or_doubles_one() {
    let (scale, seed) = (Scale::chosen(), seed());
    println!("seed {seed}: repeat with SCROBBLE_TEST_SEED={seed}");
    let world = stage::world("soak", RATE).await;
    let listeners: Vec<String> = (0..scale.listeners).map(|number| format!("listener-{number:02}")).collect();
    for target in &TARGETS {
        stage::target(&world, target).await;
    }
    for listener in &listeners {
        stage::listener(&world, listener, &TARGETS).await;
        stage::account(&world, listener, "3m", &TARGETS).await;
    }
    stage::refuse_some(&world, &listeners).await;
    troubles::add(&world, seed).await;

    let mut run = Run { world: &world, random: StdRng::seed_from_u64(seed), feeds: Vec::new(), kills: 0 };
    for listener in &listeners {
        run.feeds.push(Feed::new(&world, listener).await);
    }
    let struck = run.live(scale).await;
    let _operator = world.start().await;
    for feed in &run.feeds {
        feed.wait_until_done(&world).await;
    }
    assert!(run.kills >= scale.lives, "every life has ended with a kill");

    let mut whole = Tally::default();
    let mut count = 0;
    for listener in &listeners {
        count += judge(&world, listener, &mut whole).await;
    }
    for mishap in &whole.mishaps {
        println!("{mishap}");
    }
    println!(
        "{count} plays of {} listeners, {} targets, {} kills, {struck} requests in trouble: {whole}",
        listeners.len(),
        TARGETS.len(),
        run.kills
    );
    assert!(whole.is_as_promised(), "see above");
    assert!(struck > 0, "the services fail");
    assert!(whole.repeated > 0, "a kill after a service has taken plays leads to a repeat");
}

/// Compares what Spotify showed of a listener with what each service holds, and both with the status. Answers how many
/// plays there were.
async fn judge(world: &World, listener: &str, whole: &mut Tally) -> usize {
    let plays = shown(world, listener).await;
    let status = world.wait(listener, "its status", |_| true).await.status.unwrap();
    let mut scrobbled = 0;
    for target in &TARGETS {
        let refused = plays.iter().filter(|play| stage::is_refused(target.kind, play)).count();
        let acceptable: Vec<&Play> = plays.iter().filter(|play| !stage::is_refused(target.kind, play)).collect();
        let held = stage::held(world, &stage::user(listener, target.name), target.kind).await;
        whole.add(&format!("{listener} at {}", target.name), &acceptable, &held);
        scrobbled += acceptable.len();
        let known = status.target(target.name).cloned().unwrap_or_default();
        for (what, told, expected) in [
            ("pending", known.pending, 0),
            ("quarantined", known.quarantined, refused),
            ("droppedTotal", known.dropped_total, 0),
            ("lastQuarantineReason", i64::from(known.last_quarantine_reason.is_some()), usize::from(refused > 0)),
        ] {
            whole.expect(&format!("{listener} at {}: {what}", target.name), told, expected);
        }
    }
    let sync = status.sync.unwrap();
    for (what, told, expected) in [
        ("scrobbledTotal", sync.scrobbled_total, scrobbled),
        ("pendingTotal", sync.pending_total, 0),
        ("lostAtMostTotal", sync.lost_at_most_total, 0),
    ] {
        whole.expect(&format!("{listener}: {what}"), told, expected);
    }
    plays.len()
}

/// The plays of a listener that a page has shown: all that there were.
async fn shown(world: &World, listener: &str) -> Vec<Play> {
    let plays = world.script.plays(listener).await.unwrap();
    let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(listener)).await.unwrap();
    let shown: BTreeSet<u64> = reads.into_iter().flat_map(|read| read.facts.plays).collect();
    assert!(plays.iter().all(|play| shown.contains(&play.number)), "{listener}: Spotify has shown every play");
    plays
}

/// The lives of the operator of one world.
struct Run<'a> {
    world: &'a World,
    random: StdRng,
    feeds: Vec<Feed>,
    kills: usize,
}

impl Run<'_> {
    /// Lets the operator live and die. Answers how many requests the services have failed over.
    async fn live(&mut self, scale: Scale) -> u32 {
        let mut outage = Vec::new();
        for life in 0..scale.lives {
            if life == scale.lives / 4 {
                outage.extend(troubles::begin_outage(self.world, &self.feeds[0].listener).await);
            }
            if life == scale.lives * 3 / 4 {
                for rule in outage.drain(..) {
                    self.world.script.remove_fault(rule).await.unwrap();
                }
            }
            for feed in &mut self.feeds {
                feed.announce(self.world, scale.plays, &mut self.random).await;
            }
            let how = endings::live_and_die(self.world, life, self.feeds.len(), &mut self.random).await;
            self.kills += 1;
            println!("life {life} ended {how}");
            for feed in &self.feeds {
                kept::assert_holds_what_waits(self.world, &feed.listener).await;
            }
            self.let_it_read().await;
        }
        let faults = self.world.script.faults().await.unwrap();
        self.world.script.clear_faults().await.unwrap();
        faults.iter().map(|fault| fault.applied).sum()
    }

    /// Where more plays were not noted yet than may come on top: an operator that lives until they are.
    async fn let_it_read(&mut self) {
        let mut operator: Option<OperatorProcess> = None;
        for feed in &self.feeds {
            if feed.unnoted(self.world).await > feed::MOST_UNNOTED {
                if operator.is_none() {
                    operator = Some(self.world.start().await);
                }
                feed.wait_until_noted(self.world).await;
            }
        }
        if let Some(mut operator) = operator {
            operator.kill().unwrap();
            self.kills += 1;
        }
    }
}
