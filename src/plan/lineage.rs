//! Which refresh token is the newest one: the one in the token Secret, or the one in the state Secret; and whether an
//! exchange of it may have been cut off. The states in full: `docs/tokens.md`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::observed::{Interruption, TokenView};
use super::token::{UNVERIFIED, known_authorization};
use super::trace::{Known, Trace};
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{FailureType, SpotifyAccount};
use crate::domain::digest::TokenDigest;
use crate::domain::state_secret::StateSecret;
use crate::domain::token::{Access, RefreshToken};
use crate::domain::token_secret::{Claim, LineageMark, TokenSecret};

/// How the token Secret stands to the lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the newest token.
    Newest,
    /// It holds a token that the lineage does not know, a human's: that one is the newest once it was exchanged.
    New,
    /// It holds the token before the newest, under the claim of the exchange that replaced it: the commit ended between
    /// its two Secrets.
    HalfCommitted,
    /// It holds a token that has been replaced: somebody put it back.
    PutBack,
}

/// The token that is in use.
#[derive(Clone, Debug)]
pub struct TokenInUse {
    /// The refresh token.
    pub refresh_token: RefreshToken,
    /// The access token that belongs to it, if one is stored.
    pub access: Option<Access>,
    /// What is known of it besides.
    pub view: TokenView,
    /// Its place in the lineage, as it will be marked.
    pub mark: LineageMark,
    /// How the token Secret stands to it.
    pub standing: Standing,
    /// Whether the state Secret is as it has to be: it names this token, or need not exist.
    pub recorded: bool,
    /// The open claim, on whichever token.
    pub claim: Option<Claim>,
}

/// Decides which token is in use.
///
/// A token that this lineage has replaced is never used again. A token that the lineage does not know is a human's new
/// one: it begins another authorization, and the lineage goes on. `trace` is what this process knows by itself.
pub fn in_use(secret: TokenSecret, state: Option<&StateSecret>, account: &SpotifyAccount, trace: &Trace) -> TokenInUse {
    let digest = secret.digest(account.metadata.uid.as_deref().unwrap_or_default());
    let claim = secret.claim.clone().filter(|claim| trace.void.as_ref() != Some(&claim.id));
    let standing = standing(&secret, &digest, state, claim.as_ref(), account);
    let is_elsewhere = matches!(standing, Standing::HalfCommitted | Standing::PutBack);
    let (refresh_token, mark) = match state {
        Some(state) if is_elsewhere => (state.refresh_token.clone(), state.mark.clone()),
        Some(state) if state.mark.token == digest.as_str() => (secret.refresh_token.clone(), state.mark.clone()),
        _ => {
            let mark = secret.lineage.clone().unwrap_or_else(|| first_mark(&secret, &digest, state, account));
            (secret.refresh_token.clone(), mark)
        }
    };
    let recorded = state.map_or(mark.predecessor.is_none(), |state| state.mark.token == mark.token);
    let (interrupted, claim) = interruption(&secret, state, account, trace, claim, &mark, standing);
    let access = secret.access.filter(|_| !is_elsewhere);
    let authorized_at = match standing {
        Standing::PutBack => {
            let known = mark.authorized_at.as_deref().and_then(|text| text.parse().ok());
            // What stands beside a token of an earlier authorization is about that one.
            let beside = secret.authorized_at.or(secret.authorized_at_left_over);
            known.or(beside.filter(|_| mark.predecessor.is_none()))
        }
        Standing::HalfCommitted => secret.authorized_at.or(secret.authorized_at_left_over),
        Standing::Newest | Standing::New => secret.authorized_at,
    };
    let view = TokenView {
        expires_at: access.as_ref().map(|access| access.expires_at),
        authorization_id: mark.authorization.clone(),
        token_id: mark.token.clone(),
        authorized_at,
        flow: secret.flow,
        scopes: scopes(secret.scope.as_deref()),
        interrupted,
        refused: false,
        put_back: standing == Standing::PutBack,
    };
    TokenInUse { refresh_token, access, view, mark, standing, recorded, claim }
}

/// How the token Secret stands to what is known of the lineage.
fn standing(
    secret: &TokenSecret,
    digest: &TokenDigest,
    state: Option<&StateSecret>,
    claim: Option<&Claim>,
    account: &SpotifyAccount,
) -> Standing {
    let marked = secret.lineage.as_ref();
    let Some(state) = state else {
        let is_new = marked.is_none() && predecessor(secret, digest, None, account).is_some();
        return if is_new { Standing::New } else { Standing::Newest };
    };
    if state.mark.token == digest.as_str() {
        return Standing::Newest;
    }
    if is_correction(digest, state, account) {
        return Standing::New;
    }
    // The copy with the higher number is the newer one: the state Secret could not be written then.
    let is_older = marked.is_some_and(|mark| mark.number <= state.mark.number);
    match (state.replaced.contains(digest) || is_older, claim) {
        (true, Some(claim)) if claim.token == digest.as_str() => Standing::HalfCommitted,
        (true, _) => Standing::PutBack,
        (false, _) if marked.is_some() => Standing::Newest,
        (false, _) => Standing::New,
    }
}

/// Whether a human goes back to the token before, because the new one is of no use: somebody else's, for example.
fn is_correction(digest: &TokenDigest, state: &StateSecret, account: &SpotifyAccount) -> bool {
    let refused = format!("{UNVERIFIED}{}", state.mark.authorization);
    state.mark.predecessor.as_deref() == Some(digest.as_str())
        && authorization_id(account) == Some(&refused)
        && authorized(account).is_some_and(|known| known.status == "False" && is_of_no_use(&known.reason))
}

fn is_of_no_use(reason: &str) -> bool {
    matches!(Reason::from_name(reason), Some(Reason::ListenerMismatch | Reason::ScopeInsufficient))
}

/// The newest token of the authorization before that of a token which the lineage does not know.
fn predecessor(
    secret: &TokenSecret,
    digest: &TokenDigest,
    state: Option<&StateSecret>,
    account: &SpotifyAccount,
) -> Option<String> {
    let left_over = secret.left_over.as_ref().map(|mark| &mark.token);
    // Without a state Secret no token was replaced: an authorization is named after the token that it still has.
    let verified = authorization_id(account).filter(|id| !id.starts_with(UNVERIFIED));
    let before = state.map(|state| &state.mark.token).or(left_over).or(verified);
    before.filter(|before| *before != digest.as_str()).cloned()
}

/// The mark of a token that has none: the first one of its authorization.
fn first_mark(
    secret: &TokenSecret,
    digest: &TokenDigest,
    state: Option<&StateSecret>,
    account: &SpotifyAccount,
) -> LineageMark {
    let predecessor = predecessor(secret, digest, state, account);
    let before = state.map(|state| &state.mark).or(secret.left_over.as_ref()).map_or(0, |mark| mark.number);
    LineageMark {
        number: if predecessor.is_some() { before.saturating_add(1) } else { 0 },
        authorization: digest.as_str().to_owned(),
        token: digest.as_str().to_owned(),
        authorized_at: None,
        predecessor,
        account: account.metadata.uid.clone().unwrap_or_default(),
    }
}

/// Whether an exchange of the token in use may have been cut off, and the claim that tells.
///
/// An open claim tells. Where something has wiped the operator's keys, a claim may have been among them: then it is
/// told by what this process knows, and else by what the operator is known to have done with this token before.
fn interruption(
    secret: &TokenSecret,
    state: Option<&StateSecret>,
    account: &SpotifyAccount,
    trace: &Trace,
    claim: Option<Claim>,
    mark: &LineageMark,
    standing: Standing,
) -> (Option<Interruption>, Option<Claim>) {
    if let Some(claim) = claim {
        let open = (claim.token == mark.token).then_some(Interruption::Claimed { time: claim.claimed_time });
        return (open, Some(claim));
    }
    let names_it = |beside: &Option<LineageMark>| beside.as_ref().is_some_and(|beside| beside.token == mark.token);
    let is_marked = names_it(&secret.lineage) || names_it(&secret.left_over);
    // A claim under which nothing is open may have taken the place of one under which something is.
    let is_void = secret.claim.is_some();
    match &trace.known {
        Known::Claimed(claim) if claim.token == mark.token && (is_void || !is_marked) => {
            (Some(Interruption::Claimed { time: claim.claimed_time }), Some(claim.clone()))
        }
        Known::Untouched => (None, None),
        Known::Settled { token } if *token == mark.token => (None, None),
        _ if is_marked || standing == Standing::New => (None, None),
        _ => (was_in_use(account, state.is_some(), mark).then_some(Interruption::Wiped), None),
    }
}

/// Whether some operator may have exchanged this token before, so that its keys were there.
fn was_in_use(account: &SpotifyAccount, has_state: bool, mark: &LineageMark) -> bool {
    let Some(status) = &account.status else { return has_state };
    let same = known_authorization(status) == Some(mark.authorization.as_str());
    match authorized(account) {
        // Spotify's word was heard, under a claim that was released.
        Some(condition) if same && is_refused(&condition.reason) => false,
        // The first exchange of all: begun by an operator that did not come to tell, or without a clear answer.
        Some(condition) if condition.status == "Unknown" && authorization_id(account).is_none() => {
            let first_pass =
                find_condition(&status.conditions, ConditionType::Ready).is_some_and(|ready| ready.status == "Unknown");
            let unclear = status.failures.as_ref().and_then(|failures| failures.last_type);
            has_state || first_pass || matches!(unclear, Some(FailureType::Network | FailureType::Upstream))
        }
        _ => has_state || same,
    }
}

fn is_refused(reason: &str) -> bool {
    matches!(Reason::from_name(reason), Some(Reason::AuthorizationRevoked | Reason::AuthorizationExpired))
}

fn authorization_id(account: &SpotifyAccount) -> Option<&String> {
    account.status.as_ref()?.authorization.as_ref()?.authorization_id.as_ref()
}

fn authorized(account: &SpotifyAccount) -> Option<&Condition> {
    find_condition(&account.status.as_ref()?.conditions, ConditionType::Authorized)
}

/// The lineage after a refresh: one step further where the token was replaced.
pub fn after_refresh(before: &TokenInUse, rotated: Option<&RefreshToken>, account_uid: &str) -> LineageMark {
    let authorized_at = before.view.authorized_at.map(|time| time.to_string());
    let mark = LineageMark { authorized_at, account: account_uid.to_owned(), ..before.mark.clone() };
    match rotated {
        None => mark,
        Some(token) => LineageMark {
            number: mark.number.saturating_add(1),
            token: TokenDigest::of(account_uid, token).as_str().to_owned(),
            ..mark
        },
    }
}

/// Scopes as RFC 6749 section 3.3 writes them; what the schema of the status would refuse is left out.
pub fn scopes(text: Option<&str>) -> Vec<String> {
    let mut scopes: Vec<String> = text
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter(|scope| scope.len() <= 64 && scope.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes.truncate(32);
    scopes
}
