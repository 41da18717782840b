//! The token Secret: what its keys hold, and how they are checked before any use.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use serde::{Deserialize, Serialize};

use super::digest::TokenDigest;
use super::token::{Access, AccessToken, Flow, RefreshToken};

/// Keys of the token Secret. The first six are the public contract; the others are the operator's own.
pub mod key {
    /// The refresh token: the only key a human must give.
    pub const REFRESH_TOKEN: &str = "refresh-token";
    /// The access token of the last refresh.
    pub const ACCESS_TOKEN: &str = "access-token";
    /// When the access token ends (RFC 3339).
    pub const EXPIRES_AT: &str = "expires-at";
    /// The granted scopes, separated by spaces.
    pub const SCOPE: &str = "scope";
    /// When the listener authorized the app (RFC 3339).
    pub const AUTHORIZED_AT: &str = "authorized-at";
    /// `confidential` or `pkce`.
    pub const FLOW: &str = "flow";
    /// The open claim: who is exchanging a token, which one, and until when it may be sent.
    pub const CLAIM: &str = "scrobble-operator.claim";
    /// Which refresh token the other keys belong to, and its place in the lineage.
    pub const LINEAGE: &str = "scrobble-operator.lineage";
}

/// The most bytes a token may have. Spotify's are a few hundred; RFC 6749 sets no bound.
pub const MAXIMUM_TOKEN_BYTES: usize = 16 * 1024;
/// The most bytes any other key may have.
const MAXIMUM_TEXT_BYTES: usize = 4 * 1024;

/// What is wrong with a Secret's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentProblem {
    /// A key is not there.
    KeyMissing {
        /// The key.
        key: String,
    },
    /// A key's value cannot be used.
    Invalid {
        /// The key.
        key: String,
        /// What is wrong with the value, without the value.
        problem: String,
    },
}

/// Which refresh token the operator's own keys belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineageMark {
    /// How many tokens of this lineage came before, by rotation or by a human's new one; the copy with the higher number
    /// is the newer.
    pub number: u64,
    /// Names the authorization: the digest of its first refresh token.
    pub authorization: String,
    /// Digest of the refresh token beside which this mark was written.
    pub token: String,
    /// The text of `authorized-at` when this mark was written: beside another token, another text is that token's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_at: Option<String>,
    /// Digest of the newest token of the authorization before this one, which a human's new token has replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    /// The uid of the account whose lineage it is: digests are keyed by it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
}

/// An open claim: somebody is exchanging the token, or was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The process that claimed, unique for each start.
    pub holder: String,
    /// Unique for each claim.
    pub id: String,
    /// When it was claimed (real time).
    pub claimed_time: Timestamp,
    /// The holder does not send after this (real time).
    pub deadline_time: Timestamp,
    /// Digest of the refresh token that is being exchanged.
    pub token: String,
    /// The uid of the account that it is exchanged for: the digest is keyed by it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
}

/// The checked content of a token Secret.
#[derive(Clone, Debug)]
pub struct TokenSecret {
    /// The refresh token in the Secret.
    pub refresh_token: RefreshToken,
    /// The access token and its end, if both are there and belong to this refresh token.
    pub access: Option<Access>,
    /// The granted scopes, if the Secret names them and they belong to this refresh token.
    pub scope: Option<String>,
    /// When the listener authorized the app, if whoever wrote the Secret said so.
    pub authorized_at: Option<Timestamp>,
    /// `authorized-at` where it was left over from another refresh token.
    pub authorized_at_left_over: Option<Timestamp>,
    /// How the token was obtained, if said.
    pub flow: Option<Flow>,
    /// The mark beside the token, if it belongs to this refresh token.
    pub lineage: Option<LineageMark>,
    /// The mark beside the token, if it belongs to another refresh token.
    pub left_over: Option<LineageMark>,
    /// An open claim on any token of this Secret.
    pub claim: Option<Claim>,
}

impl TokenSecret {
    /// Reads and checks the data of a token Secret for the account with this uid.
    ///
    /// Keys left over from another refresh token, recognised by the lineage mark, are ignored. What an account that is
    /// gone has left beside this token is kept; its place in that account's lineage is not.
    ///
    /// # Errors
    /// The first problem found, by key.
    pub fn read(data: &BTreeMap<String, ByteString>, account_uid: &str) -> Result<Self, ContentProblem> {
        let refresh_token = RefreshToken::new(required_token(data, key::REFRESH_TOKEN)?);
        let digest = TokenDigest::of(account_uid, &refresh_token);
        let mark: Option<LineageMark> = own_record(data, key::LINEAGE);
        // What was written before owners were noted is this account's own.
        let is_own = |owner: &str| owner.is_empty() || owner == account_uid;
        let beside = |owner: &str, token: &str| {
            let theirs = (!is_own(owner)).then(|| TokenDigest::of(owner, &refresh_token));
            theirs.as_ref().unwrap_or(&digest).as_str() == token
        };
        let left_over = mark.as_ref().is_some_and(|mark| !beside(&mark.account, &mark.token));
        let (access, scope) = if left_over { (None, None) } else { (access(data)?, text(data, key::SCOPE)?) };
        let authorized_at_is_old =
            left_over && mark.as_ref().and_then(|mark| mark.authorized_at.clone()) == text_of(data, key::AUTHORIZED_AT);
        let (authorized_at, authorized_at_left_over) = match time(data, key::AUTHORIZED_AT) {
            Ok(time) if authorized_at_is_old => (None, time),
            Err(_) if authorized_at_is_old => (None, None),
            time => (time?, None),
        };
        let flow = match text(data, key::FLOW)? {
            None => None,
            Some(word) => {
                Some(Flow::parse(&word).ok_or_else(|| invalid(key::FLOW, "it must be `confidential` or `pkce`"))?)
            }
        };
        let claim = own_record(data, key::CLAIM).map(|claim: Claim| {
            let ours = beside(&claim.account, &claim.token);
            if ours { Claim { token: digest.as_str().to_owned(), ..claim } } else { claim }
        });
        let mark = mark.filter(|mark| is_own(&mark.account));
        let (left_over, lineage) = if left_over { (mark, None) } else { (None, mark) };
        Ok(Self {
            refresh_token,
            access,
            scope,
            authorized_at,
            authorized_at_left_over,
            flow,
            lineage,
            left_over,
            claim,
        })
    }

    /// The digest of the refresh token in the Secret.
    pub fn digest(&self, account_uid: &str) -> TokenDigest {
        TokenDigest::of(account_uid, &self.refresh_token)
    }
}

/// The text of a key as it stands, without spaces around it; none where it is missing or no text.
pub fn text_of(data: &BTreeMap<String, ByteString>, key: &str) -> Option<String> {
    data.get(key).and_then(|value| std::str::from_utf8(&value.0).ok()).map(|text| text.trim().to_owned())
}

/// Reads one value that is sent as a credential: a client secret, an API key, a signing key.
///
/// # Errors
/// The key is missing, or its value is empty, too long, or holds control characters or text that is not ASCII.
pub fn credential(data: &BTreeMap<String, ByteString>, key: &str) -> Result<String, ContentProblem> {
    required_token(data, key)
}

fn required_token(data: &BTreeMap<String, ByteString>, key: &str) -> Result<String, ContentProblem> {
    let value = data.get(key).ok_or_else(|| ContentProblem::KeyMissing { key: key.to_owned() })?;
    token_text(&value.0, key)
}

/// RFC 6749 appendix A.12 and A.17: tokens are made of visible ASCII characters.
fn token_text(bytes: &[u8], key: &str) -> Result<String, ContentProblem> {
    if bytes.is_empty() {
        return Err(invalid(key, "it is empty"));
    }
    if bytes.len() > MAXIMUM_TOKEN_BYTES {
        return Err(invalid(key, &format!("it has {} bytes; at most {MAXIMUM_TOKEN_BYTES} are accepted", bytes.len())));
    }
    if bytes.last().is_some_and(|last| *last == b'\n' || *last == b'\r') {
        return Err(invalid(key, "it ends with a line break; write it without one (`printf %s`, `--from-literal`)"));
    }
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(invalid(key, "it holds control characters"));
    }
    match std::str::from_utf8(bytes) {
        Ok(value) if value.is_ascii() && !value.trim().is_empty() => Ok(value.to_owned()),
        _ => Err(invalid(key, "it must be plain ASCII text")),
    }
}

fn access(data: &BTreeMap<String, ByteString>) -> Result<Option<Access>, ContentProblem> {
    let expires_at = time(data, key::EXPIRES_AT)?;
    let Some(bytes) = data.get(key::ACCESS_TOKEN) else { return Ok(None) };
    let token = AccessToken::new(token_text(&bytes.0, key::ACCESS_TOKEN)?);
    Ok(expires_at.map(|expires_at| Access { token, expires_at }))
}

fn time(data: &BTreeMap<String, ByteString>, key: &str) -> Result<Option<Timestamp>, ContentProblem> {
    let Some(value) = text(data, key)? else { return Ok(None) };
    let parsed = value.parse::<Timestamp>().ok().filter(|time| within_years(*time));
    parsed.map(Some).ok_or_else(|| {
        invalid(key, "it must be an RFC 3339 time such as 2026-11-23T10:00:00Z; correct it or remove the key")
    })
}

/// Times outside the Web's own century would overflow the arithmetic that follows.
fn within_years(time: Timestamp) -> bool {
    let century = SignedDuration::from_hours(24 * 365 * 100);
    time.as_second() >= 0 && time.duration_since(Timestamp::UNIX_EPOCH) < century * 2
}

fn text(data: &BTreeMap<String, ByteString>, key: &str) -> Result<Option<String>, ContentProblem> {
    let Some(value) = data.get(key) else { return Ok(None) };
    if value.0.len() > MAXIMUM_TEXT_BYTES {
        return Err(invalid(
            key,
            &format!("it has {} bytes; at most {MAXIMUM_TEXT_BYTES} are accepted", value.0.len()),
        ));
    }
    let value = std::str::from_utf8(&value.0).map_err(|_| invalid(key, "it must be plain ASCII text"))?;
    let value = value.trim();
    if value.chars().any(char::is_control) {
        return Err(invalid(key, "it holds control characters"));
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// The operator's own keys: whatever cannot be read counts as absent, so that no edit can stop the account.
fn own_record<T: serde::de::DeserializeOwned>(data: &BTreeMap<String, ByteString>, key: &str) -> Option<T> {
    data.get(key)
        .filter(|value| value.0.len() <= MAXIMUM_TEXT_BYTES)
        .and_then(|value| serde_json::from_slice(&value.0).ok())
}

fn invalid(key: &str, problem: &str) -> ContentProblem {
    ContentProblem::Invalid { key: key.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
