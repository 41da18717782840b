//! Passes over accounts take turns, so many at a time in the whole process. Who is next is decided by
//! [`crate::plan::fairness`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::name::ObjectName;
use crate::plan::fairness::Queue;

/// What turns are shared between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The accounts of one app.
    App(ObjectName),
    /// Accounts that go: nobody's trouble with Spotify or a target delays them.
    Deletions,
}

/// The turns of the process.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

struct State {
    queue: Queue<Party, oneshot::Sender<Turn>>,
    closed: bool,
}

/// The right to work on one account; given back when it is dropped, also by a panic.
pub struct Turn {
    turns: Turns,
    party: Party,
}

impl Turns {
    /// So many turns at a time, at least one.
    pub fn new(size: u16) -> Self {
        Self(Arc::new(Mutex::new(State { queue: Queue::new(usize::from(size)), closed: false })))
    }

    /// Waits for a turn; none where the process takes no more work. Whoever waits costs a place in a list.
    pub async fn take(&self, party: Party) -> Option<Turn> {
        let receiver = {
            let mut state = self.state();
            if state.closed {
                return None;
            }
            let (sender, receiver) = oneshot::channel();
            state.queue.join(&party, sender);
            receiver
        };
        self.hand_out();
        receiver.await.ok()
    }

    /// No more turns: whoever waits goes without.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            state.queue.clear()
        };
        drop(waiting);
    }

    /// How many turns are out.
    pub fn out(&self) -> usize {
        self.state().queue.out()
    }

    /// Gives out what may be given. Somebody who has gone meanwhile gives it back by that.
    fn hand_out(&self) {
        loop {
            let Some((party, waiting)) = self.state().queue.give() else { return };
            drop(waiting.send(Turn { turns: self.clone(), party }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.state().queue.give_back(&self.party);
        self.turns.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn app(name: &str) -> Party {
        Party::App(ObjectName::new("music", name))
    }

    #[tokio::test]
    async fn a_turn_that_is_given_back_goes_to_whoever_waits() {
        let turns = Turns::new(2);
        let first = turns.take(app("a")).await.unwrap();
        let mut second = Box::pin(turns.take(app("a")));
        assert!(second.as_mut().now_or_never().is_none(), "the other turn is for another app");
        let other = turns.take(app("b")).await.unwrap();
        assert_eq!(turns.out(), 2);
        drop(first);
        let second = second.await.unwrap();
        drop((second, other));
        assert_eq!(turns.out(), 0);
    }

    #[tokio::test]
    async fn whoever_goes_away_keeps_no_turn() {
        let turns = Turns::new(1);
        let held = turns.take(app("a")).await.unwrap();
        let mut gone = Box::pin(turns.take(app("b")));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut given = Box::pin(turns.take(app("c")));
        assert!(given.as_mut().now_or_never().is_none());
        drop(gone);
        drop(held);
        assert_eq!(turns.out(), 1, "it went on to the next");
        // It was given, and nobody took it.
        drop(given);
        assert_eq!(turns.out(), 0);
        assert!(turns.take(app("d")).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn a_process_that_stops_lets_nobody_wait() {
        let turns = Turns::new(1);
        let held = turns.take(app("a")).await.unwrap();
        let mut waits = Box::pin(turns.take(app("b")));
        assert!(waits.as_mut().now_or_never().is_none());
        turns.close();
        assert!(waits.await.is_none());
        drop(held);
        assert!(turns.take(app("a")).await.is_none());
    }
}
