//! Accounts with poisoned data among many that are well: those are read on time, and none of them shows an error.

use std::time::Duration;

use futures::future::join_all;
use scrobble_operator::api::v1alpha1::{HistoryOutcome, SpotifyAccount};

use super::poison::{Poison, poisons};
use super::{assert_on_time, crowd, spec, wait_for_reads, without_budget};
use crate::world::{CLIENT_ID, World, ready};

/// How much is done.
struct Scale {
    /// Accounts that are well.
    well: usize,
    /// How often they are read.
    interval: Duration,
    /// For so many reads.
    reads: usize,
}

impl Scale {
    /// The short run, which is part of all tests.
    const SHORT: Self = Self { well: 19, interval: Duration::from_secs(12), reads: 3 };
    /// The long run.
    const FULL: Self = Self { well: 199, interval: Duration::from_secs(30), reads: 5 };

    /// As `SCROBBLE_OPERATOR_ISOLATION` says: `full`, or nothing for the short run.
    fn chosen() -> Self {
        match std::env::var("SCROBBLE_OPERATOR_ISOLATION").ok().as_deref() {
            Some("full") => Self::FULL,
            None | Some("" | "short") => Self::SHORT,
            Some(other) => panic!("SCROBBLE_OPERATOR_ISOLATION is {other}: it can be `short` or `full`"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poisoned_data_hurts_its_own_account_alone() {
    let Scale { well, interval, reads } = Scale::chosen();
    let world = World::new("poison").await;
    without_budget(&world, "main").await;
    world.webhook().await;
    let well: Vec<String> = (0..well).map(|number| format!("well-{number}")).collect();
    crowd(&world, CLIENT_ID, &well, |name| spec("main", name, interval, &["hook"])).await;
    for name in &well {
        world.play(name, 1, 60).await;
    }
    let poisons = poisons();
    world.listenbrainz_target().await;
    let set_up = poisons.iter().map(|poison| {
        let spec = spec("main", poison.name, interval, &["hook"]);
        let world = &world;
        async move { poison.set_up(world, &spec).await }
    });
    join_all(set_up).await;
    let operator = world.operator().environment("SCROBBLE_OPERATOR_FAILPOINT", &Poison::failpoints());
    let operator = operator.start().await.unwrap();
    let told = join_all(poisons.iter().map(|poison| poison.is_told(&world))).await;
    let untold: Vec<String> = told.into_iter().filter_map(Result::err).collect();
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    wait_for_reads(&world, &well, 0, 1, interval).await;
    let since = world.script.last_seq().await.unwrap();
    assert_on_time(&world, &well, since, reads, interval).await;
    let accounts = world.api::<SpotifyAccount>();
    for name in &well {
        let status = accounts.get(name).await.unwrap().status.unwrap();
        assert_eq!(ready(&status), ("True", "Succeeded"), "{name}");
        assert_eq!(status.failures, None, "{name}");
        assert!(status.history.iter().all(|entry| entry.outcome == HistoryOutcome::Succeeded), "{name}");
        assert_eq!(status.sync.unwrap().scrobbled_total, 1, "{name}");
    }
    let log = operator.log();
    let panics = log.lines().filter(|line| line.contains("the operator panicked"));
    let elsewhere: Vec<&str> = panics.filter(|line| !line.contains("src/reconcile/failpoint.rs:")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert!(!log.contains("planted-panic-message"));
    println!("{} accounts on time beside {} poisoned ones", well.len(), poisons.len());
}
