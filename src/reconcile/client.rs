//! The app's side of a refresh: its credentials, and what an exchange with them tells about the app.

use std::sync::Arc;

use super::clients::{Clients, Exchanging, ReadClient};
use super::context::Context;
use super::{app, refusal, secret_access};
use crate::adapters::spotify::AppCredentials;
use crate::api::secret::SecretUse;
use crate::api::v1alpha1::{SpotifyAccount, SpotifyApp};
use crate::domain::name::ObjectName;
use crate::domain::token::Flow;
use crate::plan::client::{ClientVersion, Evidence, accepted_before};
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Observed, TokenView};

/// Reads the client credentials of an app.
pub(super) async fn read(ctx: &Context, app: &SpotifyApp) -> Result<ReadClient, SecretTrouble> {
    let generation = app.metadata.generation;
    let Some(reference) = &app.spec.client_secret_ref else {
        return Ok(ReadClient { version: ClientVersion { generation, secret: None }, secret: None });
    };
    let name = ObjectName::new(app.metadata.namespace.clone().unwrap_or_default(), &reference.name);
    let content = secret_access::read(&ctx.cluster, &name, SecretUse::Client).await?;
    let secret = Some((content.uid.clone(), content.resource_version.clone()));
    let value = secret_access::value(&name, &content, &reference.key)?;
    Ok(ReadClient { version: ClientVersion { generation, secret }, secret: Some(value) })
}

/// An exchange that may begin.
pub(super) struct Admitted {
    pub(super) credentials: AppCredentials,
    exchanging: Exchanging,
    evidence: Evidence,
}

/// The app's credentials, if the token's flow fits them and they may be used now.
pub(super) async fn admit(
    ctx: &Arc<Context>,
    account: &SpotifyAccount,
    observed: &Observed,
    token: &TokenView,
) -> Result<Admitted, RefreshOutcome> {
    let Lookup::Found(app) = &observed.app else { return Err(RefreshOutcome::Conflict) };
    match (&app.spec.client_secret_ref, token.flow) {
        (Some(_), Some(flow @ Flow::Pkce)) | (None, Some(flow @ Flow::Confidential)) => {
            return Err(RefreshOutcome::FlowMismatch { flow });
        }
        _ => {}
    }
    if ctx.clients.must_wait(app, ctx.clock.now()) {
        return Err(RefreshOutcome::ClientAsked);
    }
    let client = refusal::confirmed(account, || read(ctx, app)).await.map_err(RefreshOutcome::ClientSecret)?;
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let exchanging = Clients::enter(ctx, app, &client, uid).ok_or(RefreshOutcome::ClientAsked)?;
    let evidence =
        Evidence { flow: token.flow, accepted_before: accepted_before(account, token), ..Evidence::default() };
    let credentials = AppCredentials { client_id: app.spec.client_id.clone(), client_secret: client.secret };
    Ok(Admitted { credentials, exchanging, evidence })
}

impl Admitted {
    /// Notes how the exchange ended, and tells it in the app's status before anybody who waits for it goes on.
    pub(super) async fn ended(self, ctx: &Context, observed: &Observed, outcome: &RefreshOutcome) {
        if self.exchanging.note(outcome, self.evidence) {
            // The app's own pass makes up for a write that fails.
            if let Err(error) = app::tell_standing(ctx, &observed.app_name).await {
                let (reason, error) = (error.metric_label(), &error as &dyn std::error::Error);
                tracing::warn!(reason, error, "what is known of the app is not written yet");
            }
        }
    }
}
