//! Which objects have to be looked at because another one changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use kube::ResourceExt as _;

use crate::api::v1alpha1::{NamespacedReference, SpotifyAccount};
use crate::domain::name::ObjectName;
use crate::plan::duplicate;
use crate::reconcile::feed::Feed;

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An app.
    App(ObjectName),
    /// What Spotify says about an app's client credentials.
    Client(ObjectName),
    /// A limit that an app has met: its status is to tell when it is over.
    Limit(ObjectName),
    /// A target.
    Target(ObjectName),
    /// What is known of a target's service.
    Standing {
        /// The target.
        target: ObjectName,
        /// Whether its accounts wait for it.
        awaited: bool,
    },
    /// A plan, by name.
    Plan(String),
    /// The members of a plan, or how many seats it has left: its status, which tells it after each seat.
    Members {
        /// The plan.
        plan: String,
        /// Whose seat or number is not what it was.
        touched: Arc<BTreeSet<ObjectName>>,
        /// Who has a seat, where there are seats again after there was none.
        seated: Option<Arc<BTreeSet<ObjectName>>>,
    },
    /// A namespace's metadata.
    Namespace(String),
    /// An account: what it refers to.
    Account {
        /// Its name.
        name: ObjectName,
        /// Its token Secret.
        token_secret: String,
        /// Its app.
        app: ObjectName,
        /// Its targets.
        targets: Vec<ObjectName>,
        /// Its Spotify user, if its status tells.
        listener: Option<String>,
    },
    /// So much that some of it was not noted.
    Everything,
}

/// Tells about changes.
#[derive(Clone)]
pub struct Changes(Feed<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(Feed::keeping(4096))
    }
}

impl Changes {
    /// Tells everybody.
    pub fn tell(&self, change: Change) {
        self.0.tell(change);
    }

    /// The changes from now on.
    pub fn listen(&self) -> impl Stream<Item = Change> + Send + 'static {
        self.0.listen().map(|change| change.unwrap_or(Change::Everything)).boxed()
    }
}

impl Change {
    /// The change of an account.
    pub fn of_account(account: &SpotifyAccount) -> Self {
        let namespace = account.namespace().unwrap_or_default();
        let name = |reference: &NamespacedReference| reference.object(&namespace);
        Self::Account {
            name: ObjectName::new(&namespace, account.name_any()),
            token_secret: account.spec.token_secret_ref.name.clone(),
            app: name(&account.spec.app_ref),
            targets: account.spec.targets.iter().map(|target| name(&target.target_ref)).collect(),
            listener: duplicate::listener(account).map(ToOwned::to_owned),
        }
    }

    /// Whether an account has to be looked at.
    pub fn concerns(&self, account: &SpotifyAccount) -> bool {
        let Self::Account { name, token_secret, app, targets, listener } = Self::of_account(account) else {
            return false;
        };
        match self {
            Self::Everything => true,
            Self::Limit(_) => false,
            Self::App(changed) | Self::Client(changed) => *changed == app,
            Self::Target(changed) => targets.contains(changed),
            Self::Standing { target: changed, awaited } => *awaited && targets.contains(changed),
            Self::Plan(changed) => account.spec.plan.as_ref() == Some(changed) || is_elsewhere(account),
            Self::Members { plan, touched, seated } => {
                let waits = |seated: &BTreeSet<ObjectName>| match &account.spec.plan {
                    Some(asked) if asked == plan => !seated.contains(&name),
                    _ => is_elsewhere(account),
                };
                touched.contains(&name) || seated.as_ref().is_some_and(|seated| waits(seated))
            }
            Self::Namespace(changed) => *changed == name.namespace,
            Self::Account { name: changed, token_secret: secret, listener: user, .. } => {
                let same_secret = changed.namespace == name.namespace && *secret == token_secret;
                // One of two accounts of a listener serves the targets that both name, or both named before.
                let same_listener = user.is_some() && *user == listener;
                *changed != name && (same_secret || same_listener)
            }
        }
    }
}

/// Whether an account is not in the plan that it names: it waits, or is in a fallback, and any plan may be on its way.
fn is_elsewhere(account: &SpotifyAccount) -> bool {
    let shown = account.status.as_ref().and_then(|status| status.membership.as_ref());
    account.spec.plan.is_some() && shown.and_then(|shown| shown.plan.as_ref()) != account.spec.plan.as_ref()
}
