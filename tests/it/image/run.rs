//! The operator in its image, as a pod runs it.

use scrobble_harness::{Confinement, Container, Operator, wait_until};
use scrobble_operator::api::condition::ConditionType;

use super::dockerfile::Dockerfile;
use super::{AUTHORITIES, folder};
use crate::world::{DEADLINE, World, condition};

/// The name that Spotify has in the pod's `/etc/hosts`.
const SPOTIFY: &str = "spotify.example";

/// A container of the image, as the chart's Deployment starts it.
async fn container(world: &World) -> Container {
    let dockerfile = Dockerfile::read();
    let container = Container::create(&folder().await, dockerfile.user().0, &dockerfile.entrypoint().0).unwrap();
    container.hosts(&[SPOTIFY]).unwrap().in_cluster(world.plane, &world.installation).await.unwrap()
}

fn operator(world: &World, container: Container) -> Operator {
    let spotify = world.script.base_url().replace("127.0.0.1", SPOTIFY);
    assert!(spotify.contains(SPOTIFY), "{spotify}");
    world.operator().simulator(&spotify).argument("--leader-elect").contained(container)
}

#[tokio::test]
async fn plays_arrive_from_a_read_only_root_without_rights() {
    let world = World::new("image").await;
    world.account("alice", "2s").await;
    let mut expected = world.play("alice", 3, 100).await;
    expected.sort();
    let mark = world.mark().await;
    let mut process = operator(&world, container(&world).await).start().await.unwrap();
    wait_until("readiness", DEADLINE, async || {
        let answer = process.get("/readyz").await.map_err(|error| error.to_string())?;
        if answer == (200, "ok".to_owned()) { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await
    .unwrap();

    let found = Confinement::of(process.id()).unwrap();
    let (user, group) = Dockerfile::read().user();
    let confined =
        Confinement { user, group, has_capabilities: false, may_gain_rights: false, has_read_only_root: true };
    assert_eq!(found, confined);

    let account = world
        .wait("alice", "six deliveries", |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 6))
        .await;
    assert_eq!(condition(&account.status.unwrap(), ConditionType::Ready), ("True", "Succeeded"));
    assert_eq!(world.listens("alice").await, expected);
    assert_eq!(world.script.deliveries("hook").await.unwrap().len(), 3);
    // The token is that of the ServiceAccount, found where a pod has it: the audit log names it.
    assert!(!world.writes(mark).await.is_empty());

    let ended = process.terminate().await.unwrap();
    assert_eq!(ended.code(), Some(0), "{}", process.log());
    assert!(!process.log().contains("panic"), "{}", process.log());
}

/// A certificate authority as a company has its own, as PEM. Nothing is signed by it.
fn authority() -> String {
    scrobble_harness::certificates::Certificates::create().unwrap().authority
}

#[tokio::test]
async fn authorities_are_those_of_the_image_and_those_that_are_mounted_beside_it() {
    let world = World::new("image-authorities").await;
    let bare = container(&world).await.file("etc/ssl/certs/ca-certificates.crt", "").unwrap();
    let mut process = operator(&world, bare.clone()).start_unready().unwrap();
    let ended = process.wait(DEADLINE).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{}", process.log());
    assert!(process.log().contains("certificate"), "{}", process.log());

    // With an authority of one's own alone it starts, so that file was read.
    let own = bare.file(&format!("{AUTHORITIES}/company.crt"), &authority()).unwrap();
    let mut process = operator(&world, own).start().await.unwrap();
    assert!(process.terminate().await.unwrap().success());
}
