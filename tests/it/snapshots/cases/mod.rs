//! The failures.

mod last_fm;
mod listenbrainz;
mod spotify;
mod webhook;

use scrobble_simulator::api::{BodyForm, Effect, Endpoint, ListenBrainzRules};

/// One failure.
pub struct Case {
    /// The account's name, and the file's.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// What is done to the simulator.
    pub fault: Fault,
    /// Where plays go to.
    pub service: Service,
    /// What makes the operator meet the fault.
    pub trigger: Trigger,
    /// Until when it stays.
    pub until: Until,
    /// What mends it.
    pub remedy: Remedy,
    /// The app's own status tells of it.
    pub at_app: bool,
    /// The target's own status tells of it.
    pub at_target: bool,
    /// It waits for a deadline or a breaker.
    pub slow: bool,
}

/// What goes wrong at the simulator.
pub enum Fault {
    /// Nothing: what triggers it is wrong in itself.
    None,
    /// Requests of this account end so.
    At(Endpoint, Effect),
    /// One request does.
    Once(Endpoint, Effect),
    /// ListenBrainz has other rules.
    Rules(ListenBrainzRules),
    /// Last.fm ignores what this user scrobbles, with this code.
    Ignored(u32),
    /// Last.fm has suspended the application.
    ApplicationSuspended,
}

/// A service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Webhook,
    ListenBrainz,
    LastFm,
}

/// What makes the operator ask where it goes wrong; a play and a request to read come with each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Those alone.
    Play,
    /// The access token is at its end.
    OldToken,
    /// The listener has signed in again.
    NewToken,
    /// Somebody else's token is in the Secret.
    OtherListener,
    /// The listener's key at the service is another one.
    NewKey,
    /// The same, but the service does not know it.
    WrongKey,
}

/// Until when a fault stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Something is said.
    Told,
    /// The account is not Ready.
    NotReady,
    /// The read is over: nothing can be said, for nobody can know.
    Read,
    /// A circuit breaker opens.
    Open,
    /// The same, and the app has two accounts.
    AppOpen,
}

/// What mends it, after the fault is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A request to read, at the most.
    Request,
    /// The listener signs in.
    SignIn,
    /// A day.
    Day,
}

impl Case {
    fn new(name: &'static str, what: &'static str, service: Service, fault: Fault) -> Self {
        Self {
            name,
            what,
            fault,
            service,
            trigger: Trigger::Play,
            until: Until::Told,
            remedy: Remedy::Request,
            at_app: false,
            at_target: false,
            slow: false,
        }
    }

    /// What makes the operator meet it.
    fn after(self, trigger: Trigger) -> Self {
        Self { trigger, ..self }
    }

    /// Nobody can tell.
    fn unseen(self) -> Self {
        Self { until: Until::Read, ..self }
    }

    fn until(self, until: Until) -> Self {
        Self { until, ..self }.slowly()
    }

    fn mended_by(self, remedy: Remedy) -> Self {
        Self { remedy, ..self }
    }

    fn at_app(self) -> Self {
        Self { at_app: true, ..self }
    }

    fn at_target(self) -> Self {
        Self { at_target: true, ..self }
    }

    fn slowly(self) -> Self {
        Self { slow: true, ..self }
    }
}

/// Every failure that the simulator can make and a status can tell.
pub fn cases() -> Vec<Case> {
    [spotify::token(), spotify::listener(), spotify::read(), webhook::all(), listenbrainz::all(), last_fm::all()]
        .into_iter()
        .flatten()
        .collect()
}

fn status(status: u16) -> Effect {
    Effect::status(status)
}

/// An error that asks to come back after so many seconds.
fn later(status: u16, seconds: u64) -> Effect {
    Effect::Status { status, body: BodyForm::Json, text: None, retry_after_seconds: Some(seconds) }
}

/// Asks to wait for so many seconds.
fn limited(seconds: u64) -> Effect {
    Effect::RateLimited { retry_after_seconds: seconds }
}
