//! The end of an authorization: what is shown, what is said, and when.

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::token;
use super::world::{Deed, Exchange, World};
use crate::api::condition::{ConditionType, Reason, whole_seconds};
use crate::domain::answer::Refusal;
use crate::domain::name::ObjectName;
use crate::plan::TokenView;
use crate::plan::step::{RefreshOutcome, SecretTrouble};

const CONNECT: &str = "Run: scrobble-operator connect --namespace music --account alice";

fn days(number: i64) -> SignedDuration {
    hours(24 * number)
}

/// Authorized so long ago, as the Secret says.
fn authorized(ago: SignedDuration) -> TokenView {
    TokenView { authorized_at: Some(start() - ago), ..token(start() + hours(1)) }
}

/// An account that is read once a day, with such a token.
fn world(view: TokenView) -> World {
    let mut world = World::of(account().with_target("brainz").reading_every(hours(24)));
    world.secret.then = Ok(view);
    world
}

/// The warnings since the last time, without everything else.
fn warnings(world: &mut World) -> Vec<String> {
    let all = std::mem::take(&mut world.said);
    let warnings = all.into_iter().filter(|said| said.reason == Reason::AuthorizationExpiring.as_str());
    warnings
        .map(|said| {
            assert!(said.warning && said.note.contains(CONNECT), "{said:?}");
            said.note
        })
        .collect()
}

/// A new process at a time, which looks and reads.
fn back_at(world: &mut World, time: Timestamp) {
    world.restart_after(time.duration_since(world.now));
    world.pass();
    world.account = world.account.clone().requesting(&time.to_string());
    world.pass();
}

/// Days since the authorization; the reason of Authorized; what its message and the new warnings contain.
type Day = (i64, &'static str, &'static [&'static str], usize);

const DAYS: [Day; 6] = [
    (149, "True Succeeded", &["Spotify accepts the refresh token"], 0),
    (151, "True AuthorizationExpiring", &["in less than 30 days", CONNECT], 1),
    (174, "True AuthorizationExpiring", &["in less than 7 days", CONNECT], 1),
    (179, "True AuthorizationExpiring", &["in less than one day", CONNECT], 1),
    (181, "True AuthorizationExpiring", &["a token may outlive them", CONNECT], 0),
    (185, "True AuthorizationExpiring", &["a token may outlive them", CONNECT], 0),
];

fn all_days(mut world: World, day: &str) {
    for (age, reason, words, new) in DAYS {
        // Six hours into the day, so that the 179th is past the last warning.
        let now = start() + days(age) + hours(6);
        back_at(&mut world, now);
        let status = world.status();
        assert_eq!(status.condition(ConditionType::Authorized), reason, "day {age}");
        assert_eq!(status.condition(ConditionType::Ready), "True Succeeded", "day {age}: until Spotify says no");
        let message = status.message(ConditionType::Authorized);
        for word in words {
            assert!(message.contains(word), "day {age}: {message}");
        }
        assert!(!reason.contains("Expiring") || message.contains(day), "day {age}: {message}");
        assert_eq!(warnings(&mut world).len(), new, "day {age}");
        for _ in 0..3 {
            back_at(&mut world, now);
            assert_eq!(warnings(&mut world), Vec::<String>::new(), "a restart says nothing again");
        }
        let known = status.authorization.unwrap();
        assert_eq!(known.authorized_time, Some(whole_seconds(start())));
        assert_eq!(known.expiry_time, Some(whole_seconds(start() + days(180))));
    }
}

#[test]
fn every_threshold_is_said_once_where_the_secret_tells_the_day() {
    all_days(world(authorized(SignedDuration::ZERO)), "on 2027-05-22 at the earliest");
}

#[test]
fn every_threshold_is_said_once_where_the_day_is_an_estimate() {
    let mut world = world(token(start() + hours(1)));
    world.pass();
    assert!(world.status().authorization.unwrap().estimated);
    assert_eq!(world.status().authorization.unwrap().reauthorize_by.as_deref(), Some("at the latest 2027-05-22"));
    world.said.clear();
    all_days(world, "at the latest 2027-05-22");
}

#[test]
fn an_estimate_counts_from_the_first_sight_although_spotify_answers_later() {
    let mut world = world(TokenView { expires_at: None, ..token(start()) });
    world.exchanges.then = Exchange::Ends(RefreshOutcome::Failed(crate::domain::answer::Trouble::Status(503)));
    world.run_for(hours(30));
    world.exchanges.then = Exchange::Succeeds { life: hours(1) };
    world.run_for(hours(2));
    let known = world.status().authorization.unwrap();
    assert_eq!(known.authorized_time, Some(whole_seconds(start())));
    assert!(known.spotify_account_id.is_some() && known.estimated);
}

#[test]
fn each_warning_comes_at_its_moment_although_nothing_else_is_due() {
    for (age, threshold) in [(149, 150), (172, 173), (178, 179)] {
        for suspended in [false, true] {
            let mut world = world(authorized(days(age)));
            world.pass();
            warnings(&mut world);
            if suspended {
                world.account = world.account.clone().suspended().edited();
                world.pass();
            }
            let moment = start() + days(threshold - age);
            while world.now < moment {
                assert_eq!(warnings(&mut world), Vec::<String>::new(), "not before {threshold}");
                let wait = world.pass().requeue;
                world.now += wait;
            }
            assert_eq!(world.now, moment, "woken for it");
            world.forget();
            world.pass();
            assert_eq!(warnings(&mut world).len(), 1, "{threshold}");
            assert_eq!((world.writes, world.questions()), (1, 0), "{threshold}");
            let ready = world.status().condition(ConditionType::Ready);
            assert_eq!(ready, if suspended { "False Suspended" } else { "True Succeeded" });
            world.run_for(hours(5));
            assert_eq!(warnings(&mut world), Vec::<String>::new(), "{threshold}");
        }
    }
}

#[test]
fn nothing_is_written_between_two_warnings_and_one_write_tells_of_the_end() {
    let mut world = world(authorized(days(174)));
    world.pass();
    world.forget();
    world.exchanges.then = Exchange::Succeeds { life: days(400) };
    world.run_for(days(4));
    // The one refresh, whose token lives for ever.
    assert_eq!(world.writes, 1);
    world.forget();
    world.run_for(days(12));
    assert_eq!((world.writes, warnings(&mut world).len()), (2, 1), "the last warning, and the end itself");
}

#[test]
fn whoever_was_away_says_the_newest_warning_alone() {
    for (back, word) in [(160, "30 days"), (176, "7 days"), (179, "one day"), (184, "outlive")] {
        let mut world = world(authorized(SignedDuration::ZERO));
        world.pass();
        back_at(&mut world, start() + days(back));
        let said = warnings(&mut world);
        assert!(said.len() == 1 && said[0].contains(word), "{said:?}");
    }
}

#[test]
fn a_new_authorization_begins_anew_and_is_warned_about_in_its_turn() {
    let mut world = world(authorized(days(160)));
    world.pass();
    assert_eq!(warnings(&mut world).len(), 1);
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..authorized(SignedDuration::ZERO) };
    world.secret.then = Ok(new.clone());
    back_at(&mut world, start() + hours(1));
    assert_eq!(world.status().condition(ConditionType::Authorized), "True Succeeded");
    assert_eq!(world.status().authorization.unwrap().last_warning_days, None);
    assert_eq!(warnings(&mut world), Vec::<String>::new());
    back_at(&mut world, start() + days(151));
    assert_eq!(warnings(&mut world).len(), 1, "the new one, 151 days later");

    let old = TokenView { authorization_id: "authorization-3".to_owned(), ..authorized(days(-10)) };
    world.secret.then = Ok(old);
    back_at(&mut world, start() + days(162));
    assert_eq!(warnings(&mut world).len(), 1, "the same warning of another authorization is another one");
}

#[test]
fn nobody_is_warned_whose_secret_holds_a_new_authorization_already() {
    let mut world = world(authorized(days(149) + hours(23)));
    world.pass();
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..authorized(SignedDuration::ZERO) };
    world.secret.then = Ok(new);
    world.forget();
    world.run_for(minutes(70));
    assert_eq!((warnings(&mut world).len(), world.questions()), (0, 0), "nothing was due but the warning");
    assert_eq!(world.count(|deed| *deed == Deed::LoadedToken), 1, "a look");
    world.run_for(days(40));
    assert_eq!(warnings(&mut world), Vec::<String>::new());
    assert!(world.questions() > 0, "it was taken up");
}

#[test]
fn the_secret_is_looked_at_once_before_a_warning_and_its_silence_holds_nothing_up() {
    let mut world = world(authorized(days(149) + hours(23)));
    world.pass();
    world.forget();
    world.secret.next.push_back(Err(SecretTrouble::Cluster));
    world.run_for(minutes(61));
    assert_eq!(world.count(|deed| *deed == Deed::LoadedToken), 1);
    assert_eq!(world.status().failures, None, "no answer is no failure");
    assert_eq!(warnings(&mut world).len(), 1);

    let mut world = self::world(authorized(days(149) + hours(23)));
    world.pass();
    let secret = ObjectName::new("music", "alice-spotify");
    world.secret.then = Err(SecretTrouble::NotFound { secret });
    world.run_for(minutes(61));
    assert_eq!(world.status().condition(ConditionType::Authorized), "False SecretNotFound", "the truth comes first");
    assert_eq!(warnings(&mut world), Vec::<String>::new());
    world.secret.then = Ok(TokenView { expires_at: None, ..authorized(days(149) + hours(23)) });
    world.run_for(minutes(2));
    assert_eq!(world.status().condition(ConditionType::Authorized), "True AuthorizationExpiring");
    assert_eq!(warnings(&mut world).len(), 1, "afterwards");
}

#[test]
fn other_reasons_and_recoveries_say_no_warning_again() {
    let mut world = world(authorized(days(160)));
    world.pass();
    warnings(&mut world);
    let good = world.secret.then.clone();
    world.secret.then = Err(SecretTrouble::Immutable { secret: ObjectName::new("music", "alice-spotify") });
    world.account = world.account.clone().requesting("now");
    world.surroundings.token = None;
    world.pass();
    assert!(world.status().condition(ConditionType::Authorized).starts_with("False"));
    world.secret.then = good;
    world.run_for(minutes(3));
    assert_eq!(world.status().condition(ConditionType::Authorized), "True AuthorizationExpiring");
    world.account = world.account.clone().suspended().edited();
    world.run_for(hours(1));
    world.account.spec.suspend = false;
    world.account = world.account.clone().edited();
    world.run_for(hours(1));
    assert_eq!(warnings(&mut world), Vec::<String>::new());
}

#[test]
fn the_next_operators_clock_may_be_behind() {
    let mut world = world(authorized(days(150)));
    world.pass();
    assert_eq!(warnings(&mut world).len(), 1);
    let said = world.status();
    world.restart_after(seconds(-5));
    world.run_for(minutes(2));
    assert_eq!(warnings(&mut world), Vec::<String>::new());
    assert_eq!(world.status().conditions, said.conditions, "nothing goes back and forth");
}

#[test]
fn a_day_that_is_corrected_is_believed_and_what_was_said_of_it_is_not_repeated() {
    let mut world = world(token(start() + hours(1)));
    world.pass();
    back_at(&mut world, start() + days(152));
    assert_eq!(warnings(&mut world).len(), 1);
    world.secret.then = Ok(authorized(days(2)));
    back_at(&mut world, start() + days(152) + hours(1));
    assert_eq!(warnings(&mut world), Vec::<String>::new(), "still the same warning");
    assert_eq!(world.status().authorization.unwrap().reauthorize_by.as_deref(), Some("2027-05-20"));
    world.secret.then = Ok(authorized(days(-100)));
    back_at(&mut world, start() + days(152) + hours(2));
    assert_eq!(world.status().condition(ConditionType::Authorized), "True Succeeded");
    assert_eq!(world.status().authorization.unwrap().last_warning_days, None);
    back_at(&mut world, start() + days(251));
    assert_eq!(warnings(&mut world).len(), 1, "when its time has really come");
}

#[test]
fn spotifys_no_ends_it_as_expired_and_no_warning_follows() {
    let mut world = world(authorized(days(179)));
    world.pass();
    warnings(&mut world);
    let refused = RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired: false }, interrupted: None };
    world.exchanges.then = Exchange::Ends(refused);
    back_at(&mut world, start() + days(2));
    let status = world.status();
    assert_eq!(status.condition(ConditionType::Authorized), "False AuthorizationExpired");
    assert!(status.message(ConditionType::Authorized).contains(CONNECT));
    world.run_for(days(3));
    assert_eq!(warnings(&mut world), Vec::<String>::new());
}
