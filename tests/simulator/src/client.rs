//! The typed client that tests, demo and benchmarks script a simulator with, in this process or another.

use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{
    AccountChange, AccountReport, Advance, ClockReport, Delivery, FaultReport, LastfmApp, LastfmAuthorization,
    LastfmUser, Listen, ListenBrainzRules, ListenBrainzUser, NewAccount, NewApp, NewFault, NewGenerator, NewPlay, Play,
    Record, RecordFilter, Scrobble, SignedIn, TokenChange, TokenReport, Tokens, WebhookSettings,
};

/// Longest wait for an answer of the control plane, which never hangs by script.
const DEADLINE: Duration = Duration::from_secs(30);

/// A simulator's control plane.
#[derive(Debug, Clone)]
pub struct Client {
    base_url: String,
    http: reqwest::Client,
}

/// Why scripting failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The simulator could not be reached or spoke in riddles.
    #[error("could not {method} {path}")]
    Http {
        /// HTTP method.
        method: Method,
        /// Path under the simulator's address.
        path: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The simulator refused.
    #[error("{method} {path} was answered {status}: {message}")]
    Refused {
        /// HTTP method.
        method: Method,
        /// Path under the simulator's address.
        path: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// No HTTP client could be built.
    #[error("could not build an HTTP client")]
    Build(#[source] reqwest::Error),
}

type Outcome<T> = Result<T, ClientError>;

impl Client {
    /// A client of the simulator at this address, such as `http://127.0.0.1:4321`.
    ///
    /// # Errors
    /// No HTTP client could be built.
    pub fn new(base_url: impl Into<String>) -> Outcome<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().map_err(ClientError::Build)?;
        Ok(Self { base_url: base_url.into().trim_end_matches('/').to_owned(), http })
    }

    /// The simulator's address, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// For the operator's `--spotify-accounts-url`.
    pub fn spotify_accounts_url(&self) -> String {
        format!("{}/spotify/accounts", self.base_url)
    }

    /// For the operator's `--spotify-api-url`.
    pub fn spotify_api_url(&self) -> String {
        format!("{}/spotify/api", self.base_url)
    }

    /// For a `ListenBrainz` target.
    pub fn listenbrainz_url(&self) -> String {
        format!("{}/listenbrainz", self.base_url)
    }

    /// For a Last.fm target.
    pub fn lastfm_url(&self) -> String {
        format!("{}/lastfm/2.0/", self.base_url)
    }

    /// For a webhook target of this name.
    pub fn webhook_url(&self, name: &str) -> String {
        format!("{}/webhook/{name}", self.base_url)
    }

    /// Whether the simulator answers.
    pub async fn is_healthy(&self) -> bool {
        let answer = self.http.get(format!("{}/_simulator/healthz", self.base_url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The simulated time now.
    pub async fn now(&self) -> Outcome<Timestamp> {
        Ok(self.get::<ClockReport>("clock", &()).await?.time)
    }

    /// Moves simulated time forwards; no other process's clock follows. Answers the new time.
    pub async fn advance_clock(&self, by: SignedDuration) -> Outcome<Timestamp> {
        Ok(self.post::<ClockReport>("clock", &Advance { seconds: by.as_secs() }).await?.time)
    }

    /// Adds an OAuth client or replaces its settings.
    pub async fn put_app(&self, app: &NewApp) -> Outcome<NewApp> {
        self.post("apps", app).await
    }

    /// Adds a listener who authorizes the app at once; answers the tokens.
    pub async fn add_account(&self, account: &NewAccount) -> Outcome<Tokens> {
        self.post("accounts", account).await
    }

    /// All listeners.
    pub async fn accounts(&self) -> Outcome<Vec<AccountReport>> {
        self.get("accounts", &()).await
    }

    /// One listener.
    pub async fn account(&self, name: &str) -> Outcome<AccountReport> {
        self.get(&format!("accounts/{name}"), &()).await
    }

    /// Changes a listener.
    pub async fn change_account(&self, name: &str, change: &AccountChange) -> Outcome<AccountReport> {
        self.post(&format!("accounts/{name}"), change).await
    }

    /// Says which listener the browser is signed in as when this app sends it to `/authorize`.
    pub async fn sign_in(&self, client_id: &str, account: &str) -> Outcome<()> {
        let wish = SignedIn { client_id: client_id.to_owned(), account: account.to_owned() };
        self.post::<SignedIn>("signed-in", &wish).await.map(drop)
    }

    /// What is known of a listener's refresh tokens.
    pub async fn tokens(&self, name: &str) -> Outcome<TokenReport> {
        self.get(&format!("accounts/{name}/tokens"), &()).await
    }

    /// Does something to a listener's tokens; minting answers the new ones.
    pub async fn change_tokens(&self, name: &str, change: &TokenChange) -> Outcome<Option<Tokens>> {
        self.post(&format!("accounts/{name}/tokens"), change).await
    }

    /// The listener authorizes its app again, now.
    pub async fn mint_tokens(&self, name: &str) -> Outcome<Tokens> {
        let path = format!("accounts/{name}/tokens");
        self.post(&path, &TokenChange::mint()).await
    }

    /// The listener removes the app: every token is dead at once.
    pub async fn revoke(&self, name: &str) -> Outcome<()> {
        self.change_tokens(name, &TokenChange::Revoke).await.map(drop)
    }

    /// Adds plays; answers them as the simulator holds them.
    pub async fn add_plays(&self, name: &str, plays: &[NewPlay]) -> Outcome<Vec<Play>> {
        self.post(&format!("accounts/{name}/plays"), plays).await
    }

    /// Every play of a listener so far, also those that no page shows.
    pub async fn plays(&self, name: &str) -> Outcome<Vec<Play>> {
        self.get(&format!("accounts/{name}/plays"), &()).await
    }

    /// What an honest page of fifty would show now, newest first, without reading it.
    pub async fn page(&self, name: &str) -> Outcome<Vec<Play>> {
        self.get(&format!("accounts/{name}/page"), &()).await
    }

    /// Starts plays that appear by themselves as the clock passes.
    pub async fn add_generator(&self, name: &str, rule: &NewGenerator) -> Outcome<()> {
        self.post::<Value>(&format!("accounts/{name}/generators"), rule).await.map(drop)
    }

    /// The music stops; what was played stays.
    pub async fn stop_generators(&self, name: &str) -> Outcome<()> {
        self.request::<Value>(Method::DELETE, &format!("accounts/{name}/generators"), &(), None).await.map(drop)
    }

    /// Makes something go wrong; answers the rule's number.
    pub async fn add_fault(&self, fault: &NewFault) -> Outcome<u64> {
        let answer: Value = self.post("faults", fault).await?;
        Ok(answer["id"].as_u64().unwrap_or_default())
    }

    /// All rules and what became of them.
    pub async fn faults(&self) -> Outcome<Vec<FaultReport>> {
        self.get("faults", &()).await
    }

    /// Removes one rule.
    pub async fn remove_fault(&self, id: u64) -> Outcome<()> {
        self.request::<Value>(Method::DELETE, &format!("faults/{id}"), &(), None).await.map(drop)
    }

    /// Removes every rule.
    pub async fn clear_faults(&self) -> Outcome<()> {
        self.request::<Value>(Method::DELETE, "faults", &(), None).await.map(drop)
    }

    /// Requests that the simulated services got, oldest first.
    pub async fn requests(&self, filter: &RecordFilter) -> Outcome<Vec<Record>> {
        self.get("requests", filter).await
    }

    /// Number of the newest request, 0 before the first; to be given as `since` later.
    pub async fn last_seq(&self) -> Outcome<u64> {
        let answer: Value = self.get("requests/newest", &()).await?;
        Ok(answer["seq"].as_u64().unwrap_or_default())
    }

    /// Adds a user of `ListenBrainz` or replaces its token.
    pub async fn put_listenbrainz_user(&self, name: &str, token: &str) -> Outcome<()> {
        let user = ListenBrainzUser { name: name.to_owned(), token: token.to_owned() };
        self.post::<Value>("listenbrainz/users", &user).await.map(drop)
    }

    /// The user's token is refused from now on; the listens stay.
    pub async fn remove_listenbrainz_user(&self, name: &str) -> Outcome<()> {
        let path = format!("listenbrainz/users/{name}");
        self.request::<Value>(Method::DELETE, &path, &(), None).await.map(drop)
    }

    /// How `ListenBrainz` behaves to everybody.
    pub async fn put_listenbrainz_rules(&self, rules: &ListenBrainzRules) -> Outcome<()> {
        self.post::<Value>("listenbrainz/rules", rules).await.map(drop)
    }

    /// What `ListenBrainz` holds of a user, oldest first.
    pub async fn listens(&self, user: &str) -> Outcome<Vec<Listen>> {
        self.get(&format!("listenbrainz/{user}/listens"), &()).await
    }

    /// Adds an application of Last.fm or replaces its settings.
    pub async fn put_lastfm_app(&self, app: &LastfmApp) -> Outcome<()> {
        self.post::<Value>("lastfm/apps", app).await.map(drop)
    }

    /// Adds a user of Last.fm or replaces its settings and sessions.
    pub async fn put_lastfm_user(&self, user: &LastfmUser) -> Outcome<()> {
        self.post::<Value>("lastfm/users", user).await.map(drop)
    }

    /// The user allows the application that holds a token of `auth.getToken`.
    pub async fn authorize_lastfm(&self, token: &str, user: &str) -> Outcome<()> {
        let wish = LastfmAuthorization { token: token.to_owned(), user: user.to_owned() };
        self.post::<Value>("lastfm/authorizations", &wish).await.map(drop)
    }

    /// What Last.fm received of a user, oldest first, ignored ones included.
    pub async fn scrobbles(&self, user: &str) -> Outcome<Vec<Scrobble>> {
        self.get(&format!("lastfm/{user}/scrobbles"), &()).await
    }

    /// How a webhook's receiver answers.
    pub async fn put_webhook(&self, name: &str, settings: &WebhookSettings) -> Outcome<()> {
        self.post::<Value>(&format!("webhook/{name}"), settings).await.map(drop)
    }

    /// What a webhook received, in the order of arrival.
    pub async fn deliveries(&self, name: &str) -> Outcome<Vec<Delivery>> {
        self.get(&format!("webhook/{name}/deliveries"), &()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &(impl Serialize + ?Sized)) -> Outcome<T> {
        self.request(Method::GET, path, query, None).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Outcome<T> {
        self.request(Method::POST, path, &(), Some(json!(body))).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &(impl Serialize + ?Sized),
        body: Option<Value>,
    ) -> Outcome<T> {
        let path = format!("/_simulator/{path}");
        let failed = |source| ClientError::Http { method: method.clone(), path: path.clone(), source };
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base_url)).query(query);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(failed);
        }
        let message = answer.text().await.map_err(failed)?;
        Err(ClientError::Refused { method, path, status: status.as_u16(), message })
    }
}
