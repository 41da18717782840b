//! What an app's notification webhook is told, and what it answers.

use jiff::{SignedDuration, Timestamp};

use super::answer::Trouble;
use super::name::ObjectName;

/// An account needs a human, as the app's notification webhook is told. Every try to send it is the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Tells this notice from every other one: 32 hexadecimal digits.
    pub id: String,
    /// The app.
    pub app: ObjectName,
    /// The account.
    pub account: ObjectName,
    /// The account's `metadata.uid`.
    pub account_uid: String,
    /// Why, a word of the documented table of reasons.
    pub reason: String,
    /// What is wrong and what to do.
    pub text: String,
    /// The command that helps; none where no command does.
    pub command: Option<String>,
    /// Which one it is since the last authorization, from 1.
    pub number: i32,
    /// So many are sent at most.
    pub of: i32,
    /// When it was decided to send it, in whole seconds.
    pub time: Timestamp,
}

/// What a notification webhook answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeAnswer {
    /// It has the notice.
    Taken,
    /// It wants no notices any more (410).
    Gone,
    /// It does not take this one, with this HTTP status.
    Refused(u16),
    /// It cannot take it now, or nobody knows whether it has.
    NotNow {
        /// How long it asks to be left alone, if it says.
        retry_after: Option<SignedDuration>,
        /// What is wrong.
        trouble: Trouble,
    },
}
