//! One deadline a peer, in order; and what happens when it comes.

use std::collections::BTreeSet;

use super::peer::{Peer, Pending, HANDSHAKE_LIFE};
use super::{Action, LostReason, Now, Sessions};
use crate::time::{Micros, SECOND};
use crate::wire::{Label, LabelMap};

/// Certificates are looked at this often: a clock may be set, so their end is no fixed point of the monotonic one.
const EXPIRY_CHECK: Micros = 10 * SECOND;

pub struct Timers {
    order: BTreeSet<(Micros, Label)>,
    expiry_check: Micros,
}

impl Timers {
    pub fn new(now: Micros) -> Self {
        Timers { order: BTreeSet::new(), expiry_check: now + EXPIRY_CHECK }
    }

    /// Moves a peer's deadline; an earlier one than needed does no harm.
    pub fn set(&mut self, label: Label, peers: &mut LabelMap<Peer>, due: Micros) {
        let Some(peer) = peers.get_mut(&label) else { return };
        if peer.due == Some(due) {
            return;
        }
        if let Some(old) = peer.due.replace(due) {
            self.order.remove(&(old, label));
        }
        self.order.insert((due, label));
    }

    pub fn clear(&mut self, label: Label, peer: &mut Peer) {
        if let Some(old) = peer.due.take() {
            self.order.remove(&(old, label));
        }
    }

    fn first(&self) -> Option<Micros> {
        self.order.first().map(|(due, _)| *due)
    }

    fn pop_due(&mut self, now: Micros) -> Option<Label> {
        self.first().filter(|due| *due <= now)?;
        self.order.pop_first().map(|(_, label)| label)
    }
}

impl Sessions {
    /// When `tick` wants to be called.
    pub fn deadline(&self) -> Option<Micros> {
        let check = self.timers.expiry_check;
        Some(self.timers.first().map_or(check, |first| first.min(check)))
    }

    pub fn tick(&mut self, now: Now) -> Vec<Action> {
        if self.timers.expiry_check <= now.us {
            self.timers.expiry_check = now.us + EXPIRY_CHECK;
            let time = self.time(now);
            for label in self.membership.expire(time) {
                self.end_member(label, LostReason::Expired);
            }
        }
        // Each peer once: what its turn sets up anew is never due at once, but a guess must not become an endless loop.
        for _ in 0..self.timers.order.len() {
            let Some(label) = self.timers.pop_due(now.us) else { break };
            if let Some(peer) = self.peers.get_mut(&label) {
                peer.due = None;
            }
            self.turn(label, now);
            self.reschedule(label, now.us);
        }
        self.take_actions()
    }

    /// The peer's next deadline, from its whole state.
    pub(super) fn reschedule(&mut self, label: Label, now: Micros) {
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let current = peer.current.and_then(|slot| self.table.get(slot));
        let previous = peer.previous.and_then(|(slot, until)| Some(until.min(self.table.get(slot)?.dies_at())));
        let renew =
            current.filter(|session| !session.dormant && peer.pending.is_none()).map(|session| session.renew_at);
        let due = [
            current.map(|session| session.dies_at()),
            renew,
            previous,
            peer.unconfirmed.iter().map(|waiting| waiting.until).min(),
            peer.pending.as_ref().map(|pending| pending.next_at.min(pending.since + HANDSHAKE_LIFE)),
            peer.confirming.as_ref().map(|confirming| confirming.next_at),
        ]
        .into_iter()
        .flatten()
        .min();
        match due {
            Some(due) => self.timers.set(label, &mut self.peers, due.max(now)),
            None => self.timers.clear(label, peer),
        }
    }

    /// Everything of one peer that is due.
    fn turn(&mut self, label: Label, now: Now) {
        self.drop_overdue(label, now.us);
        self.renew(label, now);
        self.retry(label, now.us);
        self.confirm_again(label, now.us);
    }

    fn drop_overdue(&mut self, label: Label, now: Micros) {
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let table = &mut self.table;
        peer.unconfirmed.retain(|waiting| {
            let keep = now < waiting.until;
            if !keep {
                table.remove(waiting.slot);
            }
            keep
        });
        let dead = |slot: usize| table.get(slot).is_none_or(|session| session.dies_at() <= now);
        let previous = peer.previous.filter(|(slot, until)| *until <= now || dead(*slot));
        let current = peer.current.filter(|slot| dead(*slot));
        if let Some((slot, _)) = previous {
            peer.previous = None;
            table.remove(slot);
        }
        if let Some(slot) = current {
            peer.current = None;
            peer.confirming = None;
            table.remove(slot);
            self.actions.push(Action::Lost { label, reason: LostReason::Aged });
        }
    }

    /// Begins anew before the session ends, if anybody used it in the time of one renewal.
    fn renew(&mut self, label: Label, now: Now) {
        let Some(peer) = self.peers.get(&label).filter(|peer| peer.pending.is_none()) else { return };
        let Some(session) = peer.current.and_then(|slot| self.table.get_mut(slot)) else { return };
        if session.dormant || now.us < session.renew_at {
            return;
        }
        if session.last_used > now.us.saturating_sub(session.renew_after()) {
            self.begin(label, now);
        } else {
            session.dormant = true;
        }
    }

    fn retry(&mut self, label: Label, now: Micros) {
        let Some(pending) = self.peers.get_mut(&label).and_then(|peer| peer.pending.as_mut()) else { return };
        if pending.since + HANDSHAKE_LIFE <= now {
            return self.give_up(label, now);
        }
        if pending.next_at <= now {
            pending.tries += 1;
            pending.next_at = now + Pending::pause(pending.tries);
            self.send_initiation(label, None, now);
        }
    }

    fn confirm_again(&mut self, label: Label, now: Micros) {
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let due = peer.confirming.take_if(|confirming| confirming.next_at <= now);
        let (Some(confirming), Some(slot)) = (due, peer.current) else { return };
        let to = confirming.to;
        peer.confirming = confirming.again(now);
        if let Some(record) = self.confirmation(slot) {
            self.actions.push(Action::Send { to, record });
        }
    }
}
