//! Access tokens that the Web API refuses: one forced refresh, then a failure, never a loop.

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes};
use super::observations::token;
use super::world::{Deed, Exchange, World};
use crate::api::condition::ConditionType;
use crate::domain::answer::ApiAnswer;
use crate::domain::name::ObjectName;
use crate::plan::step::{RefreshOutcome, SecretTrouble};

#[test]
fn an_access_token_that_is_refused_and_cannot_be_replaced_is_asked_with_once() {
    let mut world = World::of(account().with_target("brainz"));
    world.listeners.then = ApiAnswer::Unauthorized;
    let secret = ObjectName::new("music", "alice-spotify");
    world.exchanges.then = Exchange::Ends(RefreshOutcome::TokenSecret(SecretTrouble::NotFound { secret }));
    world.secret.then = Ok(token(world.now + minutes(65)));
    world.run_for(hours(3));
    assert_eq!(world.questions(), 1, "{:?}", world.passes);
    let tries = world.count(|deed| *deed == Deed::Refreshed { forced: true });
    assert!(tries > 100, "the Secret may be mended any minute: {tries}");

    world.forget();
    world.listeners.then = World::of(account()).listeners.then;
    world.exchanges.then = Exchange::Succeeds { life: minutes(60) };
    world.run_for(minutes(1));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(world.questions(), 3, "a refresh, whose it is, a read");
}

#[test]
fn an_access_token_that_was_just_issued_and_is_refused_is_one_question_and_one_refresh_a_try() {
    let mut world = World::of(account().with_target("brainz"));
    world.run_for(hours(1));
    world.forget();
    world.pages.then = ApiAnswer::Unauthorized;
    world.run_for(minutes(21));
    let first = world.count(|deed| *deed == Deed::Read);
    assert!(first >= 2, "asked again with the new one");
    world.forget();
    world.run_for(hours(2));
    let (reads, refreshes) = (world.reads(), world.count(|deed| *deed == Deed::Refreshed { forced: true }));
    assert_eq!(reads, refreshes, "what was refused is not shown again: {:?}", world.passes);
    assert!(reads <= 12, "{reads} reads in two hours");
}
