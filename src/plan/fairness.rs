//! Who works next: turns that many want are shared so that nobody who holds his for long keeps the others waiting.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Whether one more turn may go to somebody who holds `held` already, while `free` are left: nobody holds more than are
/// free beside it, and whoever holds none gets any that is free.
///
/// So one that never gives back ends up with half of all turns, two with a third each, and `k` leave one part in
/// `k + 1` to the others (Choudhury and Hahne, "Dynamic queue length thresholds", 1998, with alpha = 1).
pub fn may_take(held: usize, free: usize) -> bool {
    free > 0 && held < free.max(1)
}

/// Turns, and who waits for one. `K` is who they are shared between, `T` is what waits.
pub struct Queue<K, T> {
    size: usize,
    out: usize,
    parties: HashMap<K, Party<T>>,
    /// Those that wait; whoever got a turn last is at the end.
    ring: VecDeque<K>,
}

struct Party<T> {
    held: usize,
    waiting: VecDeque<T>,
}

impl<K: Clone + Eq + Hash, T> Queue<K, T> {
    /// `size` turns, at least one.
    pub fn new(size: usize) -> Self {
        Self { size: size.max(1), out: 0, parties: HashMap::new(), ring: VecDeque::new() }
    }

    /// Somebody wants a turn. It comes by [`Self::give`].
    pub fn join(&mut self, party: &K, waiting: T) {
        let entry = self.parties.entry(party.clone()).or_insert_with(|| Party { held: 0, waiting: VecDeque::new() });
        if entry.waiting.is_empty() {
            self.ring.push_back(party.clone());
        }
        entry.waiting.push_back(waiting);
    }

    /// Gives out one turn, if one may be given: to the one that waits longest of the party whose turn it is.
    pub fn give(&mut self) -> Option<(K, T)> {
        let free = self.size - self.out;
        for _ in 0..self.ring.len() {
            let key = self.ring.pop_front()?;
            let Some(party) = self.parties.get_mut(&key) else { continue };
            if !may_take(party.held, free) {
                self.ring.push_back(key);
                continue;
            }
            let Some(first) = party.waiting.pop_front() else { continue };
            party.held += 1;
            self.out += 1;
            if !party.waiting.is_empty() {
                self.ring.push_back(key.clone());
            }
            return Some((key, first));
        }
        None
    }

    /// A turn is given back.
    pub fn give_back(&mut self, party: &K) {
        let Some(entry) = self.parties.get_mut(party) else { return };
        entry.held = entry.held.saturating_sub(1);
        self.out = self.out.saturating_sub(1);
        if entry.held == 0 && entry.waiting.is_empty() {
            self.parties.remove(party);
        }
    }

    /// All that wait go away without a turn.
    pub fn clear(&mut self) -> Vec<T> {
        self.ring.clear();
        let waiting: Vec<T> = self.parties.values_mut().flat_map(|party| party.waiting.drain(..)).collect();
        self.parties.retain(|_, party| party.held > 0);
        waiting
    }

    /// How many turns are out.
    pub fn out(&self) -> usize {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_holds_more_than_are_free_beside_it() {
        for (held, free, may) in [
            (0, 0, false),
            (0, 1, true),
            (1, 1, false),
            (1, 2, true),
            (2, 2, false),
            (3, 5, true),
            (4, 4, false),
            (9, 0, false),
        ] {
            assert_eq!(may_take(held, free), may, "{held} held, {free} free");
        }
    }

    /// Everybody wants more than there is and gives back in turn: how many each holds in the end.
    fn shares(size: usize, parties: usize) -> Vec<usize> {
        let mut queue = Queue::new(size);
        let mut holders = VecDeque::new();
        let mut held = vec![0; parties];
        for party in 0..parties {
            (0..4 * size).for_each(|_| queue.join(&party, ()));
            while let Some((party, ())) = queue.give() {
                held[party] += 1;
                holders.push_back(party);
            }
        }
        for _ in 0..10 * size {
            let Some(party) = holders.pop_front() else { break };
            queue.give_back(&party);
            held[party] -= 1;
            queue.join(&party, ());
            while let Some((party, ())) = queue.give() {
                held[party] += 1;
                holders.push_back(party);
            }
        }
        held
    }

    #[test]
    fn those_that_never_have_enough_leave_one_share_free() {
        for (size, parties, share) in
            [(8, 1, 4), (32, 1, 16), (9, 2, 3), (32, 3, 8), (64, 7, 8), (1, 1, 1), (2, 1, 1), (2, 2, 1), (3, 3, 1)]
        {
            let shares = shares(size, parties);
            let fair = shares.iter().all(|held| held.abs_diff(share) <= usize::from(share > 4));
            assert!(fair, "{parties} parties, {size} turns: {shares:?}");
        }
    }

    #[test]
    fn a_party_that_holds_none_gets_any_free_turn_and_turns_go_round() {
        let mut queue = Queue::new(2);
        for waiting in ["a1", "a2", "a3"] {
            queue.join(&"a", waiting);
        }
        queue.join(&"b", "b1");
        assert_eq!(queue.give(), Some(("a", "a1")));
        assert_eq!(queue.give(), Some(("b", "b1")), "not a second one for a");
        queue.join(&"c", "c1");
        assert_eq!((queue.give(), queue.out()), (None, 2));
        queue.give_back(&"b");
        assert_eq!(queue.give(), Some(("c", "c1")), "a holds one");
        queue.give_back(&"a");
        assert_eq!(queue.give(), Some(("a", "a2")));
        queue.give_back(&"c");
        assert_eq!(queue.give(), None, "what is left is for somebody else");
        assert_eq!(queue.clear(), ["a3"]);
        queue.give_back(&"a");
        assert_eq!((queue.give(), queue.out()), (None, 0));
        assert!(queue.parties.is_empty(), "nothing is remembered of whoever is gone");
    }

    /// Xorshift: the same draws every time.
    fn draw(state: &mut u64, below: usize) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state % below as u64).unwrap()
    }

    #[test]
    fn never_too_many_are_out_and_nobody_starves() {
        for seed in 1..200_u64 {
            let state = &mut seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (size, parties) = (1 + draw(state, 12), 1 + draw(state, 9));
            let mut queue = Queue::new(size);
            let (mut out, mut joined, mut served) = (Vec::new(), 0_usize, 0_usize);
            // How many turns others got since a party that held none began to wait.
            let mut passed_over: HashMap<usize, usize> = HashMap::new();
            for _ in 0..2_000 {
                if draw(state, 3) > 0 {
                    let party = draw(state, parties);
                    queue.join(&party, joined);
                    joined += 1;
                    if !out.contains(&party) {
                        passed_over.entry(party).or_insert(0);
                    }
                } else if !out.is_empty() {
                    let party = out.swap_remove(draw(state, out.len()));
                    queue.give_back(&party);
                    let waits = queue.parties.get(&party).is_some_and(|known| !known.waiting.is_empty());
                    if waits && !out.contains(&party) {
                        passed_over.entry(party).or_insert(0);
                    }
                }
                while let Some((party, _)) = queue.give() {
                    served += 1;
                    out.push(party);
                    passed_over.remove(&party);
                    for others in passed_over.values_mut() {
                        *others += 1;
                    }
                }
                assert!(out.len() <= size, "seed {seed}");
                assert_eq!(out.len(), queue.out(), "seed {seed}");
                assert!(passed_over.values().all(|others| *others <= parties), "seed {seed}: {passed_over:?}");
                let idle = queue.ring.iter().any(|party| may_take(queue.parties[party].held, size - out.len()));
                assert!(!idle, "seed {seed}: a turn that may be given is given");
            }
            while let Some(party) = out.pop() {
                queue.give_back(&party);
                while let Some((party, _)) = queue.give() {
                    served += 1;
                    out.push(party);
                }
            }
            assert_eq!((served, queue.out()), (joined, 0), "seed {seed}: everybody has had a turn");
            assert!(queue.parties.is_empty() && queue.ring.is_empty(), "seed {seed}");
        }
    }
}
