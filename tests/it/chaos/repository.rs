//! Kills beside a repository that applies the first token Secret every 2 s, and so wipes what the operator writes there.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Endpoint, NewApp, RecordFilter, Rotation};

use super::lives::Lives;
use super::moment::Moment;
use super::trial::GRACE_SECONDS;
use super::{Scale, seed};
use crate::accounts::gitops::{Kept, accounts, assert_delivered};
use crate::accounts::repository::{Tool, Way};
use crate::accounts::tokens::{assert_stored, exchanges, report, wait_until_settled};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, ready};

const KEPT: [Kept; 4] = [
    Kept { listener: "first-applied", rotation: Rotation::Grace, way: Way::Apply },
    Kept { listener: "first-replaced", rotation: Rotation::Grace, way: Way::Replace },
    Kept { listener: "second-applied", rotation: Rotation::Grace, way: Way::Apply },
    Kept { listener: "second-replaced", rotation: Rotation::Grace, way: Way::Replace },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_beside_a_repository_lose_no_token_that_the_server_gives_time() {
    let (wanted, seed) = (Scale::chosen().repository_kills, seed());
    println!("seed {seed}: repeat with SCROBBLE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let app = NewApp {
        rotation: Rotation::Grace,
        grace_seconds: GRACE_SECONDS,
        access_token_seconds: 5,
        ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET)
    };
    let world = World::with_app("chaos-repository", app).await;
    let manifests = accounts(&world, &KEPT).await;
    let mut lives = Lives::new(&world);
    lives.begin(None);
    lives.wait_on_duty().await;
    goes_on(&world, &mut lives).await;
    let tools = KEPT.iter().zip(manifests).map(|(kept, manifest)| Tool::start(&world, manifest, kept.way));
    let tools: Vec<Tool> = tools.collect();

    while lives.kills() < wanted {
        for Kept { listener, .. } in KEPT {
            world.play(listener, 1, 0).await;
        }
        let moment = if lives.kills().is_multiple_of(4) { Moment::AnyTime } else { Moment::signal(&mut random) };
        moment.kill(&world, &mut lives, KEPT.len(), &mut random).await;
        lives.begin(None);
        lives.wait_on_duty().await;
        goes_on(&world, &mut lives).await;
    }
    let mut applied = 0;
    for tool in tools {
        applied += tool.stop().await;
    }
    for Kept { listener, .. } in KEPT {
        wait_until_settled(&world, listener).await;
    }
    assert_delivered(&world, &KEPT, false).await;
    lives.terminate().await;

    let refused = exchanges(&world, 0).await.into_iter().filter(|record| record.facts.error.is_some());
    assert_eq!(refused.count(), 0, "no token was ever refused");
    let (mut refreshes, mut lost) = (0, 0);
    for Kept { listener, .. } in KEPT {
        wait_until_settled(&world, listener).await;
        assert_stored(&world, listener).await;
        let status = world.api::<SpotifyAccount>().get(listener).await.unwrap().status.unwrap();
        lost += usize::from(ready(&status) != ("True", "Succeeded"));
        refreshes += report(&world, listener).await.rotations.len();
    }
    println!(
        "policy grace, beside a repository that applied {applied} times: kills {}, refreshes {refreshes}, accounts lost {lost}",
        lives.kills()
    );
    assert_eq!(lost, 0);
}

/// Waits until every account is Ready and was read after a refresh by the operator that is at work now.
async fn goes_on(world: &World, lives: &mut Lives<'_>) {
    let since = world.script.last_seq().await.unwrap();
    for Kept { listener, .. } in KEPT {
        wait_until(&format!("{listener} to go on"), DEADLINE, async || {
            lives.begin_anew_if_it_ended();
            let at = |endpoint| RecordFilter::at(endpoint).of(listener).since(since);
            let refreshed = world.script.requests(&at(Endpoint::Token)).await.map_err(|error| error.to_string())?;
            let read = world.script.requests(&at(Endpoint::RecentlyPlayed)).await.map_err(|error| error.to_string())?;
            let status = world.api::<SpotifyAccount>().get(listener).await.map_err(|error| error.to_string())?.status;
            let ready = status.as_ref().map(ready);
            if !refreshed.is_empty() && !read.is_empty() && ready == Some(("True", "Succeeded")) {
                Ok(())
            } else {
                Err(format!("{} refreshes, {} reads, {ready:?}", refreshed.len(), read.len()))
            }
        })
        .await
        .unwrap();
    }
}
