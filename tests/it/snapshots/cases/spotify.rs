//! Spotify's.

use scrobble_simulator::api::{BodyForm, Effect, Endpoint};

use super::{Case, Fault, Remedy, Service, Trigger, Until, later, limited, status};

/// The token endpoint, when the access token is at its end.
pub fn token() -> Vec<Case> {
    let case = |name, what, effect| {
        Case::new(name, what, Service::Webhook, Fault::At(Endpoint::Token, effect)).after(Trigger::OldToken)
    };
    let refused = |error: &str, description: Option<&str>| Effect::TokenError {
        error: error.to_owned(),
        description: description.map(str::to_owned),
    };
    let lost = Fault::Once(Endpoint::Token, Effect::CutAfter);
    vec![
        case(
            "token-revoked",
            "Token endpoint: invalid_grant, Refresh token revoked.",
            refused("invalid_grant", Some("Refresh token revoked")),
        ),
        case(
            "token-expired",
            "Token endpoint: invalid_grant, Refresh token expired.",
            refused("invalid_grant", Some("Refresh token expired")),
        ),
        case("token-client", "Token endpoint: invalid_client.", refused("invalid_client", None)).at_app().slowly(),
        case("token-request", "Token endpoint: invalid_request.", refused("invalid_request", None)),
        case("token-unauthorized-client", "Token endpoint: unauthorized_client.", refused("unauthorized_client", None)),
        case("token-grant-type", "Token endpoint: unsupported_grant_type.", refused("unsupported_grant_type", None)),
        case("token-limited", "Token endpoint: 429, for five minutes.", limited(300)).at_app(),
        case("token-503", "Token endpoint: 503.", status(503)),
        case("token-503-later", "Token endpoint: 503 with Retry-After.", later(503, 300)).at_app(),
        case("token-hang", "Token endpoint: no answer.", Effect::Hang).slowly(),
        case("token-hang-after", "Token endpoint: it acts and does not answer.", Effect::HangAfter).slowly(),
        case("token-cut", "Token endpoint: the connection is cut before it acts.", Effect::CutBefore),
        case("token-cut-after", "Token endpoint: the connection is cut after it acts.", Effect::CutAfter),
        case("token-truncated", "Token endpoint: half a body.", Effect::TruncatedBody),
        case("token-page", "Token endpoint: a web page.", Effect::HtmlBody),
        case("token-large", "Token endpoint: a body without end.", Effect::OversizedBody { bytes: 0 }),
        case("token-types", "Token endpoint: other types than promised.", Effect::WrongJsonType),
        case("token-slow", "Token endpoint: an answer after a second.", Effect::DelayBefore { milliseconds: 1_000 })
            .unseen(),
        Case::new(
            "token-lost",
            "Token endpoint: it replaces the refresh token, and the answer is lost.",
            Service::Webhook,
            lost,
        )
        .after(Trigger::OldToken)
        .until(Until::NotReady)
        .mended_by(Remedy::SignIn),
    ]
}

/// The Web API, asked who has signed in.
pub fn listener() -> Vec<Case> {
    let case = |name, what, effect| {
        Case::new(name, what, Service::Webhook, Fault::At(Endpoint::Me, effect)).after(Trigger::NewToken)
    };
    vec![
        Case::new("me-mismatch", "Somebody else has signed in.", Service::Webhook, Fault::None)
            .after(Trigger::OtherListener)
            .mended_by(Remedy::SignIn),
        case("me-not-listed", "Who has signed in: 403, the user is not on the app's list.", Effect::UserNotAllowlisted),
        case("me-unauthorized", "Who has signed in: 401 for every token.", Effect::AccessTokenExpired),
        case("me-500", "Who has signed in: 500.", status(500)),
        case("me-cut", "Who has signed in: the connection is cut.", Effect::CutBefore),
    ]
}

/// The Web API, asked for plays.
pub fn read() -> Vec<Case> {
    let case =
        |name, what, effect| Case::new(name, what, Service::Webhook, Fault::At(Endpoint::RecentlyPlayed, effect));
    let no =
        Effect::Status { status: 403, body: BodyForm::Json, text: Some("no".to_owned()), retry_after_seconds: None };
    vec![
        case("read-not-listed", "Web API: 403, the user is not on the app's list.", Effect::UserNotAllowlisted),
        case("read-not-premium", "Web API: 403, the app's owner has no Premium.", Effect::OwnerNotPremium)
            .at_app()
            .mended_by(Remedy::Day),
        case("read-scope", "Web API: 403, the scope is missing.", Effect::InsufficientScope),
        case("read-forbidden", "Web API: 403 with another text.", no),
        case("read-unauthorized", "Web API: 401 for every token.", Effect::AccessTokenExpired),
        case("read-limited", "Web API: 429, for five minutes.", limited(300)).at_app(),
        case(
            "read-quota",
            "Web API: 429, the quota is spent, for a quarter of an hour.",
            Effect::QuotaExceeded { retry_after_seconds: Some(900) },
        )
        .at_app()
        .slowly(),
        case(
            "read-quota-silent",
            "Web API: 429, the quota is spent, and nobody says for how long.",
            Effect::QuotaExceeded { retry_after_seconds: None },
        )
        .at_app()
        .mended_by(Remedy::Day),
        case("read-500", "Web API: 500.", status(500)),
        case("read-503-later", "Web API: 503 with Retry-After.", later(503, 300)).at_app(),
        case("read-404", "Web API: 404.", status(404)),
        case("read-hang", "Web API: no answer.", Effect::Hang).slowly(),
        case("read-hang-after", "Web API: it acts and does not answer.", Effect::HangAfter).slowly(),
        case("read-cut", "Web API: the connection is cut before it acts.", Effect::CutBefore),
        case("read-cut-after", "Web API: the connection is cut after it acts.", Effect::CutAfter),
        case("read-truncated", "Web API: half a body.", Effect::TruncatedBody),
        case("read-page", "Web API: a web page.", Effect::HtmlBody),
        case("read-large", "Web API: a body without end.", Effect::OversizedBody { bytes: 0 }),
        case("read-types", "Web API: other types than promised.", Effect::WrongJsonType),
        case("read-slow", "Web API: an answer after a second.", Effect::DelayAfter { milliseconds: 1_000 }).unseen(),
        case("read-empty", "Web API: an empty page although there are plays.", Effect::EmptyPage).unseen(),
        case("read-stale", "Web API: the page of an hour ago.", Effect::StalePage { seconds: 3_600 }).unseen(),
        case("read-hidden", "Web API: the newest play is left out.", Effect::HideNewest { count: 1 }).unseen(),
        case("read-500-long", "Web API: 500, five times in a row.", status(500)).until(Until::Open),
        case("read-cut-long", "Web API: the connection is cut, five times in a row.", Effect::CutBefore)
            .until(Until::Open),
        case("read-away", "Web API: 503 to all accounts of an app.", status(503)).until(Until::AppOpen).at_app(),
    ]
}
