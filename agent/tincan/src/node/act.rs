//! Carries out what sessions, floods and the switch answer.

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::json;

use super::{Node, TAP_PORT};
use crate::flood::FloodAction;
use crate::log;
use crate::session::{Action, Now};
use crate::switch::Learned;
use crate::wire::record::{FLOOD, FLOOD_ACK};
use crate::wire::{Label, Mac};

impl Node {
    pub(super) fn act(&mut self, actions: Vec<Action>, now: Now) {
        for action in actions {
            match action {
                Action::Send { to, record } => self.send_record(to, &record, now),
                Action::Established { label, cipher, new_boot, renewed } => {
                    log!(Info, "session", peer = label, cipher = cipher, newBoot = new_boot, renewed = renewed);
                    // A renewal changes nothing for the paths.
                    if new_boot || !renewed {
                        self.established(label, now);
                    }
                }
                Action::Flush { label, frames } => {
                    for (record_type, plaintext) in frames {
                        self.trace_flushed(record_type, &plaintext);
                        self.send_plain(label, record_type, &plaintext, now);
                    }
                }
                Action::Unanswered { label, dropped } => {
                    self.counters.add_many("unanswered", dropped as u64);
                    log!(Debug, "no answer to a handshake", peer = label, dropped = dropped);
                }
                Action::Lost { label, reason } => {
                    log!(Info, "session lost", peer = label, reason = format!("{reason:?}"));
                    let Some(port) = self.tunnels.port_of(label) else { continue };
                    let mut actions = Vec::new();
                    if let Some(tunnel) = self.tunnels.get_mut(port) {
                        tunnel.knocked_at = Some(now.us);
                        tunnel.paths.session_lost(now.us, &mut actions);
                    }
                    self.run(port, actions, now);
                }
                Action::MemberGone { label, reason } => {
                    log!(Info, "member gone", peer = label, reason = format!("{reason:?}"));
                    self.members_changed(now);
                    self.limits.forget(label);
                    for learned in self.switch.forget_label(label) {
                        self.learned(&learned);
                    }
                }
                Action::MemberLearned { raw, .. } => self.member_learned(&raw, now),
            }
        }
    }

    pub(super) fn member_learned(&mut self, raw: &[u8], now: Now) {
        self.members_changed(now);
        self.event("member", json!({ "certificate": BASE64_STANDARD.encode(raw) }));
    }

    pub(super) fn established(&mut self, label: Label, now: Now) {
        let Some(port) = self.tunnels.port_of(label) else { return };
        let mut actions = Vec::new();
        if let Some(tunnel) = self.tunnels.get_mut(port) {
            tunnel.knocked_at = None;
            // Its numbers begin anew with its process.
            tunnel.adjacency_sequence = None;
            tunnel.paths.session_up(now.us, &mut actions);
        }
        self.run(port, actions, now);
        self.greet(port, now);
    }

    pub(super) fn originate(&mut self, frame: &[u8], partial: bool, now: Now) {
        let actions = self.flood.originate(frame, partial, self.switch.neighbours(), now.us);
        self.flood_actions(actions, TAP_PORT, now);
    }

    pub(super) fn flood_actions(&mut self, actions: Vec<FloodAction>, in_port: u32, now: Now) {
        for action in actions {
            match action {
                FloodAction::Send { port, plaintext } => self.send_neighbour(port, FLOOD, &plaintext, now),
                FloodAction::Acknowledge { port, plaintext } => self.send_neighbour(port, FLOOD_ACK, &plaintext, now),
                FloodAction::Deliver { root, partial, frame } => {
                    let flags = if partial { crate::frame::PARTIAL } else { 0 };
                    self.lone(&frame, flags, root, in_port, false, now);
                }
            }
        }
    }

    pub(super) fn learned(&mut self, learned: &Learned) {
        let label = learned.label.map(|label| label.to_string());
        self.event("learned", json!({ "mac": Mac(learned.mac).to_string(), "label": label }));
    }
}
