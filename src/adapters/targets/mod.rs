//! The scrobble services, one file each. A closed set: adding a type is one file, one variant and one CRD field.

mod lastfm;
mod listenbrainz;
mod maloja;
#[cfg(test)]
mod private_addresses;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod times;
mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use super::http::GuardedClient;
use crate::api::v1alpha1::{ScrobbleTargetSpec, TargetType};
use crate::domain::answer::{Delivery, Shown, Submission, Submitted, Trouble};
use crate::domain::play::Play;

/// How long a service may take for one answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// A service with everything that a request to it needs.
pub enum Service {
    /// Last.fm, or a server that speaks its API 2.0.
    LastFm {
        /// The API's URL.
        url: Url,
        /// The application's key.
        api_key: SecretString,
        /// Signs requests.
        shared_secret: SecretString,
        /// The listener's session key.
        session_key: SecretString,
    },
    /// Maloja, by its native API.
    Maloja {
        /// The base URL, without `/apis/mlj_1`.
        url: Url,
        /// The listener's API key.
        api_key: SecretString,
    },
    /// ListenBrainz, or a server that speaks its API.
    ListenBrainz {
        /// The base URL, without `/1/submit-listens`.
        url: Url,
        /// The listener's user token.
        token: SecretString,
    },
    /// A webhook.
    Webhook {
        /// Where plays are posted.
        url: Url,
        /// Signs the body, if the target has a key.
        signing_key: Option<SecretString>,
        /// The target as `namespace/name`, part of the idempotency key.
        target: String,
        /// The listener's Spotify account id, part of the idempotency key.
        listener: String,
    },
}

impl Submitted {
    /// An answer that asks nobody to wait.
    fn plain(submission: Submission) -> Self {
        Self { submission, pause: None }
    }

    /// The same for every play.
    fn all(count: usize, delivery: &Delivery) -> Self {
        Self::plain(Submission::all(count, delivery))
    }
}

/// The keys that a request to a service needs.
#[derive(Clone, Default)]
pub struct Keys {
    /// The listener's.
    pub listener: Option<SecretString>,
    /// The target's own, in the order of its spec.
    pub own: Vec<SecretString>,
}

/// A play with the time that is sent for it, in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrobble {
    /// The play.
    pub play: Play,
    /// The second that the service is told.
    pub timestamp: Timestamp,
}

impl Service {
    /// The service that a target stands for. `target` is its `namespace/name`, `listener` the Spotify account id; none
    /// where a key is missing.
    pub fn of(
        spec: &ScrobbleTargetSpec,
        url: Url,
        keys: &Keys,
        target: String,
        listener: Option<&str>,
    ) -> Option<Self> {
        let mut own = keys.own.iter().cloned();
        Some(match spec.target_type {
            TargetType::LastFm => Self::LastFm {
                url,
                api_key: own.next()?,
                shared_secret: own.next()?,
                session_key: keys.listener.clone()?,
            },
            TargetType::ListenBrainz => Self::ListenBrainz { url, token: keys.listener.clone()? },
            TargetType::Maloja => Self::Maloja { url, api_key: keys.listener.clone()? },
            TargetType::Webhook => {
                Self::Webhook { url, signing_key: own.next(), target, listener: listener?.to_owned() }
            }
        })
    }

    /// Whether requests must not overlap: only Last.fm and listenbrainz.org are known to bear it. Koito merges submissions
    /// of one song that arrive together.
    pub fn takes_turns(&self) -> bool {
        match self {
            Self::LastFm { .. } => false,
            Self::ListenBrainz { url, .. } => url.host_str() != Some("api.listenbrainz.org"),
            Self::Maloja { .. } | Self::Webhook { .. } => true,
        }
    }

    /// Whether a play needs a second of its own, which is to be looked for before it is sent.
    pub fn needs_free_second(&self) -> bool {
        matches!(self, Self::Maloja { .. })
    }

    /// Sends plays: in one request where the service takes batches, else one by one until one is not taken.
    pub async fn submit(&self, http: &GuardedClient, scrobbles: &[Scrobble]) -> Submitted {
        self.submit_within(DEADLINE, http, scrobbles).await
    }

    async fn submit_within(&self, deadline: Duration, http: &GuardedClient, scrobbles: &[Scrobble]) -> Submitted {
        match self {
            Self::LastFm { url, api_key, shared_secret, session_key } => {
                let account = lastfm::Account { url, api_key, shared_secret, session_key, deadline };
                lastfm::submit(http, &account, scrobbles).await
            }
            Self::ListenBrainz { url, token } => {
                listenbrainz::submit(http, &listenbrainz::Account { url, token, deadline }, scrobbles).await
            }
            Self::Maloja { url, api_key } => {
                maloja::submit(http, &maloja::Account { url, api_key, deadline }, scrobbles).await
            }
            Self::Webhook { url, signing_key, target, listener } => {
                let receiver = webhook::Receiver { url, signing_key: signing_key.as_ref(), target, listener, deadline };
                webhook::submit(http, &receiver, scrobbles).await
            }
        }
    }

    /// Asks the service whether it accepts the credentials: `Accepted`, or what is wrong. None where it cannot be asked.
    pub async fn check_credentials(&self, http: &GuardedClient) -> Option<Delivery> {
        match self {
            Self::LastFm { url, api_key, shared_secret, session_key } => {
                let account = lastfm::Account { url, api_key, shared_secret, session_key, deadline: DEADLINE };
                Some(lastfm::validate(http, &account).await)
            }
            Self::ListenBrainz { url, token } => {
                let account = listenbrainz::Account { url, token, deadline: DEADLINE };
                Some(listenbrainz::validate(http, &account).await)
            }
            Self::Maloja { url, api_key } => {
                Some(maloja::validate(http, &maloja::Account { url, api_key, deadline: DEADLINE }).await)
            }
            Self::Webhook { .. } => None,
        }
    }

    /// What the service shows of the listener, from a second up to another one, both included; none where it is never
    /// asked.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn shown(&self, http: &GuardedClient, from: i64, to: i64) -> Option<Result<Vec<Shown>, Delivery>> {
        match self {
            Self::LastFm { url, api_key, shared_secret, session_key } => {
                let account = lastfm::Account { url, api_key, shared_secret, session_key, deadline: DEADLINE };
                Some(lastfm::shown(http, &account, from, to).await)
            }
            Self::Maloja { url, api_key } => {
                Some(maloja::shown(http, &maloja::Account { url, api_key, deadline: DEADLINE }, from, to).await)
            }
            Self::ListenBrainz { .. } | Self::Webhook { .. } => None,
        }
    }
}

/// What a request without a usable answer means for its plays.
fn lost(trouble: Trouble) -> Delivery {
    if trouble.was_not_sent() { Delivery::NotNow { retry_after: None, trouble } } else { Delivery::Unknown(trouble) }
}

/// The answers to plays that are sent one by one, until one is neither taken nor refused for good.
struct OneByOne {
    count: usize,
    deliveries: Vec<Delivery>,
}

impl OneByOne {
    fn of(count: usize) -> Self {
        Self { count, deliveries: Vec::with_capacity(count) }
    }

    /// Notes what became of a play. Answers whether the next one is to be sent.
    fn go_on_after(&mut self, delivery: Delivery) -> bool {
        let goes_on = matches!(delivery, Delivery::Accepted | Delivery::AlreadyThere | Delivery::Never { .. });
        self.deliveries.push(delivery);
        goes_on
    }

    /// Plays that were not sent share the last answer, but nothing is unknown of them, and their second is not known to be
    /// taken.
    fn submitted(mut self) -> Submitted {
        let unsent = self.deliveries.last().cloned().map(|last| match last {
            Delivery::Unknown(trouble) => Delivery::NotNow { retry_after: None, trouble },
            Delivery::NotNow { trouble: Trouble::SecondTaken, .. } => {
                Delivery::NotNow { retry_after: None, trouble: Trouble::OperationFailed }
            }
            other => other,
        });
        if let Some(unsent) = unsent {
            self.deliveries.resize(self.count, unsent);
        }
        Submitted::plain(Submission::Each(self.deliveries))
    }
}

/// A JSON object whose keys are in one order whatever the code does, so that a repeat is the same bytes.
type OrderedObject = BTreeMap<&'static str, serde_json::Value>;

/// An optional text that says something.
fn filled(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}
