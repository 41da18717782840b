//! Keyed hashes of tokens: they recognise a token without holding it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::token::RefreshToken;

/// The first 16 bytes, in hexadecimal, of an HMAC-SHA256 over a refresh token.
///
/// The key is the account's uid, so that one token in two accounts has two digests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// The digest of a refresh token, as this account sees it.
    pub fn of(account_uid: &str, token: &RefreshToken) -> Self {
        Self(hexadecimal(&keyed_hash(account_uid.as_bytes(), &[b"refresh-token", token.expose().as_bytes()])[..16]))
    }

    /// Reads a digest that was stored; anything else than 32 hexadecimal digits is none.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| Self(text.to_owned()))
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// HMAC-SHA256 over parts, each preceded by its length so that parts cannot run into one another.
pub fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = authenticator(key);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA256 over one message, as RFC 2104 has it.
pub fn message_authentication_code(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = authenticator(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether a code is that of a message. Takes the same time whatever is wrong with it.
pub fn is_message_authentication_code(key: &[u8], message: &[u8], code: &[u8]) -> bool {
    let mut mac = authenticator(key);
    mac.update(message);
    mac.verify_slice(code).is_ok()
}

fn authenticator(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length; the other arm cannot be reached and keeps the code free of panics.
    Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()))
}

/// Lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_authentication_code_matches_rfc_4231_test_case_2() {
        let code = message_authentication_code(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hexadecimal(&code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn digests_differ_by_account_and_by_token() {
        let token = RefreshToken::new("AQA-token".to_owned());
        let other = RefreshToken::new("AQA-other".to_owned());
        assert_eq!(TokenDigest::of("uid-1", &token), TokenDigest::of("uid-1", &token));
        assert_ne!(TokenDigest::of("uid-1", &token), TokenDigest::of("uid-2", &token));
        assert_ne!(TokenDigest::of("uid-1", &token), TokenDigest::of("uid-1", &other));
    }

    #[test]
    fn parts_cannot_run_into_one_another() {
        assert_ne!(keyed_hash(b"k", &[b"ab", b"c"]), keyed_hash(b"k", &[b"a", b"bc"]));
    }

    #[test]
    fn stored_digests_are_checked() {
        let digest = TokenDigest::of("uid", &RefreshToken::new("t".to_owned()));
        assert_eq!(TokenDigest::parse(digest.as_str()), Some(digest));
        assert_eq!(TokenDigest::parse("short"), None);
        assert_eq!(TokenDigest::parse(&"z".repeat(32)), None);
    }
}
