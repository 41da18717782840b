//! Which token is in use, what is known of its exchanges, and what follows after a refresh.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::accounts::{account, hours, seconds, start};
use crate::api::condition::{ConditionStatus, ConditionType, Reason, set_condition};
use crate::api::v1alpha1::{AuthorizationStatus, FailureStatus, FailureType, SpotifyAccount, SpotifyAccountStatus};
use crate::domain::digest::TokenDigest;
use crate::domain::state_secret::StateSecret;
use crate::domain::token::RefreshToken;
use crate::domain::token_secret::{Claim, LineageMark, TokenSecret, key};
use crate::plan::Interruption;
use crate::plan::lineage::{Standing, TokenInUse, after_refresh, in_use, scopes};
use crate::plan::trace::{Known, Trace};

/// What is known before it is decided which token is in use. Tokens are letters: `a` is the oldest.
struct Found {
    account: SpotifyAccount,
    data: BTreeMap<String, ByteString>,
    state: Option<StateSecret>,
    trace: Trace,
}

fn uid() -> String {
    account().metadata.uid.unwrap()
}

fn digest(token: &str) -> String {
    TokenDigest::of(&uid(), &RefreshToken::new(token.into())).as_str().to_owned()
}

fn mark(token: &str, number: u64) -> LineageMark {
    let (authorization, token) = (digest("a"), digest(token));
    LineageMark { number, authorization, token, authorized_at: None, predecessor: None, account: String::new() }
}

fn claim(token: &str) -> Claim {
    let (claimed_time, deadline_time) = (start(), start() + seconds(5));
    Claim {
        holder: "holder".into(),
        id: format!("claim-of-{token}"),
        claimed_time,
        deadline_time,
        token: digest(token),
        account: String::new(),
    }
}

const CLAIMED: Option<Interruption> = Some(Interruption::Claimed { time: Timestamp::UNIX_EPOCH });

/// A token Secret that holds a token and nothing else, an account that was never looked at.
fn holds(token: &str) -> Found {
    let data = BTreeMap::from([(key::REFRESH_TOKEN.to_owned(), ByteString(token.as_bytes().to_vec()))]);
    Found { account: SpotifyAccount { status: None, ..account() }, data, state: None, trace: Trace::default() }
}

impl Found {
    fn with(mut self, key: &str, value: &str) -> Self {
        self.data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
        self
    }

    fn marked(self, token: &str, number: u64) -> Self {
        self.with(key::LINEAGE, &serde_json::to_string(&mark(token, number)).unwrap())
    }

    fn claimed(self, token: &str) -> Self {
        self.with(key::CLAIM, &serde_json::to_string(&claim(token)).unwrap())
    }

    /// A state Secret with the newest token, and every token that it has replaced.
    fn after(mut self, newest: &str, replaced: &str) -> Self {
        let replaced = replaced.chars().filter_map(|token| TokenDigest::parse(&digest(&token.to_string()))).collect();
        let refresh_token = RefreshToken::new(newest.into());
        self.state = Some(StateSecret { refresh_token, mark: mark(newest, 7), replaced });
        self
    }

    /// The newest token in the state Secret is a human's, which took the place of another one.
    fn taken_over_from(mut self, predecessor: &str) -> Self {
        let state = self.state.as_mut().unwrap();
        state.mark.predecessor = Some(digest(predecessor));
        state.mark.authorization = state.mark.token.clone();
        self
    }

    fn status(mut self, change: impl FnOnce(&mut SpotifyAccountStatus)) -> Self {
        change(self.account.status.get_or_insert_default());
        self
    }

    /// The status tells whose token it is, and under which authorization.
    fn known_as(self, authorization: &str) -> Self {
        let id = match authorization.strip_prefix('?') {
            Some(unverified) => format!("unverified:{}", digest(unverified)),
            None => digest(authorization),
        };
        self.status(|status| {
            status.authorization =
                Some(AuthorizationStatus { authorization_id: Some(id), ..AuthorizationStatus::default() });
        })
    }

    fn condition(self, kind: ConditionType, value: ConditionStatus, reason: Reason) -> Self {
        self.status(|status| {
            set_condition(&mut status.conditions, kind, value, reason, "", Some(1), start());
        })
    }

    fn not_authorized(self, reason: Reason) -> Self {
        self.condition(ConditionType::Authorized, ConditionStatus::False, reason)
    }

    /// The first pass began; nothing came of it.
    fn visited(self) -> Self {
        self.condition(ConditionType::Ready, ConditionStatus::Unknown, Reason::Progressing).condition(
            ConditionType::Authorized,
            ConditionStatus::Unknown,
            Reason::Progressing,
        )
    }

    fn failed(self, last_type: FailureType) -> Self {
        self.visited().condition(ConditionType::Ready, ConditionStatus::False, Reason::NetworkError).status(|status| {
            status.failures = Some(FailureStatus { last_type: Some(last_type), ..FailureStatus::default() });
        })
    }

    fn process_knows(mut self, known: Known) -> Self {
        self.trace.known = known;
        self
    }

    fn void(mut self, token: &str) -> Self {
        self.trace.void = Some(claim(token).id);
        self
    }

    fn decide(&self) -> TokenInUse {
        let secret = TokenSecret::read(&self.data, &uid()).unwrap();
        in_use(secret, self.state.as_ref(), &self.account, &self.trace)
    }

    /// The token in use, how the token Secret stands to it, and whether the state Secret is as it has to be.
    fn stands(&self) -> (String, Standing, bool) {
        let found = self.decide();
        (found.refresh_token.expose().to_owned(), found.standing, found.recorded)
    }

    fn interrupted(&self) -> Option<Interruption> {
        self.decide().view.interrupted.map(|interrupted| match interrupted {
            Interruption::Claimed { time } => {
                assert_eq!(time, start());
                Interruption::Claimed { time: Timestamp::UNIX_EPOCH }
            }
            Interruption::Wiped => Interruption::Wiped,
        })
    }
}

fn settled(token: &str) -> Known {
    Known::Settled { token: digest(token) }
}

#[test]
fn the_newest_token_is_in_use_wherever_it_is() {
    use Standing::{HalfCommitted, New, Newest, PutBack};
    for (what, found, expected) in vec![
        ("a first token", holds("a"), ("a", Newest, true)),
        ("a token that was refreshed", holds("a").marked("a", 0).known_as("a"), ("a", Newest, true)),
        ("the same, wiped", holds("a").known_as("a"), ("a", Newest, true)),
        ("another one, seen by what is left over", holds("h").marked("a", 0), ("h", New, false)),
        ("another one, seen by the status", holds("h").known_as("a"), ("h", New, false)),
        ("another one after a token that never worked", holds("h").known_as("?a"), ("h", Newest, true)),
        ("a rotated one without a state Secret", holds("c").marked("c", 2).known_as("a"), ("c", Newest, true)),
        ("the newest", holds("c").marked("c", 7).after("c", "ab"), ("c", Newest, true)),
        ("the newest, wiped", holds("c").after("c", "ab"), ("c", Newest, true)),
        ("one that was replaced", holds("a").after("c", "ab"), ("c", PutBack, true)),
        ("the same beside our marks", holds("a").marked("c", 7).after("c", "ab"), ("c", PutBack, true)),
        ("the same while an exchange is open", holds("a").claimed("c").after("c", "ab"), ("c", PutBack, true)),
        ("a backup of a token that is forgotten", holds("z").marked("z", 3).after("c", "ab"), ("c", PutBack, true)),
        ("a commit that ended half way", holds("b").claimed("b").after("c", "ab"), ("c", HalfCommitted, true)),
        ("the same, wiped", holds("b").after("c", "ab"), ("c", PutBack, true)),
        ("a human's", holds("h").after("c", "ab"), ("h", New, false)),
        ("a human's beside our marks", holds("h").marked("c", 7).after("c", "ab"), ("h", New, false)),
        ("a human's in the middle of an exchange", holds("h").claimed("c").after("c", "ab"), ("h", New, false)),
        ("newer than the state Secret", holds("d").marked("d", 8).after("c", "ab"), ("d", Newest, false)),
        ("the last of a human's before", holds("c").after("h", "abc").taken_over_from("c"), ("h", PutBack, true)),
        (
            "the same, and the new one is of no use",
            holds("c").after("h", "abc").taken_over_from("c").known_as("?h").not_authorized(Reason::ListenerMismatch),
            ("c", New, false),
        ),
        (
            "the same, and nobody knows yet what the new one is of",
            holds("c")
                .after("h", "abc")
                .taken_over_from("c")
                .known_as("?h")
                .not_authorized(Reason::AuthorizationRevoked),
            ("h", PutBack, true),
        ),
        (
            "the same, with an older one",
            holds("a").after("h", "abc").taken_over_from("c").known_as("?h").not_authorized(Reason::ListenerMismatch),
            ("h", PutBack, true),
        ),
        (
            "the same, and the new one worked once",
            holds("c")
                .after("h", "abc")
                .taken_over_from("c")
                .known_as("h")
                .not_authorized(Reason::AuthorizationRevoked),
            ("h", PutBack, true),
        ),
    ] {
        let (token, standing, recorded) = expected;
        assert_eq!(found.stands(), (token.to_owned(), standing, recorded), "{what}");
        assert_eq!(found.decide().view.put_back, standing == PutBack, "{what}");
    }
}

#[test]
fn a_humans_token_begins_an_authorization_and_the_lineage_goes_on() {
    for (what, found, number, predecessor) in [
        ("without any trace", holds("h"), 0, None),
        ("after a token that was never rotated", holds("h").marked("a", 0), 1, Some("a")),
        ("after the same, wiped", holds("h").known_as("a"), 1, Some("a")),
        ("after rotations", holds("h").after("c", "ab"), 8, Some("c")),
        (
            "back to the one before",
            holds("c").after("h", "abc").taken_over_from("c").known_as("?h").not_authorized(Reason::ListenerMismatch),
            8,
            Some("h"),
        ),
    ] {
        let mark = found.decide().mark;
        assert_eq!(mark.number, number, "{what}");
        assert_eq!(mark.predecessor, predecessor.map(digest), "{what}");
        assert_eq!(mark.authorization, mark.token, "{what}");
    }
}

#[test]
fn an_exchange_that_may_have_been_cut_off_is_known_by_its_claim_or_by_what_was_wiped() {
    let wiped = Some(Interruption::Wiped);
    for (what, found, expected) in vec![
        ("a first token", holds("a"), None),
        ("a claim", holds("a").claimed("a"), CLAIMED),
        ("a claim on another token", holds("h").claimed("a"), None),
        ("a claim on the newest, beside a token that was put back", holds("a").claimed("c").after("c", "ab"), CLAIMED),
        ("a commit that ended half way", holds("b").marked("b", 6).claimed("b").after("c", "ab"), None),
        ("our marks", holds("c").marked("c", 7).after("c", "ab"), None),
        ("our marks beside a token that was put back", holds("a").marked("c", 7).after("c", "ab"), None),
        ("wiped", holds("a").after("c", "ab"), wiped),
        ("wiped, and the newest is there", holds("c").after("c", "ab"), wiped),
        ("an older copy with our marks", holds("b").marked("b", 6).after("c", "ab"), wiped),
        ("wiped before the first rotation", holds("a").known_as("a"), wiped),
        ("a human's", holds("h").after("c", "ab"), None),
        ("wiped, and the first pass did not end", holds("a").visited(), wiped),
        ("wiped, and the first exchange had no clear end", holds("a").failed(FailureType::Network), wiped),
        ("wiped, and nothing was exchanged", holds("a").failed(FailureType::Configuration), None),
        ("wiped after Spotify said no", holds("a").known_as("a").not_authorized(Reason::AuthorizationRevoked), None),
        ("wiped after day 180", holds("a").known_as("a").not_authorized(Reason::AuthorizationExpired), None),
        ("wiped while its Secret was missing", holds("a").known_as("a").not_authorized(Reason::SecretNotFound), wiped),
        ("wiped after this was said", holds("a").known_as("a").not_authorized(Reason::RefreshInterrupted), wiped),
        (
            "wiped after Spotify said no to the one before",
            holds("a").after("c", "ab").known_as("h").not_authorized(Reason::AuthorizationRevoked),
            wiped,
        ),
    ] {
        assert_eq!(found.interrupted(), expected, "{what}");
    }
}

#[test]
fn what_a_process_knows_by_itself_outlives_its_keys_in_the_secret() {
    let wiped = || holds("a").after("c", "ab");
    for (what, found, expected) in vec![
        ("settled", wiped().process_knows(settled("c")), None),
        (
            "settled before somebody else replaced the token",
            wiped().process_knows(settled("b")),
            Some(Interruption::Wiped),
        ),
        ("first at the account", holds("a").visited().process_knows(Known::Untouched), None),
        ("claimed", wiped().process_knows(Known::Claimed(claim("c"))), CLAIMED),
        (
            "claimed before the commit ended half way",
            wiped().process_knows(Known::Claimed(claim("b"))),
            Some(Interruption::Wiped),
        ),
        ("a human's token claimed", holds("h").after("c", "ab").process_knows(Known::Claimed(claim("h"))), CLAIMED),
        (
            "a claim that its holder took back",
            holds("a").marked("a", 0).process_knows(Known::Claimed(claim("a"))),
            None,
        ),
        ("a void claim on a settled token", holds("a").claimed("a").void("a").process_knows(settled("a")), None),
        ("a void claim on a first token", holds("a").claimed("a").void("a").process_knows(Known::Untouched), None),
        (
            "a void claim in the place of an open one",
            holds("a").marked("a", 0).claimed("a").void("a").process_knows(Known::Claimed(claim("a"))),
            CLAIMED,
        ),
        ("another's claim", holds("a").claimed("a").void("z").process_knows(settled("a")), CLAIMED),
    ] {
        assert_eq!(found.interrupted(), expected, "{what}");
    }
}

#[test]
fn what_stands_beside_a_token_of_another_authorization_is_not_this_ones() {
    let authorized_at =
        |found: Found| found.with(key::AUTHORIZED_AT, "2026-05-01T00:00:00Z").decide().view.authorized_at;
    let theirs = Some("2026-05-01T00:00:00Z".parse().unwrap());
    assert_eq!(authorized_at(holds("a").after("c", "ab")), theirs, "the same authorization");
    assert_eq!(authorized_at(holds("a").after("h", "abc").taken_over_from("c")), None, "an earlier one");
    let mut found = holds("a").after("h", "abc").taken_over_from("c");
    found.state.as_mut().unwrap().mark.authorized_at = Some("2026-11-01T00:00:00Z".to_owned());
    assert_eq!(authorized_at(found), Some("2026-11-01T00:00:00Z".parse().unwrap()), "known from the lineage");
    let access = holds("a")
        .after("c", "ab")
        .with(key::ACCESS_TOKEN, "access")
        .with(key::EXPIRES_AT, &(start() + hours(1)).to_string());
    assert_eq!(access.decide().access, None);
}

#[test]
fn a_rotation_is_one_step_of_the_same_authorization() {
    let before = holds("h").after("c", "ab").with(key::AUTHORIZED_AT, "2026-05-01T00:00:00Z").decide();
    let after = after_refresh(&before, Some(&RefreshToken::new("i".into())), &uid());
    assert_eq!(after.number, before.mark.number + 1);
    assert_eq!(after.authorization, before.mark.authorization);
    assert_eq!(after.predecessor, before.mark.predecessor);
    assert_eq!(after.token, digest("i"));
    assert_eq!(after.authorized_at.as_deref(), Some("2026-05-01T00:00:00Z"));
    let same = after_refresh(&before, None, &uid());
    assert_eq!((same.number, same.token), (before.mark.number, before.mark.token));
}

#[test]
fn odd_scopes_are_left_out() {
    let long = "x".repeat(65);
    assert_eq!(scopes(Some(&format!("b a {long} a é"))), ["a", "b"]);
    assert!(scopes(None).is_empty());
}
