//! What was read before anything is decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::budget::Portion;
use super::seating::Seating;
use super::step::SecretTrouble;
use crate::api::v1alpha1::{ScrobbleTarget, SpotifyApp};
use crate::domain::journal::Journal;
use crate::domain::name::ObjectName;
use crate::domain::play::Page;
use crate::domain::token::Flow;

/// An object that another one refers to, as the watches know it.
#[derive(Clone, Debug)]
pub enum Lookup<T> {
    /// It exists.
    Found(Arc<T>),
    /// It does not exist, or in a namespace that this operator does not watch.
    Missing,
    /// It exists and this version cannot read it.
    Unreadable,
}

/// Bounds that are the operator's own flags.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// An access token with less than this left is refreshed first.
    pub refresh_buffer: SignedDuration,
    /// The shortest time between two reads of one account.
    pub minimum_interval: SignedDuration,
    /// So many calls of one app may be sent to the Web API in 30 seconds.
    pub app_requests_per_30s: u32,
    /// The shortest time between two requests of one account that are granted.
    pub minimum_request_interval: SignedDuration,
}

/// A target entry of the account, with what it refers to.
#[derive(Clone, Debug)]
pub struct TargetEntry {
    /// The entry's name.
    pub entry: String,
    /// What it refers to.
    pub name: ObjectName,
    /// What was found there.
    pub target: Lookup<ScrobbleTarget>,
    /// Whether this process holds the entry's credentials.
    pub prepared: bool,
    /// Names the credentials that this process holds, where the service can be asked about them.
    pub credentials_id: Option<String>,
    /// The older account that serves the same listener there with the same credentials, if there is one.
    pub holder: Option<ObjectName>,
    /// Whether a play of ours got through there since the last one whose second was taken.
    pub moved_on: bool,
    /// What this process knows of the target besides its status.
    pub view: TargetView,
}

/// What this process knows of a target besides the target's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetView {
    /// A request is on its way that probes the target's open breaker.
    pub probing: bool,
    /// This account's was the last probe, and in vain.
    pub probed_last: bool,
    /// When the breaker closed, if this process closed it.
    pub closed_time: Option<Timestamp>,
}

/// The journal as this process holds it.
#[derive(Clone, Debug, Default)]
pub struct JournalView {
    /// Its plays; none where it was not read yet.
    pub journal: Option<Arc<Journal>>,
    /// Why it can be neither read nor written, if it cannot: plays wait only for as long as Spotify shows them.
    pub trouble: Option<SecretTrouble>,
    /// The Secret also holds a journal that no version known here can read.
    pub set_aside: bool,
}

/// What is known of a token without its value.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenView {
    /// When the access token ends; none where there is no access token.
    pub expires_at: Option<Timestamp>,
    /// Names the authorization: the same for all tokens that one sign-in led to.
    pub authorization_id: String,
    /// Names the refresh token: another one after each rotation.
    pub token_id: String,
    /// When the listener signed in, if the Secret says.
    pub authorized_at: Option<Timestamp>,
    /// How the token was obtained, if the Secret says.
    pub flow: Option<Flow>,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// Whether an exchange of this token may have been cut off.
    pub interrupted: Option<Interruption>,
    /// Spotify's Web API has refused this access token, which is not asked about again.
    pub refused: bool,
    /// Whether the token Secret holds a token that has been replaced since: somebody put it back.
    pub put_back: bool,
}

/// How it is known that an exchange may have been cut off between its claim and its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// Its claim is open.
    Claimed {
        /// When it was claimed (real time).
        time: Timestamp,
    },
    /// Something replaced the token Secret and wiped the operator's keys in it, the claim among them if there was one.
    Wiped,
}

impl TokenView {
    /// Until when the access token can be used; none where there is none, or where Spotify has refused it: what it said
    /// no to is replaced, not shown again.
    pub fn usable_until(&self) -> Option<Timestamp> {
        self.expires_at.filter(|_| !self.refused)
    }
}

/// From when to when somebody was on duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    /// When this process went on duty.
    pub since: Timestamp,
    /// Until when some operator is known to have been on duty before; none where nobody ever was.
    pub before_until: Option<Timestamp>,
}

/// What this process knows of an app's client credentials besides the app's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientView {
    /// Another account's exchange is on its way and will tell whether Spotify accepts them.
    pub asked: bool,
    /// This account was the last to be told that Spotify does not.
    pub refused_last: bool,
}

/// Everything that decisions about an account rest on, besides the account itself.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The account's namespace.
    pub namespace: String,
    /// Labels of the account's namespace; none where it is not known.
    pub namespace_labels: Option<BTreeMap<String, String>>,
    /// The app that the account refers to.
    pub app: Lookup<SpotifyApp>,
    /// Its name.
    pub app_name: ObjectName,
    /// Its client credentials.
    pub client: ClientView,
    /// The account's place in the plan that it names, or in what that falls back to.
    pub seating: Seating,
    /// The account's targets, in the order of the spec.
    pub targets: Vec<TargetEntry>,
    /// The older account that holds this account's token Secret, if there is one.
    pub token_secret_holder: Option<ObjectName>,
    /// The token, if this process holds it.
    pub token: Option<TokenView>,
    /// The last successful read by this process.
    pub last_read: Option<Timestamp>,
    /// The last page, while plays of it wait for a target.
    pub waiting_page: Option<Arc<Page>>,
    /// The plays that wait or were refused.
    pub journal: JournalView,
    /// Who was on duty when.
    pub duty: Duty,
    /// The operator's own bounds.
    pub settings: Settings,
    /// What the call budget of the app's quota group leaves of the account's reads.
    pub portion: Portion,
    /// Whether that budget is too small for what the accounts of the group wish.
    pub short_of_calls: bool,
}
