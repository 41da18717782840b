//! The notification webhook of an app: one notice a request. docs/notifications.md is the receiver's side of this file.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::http::{ANSWER_BYTES, Answer, GuardedClient, retry_after, signature};
use crate::domain::answer::Trouble;
use crate::domain::notice::{Notice, NoticeAnswer};

/// The version of the body's schema: a field more or less, or with another meaning, is a new version.
const SCHEMA: &str = "scrobble-operator.io/notification/v1";
/// The only type of notice so far.
const TYPE: &str = "AccountNeedsHuman";
/// How long a webhook may take for one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends a notice once.
pub async fn send(
    http: &GuardedClient,
    url: &Url,
    signing_key: Option<&SecretString>,
    notice: &Notice,
) -> NoticeAnswer {
    send_within(DEADLINE, http, url, signing_key, notice).await
}

async fn send_within(
    deadline: Duration,
    http: &GuardedClient,
    url: &Url,
    signing_key: Option<&SecretString>,
    notice: &Notice,
) -> NoticeAnswer {
    let (body, timestamp) = (body(notice), notice.time.as_second());
    let complete = |request| signature::complete(request, &notice.id, signing_key, timestamp, body);
    match http.send(Method::POST, url, deadline, ANSWER_BYTES, complete).await {
        Ok(answer) => answered(&answer),
        Err(trouble) => NoticeAnswer::NotNow { retry_after: None, trouble },
    }
}

/// The table of docs/notifications.md. Only statuses that speak of this very request end its tries: a wrong path or an
/// Ingress without its backend (404) may be mended in a minute.
fn answered(answer: &Answer) -> NoticeAnswer {
    match answer.status.as_u16() {
        200..=299 | 409 => NoticeAnswer::Taken,
        410 => NoticeAnswer::Gone,
        status @ (400 | 401 | 403 | 413 | 422) => NoticeAnswer::Refused(status),
        other => {
            let trouble = if other == 429 { Trouble::RateLimited } else { Trouble::Status(other) };
            NoticeAnswer::NotNow { retry_after: retry_after(&answer.headers), trouble }
        }
    }
}

/// The keys are in one order whatever the code does, so that every try is the same bytes.
fn body(notice: &Notice) -> String {
    let named = |namespace: &str, name: &str| json!({"name": name, "namespace": namespace});
    let mut fields: BTreeMap<&'static str, Value> = BTreeMap::new();
    fields.insert("account", named(&notice.account.namespace, &notice.account.name));
    fields.insert("app", named(&notice.app.namespace, &notice.app.name));
    fields.insert("command", json!(notice.command));
    fields.insert("id", json!(notice.id));
    fields.insert("number", json!(notice.number));
    fields.insert("of", json!(notice.of));
    fields.insert("reason", json!(notice.reason));
    fields.insert("schema", json!(SCHEMA));
    fields.insert("text", json!(notice.text));
    fields.insert("time", json!(format!("{:.0}", notice.time)));
    fields.insert("type", json!(TYPE));
    json!(fields).to_string()
}

#[cfg(test)]
mod tests;
