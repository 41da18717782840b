//! What whoever runs the command is told.

use jiff::Timestamp;
use url::Url;

use super::SIGN_IN_LIFE;
use crate::api::RECONCILE_REQUESTED_AT;
use crate::domain::name::ObjectName;

/// Before: where the listener signs in. `opened`: a browser was asked to show it.
pub fn invitation(account: &ObjectName, url: &Url, redirect_url: &Url, opened: bool) -> String {
    let minutes = SIGN_IN_LIFE.as_mins();
    let how = if opened { "A browser on this machine opens" } else { "Open, in a browser on this machine," };
    let mut registered = redirect_url.clone();
    // Spotify lets any port stand for a loopback address that was registered without one.
    let _ = registered.set_port(None);
    format!(
        "Sign in to Spotify as the listener of SpotifyAccount {account}, within {minutes} minutes. {how}\n\n  {url}\n\nIf Spotify shows INVALID_CLIENT: Invalid redirect URI, add {registered} to the app's redirect URIs in Spotify's developer dashboard.\n"
    )
}

/// Afterwards: where the tokens are, until when at least, and who looks at them. `asked`: the operator was asked to.
pub fn farewell(account: &ObjectName, secret: &ObjectName, earliest_end: Timestamp, asked: bool) -> String {
    let day = earliest_end.strftime("%Y-%m-%d");
    let ObjectName { namespace, name } = account;
    let next = if asked {
        format!("The operator was asked to look at it now: kubectl --namespace {namespace} get spotifyaccount {name}")
    } else {
        format!(
            "The operator could not be asked to look at it now. It does within a minute where the account waits for it, else at the next refresh. To ask it: kubectl --namespace {namespace} annotate spotifyaccount {name} --overwrite {RECONCILE_REQUESTED_AT}=\"$(date)\""
        )
    };
    format!(
        "Secret {secret} holds the new authorization of SpotifyAccount {account}, which ends on {day} at the earliest.\n{next}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> ObjectName {
        ObjectName::new("music", "alice")
    }

    #[test]
    fn an_invitation_names_the_address_and_what_to_register() {
        let url: Url = "https://accounts.spotify.com/authorize?state=s".parse().unwrap();
        let redirect: Url = "http://127.0.0.1:4711/callback".parse().unwrap();
        for (opened, says) in [(true, "A browser on this machine opens"), (false, "Open, in a browser")] {
            let text = invitation(&account(), &url, &redirect, opened);
            assert!(text.contains(says), "{text}");
            assert!(text.contains("SpotifyAccount music/alice, within 5 minutes"), "{text}");
            assert!(text.contains("\n  https://accounts.spotify.com/authorize?state=s\n"), "{text}");
            assert!(text.contains("add http://127.0.0.1/callback to"), "{text}");
        }
    }

    #[test]
    fn a_farewell_says_until_when_and_what_comes_next() {
        let secret = ObjectName::new("music", "alice-spotify");
        let end = "2027-05-22T10:00:00Z".parse().unwrap();
        let asked = farewell(&account(), &secret, end, true);
        assert!(asked.contains("Secret music/alice-spotify") && asked.contains("ends on 2027-05-22 at the earliest"));
        assert!(asked.contains("kubectl --namespace music get spotifyaccount alice"), "{asked}");
        let unasked = farewell(&account(), &secret, end, false);
        assert!(unasked.contains("scrobble-operator.io/reconcile-requested-at"), "{unasked}");
    }
}
