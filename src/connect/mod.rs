//! Signing a listener in: prepare -> send to Spotify -> exchange -> admit -> store.
//!
//! Everything that can be refused is refused before the listener is sent away; what was true then is looked at again
//! before anything is written.

mod desk;
mod observe;
mod store;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use crate::adapters::kube::{Cluster, ClusterError};
use crate::adapters::spotify::{AppCredentials, SignIn, Spotify};
use crate::api::RECONCILE_REQUESTED_AT;
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::name::ObjectName;
use crate::domain::sign_in::State;
use crate::plan::sign_in::{Attempt, Authorization, Page, Preparation, Refusal, SIGN_IN_LIFE};
use crate::reconcile::context::Clock;
use desk::{Answer, Desk};

/// What a sign-in works with.
#[derive(Clone)]
pub struct Tools {
    /// The cluster, with the rights of whoever runs the command.
    pub cluster: Cluster,
    /// Spotify.
    pub spotify: Spotify,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Where the tokens go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into the account's token Secret.
    Cluster,
    /// To whoever asked, as a manifest; nothing is written.
    Manifest,
}

/// A sign-in that waits for the listener.
pub struct Session {
    tools: Tools,
    destination: Destination,
    prepared: Preparation,
    credentials: AppCredentials,
    sign_in: SignIn,
    desk: Desk,
}

/// The listener is signed in.
pub struct Connected {
    /// The token Secret.
    pub secret: ObjectName,
    /// When the authorization ends at the earliest.
    pub earliest_end: Timestamp,
    /// Where the tokens are.
    pub outcome: Outcome,
}

/// Where the tokens are.
pub enum Outcome {
    /// In the token Secret.
    Stored {
        /// Whether the operator was asked to look at it now.
        asked: bool,
    },
    /// In this manifest, as YAML.
    Manifest(String),
}

/// A sign-in did not lead to stored tokens. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The API server did not do what was asked.
    #[error("the API server did not do what was asked: {}: run the command again once it does", store::described(.0))]
    Cluster(ClusterError),
    /// The redirect URI's port cannot be had.
    #[error("cannot listen on 127.0.0.1, port {port}: name another one with --port, or 0 for any")]
    Listen {
        /// The port.
        port: u16,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Looks whether everything is there, and begins to wait for the listener on 127.0.0.1.
///
/// # Errors
/// What is missing, and what to do.
pub async fn begin(
    tools: Tools,
    account: &ObjectName,
    port: u16,
    destination: Destination,
) -> Result<Session, ConnectError> {
    let prepared = observe::prepare(&tools.cluster, account).await?;
    let credentials = observe::credentials(&tools.cluster, &prepared).await?;
    if destination == Destination::Cluster {
        store::rehearse(&tools.cluster, &prepared).await?;
    }
    let state = State::new(rand::random(), prepared.uid.clone());
    let text = state.text();
    let attempt = Attempt::new(state, tools.clock.now());
    let desk = Desk::open(port, attempt, Arc::clone(&tools.clock)).await?;
    let sign_in = tools.spotify.begin_sign_in(&credentials, desk.redirect_url(), &text);
    Ok(Session { tools, destination, prepared, credentials, sign_in, desk })
}

impl Session {
    /// Where the listener signs in.
    pub fn url(&self) -> &Url {
        &self.sign_in.url
    }

    /// Where Spotify sends the listener afterwards.
    pub fn redirect_url(&self) -> &Url {
        self.desk.redirect_url()
    }

    /// Waits for the listener and stores what the sign-in brings. The browser is told how it ended.
    ///
    /// # Errors
    /// Nothing was written, and why.
    pub async fn finish(self) -> Result<Connected, ConnectError> {
        let Self { tools, destination, prepared, credentials, sign_in, mut desk } = self;
        let life = tools.clock.timer(SIGN_IN_LIFE);
        let Ok(Some(Answer { code, page })) = tokio::time::timeout(life, desk.answer()).await else {
            desk.close().await;
            return Err(Refusal::TooLate.into());
        };
        let connected = match code {
            Ok(code) => complete(&tools, destination, &prepared, &credentials, sign_in, &code).await,
            Err(refusal) => Err(refusal.into()),
        };
        // A browser that has gone away reads nothing.
        let _ = page.send(match &connected {
            Ok(_) => Page::success(&prepared.account),
            Err(ConnectError::Refused(refusal)) => Page::refused(refusal),
            Err(_) => Page::failed(),
        });
        desk.close().await;
        connected
    }
}

/// Exchanges the code, looks whose tokens these are, and stores them.
async fn complete(
    tools: &Tools,
    destination: Destination,
    prepared: &Preparation,
    credentials: &AppCredentials,
    sign_in: SignIn,
    code: &SecretString,
) -> Result<Connected, ConnectError> {
    let Tools { cluster, spotify, clock } = tools;
    let authorized_at = clock.now();
    let grant = Refusal::of_exchange(spotify.finish_sign_in(credentials, sign_in, code).await, &prepared.app)?;
    let listener = Refusal::of_identity(spotify.listener(&grant.access_token).await)?;
    let authorization = Authorization::new(grant, prepared.flow(), authorized_at)?;
    prepared.admit(&observe::prepare(cluster, &prepared.account).await?, &listener)?;
    let outcome = match destination {
        Destination::Manifest => Outcome::Manifest(authorization.manifest(&prepared.secret)),
        Destination::Cluster => {
            store::store(cluster, prepared, &authorization).await?;
            let wish = clock.now().to_string();
            let asked = cluster.annotate::<SpotifyAccount>(&prepared.account, RECONCILE_REQUESTED_AT, &wish).await;
            Outcome::Stored { asked: asked.is_ok() }
        }
    };
    Ok(Connected { secret: prepared.secret.clone(), earliest_end: authorization.earliest_end(), outcome })
}
