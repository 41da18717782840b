//! Which refresh token is the newest one: the one in the token Secret, or the one in the state Secret.

use super::observed::TokenView;
use crate::domain::digest::TokenDigest;
use crate::domain::state_secret::StateSecret;
use crate::domain::token::{Access, RefreshToken};
use crate::domain::token_secret::{LineageMark, TokenSecret};

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
    /// The token Secret holds a token that this lineage has replaced: somebody put it back.
    pub put_back: bool,
}

/// Decides which token is in use.
///
/// A token that this lineage has replaced is never used again. A token that the lineage does not know is a human's new
/// one, and begins another lineage.
pub fn in_use(secret: TokenSecret, state: Option<&StateSecret>, account_uid: &str) -> TokenInUse {
    let digest = secret.digest(account_uid);
    let newer = state.filter(|state| state.replaced.contains(&digest));
    // A commit that ended between its two Secrets looks the same, but for its claim.
    let half_committed = secret.claim.as_ref().is_some_and(|claim| claim.token == digest.as_str());
    let replaced = newer.is_some();
    let (refresh_token, mark) = match (newer, state) {
        (Some(state), _) => (state.refresh_token.clone(), state.mark.clone()),
        (None, Some(state)) if state.mark.token == digest.as_str() => {
            (secret.refresh_token.clone(), state.mark.clone())
        }
        (None, _) => {
            let known = secret.lineage.clone();
            let fresh = || LineageMark {
                number: 0,
                authorization: digest.as_str().to_owned(),
                token: digest.as_str().to_owned(),
                authorized_at: None,
            };
            (secret.refresh_token.clone(), known.unwrap_or_else(fresh))
        }
    };
    let interrupted = secret.claim.as_ref().filter(|claim| claim.token == mark.token).map(|claim| claim.claimed_time);
    let access = if replaced { None } else { secret.access };
    let authorized_at = secret.authorized_at.or(secret.authorized_at_left_over.filter(|_| replaced));
    let view = TokenView {
        expires_at: access.as_ref().map(|access| access.expires_at),
        authorization_id: mark.authorization.clone(),
        token_id: mark.token.clone(),
        authorized_at,
        flow: secret.flow,
        scopes: scopes(secret.scope.as_deref()),
        interrupted,
        refused: false,
    };
    TokenInUse { refresh_token, access, view, mark, put_back: replaced && !half_committed }
}

/// The lineage after a refresh: one step further where the token was replaced.
pub fn after_refresh(mark: &LineageMark, rotated: Option<&RefreshToken>, account_uid: &str) -> LineageMark {
    match rotated {
        None => mark.clone(),
        Some(token) => LineageMark {
            number: mark.number.saturating_add(1),
            token: TokenDigest::of(account_uid, token).as_str().to_owned(),
            ..mark.clone()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    const UID: &str = "uid";

    fn secret(token: &str) -> TokenSecret {
        let data = BTreeMap::from([("refresh-token".to_owned(), ByteString(token.as_bytes().to_vec()))]);
        TokenSecret::read(&data, UID).unwrap()
    }

    fn digest(token: &str) -> TokenDigest {
        TokenDigest::of(UID, &RefreshToken::new(token.into()))
    }

    fn state(newest: &str, replaced: &[&str]) -> StateSecret {
        let mark = LineageMark {
            number: 7,
            authorization: "first".into(),
            token: digest(newest).as_str().to_owned(),
            authorized_at: None,
        };
        let replaced = replaced.iter().map(|token| digest(token)).collect();
        StateSecret { refresh_token: RefreshToken::new(newest.into()), mark, replaced }
    }

    #[test]
    fn the_newest_token_is_in_use() {
        let state = state("b", &["a"]);
        for (in_secret, used, authorization, put_back) in
            [("a", "b", "first", true), ("b", "b", "first", false), ("c", "c", digest("c").as_str(), false)]
        {
            let token = in_use(secret(in_secret), Some(&state), UID);
            assert_eq!(token.refresh_token.expose(), used, "{in_secret}");
            assert_eq!(token.view.authorization_id, authorization, "{in_secret}");
            assert_eq!(token.put_back, put_back, "{in_secret}");
        }
    }

    #[test]
    fn a_commit_that_ended_between_its_secrets_is_not_a_token_put_back() {
        let claim = format!(
            r#"{{"holder":"h","id":"i","claimedTime":"2026-11-23T10:00:00Z","deadlineTime":"2026-11-23T10:00:05Z","token":"{}"}}"#,
            digest("a").as_str()
        );
        let data = BTreeMap::from([
            ("refresh-token".to_owned(), ByteString(b"a".to_vec())),
            (crate::domain::token_secret::key::CLAIM.to_owned(), ByteString(claim.into_bytes())),
        ]);
        let token = in_use(TokenSecret::read(&data, UID).unwrap(), Some(&state("b", &["a"])), UID);
        assert_eq!(token.refresh_token.expose(), "b");
        assert!(!token.put_back);
        assert_eq!(token.view.interrupted, None, "nothing was lost");
    }

    #[test]
    fn without_a_rotation_the_same_token_names_the_same_authorization_whatever_was_wiped() {
        let once = in_use(secret("a"), None, UID);
        let again = in_use(secret("a"), None, UID);
        assert_eq!(once.view.authorization_id, again.view.authorization_id);
        assert_ne!(once.view.authorization_id, in_use(secret("z"), None, UID).view.authorization_id);
    }

    #[test]
    fn a_rotation_is_one_step_of_the_same_authorization() {
        let before = in_use(secret("a"), None, UID).mark;
        let after = after_refresh(&before, Some(&RefreshToken::new("b".into())), UID);
        assert_eq!(after.number, 1);
        assert_eq!(after.authorization, before.authorization);
        assert_eq!(after.token, digest("b").as_str());
        assert_eq!(after_refresh(&before, None, UID), before);
    }

    #[test]
    fn odd_scopes_are_left_out() {
        let long = "x".repeat(65);
        assert_eq!(scopes(Some(&format!("b a {long} a é"))), ["a", "b"]);
        assert!(scopes(None).is_empty());
    }
}
