//! Requests to the Web API.

use serde_json::Value;
use url::Url;

use super::error::classify;
use super::{API_DEADLINE, Spotify, join, json, recently_played};
use crate::adapters::http::{PAGE_BYTES, send};
use crate::domain::answer::{ApiAnswer, Trouble};
use crate::domain::listener::Listener;
use crate::domain::play::Page;
use crate::domain::token::AccessToken;

impl Spotify {
    /// `GET /v1/me/player/recently-played?limit=50`: everything that Spotify still shows.
    pub async fn recently_played(&self, token: &AccessToken) -> ApiAnswer<Page> {
        let mut url = join(&self.api_url, "v1/me/player/recently-played");
        url.query_pairs_mut().append_pair("limit", &recently_played::LIMIT.to_string());
        self.get(url, token, recently_played::page).await
    }

    /// `GET /v1/me`: who the token belongs to. Needs no scope.
    pub async fn listener(&self, token: &AccessToken) -> ApiAnswer<Listener> {
        self.get(join(&self.api_url, "v1/me"), token, listener).await
    }

    async fn get<T>(&self, url: Url, token: &AccessToken, read: fn(&Value) -> Option<T>) -> ApiAnswer<T> {
        // `bearer_auth` marks the header as sensitive.
        let Ok(request) = self.http.get(url).bearer_auth(token.expose()).build() else {
            return ApiAnswer::Failed(Trouble::UrlRefused("it cannot be sent to"));
        };
        match send(&self.http, request, API_DEADLINE, PAGE_BYTES).await {
            Err(trouble) => ApiAnswer::Failed(trouble),
            Ok(answer) if answer.status.as_u16() == 200 => {
                let found = json::read(&answer.body).as_ref().and_then(read);
                found.map_or(ApiAnswer::Failed(Trouble::Unreadable), ApiAnswer::Found)
            }
            Ok(answer) => classify(&answer),
        }
    }
}

fn listener(body: &Value) -> Option<Listener> {
    let field = |name| body.get(name).and_then(Value::as_str).filter(|id: &&str| !id.is_empty() && id.len() <= 256);
    let account_id = field("account_id").or_else(|| field("id"))?;
    let printable = account_id.chars().all(|character| !character.is_control());
    printable.then(|| Listener { account_id: account_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;
    use wiremock::matchers::{any, header, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::testing::spotify;
    use super::*;
    use crate::domain::answer::Forbidden;

    fn token() -> AccessToken {
        AccessToken::new("access".into())
    }

    async fn page_for(template: ResponseTemplate) -> ApiAnswer<Page> {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(template).expect(1).mount(&server).await;
        spotify(&server.uri()).recently_played(&token()).await
    }

    #[tokio::test]
    async fn asks_for_the_whole_page_without_a_cursor() {
        let server = MockServer::start().await;
        Mock::given(path("/v1/me/player/recently-played"))
            .and(query_param("limit", "50"))
            .and(header("authorization", "Bearer access"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"items": []})))
            .expect(1)
            .mount(&server)
            .await;
        assert_eq!(spotify(&server.uri()).recently_played(&token()).await, ApiAnswer::Found(Page::default()));
        let request = &server.received_requests().await.unwrap()[0];
        assert_eq!(request.url.query(), Some("limit=50"));
    }

    #[tokio::test]
    async fn statuses_are_told_apart() {
        let text = |status, text: &str| ResponseTemplate::new(status).set_body_string(text);
        for (template, expected) in [
            (text(401, r#"{"error":{"status":401,"message":"The access token expired"}}"#), ApiAnswer::Unauthorized),
            (
                text(403, "User not registered in the Developer Dashboard"),
                ApiAnswer::Forbidden(Forbidden::NotAllowlisted),
            ),
            (
                text(403, "Active premium subscription required for the owner of the app."),
                ApiAnswer::Forbidden(Forbidden::OwnerNotPremium),
            ),
            (
                text(403, r#"{"error":{"status":403,"message":"Insufficient client scope"}}"#),
                ApiAnswer::Forbidden(Forbidden::Scope),
            ),
            (text(403, "no"), ApiAnswer::Forbidden(Forbidden::Other)),
            (
                text(429, "Too many requests").insert_header("retry-after", "9"),
                ApiAnswer::RateLimited { retry_after: Some(SignedDuration::from_secs(9)), quota: false },
            ),
            (
                text(429, r#"{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#),
                ApiAnswer::RateLimited { retry_after: None, quota: true },
            ),
            (text(503, "<html>"), ApiAnswer::Failed(Trouble::Status(503))),
            (
                text(503, "<html>").insert_header("retry-after", "120"),
                ApiAnswer::Failed(Trouble::Busy { status: 503, retry_after: SignedDuration::from_secs(120) }),
            ),
            (text(503, "").insert_header("retry-after", "soon"), ApiAnswer::Failed(Trouble::Status(503))),
            (text(404, "{}"), ApiAnswer::Failed(Trouble::Status(404))),
            (text(302, ""), ApiAnswer::Failed(Trouble::Status(302))),
        ] {
            assert_eq!(page_for(template).await, expected);
        }
    }

    #[tokio::test]
    async fn bodies_that_nobody_promised_are_unreadable() {
        for body in ["", "{", "[]", "7", "null", "<html></html>", r#"{"items": 7}"#, r#"{"items": {"0": {}}}"#, "{}"] {
            let answer = page_for(ResponseTemplate::new(200).set_body_string(body)).await;
            assert_eq!(answer, ApiAnswer::Failed(Trouble::Unreadable), "{body}");
        }
    }

    #[tokio::test]
    async fn half_a_character_in_one_entry_costs_no_page() {
        let body = r#"{"items": [{"played_at": "2026-11-23T10:00:00Z",
            "track": {"name": "Demo \ud83c", "artists": [{"name": "Me"}]}}]}"#;
        let ApiAnswer::Found(page) = page_for(ResponseTemplate::new(200).set_body_string(body)).await else {
            panic!("not read")
        };
        assert_eq!(page.entries[0].title_and_artist(), Some(("Demo \u{fffd}", "Me")));
    }

    #[tokio::test]
    async fn the_immutable_account_id_is_preferred() {
        for (body, expected) in [
            (json!({"id": "alice", "account_id": "acct-1"}), Some("acct-1")),
            (json!({"id": "alice"}), Some("alice")),
            (json!({"id": ""}), None),
            (json!({"id": 7}), None),
            (json!({"id": "a\u{7}"}), None),
            (json!([]), None),
        ] {
            let server = MockServer::start().await;
            Mock::given(path("/v1/me"))
                .respond_with(ResponseTemplate::new(200).set_body_json(&body))
                .mount(&server)
                .await;
            let answer = spotify(&server.uri()).listener(&token()).await;
            let expected = expected.map_or(ApiAnswer::Failed(Trouble::Unreadable), |id| {
                ApiAnswer::Found(Listener { account_id: id.to_owned() })
            });
            assert_eq!(answer, expected, "{body}");
        }
    }
}
