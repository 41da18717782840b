//! Whatever the world answers, a pass ends and keeps its promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::accounts::{AccountSentence, LISTENER, account, hours, minutes, seconds, start};
use super::observations::token;
use super::plays::{evening, play};
use super::world::{Deed, Exchange, World};
use crate::api::condition::{ConditionType, Reason, is_condition_true};
use crate::domain::answer::{ApiAnswer, Delivery, Forbidden, Refusal, Submission, Trouble};
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::play::Page;
use crate::domain::random::config;
use crate::domain::token::Flow;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, TokenView};

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        Just(Trouble::Timeout),
        Just(Trouble::Unreachable),
        Just(Trouble::Cut),
        Just(Trouble::AddressRefused),
        Just(Trouble::Status(503)),
        Just(Trouble::Unreadable),
        Just(Trouble::TooLarge),
    ]
}

fn secret_trouble() -> impl Strategy<Value = SecretTrouble> {
    let secret = || ObjectName::new("music", "a-secret");
    prop_oneof![
        Just(SecretTrouble::NotFound { secret: secret() }),
        Just(SecretTrouble::NotLabelled { secret: secret(), wanted: "token" }),
        Just(SecretTrouble::Immutable { secret: secret() }),
        Just(SecretTrouble::WriteForbidden { secret: secret() }),
        Just(SecretTrouble::NotOurs { secret: secret() }),
        Just(SecretTrouble::Cluster),
    ]
}

fn stored() -> impl Strategy<Value = Result<TokenView, SecretTrouble>> {
    let view =
        (-30_i64..120, 1_u8..3, any::<bool>(), any::<bool>()).prop_map(|(life, authorization, pkce, none)| TokenView {
            expires_at: (!none).then(|| start() + minutes(life)),
            authorization_id: format!("authorization-{authorization}"),
            flow: pkce.then_some(Flow::Pkce),
            ..token(start())
        });
    prop_oneof![4 => view.prop_map(Ok), 1 => secret_trouble().prop_map(Err)]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let refusal = prop_oneof![
        Just(Refusal::InvalidGrant { expired: true }),
        Just(Refusal::InvalidGrant { expired: false }),
        Just(Refusal::InvalidClient),
        Just(Refusal::InvalidRequest),
        Just(Refusal::UnauthorizedClient),
        Just(Refusal::UnsupportedGrantType),
    ];
    let ends = prop_oneof![
        secret_trouble().prop_map(RefreshOutcome::TokenSecret),
        secret_trouble().prop_map(RefreshOutcome::ClientSecret),
        Just(RefreshOutcome::FlowMismatch { flow: Flow::Pkce }),
        Just(RefreshOutcome::Claimed { until: start() + seconds(9) }),
        Just(RefreshOutcome::Conflict),
        refusal.prop_map(|refusal| RefreshOutcome::Refused { refusal, interrupted: None }),
        Just(RefreshOutcome::RateLimited { retry_after: Some(seconds(700)) }),
        trouble().prop_map(RefreshOutcome::Failed),
        trouble().prop_map(RefreshOutcome::Ambiguous),
        Just(RefreshOutcome::CommitPending),
        Just(RefreshOutcome::Superseded),
    ];
    prop_oneof![
        2 => (1_i64..90).prop_map(|life| Exchange::Succeeds { life: minutes(life) }),
        1 => ends.prop_map(Exchange::Ends),
    ]
}

/// What an exchange can answer for hours: claims and writes of others pass.
fn lasting_exchange() -> impl Strategy<Value = Exchange> {
    exchange().prop_filter("it passes", |exchange| {
        let passes = [RefreshOutcome::Conflict, RefreshOutcome::Superseded];
        !matches!(exchange, Exchange::Ends(RefreshOutcome::Claimed { .. }))
            && !matches!(exchange, Exchange::Ends(outcome) if passes.contains(outcome))
    })
}

fn other_answer<T: Clone + std::fmt::Debug>() -> impl Strategy<Value = ApiAnswer<T>> {
    prop_oneof![
        2 => Just(ApiAnswer::Unauthorized),
        1 => Just(ApiAnswer::Forbidden(Forbidden::Scope)),
        1 => Just(ApiAnswer::Forbidden(Forbidden::NotAllowlisted)),
        1 => Just(ApiAnswer::Forbidden(Forbidden::OwnerNotPremium)),
        1 => Just(ApiAnswer::Forbidden(Forbidden::Other)),
        1 => any::<bool>().prop_map(|quota| ApiAnswer::RateLimited { retry_after: Some(seconds(700)), quota }),
        2 => trouble().prop_map(ApiAnswer::Failed),
    ]
}

fn listener() -> impl Strategy<Value = ApiAnswer<Listener>> {
    let whose = prop_oneof![3 => Just(LISTENER.to_owned()), 1 => Just("somebody-else".to_owned())];
    prop_oneof![3 => whose.prop_map(|account_id| ApiAnswer::Found(Listener { account_id })), 1 => other_answer()]
}

fn shown() -> impl Strategy<Value = ApiAnswer<Arc<Page>>> {
    let page = (0_i64..30, 0_i64..20).prop_map(|(count, ago)| Arc::new(evening(count, start() - minutes(3 * ago))));
    prop_oneof![3 => page.prop_map(ApiAnswer::Found), 1 => other_answer()]
}

fn delivery() -> impl Strategy<Value = Option<Delivery>> {
    prop_oneof![
        4 => Just(Some(Delivery::Accepted)),
        1 => Just(Some(Delivery::AlreadyThere)),
        1 => Just(Some(Delivery::Never { reason: "no".to_owned() })),
        1 => trouble().prop_map(|trouble| Some(Delivery::NotNow { retry_after: None, trouble })),
        1 => Just(Some(Delivery::NotNow { retry_after: Some(seconds(90)), trouble: Trouble::Status(429) })),
        1 => Just(Some(Delivery::CredentialsRefused)),
        1 => Just(Some(Delivery::Suspended)),
        1 => trouble().prop_map(|trouble| Some(Delivery::Unknown(trouble))),
        2 => Just(None),
    ]
}

fn world() -> impl Strategy<Value = World> {
    (
        (vec(stored(), 0..6), stored()),
        (vec(exchange(), 0..6), lasting_exchange()),
        (vec(listener(), 0..4), listener()),
        (vec(shown(), 0..6), shown()),
        (vec(delivery(), 0..40), delivery()),
        (
            vec(prop_oneof![2 => Just(Ok(1)), 1 => Just(Ok(2)), 1 => secret_trouble().prop_map(Err)], 0..6),
            any::<bool>(),
        ),
        any::<bool>(),
    )
        .prop_map(|(secret, exchanges, listeners, pages, deliveries, (keys, missing), ready)| {
            let account = account().with_target("brainz").with_hook("hook").with_target("gone");
            let mut world = World::of(if ready { account.ready_since(start() - hours(1)) } else { account });
            (world.secret.next, world.secret.then) = (secret.0.into(), secret.1);
            (world.exchanges.next, world.exchanges.then) = (exchanges.0.into(), exchanges.1);
            (world.listeners.next, world.listeners.then) = (listeners.0.into(), listeners.1);
            (world.pages.next, world.pages.then) = (pages.0.into(), pages.1);
            let script = super::world::Script { next: keys.into(), then: Ok(1) };
            world.keys = BTreeMap::from([("brainz".to_owned(), script)]);
            if missing {
                world.surroundings.targets[2].target = Lookup::Missing;
            }
            let (mut next, then) = (deliveries.0.into_iter(), deliveries.1);
            world.targets = Box::new(move |_, plays| match next.next().unwrap_or_else(|| then.clone()) {
                None if plays.len() > 1 => Submission::BatchRefused,
                None => Submission::all(1, &Delivery::Never { reason: "no".to_owned() }),
                Some(delivery) => Submission::all(plays.len(), &delivery),
            });
            world
        })
}

/// What holds for the steps of every pass.
fn check_pass(deeds: &[Deed]) {
    let forced = deeds.iter().filter(|deed| matches!(deed, Deed::Refreshed { forced: true })).count();
    assert!(forced <= 1, "{deeds:?}");
    for what in [Deed::Read, Deed::Identified] {
        let mut since_refresh = 0;
        for deed in deeds {
            match deed {
                Deed::Refreshed { .. } => since_refresh = 0,
                deed if *deed == what => since_refresh += 1,
                _ => {}
            }
            assert!(since_refresh <= 1, "asked twice without a refresh in between: {deeds:?}");
        }
    }
    assert!(deeds.iter().filter(|deed| **deed == Deed::LoadedToken).count() <= 1, "{deeds:?}");
    for (number, deed) in deeds.iter().enumerate() {
        if let Deed::Sent { .. } = deed {
            let later = deeds[number..].iter().any(|deed| matches!(deed, Deed::Read | Deed::Refreshed { .. }));
            assert!(!later, "Spotify is not asked again once plays are on their way: {deeds:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn hours_in_any_world_are_bounded_and_double_nothing(mut world in world()) {
        // Every pass checks that it ends within 40 rounds and asks for no other at once.
        let passes = world.run_for(hours(3));
        prop_assert!(passes <= 500, "{} passes in three hours", passes);
        let scripted = 20;
        prop_assert!(world.questions() <= scripted + 60, "{} requests to Spotify in three hours: {:?}", world.questions(), &world.passes[..30.min(world.passes.len())]);
        for deeds in &world.passes {
            check_pass(deeds);
        }
        let status = world.status();
        let ready = is_condition_true(&status.conditions, ConditionType::Ready);
        prop_assert!(!(ready && is_condition_true(&status.conditions, ConditionType::Stalled)));
        prop_assert!(!is_condition_true(&status.conditions, ConditionType::Reconciling), "the first visit is over");
        prop_assert!(status.history.len() <= 5);
    }

    #[test]
    fn a_play_that_a_target_took_is_never_sent_to_it_again(mut world in world(), late in vec(0_i64..60, 0..5)) {
        let mut answers = std::mem::replace(&mut world.targets, Box::new(|_, _| Submission::BatchRefused));
        let taken = std::rc::Rc::new(std::cell::RefCell::new(std::collections::BTreeSet::new()));
        let seen = std::rc::Rc::clone(&taken);
        world.targets = Box::new(move |entry, plays| {
            let answer = answers(entry, plays);
            for (number, play) in plays.iter().enumerate() {
                let key = (entry.to_owned(), play.uri.clone());
                assert!(!seen.borrow().contains(&key), "{key:?} is sent although the target has it");
                let Submission::Each(each) = &answer else { continue };
                if matches!(each[number], Delivery::Accepted | Delivery::AlreadyThere) {
                    seen.borrow_mut().insert(key);
                }
            }
            answer
        });
        for ago in late {
            world.run_for(minutes(25));
            world.pages.next.push_back(ApiAnswer::Found(Arc::new(evening(20, start() - minutes(3 * ago)))));
            world.restart_after(seconds(5));
        }
        world.run_for(hours(1));
        drop(world);
        drop(taken);
    }

    #[test]
    fn a_suspended_account_takes_no_step_in_any_world(mut world in world()) {
        world.run_for(minutes(30));
        world.account = world.account.clone().suspended().edited();
        world.forget();
        world.run_for(hours(3));
        prop_assert_eq!(world.passes.iter().flatten().count(), 0);
        prop_assert!(world.writes <= 1);
    }

    #[test]
    fn every_world_that_mends_is_clean_soon(mut world in world()) {
        world.run_for(hours(1));
        let mended = World::of(account());
        world.secret = mended.secret;
        world.secret.then = Ok(TokenView { authorization_id: "authorization-9".to_owned(), token_id: "token-9".to_owned(), ..token(world.now + hours(9)) });
        world.exchanges = mended.exchanges;
        world.listeners.next.clear();
        let known = world.status().authorization.and_then(|known| known.spotify_account_id);
        world.listeners.then = ApiAnswer::Found(Listener { account_id: known.unwrap_or_else(|| LISTENER.to_owned()) });
        world.keys.clear();
        world.targets = mended.targets;
        world.pages.next.clear();
        world.shows([play("new", world.now)]);
        let hook = world.surroundings.targets[1].target.clone();
        world.surroundings.targets[2].target = Lookup::Found(Arc::new(super::observations::target("gone", crate::api::v1alpha1::TargetType::ListenBrainz)));
        world.surroundings.targets[1].target = hook;
        // The longest wait that is no human's business: a breaker's, an app's keys', a target's; then a slot.
        world.run_for(hours(2));
        let status = world.status();
        for kind in [ConditionType::Ready, ConditionType::Authorized, ConditionType::Synced] {
            prop_assert!(is_condition_true(&status.conditions, kind), "{:?}", status);
        }
        for kind in [ConditionType::Stalled, ConditionType::Reconciling, ConditionType::CircuitOpen, ConditionType::Suspended] {
            prop_assert!(!is_condition_true(&status.conditions, kind), "{:?}", status);
        }
        prop_assert_eq!(status.failures, None);
        prop_assert_eq!(status.circuit_breaker, None);
        prop_assert!(status.targets.iter().all(|target| target.reason.is_none() && target.pending == 0), "{:?}", status.targets);
        prop_assert_eq!(&status.history[0].reason, Reason::Succeeded.as_str());
    }
}
