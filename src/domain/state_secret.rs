//! The state Secret: the newest refresh token and which tokens it replaced. It exists only after a rotation, or after a
//! human's new token took the place of another one.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;

use super::digest::TokenDigest;
use super::token::RefreshToken;
use super::token_secret::{LineageMark, key};

/// Key of the digests of the tokens that this lineage has replaced, 16 bytes each, oldest first.
pub const REPLACED: &str = "replaced";
/// Rotations every hour for six months; older digests are forgotten.
const MAXIMUM_REPLACED: usize = 4_400;
const DIGEST_CHARACTERS: usize = 32;

/// The content of a state Secret.
#[derive(Clone, Debug)]
pub struct StateSecret {
    /// The newest refresh token.
    pub refresh_token: RefreshToken,
    /// Its place in the lineage.
    pub mark: LineageMark,
    /// Digests of the tokens that were replaced.
    pub replaced: Vec<TokenDigest>,
}

impl StateSecret {
    /// Reads the data; none where it is not what the operator writes.
    pub fn read(data: &BTreeMap<String, ByteString>, account_uid: &str) -> Option<Self> {
        let text = |name: &str| std::str::from_utf8(&data.get(name)?.0).ok();
        let refresh_token = RefreshToken::new(text(key::REFRESH_TOKEN).filter(|token| !token.is_empty())?.to_owned());
        let mark: LineageMark = serde_json::from_str(text(key::LINEAGE)?).ok()?;
        if mark.token != TokenDigest::of(account_uid, &refresh_token).as_str() {
            return None;
        }
        let replaced = text(REPLACED).unwrap_or_default();
        let chunks = replaced.as_bytes().chunks_exact(DIGEST_CHARACTERS);
        let replaced = chunks.filter_map(|chunk| TokenDigest::parse(std::str::from_utf8(chunk).ok()?)).collect();
        Some(Self { refresh_token, mark, replaced })
    }

    /// The data to store.
    pub fn data(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let replaced: String = self.replaced.iter().map(TokenDigest::as_str).collect();
        BTreeMap::from([
            (key::REFRESH_TOKEN, self.refresh_token.expose().as_bytes().to_vec()),
            (key::LINEAGE, serde_json::to_vec(&self.mark).unwrap_or_default()),
            (REPLACED, replaced.into_bytes()),
        ])
    }

    /// What follows on a state Secret, if there was one: another newest token, and every token that it has replaced: the
    /// one its exchange started from, the one that was the newest, the last one of the authorization before.
    pub fn next(
        known: Option<&Self>,
        refresh_token: RefreshToken,
        mark: LineageMark,
        started_from: TokenDigest,
    ) -> Self {
        let newest = mark.token.clone();
        let before = known.map(|known| known.mark.token.as_str());
        let replaced = [before, mark.predecessor.as_deref()].into_iter().flatten().filter_map(TokenDigest::parse);
        let replaced: Vec<TokenDigest> = replaced.chain([started_from]).collect();
        let mut next =
            Self { refresh_token, mark, replaced: known.map(|known| known.replaced.clone()).unwrap_or_default() };
        for digest in replaced {
            next.replace(digest);
        }
        // A human may have gone back to a token that another one had replaced.
        next.replaced.retain(|digest| digest.as_str() != newest);
        next
    }

    fn replace(&mut self, digest: TokenDigest) {
        if !self.replaced.contains(&digest) {
            self.replaced.push(digest);
        }
        let surplus = self.replaced.len().saturating_sub(MAXIMUM_REPLACED);
        self.replaced.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> StateSecret {
        let refresh_token = RefreshToken::new("newest".into());
        let token = TokenDigest::of("uid", &refresh_token).as_str().to_owned();
        let mark = LineageMark {
            number: 3,
            authorization: "a".into(),
            token,
            authorized_at: None,
            predecessor: None,
            account: String::new(),
        };
        StateSecret { refresh_token, mark, replaced: Vec::new() }
    }

    fn stored(state: &StateSecret) -> BTreeMap<String, ByteString> {
        state.data().into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect()
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let mut written = state();
        for number in 0..3 {
            written.replace(TokenDigest::of("uid", &RefreshToken::new(format!("old-{number}"))));
        }
        let read = StateSecret::read(&stored(&written), "uid").unwrap();
        assert_eq!(read.replaced, written.replaced);
        assert_eq!(read.mark, written.mark);
        assert_eq!(read.refresh_token, written.refresh_token);
    }

    #[test]
    fn what_follows_remembers_every_token_that_was_replaced_and_never_the_newest() {
        let digest = |token: &str| TokenDigest::of("uid", &RefreshToken::new(token.into()));
        let mark = |token: &str, predecessor: Option<&str>| LineageMark {
            token: digest(token).as_str().to_owned(),
            predecessor: predecessor.map(|token| digest(token).as_str().to_owned()),
            ..state().mark
        };
        let next = |known: Option<&StateSecret>, token: &str, predecessor: Option<&str>, used: &str| {
            StateSecret::next(known, RefreshToken::new(token.into()), mark(token, predecessor), digest(used))
        };
        let first = next(None, "b", None, "a");
        assert_eq!(first.replaced, [digest("a")]);
        let second = next(Some(&first), "c", None, "b");
        assert_eq!(second.replaced, [digest("a"), digest("b")]);
        // A human's token, which Spotify rotated at once; then one that it did not rotate; then back.
        let human = next(Some(&second), "e", Some("c"), "d");
        assert_eq!(human.replaced, [digest("a"), digest("b"), digest("c"), digest("d")]);
        assert_eq!(next(Some(&second), "d", Some("c"), "d").replaced, [digest("a"), digest("b"), digest("c")]);
        assert_eq!(next(Some(&first), "a", Some("b"), "a").replaced, [digest("b")]);
        assert_eq!(next(None, "d", Some("a"), "d").replaced, [digest("a")]);
    }

    #[test]
    fn what_was_not_written_for_this_account_is_not_read() {
        assert!(StateSecret::read(&stored(&state()), "another uid").is_none());
        assert!(StateSecret::read(&BTreeMap::new(), "uid").is_none());
    }

    #[test]
    fn a_full_state_secret_stays_well_below_the_limit_of_an_object() {
        let mut full = state();
        for number in 0..5_000 {
            full.replace(TokenDigest::of("uid", &RefreshToken::new(format!("old-{number}"))));
        }
        assert_eq!(full.replaced.len(), MAXIMUM_REPLACED);
        assert!(full.data().values().map(Vec::len).sum::<usize>() < 200_000);
    }
}
