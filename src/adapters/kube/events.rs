//! Events (events.k8s.io/v1).

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::Cluster;

/// The API's own bound on a note.
const MAXIMUM_NOTE_BYTES: usize = 1024;

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
        let published = tokio::time::timeout(super::REQUEST_DEADLINE, self.recorder.publish(&event, about)).await;
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
    use super::*;

    #[test]
    fn notes_are_cut_between_characters() {
        let note = "ä".repeat(1000);
        assert_eq!(cut(&note).len(), 1024);
        let odd = format!("a{note}");
        assert_eq!(cut(&odd).len(), 1023);
        assert_eq!(cut("short"), "short");
    }
}
