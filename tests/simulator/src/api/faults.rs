//! What can go wrong, where, and how often.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The paths that can be recorded and made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// `GET /spotify/accounts/authorize`
    Authorize,
    /// `POST /spotify/accounts/api/token`
    Token,
    /// `GET /spotify/api/v1/me`
    Me,
    /// `GET /spotify/api/v1/me/player/recently-played`
    RecentlyPlayed,
    /// `GET /listenbrainz/1/validate-token`
    ListenbrainzValidate,
    /// `POST /listenbrainz/1/submit-listens`
    ListenbrainzSubmit,
    /// `GET /listenbrainz/1/user/<name>/listens`
    ListenbrainzListens,
    /// `auth.getToken`
    LastfmToken,
    /// `auth.getSession`
    LastfmSession,
    /// `user.getRecentTracks`
    LastfmRecentTracks,
    /// `user.getInfo`
    LastfmUserInfo,
    /// `track.scrobble`
    LastfmScrobble,
    /// Any other method of Last.fm, and its page where a listener allows an app.
    LastfmOther,
    /// `POST /webhook/<name>`
    Webhook,
    /// A path that nothing answers.
    Unknown,
}

/// The kind of text in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyForm {
    /// The service's own JSON error.
    #[default]
    Json,
    /// A line of text, as a proxy in front of the service sends it.
    Text,
    /// A web page.
    Html,
    /// Nothing.
    Empty,
}

/// What goes wrong. "Not acted": the service's state is as if the request had never come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Effect {
    /// Another status; not acted.
    Status {
        /// The HTTP status.
        status: u16,
        /// The kind of body.
        #[serde(default)]
        body: BodyForm,
        /// The body itself, instead of one made for the form.
        #[serde(default)]
        text: Option<String>,
        /// Sent as `Retry-After`.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// 429 of the short kind, with `Retry-After`; not acted.
    RateLimited {
        /// Sent as `Retry-After`.
        retry_after_seconds: u64,
    },
    /// Spotify's 429 of the long kind, reason `QUOTA_EXCEEDED`; not acted.
    QuotaExceeded {
        /// Sent as `Retry-After`; Spotify was seen to leave it out.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// 400 of the token endpoint with this error; not acted.
    TokenError {
        /// `invalid_grant`, `invalid_client`, …
        error: String,
        /// `error_description`, which Spotify leaves out at times.
        #[serde(default)]
        description: Option<String>,
    },
    /// 401 `The access token expired`; not acted.
    AccessTokenExpired,
    /// 403 in plain text: the listener is not on the app's allow-list; not acted.
    UserNotAllowlisted,
    /// 403 in plain text: the app's owner has no Premium; not acted.
    OwnerNotPremium,
    /// 403 `Insufficient client scope`; not acted.
    InsufficientScope,
    /// The listener says no on the authorization page; not acted.
    AccessDenied,
    /// A Last.fm error; not acted.
    LastfmError {
        /// Last.fm's number.
        code: u32,
        /// HTTP status; Last.fm sends errors with 200 at times.
        status: u16,
    },
    /// No answer, ever; not acted.
    Hang,
    /// The service acts, then never answers.
    HangAfter,
    /// The connection is cut before the service acts.
    CutBefore,
    /// The service acts, then the connection is cut without an answer.
    CutAfter,
    /// The service acts after a while, in real time, even if the client is gone by then.
    DelayBefore {
        /// How long.
        milliseconds: u64,
    },
    /// The service acts at once and answers after a while, in real time.
    DelayAfter {
        /// How long.
        milliseconds: u64,
    },
    /// The service acts; half of the body is sent, then the connection is cut.
    TruncatedBody,
    /// The service acts and answers a web page with its status.
    HtmlBody,
    /// The service acts; its answer comes after so many spaces, streamed.
    OversizedBody {
        /// How many; 0 stands for 9 MiB.
        #[serde(default)]
        bytes: u64,
    },
    /// The service acts; every value at the top of its JSON has another type.
    WrongJsonType,
    /// Spotify shows no play although there are some.
    EmptyPage,
    /// Spotify shows the page of an earlier moment.
    StalePage {
        /// How much earlier, in simulated seconds.
        seconds: i64,
    },
    /// Spotify leaves out the newest plays.
    HideNewest {
        /// How many.
        count: u32,
    },
}

impl Effect {
    /// Status with the service's own JSON error.
    pub fn status(status: u16) -> Self {
        Self::Status { status, body: BodyForm::Json, text: None, retry_after_seconds: None }
    }

    /// Status with a body of this form.
    pub fn status_as(status: u16, body: BodyForm) -> Self {
        Self::Status { status, body, text: None, retry_after_seconds: None }
    }
}

/// A rule: for requests that match, this happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewFault {
    /// Only there. Absent: everywhere.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// Only for this listener: the account's name, the user's name at ListenBrainz or Last.fm, the webhook's name.
    #[serde(default)]
    pub account: Option<String>,
    /// Only for this app (client id; Last.fm: API key).
    #[serde(default)]
    pub client_id: Option<String>,
    /// What happens.
    pub effect: Effect,
    /// Let so many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// Then do it so many times. Absent: for ever.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely each time, 0 to 1. Absent: 1.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Seed of the draws.
    #[serde(default)]
    pub seed: u64,
    /// Not before. Simulated time.
    #[serde(default)]
    pub from_time: Option<Timestamp>,
    /// Not at this time or after. Simulated time.
    #[serde(default)]
    pub until_time: Option<Timestamp>,
}

impl NewFault {
    /// This effect at every endpoint, for everybody, for ever.
    pub fn new(effect: Effect) -> Self {
        Self {
            endpoint: None,
            account: None,
            client_id: None,
            effect,
            skip: 0,
            times: None,
            probability: None,
            seed: 0,
            from_time: None,
            until_time: None,
        }
    }

    /// Only at this endpoint.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only for this listener.
    #[must_use]
    pub fn of(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Only for the next `times` matching requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// With this probability, drawn from this seed.
    #[must_use]
    pub fn likely(mut self, probability: f64, seed: u64) -> Self {
        self.probability = Some(probability);
        self.seed = seed;
        self
    }
}

/// A rule and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Its number, from 1; the first rule that matches wins.
    pub id: u64,
    /// The rule as given.
    #[serde(flatten)]
    pub rule: NewFault,
    /// How many requests matched.
    pub matched: u64,
    /// How often it happened.
    pub applied: u32,
}
