//! The two writes of a commit, each by compare-and-swap, and what a conflict means. Between the two the commit is half
//! done: the state Secret holds the newest token, the token Secret the one before it, under its claim.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;

use super::commit::{Commit, NewTokens, Written};
use super::context::Context;
use super::token::{load_state, state_secret_name};
use crate::adapters::kube::ClusterError;
use crate::adapters::kube::secrets::{DataChange, SecretContent};
use crate::api::secret::{SecretUse, USE_LABEL};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::digest::TokenDigest;
use crate::domain::name::ObjectName;
use crate::domain::state_secret::StateSecret;
use crate::domain::token::RefreshToken;
use crate::domain::token_secret::{LineageMark, TokenSecret, key, text_of};
use crate::plan::step::{RefreshOutcome, SecretTrouble};

/// What a commit has stored.
pub(super) struct Stored {
    /// The token Secret.
    pub(super) secret: SecretContent,
    /// The state Secret and its version, if there is one.
    pub(super) state: Option<(StateSecret, String)>,
}

/// A commit on its way.
pub(super) struct Store<'a> {
    ctx: &'a Context,
    commit: &'a Commit,
    new: &'a NewTokens,
    started_from: TokenDigest,
    newest: TokenDigest,
    secret: SecretContent,
    state: Option<(StateSecret, String)>,
    state_stored: bool,
}

impl<'a> Store<'a> {
    pub(super) fn new(ctx: &'a Context, commit: &'a Commit, new: &'a NewTokens) -> Self {
        let uid = commit.exchange.uid();
        let before = &commit.exchange.token;
        Self {
            ctx,
            commit,
            new,
            started_from: TokenDigest::of(uid, &before.in_use.refresh_token),
            newest: TokenDigest::of(uid, &new.refresh_token),
            secret: commit.claimed.clone(),
            state: before.state.clone(),
            state_stored: false,
        }
    }

    /// Whether the state Secret holds what it is to hold: then nothing is lost, whatever becomes of the token Secret. It
    /// need hold nothing new where no token was replaced, neither by Spotify nor by a human.
    pub(super) fn is_state_stored(&self) -> bool {
        self.new.recorded || self.state_stored
    }

    pub(super) fn stored(self) -> Stored {
        Stored { secret: self.secret, state: self.state }
    }

    /// Stores a rotated token in the state Secret, which is created where there is none.
    pub(super) async fn put_state(&mut self) -> Written {
        let exchange = &self.commit.exchange;
        let name = state_secret_name(&exchange.namespace, exchange.uid());
        let state = self.next_state();
        let written = match &self.state {
            Some((_, version)) => {
                let change: DataChange = state.data().into_iter().map(|(key, value)| (key, Some(value))).collect();
                self.ctx.cluster.change_secret(&name, version, &change).await
            }
            None => create_state(self.ctx, &exchange.account, &name, &state).await,
        };
        match written {
            Ok(content) => {
                self.state = Some((state, content.resource_version.clone()));
                self.state_stored = true;
                Written::Done
            }
            Err(ClusterError::Forbidden { .. }) => {
                Written::Refused(RefreshOutcome::TokenSecret(SecretTrouble::WriteForbidden { secret: name }))
            }
            Err(ClusterError::Invalid { .. }) => {
                Written::Refused(RefreshOutcome::TokenSecret(SecretTrouble::Immutable { secret: name }))
            }
            Err(error) => self.look_at_state(error).await,
        }
    }

    /// What the state Secret is to hold: the newest token, and every token that it replaced.
    fn next_state(&self) -> StateSecret {
        let known = self.state.as_ref().or(self.commit.exchange.token.state.as_ref()).map(|(state, _)| state);
        let NewTokens { refresh_token, mark, .. } = self.new;
        StateSecret::next(known, refresh_token.clone(), mark.clone(), self.started_from.clone())
    }

    async fn look_at_state(&mut self, error: ClusterError) -> Written {
        let exchange = &self.commit.exchange;
        let before = exchange.token.state.as_ref().map(|(state, _)| &state.mark.token);
        match load_state(&exchange.namespace, exchange.uid(), self.ctx).await {
            Ok(None) => self.state = None,
            // Our own write, whose answer was lost.
            Ok(Some((found, version))) if found.mark.token == self.newest.as_str() => {
                self.state = Some((found, version));
                self.state_stored = true;
                return Written::Done;
            }
            Ok(Some((found, version))) if Some(&found.mark.token) == before => self.state = Some((found, version)),
            Ok(Some(_)) => return Written::Superseded,
            Err(trouble @ SecretTrouble::NotOurs { .. }) => {
                return Written::Refused(RefreshOutcome::TokenSecret(trouble));
            }
            Err(_) => return Written::NotYet(error),
        }
        again(error)
    }

    /// Stores the tokens in the token Secret.
    pub(super) async fn put_token(&mut self) -> Written {
        let name = self.commit.exchange.secret_name();
        let change = self.change();
        match self.ctx.cluster.change_secret(&name, &self.secret.resource_version, &change).await {
            Ok(content) => {
                self.secret = content;
                Written::Done
            }
            Err(ClusterError::Forbidden { .. }) => refused(SecretTrouble::WriteForbidden { secret: name }),
            Err(ClusterError::Invalid { .. }) => refused(SecretTrouble::Immutable { secret: name }),
            Err(error) => self.look_at_token(&name, error).await,
        }
    }

    async fn look_at_token(&mut self, name: &ObjectName, error: ClusterError) -> Written {
        match self.ctx.cluster.secret(name).await {
            Ok(Some(found)) if !self.holds_ours(&found) => Written::Superseded,
            Ok(Some(found)) if found.labels.get(USE_LABEL).is_none_or(|label| label != SecretUse::Token.as_str()) => {
                refused(SecretTrouble::NotLabelled { secret: name.clone(), wanted: SecretUse::Token.as_str() })
            }
            Ok(Some(_)) if self.is_outrun().await => Written::Superseded,
            Ok(Some(found)) => {
                self.secret = found;
                again(error)
            }
            Ok(None) => refused(SecretTrouble::NotFound { secret: name.clone() }),
            Err(_) => Written::NotYet(error),
        }
    }

    /// Whether a successor has gone on from our tokens: what the token Secret holds was put back since.
    async fn is_outrun(&self) -> bool {
        let exchange = &self.commit.exchange;
        match load_state(&exchange.namespace, exchange.uid(), self.ctx).await {
            Ok(Some((state, _))) => state.mark.number > self.new.mark.number,
            Ok(None) | Err(_) => false,
        }
    }

    /// Whether a Secret still holds the token that the exchange started from, one that this lineage has replaced, or the
    /// new one.
    fn holds_ours(&self, secret: &SecretContent) -> bool {
        let held = secret.data.get(key::REFRESH_TOKEN).and_then(|value| std::str::from_utf8(&value.0).ok());
        let Some(held) = held else { return false };
        let held = TokenDigest::of(self.commit.exchange.uid(), &RefreshToken::new(held.to_owned()));
        let replaced = self.state.as_ref().or(self.commit.exchange.token.state.as_ref());
        held == self.started_from
            || held == self.newest
            || replaced.is_some_and(|(state, _)| state.replaced.contains(&held))
    }

    fn change(&self) -> DataChange {
        let NewTokens { refresh_token, access, mark, .. } = self.new;
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let mut change = BTreeMap::from([
            (key::ACCESS_TOKEN, text(access.token.expose())),
            (key::EXPIRES_AT, text(&format!("{:.0}", access.expires_at))),
        ]);
        // Whoever was paused does not take away the claim of who went on.
        let claim = |secret: &SecretContent| secret.data.get(key::CLAIM).map(|value| value.0.clone());
        if claim(&self.secret) == claim(&self.commit.claimed) {
            change.insert(key::CLAIM, None);
        }
        let stands = text_of(&self.secret.data, key::AUTHORIZED_AT);
        let authorized_at = if self.is_left_over() { mark.authorized_at.clone() } else { stands.clone() };
        if authorized_at != stands {
            change.insert(key::AUTHORIZED_AT, authorized_at.as_deref().and_then(text));
        }
        change.insert(key::LINEAGE, serde_json::to_vec(&LineageMark { authorized_at, ..mark.clone() }).ok());
        let stored = self.secret.data.get(key::REFRESH_TOKEN).map(|value| value.0.as_slice());
        if stored != Some(refresh_token.expose().as_bytes()) {
            change.insert(key::REFRESH_TOKEN, text(refresh_token.expose()));
        }
        if let Some(scope) = self.commit.grant.scope.as_deref().filter(|scope| !scope.is_empty()) {
            change.insert(key::SCOPE, text(scope));
        }
        change
    }

    /// Whether `authorized-at` belongs to another authorization: it would be taken for this one's from now on.
    fn is_left_over(&self) -> bool {
        let uid = self.commit.exchange.uid();
        let Ok(content) = TokenSecret::read(&self.secret.data, uid) else { return false };
        let held = content.digest(uid);
        if held == self.started_from || held == self.newest {
            // A human's new token beside what belonged to the one before.
            return content.authorized_at.is_none() && held == self.started_from;
        }
        // A token that was put back, with what belongs to it.
        let known = self.new.mark.authorized_at.as_deref().and_then(|text| text.parse().ok());
        let beside = content.authorized_at.or(content.authorized_at_left_over);
        beside != known && (known.is_some() || self.new.mark.predecessor.is_some())
    }
}

fn refused(trouble: SecretTrouble) -> Written {
    Written::Refused(RefreshOutcome::TokenSecret(trouble))
}

/// A conflict is tried again at once: waiting would only lose against whoever writes often.
fn again(error: ClusterError) -> Written {
    match error {
        ClusterError::Conflict { .. } | ClusterError::NotFound { .. } => Written::Again,
        error => Written::NotYet(error),
    }
}

async fn create_state(
    ctx: &Context,
    account: &SpotifyAccount,
    name: &ObjectName,
    state: &StateSecret,
) -> Result<SecretContent, ClusterError> {
    let data = state.data().into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect();
    let labels = BTreeMap::from([(USE_LABEL.to_owned(), SecretUse::State.as_str().to_owned())]);
    let owner: OwnerReference = account.controller_owner_ref(&()).unwrap_or_default();
    ctx.cluster.create_owned_secret(name, owner, labels, data).await
}
