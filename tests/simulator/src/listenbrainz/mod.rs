//! `ListenBrainz` API 1 (services.md section 2.2).

mod listen;

use serde_json::{Value, json};

use crate::api::{Listen, ListenBrainzRules};
use crate::call::{Answer, Call, Visit};
use crate::digest;
use crate::state::World;
use listen::{ListenType, Submission};

/// Largest body in bytes.
const LARGEST_PAYLOAD: usize = 10_240_000;
/// Most listens of a request.
const MOST_LISTENS: usize = 1_000;
/// Listens answered unless asked, and at most.
const DEFAULT_ITEMS: usize = 25;
const MOST_ITEMS: usize = 1_000;
/// The key of the only row of rules.
pub(crate) const RULES: &str = "rules";

/// The user whose token a request carries.
pub(crate) fn user(world: &World, call: &Call) -> Option<String> {
    world.listenbrainz_tokens.get(call.credentials("token")?).cloned()
}

pub(crate) fn too_many_requests() -> Answer {
    error(429, "You have exceeded your rate limit. See the X-RateLimit-* response headers for more information.")
}

pub(crate) fn validate(visit: &mut Visit<'_>) -> Answer {
    limited(visit, |visit| {
        if visit.call.method != http::Method::GET {
            return error(405, "The method is not allowed for the requested URL.");
        }
        if visit.call.header("authorization").is_none() {
            return error(400, "You need to provide an Authorization token.");
        }
        let body = match user(visit.world, visit.call) {
            Some(name) => json!({"code": 200, "message": "Token valid.", "valid": true, "user_name": name}),
            None => json!({"code": 200, "message": "Token invalid.", "valid": false}),
        };
        Answer::json(200, &body)
    })
}

pub(crate) fn submit(visit: &mut Visit<'_>) -> Answer {
    limited(visit, |visit| {
        if visit.call.method != http::Method::POST {
            return error(405, "The method is not allowed for the requested URL.");
        }
        if visit.call.header("authorization").is_none() {
            return error(401, "You need to provide an Authorization header.");
        }
        let Some(user) = user(visit.world, visit.call) else {
            return error(401, "Invalid authorization token.");
        };
        match take(visit, &user) {
            Ok(()) => Answer::json(200, &json!({"status": "ok"})),
            Err(message) => {
                visit.facts.error = Some(message.clone());
                error(400, &message)
            }
        }
    })
}

/// All listens of a request or none.
fn take(visit: &mut Visit<'_>, user: &str) -> Result<(), String> {
    let body = &visit.call.body;
    if body.len() > LARGEST_PAYLOAD {
        return Err(format!("Payload too large. Payload has {} bytes, at most {LARGEST_PAYLOAD}", body.len()));
    }
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("Cannot parse JSON document: {error}"))?;
    let listen_type = listen::listen_type(&document)?;
    visit.facts.listen_type = document["listen_type"].as_str().map(ToOwned::to_owned);
    let payload = document["payload"].as_array().ok_or("JSON document must contain the key payload with a list")?;
    visit.facts.items = Some(payload.len() as u64);
    if payload.is_empty() {
        return Err("JSON document does not contain any listens".into());
    }
    if payload.len() > MOST_LISTENS {
        return Err(format!("Too many listens. At most {MOST_LISTENS} listens in a request"));
    }
    let most = payload.len() * listen::LARGEST_LISTEN;
    if body.len() > most {
        return Err(format!("JSON document is too large: {} bytes, at most {most} for its listens", body.len()));
    }
    if listen_type != ListenType::Import && payload.len() > 1 {
        return Err("JSON document contains more than listen for a single listen or playing_now.".into());
    }
    let refused = visit.world.listenbrainz_rules.get(RULES).map(|rules| rules.refuse_titles.clone());
    let refused = refused.unwrap_or_default();
    let mut submissions = Vec::new();
    for entry in payload {
        let submission = listen::check(entry, listen_type, visit.now)?;
        if refused.iter().any(|text| submission.title.contains(text.as_str())) {
            return Err(format!("listen of {:?} refused by script", submission.title));
        }
        submissions.push(submission);
    }
    if listen_type == ListenType::PlayingNow {
        return Ok(());
    }
    let mut new = 0;
    for submission in submissions {
        new += u64::from(store(visit, user, submission));
    }
    visit.facts.items_new = Some(new);
    Ok(())
}

/// Whether the listen is new: the key is second, user and recording; a repeat is dropped without a word.
fn store(visit: &mut Visit<'_>, user: &str, submission: Submission) -> bool {
    let key = format!("{user}/{:012}/{}", submission.listened_at, submission.recording_msid);
    let form = digest::sha256(submission.entry.to_string());
    if let Some(known) = visit.world.listens.edit(&key) {
        known.received += 1;
        known.last_time = visit.now;
        if !known.forms.contains(&form) {
            known.forms.push(form);
        }
        return false;
    }
    let listen = Listen {
        user: user.to_owned(),
        listened_at: submission.listened_at,
        recording_msid: submission.recording_msid,
        track_metadata: submission.entry["track_metadata"].clone(),
        forms: vec![form],
        received: 1,
        first_time: visit.now,
        last_time: visit.now,
    };
    visit.world.listens.put(key, listen);
    true
}

pub(crate) fn listens(visit: &mut Visit<'_>) -> Answer {
    limited(visit, |visit| {
        let name = visit.call.segments.get(3).cloned().unwrap_or_default();
        if !visit.world.listenbrainz_tokens.values().any(|known| *known == name) {
            return error(404, &format!("Cannot find user: {name}"));
        }
        let number = |key: &str| visit.call.query(key).map(str::parse::<i64>).transpose();
        let (Ok(count), Ok(newest), Ok(oldest)) = (number("count"), number("max_ts"), number("min_ts")) else {
            return error(400, "count, max_ts and min_ts are non-negative integers");
        };
        if newest.is_some() && oldest.is_some_and(|oldest| newest.is_some_and(|newest| newest < oldest)) {
            return error(400, "max_ts should be greater than min_ts");
        }
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(DEFAULT_ITEMS).min(MOST_ITEMS);
        let all: Vec<&Listen> = visit.world.listens.of(&name).map(|(_, listen)| listen).collect();
        let found: Vec<Value> = all
            .iter()
            .rev()
            .filter(|listen| newest.is_none_or(|newest| listen.listened_at < newest))
            .filter(|listen| oldest.is_none_or(|oldest| listen.listened_at > oldest))
            .take(count)
            .map(|listen| shown(listen))
            .collect();
        let body = json!({"payload": {
            "count": found.len(),
            "listens": found,
            "user_id": name,
            "latest_listen_ts": all.last().map_or(0, |listen| listen.listened_at),
            "oldest_listen_ts": all.first().map_or(0, |listen| listen.listened_at),
        }});
        Answer::json(200, &body)
    })
}

fn shown(listen: &Listen) -> Value {
    json!({
        "inserted_at": listen.first_time.as_second(),
        "listened_at": listen.listened_at,
        "recording_msid": listen.recording_msid,
        "track_metadata": listen.track_metadata,
        "user_name": listen.user,
    })
}

/// Counts the request in its window and tells the client how many are left.
fn limited(visit: &mut Visit<'_>, answer: impl FnOnce(&mut Visit<'_>) -> Answer) -> Answer {
    const BUCKET: &str = "listenbrainz";
    let rules = visit.world.listenbrainz_rules.get(RULES).cloned().unwrap_or_else(ListenBrainzRules::default);
    let seconds = rules.rate_window_seconds.max(1);
    let window = visit.now.as_second().div_euclid(seconds);
    let mut bucket = visit.world.buckets.get(BUCKET).cloned().unwrap_or_default();
    if bucket.window != window {
        bucket.window = window;
        bucket.count = 0;
    }
    let exceeded = bucket.count >= rules.rate_limit;
    bucket.count = bucket.count.saturating_add(1);
    let left = rules.rate_limit.saturating_sub(bucket.count);
    visit.world.buckets.put(BUCKET, bucket);
    let reset = (window + 1) * seconds;
    let answer = if exceeded { too_many_requests() } else { answer(visit) };
    answer
        .with("x-ratelimit-limit", rules.rate_limit.to_string())
        .with("x-ratelimit-remaining", left.to_string())
        .with("x-ratelimit-reset", reset.to_string())
        .with("x-ratelimit-reset-in", (reset - visit.now.as_second()).to_string())
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"code": status, "error": message}))
}
