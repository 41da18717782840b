//! One sync: token, plays, targets, status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Client, ResourceExt as _};
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, SpotifyApp};
use serde_json::json;

use crate::spotify::{Play, Spotify};
use crate::targets;

/// A token that ends sooner is refreshed first.
const BUFFER: SignedDuration = SignedDuration::from_mins(5);
/// A sync that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(30);

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Spotify.
    pub spotify: Spotify,
    /// For targets.
    pub http: reqwest::Client,
}

/// A sync failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused.
    #[error("the API server did not do what was asked")]
    Cluster(#[from] kube::Error),
    /// A service was not reached or refused. The error may name a URL, but none of ours holds a secret.
    #[error("a service did not answer as hoped")]
    Service(#[from] reqwest::Error),
    /// An object or answer lacks something.
    #[error("{0}")]
    Missing(&'static str),
}

/// One sync of an account.
pub async fn reconcile(account: Arc<SpotifyAccount>, ctx: Arc<Context>) -> Result<Action, Error> {
    let namespace = account.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    let secret = secrets.get(&account.spec.token_secret_ref.name).await?;
    let token = access_token(&account, &ctx, &namespace, &secrets, &secret).await?;
    let plays = ctx.spotify.recently_played(&token).await?;

    let status = account.status.clone().unwrap_or_default();
    let start = account.spec.sync.start_time.as_ref().map(|start| start.0);
    let known = status.sync.as_ref().and_then(|sync| sync.last_play_time.as_ref()).map(|time| time.0);
    let since = known.or(start);
    // The status holds whole seconds.
    let is_new = |play: &Play| since.is_none_or(|since| play.heard.as_second() > since.as_second());
    let mut fresh: Vec<Play> = plays.into_iter().filter(is_new).collect();
    fresh.sort_by_key(|play| play.heard);
    if !fresh.is_empty() {
        for entry in &account.spec.targets {
            let targets: Api<ScrobbleTarget> =
                Api::namespaced(ctx.client.clone(), entry.target_ref.namespace_or(&namespace));
            let target = targets.get(&entry.target_ref.name).await?;
            let credentials = match &entry.credentials_ref {
                Some(reference) => Some(secrets.get(&reference.name).await?),
                None => None,
            };
            let token = credentials.as_ref().and_then(|secret| text(secret, "token"));
            targets::deliver(&ctx.http, &target.spec, token.as_deref(), &fresh).await?;
        }
    }

    let status = synced(status, &account, &fresh);
    let accounts: Api<SpotifyAccount> = Api::namespaced(ctx.client.clone(), &namespace);
    let patch = Patch::Merge(json!({"status": status}));
    accounts.patch_status(&account.name_any(), &PatchParams::default(), &patch).await?;
    Ok(Action::requeue(account.spec.sync.interval.duration().unsigned_abs()))
}

/// What to do after a sync that failed.
pub fn after_error(_account: Arc<SpotifyAccount>, _error: &Error, _ctx: Arc<Context>) -> Action {
    Action::requeue(RETRY)
}

/// The access token of the Secret, or another one that is stored first.
async fn access_token(
    account: &SpotifyAccount,
    ctx: &Context,
    namespace: &str,
    secrets: &Api<Secret>,
    secret: &Secret,
) -> Result<String, Error> {
    let ends = text(secret, "expires-at").and_then(|time| time.parse::<Timestamp>().ok());
    if let Some(token) = text(secret, "access-token").filter(|_| ends.is_some_and(|ends| ends > now() + BUFFER)) {
        return Ok(token);
    }
    let refresh_token = text(secret, "refresh-token").ok_or(Error::Missing("the Secret has no refresh token"))?;
    let reference = &account.spec.app_ref;
    let apps: Api<SpotifyApp> = Api::namespaced(ctx.client.clone(), reference.namespace_or(namespace));
    let app = apps.get(&reference.name).await?;
    let client_secret = match &app.spec.client_secret_ref {
        Some(reference) => text(&secrets.get(&reference.name).await?, &reference.key),
        None => None,
    };
    let issued = ctx.spotify.refresh(&app.spec.client_id, client_secret.as_deref(), &refresh_token).await?;
    let mut data = BTreeMap::from([
        ("access-token", issued.access_token.clone()),
        ("expires-at", (now() + SignedDuration::from_secs(issued.expires_in)).to_string()),
    ]);
    if let Some(token) = issued.refresh_token {
        data.insert("refresh-token", token);
    }
    let patch = Patch::Merge(json!({"stringData": data}));
    secrets.patch(&secret.name_any(), &PatchParams::default(), &patch).await?;
    Ok(issued.access_token)
}

/// The status after a sync.
fn synced(status: SpotifyAccountStatus, account: &SpotifyAccount, fresh: &[Play]) -> SpotifyAccountStatus {
    let mut sync = status.sync.unwrap_or_default();
    sync.last_sync_time = Some(Time(now()));
    if let Some(newest) = fresh.last() {
        sync.last_play_time = Some(Time(newest.heard));
        sync.last_successful_scrobble_time = Some(Time(now()));
        let delivered = fresh.len() * account.spec.targets.len();
        sync.scrobbled_total += i64::try_from(delivered).unwrap_or_default();
    }
    let before = status.conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True");
    let ready = Condition {
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        reason: "Succeeded".to_owned(),
        message: "Plays are flowing".to_owned(),
        last_transition_time: before.map_or_else(|| Time(now()), |known| known.last_transition_time.clone()),
        observed_generation: account.metadata.generation,
    };
    SpotifyAccountStatus {
        observed_generation: account.metadata.generation,
        conditions: vec![ready],
        sync: Some(sync),
        ..status
    }
}

/// The text of a Secret's key.
fn text(secret: &Secret, key: &str) -> Option<String> {
    let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.clone()).ok()
}

#[expect(clippy::disallowed_methods, reason = "this program has no clock but the machine's")]
fn now() -> Timestamp {
    Timestamp::now()
}
