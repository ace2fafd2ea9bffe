//! The methods of the control socket that need a configured node.

use std::net::SocketAddr;

use serde_json::{json, Value};

use super::Node;
use crate::control::{Configure, Failure, Members, Method, PeerCandidates, PeerNote, PeerWebrtc};
use crate::log;
use crate::session::{Change, Local, Now, Refusal};
use crate::tunnel::{Action, Paths, BASE_RECORD};
use crate::wire::control::{Control, AGENT_MESSAGE_MAX};
use crate::wire::record::CONTROL;
use crate::wire::{Label, NodeId};

/// Demand of more remote nodes than this is not kept: labels are members', so this is only a bound for safety.
const NOTE_MAX: usize = 4096;
/// Addresses of one peer that are remembered, also those that may not be probed now; agents name 16 at most.
const NAMED_MAX: usize = 64;

impl Node {
    /// None: the answer comes later (`ping`).
    pub fn call(&mut self, client: u32, id: u64, method: Method, now: Now) -> Option<Result<Value, Failure>> {
        Some(match method {
            Method::Members(members) => Ok(self.add_members(&members, now)),
            Method::Forget(peer) => {
                // It may be gone by itself: tincan judges certificates and revocations too.
                if let Ok(label) = self.member_label(&peer.peer) {
                    let actions = self.sessions.forget(label);
                    self.act(actions, now);
                }
                Ok(json!({}))
            }
            Method::Renew(peer) => self.member_label(&peer.peer).map(|label| {
                let actions = self.sessions.renew_now(label, now);
                self.act(actions, now);
                json!({})
            }),
            Method::Revocations(list) => self.set_revocations(&list.list.0, now),
            Method::Time(time) => {
                self.sessions.tell_time(time.unix, now);
                Ok(json!({}))
            }
            Method::TunnelAdd(add) => self.tunnel_add(add, now),
            Method::TunnelDrain(peer) => self.port(&peer.peer).map(|port| {
                self.set_draining(port, true, now);
                json!({})
            }),
            Method::TunnelRemove(peer) => self.port(&peer.peer).map(|port| {
                self.tunnel_remove(port, now);
                json!({})
            }),
            Method::TunnelNote(note) => self.tunnel_note(note),
            Method::TunnelCandidates(candidates) => self.tunnel_candidates(&candidates, now),
            Method::TunnelWebrtc(webrtc) => self.tunnel_webrtc(&webrtc, now),
            Method::Tunnels => Ok(self.tunnels_json(now)),
            Method::MembersList => Ok(self.members_json(now)),
            Method::Send(send) => self.send_message(&send.to, &send.body, now),
            Method::Ping(ping) => match self.member_label(&ping.to) {
                Ok(label) => {
                    self.ping(client, id, label, ping.timeout_ms, now);
                    return None;
                }
                Err(failure) => Err(failure),
            },
            Method::TraceWatch(watch) => Ok(self.trace_watch(&watch, now)),
            Method::TraceRead(read) => self.trace_read(&read, now),
            Method::Firewall(order) => self.order_firewall(order, now),
            Method::Stats => Ok(self.stats_json()),
            Method::Demand => Ok(self.demand_json()),
            Method::Hello(_) | Method::Configure(_) | Method::Shutdown(_) => {
                Err(Failure::bad_request("not a method of a node"))
            }
        })
    }

    /// `configure` of a node that is configured already: the same identity with newer papers, or a conflict.
    pub fn reconfigure(&mut self, configure: &Configure, local: Local, now: Now) -> Result<Value, Failure> {
        if local.certificate().node_id() != self.node_id {
            return Err(Failure::conflict(format!("this tincan is node {}: shut it down first", self.node_id)));
        }
        if configure.bridge != self.bridge {
            let taps = match &self.bridge.per_tunnel {
                Some(per_tunnel) => format!("a tap {}... for each tunnel", per_tunnel.prefix),
                None => format!("tap {}", self.bridge.tap),
            };
            let message = format!("this tincan has bridge {} and {taps}", self.bridge.name);
            return Err(Failure::conflict(message));
        }
        if configure.udp.port != 0 && configure.udp.port != self.udp_port {
            return Err(Failure::conflict(format!("this tincan uses UDP port {}", self.udp_port)));
        }
        let renewed = local.certificate().raw() != self.sessions.certificate().raw();
        self.sessions
            .update_local(local)
            .map_err(|refusal| Failure::bad_request(format!("the node's papers are refused: {}", refusal.name())))?;
        self.exclude(&configure.exclude_interfaces, now);
        self.exclude_routes.clone_from(&configure.exclude_routes);
        self.set_stun(&configure.stun, now);
        self.ensure_links(now)?;
        if renewed {
            let raw = self.sessions.certificate().raw().to_vec();
            self.pass_certificate(&raw, None, now);
        }
        // A client that comes back has not seen what was told before.
        let data = self.candidates_json();
        self.event("candidates", data);
        self.problems_told.clear();
        self.tell_problems();
        self.tell_revocations();
        Ok(self.configured_json())
    }

    pub fn configured_json(&self) -> Value {
        json!({ "nodeId": self.node_id.to_string(), "label": self.label.to_string(), "udpPort": self.udp_port })
    }

    fn member_label(&self, id: &NodeId) -> Result<Label, Failure> {
        match self.sessions.member_by_id(id) {
            Some(member) => Ok(member.label),
            None => Err(Failure::not_found(format!("no member {id}"))),
        }
    }

    fn port(&self, peer: &NodeId) -> Result<u32, Failure> {
        let tunnel = self.tunnels.of(peer.label()).filter(|tunnel| tunnel.peer == *peer);
        tunnel.map(|tunnel| tunnel.port).ok_or_else(|| Failure::not_found(format!("no tunnel to {peer}")))
    }

    fn add_members(&mut self, members: &Members, now: Now) -> Value {
        let mut accepted = 0;
        let mut rejected = Vec::new();
        for (index, certificate) in members.certificates.iter().enumerate() {
            match self.sessions.add_member(&certificate.0, now) {
                Ok(added) => {
                    accepted += 1;
                    self.act(added.actions, now);
                    if added.change != Change::Known {
                        self.members_changed(now);
                        self.member_added(added.label, now);
                    }
                }
                Err(refusal) => rejected.push(json!({ "index": index, "reason": refusal.name() })),
            }
        }
        json!({ "accepted": accepted, "rejected": rejected })
    }

    fn set_revocations(&mut self, list: &[u8], now: Now) -> Result<Value, Failure> {
        match self.take_revocations(list, now) {
            // The newer one is in force already.
            Ok(()) | Err(Refusal::Superseded) => {}
            Err(refusal) => return Err(Failure::bad_request(format!("the list is refused: {}", refusal.name()))),
        }
        Ok(json!({ "serial": self.sessions.revocations().map(|list| list.serial) }))
    }

    fn tunnel_add(&mut self, add: PeerNote, now: Now) -> Result<Value, Failure> {
        if add.note.len() > NOTE_MAX {
            return Err(Failure::bad_request("note too long"));
        }
        if add.peer == self.node_id {
            return Err(Failure::bad_request("no tunnel leads to the node itself"));
        }
        if let Some(tunnel) = self.tunnels.of_mut(add.peer.label()) {
            if tunnel.peer != add.peer {
                return Err(Failure::conflict("another node has this label"));
            }
            tunnel.note = add.note;
            let port = tunnel.port;
            self.set_draining(port, false, now);
            return Ok(self.added_json(port));
        }
        let label = self.member_label(&add.peer)?;
        let port = self
            .tunnels
            .add(add.peer, add.note, Paths::new(super::random, self.label < label))
            .ok_or_else(|| Failure::system("no port number is left"))?;
        self.set_port(port, label, false);
        self.add_tap(port, label, now);
        if self.sessions.usable(label, now) {
            self.established(label, now);
        }
        log!(Info, "tunnel added", peer = add.peer, port = port);
        Ok(self.added_json(port))
    }

    fn added_json(&self, port: u32) -> Value {
        match self.taps.of_tunnel(port) {
            Some(tap) => json!({ "port": port, "tap": tap }),
            None => json!({ "port": port }),
        }
    }

    /// A draining tunnel takes and carries what comes its way, but no detour, flood or neighbour counts on it any more.
    fn set_draining(&mut self, port: u32, draining: bool, now: Now) {
        let Some(tunnel) = self.tunnels.get_mut(port).filter(|tunnel| tunnel.draining != draining) else { return };
        tunnel.draining = draining;
        self.switch.set_draining(port, draining);
        self.beside_changed(now);
        self.tell_adjacency(now);
    }

    fn tunnel_remove(&mut self, port: u32, now: Now) {
        let Some(tunnel) = self.tunnels.remove(port) else { return };
        self.reach.port_gone(port);
        self.set_port(port, tunnel.label, false);
        let actions = self.flood.tunnel_down(port, self.switch.neighbours(), now.us);
        self.flood_actions(actions, port, now);
        self.switch.remove_port(port);
        self.remove_tap(port);
        self.outlet.outbox.forget(port as u16);
        self.beside_changed(now);
        if tunnel.up && !tunnel.draining {
            self.tell_adjacency(now);
        }
        log!(Info, "tunnel removed", peer = tunnel.peer, port = port);
    }

    fn tunnel_note(&mut self, note: PeerNote) -> Result<Value, Failure> {
        if note.note.len() > NOTE_MAX {
            return Err(Failure::bad_request("note too long"));
        }
        let port = self.port(&note.peer)?;
        if let Some(tunnel) = self.tunnels.get_mut(port) {
            tunnel.note = note.note;
        }
        Ok(json!({}))
    }

    fn tunnel_candidates(&mut self, params: &PeerCandidates, now: Now) -> Result<Value, Failure> {
        let port = self.port(&params.peer)?;
        let canonical = params.candidates.iter().map(|a| SocketAddr::new(a.ip().to_canonical(), a.port()));
        let mut named: Vec<SocketAddr> = Vec::new();
        for address in canonical.take(NAMED_MAX) {
            if !named.contains(&address) {
                named.push(address);
            }
        }
        let allowed: Vec<SocketAddr> = named.iter().copied().filter(|&address| self.may_probe(address)).collect();
        if let Some(tunnel) = self.tunnels.get_mut(port) {
            (tunnel.named, tunnel.allowed) = (named, allowed.clone());
        }
        // Also when they are those of before: said anew, they are probed anew.
        self.on_paths(port, now, |paths, now, out| paths.set_candidates(&allowed, now, out));
        self.want_session(port, now);
        Ok(json!({}))
    }

    fn tunnel_webrtc(&mut self, params: &PeerWebrtc, now: Now) -> Result<Value, Failure> {
        let port = self.port(&params.peer)?;
        if params.up && params.record_size < BASE_RECORD {
            return Err(Failure::bad_request(format!("recordSize must be at least {BASE_RECORD}")));
        }
        let up = params.up.then_some(params.record_size);
        self.on_paths(port, now, |paths, now, out| paths.set_webrtc(up, now, out));
        if params.up {
            self.want_session(port, now);
        }
        Ok(json!({}))
    }

    pub(super) fn on_paths(&mut self, port: u32, now: Now, f: impl FnOnce(&mut Paths, u64, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        if let Some(tunnel) = self.tunnels.get_mut(port) {
            f(&mut tunnel.paths, now.us, &mut actions);
        }
        self.run(port, actions, now);
    }

    fn send_message(&mut self, to: &NodeId, body: &Value, now: Now) -> Result<Value, Failure> {
        let label = self.member_label(to)?;
        let body = body.to_string().into_bytes();
        if body.len() > AGENT_MESSAGE_MAX {
            return Err(Failure::bad_request(format!("the body is longer than {AGENT_MESSAGE_MAX} bytes")));
        }
        let usable = self.sessions.usable(label, now);
        let sent = self.send_plain(label, CONTROL, &Control::Agent(&body).encode(), now);
        Ok(json!({ "queued": sent || !usable }))
    }
}
