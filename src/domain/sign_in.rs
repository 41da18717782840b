//! Words of a sign-in: what a listener is asked for, and what comes back with the answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::digest::{is_message_authentication_code, message_authentication_code};

/// The one scope that reading plays needs (Web API reference, "Get Recently Played Tracks").
pub const SCOPE: &str = "user-read-recently-played";

/// Ties an answer to the sign-in that it answers, and that to one account (RFC 6749 section 10.12).
///
/// The text is an HMAC-SHA256 over the account's uid under a key that one sign-in alone has: nobody can guess it, and it
/// is worth nothing for another sign-in or another account.
#[derive(Clone)]
pub struct State {
    key: [u8; 32],
    account_uid: String,
}

impl State {
    /// The state of one sign-in for the account with this uid. `key` is random, and used for nothing else.
    pub fn new(key: [u8; 32], account_uid: impl Into<String>) -> Self {
        Self { key, account_uid: account_uid.into() }
    }

    /// The text that goes out and has to come back: 43 characters that need no escape in a URL.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(message_authentication_code(&self.key, self.account_uid.as_bytes()))
    }

    /// Whether this text is the one that went out. Compared in constant time.
    pub fn matches(&self, text: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|code| is_message_authentication_code(&self.key, self.account_uid.as_bytes(), &code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_belongs_to_one_sign_in_and_one_account() {
        let state = State::new([7; 32], "uid-1");
        assert!(state.matches(&state.text()));
        assert_eq!(state.text().len(), 43);
        for other in [State::new([8; 32], "uid-1"), State::new([7; 32], "uid-2")] {
            assert!(!state.matches(&other.text()));
        }
        let text = state.text();
        for wrong in ["", "?", &text[..42], &format!("{text}A"), &text.to_uppercase()] {
            assert!(!state.matches(wrong), "{wrong}");
        }
    }
}
