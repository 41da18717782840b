//! Events (events.k8s.io/v1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::Cluster;

/// The API's own bound on a note.
const MAXIMUM_NOTE_BYTES: usize = 1024;

/// A recorder merges Events that differ in nothing but their note into the first of them, for six minutes: what is wrong by
/// now would be told in the words of what was wrong before. So each note has a recorder of its own, kept for longer than
/// that; what is said again stays one Event.
const KEPT: Duration = Duration::from_mins(10);

/// Publishes Events, each note by a recorder of its own.
#[derive(Clone)]
pub(super) struct Recorders {
    client: kube::Client,
    reporter: Reporter,
    known: Arc<Mutex<HashMap<String, (Recorder, Instant)>>>,
}

impl Recorders {
    pub(super) fn new(client: kube::Client, reporter: Reporter) -> Self {
        Self { client, reporter, known: Arc::default() }
    }

    fn of(&self, note: &str) -> Recorder {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, used)| now.duration_since(*used) < KEPT);
        let new = || (Recorder::new(self.client.clone(), self.reporter.clone()), now);
        let (recorder, used) = known.entry(note.to_owned()).or_insert_with(new);
        *used = now;
        recorder.clone()
    }
}

/// What an Event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word in CamelCase.
    pub reason: String,
    /// What was done, one word in CamelCase.
    pub action: &'static str,
    /// For people; at most 1 KiB is sent.
    pub note: String,
}

impl Cluster {
    /// Publishes an Event about an object. That it could not be published is logged and nothing else: an Event is
    /// never worth a failure.
    pub async fn announce(&self, about: &ObjectReference, announcement: &Announcement) {
        let event = Event {
            type_: if announcement.warning { EventType::Warning } else { EventType::Normal },
            reason: announcement.reason.clone(),
            note: Some(cut(&announcement.note).to_owned()),
            action: announcement.action.to_owned(),
            secondary: None,
        };
        let recorder = self.recorders.of(&announcement.note);
        let published = tokio::time::timeout(super::REQUEST_DEADLINE, recorder.publish(&event, about)).await;
        if !matches!(published, Ok(Ok(()))) {
            tracing::warn!(reason = announcement.reason, "an Event could not be published");
        }
    }
}

fn cut(note: &str) -> &str {
    &note[..note.floor_char_boundary(MAXIMUM_NOTE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, server};
    use super::*;

    #[tokio::test]
    async fn another_note_is_another_event_and_the_same_one_is_not() {
        let event = serde_json::json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "one"}});
        let server = server(wiremock::ResponseTemplate::new(200).set_body_json(event)).await;
        let cluster = cluster(&server);
        let about = ObjectReference {
            name: Some("alice".to_owned()),
            namespace: Some("music".to_owned()),
            ..ObjectReference::default()
        };
        for note in ["signed in", "plays are read", "signed in"] {
            let reason = "Succeeded".to_owned();
            let said = Announcement { warning: false, reason, action: "Reconcile", note: note.to_owned() };
            cluster.announce(&about, &said).await;
        }
        let requests = server.received_requests().await.unwrap();
        let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
        assert_eq!(methods, ["POST", "POST", "PATCH"]);
    }

    #[test]
    fn notes_are_cut_between_characters() {
        let note = "ä".repeat(1000);
        assert_eq!(cut(&note).len(), 1024);
        let odd = format!("a{note}");
        assert_eq!(cut(&odd).len(), 1023);
        assert_eq!(cut("short"), "short");
    }
}
