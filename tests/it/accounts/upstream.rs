//! What Spotify may answer instead of what was asked: an account for each trouble, all at one operator. None panics, each
//! is told, none stops for good.

use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewAccount, NewApp, NewFault, RecordFilter};
use serde_json::json;

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, condition, ready};
use scrobble_harness::audit::Marker;
use scrobble_harness::wait_until;

/// A trouble that passes by itself.
struct Trouble {
    name: &'static str,
    endpoint: Endpoint,
    effect: Effect,
    /// How many requests it strikes.
    times: u32,
    /// How many failures these are: what trying again at once may help is tried three times in the first request.
    failures: u32,
    reason: &'static str,
}

const UPSTREAM: &str = "UpstreamUnavailable";
const NETWORK: &str = "NetworkError";

fn troubles() -> Vec<Trouble> {
    let as_form = |status: u16, form: BodyForm| Effect::status_as(status, form);
    let text = |status: u16, text: &str| Effect::Status {
        status,
        body: BodyForm::Text,
        text: Some(text.to_owned()),
        retry_after_seconds: None,
    };
    let trouble =
        |name, endpoint, effect, times, reason| Trouble { name, endpoint, effect, times, failures: 3, reason };
    let again = |name, effect, reason| trouble(name, Endpoint::RecentlyPlayed, effect, 5, reason);
    let read = |name, effect, reason| trouble(name, Endpoint::RecentlyPlayed, effect, 3, reason);
    let token = |name, effect, reason| trouble(name, Endpoint::Token, effect, 3, reason);
    vec![
        again("read-500", Effect::status(500), UPSTREAM),
        again("read-502", as_form(502, BodyForm::Html), UPSTREAM),
        again("read-503", as_form(503, BodyForm::Text), UPSTREAM),
        again("read-504", as_form(504, BodyForm::Empty), UPSTREAM),
        read("read-302", as_form(302, BodyForm::Empty), UPSTREAM),
        read("read-403", text(403, "computer says no"), UPSTREAM),
        read("read-nothing", text(200, ""), UPSTREAM),
        read("read-number", text(200, "7"), UPSTREAM),
        read("read-no-list", text(200, r#"{"items": {"0": null}}"#), UPSTREAM),
        read("read-html", Effect::HtmlBody, UPSTREAM),
        read("read-retyped", Effect::WrongJsonType, UPSTREAM),
        read("read-oversized", Effect::OversizedBody { bytes: 0 }, UPSTREAM),
        again("read-truncated", Effect::TruncatedBody, NETWORK),
        again("read-cut-before", Effect::CutBefore, NETWORK),
        again("read-cut-after", Effect::CutAfter, NETWORK),
        // Tried again at once, which is no failure.
        Trouble { times: 1, failures: 0, ..read("read-hangs", Effect::Hang, NETWORK) },
        Trouble { times: 2, failures: 0, ..read("read-500-twice", Effect::status(500), UPSTREAM) },
        token("token-503", Effect::status(503), UPSTREAM),
        token("token-html", Effect::HtmlBody, UPSTREAM),
        token("token-retyped", Effect::WrongJsonType, UPSTREAM),
        token("token-oversized", Effect::OversizedBody { bytes: 0 }, UPSTREAM),
        token("token-no-json", text(400, "bad request"), UPSTREAM),
        token("token-truncated", Effect::TruncatedBody, NETWORK),
        token("token-cut-before", Effect::CutBefore, NETWORK),
        token("token-cut-after", Effect::CutAfter, NETWORK),
        Trouble { times: 1, failures: 1, ..token("token-hangs", Effect::HangAfter, NETWORK) },
    ]
}

/// A world in which an hour takes a minute. Access tokens last until the end of the test.
async fn fast_world(test: &str) -> World {
    let app = NewApp { access_token_seconds: 100_000, ..NewApp::confidential(CLIENT_ID, "simulated-client-secret") };
    let world = World::at_rate(test, app, 60).await;
    world.webhook().await;
    world
}

impl World {
    /// An account that delivers to `hook` alone.
    pub async fn hooked(&self, account: NewAccount, interval: &str) {
        let name = account.name.clone();
        self.listener_as(account).await;
        let mut spec = self.spec(&name, interval);
        spec["targets"] = json!([spec["targets"][1]]);
        self.create::<SpotifyAccount>("SpotifyAccount", &name, &spec).await;
    }

    /// The same with a `SpotifyApp` of its own, named like the account: what Spotify does to one of them concerns no other.
    pub async fn hooked_alone(&self, account: NewAccount, interval: &str) {
        let name = account.name.clone();
        self.listener_as(account).await;
        self.app(&name, &NewApp::confidential(CLIENT_ID, CLIENT_SECRET)).await;
        let mut spec = self.spec(&name, interval);
        spec["appRef"] = json!({"name": name});
        spec["targets"] = json!([spec["targets"][1]]);
        self.create::<SpotifyAccount>("SpotifyAccount", &name, &spec).await;
    }

    /// Waits until a fault has struck as often as it should.
    pub async fn struck(&self, id: u64, times: u32) {
        let struck = async || {
            let faults = self.script.faults().await.unwrap();
            faults.iter().any(|fault| fault.id == id && fault.applied >= times)
        };
        wait_until(&format!("fault {id} to strike {times} times"), DEADLINE, struck).await.unwrap();
    }

    /// Every status of an account that was written since a mark, oldest first.
    pub async fn statuses(&self, since: Marker, name: &str) -> Vec<SpotifyAccountStatus> {
        let writes = self.writes(since).await;
        let of_account = writes.into_iter().filter(|entry| {
            entry.is_about("spotifyaccounts/status") && entry.name.as_deref() == Some(name) && entry.code == 200
        });
        of_account.map(|entry| serde_json::from_value(entry.response.unwrap()["status"].clone()).unwrap()).collect()
    }
}

fn sent(count: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
}

#[tokio::test]
async fn trouble_that_passes_is_told_and_passed_over() {
    let world = fast_world("upstream").await;
    let troubles = troubles();
    for trouble in &troubles {
        let mut account = NewAccount::new(trouble.name, CLIENT_ID);
        if trouble.endpoint == Endpoint::Token {
            // Every read needs a new one.
            account.access_token_seconds = Some(310);
        }
        world.hooked_alone(account, "5m").await;
        world.play(trouble.name, 1, 30).await;
    }
    let operator = world.start().await;
    for trouble in &troubles {
        world.wait(trouble.name, "a delivery", |status| sent(1)(status) && ready(status).0 == "True").await;
    }
    let mark = world.plane.audit().marker().unwrap();
    let seq = world.script.last_seq().await.unwrap();
    let mut faults = Vec::new();
    for trouble in &troubles {
        let fault = NewFault::new(trouble.effect.clone()).at(trouble.endpoint).of(trouble.name).times(trouble.times);
        faults.push(world.script.add_fault(&fault).await.unwrap());
    }
    for (trouble, fault) in troubles.iter().zip(faults) {
        world.struck(fault, trouble.times).await;
        world.play(trouble.name, 1, 0).await;
    }
    for trouble in &troubles {
        let name = trouble.name;
        let recovered = |status: &SpotifyAccountStatus| sent(2)(status) && status.failures.is_none();
        world.wait(name, "recovered", recovered).await;
        let statuses = world.statuses(mark, name).await;
        let mut counted = 0;
        for status in &statuses {
            assert_eq!(ready(status), ("True", "Succeeded"), "{name}: so few failures are passed over");
            let Some(failures) = &status.failures else { continue };
            counted = counted.max(failures.consecutive);
            assert_eq!(failures.last_reason.as_deref(), Some(trouble.reason), "{name}");
            let (last, next) = (failures.last_time.clone().unwrap(), failures.next_attempt_time.clone().unwrap());
            let wait = next.0.duration_since(last.0).as_secs();
            let expected = [60, 120, 240][usize::try_from(failures.consecutive).unwrap() - 1];
            assert!((expected..=expected + 2).contains(&wait), "{name}: tries again after {wait} s");
        }
        assert_eq!(counted, i32::try_from(trouble.failures).unwrap(), "{name}: each failure is counted once");
        let asked = RecordFilter::at(trouble.endpoint).of(name).since(seq);
        let asked = world.script.requests(&asked).await.unwrap();
        let failed = asked.iter().filter(|record| record.fault.is_some()).count();
        assert_eq!(failed, trouble.times as usize, "{name}");
        assert!(asked.iter().any(|record| record.fault.is_none()), "{name}");
    }
    assert!(!operator.log().contains("panicked"));
}

/// Waits for this reason, which a human has to act upon.
async fn stalled(world: &World, name: &str, reason: &str, says: &str) {
    let status = world.wait_ready(name, "False", reason).await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", reason), "{name}");
    let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
    assert!(message.contains(says), "{name}: {message}");
    let failures = status.failures.unwrap();
    let wait = failures.next_attempt_time.unwrap().0.duration_since(failures.last_time.unwrap().0);
    assert!(wait.as_mins() >= 59, "{name}: only a slow probe, not {wait:?}");
}

#[tokio::test]
async fn what_only_a_human_can_change_at_spotify_is_probed_slowly() {
    let world = fast_world("refused").await;
    let cases = [
        ("scope", Effect::InsufficientScope, "ScopeInsufficient", "user-read-recently-played"),
        ("allow-list", Effect::UserNotAllowlisted, "UserNotAllowlisted", "User Management"),
    ];
    for (name, effect, ..) in &cases {
        world.hooked(NewAccount::new(*name, CLIENT_ID), "1m").await;
        world.play(name, 1, 30).await;
        let fault = NewFault::new(effect.clone()).at(Endpoint::RecentlyPlayed).of(*name);
        world.script.add_fault(&fault).await.unwrap();
    }
    world.hooked(NewAccount::new("bystander", CLIENT_ID), "1m").await;
    let operator = world.start().await;
    for (name, _, reason, says) in &cases {
        stalled(&world, name, reason, says).await;
    }
    let reads = async |name: &str| {
        let filter = RecordFilter::at(Endpoint::RecentlyPlayed).of(name);
        world.script.requests(&filter).await.unwrap().len()
    };
    wait_until("ten reads of another account", DEADLINE, async || reads("bystander").await >= 10).await.unwrap();
    for (name, ..) in &cases {
        assert_eq!(reads(name).await, 1, "{name}: asking again would not help");
    }
    world.script.clear_faults().await.unwrap();
    for (name, ..) in &cases {
        world.request(name, "mended").await;
        let healed = |status: &SpotifyAccountStatus| {
            sent(1)(status) && ready(status) == ("True", "Succeeded") && status.failures.is_none()
        };
        let status = world.wait(name, "healed", healed).await.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("", ""), "{name}");
    }
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn an_access_token_that_is_refused_is_replaced_once_and_then_waits() {
    let world = fast_world("unauthorized").await;
    for name in ["once", "always"] {
        world.hooked(NewAccount::new(name, CLIENT_ID), "5m").await;
    }
    let _operator = world.start().await;
    for name in ["once", "always"] {
        world.wait_ready(name, "True", "Succeeded").await;
    }
    let refused = |name: &str| NewFault::new(Effect::AccessTokenExpired).at(Endpoint::RecentlyPlayed).of(name);
    let once = world.script.add_fault(&refused("once").times(1)).await.unwrap();
    world.script.add_fault(&refused("always")).await.unwrap();
    world.struck(once, 1).await;
    world.play("once", 1, 0).await;
    let status = world.wait("once", "a delivery", sent(1)).await.status.unwrap();
    assert_eq!(ready(&status), ("True", "Succeeded"));
    let failing = |status: &SpotifyAccountStatus| status.failures.as_ref().is_some_and(|known| known.consecutive >= 3);
    let status = world.wait("always", "three failures", failing).await.status.unwrap();
    let failures = status.failures.unwrap();
    assert_eq!(failures.last_reason.as_deref(), Some(UPSTREAM));
    world.script.clear_faults().await.unwrap();
    world.play("always", 1, 0).await;
    world.wait("always", "recovered", |status| sent(1)(status) && status.failures.is_none()).await;

    for name in ["once", "always"] {
        let of = |endpoint| RecordFilter::at(endpoint).of(name);
        let tokens = world.script.requests(&of(Endpoint::Token)).await.unwrap().len();
        let reads = world.script.requests(&of(Endpoint::RecentlyPlayed)).await.unwrap();
        let refused = reads.iter().filter(|read| read.status == Some(401)).count();
        match name {
            "once" => assert_eq!((refused, tokens), (1, 2)),
            // The first pass: a read, one refresh, a read. From then on what was refused is not shown again: one refresh,
            // a read. The last may have been answered after its refresh.
            _ => {
                assert!([refused - 1, refused].contains(&(tokens - 1)), "{refused} refused, {tokens} tokens asked for");
            }
        }
    }
}

#[tokio::test]
async fn whoever_asks_to_wait_is_left_alone_for_so_long() {
    let world = fast_world("retry-after").await;
    let wait = |seconds| Effect::RateLimited { retry_after_seconds: seconds };
    let quota = Effect::QuotaExceeded { retry_after_seconds: Some(600) };
    let busy = Effect::Status { status: 503, body: BodyForm::Text, text: None, retry_after_seconds: Some(600) };
    let cases = [
        ("busy", Endpoint::RecentlyPlayed, busy.clone(), 600, "RateLimited"),
        ("busy-token", Endpoint::Token, busy, 600, "RateLimited"),
        ("short", Endpoint::RecentlyPlayed, wait(540), 540, "RateLimited"),
        ("token", Endpoint::Token, wait(540), 540, "RateLimited"),
        ("quota", Endpoint::RecentlyPlayed, quota, 600, "QuotaExceeded"),
        // No 30-second limit asks for so long: it is the quota, whatever the body says.
        ("long", Endpoint::RecentlyPlayed, wait(2400), 2400, "QuotaExceeded"),
    ];
    for (name, endpoint, ..) in &cases {
        let mut account = NewAccount::new(*name, CLIENT_ID);
        if *endpoint == Endpoint::Token {
            account.access_token_seconds = Some(310);
        }
        world.hooked_alone(account, "20m").await;
    }
    let _operator = world.start().await;
    for (name, ..) in &cases {
        world.wait_ready(name, "True", "Succeeded").await;
    }
    for (name, endpoint, effect, seconds, reason) in &cases {
        let fault = NewFault::new(effect.clone()).at(*endpoint).of(*name).times(1);
        let id = world.script.add_fault(&fault).await.unwrap();
        world.play(name, 1, 0).await;
        world.request(name, "a read now").await;
        world.struck(id, 1).await;
        let told = |status: &SpotifyAccountStatus| {
            status.failures.as_ref().is_some_and(|failures| failures.last_reason.as_deref() == Some(*reason))
        };
        let status = world.wait(name, "told to wait", told).await.status.unwrap();
        assert_eq!(ready(&status), ("True", "Succeeded"), "{name}: waits {seconds} s, reads every 20 min");
        // Not even a request passes.
        world.request(name, "now, please").await;
    }
    // Longer than the interval is no longer passed over, and still nothing that a human has to act upon.
    let status = world.wait_ready("long", "False", "QuotaExceeded").await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
    for (name, _, _, seconds, ..) in &cases {
        world.wait(name, "a delivery", |status| sent(1)(status) && ready(status).0 == "True").await;
        let requests = world.script.requests(&RecordFilter::default().of(*name)).await.unwrap();
        let limited = requests.iter().position(|request| request.fault.is_some()).unwrap();
        let waited = requests[limited + 1].time.duration_since(requests[limited].time).as_secs();
        assert!(waited >= *seconds, "{name}: asked again after {waited} s");
    }
}
