//! What each watch has come to: listed once, going on, or refused by the API server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Resource;
use kube::runtime::watcher;

use crate::plan::readiness::{Trouble, Watch};

/// A watch that goes on tells nothing while nothing happens; one that is refused tries again, and is refused again,
/// every few seconds. So a refusal that is older than this is over.
const FRESH: Duration = Duration::from_secs(20);

/// Which watches have listed everything once.
///
/// kube's own `Store::wait_until_ready` wakes one waiter only, and the controller is that one.
#[derive(Clone)]
pub struct Listed {
    waiting: tokio::sync::watch::Sender<usize>,
    watches: Arc<Mutex<Vec<Watched>>>,
}

impl Default for Listed {
    fn default() -> Self {
        Self { waiting: tokio::sync::watch::channel(0).0, watches: Arc::default() }
    }
}

impl Listed {
    /// One more watch, of a kind in a namespace or everywhere.
    pub fn expect<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>) -> Watched {
        let (plural, group) = (K::plural(&()), K::group(&()));
        let resource = if group.is_empty() { plural.into_owned() } else { format!("{plural}.{group}") };
        self.waiting.send_modify(|waiting| *waiting += 1);
        let record = Record { resource, namespace: namespace.map(str::to_owned), listed: false, refused: None };
        let watched = Watched { record: Arc::new(Mutex::new(record)), waiting: self.waiting.clone() };
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).push(watched.clone());
        watched
    }

    /// Whether every watch has listed everything once.
    pub fn is_complete(&self) -> bool {
        *self.waiting.borrow() == 0
    }

    /// Waits for that.
    pub async fn wait(&self) {
        // The sender lives as long as self does: the wait cannot fail.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    /// All watches as they are now.
    pub fn watches(&self) -> Vec<Watch> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.iter().map(|watched| watched.record().known(Instant::now())).collect()
    }
}

/// A watch, as it tells of itself.
#[derive(Clone)]
pub struct Watched {
    record: Arc<Mutex<Record>>,
    waiting: tokio::sync::watch::Sender<usize>,
}

struct Record {
    resource: String,
    namespace: Option<String>,
    listed: bool,
    refused: Option<(Trouble, Instant)>,
}

impl Watched {
    /// It has listed everything.
    pub fn has_listed(&self) {
        let mut record = self.record();
        record.refused = None;
        if !std::mem::replace(&mut record.listed, true) {
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }

    /// It could not list, or not watch, and tries again.
    pub fn has_failed(&self, error: &watcher::Error) {
        // An API server that does not answer at all is noticed by whoever keeps the Lease.
        self.record().refused = trouble(error).map(|trouble| (trouble, Instant::now()));
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn known(&self, now: Instant) -> Watch {
        let lately = |since: Instant| !self.listed || now.saturating_duration_since(since) < FRESH;
        Watch {
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            listed: self.listed,
            trouble: self.refused.filter(|(_, since)| lately(*since)).map(|(trouble, _)| trouble),
        }
    }
}

/// What the API server has answered; none where it did not.
fn trouble(error: &watcher::Error) -> Option<Trouble> {
    let (verb, code) = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => ("list", status.code),
        watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => ("watch", status.code),
        _ => return None,
    };
    Some(match code {
        403 => Trouble::Forbidden { verb },
        404 => Trouble::NotServed,
        code => Trouble::Answered { code },
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::api::v1alpha1::{ScrobblePlan, SpotifyApp};

    fn answered(code: u16) -> kube::Error {
        kube::Error::Api(Status { code, ..Status::default() }.boxed())
    }

    #[test]
    fn watches_are_named_as_rbac_and_definitions_name_them() {
        let listed = Listed::default();
        let (_apps, _plans) = (listed.expect::<SpotifyApp>(Some("music")), listed.expect::<ScrobblePlan>(None));
        let _namespaces = listed.expect::<k8s_openapi::api::core::v1::Namespace>(None);
        let named: Vec<_> = listed.watches().into_iter().map(|watch| (watch.resource, watch.namespace)).collect();
        let expected = [
            ("spotifyapps.scrobble-operator.io", Some("music")),
            ("scrobbleplans.scrobble-operator.io", None),
            ("namespaces", None),
        ];
        let expected = expected.map(|(resource, namespace)| (resource.to_owned(), namespace.map(str::to_owned)));
        assert_eq!(named, expected);
    }

    #[test]
    fn a_list_counts_once_and_ends_the_trouble() {
        let listed = Listed::default();
        let watched = [listed.expect::<SpotifyApp>(None), listed.expect::<ScrobblePlan>(None)];
        watched[0].has_failed(&watcher::Error::InitialListFailed(answered(404)));
        assert_eq!(listed.watches()[0].trouble, Some(Trouble::NotServed));
        for _ in 0..2 {
            watched[0].has_listed();
            assert!(!listed.is_complete());
        }
        let known = &listed.watches()[0];
        assert_eq!((known.listed, known.trouble), (true, None));
        watched[1].has_listed();
        assert!(listed.is_complete());
    }

    #[test]
    fn the_verb_that_was_refused_is_known() {
        for (error, expected) in [
            (watcher::Error::InitialListFailed(answered(403)), Some(Trouble::Forbidden { verb: "list" })),
            (watcher::Error::WatchStartFailed(answered(403)), Some(Trouble::Forbidden { verb: "watch" })),
            (watcher::Error::WatchFailed(answered(404)), Some(Trouble::NotServed)),
            (watcher::Error::InitialListFailed(answered(500)), Some(Trouble::Answered { code: 500 })),
            (
                watcher::Error::WatchError(Status { code: 410, ..Status::default() }.boxed()),
                Some(Trouble::Answered { code: 410 }),
            ),
            (watcher::Error::NoResourceVersion, None),
        ] {
            assert_eq!(trouble(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_refusal_is_over_once_it_is_not_repeated_but_not_before_there_was_a_list() {
        let now = Instant::now();
        let mut record = Record {
            resource: "namespaces".to_owned(),
            namespace: None,
            listed: true,
            refused: Some((Trouble::NotServed, now)),
        };
        assert_eq!(record.known(now + FRESH / 2).trouble, Some(Trouble::NotServed));
        assert_eq!(record.known(now + FRESH).trouble, None);
        record.listed = false;
        assert_eq!(record.known(now + FRESH * 100).trouble, Some(Trouble::NotServed));
    }
}
