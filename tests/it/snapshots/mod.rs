//! What status says of each failure that the simulator can make, and what it says afterwards: one file a case, to be read.
//!
//! A file shows the status of the account, and that of its app and of its target where it says more than that all is
//! well; and the Events about the three, each once. All tests together run every third case, `make snapshots` all of them.
//! `SCROBBLE_OPERATOR_GENERATE=1` writes the files from what is seen; whoever changes them reads the difference.

mod cases;
mod picture;
mod review;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::future::{join, join_all};
use futures::stream::{self, StreamExt as _};
use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use scrobble_simulator::api::{Endpoint, NewApp};

use crate::world::{CLIENT_ID, CLIENT_SECRET, World};
use cases::{Case, Remedy, cases};
use stage::Stage;

/// So many cases run beside one another, those that mostly wait apart.
const LANES: usize = 12;
const SLOW_LANES: usize = 40;
/// How far apart the cases of a short run are.
const APART: usize = 3;
/// What the simulator and the operator are moved on by for what a day mends.
const A_DAY: SignedDuration = SignedDuration::from_hours(25);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots")
}

fn file(case: &Case) -> PathBuf {
    folder().join(format!("{}.yaml", case.name))
}

/// Whether an endpoint is one of Spotify's, which all cases share.
fn is_spotifys(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Authorize | Endpoint::Token | Endpoint::Me | Endpoint::RecentlyPlayed)
}

#[expect(clippy::disallowed_methods, reason = "how the files are written anew")]
fn writes() -> bool {
    std::env::var("SCROBBLE_OPERATOR_GENERATE").is_ok_and(|value| value == "1")
}

/// The cases of this run: all of them where `SCROBBLE_OPERATOR_SNAPSHOTS` says `full` or files are written, else one in
/// [`APART`].
#[expect(clippy::disallowed_methods, reason = "how the long run is asked for")]
fn chosen() -> Vec<Case> {
    let all = std::env::var("SCROBBLE_OPERATOR_SNAPSHOTS").is_ok_and(|value| value == "full") || writes();
    cases().into_iter().enumerate().filter(|(place, _)| all || place % APART == 0).map(|(_, case)| case).collect()
}

/// A case, and what was said.
struct Seen<'a> {
    stage: Stage<'a>,
    wrong: String,
    mended: Option<String>,
}

async fn see<'a>(world: &'a World, case: &'a Case) -> Seen<'a> {
    let stage = Stage::build(world, case).await;
    let wrong = stage.wrong().await;
    let mended = if case.remedy == Remedy::Day { None } else { Some(stage.mended().await) };
    Seen { stage, wrong, mended }
}

#[tokio::test]
async fn status_is_true_and_sufficient_while_something_is_wrong_and_clean_afterwards() {
    // A minute is a second.
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("snapshots", app, 60).await;
    world.secret("hook", "target", &[("hmac", "webhook-signing-key")]).await;
    let keys = [("api-key", "lastfm-api-key"), ("shared-secret", "lastfm-shared-secret")];
    world.secret("application", "target", &keys).await;
    let cases = chosen();
    let mut operator = world.start().await;
    let of = |slow: bool, lanes: usize| {
        let some: Vec<&Case> = cases.iter().filter(|case| case.slow == slow).collect();
        stream::iter(some).map(|case| see(&world, case)).buffer_unordered(lanes).collect::<Vec<Seen<'_>>>()
    };
    let (slow, quick) = join(of(true, SLOW_LANES), of(false, LANES)).await;
    let mut all: Vec<Seen<'_>> = slow.into_iter().chain(quick).collect();

    // A day passes at once.
    assert!(operator.terminate().await.unwrap().success());
    world.script.advance_clock(A_DAY).await.unwrap();
    join_all(all.iter().map(|seen| seen.stage.advance(A_DAY))).await;
    let clock = format!("+{}h,{}", A_DAY.as_hours(), world.clock.as_deref().unwrap());
    let mut operator = world.operator().clock(&clock).start().await.unwrap();
    join_all(all.iter_mut().filter(|seen| seen.mended.is_none()).map(async |seen| {
        seen.mended = Some(seen.stage.mended().await);
    }))
    .await;
    // It ends with everything told.
    assert!(operator.terminate().await.unwrap().success());

    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let mut different = Vec::new();
    for Seen { stage, wrong, mended } in &all {
        let case = stage.case;
        let events = picture::events(&events, case.name, &world.namespace);
        let mended = mended.as_deref().unwrap_or_default();
        let seen =
            format!("# {}\n\n# WHILE IT IS WRONG\n{wrong}\n# AFTERWARDS\n{mended}\n# ALL EVENTS\n{events}", case.what);
        let path = file(case);
        if writes() {
            std::fs::write(&path, &seen).unwrap();
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        if known != seen {
            different.push(format!("{}:\n{seen}", case.name));
        }
    }
    println!("{} failures, each with its status while it lasts and afterwards", all.len());
    assert!(different.is_empty(), "other than the files say:\n{}", different.join("\n"));
}

#[test]
fn each_file_has_a_case() {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    let known: BTreeSet<PathBuf> = cases().iter().map(file).collect();
    assert_eq!(files, known);
}
