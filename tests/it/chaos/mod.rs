//! `make chaos`: the operator is killed again and again, and no token is lost that software can save.
//!
//! | module | what it is |
//! |---|---|
//! | [`lives`] | an operator that is begun, killed and begun anew; for every test that kills |
//! | [`moment`] | when it is killed |
//! | [`records`] | what the simulator and the audit log have recorded |
//! | [`verdict`] | what the records come to: losses, and what no kill explains |
//! | [`trial`] | many accounts under one rotation policy |
//! | [`repository`] | kills beside a repository that puts the first token back again and again |
//! | [`window`] | how long the window is in which a kill loses a token |

pub mod lives;
mod moment;
pub mod records;
mod repository;
mod trial;
pub mod verdict;
mod verdict_tests;
mod window;

use std::time::{SystemTime, UNIX_EPOCH};

use scrobble_simulator::api::Rotation;

/// The simulator's policies, by the names that are printed.
const POLICIES: [(&str, Rotation); 4] = [
    ("never", Rotation::Never),
    ("grace", Rotation::Grace),
    ("single-use", Rotation::SingleUse),
    ("strict", Rotation::Strict),
];

/// How much of what is unexplained is shown of each policy.
const SHOWN: usize = 40;

/// How much is done under each policy.
pub struct Scale {
    pub accounts: usize,
    pub access_token_seconds: i64,
    /// After each batch everything has to become as it should be.
    pub batches: usize,
    /// Kills in a batch.
    pub kills: usize,
    /// Kills beside a repository.
    pub repository_kills: usize,
}

impl Scale {
    /// The short run, which is part of all tests.
    const SHORT: Self = Self { accounts: 5, access_token_seconds: 3, batches: 1, kills: 5, repository_kills: 3 };
    /// The long run: more than 200 kills, more than 40 under each policy.
    const FULL: Self = Self { accounts: 12, access_token_seconds: 5, batches: 18, kills: 3, repository_kills: 20 };

    /// Whether this is the long run.
    pub fn is_full(&self) -> bool {
        self.batches > Self::SHORT.batches
    }

    /// As `SCROBBLE_OPERATOR_CHAOS` says: `full`, or nothing for the short run.
    pub fn chosen() -> Self {
        match std::env::var("SCROBBLE_OPERATOR_CHAOS").ok().as_deref() {
            Some("full") => Self::FULL,
            None | Some("" | "short") => Self::SHORT,
            Some(other) => panic!("SCROBBLE_OPERATOR_CHAOS is {other}: it can be `short` or `full`"),
        }
    }
}

/// A seed to choose moments by: another one each time, or the one of a run to be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("SCROBBLE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// The policies run side by side, each in a namespace with an operator of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_kill_loses_a_token_that_could_be_saved() {
    let (scale, seed) = (Scale::chosen(), seed());
    println!("seed {seed}: repeat with SCROBBLE_TEST_SEED={seed}");
    let runs = POLICIES.into_iter().zip(0..).map(|((name, rotation), number)| {
        let scale = &scale;
        async move { trial::run(name, rotation, scale, seed + number).await }
    });
    let outcomes = futures::future::join_all(runs).await;
    for outcome in &outcomes {
        let unexplained = &outcome.verdict.unexplained;
        for what in unexplained.iter().take(SHOWN) {
            println!("{}, unexplained: {what}", outcome.policy);
        }
        if unexplained.len() > SHOWN {
            println!("{}, unexplained: {} more", outcome.policy, unexplained.len() - SHOWN);
        }
    }
    for outcome in &outcomes {
        println!("{}", outcome.line());
    }
    for line in trial::window_lines(&outcomes) {
        println!("{line}");
    }
    assert!(outcomes.iter().all(trial::Outcome::is_as_promised), "see above what no kill explains");
    assert!(outcomes.iter().all(|outcome| outcome.kills >= scale.batches * scale.kills), "every kill was one");
    if scale.is_full() {
        let hits = |outcome: &&trial::Outcome| matches!(outcome.policy, "single-use" | "strict");
        assert!(outcomes.iter().filter(hits).all(|outcome| outcome.verdict.lost > 0), "no kill has hit the window");
        assert!(outcomes.iter().map(|outcome| outcome.kills).sum::<usize>() >= 200);
    }
}
