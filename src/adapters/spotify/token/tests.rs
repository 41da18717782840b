//! The token endpoint: what is sent, what answers mean, and what is printed of either.

use serde_json::json;
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::testing::spotify;
use super::*;

fn soon() -> Instant {
    Instant::now() + EXCHANGE_DEADLINE
}

fn confidential() -> AppCredentials {
    AppCredentials { client_id: "app".into(), client_secret: Some(SecretString::from("pass word".to_owned())) }
}

async fn answer_to(template: ResponseTemplate) -> TokenAnswer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/api/token")).respond_with(template).expect(1).mount(&server).await;
    spotify(&server.uri()).refresh(&confidential(), &RefreshToken::new("old".into()), soon()).await
}

fn refused(answer: &TokenAnswer) -> Refusal {
    match answer {
        TokenAnswer::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_confidential_client_authenticates_with_basic_and_a_public_one_by_id() {
    let server = MockServer::start().await;
    let granted = ResponseTemplate::new(200)
        .set_body_json(json!({"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "scope": "x y"}));
    // RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined.
    Mock::given(header("authorization", "Basic YXBwOnBhc3Mrd29yZA=="))
        .and(body_string_contains("grant_type=refresh_token"))
        .and(body_string_contains("refresh_token=old"))
        .respond_with(granted.clone())
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(body_string_contains("client_id=app")).respond_with(granted).expect(1).mount(&server).await;
    let client = spotify(&server.uri());
    let token = RefreshToken::new("old".into());
    match client.refresh(&confidential(), &token, soon()).await {
        TokenAnswer::Granted(grant) => {
            assert_eq!(grant.access_token.expose(), "a");
            assert_eq!(grant.expires_in, SignedDuration::from_secs(3600));
            assert_eq!(grant.refresh_token, None);
            assert_eq!(grant.scope.as_deref(), Some("x y"));
        }
        other => panic!("{other:?}"),
    }
    let public = AppCredentials { client_id: "app".into(), client_secret: None };
    assert!(matches!(client.refresh(&public, &token, soon()).await, TokenAnswer::Granted(_)));
}

#[tokio::test]
async fn a_rotated_token_is_handed_on() {
    let body = json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "new"});
    match answer_to(ResponseTemplate::new(200).set_body_json(body)).await {
        TokenAnswer::Granted(grant) => {
            assert_eq!(grant.refresh_token.unwrap().expose(), "new");
            assert_eq!(grant.expires_in, DOCUMENTED_LIFE);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn oauth_errors_are_told_apart() {
    for (status, body, expected) in [
        (
            400,
            json!({"error": "invalid_grant", "error_description": "Refresh token revoked"}),
            Refusal::InvalidGrant { expired: false },
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "Refresh token expired"}),
            Refusal::InvalidGrant { expired: true },
        ),
        (400, json!({"error": "invalid_grant"}), Refusal::InvalidGrant { expired: false }),
        (400, json!({"error": "invalid_client"}), Refusal::InvalidClient),
        (401, json!({"error": "invalid_client"}), Refusal::InvalidClient),
        (400, json!({"error": "invalid_request"}), Refusal::InvalidRequest),
        (400, json!({"error": "unauthorized_client"}), Refusal::UnauthorizedClient),
        (400, json!({"error": "unsupported_grant_type"}), Refusal::UnsupportedGrantType),
    ] {
        assert_eq!(refused(&answer_to(ResponseTemplate::new(status).set_body_json(body)).await), expected);
    }
}

#[tokio::test]
async fn trouble_touches_no_token() {
    let grant = r#"{"error": "invalid_grant"}"#;
    for (status, body) in [
        (302, ""),
        (400, ""),
        (400, "<html>no</html>"),
        (400, "invalid_grant"),
        (400, r#"{"error": "invalid_grant"#),
        (400, r#"{"error": "temporarily_unavailable"}"#),
        (400, r#"{"error": 7}"#),
        (400, r#"{"error": {"message": "invalid_grant"}}"#),
        (400, r#"{"error_description": "Refresh token revoked"}"#),
        (401, ""),
        (401, grant),
        (403, grant),
        (403, r#"{"error": "invalid_client"}"#),
        (500, grant),
        (502, "<html>no</html>"),
        (503, r#"{"error": "invalid_client"}"#),
    ] {
        match answer_to(ResponseTemplate::new(status).set_body_raw(body, "application/json")).await {
            TokenAnswer::Failed(Trouble::Status(found)) => assert_eq!(found, status),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn throttling_says_for_how_long() {
    match answer_to(ResponseTemplate::new(429).insert_header("retry-after", "17")).await {
        TokenAnswer::RateLimited { retry_after } => assert_eq!(retry_after, Some(SignedDuration::from_secs(17))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_error_may_say_for_how_long_as_well() {
    match answer_to(ResponseTemplate::new(503).insert_header("retry-after", "17")).await {
        TokenAnswer::Failed(Trouble::Busy { status: 503, retry_after }) => {
            assert_eq!(retry_after, SignedDuration::from_secs(17));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_may_have_rotated_the_token() {
    for template in [
        ResponseTemplate::new(200).set_body_raw("{\"access_token\": \"hunter2", "application/json"),
        ResponseTemplate::new(200).set_body_raw("<html>", "text/html"),
        ResponseTemplate::new(200).set_body_raw("", "application/json"),
        ResponseTemplate::new(200).set_body_json(json!({"access_token": 7, "token_type": "Bearer"})),
        ResponseTemplate::new(200).set_body_json(json!({"token_type": "Bearer", "refresh_token": "hunter2"})),
        ResponseTemplate::new(200).set_body_json(json!({"error": "invalid_grant"})),
        ResponseTemplate::new(204),
    ] {
        let answer = answer_to(template).await;
        assert!(matches!(answer, TokenAnswer::Ambiguous(Trouble::Unreadable)), "{answer:?}");
        assert!(!format!("{answer:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn after_its_deadline_nothing_is_sent() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
    let token = RefreshToken::new("old".into());
    let answer = spotify(&server.uri()).refresh(&confidential(), &token, Instant::now()).await;
    assert!(matches!(answer, TokenAnswer::NotSent), "{answer:?}");
}

#[tokio::test]
async fn a_closed_port_is_certain_not_to_have_acted() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer =
        spotify(&format!("http://{free}")).refresh(&confidential(), &RefreshToken::new("old".into()), soon()).await;
    assert!(matches!(answer, TokenAnswer::Failed(Trouble::Unreachable)), "{answer:?}");
}

#[test]
fn the_clients_credentials_are_marked_as_what_nobody_prints() {
    let request = http::Request::post("https://accounts.spotify.com/api/token")
        .header(AUTHORIZATION, "Basic YXBwOnBhc3Mrd29yZA==")
        .body(b"refresh_token=hunter2".to_vec())
        .unwrap();
    let request = fenced(request, Fence { send_before: soon(), late: Arc::default() }).unwrap();
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
    let printed = format!("{request:?}");
    assert!(!printed.contains("YXBw") && !printed.contains("hunter2"), "{printed}");
}
