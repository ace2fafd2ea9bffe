//! How sessions take over from one another, and end.

use super::peer::{Confirming, Session, OVERLAP, RENEW_INITIATOR, RENEW_RESPONDER, RETIRED_MAX};
use super::{Action, LostReason, Now, Sessions, To};
use crate::time::Micros;
use crate::wire::control::Control;
use crate::wire::Label;

impl Session {
    pub(super) fn usable(&self, now: Micros) -> bool {
        now < self.dies_at() && self.send_counter < super::keys::COUNTER_END
    }

    /// How long after its birth this side renews it.
    pub(super) fn renew_after(&self) -> Micros {
        if self.initiator {
            RENEW_INITIATOR
        } else {
            RENEW_RESPONDER
        }
    }

    /// It is used again: renew it now if that is overdue.
    pub(super) fn wake(&mut self, now: Micros) {
        self.dormant = false;
        self.renew_at = now;
    }
}

impl Sessions {
    /// The first record under a session opened. True if that confirmed it: it is ours to use now.
    pub(super) fn heard_first(&mut self, slot: usize, label: Label, now: Now) -> bool {
        let Some(peer) = self.peers.get_mut(&label) else { return false };
        if peer.current == Some(slot) {
            // We initiated, and the peer uses it too: the old one has done its service.
            peer.confirming = None;
            if let Some((_, until)) = peer.previous.as_mut() {
                *until = now.us + OVERLAP;
            }
            return false;
        }
        let Some(at) = peer.unconfirmed.iter().position(|waiting| waiting.slot == slot) else { return false };
        let to = peer.unconfirmed.remove(at).to;
        self.establish(label, slot, now.us + OVERLAP);
        // Tells the initiator that we heard it, so that it needs not repeat itself.
        if let Some(record) = self.confirmation(slot) {
            self.actions.insert(0, Action::Send { to, record });
        }
        true
    }

    /// We initiated, and the response verified: confirm at once.
    pub(super) fn initiated(&mut self, label: Label, slot: usize, to: To, now: Now) {
        self.establish(label, slot, Micros::MAX);
        if let Some(peer) = self.peers.get_mut(&label) {
            peer.confirming = Some(Confirming::first(to, now.us));
        }
        if let Some(record) = self.confirmation(slot) {
            self.actions.insert(0, Action::Send { to, record });
        }
    }

    /// From now on records are sealed with this session. `until`: how long the one before it may still be opened with.
    fn establish(&mut self, label: Label, slot: usize, until: Micros) {
        let Some(session) = self.table.get(slot) else { return };
        let (cipher, boot_id) = (session.cipher, session.boot_id);
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let retired = peer.boot_id.replace(boot_id).filter(|known| *known != boot_id);
        let new_boot = retired.is_some();
        peer.retired.extend(retired);
        if peer.retired.len() > RETIRED_MAX {
            peer.retired.pop_front();
        }
        let old = peer.current.replace(slot);
        let older = peer.previous.take().map(|(slot, _)| slot);
        let gone = if new_boot {
            // The keys of the peer's earlier life are nobody's any more.
            [old, older]
        } else {
            peer.previous = old.map(|old| (old, until));
            [older, None]
        };
        for slot in gone.into_iter().flatten() {
            self.table.remove(slot);
        }
        if let Some(pending) = peer.pending.take() {
            self.table.remove_pending(pending.index);
        }
        peer.confirming = None;
        let frames: Vec<_> = peer.queue.drain(..).collect();
        self.actions.push(Action::Established { label, cipher, new_boot, renewed: old.is_some() });
        if !frames.is_empty() {
            self.actions.push(Action::Flush { label, frames });
        }
    }

    /// A newer certificate took the member's address. It is shown that one in the last record it gets: nobody else may tell it.
    pub(super) fn displace(&mut self, label: Label, by: &[u8]) {
        let current = self.peers.get(&label).and_then(|peer| peer.current);
        if let Some(record) = current.and_then(|slot| self.control_record(slot, &Control::Certificate(by).encode())) {
            self.actions.push(Action::Send { to: To::Label(label), record });
        }
        self.end_member(label, LostReason::Displaced);
    }

    /// The member is gone from the table; so go its sessions and all else kept about it.
    pub(super) fn end_member(&mut self, label: Label, reason: LostReason) {
        self.end_sessions(label, reason);
        if let Some(mut peer) = self.peers.remove(&label) {
            self.timers.clear(label, &mut peer);
        }
        self.actions.push(Action::MemberGone { label, reason });
    }

    /// Ends all sessions and handshakes with a peer at once.
    pub(super) fn end_sessions(&mut self, label: Label, reason: LostReason) {
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let current = peer.current.take();
        let waiting = peer.unconfirmed.drain(..).map(|waiting| waiting.slot);
        for slot in waiting.chain(peer.previous.take().map(|(slot, _)| slot)).chain(current) {
            self.table.remove(slot);
        }
        if let Some(pending) = peer.pending.take() {
            self.table.remove_pending(pending.index);
        }
        peer.confirming = None;
        peer.queue.clear();
        self.timers.clear(label, peer);
        if current.is_some() {
            self.actions.push(Action::Lost { label, reason });
        }
    }
}
