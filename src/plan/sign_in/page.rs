//! What the listener's browser shows at the end: plain, without script, and without anything that came from outside.

use super::refusal::Refusal;
use crate::domain::name::ObjectName;

/// What a browser may do with a page: show it.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The heading.
    title: &'static str,
    /// One paragraph.
    text: String,
}

impl Page {
    /// The listener is signed in, and the tokens are where they belong.
    pub fn success(account: &ObjectName) -> Self {
        Self {
            status: 200,
            title: "Signed in",
            text: format!("SpotifyAccount {account} has its authorization. This window can be closed."),
        }
    }

    /// The sign-in was refused.
    pub fn refused(refusal: &Refusal) -> Self {
        let title = match refusal {
            Refusal::Denied => "Access was not allowed",
            Refusal::OtherListener(_) => "Another Spotify user",
            Refusal::ForeignState | Refusal::AlreadyAnswered | Refusal::TooLate => "This link is no longer valid",
            _ => "Not signed in",
        };
        Self { status: 400, title, text: capitalised(&refusal.to_string()) }
    }

    /// The sign-in failed for a reason that the terminal tells.
    pub fn failed() -> Self {
        let text = "The sign-in failed. The command in the terminal says why, and what to do.".to_owned();
        Self { status: 500, title: "Not signed in", text }
    }

    /// An address that means nothing here.
    pub fn unknown() -> Self {
        let text = "There is nothing here. Spotify comes back to another address.".to_owned();
        Self { status: 404, title: "Not found", text }
    }

    /// The page as HTML.
    pub fn html(&self) -> String {
        let (title, text) = (escaped(self.title), escaped(&self.text));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body><h1>{title}</h1><p>{text}</p></body>\n</html>\n"
        )
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Names of objects cannot hold markup; this does not depend on it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_plain() {
        let account = ObjectName::new("music", "alice");
        for (page, status, says) in [
            (Page::success(&account), 200, "SpotifyAccount music/alice"),
            (Page::refused(&Refusal::Denied), 400, "Access was not allowed"),
            (Page::refused(&Refusal::ForeignState), 400, "This answer belongs to another sign-in"),
            (Page::refused(&Refusal::AlreadyAnswered), 400, "This sign-in was answered already"),
            (Page::refused(&Refusal::TooLate), 400, "within 5 minutes"),
            (Page::refused(&Refusal::OtherListener(account.clone())), 400, "Another Spotify user"),
            (Page::failed(), 500, "terminal"),
            (Page::unknown(), 404, "nothing here"),
        ] {
            assert_eq!(page.status, status);
            let html = page.html();
            assert!(html.contains(says), "{html}");
            for refused in ["<script", "javascript:", " src=", "http-equiv", "<form", "<a "] {
                assert!(!html.contains(refused), "{html}");
            }
        }
    }

    #[test]
    fn markup_is_shown_and_not_obeyed() {
        let html = Page::success(&ObjectName::new("a", "<script>alert('&\"')</script>")).html();
        assert!(html.contains("a/&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;"), "{html}");
    }
}
