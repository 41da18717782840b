//! The redirect URI takes the one answer of its own sign-in, once and in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use scrobble_operator::adapters::http::build_open_client;
use scrobble_operator::adapters::kube::Cluster;
use scrobble_operator::adapters::spotify::Spotify;
use scrobble_operator::connect::{self, ConnectError, Destination, Tools};
use scrobble_operator::domain::name::ObjectName;
use scrobble_operator::plan::sign_in::Refusal;
use scrobble_operator::reconcile::context::Clock;
use scrobble_simulator::api::{Effect, Endpoint, NewFault};
use url::Url;

use super::session::{
    Connect, assert_plain, consent, parameter, token_secret, try_visit, visit, with_parameter, world,
};
use crate::accounts::tokens;
use crate::world::{DEADLINE, World};

#[tokio::test]
async fn whatever_else_comes_changes_nothing() {
    let world = world("connect-strays", false).await;
    let mut running = Connect::new(&world, "alice").await.start();
    let other = Connect::new(&world, "alice").await.start().link().await;
    let link = running.link().await;
    let answer = consent(&link).await;
    let state = parameter(&answer, "state").unwrap();
    let others = parameter(&other, "state").unwrap();
    assert_ne!(state, others, "each sign-in has a state of its own");
    let denied = with_parameter(&with_parameter(&answer, "code", None), "error", Some("access_denied"));
    let twice = Url::parse(&format!("{answer}&state={state}")).unwrap();
    for stray in [
        with_parameter(&answer, "state", Some("guess")),
        with_parameter(&answer, "state", Some(&others)),
        with_parameter(&answer, "state", Some(&state[..42])),
        with_parameter(&answer, "state", None),
        with_parameter(&denied, "state", Some("guess")),
        with_parameter(&denied, "state", None),
        twice,
    ] {
        let page = visit(&stray).await;
        assert_eq!(page.status, 400, "{stray}");
        assert_plain(&page);
        assert!(page.text.contains("belongs to another sign-in"), "{}", page.text);
    }
    let mut elsewhere = answer.clone();
    elsewhere.set_path("/");
    assert_eq!(visit(&elsewhere).await.status, 404);
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    for method in [Method::HEAD, Method::POST, Method::OPTIONS] {
        let refused = client.request(method.clone(), answer.clone()).send().await.unwrap();
        assert_eq!(refused.status(), 405, "{method}: the code is not spent by looking ahead");
    }
    // Nobody but this machine reaches it.
    let mut neighbour = answer.clone();
    neighbour.set_host(Some("127.0.0.2")).unwrap();
    assert!(try_visit(&neighbour).await.unwrap_err().is_connect());

    assert!(running.is_running());
    assert!(tokens::exchanges(&world, 0).await.is_empty(), "no code was exchanged");
    let page = visit(&answer).await;
    assert_eq!(page.status, 200, "{page:?}");
    let ended = running.end().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let warnings = ended.stderr.lines().filter(|line| line.contains("belongs to another sign-in")).count();
    assert_eq!(warnings, 1, "said once: {}", ended.stderr);
    match try_visit(&answer).await {
        Err(error) => assert!(error.is_connect(), "nobody listens any more: {error}"),
        // Somebody else has the port by now.
        Ok(page) => assert_ne!(page.status, 200),
    }
}

#[tokio::test]
async fn an_answer_counts_once() {
    let world = world("connect-reuse", true).await;
    let mut running = Connect::new(&world, "alice").await.start();
    let answer = consent(&running.link().await).await;
    let slow = Effect::DelayAfter { milliseconds: 5_000 };
    world.script.add_fault(&NewFault::new(slow).at(Endpoint::Token)).await.unwrap();
    // Which of them is first is theirs to decide.
    let (one, two, three) = tokio::join!(visit(&answer), visit(&answer), visit(&answer));
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400]);
    for page in [one, two, three].iter().filter(|page| page.status == 400) {
        assert!(page.text.contains("answered already"), "{}", page.text);
    }
    assert_eq!(running.end().await.code, 0);
    assert_eq!(tokens::exchanges(&world, 0).await.len(), 1);
}

#[tokio::test]
async fn nobody_who_signs_in_within_five_minutes_ends_the_command() {
    let world = world("connect-too-late", false).await;
    let clock = format!("x3000,@{}", scrobble_simulator::Clock::real().now());
    let running = Connect::new(&world, "alice").await.environment("SCROBBLE_OPERATOR_TEST_CLOCK", &clock).start();
    let ended = running.end().await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("nobody signed in within 5 minutes: run the command again"), "{}", ended.stderr);
    assert!(token_secret(&world, "alice").await.is_none());
}

/// A clock that is moved while timers stand still: the machine slept.
struct Slept(AtomicI64);

impl Clock for Slept {
    fn now(&self) -> Timestamp {
        self.real_now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn real_now(&self) -> Timestamp {
        scrobble_simulator::Clock::real().now()
    }

    fn timer(&self, _: SignedDuration) -> Duration {
        DEADLINE
    }
}

async fn begin(world: &World, clock: &Arc<Slept>) -> connect::Session {
    let url = |text: String| text.parse().unwrap();
    let spotify = Spotify::new(
        build_open_client().unwrap(),
        url(world.script.spotify_accounts_url()),
        url(world.script.spotify_api_url()),
    );
    let cluster = Cluster::new(world.client.clone(), "test".to_owned());
    let clock: Arc<dyn Clock> = Arc::<Slept>::clone(clock);
    let account = ObjectName::new(&world.namespace, "alice");
    connect::begin(Tools { cluster, spotify, clock }, &account, 0, Destination::Cluster).await.unwrap()
}

#[tokio::test]
async fn an_answer_that_comes_after_five_minutes_is_refused() {
    let world = world("connect-slept", false).await;
    for (slept, expected) in [(290, 200), (300, 400), (86_400, 400)] {
        let clock = Arc::new(Slept(AtomicI64::new(0)));
        let session = begin(&world, &clock).await;
        let answer = consent(session.url()).await;
        clock.0.store(slept, Ordering::SeqCst);
        let seq = world.script.last_seq().await.unwrap();
        let (page, finished) = tokio::join!(visit(&answer), session.finish());
        assert_eq!(page.status, expected, "{slept} s later");
        match finished.map(|_| ()) {
            Ok(()) => assert_eq!(expected, 200),
            Err(ConnectError::Refused(refusal)) => assert_eq!((refusal, expected), (Refusal::TooLate, 400)),
            Err(other) => panic!("{other}"),
        }
        let sent = tokens::exchanges(&world, seq).await.len();
        assert_eq!(sent, usize::from(expected == 200), "{slept} s later: a late code is not exchanged");
    }
}
