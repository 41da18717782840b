//! The receiver of webhooks.

use std::collections::BTreeMap;

use crate::api::{Delivery, WebhookSettings};
use crate::call::{Answer, Call, Visit};
use crate::digest;

pub(crate) fn answer(visit: &mut Visit<'_>) -> Answer {
    if visit.call.method != http::Method::POST {
        return Answer::empty(405).with("allow", "POST");
    }
    let name = visit.call.segments.get(1).cloned().unwrap_or_default();
    let settings = visit.world.webhooks.get(&name).cloned().unwrap_or_else(WebhookSettings::default);
    let accepted = u32::from((200..300).contains(&settings.status));
    let form = digest::sha256(&visit.call.body);
    let key = visit.call.header("idempotency-key").map_or_else(|| format!("sha256:{form}"), ToOwned::to_owned);
    let row = format!("{name}/{key}");
    visit.facts.items = Some(1);
    if let Some(known) = visit.world.deliveries.edit(&row) {
        visit.facts.items_new = Some(u64::from(accepted > 0 && known.accepted == 0));
        known.received += 1;
        known.accepted += accepted;
        known.last_time = visit.now;
        if !known.forms.contains(&form) {
            known.forms.push(form);
        }
    } else {
        visit.facts.items_new = Some(u64::from(accepted));
        let delivery = Delivery {
            webhook: name,
            key,
            body: String::from_utf8_lossy(&visit.call.body).into_owned(),
            headers: headers(visit.call),
            forms: vec![form],
            received: 1,
            accepted,
            first_time: visit.now,
            last_time: visit.now,
            first_seq: visit.seq,
        };
        visit.world.deliveries.put(row, delivery);
    }
    Answer::empty(settings.status)
}

fn headers(call: &Call) -> BTreeMap<String, String> {
    let text = |name: &http::HeaderName, value: &http::HeaderValue| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if *name == http::header::AUTHORIZATION { format!("sha256:{}", digest::sha256(value)) } else { value }
    };
    call.headers.iter().map(|(name, value)| (name.to_string(), text(name, value))).collect()
}
