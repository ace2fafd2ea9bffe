//! Control records between nodes (docs/wire.md §6.5): agents' messages, adjacency, revocations and certificates.

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};

use super::receive::Arrival;
use super::{Node, GOSSIP, GOSSIP_AGAIN, GOSSIP_PAUSE};
use crate::session::{Change, Now};
use crate::time::Micros;
use crate::wire::control::Control;
use crate::wire::record::CONTROL;
use crate::wire::Label;

/// In so many rounds of gossip every neighbour has heard our adjacency again.
const ADJACENCY_TURNS: usize = 3;
/// Labels of one adjacency record that belong to no member we know, and are taken all the same: certificates may come later.
const STRANGERS: usize = 64;

/// What of a neighbour's list is taken. Every label costs a place in tables and caches and 20 bytes of JSON to the agent, and whoever
/// is a member can invent thousands of them twice a second.
fn plausible(labels: &[Label], is_member: impl Fn(Label) -> bool) -> Vec<Label> {
    let mut strangers = 0;
    let taken = labels.iter().copied().filter(|&label| {
        is_member(label) || {
            strangers += 1;
            strangers <= STRANGERS
        }
    });
    taken.collect()
}

impl Node {
    pub(super) fn control(&mut self, source: Label, plaintext: &[u8], arrival: Arrival, now: Now) {
        match Control::decode(plaintext) {
            Ok(Control::Confirm) => {}
            Ok(Control::Agent(body)) => self.agent_message(source, body, now),
            Ok(Control::Adjacency { sequence, labels }) => self.adjacency(source, sequence, &labels, arrival, now),
            Ok(Control::Revocations(list)) => self.revocations(source, list, now),
            Ok(Control::Certificate(raw)) => self.certificate(source, raw, now),
            Err(_) => self.counters.add("malformed"),
        }
    }

    fn agent_message(&mut self, source: Label, body: &[u8], now: Now) {
        if !self.limits.message(source, body.len(), now) {
            return self.counters.add("controlTooMany");
        }
        let Some(from) = self.sessions.member(source).map(|member| member.node_id.to_string()) else { return };
        match serde_json::from_slice::<Value>(body) {
            Ok(body) => self.event("message", json!({ "from": from, "body": body })),
            Err(_) => self.counters.add("malformed"),
        }
    }

    fn adjacency(&mut self, source: Label, sequence: u32, labels: &[Label], arrival: Arrival, now: Now) {
        let Some(tunnel) = self.tunnels.of_mut(source).filter(|_| arrival.routed.is_none()) else {
            return self.counters.add("adjacencyNotByNeighbour");
        };
        // Serial arithmetic (RFC 1982): an older record that arrives late changes nothing.
        if tunnel.adjacency_sequence.is_some_and(|known| (sequence.wrapping_sub(known) as i32) < 0) {
            return self.counters.add("adjacencyOld");
        }
        // What is dropped here comes again.
        if !self.limits.adjacency(source, now) {
            return self.counters.add("controlTooMany");
        }
        tunnel.adjacency_sequence = Some(sequence);
        let (port, peer) = (tunnel.port, tunnel.peer.to_string());
        let labels = plausible(labels, |label| self.sessions.member(label).is_some());
        if self.switch.set_adjacent(port, &labels) {
            let labels: Vec<String> = labels.iter().map(Label::to_string).collect();
            self.event("adjacency", json!({ "peer": peer, "labels": labels }));
        }
    }

    /// A tunnel came or went.
    pub(super) fn adjacency_changed(&mut self, now: Now) {
        let at = self.gossiped + GOSSIP_PAUSE;
        if now.us >= at {
            self.tell_adjacency(now);
        } else {
            self.adjacency_at = Some(self.adjacency_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Our live tunnels, to every neighbour; those that are there to stay, and forward what is sent through them.
    pub(super) fn tell_adjacency(&mut self, now: Now) {
        self.gossiped = now.us;
        self.adjacency_at = None;
        self.adjacency_again = Some(now.us + GOSSIP_AGAIN);
        self.adjacency_sequence = self.adjacency_sequence.wrapping_add(1);
        for port in self.tunnels.ports() {
            self.tell_adjacency_to(port, now);
        }
    }

    /// News that waited for their pause; and once more what was news a second ago, since a record may be lost.
    pub(super) fn adjacency_tick(&mut self, now: Now) {
        let due = |at: Option<Micros>| at.is_some_and(|at| at <= now.us);
        if due(self.adjacency_at) {
            self.tell_adjacency(now);
        } else if due(self.adjacency_again) {
            self.adjacency_again = None;
            for port in self.tunnels.ports() {
                self.tell_adjacency_to(port, now);
            }
        }
    }

    fn tell_adjacency_to(&mut self, port: u32, now: Now) {
        let live = self.tunnels.iter().filter(|t| t.up && !t.draining && !t.forwards.refuses());
        let labels = live.map(|tunnel| tunnel.label).collect();
        let body = Control::Adjacency { sequence: self.adjacency_sequence, labels }.encode();
        self.send_neighbour(port, CONTROL, &body, now);
    }

    /// What a neighbour should know once it can be reached: at the beginning of a session, and when its path comes up.
    pub(super) fn greet(&mut self, port: u32, now: Now) {
        self.tell_adjacency_to(port, now);
        self.tell_list_to(port, now);
    }

    fn tell_list_to(&mut self, port: u32, now: Now) {
        if let Some(list) = self.sessions.revocations().map(|list| list.raw().to_vec()) {
            self.send_neighbour(port, CONTROL, &Control::Revocations(&list).encode(), now);
        }
    }

    /// Every neighbour in its turn gets adjacency and the list again: records may be lost, and whoever misses the list trusts the
    /// revoked.
    pub(super) fn gossip(&mut self, now: Now) {
        self.gossip_at = now.us + GOSSIP;
        let ports: Vec<u32> = self.tunnels.iter().filter(|tunnel| tunnel.up).map(|tunnel| tunnel.port).collect();
        self.gossip_turn = self.gossip_turn.wrapping_add(1);
        for &port in ports.iter().skip(self.gossip_turn % ADJACENCY_TURNS).step_by(ADJACENCY_TURNS) {
            self.tell_adjacency_to(port, now);
        }
        if let Some(port) = ports.get(self.gossip_turn % ports.len().max(1)) {
            self.tell_list_to(*port, now);
        }
    }

    fn revocations(&mut self, source: Label, list: &[u8], now: Now) {
        if self.sessions.revocations().is_some_and(|known| known.raw() == list) {
            return;
        }
        if !self.limits.object(source, now) {
            return self.counters.add("controlTooMany");
        }
        match self.take_revocations(list, now) {
            Ok(()) => self.tell_revocations(),
            Err(refusal) => self.counters.add(refusal.name()),
        }
    }

    /// Takes a revocation list and passes it on; every neighbour that had it already refuses it, so this ends. The revoked get it
    /// too, as the last they hear: they know then why nobody answers.
    pub(super) fn take_revocations(&mut self, list: &[u8], now: Now) -> Result<(), crate::session::Refusal> {
        self.sessions.check_revocations(list)?;
        let body = Control::Revocations(list).encode();
        for port in self.tunnels.ports() {
            self.send_neighbour(port, CONTROL, &body, now);
        }
        let actions = self.sessions.set_revocations(list)?;
        self.act(actions, now);
        Ok(())
    }

    /// The agent keeps the list over a restart, and has tunnels and flows to the revoked nodes.
    pub(super) fn tell_revocations(&mut self) {
        if let Some(list) = self.sessions.revocations().map(|list| BASE64_STANDARD.encode(list.raw())) {
            self.event("revocations", json!({ "list": list }));
        }
    }

    fn certificate(&mut self, source: Label, raw: &[u8], now: Now) {
        if !self.sessions.knows(raw) && !self.limits.object(source, now) {
            return self.counters.add("controlTooMany");
        }
        match self.sessions.add_member(raw, now) {
            Ok(added) => {
                self.act(added.actions, now);
                if added.change != Change::Known {
                    self.members_changed(now);
                    self.event("member", json!({ "certificate": BASE64_STANDARD.encode(raw) }));
                    self.pass_certificate(raw, Some(source), now);
                    self.member_added(added.label, now);
                }
            }
            Err(refusal) => self.counters.add(refusal.name()),
        }
    }

    pub(super) fn pass_certificate(&mut self, raw: &[u8], except: Option<Label>, now: Now) {
        let body = Control::Certificate(raw).encode();
        for port in self.tunnels.ports() {
            if self.tunnels.get(port).is_some_and(|tunnel| Some(tunnel.label) != except) {
                self.send_neighbour(port, CONTROL, &body, now);
            }
        }
    }

    /// A tunnel may have waited for this member's key.
    pub(super) fn member_added(&mut self, label: Label, now: Now) {
        if let Some(port) = self.tunnels.port_of(label) {
            self.want_session(port, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_labels_that_are_no_members_a_few_are_taken() {
        let labels: Vec<Label> = (0..2_000).map(Label).collect();
        let taken = plausible(&labels, |label| label.0 >= 1_990);
        let members: Vec<Label> = (1_990..2_000).map(Label).collect();
        assert_eq!(taken.len(), STRANGERS + members.len());
        assert!(taken.ends_with(&members), "members are taken wherever they stand");
    }
}
