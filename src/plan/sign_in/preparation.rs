//! What has to be there before a listener is sent to Spotify, and again before anything is written.

use std::collections::BTreeMap;

use super::refusal::Refusal;
use crate::api::secret::{SecretUse, USE_LABEL, is_operators_own};
use crate::api::v1alpha1::{SecretKeyReference, SpotifyAccount, SpotifyApp};
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::token::Flow;
use crate::plan::observed::Lookup;
use crate::plan::reference;

/// What was read of the cluster.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The account's name.
    pub name: ObjectName,
    /// The account.
    pub account: SpotifyAccount,
    /// The name of its app.
    pub app_name: ObjectName,
    /// Its app.
    pub app: Lookup<SpotifyApp>,
    /// The labels of the account's namespace, where the app asks for some.
    pub namespace_labels: Option<BTreeMap<String, String>>,
    /// All accounts of the namespace.
    pub neighbours: Vec<SpotifyAccount>,
}

/// Everything is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// The account.
    pub account: ObjectName,
    /// The account's uid.
    pub uid: String,
    /// The token Secret.
    pub secret: ObjectName,
    /// The app.
    pub app: ObjectName,
    /// The app's client id.
    pub client_id: String,
    /// Where the app's client secret is; none for a public client.
    pub client_secret: Option<SecretKeyReference>,
    /// The Spotify user whose plays the account carries, once one is known.
    pub listener: Option<String>,
}

/// A token Secret that exists.
#[derive(Clone, Debug)]
pub struct ExistingSecret<'a> {
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// `immutable: true`.
    pub immutable: bool,
}

impl Preparation {
    /// Whether a listener can be signed in for this account.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn of(seen: &Sighting) -> Result<Self, Refusal> {
        let Sighting { name, account, app_name, app, namespace_labels, neighbours } = seen;
        if account.metadata.deletion_timestamp.is_some() {
            return Err(Refusal::AccountLeaving(name.clone()));
        }
        let secret = ObjectName::new(&name.namespace, &account.spec.token_secret_ref.name);
        if is_operators_own(&secret.name) {
            return Err(Refusal::OperatorsOwn(secret));
        }
        let older = neighbours.iter().filter(|other| reference::is_older_holder(other, account, &name.namespace));
        if let Some(holder) = older.min_by_key(|other| reference::age(other)) {
            let holder = ObjectName::new(&name.namespace, holder.metadata.name.clone().unwrap_or_default());
            return Err(Refusal::SecretInUse { secret, holder });
        }
        let app = reference::shared_app(app, app_name, &name.namespace, namespace_labels.as_ref())
            .map_err(|problem| Refusal::App(problem.message))?;
        let known = account.status.as_ref().and_then(|status| status.authorization.as_ref());
        Ok(Self {
            account: name.clone(),
            uid: account.metadata.uid.clone().unwrap_or_default(),
            secret,
            app: app_name.clone(),
            client_id: app.spec.client_id.clone(),
            client_secret: app.spec.client_secret_ref.clone(),
            listener: known.and_then(|known| known.spotify_account_id.clone()),
        })
    }

    /// How the app's listeners authorize it.
    pub fn flow(&self) -> Flow {
        if self.client_secret.is_some() { Flow::Confidential } else { Flow::Pkce }
    }

    /// Whether what was begun may be finished: with the same account and app, for the listener of the account.
    ///
    /// # Errors
    /// Something is another thing than at the beginning, or somebody else signed in.
    pub fn admit(&self, now: &Self, listener: &Listener) -> Result<(), Refusal> {
        // The listener may have become known meanwhile.
        if *self != (Self { listener: self.listener.clone(), ..now.clone() }) {
            return Err(Refusal::Changed(self.account.clone()));
        }
        match &now.listener {
            Some(known) if *known != listener.account_id => Err(Refusal::OtherListener(self.account.clone())),
            _ => Ok(()),
        }
    }

    /// Whether the token Secret may be written as it is.
    ///
    /// # Errors
    /// It is meant for something else, or cannot be changed.
    pub fn writable(&self, found: &ExistingSecret<'_>) -> Result<(), Refusal> {
        match found.labels.get(USE_LABEL) {
            None => return Err(Refusal::NotLabelled(self.secret.clone())),
            Some(label) if label != SecretUse::Token.as_str() => {
                return Err(Refusal::OtherUse { secret: self.secret.clone(), label: label.clone() });
            }
            Some(_) => {}
        }
        if found.immutable { Err(Refusal::Immutable(self.secret.clone())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn account(name: &str, uid: &str, created: &str) -> SpotifyAccount {
        serde_json::from_value(json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "SpotifyAccount",
            "metadata": {"name": name, "namespace": "music", "uid": uid, "creationTimestamp": created},
            "spec": {"appRef": {"name": "main"}, "tokenSecretRef": {"name": "alice-spotify"}, "targets": []},
        }))
        .unwrap()
    }

    fn app(spec: Value) -> Lookup<SpotifyApp> {
        let app = json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "SpotifyApp",
            "metadata": {"name": "main", "namespace": "music"}, "spec": spec,
        });
        Lookup::Found(Arc::new(serde_json::from_value(app).unwrap()))
    }

    fn seen() -> Sighting {
        let account = account("alice", "uid-alice", "2026-11-23T10:00:00Z");
        Sighting {
            name: ObjectName::new("music", "alice"),
            app_name: ObjectName::new("music", "main"),
            app: app(json!({"clientId": "c"})),
            namespace_labels: None,
            neighbours: vec![account.clone()],
            account,
        }
    }

    fn refused(change: impl FnOnce(&mut Sighting)) -> Refusal {
        let mut seen = seen();
        change(&mut seen);
        Preparation::of(&seen).unwrap_err()
    }

    #[test]
    fn an_account_with_its_app_is_all_that_is_needed() {
        let prepared = Preparation::of(&seen()).unwrap();
        assert_eq!(prepared.secret, ObjectName::new("music", "alice-spotify"));
        assert_eq!((prepared.uid.as_str(), prepared.listener.as_deref()), ("uid-alice", None));
        assert_eq!(prepared.flow(), Flow::Pkce);
        let confidential = json!({"clientId": "c", "clientSecretRef": {"name": "s", "key": "k"}});
        let prepared = Preparation::of(&Sighting { app: app(confidential), ..seen() }).unwrap();
        assert_eq!(prepared.flow(), Flow::Confidential);
    }

    #[test]
    fn what_cannot_work_is_refused_before_anybody_signs_in() {
        let leaving =
            refused(|seen| seen.account.metadata.deletion_timestamp = seen.account.metadata.creation_timestamp.clone());
        assert!(matches!(leaving, Refusal::AccountLeaving(_)), "{leaving}");
        for name in ["scrobble-operator-state-uid", "scrobble-operator-journal-uid"] {
            let own = refused(|seen| seen.account.spec.token_secret_ref.name = name.to_owned());
            assert!(matches!(own, Refusal::OperatorsOwn(_)), "{own}");
        }
        let missing = refused(|seen| seen.app = Lookup::Missing);
        assert!(missing.to_string().contains("SpotifyApp music/main does not exist: create it"), "{missing}");
        for (spec, labels, shared) in [
            (json!({"clientId": "c"}), None, false),
            (json!({"clientId": "c", "allowedNamespaces": {"from": "All"}}), None, true),
            (selector(), Some(("music", "allowed")), true),
            (selector(), Some(("music", "not")), false),
            (selector(), None, false),
        ] {
            let mut seen = seen();
            seen.app_name.namespace = "platform".to_owned();
            seen.namespace_labels = labels.map(|(key, value)| BTreeMap::from([(key.to_owned(), value.to_owned())]));
            seen.app = app(spec);
            match Preparation::of(&seen) {
                Ok(_) => assert!(shared, "{seen:?}"),
                Err(refusal) => {
                    assert!(!shared, "{refusal}");
                    assert!(refusal.to_string().contains("does not exist or is not shared with this namespace"));
                }
            }
        }
    }

    fn selector() -> Value {
        json!({"clientId": "c", "allowedNamespaces": {
            "from": "Selector", "selector": {"matchLabels": {"music": "allowed"}},
        }})
    }

    #[test]
    fn the_oldest_account_holds_the_token_secret() {
        for (other, held_by_other) in [
            (account("bob", "uid-bob", "2026-11-23T09:59:59Z"), true),
            (account("bob", "uid-bob", "2026-11-23T10:00:01Z"), false),
            // Of the same second: the name decides.
            (account("aaron", "uid-aaron", "2026-11-23T10:00:00Z"), true),
            (account("bob", "uid-bob", "2026-11-23T10:00:00Z"), false),
        ] {
            let mut seen = seen();
            let name = other.metadata.name.clone().unwrap();
            seen.neighbours.push(other);
            match Preparation::of(&seen) {
                Ok(_) => assert!(!held_by_other, "{name}"),
                Err(Refusal::SecretInUse { holder, .. }) => {
                    assert!(held_by_other);
                    assert_eq!(holder.name, name);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn only_the_accounts_own_listener_and_only_the_same_account_and_app_are_admitted() {
        let begun = Preparation::of(&seen()).unwrap();
        let listener = |id: &str| Listener { account_id: id.to_owned() };
        let known = |id: &str| Preparation { listener: Some(id.to_owned()), ..begun.clone() };
        assert_eq!(begun.admit(&begun, &listener("anybody")), Ok(()), "the first one");
        assert_eq!(known("alice").admit(&known("alice"), &listener("alice")), Ok(()));
        let other = Err(Refusal::OtherListener(begun.account.clone()));
        assert_eq!(known("alice").admit(&known("alice"), &listener("bob")), other);
        assert_eq!(begun.admit(&known("alice"), &listener("bob")), other, "became known meanwhile");
        assert_eq!(begun.admit(&known("alice"), &listener("alice")), Ok(()));
        let reference = Some(SecretKeyReference { name: "s".into(), key: "k".into() });
        for now in [
            Preparation { uid: "another".into(), ..begun.clone() },
            Preparation { secret: ObjectName::new("music", "another"), ..begun.clone() },
            Preparation { app: ObjectName::new("music", "another"), ..begun.clone() },
            Preparation { client_id: "another".into(), ..begun.clone() },
            Preparation { client_secret: reference, ..begun.clone() },
        ] {
            assert_eq!(begun.admit(&now, &listener("alice")), Err(Refusal::Changed(begun.account.clone())), "{now:?}");
        }
    }

    #[test]
    fn a_secret_that_is_meant_for_something_else_is_not_written() {
        let prepared = Preparation::of(&seen()).unwrap();
        let judged = |label: Option<&str>, immutable| {
            let labels = label.map(|label| (USE_LABEL.to_owned(), label.to_owned())).into_iter().collect();
            prepared.writable(&ExistingSecret { labels: &labels, immutable })
        };
        assert_eq!(judged(Some("token"), false), Ok(()));
        assert_eq!(judged(Some("token"), true), Err(Refusal::Immutable(prepared.secret.clone())));
        assert_eq!(judged(None, false), Err(Refusal::NotLabelled(prepared.secret.clone())));
        for label in ["client", "target", "credentials", "state", "Token", ""] {
            let other = Refusal::OtherUse { secret: prepared.secret.clone(), label: label.to_owned() };
            assert_eq!(judged(Some(label), true), Err(other));
        }
    }
}
