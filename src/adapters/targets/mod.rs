//! The scrobble services, one file each. A closed set: adding a type is one file, one variant and one CRD field.

mod listenbrainz;
#[cfg(test)]
mod testing;
mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use super::http::GuardedClient;
use crate::domain::answer::{Delivery, Submission};
use crate::domain::play::Play;

/// How long a service may take for one answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// A service with everything that a request to it needs.
pub enum Service {
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

/// A play with the time that is sent for it, in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrobble {
    /// The play.
    pub play: Play,
    /// The second that the service is told.
    pub timestamp: Timestamp,
}

impl Service {
    /// Sends plays: in one request where the service takes batches, else one by one until one is not taken.
    pub async fn submit(&self, http: &GuardedClient, scrobbles: &[Scrobble]) -> Submission {
        self.submit_within(DEADLINE, http, scrobbles).await
    }

    async fn submit_within(&self, deadline: Duration, http: &GuardedClient, scrobbles: &[Scrobble]) -> Submission {
        match self {
            Self::ListenBrainz { url, token } => {
                listenbrainz::submit(http, &listenbrainz::Account { url, token, deadline }, scrobbles).await
            }
            Self::Webhook { url, signing_key, target, listener } => {
                let receiver = webhook::Receiver { url, signing_key: signing_key.as_ref(), target, listener, deadline };
                webhook::submit(http, &receiver, scrobbles).await
            }
        }
    }

    /// Asks the service whether it accepts the listener's credentials; none where it cannot be asked.
    pub async fn check_credentials(&self, http: &GuardedClient) -> Option<Delivery> {
        match self {
            Self::ListenBrainz { url, token } => {
                let account = listenbrainz::Account { url, token, deadline: DEADLINE };
                Some(listenbrainz::validate(http, &account).await)
            }
            Self::Webhook { .. } => None,
        }
    }
}

/// A JSON object whose keys are in one order whatever the code does, so that a repeat is the same bytes.
type OrderedObject = BTreeMap<&'static str, serde_json::Value>;

/// An optional text that says something.
fn filled(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}
