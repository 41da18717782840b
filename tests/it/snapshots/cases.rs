//! The failures.

use scrobble_simulator::api::{BodyForm, Effect, Endpoint};

/// One failure.
pub struct Case {
    /// The account's name, and the file's.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    pub endpoint: Endpoint,
    pub effect: Effect,
}

fn status(status: u16, text: Option<&str>) -> Effect {
    Effect::Status { status, body: BodyForm::Json, text: text.map(str::to_owned), retry_after_seconds: None }
}

fn refused(error: &str, description: Option<&str>) -> Effect {
    Effect::TokenError { error: error.to_owned(), description: description.map(str::to_owned) }
}

/// Every failure that is told on an account.
pub fn cases() -> Vec<Case> {
    use Endpoint::{RecentlyPlayed, Token, Webhook};
    let case = |name, what, endpoint, effect| Case { name, what, endpoint, effect };
    let mut cases = vec![
        case(
            "token-revoked",
            "Token endpoint: invalid_grant, Refresh token revoked.",
            Token,
            refused("invalid_grant", Some("Refresh token revoked")),
        ),
        case(
            "token-expired",
            "Token endpoint: invalid_grant, Refresh token expired.",
            Token,
            refused("invalid_grant", Some("Refresh token expired")),
        ),
        case("token-client", "Token endpoint: invalid_client.", Token, refused("invalid_client", None)),
        case("token-request", "Token endpoint: invalid_request.", Token, refused("invalid_request", None)),
        case(
            "token-unauthorized-client",
            "Token endpoint: unauthorized_client.",
            Token,
            refused("unauthorized_client", None),
        ),
        case(
            "token-grant-type",
            "Token endpoint: unsupported_grant_type.",
            Token,
            refused("unsupported_grant_type", None),
        ),
        case("token-limited", "Token endpoint: 429.", Token, Effect::RateLimited { retry_after_seconds: 60 }),
        case("token-503", "Token endpoint: 503.", Token, status(503, None)),
        case("token-cut", "Token endpoint: the connection is cut before it acts.", Token, Effect::CutBefore),
        case("token-page", "Token endpoint: a web page.", Token, Effect::HtmlBody),
        case(
            "read-not-listed",
            "Web API: 403, the user is not on the app's list.",
            RecentlyPlayed,
            Effect::UserNotAllowlisted,
        ),
        case(
            "read-not-premium",
            "Web API: 403, the app's owner has no Premium.",
            RecentlyPlayed,
            Effect::OwnerNotPremium,
        ),
        case("read-scope", "Web API: 403, the scope is missing.", RecentlyPlayed, Effect::InsufficientScope),
        case("read-forbidden", "Web API: 403 with another text.", RecentlyPlayed, status(403, Some("no"))),
        case("read-unauthorized", "Web API: 401 for every token.", RecentlyPlayed, Effect::AccessTokenExpired),
        case("read-limited", "Web API: 429.", RecentlyPlayed, Effect::RateLimited { retry_after_seconds: 60 }),
        case(
            "read-quota",
            "Web API: 429, the quota is spent.",
            RecentlyPlayed,
            Effect::QuotaExceeded { retry_after_seconds: Some(900) },
        ),
        case("read-500", "Web API: 500.", RecentlyPlayed, status(500, None)),
        case("read-404", "Web API: 404.", RecentlyPlayed, status(404, None)),
        case("read-cut", "Web API: the connection is cut.", RecentlyPlayed, Effect::CutBefore),
        case("read-truncated", "Web API: half a body.", RecentlyPlayed, Effect::TruncatedBody),
        case("read-page", "Web API: a web page.", RecentlyPlayed, Effect::HtmlBody),
        case("read-large", "Web API: a body without end.", RecentlyPlayed, Effect::OversizedBody { bytes: 0 }),
        case("read-types", "Web API: other types than promised.", RecentlyPlayed, Effect::WrongJsonType),
    ];
    for (name, what, code) in [
        ("hook-401", "Webhook: 401.", 401),
        ("hook-410", "Webhook: 410.", 410),
        ("hook-429", "Webhook: 429.", 429),
        ("hook-500", "Webhook: 500.", 500),
    ] {
        cases.push(case(name, what, Webhook, status(code, None)));
    }
    cases.push(case("hook-cut", "Webhook: the connection is cut.", Webhook, Effect::CutBefore));
    cases
}
