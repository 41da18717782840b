//! An app's client credentials: whether they may be used now, and what Spotify's answers say about them.
//!
//! `invalid_client` is the app's fault, not an account's: one request finds out, and as long as it stands one request at a
//! time probes, however many accounts the app has. What is known is kept in the app's status, so that a restart sends
//! nothing early.

use jiff::{SignedDuration, Timestamp};

use super::breaker;
use super::failure::Failure;
use super::gate::Gates;
use super::observed::{Lookup, Observed, TokenView};
use super::premium;
use super::problem::Problem;
use super::schedule;
use super::step::{Progress, RefreshOutcome};
use super::token::{is_known, still_refused};
use crate::api::condition::{ConditionType, Reason, find_condition, is_condition_true, whole_seconds};
use crate::api::v1alpha1::{
    BreakerLimits, BreakerState, BreakerStatus, RefusedClientStatus, SpotifyAccount, SpotifyAccountStatus, SpotifyApp,
    SpotifyAppStatus,
};
use crate::domain::answer::{Refusal, Trouble};
use crate::domain::token::Flow;

/// Trouble of Spotify's is no reason to leave refused credentials alone for longer than this.
const LONGEST_WAIT_FOR_TROUBLE: SignedDuration = SignedDuration::from_mins(15);
/// Whoever was refused last lets the app's other accounts go first with the next probe.
const COURTESY: SignedDuration = SignedDuration::from_secs(30);
/// How long an account waits for another one's exchange to tell, unless it is told before.
pub(super) const TELLING: SignedDuration = SignedDuration::from_mins(1);

/// Which client credentials: a spec, and a version of the client Secret. Never their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientVersion {
    /// The app's generation.
    pub generation: Option<i64>,
    /// uid and resourceVersion of the client Secret; none for a public client.
    pub secret: Option<(String, String)>,
}

/// What is known of an app at Spotify: the part of the app's status that tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The app's circuit breaker: open while its credentials are refused, or while Spotify is away ([`super::outage`]).
    pub breaker: Option<BreakerStatus>,
    /// The credentials that Spotify refuses, if it does.
    pub refused: Option<RefusedClientStatus>,
    /// The breaker is open because the app's owner has no Premium ([`super::premium`]).
    pub unpaid: bool,
    /// Until when Spotify asks to wait ([`super::gate`]).
    pub gates: Gates,
}

/// What the end of an exchange says about the client credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Spotify accepts them.
    Accepted,
    /// Spotify refuses them.
    Refused,
    /// Spotify refuses them for this token; it is not the credentials' fault, as far as can be known.
    Odd,
    /// Nothing. Spotify may ask to be left alone.
    Nothing {
        /// For how long.
        retry_after: Option<SignedDuration>,
    },
    /// Nothing was sent.
    Unsent,
}

/// What is known about a request that was answered `invalid_client`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Evidence {
    /// The app has no client secret: requests name the client and prove nothing.
    pub public: bool,
    /// What the token Secret says about how the token was obtained.
    pub flow: Option<Flow>,
    /// Spotify has refreshed this very authorization for this app before.
    pub accepted_before: bool,
    /// Spotify has accepted these very credentials for another account of the app.
    pub proven: bool,
    /// Spotify has answered another account of the app the same, and none otherwise.
    pub repeated: bool,
}

impl Standing {
    /// As an app's status tells it.
    pub fn of(app: &SpotifyApp) -> Self {
        let status = app.status.as_ref();
        Self {
            breaker: status.and_then(|status| status.circuit_breaker.clone()),
            refused: status.and_then(|status| status.refused_client.clone()),
            unpaid: status.is_some_and(premium::is_told),
            gates: status.map(Gates::of).unwrap_or_default(),
        }
    }

    /// Tells it in an app's status.
    pub fn write_to(&self, status: &mut SpotifyAppStatus) {
        status.circuit_breaker.clone_from(&self.breaker);
        status.refused_client.clone_from(&self.refused);
        self.gates.write_to(status);
    }

    /// Until when nothing is sent for the app because its credentials are refused; in the past where one request may
    /// probe. None where they are not refused.
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.refused.as_ref()?;
        let breaker = self.breaker.as_ref().filter(|breaker| breaker.state != BreakerState::Closed);
        let next = breaker.and_then(|breaker| breaker.next_probe_time.as_ref());
        Some(next.map_or(Timestamp::UNIX_EPOCH, |next| next.0))
    }

    /// What is known after an exchange with these credentials.
    #[must_use]
    pub fn after(&self, word: Word, version: &ClientVersion, limits: BreakerLimits, now: Timestamp) -> Self {
        let waits = self.closed_until().is_some_and(|until| until > now);
        let same = self.refused.as_ref() == Some(&version.into());
        match word {
            Word::Accepted if self.refused.is_some() => Self { gates: self.gates, ..Self::default() },
            // The answer to a request that left together with the one that told.
            Word::Refused if same && waits => self.clone(),
            Word::Refused => {
                // Somebody has corrected them since, but not rightly: the waits begin anew.
                let before = self.breaker.as_ref().filter(|_| same);
                let breaker = Some(breaker::opened(before, limits, now));
                Self { breaker, refused: Some(version.into()), unpaid: false, gates: self.gates }
            }
            Word::Nothing { retry_after } if self.refused.is_some() && !waits => {
                let wait = limits.probe_after.min(LONGEST_WAIT_FOR_TROUBLE).max(retry_after.unwrap_or_default());
                self.probing_at(now.saturating_add(wait).unwrap_or(Timestamp::MAX))
            }
            Word::Accepted | Word::Odd | Word::Nothing { .. } | Word::Unsent => self.clone(),
        }
    }

    /// What is known after a look at the credentials: other ones than those that were refused may be tried at once.
    #[must_use]
    pub fn seen(&self, version: &ClientVersion, now: Timestamp) -> Self {
        let other = self.refused.as_ref().is_some_and(|refused| *refused != version.into());
        let waits = self.closed_until().is_some_and(|until| until > now);
        if other && waits { self.probing_at(now) } else { self.clone() }
    }

    fn probing_at(&self, time: Timestamp) -> Self {
        let breaker = self.breaker.clone().unwrap_or_default();
        let breaker =
            BreakerStatus { state: BreakerState::Open, next_probe_time: Some(whole_seconds(time)), ..breaker };
        Self { breaker: Some(breaker), ..self.clone() }
    }
}

impl From<&ClientVersion> for RefusedClientStatus {
    fn from(version: &ClientVersion) -> Self {
        Self {
            generation: version.generation,
            secret_uid: version.secret.as_ref().map(|(uid, _)| uid.clone()),
            secret_resource_version: version.secret.as_ref().map(|(_, version)| version.clone()),
        }
    }
}

/// Whether an exchange may begin now. Nobody knows whether Spotify accepts credentials that it was not asked about yet: the
/// first exchange goes alone, and where it tells nothing, `width` of them go together. One at a time probes refused ones.
pub fn may_exchange(standing: &Standing, proven: bool, on_their_way: usize, width: usize, now: Timestamp) -> bool {
    match standing.closed_until() {
        Some(until) => until <= now && on_their_way == 0,
        None => proven || on_their_way < width.max(1),
    }
}

/// How many exchanges go together after one of those that went so: twice as many after each that told nothing, so that an
/// upstream that is away does not make the accounts wait for one another.
pub fn width_after(width: usize, word: Word) -> usize {
    match word {
        Word::Nothing { .. } => width.max(1).saturating_mul(2).min(1 << 16),
        Word::Accepted | Word::Refused => 1,
        Word::Odd | Word::Unsent => width,
    }
}

/// What the end of an exchange says about the client credentials.
pub fn word(outcome: &RefreshOutcome, evidence: Evidence) -> Word {
    match outcome {
        RefreshOutcome::Refreshed { .. } | RefreshOutcome::CommitPending | RefreshOutcome::Superseded => Word::Accepted,
        RefreshOutcome::Refused { refusal, .. } => match refusal {
            // Who the client is has been looked at before the token (RFC 6749 section 5.2).
            Refusal::InvalidGrant { .. } | Refusal::UnauthorizedClient => Word::Accepted,
            Refusal::InvalidClient if blames_app(evidence) => Word::Refused,
            Refusal::InvalidClient => Word::Odd,
            Refusal::InvalidRequest | Refusal::UnsupportedGrantType => Word::Nothing { retry_after: None },
        },
        RefreshOutcome::RateLimited { retry_after } => Word::Nothing { retry_after: *retry_after },
        RefreshOutcome::Failed(Trouble::Busy { retry_after, .. }) => Word::Nothing { retry_after: Some(*retry_after) },
        RefreshOutcome::Failed(_) | RefreshOutcome::Ambiguous(_) => Word::Nothing { retry_after: None },
        RefreshOutcome::TokenSecret(_)
        | RefreshOutcome::ClientSecret(_)
        | RefreshOutcome::FlowMismatch { .. }
        | RefreshOutcome::ClientAsked
        | RefreshOutcome::Claimed { .. }
        | RefreshOutcome::Conflict => Word::Unsent,
    }
}

/// Whether `invalid_client` is about the app rather than about this token.
///
/// With a client secret the request was authenticated as the app says, and the answer is about that. Without one the request
/// proves nothing: Spotify answers the same where the token was obtained with a secret, so that the token's own word for
/// its flow, or a second account, has to confirm it. A token that was never accepted says nothing against credentials that
/// Spotify accepts from others: one account must not stop all the others.
fn blames_app(evidence: Evidence) -> bool {
    if evidence.accepted_before {
        return true;
    }
    !evidence.proven && (!evidence.public || evidence.flow == Some(Flow::Pkce) || evidence.repeated)
}

/// Whether Spotify has refreshed this authorization for the account's app before.
pub fn accepted_before(account: &SpotifyAccount, token: &TokenView) -> bool {
    let Some(status) = &account.status else { return false };
    status.token.is_some() && is_known(status, token)
}

/// Until when nothing is sent for the account because its app's credentials are refused.
pub(super) fn closed_until(observed: &Observed) -> Option<Timestamp> {
    match &observed.app {
        Lookup::Found(app) => Standing::of(app).closed_until(),
        Lookup::Missing | Lookup::Unreadable => None,
    }
}

/// When an account may ask Spotify again while its app's credentials are refused; none where they are not.
pub(super) fn next_probe(
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = closed_until(observed)?;
    let Lookup::Found(app) = &observed.app else { return None };
    let others = app.status.as_ref().is_some_and(|status| status.accounts > 1);
    let courtesy = if observed.client.refused_last && others { COURTESY } else { SignedDuration::ZERO };
    let attempt = status.failures.as_ref().and_then(|failures| failures.next_attempt_time.as_ref()).map(|next| next.0);
    let own = match attempt {
        // It is the app's, and the app may tell something else by now.
        _ if is_said(status) => Timestamp::MIN,
        None if stands_by_itself(account, status) => Timestamp::MAX,
        attempt => attempt.unwrap_or(Timestamp::MIN),
    };
    let next = until.saturating_add(courtesy).unwrap_or(until).max(own);
    Some(match next {
        next if next > now => next,
        _ if observed.client.asked => now + TELLING,
        next => next,
    })
}

/// Whether an account is stopped by something of its own, which an app whose credentials work would not mend.
fn stands_by_itself(account: &SpotifyAccount, status: &SpotifyAccountStatus) -> bool {
    let stalled = find_condition(&status.conditions, ConditionType::Stalled).filter(|stalled| stalled.status == "True");
    let reason = stalled.and_then(|stalled| Reason::from_name(&stalled.reason));
    !schedule::is_changed(account)
        && !is_condition_true(&status.conditions, ConditionType::Synced)
        && !schedule::is_by_reference(reason.map(Reason::as_str))
        && reason.is_some_and(|reason| reason != Reason::ClientCredentialsInvalid)
}

/// What an account says while its app's credentials are refused; none where it says so, or something of its own.
pub(super) fn to_be_said(
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Option<Problem> {
    let until = closed_until(observed)?;
    let status = account.status.clone().unwrap_or_default();
    let failures = status.failures.clone().unwrap_or_default();
    let attempt = failures.next_attempt_time.as_ref().map(|next| next.0);
    let mended = matches!(progress.token, Some(Ok(_))) && !still_refused(account, progress);
    if stands_by_itself(account, &status) && !mended && attempt.is_none_or(|attempt| attempt > now) {
        return None;
    }
    let said = is_said(&status) && attempt == Some(until) && !schedule::is_changed(account);
    (!said && until > now).then(|| problem(observed, until))
}

/// Whether an account's last failure is its app's credentials.
pub(super) fn is_said(status: &SpotifyAccountStatus) -> bool {
    let reason = status.failures.as_ref().and_then(|failures| failures.last_reason.as_deref());
    reason == Some(Reason::ClientCredentialsInvalid.as_str())
}

/// What an account says whose app's credentials are refused.
pub(super) fn problem(observed: &Observed, until: Timestamp) -> Problem {
    let message = format!(
        "Spotify refuses the client id or secret of SpotifyApp {} (invalid_client): the app's owner must correct them; nothing is sent for its accounts meanwhile, but for one probe at a time",
        observed.app_name
    );
    Problem::of(Failure::ClientRefused, message).until(until)
}

/// What the app itself says.
pub(super) fn problem_of_app(app: &SpotifyApp) -> Problem {
    let remedy = match &app.spec.client_secret_ref {
        Some(reference) => format!(
            "correct key {} of Secret {}, which is looked at every minute, or create an app with the right client id",
            reference.key, reference.name
        ),
        None => "create an app with the right client id, or give clientSecretRef if the client has a secret".to_owned(),
    };
    let message = format!("Spotify refuses the client id or secret (invalid_client): {remedy}");
    Problem::of(Failure::ClientRefused, message)
}
