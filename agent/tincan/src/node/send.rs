//! From a frame or a plaintext to records on their way: which tunnel, with or without routing header, how large.

use super::outlet::{Outlet, Way};
use super::Node;
use crate::forwards;
use crate::frame::{segment, TapFrame};
use crate::io::batch::OWN_BATCH_BYTES;
use crate::log;
use crate::session::fragment::split;
use crate::session::{Now, Origin, Sealer, To};
use crate::switch::Transit;
use crate::tunnel::Via;
use crate::wire::fragment::FRAGMENT_HEADER;
use crate::wire::frame::FRAME_HEADER;
use crate::wire::record::{CONTROL, FLOOD, FRAGMENT, FRAME, PROBE};
use crate::wire::routing::{RoutingHeader, ROUTING_HEADER};
use crate::wire::sealed::{SEAL_OVERHEAD, SESSION_HEADER};
use crate::wire::Label;

/// How records to one node leave now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub port: u32,
    pub way: Way,
    /// For a node that is not adjacent.
    pub header: Option<RoutingHeader>,
    /// Bytes a record may have, routing header included.
    pub size: usize,
}

impl Route {
    fn prefix(&self) -> usize {
        self.header.map_or(0, |_| ROUTING_HEADER)
    }

    /// Bytes of plaintext that fit one sealed record.
    fn plaintext_max(&self) -> usize {
        self.size.saturating_sub(self.prefix() + SEAL_OVERHEAD)
    }
}

/// Seals one record in place where it leaves from: its plaintext is the `parts` in a row.
fn put_sealed(
    sealer: &mut Sealer<'_>,
    outlet: &mut Outlet,
    route: &Route,
    record_type: u8,
    parts: [&[u8]; 3],
    now: Now,
) -> usize {
    let prefix = route.prefix();
    let plaintext: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = prefix + SEAL_OVERHEAD + plaintext;
    let sent = outlet.put(route.way, bytes, record_type == PROBE, now.us, |slot| {
        let (head, record) = slot.split_at_mut(prefix);
        if let Some(header) = &route.header {
            head.copy_from_slice(&header.encode());
        }
        let mut at = SESSION_HEADER;
        for part in parts {
            let Some(room) = record.get_mut(at..at + part.len()) else { return false };
            room.copy_from_slice(part);
            at += part.len();
        }
        sealer.seal(record_type, record).is_ok()
    });
    if sent {
        bytes
    } else {
        0
    }
}

/// A plaintext of any length: cut into fragments where one record does not take it. Answers the bytes sent.
fn put_whole(
    sealer: &mut Sealer<'_>,
    outlet: &mut Outlet,
    route: &Route,
    (record_type, fragment_id): (u8, u16),
    plaintext: &[u8],
    now: Now,
) -> usize {
    if plaintext.len() <= route.plaintext_max() {
        return put_sealed(sealer, outlet, route, record_type, [plaintext, &[], &[]], now);
    }
    if !matches!(record_type, FRAME | FLOOD | CONTROL) {
        return 0;
    }
    let piece = route.plaintext_max().saturating_sub(FRAGMENT_HEADER);
    let pieces = split(fragment_id, record_type, plaintext, piece).unwrap_or_default();
    pieces.iter().map(|piece| put_sealed(sealer, outlet, route, FRAGMENT, [piece, &[], &[]], now)).sum()
}

impl Node {
    /// Records for `label` by tunnel `port`, if that has a path now.
    pub(super) fn route_by(&self, port: u32, label: Label, detour: bool, now: Now) -> Option<Route> {
        let tunnel = self.tunnels.get(port)?;
        let way = tunnel.current()?;
        let mut size = usize::from(tunnel.paths.record_size());
        if tunnel.label == label {
            return Some(Route { port, way, header: None, size });
        }
        if let Some(&(learned, _)) = self.route_sizes.get(&label).filter(|(_, until)| *until > now.us) {
            size = size.min(usize::from(learned));
        }
        let header = RoutingHeader { detour, ..RoutingHeader::new(self.label, label) };
        Some(Route { port, way, header: Some(header), size })
    }

    /// Records for `label` leave bare, by its own tunnel.
    pub(super) fn is_adjacent(&mut self, label: Label, now: Now) -> bool {
        self.route_to(label, 0, now).is_some_and(|route| route.header.is_none())
    }

    /// Records of our own for `label`: its tunnel where there is one to stay, else as table `core` says.
    pub(super) fn route_to(&mut self, label: Label, bytes: usize, now: Now) -> Option<Route> {
        let own = self.tunnels.of(label).map(|tunnel| (tunnel.port, tunnel.draining));
        let adjacent = own.and_then(|(port, _)| self.route_by(port, label, false, now));
        if adjacent.is_some() && own.is_some_and(|(_, draining)| !draining) {
            return adjacent;
        }
        let routed = match self.switch.transit(None, label, 0, bytes, now.us) {
            Transit::Forward { port, detour } => {
                let (port, detour) = self.first_hop(label, port, detour);
                self.route_by(port, label, detour, now)
            }
            Transit::Unknown | Transit::Drop(_) => None,
        };
        routed.or(adjacent)
    }

    /// The first hop the flows say, unless nothing gets through by it.
    fn first_hop(&mut self, label: Label, port: u32, detour: bool) -> (u32, bool) {
        if !self.avoids(label, port) {
            return (port, detour);
        }
        self.another_hop(label, None).map_or((port, detour), |other| (other, true))
    }

    /// Whether records for `label` should not go by this tunnel.
    pub(super) fn avoids(&self, label: Label, port: u32) -> bool {
        self.reach.avoids(label, port)
            || self.tunnels.get(port).is_some_and(|t| t.forwards.refuses() && t.label != label)
    }

    /// A first hop that is not known to lead nowhere.
    pub(super) fn another_hop(&mut self, label: Label, came_by: Option<u32>) -> Option<u32> {
        let find = |node: &Node| {
            let avoid = |port: u32| Some(port) == came_by || node.avoids(label, port);
            node.switch.neighbours().first_hop_avoiding(label, avoid)
        };
        if let Some(other) = find(self) {
            return Some(other);
        }
        self.reach.pardon(label);
        find(self)
    }

    /// What the tap gave, for node `label` by tunnel `port`.
    pub(super) fn send_frame(&mut self, label: Label, port: u32, detour: bool, tap: &TapFrame<'_>, now: Now) {
        let mark = self.traces.mark(tap.frame);
        let adjacent = self.tunnels.get(port).is_some_and(|tunnel| tunnel.label == label);
        let (port, detour) = if adjacent { (port, detour) } else { self.first_hop(label, port, detour) };
        let route = match self.route_by(port, label, detour, now) {
            Some(route) => Some(route),
            None => self.route_to(label, tap.frame.len(), now),
        };
        let Some(route) = route else {
            // Without a path there may still be one for the handshake; until it stands the frames wait with the session.
            self.traces.count(mark, "noPath");
            return self.queue_frame(label, tap, now);
        };
        let Node { sessions, outlet, counters, .. } = self;
        let frame_max = route.plaintext_max().saturating_sub(FRAME_HEADER);
        let fragment_id = if tap.frame.len() > frame_max { sessions.next_fragment_id(label) } else { 0 };
        let Ok(mut sealer) = sessions.sealer(label, now) else {
            self.traces.passed(mark, "noSession", None, Some(route.port));
            return self.queue_frame(label, tap, now);
        };
        if tap.frame.len() > OWN_BATCH_BYTES {
            outlet.flush();
        }
        let mut sent = 0;
        let cut = segment(tap, frame_max, |flags, head, payload| {
            let prefix = [flags, 0];
            sent += if head.len() + payload.len() <= frame_max {
                put_sealed(&mut sealer, outlet, &route, FRAME, [&prefix, head, payload], now)
            } else {
                put_whole(&mut sealer, outlet, &route, (FRAME, fragment_id), &[&prefix, head, payload].concat(), now)
            };
        });
        if let Err(error) = cut {
            counters.add(error.counter());
        }
        self.traces.passed(mark, if sent > 0 { "sent" } else { "notSent" }, None, Some(route.port));
        self.account(&route, label, sent, tap.frame.len(), now);
    }

    fn queue_frame(&mut self, label: Label, tap: &TapFrame<'_>, now: Now) {
        // Cut small enough for any route: nobody knows yet which one it will be.
        let frame_max = usize::from(crate::tunnel::BASE_RECORD) - ROUTING_HEADER - SEAL_OVERHEAD - FRAME_HEADER;
        let mut frames = Vec::new();
        if let Err(error) = segment(tap, frame_max, |flags, head, payload| {
            frames.push([&[flags, 0], head, payload].concat());
        }) {
            self.counters.add(error.counter());
        }
        for plaintext in frames {
            self.queue(label, FRAME, plaintext, now);
        }
    }

    /// Keeps a plaintext until there is a session.
    fn queue(&mut self, label: Label, record_type: u8, plaintext: Vec<u8>, now: Now) {
        let queued = self.sessions.queue(label, record_type, plaintext, now);
        self.act(queued, now);
    }

    /// A plaintext for node `label`. Answers whether it left; without a session it waits for one.
    pub(super) fn send_plain(&mut self, label: Label, record_type: u8, plaintext: &[u8], now: Now) -> bool {
        if !self.sessions.usable(label, now) {
            self.queue(label, record_type, plaintext.to_vec(), now);
            return false;
        }
        let Some(route) = self.route_to(label, plaintext.len(), now) else {
            self.counters.add("noRoute");
            return false;
        };
        let Node { sessions, outlet, .. } = self;
        let fragment_id = if plaintext.len() > route.plaintext_max() { sessions.next_fragment_id(label) } else { 0 };
        let Ok(mut sealer) = sessions.sealer(label, now) else { return false };
        let sent = put_whole(&mut sealer, outlet, &route, (record_type, fragment_id), plaintext, now);
        self.account(&route, label, sent, 0, now);
        sent > 0
    }

    /// A short plaintext for node `label` by tunnel `port`, whatever the flows say.
    pub(super) fn send_plain_by(&mut self, port: u32, label: Label, record_type: u8, plaintext: &[u8], now: Now) {
        let Some(route) = self.route_by(port, label, false, now) else { return };
        let Node { sessions, outlet, .. } = self;
        let Ok(mut sealer) = sessions.sealer(label, now) else { return };
        put_sealed(&mut sealer, outlet, &route, record_type, [plaintext, &[], &[]], now);
    }

    /// A plaintext for the neighbour at `port` and nobody behind it: floods, acknowledgements, adjacency. What neighbours tell each other of
    /// their own accord is no traffic: it is lost without harm, and would keep idle paths awake.
    pub(super) fn send_neighbour(&mut self, port: u32, record_type: u8, plaintext: &[u8], now: Now) {
        let Some(label) = self.tunnels.get(port).map(|tunnel| tunnel.label) else { return };
        let Some(route) = self.route_by(port, label, false, now) else { return };
        let Node { sessions, outlet, .. } = self;
        let fragment_id = if plaintext.len() > route.plaintext_max() { sessions.next_fragment_id(label) } else { 0 };
        let Ok(mut sealer) = sessions.sealer(label, now) else { return };
        let sent = put_whole(&mut sealer, outlet, &route, (record_type, fragment_id), plaintext, now);
        if record_type == CONTROL {
            if let Some(tunnel) = self.tunnels.get_mut(port) {
                tunnel.tx_bytes += sent as u64;
            }
            return;
        }
        self.account(&route, label, sent, 0, now);
    }

    /// A probe by exactly this way, bare: only so does it measure the way.
    pub(super) fn send_probe(&mut self, label: Label, way: Way, plaintext: &[u8], now: Now) {
        let Node { sessions, outlet, tunnels, .. } = self;
        let Ok(mut sealer) = sessions.sealer(label, now) else { return };
        let route = Route { port: 0, way, header: None, size: usize::from(u16::MAX) };
        let sent = put_sealed(&mut sealer, outlet, &route, PROBE, [plaintext, &[], &[]], now);
        if let Some(tunnel) = tunnels.of_mut(label) {
            tunnel.tx_bytes += sent as u64;
        }
    }

    fn account(&mut self, route: &Route, label: Label, sent: usize, frame: usize, now: Now) {
        if sent == 0 {
            return;
        }
        let via = route.header.is_some();
        self.account_hop(route.port, sent, label, now);
        if frame > 0 {
            self.demand(label, frame, via);
        }
        if via && frame > 0 {
            self.reach.sent(label, route.port, now.us);
        } else if via {
            self.reach.used(label, route.port, now.us);
        }
    }

    /// Bytes that left for `label` by the tunnel `port`.
    pub(super) fn account_hop(&mut self, port: u32, bytes: usize, label: Label, now: Now) {
        let Some(tunnel) = self.tunnels.get_mut(port) else { return };
        tunnel.tx_bytes += bytes as u64;
        tunnel.paths.used(now.us);
        if tunnel.label != label {
            tunnel.forwards.used(now.us);
            self.forwards_at.get_or_insert(now.us + forwards::LOOK);
        }
    }

    /// Traffic by remote node, for the agent's on-demand edges.
    pub(super) fn demand(&mut self, label: Label, bytes: usize, via: bool) {
        let (total, over) = self.demand.entry(label).or_default();
        *total += bytes as u64;
        if via {
            *over += bytes as u64;
        }
    }

    /// A record that the session layer made: handshakes, cookies, confirmations.
    pub(super) fn send_record(&mut self, to: To, record: &[u8], now: Now) {
        match to {
            To::Origin(Origin::Direct(address)) => {
                if self.may_answer(address) {
                    self.outlet.send(Way::Direct(address), record, false, now.us);
                }
            }
            To::Origin(Origin::Channel(port)) => {
                self.outlet.send(Way::Relay(port as u16), record, true, now.us);
            }
            To::Origin(Origin::Routed(label)) => self.send_bare_or_routed(label, record, now),
            To::Label(label) => {
                self.send_bare_or_routed(label, record, now);
                // A neighbour without a proven path is knocked at everywhere: this is how the first path comes to be.
                let Some(tunnel) = self.tunnels.of(label).filter(|tunnel| tunnel.current().is_none()) else { return };
                let ways: Vec<Way> = tunnel.paths.all_ways().map(|via: Via| tunnel.way(via)).collect();
                for way in ways {
                    self.outlet.send(way, record, true, now.us);
                }
            }
        }
    }

    fn send_bare_or_routed(&mut self, label: Label, record: &[u8], now: Now) {
        let Some(route) = self.route_to(label, record.len(), now) else { return };
        let bytes = route.prefix() + record.len();
        if bytes > route.size {
            self.counters.add("recordTooBig");
            log!(Debug, "record larger than its route takes", label = label, bytes = bytes, size = route.size);
            return;
        }
        self.outlet.put(route.way, bytes, true, now.us, |slot| {
            let (head, rest) = slot.split_at_mut(bytes - record.len());
            if let Some(header) = &route.header {
                head.copy_from_slice(&header.encode());
            }
            rest.copy_from_slice(record);
            true
        });
        if let Some(tunnel) = self.tunnels.get_mut(route.port) {
            tunnel.tx_bytes += bytes as u64;
        }
    }
}
