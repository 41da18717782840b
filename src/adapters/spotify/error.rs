//! The Web API's errors, by status and a few known texts; some are plain text although JSON is documented.

use serde::Deserialize;

use crate::adapters::http::{Answer, retry_after};
use crate::domain::answer::{ApiAnswer, Forbidden, Trouble};

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default)]
    reason: Option<String>,
}

/// What an answer other than 200 means.
pub(super) fn classify<T>(answer: &Answer) -> ApiAnswer<T> {
    match answer.status.as_u16() {
        401 => ApiAnswer::Unauthorized,
        403 => ApiAnswer::Forbidden(forbidden(&answer.body)),
        429 => ApiAnswer::RateLimited { retry_after: retry_after(&answer.headers), quota: is_quota(&answer.body) },
        other => ApiAnswer::Failed(Trouble::of_status(other, retry_after(&answer.headers))),
    }
}

fn forbidden(body: &[u8]) -> Forbidden {
    let text = String::from_utf8_lossy(&body[..body.len().min(2048)]).to_ascii_lowercase();
    if text.contains("insufficient client scope") {
        Forbidden::Scope
    } else if text.contains("not registered in the developer dashboard") {
        Forbidden::NotAllowlisted
    } else if text.contains("premium subscription required for the owner") {
        Forbidden::OwnerNotPremium
    } else {
        Forbidden::Other
    }
}

/// Since July 2026 the body names the quota (Web API, changes of July 2026).
fn is_quota(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody>(body)
        .is_ok_and(|body| body.error.reason.is_some_and(|reason| reason == "QUOTA_EXCEEDED"))
}
