//! A simulator with an app and a listener, and a plain HTTP client to talk to it.

use jiff::{SignedDuration, Timestamp};
use reqwest::RequestBuilder;
use scrobble_simulator::api::{NewAccount, NewApp, Tokens};
use scrobble_simulator::{Options, Simulator};
use serde_json::Value;

pub const CLIENT: &str = "0123456789abcdef0123456789abcdef";
pub const SECRET: &str = "s3cret";
pub const ALICE: &str = "alice";

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub struct Stage {
    pub simulator: Simulator,
    pub http: reqwest::Client,
}

impl Stage {
    /// A simulator that stands at 2026-11-23T10:00 and moves only by script or with real time.
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        Self { simulator, http: http() }
    }

    /// With a confidential app and alice, who authorized it.
    pub async fn with_alice(app: NewApp) -> (Self, Tokens) {
        let stage = Self::new().await;
        stage.simulator.put_app(&app).await.unwrap();
        let tokens = stage.simulator.add_account(&NewAccount::new(ALICE, CLIENT)).await.unwrap();
        (stage, tokens)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.base_url())
    }

    pub async fn answer(&self, request: RequestBuilder) -> Answer {
        answer(request).await
    }

    /// A form to the token endpoint, with Basic authentication.
    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let request = self.http.post(self.url("/spotify/accounts/api/token"));
        self.answer(request.basic_auth(CLIENT, Some(SECRET)).form(form)).await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// A form to the token endpoint as a public client.
    pub async fn public_token(&self, form: &[(&str, &str)]) -> Answer {
        let request = self.http.post(self.url("/spotify/accounts/api/token"));
        self.answer(request.form(form)).await
    }

    pub async fn get(&self, path: &str, access_token: &str) -> Answer {
        self.answer(self.http.get(self.url(path)).bearer_auth(access_token)).await
    }

    pub async fn me(&self, access_token: &str) -> Answer {
        self.get("/spotify/api/v1/me", access_token).await
    }

    pub async fn recently_played(&self, access_token: &str, query: &str) -> Answer {
        self.get(&format!("/spotify/api/v1/me/player/recently-played{query}"), access_token).await
    }

    pub async fn advance(&self, seconds: i64) {
        self.simulator.advance_clock(SignedDuration::from_secs(seconds)).await.unwrap();
    }

    pub async fn now(&self) -> Timestamp {
        self.simulator.now().await.unwrap()
    }
}

pub fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().no_proxy().redirect(none).timeout(std::time::Duration::from_secs(30)).build().unwrap()
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

pub fn app() -> NewApp {
    NewApp::confidential(CLIENT, SECRET)
}

/// A token endpoint's error and its description.
pub fn error(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    let body = answer.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    (text("error"), text("error_description"))
}

pub fn invalid_grant(description: &str) -> (String, String) {
    ("invalid_grant".to_owned(), description.to_owned())
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
