//! What a look at an account asks, and what it tells.

mod asked;
mod told;

use std::sync::Arc;

use jiff::Timestamp;

use super::accounts::{AccountSentence, LISTENER, account, hours, minutes, seconds, start};
use super::observations::{app, around, token};
use super::plays::{page, play, skipped};
use crate::api::condition::{ConditionType, Reason, whole_seconds};
use crate::api::v1alpha1::{BreakerState, BreakerStatus, SpotifyAccount, SpotifyApp};
use crate::domain::answer::ApiAnswer;
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::play::Page;
use crate::plan::client::Standing;
use crate::plan::diagnosis::{Diagnosis, Next, Sight, TokenState, diagnose, next};
use crate::plan::schedule::Due;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Observed, Progress, Step, TokenView};

/// An account, its surroundings, and what is answered to a look.
struct Look {
    account: SpotifyAccount,
    observed: Observed,
    secret: Result<TokenView, SecretTrouble>,
    exchange: Option<RefreshOutcome>,
    pages: Vec<ApiAnswer<Arc<Page>>>,
    spent_until: Option<Timestamp>,
    held_until: Option<Timestamp>,
}

fn look(account: SpotifyAccount) -> Look {
    let entries = [play("new", start() - minutes(3)), play("newer", start() - seconds(1))];
    let mut shown = page(entries);
    shown.entries.push(skipped(start() - minutes(9)));
    Look {
        observed: around(&account),
        account,
        secret: Ok(token(start() + hours(1))),
        exchange: None,
        pages: vec![ApiAnswer::Found(Arc::new(shown))],
        spent_until: None,
        held_until: None,
    }
}

/// One that is read and delivers, and was read five minutes ago.
fn well() -> SpotifyAccount {
    account().with_target("brainz").ready_since(start() - minutes(5))
}

impl Look {
    fn around(self, change: impl FnOnce(Observed) -> Observed) -> Self {
        Self { observed: change(self.observed), ..self }
    }

    fn secret(self, secret: Result<TokenView, SecretTrouble>) -> Self {
        Self { secret, ..self }
    }

    fn expiring(self) -> Self {
        self.secret(Ok(token(start() + minutes(2))))
    }

    /// Goes through the look. Answers what was asked of Spotify and of Secrets, and what was found.
    fn take(self) -> (Vec<&'static str>, Diagnosis) {
        let Self { account, mut observed, secret, exchange, pages, spent_until, held_until } = self;
        let mut pages = pages.into_iter();
        let mut progress = Progress {
            due: Some(Due::Read(start())),
            calls_spent_until: spent_until,
            held_until,
            ..Progress::default()
        };
        let mut asked = Vec::new();
        let not_asked = loop {
            assert!(asked.len() < 9, "a look without end: {asked:?}");
            let steps = match next(&account, &observed, &progress, start()) {
                Next::Done(why) => break why,
                Next::Steps(steps) => steps,
            };
            for step in steps {
                asked.push(match step {
                    Step::LoadToken => {
                        observed.token = secret.clone().ok();
                        progress.token = Some(secret.clone());
                        "load"
                    }
                    Step::LoadJournal => {
                        progress.journal = Some(Ok(()));
                        "journal"
                    }
                    Step::Refresh { forced } => {
                        progress.forced |= forced;
                        progress.page.take_if(|_| forced);
                        let fresh = TokenView { expires_at: Some(start() + hours(1)), ..secret.clone().unwrap() };
                        let refreshed = RefreshOutcome::Refreshed { token: fresh, time: start(), rotated: false };
                        progress.refresh = Some(exchange.clone().unwrap_or(refreshed));
                        "refresh"
                    }
                    Step::Identify => {
                        let listener = Listener { account_id: LISTENER.to_owned() };
                        progress.listener = Some(ApiAnswer::Found(listener));
                        "identify"
                    }
                    Step::Read => {
                        let answer = pages.next().unwrap();
                        progress.read_time = matches!(answer, ApiAnswer::Found(_)).then(start);
                        progress.page = Some(answer);
                        "read"
                    }
                    other => panic!("{other:?}"),
                });
            }
        };
        let name = ObjectName::new("music", "alice");
        let sight = Sight { name: &name, account: &account, observed: &observed, progress: &progress, not_asked };
        (asked.into_iter().filter(|what| *what != "journal").collect(), diagnose(sight, start()))
    }
}

/// What is asked, `Ready` with its reason, why Spotify was not asked, what went wrong, and the token's state.
type Expected = (&'static [&'static str], &'static str, Option<Reason>, Option<Reason>, TokenState);

fn assert_tells(what: &str, look: Look, expected: Expected) -> Diagnosis {
    let (asked, found) = look.take();
    let reason = |reason: Option<&'static str>| reason.and_then(Reason::from_name);
    let ready = format!("{} {}", found.ready, found.reason);
    let why = reason(found.not_asked.as_ref().map(|why| why.reason));
    let problem = reason(found.problem.as_ref().map(|problem| problem.reason));
    assert_eq!((asked.as_slice(), ready.as_str(), why, problem, found.token.state), expected, "{what}: {found:#?}");
    assert_eq!(found.healthy, found.ready == "True" && found.plays.is_some(), "{what}");
    assert_eq!(found.plays.is_some(), asked.last() == Some(&"read") && problem.is_none(), "{what}");
    found
}

fn with_app(change: impl FnOnce(&mut Standing)) -> Lookup<SpotifyApp> {
    let mut app = app();
    let mut standing = Standing::default();
    change(&mut standing);
    standing.write_to(app.status.get_or_insert_default());
    Lookup::Found(Arc::new(app))
}

fn open(next_probe: Timestamp) -> BreakerStatus {
    BreakerStatus {
        state: BreakerState::Open,
        opened_time: Some(whole_seconds(start())),
        next_probe_time: Some(whole_seconds(next_probe)),
        trips: 1,
    }
}

fn broken() -> SpotifyAccount {
    well().with_status(|status| status.circuit_breaker = Some(open(start() + minutes(9))))
}

/// Spotify has refused this refresh token.
fn revoked(token: &str) -> SpotifyAccount {
    let account = well().stalled_by(Reason::AuthorizationRevoked, ConditionType::Authorized);
    account.trying_again_at(Reason::AuthorizationRevoked, start() + hours(1)).with_status(|status| {
        status.authorization.get_or_insert_default().refused_token_id = Some(token.to_owned());
    })
}
