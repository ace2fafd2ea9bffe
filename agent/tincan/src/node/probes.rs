//! Probes on their way out and in, what follows from a changed path, and `ping`.

use std::net::SocketAddr;

use serde_json::json;

use super::outlet::Way;
use super::receive::Arrival;
use super::Node;
use crate::forwards;
use crate::log;
use crate::session::Now;
use crate::switch::PortKind;
use crate::time::{Micros, MILLISECOND, SECOND};
use crate::tunnel::{Action, PathKind, Via, BASE_RECORD};
use crate::wire::probe::{Probe, PROBE_RECORD_MIN};
use crate::wire::record::PROBE;
use crate::wire::routing::HOP_LIMIT;
use crate::wire::Label;

/// A `ping` that has no answer yet.
pub struct PendingPing {
    client: u32,
    id: u64,
    to: Label,
    until: Micros,
    next_at: Micros,
    sent: Vec<([u8; 8], Micros)>,
}

/// A `ping` that has come to its end.
#[derive(Debug)]
pub struct Pinged {
    pub client: u32,
    pub id: u64,
    /// Round trip in microseconds, the path's name, hops; None: nobody answered in time.
    pub answer: Option<(u64, &'static str, u32)>,
}

/// Neighbours on each side of the ring that are asked every second although nothing is sent to them: the ring closes by them.
const WATCHED_EACH_SIDE: usize = 2;
/// While there is no session the first probe waits for it; then one a second, as ping(8) does.
const PING_AGAIN: Micros = SECOND;
const PING_POLL: Micros = 10 * MILLISECOND;

impl PendingPing {
    pub fn deadline(&self) -> Micros {
        self.next_at.min(self.until)
    }
}

impl Node {
    /// Carries out what a tunnel's machine wants.
    pub(super) fn run(&mut self, port: u32, actions: Vec<Action>, now: Now) {
        for action in actions {
            match action {
                Action::Request { via, challenge, proven, size } => {
                    let Some(tunnel) = self.tunnels.get(port) else { return };
                    let (label, way) = (tunnel.label, tunnel.way(via));
                    let size = size.max(PROBE_RECORD_MIN);
                    let probe = Probe { response: false, proven, size, challenge, seen: None };
                    self.send_probe(label, way, &probe.encode(), now);
                }
                Action::Changed => self.path_changed(port, now),
                Action::Narrow { via } => self.path_narrow(port, via),
                Action::OneWay { via } => self.path_one_way(port, via),
            }
        }
    }

    fn path_narrow(&mut self, port: u32, via: Via) {
        let Some(tunnel) = self.tunnels.get(port) else { return };
        let remote = match via {
            Via::Direct(remote) => remote.to_string(),
            Via::Webrtc => "relay".to_string(),
        };
        log!(Warn, "a way is too narrow", peer = tunnel.label, remote = remote, recordSize = BASE_RECORD);
        let data = json!({ "peer": tunnel.peer.to_string(), "remote": remote, "recordSize": BASE_RECORD });
        self.event("narrow", data);
    }

    fn path_one_way(&mut self, port: u32, via: Via) {
        let (Some(tunnel), Via::Direct(remote)) = (self.tunnels.get(port), via) else { return };
        log!(Info, "a way goes in one direction only", peer = tunnel.label, remote = remote);
        let data = json!({ "peer": tunnel.peer.to_string(), "remote": remote.to_string() });
        self.event("one-way", data);
    }

    fn path_changed(&mut self, port: u32, now: Now) {
        let Some(tunnel) = self.tunnels.get_mut(port) else { return };
        let up = tunnel.paths.kind() != PathKind::None;
        let was_up = std::mem::replace(&mut tunnel.up, up);
        tunnel.local = match tunnel.paths.current() {
            Some(Via::Direct(remote)) => local_address(remote, self.udp_port),
            _ => None,
        };
        let (label, kind, size) = (tunnel.label, tunnel.paths.kind(), tunnel.paths.record_size());
        let remote = match tunnel.paths.current() {
            Some(Via::Direct(remote)) => remote.to_string(),
            _ => "-".to_string(),
        };
        log!(Info, "path", peer = label, path = kind.name(), remote = remote, recordSize = size);
        if up {
            self.resized(port, size, now);
        }
        if up != was_up {
            self.set_port(port, label, up);
            self.taps.set_up(port, up);
            self.beside_changed(now);
            if !up {
                let actions = self.flood.tunnel_down(port, self.switch.neighbours(), now.us);
                self.flood_actions(actions, port, now);
            }
            self.adjacency_changed(now);
            if up {
                self.greet(port, now);
            }
        }
        self.event_tunnel(port, now);
    }

    /// A tunnel came or went: others may be nearest on the ring now.
    pub(super) fn beside_changed(&mut self, now: Now) {
        let near = self.switch.neighbours().beside(self.label, WATCHED_EACH_SIDE);
        for tunnel in self.tunnels.iter_mut() {
            tunnel.paths.set_near(near.contains(&tunnel.port), now.us);
        }
    }

    pub(super) fn set_port(&mut self, port: u32, label: Label, up: bool) {
        // OpenFlow gives a port's name 15 characters.
        let name = format!("t{port}");
        self.switch.set_port(port, &name, PortKind::Tunnel(label), up);
    }

    pub(super) fn event_tunnel(&mut self, port: u32, now: Now) {
        if let Some(data) = self.tunnel_json(port, now) {
            self.event("tunnel", data);
        }
    }

    /// Plaintext of a probe of `source`.
    pub(super) fn probe(&mut self, source: Label, plaintext: &[u8], arrival: Arrival, now: Now) {
        let Ok(probe) = Probe::decode(plaintext) else { return self.counters.add("malformed") };
        if !self.limits.probe(source, now) {
            return self.counters.add("probeTooMany");
        }
        if probe.response {
            self.probe_response(source, &probe, arrival, now);
        } else {
            self.probe_request(source, &probe, arrival, now);
        }
    }

    fn probe_request(&mut self, source: Label, probe: &Probe, arrival: Arrival, now: Now) {
        let mut response = Probe { response: true, proven: false, seen: None, ..*probe };
        if arrival.routed.is_some() {
            self.reach.heard(source);
            if !probe.proven {
                self.reach.complained(source, now.us);
            }
            self.send_plain(source, PROBE, &response.encode(), now);
            return;
        }
        let mut actions = Vec::new();
        let allowed = match arrival.via {
            Via::Direct(address) => {
                if !self.may_answer(address) {
                    return;
                }
                response.seen = Some(address);
                self.may_probe(address)
            }
            Via::Webrtc => true,
        };
        let own = self.tunnels.of_mut(source).filter(|t| arrival.via != Via::Webrtc || arrival.channel == Some(t.port));
        let port = own.map(|tunnel| {
            response.proven = tunnel.paths.request(arrival.via, probe.proven, allowed, now.us, &mut actions).proven;
            tunnel.port
        });
        self.send_probe(source, arrival.way(), &response.encode(), now);
        if let Some(port) = port {
            self.run(port, actions, now);
        }
    }

    fn probe_response(&mut self, source: Label, probe: &Probe, arrival: Arrival, now: Now) {
        // What was asked by others comes back bare where the one asked is adjacent.
        self.reach.answered(source, probe.challenge);
        for tunnel in self.tunnels.iter_mut() {
            tunnel.forwards.answered(probe.challenge, now.us);
        }
        if self.ping_answered(source, probe.challenge, arrival, now) || arrival.routed.is_some() {
            return;
        }
        let mut actions = Vec::new();
        let own = self.tunnels.of_mut(source).filter(|t| arrival.via != Via::Webrtc || arrival.channel == Some(t.port));
        let Some(tunnel) = own else { return };
        let port = tunnel.port;
        if !tunnel.paths.response(arrival.via, probe.challenge, probe.size, probe.proven, now.us, &mut actions) {
            self.counters.add("probeUnasked");
            return;
        }
        let seen = probe.seen.filter(|_| tunnel.paths.current() == Some(arrival.via));
        let news = seen.is_some() && tunnel.observed != seen;
        tunnel.observed = seen.or(tunnel.observed);
        let rtt = tunnel.paths.rtt_us();
        if let Some(rtt) = rtt {
            self.switch.set_rtt(port, Micros::from(rtt));
        }
        self.run(port, actions, now);
        if news {
            self.event_tunnel(port, now);
        }
        self.gather_changed(now);
    }

    /// Asks after destinations that are not adjacent and from which nothing comes.
    pub(super) fn reach_tick(&mut self, now: Now) {
        for ask in self.reach.tick(now.us) {
            let probe = Probe {
                response: false,
                proven: ask.heard,
                size: PROBE_RECORD_MIN,
                challenge: ask.challenge,
                seen: None,
            };
            match ask.by {
                // It has a path of its own now, which is watched by itself. There this would be a probe of that path, and without PROVEN
                // take it back.
                None if self.is_adjacent(ask.label, now) => self.reach.heard(ask.label),
                None => {
                    self.send_plain(ask.label, PROBE, &probe.encode(), now);
                }
                Some(port) => self.ask_by(port, ask.label, &probe, now),
            }
        }
        self.counters.add_many("firstHopLeft", self.reach.take_left());
    }

    /// Sends a request to `label` by this tunnel and no other, or makes the session that it takes.
    fn ask_by(&mut self, port: u32, label: Label, probe: &Probe, now: Now) {
        if self.sessions.usable(label, now) {
            return self.send_plain_by(port, label, PROBE, &probe.encode(), now);
        }
        let started = self.sessions.start(label, now);
        self.act(started, now);
    }

    /// Looks at neighbours that records are sent through.
    pub(super) fn forwards_tick(&mut self, now: Now) {
        if self.forwards_at.is_none_or(|at| at > now.us) {
            return;
        }
        let (own, mut changed) = (self.label, false);
        let watched = self.tunnels.iter().filter(|tunnel| tunnel.forwards.watched(now.us));
        let ports: Vec<u32> = watched.map(|tunnel| tunnel.port).collect();
        self.forwards_at = (!ports.is_empty()).then_some(now.us + forwards::LOOK);
        for port in ports {
            let neighbour = self.switch.neighbours().get(port).filter(|neighbour| neighbour.up);
            let behind = || neighbour.iter().flat_map(|n| n.adjacent()).copied().filter(|&label| label != own);
            let Some(tunnel) = self.tunnels.get_mut(port) else { continue };
            let look = tunnel.forwards.look(behind().next().is_some(), super::random, now.us);
            let asked = look.ask.and_then(|(challenge, turn)| {
                let label = behind().nth(turn % behind().count().max(1))?;
                Some((challenge, label))
            });
            if look.changed {
                changed = true;
                let (peer, forwards) = (tunnel.peer.to_string(), !tunnel.forwards.refuses());
                self.event("forwards", json!({ "peer": peer, "forwards": forwards }));
            }
            let Some((challenge, label)) = asked else { continue };
            let probe = Probe { response: false, proven: true, size: PROBE_RECORD_MIN, challenge, seen: None };
            self.ask_by(port, label, &probe, now);
        }
        if changed {
            self.adjacency_changed(now);
        }
    }

    // ---- ping ----

    pub(super) fn ping(&mut self, client: u32, id: u64, to: Label, timeout_ms: u32, now: Now) {
        let until = now.us + Micros::from(timeout_ms) * MILLISECOND;
        self.pings.push(PendingPing { client, id, to, until, next_at: now.us, sent: Vec::new() });
        if !self.sessions.usable(to, now) {
            let started = self.sessions.start(to, now);
            self.act(started, now);
        }
        self.ping_tick(now);
    }

    pub(super) fn ping_tick(&mut self, now: Now) {
        let mut pings = std::mem::take(&mut self.pings);
        pings.retain_mut(|ping| {
            if now.us >= ping.until {
                self.pinged.push(Pinged { client: ping.client, id: ping.id, answer: None });
                return false;
            }
            if now.us < ping.next_at {
                return true;
            }
            if !self.sessions.usable(ping.to, now) {
                ping.next_at = now.us + PING_POLL;
                return true;
            }
            let challenge = super::random();
            // PROVEN: routed, it complains of nothing; by a tunnel's path in use, it says what is so.
            let probe = Probe { response: false, proven: true, size: PROBE_RECORD_MIN, challenge, seen: None };
            self.send_ping(ping.to, &probe.encode(), now);
            ping.sent.push((challenge, now.us));
            ping.next_at = now.us + PING_AGAIN;
            true
        });
        self.pings.append(&mut pings);
    }

    /// By the tunnel's path in use where there is one.
    fn send_ping(&mut self, to: Label, plaintext: &[u8], now: Now) {
        let way: Option<Way> = self.tunnels.of(to).and_then(|tunnel| tunnel.current());
        match way {
            Some(way) => self.send_probe(to, way, plaintext, now),
            None => {
                self.send_plain(to, PROBE, plaintext, now);
            }
        }
    }

    fn ping_answered(&mut self, source: Label, challenge: [u8; 8], arrival: Arrival, now: Now) -> bool {
        let found = self.pings.iter().enumerate().find_map(|(index, ping)| {
            let sent = ping.sent.iter().find(|(sent, _)| *sent == challenge && ping.to == source)?;
            Some((index, sent.1))
        });
        let Some((index, at)) = found else { return false };
        let ping = self.pings.swap_remove(index);
        let (path, hops) = match (arrival.routed, arrival.via) {
            (Some((_, left)), _) => ("via", u32::from(HOP_LIMIT.saturating_sub(left)) + 1),
            (None, Via::Webrtc) => ("webrtc", 1),
            (None, Via::Direct(_)) => ("direct", 1),
        };
        let answer = Some((now.us.saturating_sub(at), path, hops));
        self.pinged.push(Pinged { client: ping.client, id: ping.id, answer });
        true
    }
}

/// Which of our addresses the kernel uses towards `remote`: a connected socket knows, and sends nothing.
fn local_address(remote: SocketAddr, port: u16) -> Option<SocketAddr> {
    let any: SocketAddr = if remote.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(remote).ok()?;
    Some(SocketAddr::new(socket.local_addr().ok()?.ip(), port))
}

impl Pinged {
    pub fn result(&self) -> Result<serde_json::Value, crate::control::Failure> {
        match self.answer {
            Some((rtt, path, hops)) => Ok(json!({ "rttUs": rtt, "path": path, "hops": hops })),
            None => Err(crate::control::Failure::not_found("no answer")),
        }
    }
}
