//! What is asked, and what keeps a look from asking.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::accounts::{AccountSentence, account, hours, minutes, start};
use super::super::observations::{ObservedSentence, refused_app, token};
use super::{Look, assert_tells, broken, look, open, revoked, well, with_app};
use crate::api::condition::Reason;
use crate::api::v1alpha1::BreakerState;
use crate::domain::answer::{ApiAnswer, Refusal};
use crate::domain::name::ObjectName;
use crate::plan::client::Standing;
use crate::plan::diagnosis::{TokenState, table};
use crate::plan::gate::Gates;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Observed, TokenView};

#[test]
fn an_account_that_is_well_is_read_once_and_refreshed_just_in_time() {
    let found =
        assert_tells("well", look(well()), (&["load", "read"], "True Succeeded", None, None, TokenState::Fresh));
    assert!(found.healthy);
    assert_eq!((found.token.expires_in_minutes, found.token.refreshed), (Some(60), false));
    let plays = found.plays.as_ref().unwrap();
    assert_eq!((plays.shown, plays.new, plays.skipped), (3, 2, 1));
    let titles: Vec<&str> = plays.samples.iter().map(|play| play.title.as_str()).collect();
    assert_eq!(titles, ["Title newer", "Title new"], "the newest first");
    assert_eq!((found.failures.consecutive, found.circuit_breaker.state), (0, BreakerState::Closed));
    assert_eq!(found.last_read_time, Some(start() - minutes(5)));
    let read = found.next_read_time.unwrap();
    assert!(read > start() && read <= start() + minutes(20), "as if nobody had asked: {read}");

    let found = assert_tells(
        "expiring",
        look(well()).expiring(),
        (&["load", "refresh", "read"], "True Succeeded", None, None, TokenState::Fresh),
    );
    assert!(found.healthy && found.token.refreshed);
    assert_eq!(found.token.expires_in_minutes, Some(60));

    // A token that the Web API refuses is exchanged once.
    let twice = Look { pages: vec![ApiAnswer::Unauthorized, ApiAnswer::Found(Arc::default())], ..look(well()) };
    assert_tells(
        "refused once",
        twice,
        (&["load", "read", "refresh", "read"], "True Succeeded", None, None, TokenState::Fresh),
    );
    let new = look(account());
    let asked = (&["load", "identify", "read"][..], "True Succeeded", None, None, TokenState::Fresh);
    let found = assert_tells("never read", new, asked);
    assert!(found.next_read_time.is_some_and(|next| next == start()), "its first read is due");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_keeps_a_pass_from_asking_keeps_a_look_from_it() {
    let until = start() + hours(3);
    let missing = SecretTrouble::NotFound { secret: ObjectName::new("music", "alice-spotify") };
    let gated = |standing: fn(&mut Standing, Timestamp)| {
        look(well()).around(|around| around.with_app(with_app(|app| standing(app, until))))
    };
    let refused = RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired: false }, interrupted: None };
    let cases = vec![
        (
            "suspended",
            look(well().suspended()),
            (&[][..], "False Suspended", Some(Reason::Suspended), None, TokenState::Unknown),
        ),
        (
            "a 429",
            gated(|app, until| app.gates = Gates { rate_until: Some(until), quota_until: None }),
            (&["load"], "True Succeeded", Some(Reason::RateLimited), None, TokenState::Fresh),
        ),
        (
            "the quota",
            gated(|app, until| app.gates = Gates { rate_until: None, quota_until: Some(until) }),
            (&["load"], "True Succeeded", Some(Reason::QuotaExceeded), None, TokenState::Fresh),
        ),
        (
            "an outage",
            gated(|app, until| app.breaker = Some(open(until))),
            (&["load"], "True Succeeded", Some(Reason::UpstreamUnavailable), None, TokenState::Fresh),
        ),
        (
            "an outage whose probe is due",
            gated(|app, _| app.breaker = Some(open(start()))),
            (&["load"], "True Succeeded", Some(Reason::UpstreamUnavailable), None, TokenState::Fresh),
        ),
        (
            "invalid_client",
            look(well()).around(|around| around.with_app(refused_app(until))),
            (
                &["load"],
                "False ClientCredentialsInvalid",
                Some(Reason::ClientCredentialsInvalid),
                None,
                TokenState::Fresh,
            ),
        ),
        (
            "the budget",
            Look { spent_until: Some(until), ..look(well()) },
            (&["load"], "True Succeeded", Some(Reason::BudgetTooSmall), None, TokenState::Fresh),
        ),
        (
            "not its turn",
            Look { held_until: Some(until), ..look(well()) },
            (&["load"], "True Succeeded", Some(Reason::Progressing), None, TokenState::Fresh),
        ),
        (
            "its breaker",
            look(broken()).expiring(),
            (&["load"], "True Succeeded", Some(Reason::CircuitOpen), None, TokenState::Expiring),
        ),
        (
            "its breaker, and a human's new token",
            look(broken())
                .secret(Ok(TokenView { authorization_id: "another".to_owned(), ..token(start() + hours(1)) })),
            (&["load", "identify", "read"], "True Succeeded", None, None, TokenState::Fresh),
        ),
        (
            "revoked, as is known",
            look(revoked("token-1")).expiring(),
            (&["load"], "False AuthorizationRevoked", Some(Reason::AuthorizationRevoked), None, TokenState::Expiring),
        ),
        (
            "revoked, and another token since",
            look(revoked("token-0")).expiring(),
            (&["load", "refresh", "read"], "True Succeeded", None, None, TokenState::Fresh),
        ),
        (
            "revoked, as it turns out",
            Look { exchange: Some(refused), ..look(well()).expiring() },
            (
                &["load", "refresh"],
                "False AuthorizationRevoked",
                None,
                Some(Reason::AuthorizationRevoked),
                TokenState::Expiring,
            ),
        ),
        (
            "no Secret",
            look(well()).secret(Err(missing)),
            (&["load"], "False SecretNotFound", Some(Reason::SecretNotFound), None, TokenState::Unusable),
        ),
        (
            "no app",
            look(well()).around(|around| around.with_app(Lookup::Missing)),
            (&[], "False AppNotFound", Some(Reason::AppNotFound), None, TokenState::Unknown),
        ),
        (
            "an older account's Secret",
            look(well())
                .around(|around| Observed { token_secret_holder: Some(ObjectName::new("music", "bob")), ..around }),
            (&[], "False SecretInUse", Some(Reason::SecretInUse), None, TokenState::Unknown),
        ),
    ];
    for (what, look, expected) in cases {
        let found = assert_tells(what, look, expected);
        let text = table(&found);
        assert!(text.contains(&format!("Ready:          {} ({}): ", found.ready, found.reason)), "{what}: {text}");
        assert_eq!(text.contains("Not asked:"), found.not_asked.is_some(), "{what}: {text}");
    }
}
