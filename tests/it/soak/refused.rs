//! One play that a service refuses among a hundred: the rest arrives, and it is set aside until somebody asks again.

use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_operator::domain::journal::Standing;
use scrobble_simulator::api::{Effect, Endpoint, ListenBrainzRules, NewFault, NewPlay, RecordFilter};
use serde_json::json;

use super::feed::newest_noted;
use super::kept::{journal_of, secret, wait_for_empty_journal};
use super::stage::{self, Kind, REFUSED_TITLE, Target};
use crate::world::World;

const BRAINZ: Target = Target { name: "brainz", kind: Kind::ListenBrainz };
const FM: Target = Target { name: "fm", kind: Kind::LastFm };
/// The hundredth: the way to it is the longest.
const REFUSED: i64 = 99;
/// Twice the logarithm of a hundred to base two, and two.
const MOST_REQUESTS: usize = 15;

/// Whether nothing waits for a target, the only one, and so many plays were delivered and set aside.
fn stands(target: Target, scrobbled: i64, quarantined: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| {
        let sent = status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == scrobbled);
        let known = status.target(target.name);
        sent && known.is_some_and(|known| (known.pending, known.quarantined) == (0, quarantined))
    }
}

/// Plays fifty tracks from now on, one a second, and waits until the journal holds them.
async fn play_fifty(world: &World, from: i64) {
    let now = world.script.now().await.unwrap();
    let plays: Vec<NewPlay> = (from..from + 50)
        .map(|number| {
            let word = if number == REFUSED { REFUSED_TITLE } else { "Title" };
            let time = now + jiff::SignedDuration::from_secs(number - from);
            NewPlay::new(time).titled(format!("{word} {number:02}"), "The Simulated")
        })
        .collect();
    let newest = plays.last().unwrap().played_time.as_second();
    world.script.add_plays("alice", &plays).await.unwrap();
    let noted = |status: &SpotifyAccountStatus| {
        let known = newest_noted(status).is_some_and(|time| time.as_second() == newest);
        known && status.target(BRAINZ.name).is_some_and(|target| target.pending == from + 50)
    };
    world.wait("alice", &format!("{} plays that wait", from + 50), noted).await;
}

#[tokio::test]
async fn one_play_that_is_refused_costs_few_requests_and_no_other_play() {
    let world = stage::world("refused", 120).await;
    stage::target(&world, &BRAINZ).await;
    stage::listener(&world, "alice", &[BRAINZ]).await;
    stage::account(&world, "alice", "2m", &[BRAINZ]).await;
    let rules = ListenBrainzRules { refuse_titles: vec![REFUSED_TITLE.to_owned()], ..ListenBrainzRules::default() };
    world.script.put_listenbrainz_rules(&rules).await.unwrap();
    let down = NewFault::new(Effect::status(503)).at(Endpoint::ListenbrainzSubmit);
    world.script.add_fault(&down).await.unwrap();
    let _operator = world.start().await;
    play_fifty(&world, 0).await;
    play_fifty(&world, 50).await;

    world.script.clear_faults().await.unwrap();
    let back = world.script.last_seq().await.unwrap();
    let status =
        world.wait("alice", "99 plays delivered and one set aside", stands(BRAINZ, 99, 1)).await.status.unwrap();
    let requests = RecordFilter::at(Endpoint::ListenbrainzSubmit).since(back);
    let requests = world.script.requests(&requests).await.unwrap();
    println!("{} requests for a hundred plays of which one is refused", requests.len());
    assert_eq!(requests[0].facts.items, Some(100), "all of them in one request");
    assert!(requests.len() <= MOST_REQUESTS, "{} requests", requests.len());
    let titles = world.script.listens(&stage::user("alice", BRAINZ.name)).await.unwrap();
    assert_eq!(titles.len(), 99);
    let target = status.target(BRAINZ.name).unwrap();
    let reason = target.last_quarantine_reason.clone().unwrap();

    let (secret, kept) = (secret(&world, "alice").await.unwrap(), journal_of(&world, "alice", 1).await);
    let account = world.api::<SpotifyAccount>().get("alice").await.unwrap();
    let owners = secret.metadata.owner_references.unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!((owners[0].kind.as_str(), Some(&owners[0].uid)), ("SpotifyAccount", account.metadata.uid.as_ref()));
    assert_eq!(secret.metadata.labels.unwrap()["scrobble-operator.io/use"], "state");
    let refused: Vec<(&str, &Standing)> =
        kept.entries.iter().map(|entry| (entry.play.title.as_str(), &entry.places[0].1)).collect();
    let title = format!("{REFUSED_TITLE} {REFUSED}");
    assert_eq!(refused, [(title.as_str(), &Standing::Quarantined { reason })]);

    // Asked for while the service still refuses it, it is set aside again.
    for (token, rules, scrobbled, quarantined) in
        [("too-early", rules, 99, 1), ("in-time", ListenBrainzRules::default(), 100, 0)]
    {
        world.script.put_listenbrainz_rules(&rules).await.unwrap();
        let annotations = json!({"scrobble-operator.io/retry-quarantined-at": token});
        world.patch::<SpotifyAccount>("alice", json!({"metadata": {"annotations": annotations}})).await;
        let handled = |status: &SpotifyAccountStatus| {
            status.last_handled_retry_at.as_deref() == Some(token) && stands(BRAINZ, scrobbled, quarantined)(status)
        };
        world.wait("alice", &format!("the request {token} to be handled"), handled).await;
    }
    assert_eq!(world.script.listens(&stage::user("alice", BRAINZ.name)).await.unwrap().len(), 100);
    wait_for_empty_journal(&world, "alice").await;
}

#[tokio::test]
async fn plays_that_a_service_fails_over_are_sent_alone_after_three_tries() {
    let world = stage::world("fails-over", 120).await;
    stage::target(&world, &FM).await;
    stage::listener(&world, "alice", &[FM]).await;
    stage::account(&world, "alice", "2m", &[FM]).await;
    // Three requests with all plays, and the first play alone.
    let fails = NewFault::new(Effect::LastfmError { code: 8, status: 200 }).at(Endpoint::LastfmScrobble).times(4);
    world.script.add_fault(&fails).await.unwrap();
    world.play("alice", 3, 60).await;
    let _operator = world.start().await;
    let status = world.wait("alice", "two plays delivered and one set aside", stands(FM, 2, 1)).await.status.unwrap();
    let reason = status.target(FM.name).unwrap().last_quarantine_reason.clone().unwrap();
    assert!(reason.contains("fails over this play"), "{reason}");
    let requests = world.script.requests(&RecordFilter::at(Endpoint::LastfmScrobble)).await.unwrap();
    // The simulator does not look into a request that it fails over.
    let failed = requests.iter().filter(|request| request.fault.is_some()).count();
    let sent: Vec<Option<u64>> = requests.iter().skip(failed).map(|request| request.facts.items).collect();
    assert_eq!((failed, sent), (4, vec![Some(1), Some(1)]));
    let sizes: Vec<u64> = requests.iter().map(|request| request.body_bytes).collect();
    assert!(sizes[0] == sizes[1] && sizes[1] == sizes[2] && sizes[3] < sizes[2], "{sizes:?}");
}
