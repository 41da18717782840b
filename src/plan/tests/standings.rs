//! A target as a whole: when its breaker opens and closes, who probes, and when those that wait come back.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::accounts::{minutes, seconds, start};
use super::observations::target;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{BreakerLimits, ScrobbleTarget, TargetType};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::random::config;
use crate::plan::step::SecretTrouble;
use crate::plan::target as targets;
use crate::plan::target_standing::{Evidence, Standing, Word, is_enough, word, word_of};

const ENOUGH: Evidence<'static> = Evidence { probe: false, enough: true, version: "one", uid: "target-uid" };
pub(super) const PROBE: Evidence<'static> = Evidence { probe: true, ..ENOUGH };

pub(super) fn limits() -> BreakerLimits {
    BreakerLimits { failure_threshold: 5, probe_after: minutes(15), max_probe_after: minutes(60) }
}

pub(super) fn fails() -> Word {
    Word::Fails { trouble: Trouble::Status(503), retry_after: None }
}

fn refused() -> Word {
    Word::KeysRefused { reason: "the API key is suspended".to_owned() }
}

pub(super) fn open() -> Standing {
    Standing::default().after(&fails(), ENOUGH, limits(), start())
}

/// From a time to the next probe.
fn wait(standing: &Standing, since: Timestamp) -> SignedDuration {
    standing.next_probe().unwrap().duration_since(since)
}

/// A target with a status that tells a standing, as it does for so many accounts.
pub(super) fn told(standing: &Standing, accounts: i32, now: Timestamp) -> ScrobbleTarget {
    let mut target = target("brainz", TargetType::ListenBrainz);
    target.metadata.uid = Some("target-uid".to_owned());
    target.status = Some(targets::settle(&target, &Ok(()), standing, accounts, now));
    target
}

fn condition(target: &ScrobbleTarget, kind: ConditionType) -> String {
    let status = target.status.as_ref().unwrap();
    find_condition(&status.conditions, kind)
        .map_or_else(String::new, |found| format!("{} {}", found.status, found.reason))
}

#[test]
fn what_an_answer_says_about_the_target() {
    let (last_fm, hook) = (TargetType::LastFm, TargetType::Webhook);
    let not_now = |trouble| Delivery::NotNow { retry_after: Some(seconds(7)), trouble };
    let fails = |trouble, retry_after| Word::Fails { trouble, retry_after };
    let signature = Word::KeysRefused { reason: "the receiver refuses the target's signature".to_owned() };
    for (kind, answer, expected) in [
        (last_fm, Delivery::Accepted, Word::Works),
        (last_fm, Delivery::AlreadyThere, Word::Works),
        (last_fm, Delivery::Never { reason: "too old".to_owned() }, Word::Own),
        (last_fm, Delivery::CredentialsRefused, Word::Own),
        (hook, Delivery::CredentialsRefused, signature),
        (hook, Delivery::Suspended, Word::Own),
        (last_fm, not_now(Trouble::DailyLimit), Word::Own),
        (last_fm, not_now(Trouble::TooNew), Word::Own),
        (last_fm, not_now(Trouble::SecondTaken), Word::Own),
        (last_fm, not_now(Trouble::OperationFailed), Word::Nothing),
        (last_fm, not_now(Trouble::AddressRefused), Word::Nothing),
        (last_fm, not_now(Trouble::RateLimited), Word::Waits { retry_after: Some(seconds(7)) }),
        (last_fm, not_now(Trouble::Status(503)), fails(Trouble::Status(503), Some(seconds(7)))),
        (last_fm, not_now(Trouble::Unreachable), fails(Trouble::Unreachable, Some(seconds(7)))),
        (last_fm, Delivery::Unknown(Trouble::Timeout), fails(Trouble::Timeout, None)),
        (last_fm, Delivery::ClientRefused { reason: "error 10".to_owned() }, {
            Word::KeysRefused { reason: "error 10".to_owned() }
        }),
    ] {
        assert_eq!(word_of(kind, &answer), expected, "{answer:?}");
    }
    let mixed = [Delivery::Accepted, Delivery::Never { reason: String::new() }, Delivery::Unknown(Trouble::Unreadable)];
    assert_eq!(word(last_fm, &Submission::Each(mixed.to_vec())), Word::Works, "it took one");
    assert_eq!(word(last_fm, &Submission::BatchRefused), Word::Own);
    assert_eq!(word(last_fm, &Submission::Each(Vec::new())), Word::Nothing);
}

#[test]
fn failures_of_one_account_among_several_open_nothing() {
    for (failures, failed, accounts, expected) in [
        (4, 4, 30, false),
        (5, 1, 30, false),
        (50, 1, 30, false),
        (5, 2, 30, true),
        (5, 1, 1, true),
        (4, 1, 1, false),
        (5, 1, 0, true),
    ] {
        assert_eq!(is_enough(failures, failed, accounts, limits()), expected, "{failures} {failed} {accounts}");
    }
    let alone = Evidence { enough: false, ..ENOUGH };
    assert_eq!(Standing::default().after(&fails(), alone, limits(), start()), Standing::default());
}

#[test]
fn a_failing_service_is_probed_at_least_every_quarter_of_an_hour_however_long_it_fails() {
    let mut standing = open();
    let mut now = start();
    for trips in 1..=20 {
        let breaker = standing.breaker.clone().unwrap();
        assert_eq!((breaker.trips, breaker.opened_time.unwrap().0), (trips, start()));
        let wait = wait(&standing, now);
        assert!(wait <= minutes(15) && wait >= minutes(13), "{trips}: {wait}");
        let same = standing.after(&fails(), ENOUGH, limits(), now + seconds(9));
        assert_eq!(same, standing, "an answer to a request that left before counts for nothing");
        now = standing.next_probe().unwrap();
        standing = standing.after(&fails(), PROBE, limits(), now);
    }
    assert_eq!(standing.after(&Word::Works, ENOUGH, limits(), now), standing, "it is the probe that tells");
    assert_eq!(standing.after(&Word::Works, PROBE, limits(), now), Standing::default());
    assert_eq!(standing.after(&Word::Own, PROBE, limits(), now), Standing::default(), "it answers by its rules");

    let short = BreakerLimits { probe_after: minutes(1), max_probe_after: minutes(4), ..limits() };
    let mut standing = Standing::default().after(&fails(), ENOUGH, short, start());
    for expected in [1, 2, 4, 4] {
        let since = standing.breaker.clone().unwrap();
        let probe = since.next_probe_time.unwrap().0;
        let begun = if since.trips == 1 { start() } else { now };
        let waited = probe.duration_since(begun);
        assert!(waited <= minutes(expected) && waited >= minutes(expected) * 9 / 10, "{expected}: {waited}");
        now = probe;
        standing = standing.after(&fails(), PROBE, short, now);
    }
}

#[test]
fn keys_that_are_refused_are_left_alone_for_up_to_an_hour_and_tried_at_once_where_they_change() {
    let mut standing = Standing::default().after(&refused(), Evidence { enough: false, ..ENOUGH }, limits(), start());
    assert!(standing.refuses_keys(), "one request finds out");
    let mut now = start();
    for expected in [15, 30, 60, 60] {
        let wait = wait(&standing, now);
        assert!(wait <= minutes(expected) && wait >= minutes(expected) * 9 / 10, "{expected}: {wait}");
        now = standing.next_probe().unwrap();
        standing = standing.after(&refused(), PROBE, limits(), now);
    }
    let later = now + seconds(5);
    assert_eq!(standing.seen("one", later), standing);
    let other = standing.seen("two", later);
    assert_eq!(other.next_probe(), Some(later));
    // Corrected, but not rightly: the waits begin anew.
    let again = other.after(&refused(), Evidence { version: "two", ..PROBE }, limits(), later);
    assert_eq!(again.breaker.clone().unwrap().trips, 1);
    assert!(wait(&again, later) <= minutes(15));
    assert_eq!(again.breaker.unwrap().opened_time.unwrap().0, start(), "it has been open since");
    // A probe that told nothing about the keys: not forgotten, and not left alone for longer.
    let due = standing.next_probe().unwrap();
    let told_nothing = standing.after(&fails(), PROBE, limits(), due);
    assert!(told_nothing.refuses_keys());
    assert_eq!((wait(&told_nothing, due), told_nothing.trips()), (minutes(15), standing.trips()));
    assert_eq!(other.after(&Word::Works, PROBE, limits(), later), Standing::default());
}

#[test]
fn what_the_service_asks_for_is_not_undercut() {
    let asked = Word::Fails { trouble: Trouble::Status(503), retry_after: Some(minutes(50)) };
    let standing = Standing::default().after(&asked, ENOUGH, limits(), start());
    assert_eq!(wait(&standing, start()), minutes(50));
    let due = standing.next_probe().unwrap();
    let limited = standing.after(&Word::Waits { retry_after: Some(minutes(40)) }, PROBE, limits(), due);
    assert_eq!((wait(&limited, due), limited.trips()), (minutes(40), 1));
    let nothing = standing.after(&Word::Nothing, PROBE, limits(), due);
    assert_eq!(wait(&nothing, due), minutes(15), "a probe that tells nothing is not repeated at once");

    let none = Standing::default();
    assert_eq!(none.paused(seconds(29), start()), none, "over before it matters");
    let now = start() + SignedDuration::from_millis(300);
    let paused = none.paused(seconds(600), now);
    assert_eq!(paused.paused_until, Some(start() + seconds(601)), "never shown as over before it is");
    assert_eq!(paused.paused(seconds(60), now), paused, "the longest counts");
    for (time, may) in [(start(), false), (start() + seconds(600), false), (start() + seconds(601), true)] {
        assert_eq!(paused.may_call(false, time), may, "{time}");
    }
}

#[test]
fn one_request_probes_and_none_before_its_time() {
    let standing = open();
    let due = standing.next_probe().unwrap();
    for (probing, time, may) in [(false, due - seconds(1), false), (false, due, true), (true, due, false)] {
        assert_eq!(standing.may_call(probing, time), may, "{probing} {time}");
    }
    assert!(Standing::default().may_call(true, start()));
}

#[test]
fn what_a_target_tells_is_what_the_next_process_knows() {
    let missing = Err(SecretTrouble::NotFound { secret: ObjectName::new("music", "keys") });
    for (standing, ready, stalled) in [
        (open(), "False UpstreamUnavailable", ""),
        (
            Standing::default().after(
                &Word::Fails { trouble: Trouble::Timeout, retry_after: None },
                ENOUGH,
                limits(),
                start(),
            ),
            "False NetworkError",
            "",
        ),
        (
            Standing::default().after(&refused(), ENOUGH, limits(), start()),
            "False ClientCredentialsInvalid",
            "True ClientCredentialsInvalid",
        ),
        (Standing::default().paused(minutes(5), start()), "True Succeeded", ""),
        (Standing::default().paused(minutes(21), start()), "False RateLimited", ""),
        (open().paused(minutes(21), start()), "False UpstreamUnavailable", ""),
    ] {
        let mut target = told(&standing, 30, start());
        assert_eq!(Standing::of(&target), standing);
        assert_eq!(condition(&target, ConditionType::Ready), ready);
        assert_eq!(condition(&target, ConditionType::Stalled), stalled);
        let circuit = if standing.breaker.is_some() { "True CircuitOpen" } else { "" };
        assert_eq!(condition(&target, ConditionType::CircuitOpen), circuit);
        // Nothing moves while nothing is learned; and a rate limit does not shrink into one that is passed over.
        let before = target.status.clone();
        let last = start() + minutes(4);
        target.status = Some(targets::settle(&target, &Ok(()), &standing, 30, last));
        assert_eq!(target.status, before);
        // A rate limit that is over is taken back, and so is what was wrong.
        let well = Standing { paused_until: standing.paused_until, ..Standing::default() };
        let status = targets::settle(&target, &Ok(()), &well, 30, start() + minutes(30));
        assert_eq!((&status.rate_limit, &status.circuit_breaker, &status.failing_version), (&None, &None, &None));
        assert_eq!(find_condition(&status.conditions, ConditionType::Ready).unwrap().status, "True");
        assert_eq!(status.conditions.len(), 1, "{:?}", status.conditions);
        // Its own Secret comes first, for without it nothing is sent.
        let status = targets::settle(&target, &missing, &standing, 30, last);
        let found = find_condition(&status.conditions, ConditionType::Ready).unwrap();
        assert_eq!(found.reason, Reason::SecretNotFound.as_str());
        let status = targets::settle(&target, &Err(SecretTrouble::Cluster), &open(), 30, last);
        let found = find_condition(&status.conditions, ConditionType::Ready).unwrap();
        assert_eq!(found.reason, Reason::UpstreamUnavailable.as_str());
    }
}

proptest! {
    #![proptest_config(config(200))]

    /// Accounts that come at any time and services that answer anything: never two probes at a time, none before its
    /// time, and after one that succeeds everybody may call.
    #[test]
    fn whatever_a_service_answers_one_request_at_a_time_probes(
        answers in prop::collection::vec((0_u8..8, 0_i64..1_000, 0_i64..40), 1..120),
    ) {
        let (mut standing, mut now) = (open(), start());
        let mut probe_ends: Option<(Timestamp, Word)> = None;
        for (answer, pause, takes) in answers {
            now += seconds(pause);
            if let Some((end, word)) = probe_ends.clone().filter(|(end, _)| *end <= now) {
                let told = standing.after(&word, PROBE, limits(), end);
                match told.next_probe() {
                    Some(next) => prop_assert!(next > end, "a probe that failed is not repeated at once"),
                    None => prop_assert!(matches!(word, Word::Works | Word::Own)),
                }
                (standing, probe_ends) = (told, None);
            }
            // Whoever left before it opened may be answered at any time.
            if standing.breaker.is_some() && answer % 3 == 0 {
                let stray = standing.after(&fails(), ENOUGH, limits(), now);
                prop_assert_eq!(&stray, &standing);
            }
            let told = told(&standing, 9, now);
            let may = standing.may_call(probe_ends.is_some(), now);
            match standing.next_probe() {
                Some(next) => prop_assert_eq!(may, next <= now && probe_ends.is_none()),
                None => prop_assert!(may),
            }
            prop_assert_eq!(&Standing::of(&told), &standing, "a restart changes nothing");
            if may && standing.breaker.is_some() {
                let word = match answer {
                    0 => Word::Works,
                    1 => Word::Own,
                    2 => refused(),
                    3 => Word::Waits { retry_after: Some(seconds(pause)) },
                    4 => Word::Nothing,
                    _ => fails(),
                };
                probe_ends = Some((now + seconds(takes), word));
            } else if may {
                standing = open_at(&standing, now);
            }
        }
    }
}

fn open_at(standing: &Standing, now: Timestamp) -> Standing {
    standing.after(&fails(), ENOUGH, limits(), now)
}
