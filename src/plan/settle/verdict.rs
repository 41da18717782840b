//! What a pass means for the account as a whole.

use jiff::{SignedDuration, Timestamp};

use super::authorization::AUTHORIZATION_LIFE;
use super::mismatch;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::token::Flow;
use crate::domain::token_secret::{ContentProblem, key};
use crate::plan::failure::Failure;
use crate::plan::observed::{Interruption, Observed, TokenView};
use crate::plan::problem::{Problem, blocking};
use crate::plan::schedule::Due;
use crate::plan::sign_in;
use crate::plan::step::{Progress, RefreshOutcome, SecretTrouble};
use crate::plan::token::is_known;
use crate::plan::{client, gate, token};

/// What a pass means for the account as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The spec says so.
    Suspended,
    /// Nothing was due, or somebody else is at it: everything stays as it was.
    Waiting,
    /// The account was refreshed, and nothing else is known yet.
    Refreshed,
    /// Spotify was read.
    Read,
    /// Plays that waited were offered to their targets.
    Delivered,
    /// Something is wrong.
    Wrong(Problem),
}

/// A dead token is tried again after an hour, then once a day: false revocations have happened.
const FIRST_PROBE: SignedDuration = SignedDuration::from_hours(1);
const LATER_PROBE: SignedDuration = SignedDuration::from_hours(24);
/// What only a human can mend on Spotify's side is looked at again after this.
const SLOW_PROBE: SignedDuration = SignedDuration::from_hours(1);
/// No account probes its app's keys twice within this.
const PROBE_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// A token that Spotify refuses with words about the app, whose keys it accepts from others, is tried again after this.
const ODD_PROBE: SignedDuration = SignedDuration::from_mins(15);
/// What a pass means.
pub fn verdict(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Verdict {
    if account.spec.suspend {
        return Verdict::Suspended;
    }
    if let Some(problem) = blocking(account, observed) {
        return Verdict::Wrong(problem);
    }
    let problem = progress
        .refresh
        .as_ref()
        .and_then(|outcome| refresh(account, observed, progress, outcome, now))
        .or_else(|| match &progress.token {
            // A look at Secrets that got no answer: what was wrong before is still what is known.
            Some(Err(SecretTrouble::Cluster)) if matches!(progress.due, Some(Due::Poll | Due::Look)) => None,
            Some(Err(trouble)) => Some(Problem::secret("the token Secret", trouble)),
            _ => None,
        })
        .or_else(|| token::contradicting_flow(observed, progress).map(|flow| contradiction(account, observed, flow)))
        .or_else(|| match &progress.page {
            None => client::to_be_said(account, observed, progress, now)
                .or_else(|| calls_spent(observed, progress))
                .or_else(|| gate::to_be_said(account, observed, progress, now)),
            Some(_) => None,
        })
        .or_else(|| listener(account, observed, progress, now))
        .or_else(|| progress.page.as_ref().and_then(|answer| api("recently-played", answer, observed, now)));
    let problem = problem.map(|problem| gate::shared(problem, account, observed, progress, now));
    match (problem, &progress.page) {
        (Some(problem), _) => Verdict::Wrong(naming_the_command(problem, account, observed, progress)),
        (None, Some(ApiAnswer::Found(_))) => Verdict::Read,
        (None, _) if super::refreshed(progress) => Verdict::Refreshed,
        (None, _) if !progress.deliveries.is_empty() => Verdict::Delivered,
        (None, _) => Verdict::Waiting,
    }
}

fn refresh(
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    outcome: &RefreshOutcome,
    now: Timestamp,
) -> Option<Problem> {
    let closed_until = client::closed_until(observed);
    Some(match outcome {
        RefreshOutcome::Refreshed { .. }
        | RefreshOutcome::Claimed { .. }
        | RefreshOutcome::Conflict
        | RefreshOutcome::ClientAsked
        | RefreshOutcome::Superseded => return None,
        RefreshOutcome::TokenSecret(trouble) => Problem::secret("the token Secret", trouble),
        RefreshOutcome::ClientSecret(trouble) => {
            Problem::secret(&format!("the client secret of SpotifyApp {}, Secret", observed.app_name), trouble)
        }
        RefreshOutcome::FlowMismatch { flow } => contradiction(account, observed, *flow),
        RefreshOutcome::Refused { refusal, interrupted } => {
            let token = progress.token_view(observed.token.as_ref());
            refused(account, observed, *refusal, *interrupted, token, now)
        }
        RefreshOutcome::RateLimited { .. } | RefreshOutcome::Failed(_) | RefreshOutcome::Ambiguous(_)
            if closed_until.is_some() =>
        {
            // The probe told nothing: what was known stays.
            client::problem(observed, closed_until.unwrap_or(now).max(now + PROBE_PAUSE))
        }
        RefreshOutcome::RateLimited { retry_after } => {
            asked_to_wait(Failure::TokenEndpointLimited, "the token endpoint", *retry_after, now)
        }
        RefreshOutcome::Failed(trouble) | RefreshOutcome::Ambiguous(trouble) => {
            failed(Failure::of_token_endpoint(trouble), "the token endpoint", trouble, now)
        }
        RefreshOutcome::CommitPending => Problem::of(
            Failure::CommitPending,
            "new tokens were obtained and could not be stored yet: the API server does not take them; the operator keeps trying"
                .to_owned(),
        ),
    })
}

/// The calls of the day are used up: the account waits for its turn.
pub(in crate::plan) fn calls_spent(observed: &Observed, progress: &Progress) -> Option<Problem> {
    let until = progress.calls_spent_until?;
    let message = format!(
        "the calls that SpotifyApp {} may make in a day are used up: the next read comes at {until:.0}; raise spec.quota.dailyCalls of the app, or share it among fewer accounts",
        observed.app_name
    );
    Some(Problem::of(Failure::BudgetShort, message).until(until))
}

fn contradiction(account: &SpotifyAccount, observed: &Observed, flow: Flow) -> Problem {
    let kind = match flow {
        Flow::Pkce => "confidential",
        Flow::Confidential => "public",
    };
    Problem::of(
        Failure::FlowMismatch,
        format!(
            "the token Secret says flow: {}, but SpotifyApp {} is a {kind} client: authorize anew, or correct `flow`. {}",
            flow.as_str(),
            observed.app_name,
            connect(account, observed),
        ),
    )
}

fn refused(
    account: &SpotifyAccount,
    observed: &Observed,
    refusal: Refusal,
    interrupted: Option<Interruption>,
    token: Option<&TokenView>,
    now: Timestamp,
) -> Problem {
    let app = &observed.app_name;
    let word = match refusal {
        Refusal::InvalidGrant { expired } => return dead(account, observed, expired, interrupted, token, now),
        Refusal::InvalidClient => {
            if let Some(until) = client::closed_until(observed) {
                return client::problem(observed, until.max(now + PROBE_PAUSE));
            }
            let message = format!(
                "Spotify answers invalid_client for this token alone, or for the first token of SpotifyApp {app}: it was probably obtained in another way than the app uses. Check the app's client id too. {}",
                connect(account, observed)
            );
            return Problem::of(Failure::ClientRefusedForToken, message).until(now + ODD_PROBE);
        }
        Refusal::InvalidRequest => "invalid_request",
        Refusal::UnauthorizedClient => "unauthorized_client",
        Refusal::UnsupportedGrantType => "unsupported_grant_type",
    };
    let message = format!(
        "Spotify answers {word}: the token was probably obtained in another way than SpotifyApp {app} uses. {}",
        connect(account, observed)
    );
    Problem::of(Failure::TokenRequestRefused, message).until(now + SLOW_PROBE)
}

fn dead(
    account: &SpotifyAccount,
    observed: &Observed,
    expired: bool,
    interrupted: Option<Interruption>,
    token: Option<&TokenView>,
    now: Timestamp,
) -> Problem {
    let status = account.status.as_ref();
    let authorized = token.and_then(|token| token.authorized_at).or_else(|| {
        let status = status.filter(|status| token.is_some_and(|token| is_known(status, token)))?;
        Some(status.authorization.as_ref()?.authorized_time.as_ref()?.0)
    });
    let too_old = authorized.is_some_and(|time| now.duration_since(time) >= AUTHORIZATION_LIFE);
    let (failure, what) = match interrupted {
        Some(Interruption::Claimed { time }) => (
            Failure::RefreshInterrupted,
            format!("a token exchange was cut off at {time:.0} and the token in the Secret no longer works"),
        ),
        _ if too_old => (
            Failure::AuthorizationExpired,
            "the authorization is older than the six months that Spotify allows".to_owned(),
        ),
        _ if expired => (
            Failure::AuthorizationExpired,
            "Spotify says that the refresh token has expired (invalid_grant)".to_owned(),
        ),
        Some(Interruption::Wiped) => (Failure::RefreshInterrupted, wiped(status)),
        None => {
            (Failure::AuthorizationRevoked, "Spotify no longer accepts the refresh token (invalid_grant)".to_owned())
        }
    };
    let message = format!("{what}: the listener must authorize the app again. {}", connect(account, observed));
    let (failure, message) = interruption_told(account, token, interrupted).unwrap_or((failure, message));
    // Also where another word is told by now, as when a probe was cut off.
    let known_dead = status.and_then(|status| status.authorization.as_ref()?.refused_token_id.as_ref());
    let probed_before = token.is_some_and(|token| known_dead == Some(&token.token_id));
    let wait = if probed_before { LATER_PROBE } else { FIRST_PROBE };
    Problem::of(failure, message).until(now + wait)
}

/// What is told of an exchange that was cut off is what happened to this authorization, also where its trace is gone:
/// whoever was cut off may have stored a token that no longer works.
fn interruption_told(
    account: &SpotifyAccount,
    token: Option<&TokenView>,
    interrupted: Option<Interruption>,
) -> Option<(Failure, String)> {
    let status = account.status.as_ref().filter(|_| !matches!(interrupted, Some(Interruption::Claimed { .. })))?;
    let told = find_condition(&status.conditions, ConditionType::Authorized)?;
    let same = token.is_some_and(|token| is_known(status, token));
    (same && told.status == "False" && told.reason == Reason::RefreshInterrupted.as_str())
        .then(|| (Failure::RefreshInterrupted, told.message.clone()))
}

/// Nobody can tell any more whether an exchange was cut off: what is known is after which one it would have been.
fn wiped(status: Option<&SpotifyAccountStatus>) -> String {
    let last = status.and_then(|status| status.token.as_ref()?.last_refresh_time.as_ref());
    let since = last.map_or_else(String::new, |last| format!(" after {:.0}", last.0));
    format!(
        "something replaced the token Secret and wiped what the operator had noted there, so that a token exchange{since} may have been cut off, and the token no longer works"
    )
}

fn listener(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Option<Problem> {
    let answer = progress.listener.as_ref()?;
    if mismatch(account, progress) {
        let what = "the token belongs to another Spotify user than the one whose plays this account carries";
        return Some(Problem::told(Failure::ListenerMismatch, what).until(now + LATER_PROBE));
    }
    api("who the token belongs to", answer, observed, now)
}

/// What an answer of the Web API means, if it is not what was asked for.
fn api<T>(what: &str, answer: &ApiAnswer<T>, observed: &Observed, now: Timestamp) -> Option<Problem> {
    let failure = Failure::of_api(answer)?;
    let app = &observed.app_name;
    let slow = |what: &str| Problem::told(failure, what).until(now + SLOW_PROBE);
    Some(match answer {
        ApiAnswer::Found(_) => return None,
        ApiAnswer::Unauthorized => {
            let message = format!("Spotify does not accept an access token that it has just issued ({what})");
            Problem::of(failure, message)
        }
        ApiAnswer::Forbidden(Forbidden::Scope) => slow("the token lacks the scope user-read-recently-played"),
        ApiAnswer::Forbidden(Forbidden::NotAllowlisted) => slow(&format!("SpotifyApp {app} does not list this user")),
        ApiAnswer::Forbidden(Forbidden::OwnerNotPremium) => {
            slow(&format!("Spotify asks that the owner of SpotifyApp {app} has Premium"))
        }
        ApiAnswer::Forbidden(Forbidden::Other) => {
            Problem::of(failure, format!("Spotify answers 403 without a reason that is known ({what})"))
        }
        ApiAnswer::RateLimited { retry_after, .. } => asked_to_wait(failure, what, *retry_after, now),
        ApiAnswer::Failed(trouble) => failed(failure, what, trouble, now),
    })
}

fn asked_to_wait(failure: Failure, what: &str, retry_after: Option<SignedDuration>, now: Timestamp) -> Problem {
    let asked = gate::asked(retry_after, failure == Failure::QuotaExceeded);
    let (text, failure) = match asked.limit {
        gate::Limit::Quota => ("the quota of the Spotify developer account is spent", Failure::QuotaExceeded),
        gate::Limit::Rate => ("Spotify asks to wait", failure),
    };
    let until = after(asked.wait, now);
    Problem::of(failure, format!("{text} until {until:.0} ({what})")).until(until)
}

fn failed(failure: Failure, what: &str, trouble: &Trouble, now: Timestamp) -> Problem {
    let message = format!("Spotify gave no usable answer ({what}): {trouble}");
    match trouble {
        Trouble::Busy { retry_after, .. } => {
            let until = after(*retry_after, now);
            Problem::of(failure, format!("{message}; it asks to wait until {until:.0}")).until(until)
        }
        _ => Problem::of(failure, message),
    }
}

/// No wait that somebody asks for is shorter than a second.
fn after(wait: SignedDuration, now: Timestamp) -> Timestamp {
    now.saturating_add(wait.max(SignedDuration::from_secs(1))).unwrap_or(Timestamp::MAX)
}

/// Names the command where signing in is what helps: there is no token, or not one of this listener, or not for this.
fn naming_the_command(problem: Problem, account: &SpotifyAccount, observed: &Observed, progress: &Progress) -> Problem {
    let token_secret = match (&progress.refresh, &progress.token) {
        (Some(RefreshOutcome::TokenSecret(trouble)), _) | (None, Some(Err(trouble))) => Some(trouble),
        _ => None,
    };
    let missing = ContentProblem::KeyMissing { key: key::REFRESH_TOKEN.to_owned() };
    let helps = match (problem.reason, token_secret) {
        (Reason::ScopeInsufficient | Reason::ListenerMismatch, _) => "",
        (_, Some(SecretTrouble::NotFound { .. })) => ", or have the listener sign in",
        (_, Some(SecretTrouble::Content { problem, .. })) if *problem == missing => ", or have the listener sign in",
        _ => return problem,
    };
    Problem { message: format!("{}{helps}. {}", problem.message, connect(account, observed)), ..problem }
}

/// The command that gets a new authorization.
pub(super) fn connect(account: &SpotifyAccount, observed: &Observed) -> String {
    let name = account.metadata.name.as_deref().unwrap_or_default();
    format!("Run: {}", sign_in::command(&ObjectName::new(&observed.namespace, name)))
}
