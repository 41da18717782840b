//! Steps and their outcomes: the only words that decisions and driver share.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::observed::{Interruption, TokenView};
use super::schedule::Due;
use crate::domain::answer::{ApiAnswer, Delivery, Refusal, Submission, Trouble};
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::play::{Page, Play};
use crate::domain::token::Flow;
use crate::domain::token_secret::ContentProblem;

/// Something the driver does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read the token Secret.
    LoadToken,
    /// Claim, exchange, commit.
    Refresh {
        /// Although the access token has not run out: Spotify refused it.
        forced: bool,
    },
    /// Ask Spotify whom the token belongs to.
    Identify,
    /// Read the recently-played page.
    Read,
    /// Read the Secrets that a target entry needs.
    Prepare {
        /// The entry.
        entry: String,
    },
    /// Read the journal Secret.
    LoadJournal,
    /// Ask the service whether it accepts a target entry's credentials.
    Verify {
        /// The entry.
        entry: String,
    },
    /// Ask the service whether somebody else has scrobbled these plays, which are about to be sent.
    Survey {
        /// The entry.
        entry: String,
        /// The plays.
        plays: Vec<Arc<Play>>,
    },
    /// Write down the seconds that were chosen for a target entry's plays, before they are sent.
    Place {
        /// The entry.
        entry: String,
    },
    /// Send plays to a target, request after request, until one is not accepted.
    Deliver {
        /// The entry.
        entry: String,
        /// The requests.
        batches: Vec<Batch>,
    },
}

impl Step {
    /// The target entry that the step is a request to.
    pub fn served(&self) -> Option<&str> {
        match self {
            Self::Verify { entry } | Self::Survey { entry, .. } | Self::Deliver { entry, .. } => Some(entry),
            Self::LoadToken
            | Self::Refresh { .. }
            | Self::Identify
            | Self::Read
            | Self::Prepare { .. }
            | Self::Place { .. }
            | Self::LoadJournal => None,
        }
    }
}

/// The plays of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The plays, oldest first.
    pub plays: Vec<Arc<Play>>,
    /// The play is alone, and the service failed over it before: if it does so again, it is the play.
    pub last_try: bool,
}

/// Why a Secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretTrouble {
    /// It does not exist.
    NotFound {
        /// The Secret.
        secret: ObjectName,
    },
    /// Its label does not allow this use.
    NotLabelled {
        /// The Secret.
        secret: ObjectName,
        /// The value that `scrobble-operator.io/use` must have.
        wanted: &'static str,
    },
    /// A key is missing or its value cannot be used.
    Content {
        /// The Secret.
        secret: ObjectName,
        /// What is wrong.
        problem: ContentProblem,
    },
    /// `immutable: true`.
    Immutable {
        /// The Secret.
        secret: ObjectName,
    },
    /// The operator may not read it.
    ReadForbidden {
        /// The Secret.
        secret: ObjectName,
    },
    /// The operator may not write it.
    WriteForbidden {
        /// The Secret.
        secret: ObjectName,
    },
    /// A Secret that only the operator writes exists without its owner reference.
    NotOurs {
        /// The Secret.
        secret: ObjectName,
    },
    /// The API server did not answer.
    Cluster,
}

/// How a refresh ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RefreshOutcome {
    /// New tokens, stored.
    Refreshed {
        /// The new token.
        token: TokenView,
        /// When.
        time: Timestamp,
        /// Whether Spotify replaced the refresh token.
        rotated: bool,
    },
    /// The token Secret cannot be used; nothing was sent.
    TokenSecret(SecretTrouble),
    /// The app's client secret cannot be used; nothing was sent.
    ClientSecret(SecretTrouble),
    /// The Secret's `flow` contradicts the app; nothing was sent.
    FlowMismatch {
        /// What the Secret says.
        flow: Flow,
    },
    /// Another account's exchange will tell first whether Spotify accepts the app's credentials; nothing was sent.
    ClientAsked,
    /// Another process is exchanging this token, or may be; nothing was sent.
    Claimed {
        /// From when it may be tried.
        until: Timestamp,
    },
    /// Somebody wrote the Secret in between; nothing was sent.
    Conflict,
    /// Spotify refused.
    Refused {
        /// How.
        refusal: Refusal,
        /// Whether an exchange of this token may have been cut off before.
        interrupted: Option<Interruption>,
    },
    /// Spotify asks to wait.
    RateLimited {
        /// For how long.
        retry_after: Option<SignedDuration>,
    },
    /// No usable answer; the token is as it was.
    Failed(Trouble),
    /// The answer was lost; Spotify may have acted.
    Ambiguous(Trouble),
    /// New tokens were obtained and are not stored yet: the API server does not take them. The commit goes on.
    CommitPending,
    /// New tokens were obtained and dropped: the Secret holds another token by now.
    Superseded,
}

/// Requests to one target in this pass, with their answers.
#[derive(Clone, Debug, Default)]
pub struct TargetProgress {
    /// What was sent, and what became of it.
    pub submissions: Vec<(Vec<Arc<Play>>, Submission)>,
    /// Plays that are to be sent at other seconds than their own, which are not written down yet.
    pub chosen: Vec<(Arc<Play>, i64)>,
    /// Plays whose chosen seconds were written down since they were last tried.
    pub placed: Vec<Arc<Play>>,
    /// How often seconds were written down in this pass.
    pub placings: u32,
    /// Not to be called before: it asked everybody to wait.
    pub paused_until: Option<Timestamp>,
}

/// A target entry's Secrets can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Their values, or the target's spec, changed since this process last read them.
    pub renewed: bool,
}

/// What this pass has done so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What the account was due for when the pass began.
    pub due: Option<Due>,
    /// The token Secret as read in this pass.
    pub token: Option<Result<TokenView, SecretTrouble>>,
    /// The last refresh of this pass.
    pub refresh: Option<RefreshOutcome>,
    /// Whether a refresh was forced in this pass: never twice.
    pub forced: bool,
    /// Whom the token belongs to.
    pub listener: Option<ApiAnswer<Listener>>,
    /// The page.
    pub page: Option<ApiAnswer<Arc<Page>>>,
    /// Whether the page was read in this pass, and when.
    pub read_time: Option<Timestamp>,
    /// The Secrets of target entries: usable, or why not.
    pub credentials: BTreeMap<String, Result<Credentials, SecretTrouble>>,
    /// How the journal was found, if it was read in this pass.
    pub journal: Option<Result<(), SecretTrouble>>,
    /// What services said of credentials, by target entry.
    pub checks: BTreeMap<String, Delivery>,
    /// Whether services show the plays as somebody else's, by target entry.
    pub surveys: BTreeMap<String, Result<bool, Delivery>>,
    /// Deliveries by target entry.
    pub deliveries: BTreeMap<String, TargetProgress>,
    /// Seconds that were chosen in this pass: they are written down with the next status.
    pub seconds: Vec<(String, Arc<Play>, i64)>,
    /// Spotify may not be asked in this pass before: a gate closed meanwhile, or it is not the account's turn.
    pub held_until: Option<Timestamp>,
    /// The group's calls for the day are used up until then.
    pub calls_spent_until: Option<Timestamp>,
    /// The process is shutting down, or the pass has taken long enough: no new step.
    pub stopping: bool,
}

impl Progress {
    /// What is written down before plays are sent to chosen seconds: these, and what was read; not what became of plays.
    #[must_use]
    pub fn before_placing(&self) -> Self {
        Self {
            due: self.due,
            page: self.page.clone(),
            journal: self.journal.clone(),
            seconds: self.seconds.clone(),
            ..Self::default()
        }
    }

    /// The token as this pass knows it, newest first.
    pub fn token_view<'a>(&'a self, observed: Option<&'a TokenView>) -> Option<&'a TokenView> {
        match (&self.refresh, &self.token) {
            (Some(RefreshOutcome::Refreshed { token, .. }), _) | (_, Some(Ok(token))) => Some(token),
            (_, Some(Err(_))) => None,
            (_, None) => observed,
        }
    }
}
