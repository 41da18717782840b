//! Signing in: the authorization code grant at `GET /authorize` and `POST /api/token` (RFC 6749 section 4.1; Spotify,
//! "Authorization Code Flow" and "Authorization Code with PKCE Flow").

use std::time::Instant;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{AppCredentials, EXCHANGE_DEADLINE, Spotify, join};
use crate::domain::answer::TokenAnswer;
use crate::domain::sign_in::SCOPE;

/// A sign-in that has begun.
pub struct SignIn {
    /// Where the listener signs in.
    pub url: Url,
    redirect_url: RedirectUrl,
    /// Never leaves this process but for the exchange (RFC 7636 section 4.1); none for a client with a secret.
    verifier: Option<PkceCodeVerifier>,
}

impl Spotify {
    /// Begins a sign-in. `state` comes back with the answer (RFC 6749 section 10.12). A client without a secret proves
    /// by PKCE that it is the one that began (RFC 7636).
    pub fn begin_sign_in(&self, app: &AppCredentials, redirect_url: &Url, state: &str) -> SignIn {
        let redirect_url = RedirectUrl::from_url(redirect_url.clone());
        let client = BasicClient::new(ClientId::new(app.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(join(&self.accounts_url, "authorize")))
            .set_redirect_uri(redirect_url.clone());
        let request = client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scope(Scope::new(SCOPE.to_owned()))
            // Without the dialog Spotify sends whoever is signed in straight back: nobody could choose another user, and
            // nobody knows whether that begins a new six months.
            .add_extra_param("show_dialog", "true");
        let (request, verifier) = if app.client_secret.is_none() {
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            (request.set_pkce_challenge(challenge), Some(verifier))
        } else {
            (request, None)
        };
        let (url, _) = request.url();
        SignIn { url, redirect_url, verifier }
    }

    /// Exchanges the code that came back for tokens, in one request that is never repeated.
    pub async fn finish_sign_in(&self, app: &AppCredentials, sign_in: SignIn, code: &SecretString) -> TokenAnswer {
        let SignIn { redirect_url, verifier, url: _ } = sign_in;
        let call = self.token_call(Instant::now() + EXCHANGE_DEADLINE);
        let client = self.token_client(app).set_redirect_uri(redirect_url);
        let request = client.exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()));
        let request = match verifier {
            Some(verifier) => request.set_pkce_verifier(verifier),
            None => request,
        };
        call.read(request.request_async(&|request| call.send(request)).await)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use base64::Engine as _;
    use serde_json::json;
    use sha2::Digest as _;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::testing::spotify;
    use super::*;
    use crate::domain::answer::{Refusal, Trouble};

    const REDIRECT: &str = "http://127.0.0.1:4711/callback";

    fn app(secret: Option<&str>) -> AppCredentials {
        let client_secret = secret.map(|secret| SecretString::from(secret.to_owned()));
        AppCredentials { client_id: "the-app".into(), client_secret }
    }

    fn begin(client: &Spotify, app: &AppCredentials) -> SignIn {
        client.begin_sign_in(app, &REDIRECT.parse().unwrap(), "the-state")
    }

    fn query(url: &Url) -> HashMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    /// What reached the token endpoint, and what it was taken for.
    async fn finished(secret: Option<&str>, answer: ResponseTemplate) -> (SignIn, wiremock::Request, TokenAnswer) {
        let server = MockServer::start().await;
        Mock::given(method("POST")).and(path("/api/token")).respond_with(answer).expect(1).mount(&server).await;
        let client = spotify(&server.uri());
        let sign_in = begin(&client, &app(secret));
        let kept = SignIn { url: sign_in.url.clone(), redirect_url: sign_in.redirect_url.clone(), verifier: None };
        let code = SecretString::from("the-code".to_owned());
        let answer = client.finish_sign_in(&app(secret), sign_in, &code).await;
        (kept, server.received_requests().await.unwrap().remove(0), answer)
    }

    fn form(request: &wiremock::Request) -> HashMap<String, String> {
        url::form_urlencoded::parse(&request.body).into_owned().collect()
    }

    fn granted() -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r", "scope": SCOPE,
        }))
    }

    #[test]
    fn the_listener_is_asked_for_the_one_scope_and_sent_back_here() {
        let client = spotify("http://127.0.0.1:9/accounts/");
        for (secret, public) in [(Some("secret"), false), (None, true)] {
            let sign_in = begin(&client, &app(secret));
            assert!(sign_in.url.as_str().starts_with("http://127.0.0.1:9/accounts/authorize?"), "{}", sign_in.url);
            let query = query(&sign_in.url);
            for (name, value) in [
                ("response_type", "code"),
                ("client_id", "the-app"),
                ("redirect_uri", REDIRECT),
                ("scope", "user-read-recently-played"),
                ("state", "the-state"),
                ("show_dialog", "true"),
            ] {
                assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
            }
            assert_eq!(query.get("code_challenge_method").map(String::as_str), public.then_some("S256"));
            assert_eq!(query.contains_key("code_challenge"), public);
            assert!(!sign_in.url.as_str().contains("secret="), "{}", sign_in.url);
        }
    }

    #[tokio::test]
    async fn a_public_client_proves_that_it_is_the_one_that_began() {
        let (sign_in, request, answer) = finished(None, granted()).await;
        assert!(matches!(answer, TokenAnswer::Granted(_)), "{answer:?}");
        let form = form(&request);
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["code"], "the-code");
        assert_eq!(form["redirect_uri"], REDIRECT);
        assert_eq!(form["client_id"], "the-app");
        let challenge =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&form["code_verifier"]));
        assert_eq!(query(&sign_in.url)["code_challenge"], challenge);
        assert!(!request.headers.contains_key("authorization"));
    }

    #[tokio::test]
    async fn a_confidential_client_proves_itself_by_its_secret() {
        let (_, request, answer) = finished(Some("pass word"), granted()).await;
        match answer {
            TokenAnswer::Granted(grant) => assert_eq!(grant.refresh_token.unwrap().expose(), "r"),
            other => panic!("{other:?}"),
        }
        assert_eq!(request.headers["authorization"], "Basic dGhlLWFwcDpwYXNzK3dvcmQ=");
        let form = form(&request);
        assert!(!form.contains_key("code_verifier") && !form.contains_key("client_secret"));
    }

    #[tokio::test]
    async fn answers_are_told_apart_as_those_of_a_refresh_are() {
        let refused = json!({"error": "invalid_grant", "error_description": "Invalid authorization code"});
        let (_, _, answer) = finished(None, ResponseTemplate::new(400).set_body_json(refused)).await;
        assert!(matches!(answer, TokenAnswer::Refused(Refusal::InvalidGrant { expired: false })), "{answer:?}");
        let (_, _, answer) = finished(None, ResponseTemplate::new(503).set_body_string("<html>")).await;
        assert!(matches!(answer, TokenAnswer::Failed(Trouble::Status(503))), "{answer:?}");
        let (_, _, answer) = finished(None, ResponseTemplate::new(200).set_body_string("{\"access_token\": \"a")).await;
        assert!(matches!(answer, TokenAnswer::Ambiguous(Trouble::Unreadable)), "{answer:?}");
    }
}
