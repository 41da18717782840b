//! One sign-in: which answer is its own, and that it is answered once and in time.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::SIGN_IN_LIFE;
use super::refusal::{Refusal, SpotifyError};
use crate::domain::sign_in::State;

/// A code is about 150 characters long; nothing that is a code comes near this.
const MAXIMUM_CODE_BYTES: usize = 4 * 1024;

/// A sign-in that waits for its answer.
pub struct Attempt {
    state: State,
    began: Timestamp,
    answered: bool,
}

/// What a request to the redirect URI carries (RFC 6749 sections 4.1.2 and 4.1.2.1).
#[derive(Debug, Default)]
pub struct Callback {
    state: Option<String>,
    code: Option<SecretString>,
    error: Option<String>,
    /// A parameter came twice, which RFC 6749 section 3.1 forbids.
    ambiguous: bool,
}

/// What a request to the redirect URI is.
#[derive(Debug)]
pub enum Verdict {
    /// The answer: the code to exchange.
    Accepted(SecretString),
    /// The answer, and the sign-in has ended without a code.
    Ended(Refusal),
    /// Not the answer: the sign-in goes on as if nothing had come.
    Stray(Refusal),
}

impl Attempt {
    /// A sign-in that begins now.
    pub fn new(state: State, began: Timestamp) -> Self {
        Self { state, began, answered: false }
    }

    /// Judges a request to the redirect URI, and remembers it where it is the answer.
    pub fn judge(&mut self, callback: Callback, now: Timestamp) -> Verdict {
        let own = callback.state.as_deref().is_some_and(|state| self.state.matches(state));
        if callback.ambiguous || !own {
            return Verdict::Stray(Refusal::ForeignState);
        }
        if std::mem::replace(&mut self.answered, true) {
            return Verdict::Stray(Refusal::AlreadyAnswered);
        }
        // A clock that was set back makes no sign-in younger than it is.
        if now.duration_since(self.began) >= SIGN_IN_LIFE || now < self.began {
            return Verdict::Ended(Refusal::TooLate);
        }
        match (callback.error.as_deref(), callback.code) {
            (Some("access_denied"), _) => Verdict::Ended(Refusal::Denied),
            (Some(error), _) => Verdict::Ended(Refusal::Spotify(SpotifyError::from_word(error))),
            (None, Some(code)) if is_usable(&code) => Verdict::Accepted(code),
            (None, _) => Verdict::Ended(Refusal::NoCode),
        }
    }
}

/// RFC 6749 appendix A.11: codes are made of visible ASCII characters.
fn is_usable(code: &SecretString) -> bool {
    let code = code.expose_secret();
    !code.is_empty() && code.len() <= MAXIMUM_CODE_BYTES && code.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Callback {
    /// Reads the query of a request to the redirect URI.
    pub fn parse(query: &str) -> Self {
        let mut callback = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let again = match name.as_ref() {
                "state" => callback.state.replace(value.into_owned()).is_some(),
                "code" => callback.code.replace(SecretString::from(value.into_owned())).is_some(),
                "error" => callback.error.replace(value.into_owned()).is_some(),
                _ => false,
            };
            callback.ambiguous |= again;
        }
        callback
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const BEGAN: &str = "2026-11-23T10:00:00Z";

    fn attempt() -> Attempt {
        Attempt::new(State::new([7; 32], "uid"), BEGAN.parse().unwrap())
    }

    fn state() -> String {
        State::new([7; 32], "uid").text()
    }

    fn after(seconds: i64) -> Timestamp {
        BEGAN.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    fn judge(attempt: &mut Attempt, query: &str, seconds: i64) -> String {
        match attempt.judge(Callback::parse(query), after(seconds)) {
            Verdict::Accepted(code) => format!("accepted {}", code.expose_secret()),
            Verdict::Ended(refusal) => format!("ended {refusal:?}"),
            Verdict::Stray(refusal) => format!("stray {refusal:?}"),
        }
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let state = state();
        let long = "x".repeat(MAXIMUM_CODE_BYTES + 1);
        for (query, seconds, expected) in [
            (format!("code=abc&state={state}"), 0, "accepted abc"),
            (format!("state={state}&code=a%2Fb&other=1"), 299, "accepted a/b"),
            (format!("code=abc&state={state}"), 300, "ended TooLate"),
            (format!("code=abc&state={state}"), 86_400, "ended TooLate"),
            (format!("code=abc&state={state}"), -1, "ended TooLate"),
            (format!("error=access_denied&state={state}"), 1, "ended Denied"),
            (format!("error=access_denied&code=abc&state={state}"), 1, "ended Denied"),
            (format!("error=server_error&state={state}"), 1, "ended Spotify(ServerError)"),
            (format!("error=%3Cscript%3E&state={state}"), 1, "ended Spotify(Other)"),
            (format!("state={state}"), 1, "ended NoCode"),
            (format!("code=&state={state}"), 1, "ended NoCode"),
            (format!("code=a%0Ab&state={state}"), 1, "ended NoCode"),
            (format!("code={long}&state={state}"), 1, "ended NoCode"),
            ("code=abc".to_owned(), 1, "stray ForeignState"),
            ("code=abc&state=".to_owned(), 1, "stray ForeignState"),
            (format!("code=abc&state={}x", &state[..42]), 1, "stray ForeignState"),
            ("error=access_denied&state=wrong".to_owned(), 1, "stray ForeignState"),
            ("error=access_denied".to_owned(), 1, "stray ForeignState"),
            (format!("code=abc&state={state}&state={state}"), 1, "stray ForeignState"),
            (format!("code=abc&code=abd&state={state}"), 1, "stray ForeignState"),
            (String::new(), 1, "stray ForeignState"),
        ] {
            assert_eq!(judge(&mut attempt(), &query, seconds), expected, "{query} after {seconds} s");
        }
    }

    #[test]
    fn a_sign_in_is_answered_once() {
        for first in ["code=abc", "error=access_denied", "error=server_error", "x=1"] {
            let mut attempt = attempt();
            let state = state();
            assert!(!judge(&mut attempt, &format!("{first}&state={state}"), 1).starts_with("stray"));
            for second in ["code=abc", "code=other", "error=access_denied"] {
                let query = format!("{second}&state={state}");
                assert_eq!(judge(&mut attempt, &query, 2), "stray AlreadyAnswered", "{first}, then {second}");
            }
        }
    }

    #[test]
    fn strays_leave_the_sign_in_as_it_is() {
        let mut attempt = attempt();
        for _ in 0..3 {
            assert_eq!(judge(&mut attempt, "code=evil&state=guess", 1), "stray ForeignState");
        }
        assert_eq!(judge(&mut attempt, &format!("code=abc&state={}", state()), 2), "accepted abc");
    }

    #[test]
    fn another_accounts_state_is_foreign() {
        let other = State::new([7; 32], "another uid").text();
        assert_eq!(judge(&mut attempt(), &format!("code=abc&state={other}"), 1), "stray ForeignState");
    }

    #[test]
    fn what_is_printed_for_debugging_holds_no_code() {
        let callback = Callback::parse("code=hunter2&state=s");
        assert!(!format!("{callback:?}").contains("hunter2"));
        let verdict = Verdict::Accepted(SecretString::from("hunter2".to_owned()));
        assert!(!format!("{verdict:?}").contains("hunter2"));
    }
}
