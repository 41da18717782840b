//! What an account names: whether it exists and may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::accounts::{AccountSentence, account, start};
use super::observations::{ObservedSentence, app, around, target};
use crate::api::condition::{ConditionType, Reason};
use crate::api::v1alpha1::{
    AllowedNamespaces, CredentialsReference, NamespacesFrom, PlanNamespaces, PlanNamespacesFrom, ScrobblePlan,
    ScrobblePlanSpec, ScrobbleTarget, SpotifyApp, TargetType,
};
use crate::domain::name::ObjectName;
use crate::plan::problem::{Problem, blocking};
use crate::plan::seat::Applicant;
use crate::plan::seating::{Place, Seating, place};
use crate::plan::{Lookup, Observed, reference};

fn selector(labels: &[(&str, &str)]) -> LabelSelector {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn allowing(from: NamespacesFrom, selector: Option<LabelSelector>) -> AllowedNamespaces {
    AllowedNamespaces { from, selector }
}

#[expect(clippy::unnecessary_wraps, reason = "a namespace's labels may be unknown")]
fn labelled(labels: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

/// The account's app lives in another namespace.
fn abroad(found: Lookup<SpotifyApp>) -> Observed {
    let mut observed = around(&account()).with_app(found);
    observed.app_name = ObjectName::new("platform", "main");
    observed
}

fn shared(allowed: AllowedNamespaces) -> Lookup<SpotifyApp> {
    let mut app = app();
    app.spec.allowed_namespaces = allowed;
    Lookup::Found(Arc::new(app))
}

fn problem(observed: &Observed) -> Problem {
    reference::app(observed).expect_err("it may not be used")
}

#[test]
fn an_app_of_the_own_namespace_needs_no_permission() {
    for from in [NamespacesFrom::Same, NamespacesFrom::All, NamespacesFrom::Selector] {
        let observed = around(&account()).with_app(shared(allowing(from, None)));
        assert!(reference::app(&observed).is_ok(), "{from:?}");
    }
}

#[test]
fn an_app_of_another_namespace_is_shared_by_all_or_by_a_selector() {
    let team = selector(&[("team", "music")]);
    let expression = LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: "tier".to_owned(),
            operator: "In".to_owned(),
            values: Some(vec!["gold".to_owned(), "silver".to_owned()]),
        }]),
        ..LabelSelector::default()
    };
    let broken = LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: "tier".to_owned(),
            operator: "Near".to_owned(),
            values: None,
        }]),
        ..LabelSelector::default()
    };
    for (what, from, selector, labels, allowed) in [
        ("the default", NamespacesFrom::Same, None, labelled(&[("team", "music")]), false),
        ("everybody", NamespacesFrom::All, None, labelled(&[]), true),
        ("everybody, labels unknown", NamespacesFrom::All, None, None, true),
        ("a label that is there", NamespacesFrom::Selector, Some(team.clone()), labelled(&[("team", "music")]), true),
        (
            "a label with another value",
            NamespacesFrom::Selector,
            Some(team.clone()),
            labelled(&[("team", "art")]),
            false,
        ),
        ("a label that is missing", NamespacesFrom::Selector, Some(team.clone()), labelled(&[]), false),
        ("labels that are not known", NamespacesFrom::Selector, Some(team.clone()), None, false),
        ("no selector", NamespacesFrom::Selector, None, labelled(&[("team", "music")]), false),
        (
            "an expression that holds",
            NamespacesFrom::Selector,
            Some(expression.clone()),
            labelled(&[("tier", "gold")]),
            true,
        ),
        (
            "an expression that does not",
            NamespacesFrom::Selector,
            Some(expression),
            labelled(&[("tier", "tin")]),
            false,
        ),
        ("an operator nobody knows", NamespacesFrom::Selector, Some(broken), labelled(&[("tier", "gold")]), false),
        ("a selector that is not asked", NamespacesFrom::Same, Some(team), labelled(&[("team", "music")]), false),
    ] {
        let mut observed = abroad(shared(allowing(from, selector)));
        observed.namespace_labels = labels;
        assert_eq!(reference::app(&observed).is_ok(), allowed, "{what}");
        if !allowed {
            assert_eq!(problem(&observed).reason, Reason::ReferenceNotAllowed, "{what}");
        }
    }
}

#[test]
fn nobody_learns_what_other_namespaces_hold() {
    let missing = problem(&abroad(Lookup::Missing));
    let hidden = problem(&abroad(shared(allowing(NamespacesFrom::Same, None))));
    let unreadable = problem(&abroad(Lookup::Unreadable));
    assert_eq!(missing, hidden);
    assert_eq!(missing, unreadable);
    assert!(missing.message.contains("does not exist or is not shared with this namespace"), "{}", missing.message);
    assert!(missing.stalled);
}

#[test]
fn what_is_wrong_in_the_own_namespace_is_told_exactly() {
    let at_home = |found| around(&account()).with_app(found);
    let missing = problem(&at_home(Lookup::Missing));
    assert_eq!(missing.reason, Reason::AppNotFound);
    assert!(missing.message.contains("music/main") && missing.message.contains("spec.appRef"));
    let unreadable = problem(&at_home(Lookup::Unreadable));
    assert_eq!(unreadable.reason, Reason::ObjectUnreadable);
    assert!(unreadable.message.contains("another version of the schema"));
}

#[test]
fn targets_follow_the_same_rules() {
    let account = account().with_target("brainz");
    let of = |namespace: &str, found: Lookup<ScrobbleTarget>| {
        let mut observed = around(&account).with_target_found("brainz", found);
        observed.targets[0].name = ObjectName::new(namespace, "brainz");
        let entry = observed.targets[0].clone();
        reference::target(&entry, &observed).map(|_| ()).map_err(|problem| (problem.reason, problem.message))
    };
    let shared = |from| {
        let mut shared = target("brainz", TargetType::ListenBrainz);
        shared.spec.allowed_namespaces = allowing(from, None);
        Lookup::Found(Arc::new(shared))
    };
    assert_eq!(of("music", shared(NamespacesFrom::Same)), Ok(()));
    assert_eq!(of("platform", shared(NamespacesFrom::All)), Ok(()));
    let (reason, message) = of("music", Lookup::Missing).unwrap_err();
    assert_eq!(reason, Reason::TargetNotFound);
    assert!(message.contains("entry brainz"), "{message}");
    assert_eq!(of("music", Lookup::Unreadable).unwrap_err().0, Reason::ObjectUnreadable);
    let hidden = of("platform", shared(NamespacesFrom::Same)).unwrap_err();
    assert_eq!(hidden.0, Reason::ReferenceNotAllowed);
    assert_eq!(of("platform", Lookup::Missing).unwrap_err(), hidden);
    assert_eq!(of("platform", Lookup::Unreadable).unwrap_err(), hidden);
}

#[test]
fn an_entry_must_fit_its_target() {
    let fitting = |credentials: bool, kind| {
        let mut account = account().with_target("entry");
        let key = CredentialsReference { name: "key".to_owned(), key: None };
        account.spec.targets[0].credentials_ref = credentials.then_some(key);
        let observed = around(&account).with_target_found("entry", Lookup::Found(Arc::new(target("entry", kind))));
        reference::deliverable(&account.spec.targets[0], &observed.targets[0], &observed)
            .map(|_| ())
            .map_err(|problem| (problem.reason, problem.condition, problem.message))
    };
    assert_eq!(fitting(true, TargetType::ListenBrainz), Ok(()));
    assert_eq!(fitting(true, TargetType::LastFm), Ok(()));
    assert_eq!(fitting(true, TargetType::Maloja), Ok(()));
    assert_eq!(fitting(false, TargetType::Webhook), Ok(()));
    for (credentials, kind, remedy) in [
        (false, TargetType::ListenBrainz, "name the listener's key in credentialsRef"),
        (false, TargetType::LastFm, "name the listener's key in credentialsRef"),
        (true, TargetType::Webhook, "remove credentialsRef"),
        (false, TargetType::Maloja, "name the listener's key in credentialsRef"),
    ] {
        let (reason, condition, message) = fitting(credentials, kind).unwrap_err();
        assert_eq!((reason, condition), (Reason::ConfigurationInvalid, ConditionType::Ready), "{kind:?}");
        assert!(message.contains(remedy) && message.contains("entry"), "{message}");
    }
}

#[test]
fn a_plan_is_shared_by_all_or_by_a_selector() {
    let mut account = account();
    account.spec.plan = Some("free".to_owned());
    let of = |plan: Lookup<ScrobblePlan>, labels: Option<BTreeMap<String, String>>| {
        let mut observed = around(&account);
        let applicant = Applicant::of(&account, &ObjectName::new("music", "alice"));
        let place = place(&account, &applicant, labels.as_ref(), &|_| plan.clone(), start());
        let Place::Known(seating) = place else { panic!("{place:?}") };
        observed.seating = seating;
        blocking(&account, &observed).map(|problem| (problem.reason, problem.message))
    };
    let shared = |from, selector| {
        let allowed_namespaces = PlanNamespaces { from, selector };
        Lookup::Found(Arc::new(ScrobblePlan::new(
            "free",
            ScrobblePlanSpec { allowed_namespaces, ..Default::default() },
        )))
    };
    let team = Some(selector(&[("team", "music")]));
    assert_eq!(of(shared(PlanNamespacesFrom::All, None), None), None);
    assert_eq!(of(shared(PlanNamespacesFrom::Selector, team.clone()), labelled(&[("team", "music")])), None);
    let hidden = of(shared(PlanNamespacesFrom::Selector, team), labelled(&[])).unwrap();
    assert_eq!(hidden.0, Reason::ReferenceNotAllowed);
    assert!(hidden.1.contains("ScrobblePlan free") && hidden.1.contains("spec.plan"), "{}", hidden.1);
    assert_eq!(of(Lookup::Missing, labelled(&[])).unwrap(), hidden);
    assert_eq!(of(Lookup::Unreadable, labelled(&[])).unwrap(), hidden);
}

#[test]
fn what_blocks_first_is_told_first() {
    let mut account = account();
    account.spec.plan = Some("free".to_owned());
    let mut observed = around(&account).with_app(Lookup::Missing);
    observed.seating = Seating::Refused { plan: "free".to_owned() };
    assert_eq!(blocking(&account, &observed).unwrap().reason, Reason::ReferenceNotAllowed);
    observed.token_secret_holder = Some(ObjectName::new("music", "older"));
    let held = blocking(&account, &observed).unwrap();
    assert_eq!(held.reason, Reason::SecretInUse);
    assert!(held.message.contains("alice-spotify") && held.message.contains("music/older"), "{}", held.message);
}
