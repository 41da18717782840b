//! `POST /api/token`: how every exchange is sent and read, and refreshing (RFC 6749 section 6; Spotify, "Refreshing
//! tokens").

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::AUTHORIZATION;
use http_body::{Frame, SizeHint};
use jiff::SignedDuration;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, RequestTokenError,
    TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{EXCHANGE_DEADLINE, Spotify, join};
use crate::adapters::http::{ANSWER_BYTES, retry_after, send};
use crate::domain::answer::{Refusal, TokenAnswer, Trouble};
use crate::domain::token::{AccessToken, Grant, RefreshToken};

/// Spotify's documented life of an access token, used where an answer does not tell.
const DOCUMENTED_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Nothing that calls itself an access token lives longer; it keeps the arithmetic of times in bounds.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The end of the deadline for which a process looks after it was paused.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// The deadline is kept here, not underneath.
const NO_DEADLINE: Duration = Duration::from_hours(1);

/// The app's side of an exchange.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The client id.
    pub client_id: String,
    /// The client secret; none for a public client (PKCE).
    pub client_secret: Option<SecretString>,
}

/// Why oauth2 got no response to parse.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("no usable answer")]
    Trouble(Trouble),
    #[error("HTTP status {status}")]
    Status { status: StatusCode, retry_after: Option<SignedDuration> },
}

/// Why oauth2 got no tokens.
type TokenError = RequestTokenError<ExchangeError, BasicErrorResponse>;

impl Spotify {
    /// Exchanges a refresh token for an access token, in one request that is never repeated. The token does not leave
    /// this process at `send_before` or later, however long a connection takes.
    pub async fn refresh(&self, app: &AppCredentials, token: &RefreshToken, send_before: Instant) -> TokenAnswer {
        let token = oauth2::RefreshToken::new(token.expose().to_owned());
        let call = self.token_call(send_before);
        let client = self.token_client(app);
        call.read(client.exchange_refresh_token(&token).request_async(&|request| call.send(request)).await)
    }

    /// The app at the token endpoint.
    pub(super) fn token_client(&self, app: &AppCredentials) -> TokenClient {
        let client = BasicClient::new(ClientId::new(app.client_id.clone()))
            .set_auth_type(if app.client_secret.is_some() { AuthType::BasicAuth } else { AuthType::RequestBody })
            .set_token_uri(TokenUrl::from_url(join(&self.accounts_url, "api/token")));
        match &app.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
            None => client,
        }
    }

    /// One request to the token endpoint, which does not leave at `send_before` or later.
    pub(super) fn token_call(&self, send_before: Instant) -> TokenCall {
        let fence = Fence { send_before, late: Arc::default() };
        TokenCall { http: self.http.clone(), fence, status: Arc::default() }
    }
}

/// A client whose token endpoint is known.
pub(super) type TokenClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// One request to the token endpoint, and what is remembered of it for reading its answer.
pub(super) struct TokenCall {
    http: reqwest::Client,
    fence: Fence,
    status: Arc<OnceLock<StatusCode>>,
}

impl TokenCall {
    /// Sends the request, as oauth2 asks for it.
    pub(super) fn send(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpResponse, ExchangeError>> + use<> {
        exchange(self.http.clone(), request, self.fence.clone(), Arc::clone(&self.status))
    }

    /// What became of it.
    pub(super) fn read(&self, answer: Result<BasicTokenResponse, TokenError>) -> TokenAnswer {
        match answer {
            Ok(answer) => TokenAnswer::Granted(grant(&answer)),
            Err(_) if self.fence.late.load(Ordering::SeqCst) => TokenAnswer::NotSent,
            Err(error) => classify(error, self.status.get().copied()),
        }
    }
}

fn grant(answer: &BasicTokenResponse) -> Grant {
    Grant {
        access_token: AccessToken::new(answer.access_token().secret().clone()),
        expires_in: answer.expires_in().map_or(DOCUMENTED_LIFE, life),
        refresh_token: answer
            .refresh_token()
            .filter(|token| !token.secret().is_empty())
            .map(|token| RefreshToken::new(token.secret().clone())),
        scope: answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")),
    }
}

/// Until when a request may leave, and whether it was too late for it.
#[derive(Clone)]
struct Fence {
    send_before: Instant,
    late: Arc<AtomicBool>,
}

/// A body that is not handed over once it is too late: the token is in it. It is asked for only when a connection
/// stands, so that neither a slow connection nor a pause of the process makes a late request.
struct FencedBody {
    body: reqwest::Body,
    fence: Fence,
    handed_over: bool,
}

impl http_body::Body for FencedBody {
    type Data = <reqwest::Body as http_body::Body>::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if !self.handed_over && Instant::now() >= self.fence.send_before {
            self.fence.late.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err("it is too late to send".into())));
        }
        self.handed_over = true;
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn life(expires_in: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(expires_in).map_or(LONGEST_LIFE, |life| life.min(LONGEST_LIFE))
}

/// The HTTP client of oauth2: ours, with a deadline and a bound. Only answers that may hold an OAuth error or a token
/// go on to be parsed.
async fn exchange(
    http: reqwest::Client,
    request: HttpRequest,
    fence: Fence,
    seen: Arc<OnceLock<StatusCode>>,
) -> Result<HttpResponse, ExchangeError> {
    let request = fenced(request, fence)?;
    let answer = in_time(send(&http, request, NO_DEADLINE, ANSWER_BYTES)).await.map_err(ExchangeError::Trouble)?;
    let _ = seen.set(answer.status);
    if !answer.status.is_success() && !matches!(answer.status.as_u16(), 400 | 401) {
        return Err(ExchangeError::Status { status: answer.status, retry_after: retry_after(&answer.headers) });
    }
    let mut response = http::Response::new(answer.body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// The request behind its fence, with the client's credentials marked as what nobody prints.
fn fenced(request: HttpRequest, fence: Fence) -> Result<reqwest::Request, ExchangeError> {
    let request = reqwest::Request::try_from(request);
    let mut request = request.map_err(|_| ExchangeError::Trouble(Trouble::UrlRefused("it cannot be sent to")))?;
    if let Some(credentials) = request.headers_mut().get_mut(AUTHORIZATION) {
        credentials.set_sensitive(true);
    }
    if let Some(body) = request.body_mut().take() {
        *request.body_mut() = Some(reqwest::Body::wrap(FencedBody { body, fence, handed_over: false }));
    }
    Ok(request)
}

/// Waits for an answer within [`EXCHANGE_DEADLINE`]. The last part of it begins only when its turn has come: what arrived
/// while the process was paused holds a token, and is read before anybody gives up.
async fn in_time<T>(answer: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let mut answer = std::pin::pin!(answer);
    match tokio::time::timeout(EXCHANGE_DEADLINE.saturating_sub(LAST_LOOK), &mut answer).await {
        Ok(answer) => answer,
        Err(_) => tokio::time::timeout(LAST_LOOK, answer).await.unwrap_or(Err(Trouble::Timeout)),
    }
}

fn classify(error: TokenError, status: Option<StatusCode>) -> TokenAnswer {
    let succeeded = status.is_some_and(|status| status.is_success());
    match error {
        RequestTokenError::ServerResponse(response) => refusal(&response, status),
        RequestTokenError::Request(ExchangeError::Status { status, retry_after }) => match status.as_u16() {
            429 => TokenAnswer::RateLimited { retry_after },
            other => TokenAnswer::Failed(Trouble::of_status(other, retry_after)),
        },
        RequestTokenError::Request(ExchangeError::Trouble(trouble)) if trouble.was_not_sent() => {
            TokenAnswer::Failed(trouble)
        }
        RequestTokenError::Request(ExchangeError::Trouble(trouble)) => TokenAnswer::Ambiguous(trouble),
        // The parse error holds the body, with tokens: it goes no further.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) if succeeded => {
            TokenAnswer::Ambiguous(Trouble::Unreadable)
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            TokenAnswer::Failed(status.map_or(Trouble::Unreadable, |status| Trouble::Status(status.as_u16())))
        }
    }
}

fn refusal(response: &BasicErrorResponse, status: Option<StatusCode>) -> TokenAnswer {
    let bad_request = status == Some(StatusCode::BAD_REQUEST);
    let refusal = match response.error() {
        // A 401 with `invalid_grant` is not what RFC 6749 section 5.2 has: it stops nobody.
        BasicErrorResponseType::InvalidGrant if bad_request => Refusal::InvalidGrant {
            expired: response.error_description().is_some_and(|text| text.to_ascii_lowercase().contains("expired")),
        },
        BasicErrorResponseType::InvalidClient => Refusal::InvalidClient,
        BasicErrorResponseType::InvalidRequest => Refusal::InvalidRequest,
        BasicErrorResponseType::UnauthorizedClient => Refusal::UnauthorizedClient,
        BasicErrorResponseType::UnsupportedGrantType => Refusal::UnsupportedGrantType,
        _ => return TokenAnswer::Failed(status.map_or(Trouble::Unreadable, |status| Trouble::Status(status.as_u16()))),
    };
    TokenAnswer::Refused(refusal)
}

#[cfg(test)]
mod tests;
