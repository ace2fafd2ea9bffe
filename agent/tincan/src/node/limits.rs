//! What one member may make this node do. A session proves who a peer is, not that it means well: everything that costs more than
//! opening a record, or that goes on to the agent or to other nodes, has its share a second. What exceeds it is dropped and counted.

use crate::session::Now;
use crate::time::{Micros, SECOND};
use crate::wire::{Label, LabelMap};

/// A token bucket.
#[derive(Clone, Copy)]
pub struct Share {
    /// Units a second, and units at once.
    rate: u64,
    burst: u64,
}

/// Requests and responses: its own limit is 40 requests a second (docs/wire.md §6.4), besides what measures the round trip.
pub const PROBES: Share = Share { rate: 150, burst: 300 };
/// Bytes of agents' messages; none counts as fewer than `MESSAGE_MIN`.
pub const MESSAGES: Share = Share { rate: 100 << 10, burst: 512 << 10 };
pub const MESSAGE_MIN: u64 = 2_048;
/// It is told on change and every ten seconds; each change makes the agent compute its flows anew.
pub const ADJACENCY: Share = Share { rate: 2, burst: 32 };
/// Certificates and revocation lists that are not known yet: a signature to verify each. The burst is what a neighbour knows that
/// comes out of a large overlay into a new node.
pub const OBJECTS: Share = Share { rate: 50, burst: 1_000 };

/// In millionths of a unit.
#[derive(Default, Clone, Copy)]
struct Spent {
    owed: u64,
    at: Micros,
}

impl Spent {
    fn take(&mut self, share: Share, cost: u64, now: Micros) -> bool {
        let paid = now.saturating_sub(self.at).saturating_mul(share.rate);
        self.owed = self.owed.saturating_sub(paid);
        self.at = self.at.max(now);
        let owed = self.owed.saturating_add(cost.saturating_mul(SECOND));
        let within = owed <= share.burst.saturating_mul(SECOND);
        if within {
            self.owed = owed;
        }
        within
    }
}

#[derive(Default)]
struct Peer {
    probes: Spent,
    messages: Spent,
    adjacency: Spent,
    objects: Spent,
}

/// By member: the sessions know no others.
#[derive(Default)]
pub struct Limits(LabelMap<Peer>);

impl Limits {
    pub fn probe(&mut self, of: Label, now: Now) -> bool {
        self.peer(of).probes.take(PROBES, 1, now.us)
    }

    pub fn message(&mut self, of: Label, bytes: usize, now: Now) -> bool {
        self.peer(of).messages.take(MESSAGES, MESSAGE_MIN.max(bytes as u64), now.us)
    }

    pub fn adjacency(&mut self, of: Label, now: Now) -> bool {
        self.peer(of).adjacency.take(ADJACENCY, 1, now.us)
    }

    pub fn object(&mut self, of: Label, now: Now) -> bool {
        self.peer(of).objects.take(OBJECTS, 1, now.us)
    }

    pub fn forget(&mut self, label: Label) {
        self.0.remove(&label);
    }

    fn peer(&mut self, label: Label) -> &mut Peer {
        self.0.entry(label).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Label = Label(1);
    const B: Label = Label(2);
    const START: Micros = 100 * SECOND;

    fn at(us: Micros) -> Now {
        Now { us, unix: 0 }
    }

    #[test]
    fn who_asks_too_often_has_its_rate_and_takes_nothing_from_others() {
        let mut limits = Limits::default();
        let asked = |limits: &mut Limits, us| (0..1_000).filter(|_| limits.probe(A, at(us))).count() as u64;
        assert_eq!(asked(&mut limits, START), PROBES.burst);
        assert_eq!(asked(&mut limits, START), 0);
        assert_eq!(asked(&mut limits, START + SECOND), PROBES.rate);
        assert!(limits.probe(B, at(START)));
        assert_eq!(asked(&mut limits, START + 60 * SECOND), PROBES.burst, "and no more, however long it was silent");
    }

    #[test]
    fn long_messages_take_more_of_the_share_and_empty_ones_take_something() {
        let mut limits = Limits::default();
        assert_eq!((0..1_000).filter(|_| limits.message(A, 16 << 10, at(START))).count(), 32);
        assert_eq!((0..1_000).filter(|_| limits.message(B, 0, at(START))).count(), 256);
    }

    #[test]
    fn what_was_refused_costs_nothing() {
        let mut limits = Limits::default();
        assert!(limits.message(A, 512 << 10, at(START)));
        assert!((0..1_000).all(|_| !limits.message(A, 512 << 10, at(START))));
        assert!(limits.message(A, 100 << 10, at(START + SECOND)));
    }
}
