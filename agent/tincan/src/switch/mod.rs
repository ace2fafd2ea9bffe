//! The built-in OpenFlow 1.3 switch (wire.md §10.2): bytes, frames and the time in; outputs and bytes out.

mod action;
mod connection;
mod controller;
mod group;
mod key;
mod learned;
mod message;
mod meter;
mod multipart;
mod openflow;
mod oxm;
mod pipeline;
mod port;
mod table;
#[cfg(test)]
mod testing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::routing::Neighbours;
use crate::time::Micros;
use crate::wire::Label;
use connection::Connection;
use controller::PortReason;
use key::Key;
use learned::LearnedMacs;
use pipeline::{Datapath, Trace, Walk};
use port::Port;
pub use port::PortCounters;

/// The table transit records enter at, and where the next hop of every label stands.
pub const CORE_TABLE: u8 = 4;
/// The routing header's flag of §4.1.
pub const FLAG_DETOUR: u8 = 1;

/// Microflows remembered in front of the tables; when there are more, all are forgotten.
const FRAME_CACHE_MAX: usize = 8_192;
const ROUTE_CACHE_MAX: usize = 16_384;

pub type Mac = [u8; 6];
pub type ConnectionId = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    Tap,
    /// A tunnel to the neighbour with this label.
    Tunnel(Label),
}

/// What to do with one frame. Cloning costs one reference count, so the answer may outlive the call.
pub type Outputs = Arc<[Output]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Write the frame to this tap.
    Tap {
        port: u32,
    },
    /// Seal the frame for node `label`; its records leave by tunnel `port`, flagged DETOUR if so told.
    Node {
        label: Label,
        port: u32,
        detour: bool,
    },
    /// Send it to every node as a flood record (§6.3).
    Flood,
    Drop(DropReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// No flow wanted it anywhere.
    Policy,
    /// The port it came by does not exist or is down.
    Port,
    /// A meter's drop band.
    Meter,
    /// The label lies in our own arc and nobody owns it, or the core table is empty.
    UnknownLabel(Label),
    /// Every tunnel that could take it is down.
    NoRoute(Label),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transit {
    Forward {
        port: u32,
        detour: bool,
    },
    /// In our own arc and nobody owns it: notice kind 1.
    Unknown,
    Drop(DropReason),
}

/// A frame a controller sent by packet-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketOut {
    pub frame: Vec<u8>,
    pub outputs: Outputs,
}

/// A foreign MAC learned (`Some`) or forgotten (`None`): the `learned` event of the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    pub mac: Mac,
    pub label: Option<Label>,
}

/// What the flows last said, until any of them, a group, a port or a neighbour changes.
#[derive(Default)]
struct Caches {
    /// By the bits of a key that any flow looks at, and the few that outputs depend on.
    frames: HashMap<Key, Arc<Trace>>,
    relevant: Key,
    /// By the tunnel a record came by and its destination.
    routes: HashMap<(u32, Label), Arc<Trace>>,
    stale: bool,
}

pub struct Switch {
    datapath: Datapath,
    caches: Caches,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: ConnectionId,
    /// The highest generation of a master election (clause 6.3.6).
    generation_id: Option<u64>,
    /// The latest time that was handed in.
    clock: Micros,
}

impl Switch {
    /// The datapath id is the node's label.
    pub fn new(label: Label) -> Self {
        let datapath = Datapath {
            own: label,
            tables: table::Tables::default(),
            groups: group::Groups::default(),
            meters: meter::Meters::default(),
            ports: BTreeMap::new(),
            neighbours: Neighbours::new(),
            learned: LearnedMacs::default(),
        };
        Switch {
            datapath,
            caches: Caches { stale: true, ..Caches::default() },
            connections: BTreeMap::new(),
            next_connection: 1,
            generation_id: None,
            clock: 0,
        }
    }

    /// Adds a port or changes its state; controllers get port-status.
    pub fn set_port(&mut self, number: u32, name: &str, kind: PortKind, up: bool) {
        let reason = match self.datapath.ports.get_mut(&number) {
            Some(port) if port.kind == kind => {
                if port.up == up && port.name == name {
                    return;
                }
                port.up = up;
                name.clone_into(&mut port.name);
                PortReason::Modify
            }
            other => {
                if other.is_some() {
                    self.remove_port(number);
                }
                let port =
                    Port { name: name.to_owned(), kind, up, created: self.clock, counters: PortCounters::default() };
                self.datapath.ports.insert(number, port);
                PortReason::Add
            }
        };
        if let PortKind::Tunnel(label) = kind {
            self.datapath.neighbours.set(number, label, up);
        }
        self.announce_port(number, reason);
        self.caches.stale = true;
    }

    pub fn remove_port(&mut self, number: u32) {
        self.announce_port(number, PortReason::Delete);
        self.datapath.ports.remove(&number);
        self.datapath.neighbours.remove(number);
        self.caches.stale = true;
    }

    pub fn port_counters(&self, number: u32) -> Option<PortCounters> {
        self.datapath.ports.get(&number).map(|port| port.counters)
    }

    /// What passes a port beside the pipeline (flood records, say), for the port's statistics.
    pub fn count_sent(&mut self, number: u32, bytes: usize) {
        if let Some(port) = self.datapath.ports.get_mut(&number) {
            port.sent(bytes);
        }
    }

    /// A frame or record that a port's queue had no room for.
    pub fn count_sent_dropped(&mut self, number: u32) {
        if let Some(port) = self.datapath.ports.get_mut(&number) {
            port.counters.tx_dropped += 1;
        }
    }

    /// A neighbour's adjacency record. Answers whether it told anything new.
    pub fn set_adjacent(&mut self, port: u32, labels: &[Label]) -> bool {
        let changed = self.datapath.neighbours.set_adjacent(port, labels);
        self.caches.stale |= changed;
        changed
    }

    /// A draining tunnel is no way for detours and floods any more; flows may name it, and what comes by it is taken.
    pub fn set_draining(&mut self, port: u32, draining: bool) {
        self.caches.stale |= self.datapath.neighbours.set_draining(port, draining);
    }

    pub fn set_rtt(&mut self, port: u32, rtt: Micros) {
        self.datapath.neighbours.set_rtt(port, rtt);
    }

    pub fn neighbours(&self) -> &Neighbours {
        &self.datapath.neighbours
    }

    /// One frame or super-frame from a tap (`source` None) or opened from a session or flood (`source`: its node; `in_port`: the
    /// tunnel its record came by).
    pub fn frame(&mut self, in_port: u32, source: Option<Label>, frame: &[u8], now: Micros) -> Outputs {
        self.super_frame(in_port, source, frame, frame.len(), now)
    }

    /// The same for a frame of which only the beginning is at hand, at least the headers; `length` is that of the whole.
    pub fn super_frame(
        &mut self,
        in_port: u32,
        source: Option<Label>,
        frame: &[u8],
        length: usize,
        now: Micros,
    ) -> Outputs {
        // A tunnel that is down has no path to send by; what a peer that has not noticed yet still sends by a proven one is good.
        let port = self.datapath.ports.get_mut(&in_port).filter(|port| port.up || source.is_some());
        let (Some(()), Some(mut key)) = (port.map(|port| port.received(length)), Key::of_frame(frame)) else {
            if let Some(port) = self.datapath.ports.get_mut(&in_port) {
                port.counters.rx_dropped += 1;
            }
            return Outputs::from([Output::Drop(DropReason::Port)]);
        };
        key.set_number(key::IN_PORT, u64::from(in_port));
        key.set_number(key::TUNNEL_ID, source.map_or(0, |label| label.0));
        self.refresh();
        let microflow = key.and(&self.caches.relevant);
        if let Some(trace) = self.caches.frames.get(&microflow) {
            let trace = Arc::clone(trace);
            return self.done(&trace, in_port, frame, length, now);
        }
        let trace = Arc::new(Walk::new(&mut self.datapath, key, length, now).frame());
        if !trace.metered {
            make_room(&mut self.caches.frames, FRAME_CACHE_MAX);
            self.caches.frames.insert(microflow, Arc::clone(&trace));
        }
        self.done(&trace, in_port, frame, length, now)
    }

    fn done(&mut self, trace: &Trace, in_port: u32, frame: &[u8], length: usize, now: Micros) -> Outputs {
        self.datapath.count(trace, length, now);
        if !trace.packet_ins.is_empty() {
            self.packet_ins(&trace.packet_ins, in_port, frame, length);
        }
        if let ([Output::Drop(_)], Some(port)) = (&*trace.outputs, self.datapath.ports.get_mut(&in_port)) {
            port.counters.rx_dropped += 1;
        }
        Arc::clone(&trace.outputs)
    }

    /// Next hop of a routed record of `length` bytes that is not for this node. `in_port` None: a record of our own (handshake,
    /// control, frames that waited for a session).
    pub fn transit(
        &mut self,
        in_port: Option<u32>,
        destination: Label,
        flags: u8,
        length: usize,
        now: Micros,
    ) -> Transit {
        if let Some(port) = in_port.and_then(|port| self.datapath.ports.get_mut(&port)) {
            port.received(length);
        }
        if flags & FLAG_DETOUR != 0 {
            let Some(port) = self.datapath.neighbours.onward(self.datapath.own, destination, in_port) else {
                return Transit::Drop(DropReason::NoRoute(destination));
            };
            self.count_sent(port, length);
            return Transit::Forward { port, detour: true };
        }
        let trace = self.route(in_port, destination, length, now);
        self.datapath.count(&trace, length, now);
        forwarding(&trace)
    }

    /// What `transit` would answer for a record without DETOUR; nothing is counted.
    pub fn would_forward(&mut self, in_port: Option<u32>, destination: Label) -> Transit {
        forwarding(&self.route(in_port, destination, 0, 0))
    }

    fn route(&mut self, in_port: Option<u32>, destination: Label, length: usize, now: Micros) -> Arc<Trace> {
        self.refresh();
        let in_port = in_port.unwrap_or(0);
        if let Some(trace) = self.caches.routes.get(&(in_port, destination)) {
            return Arc::clone(trace);
        }
        let mut key = Key::default();
        key.set_number(key::IN_PORT, u64::from(in_port));
        let trace = Arc::new(Walk::new(&mut self.datapath, key, length, now).route(destination));
        if !trace.metered {
            make_room(&mut self.caches.routes, ROUTE_CACHE_MAX);
            self.caches.routes.insert((in_port, destination), Arc::clone(&trace));
        }
        trace
    }

    fn flows_changed(&mut self) {
        self.caches.stale = true;
    }

    /// Forgets what the tables said if anything has changed since.
    fn refresh(&mut self) {
        if !std::mem::take(&mut self.caches.stale) {
            return;
        }
        self.caches.frames.clear();
        self.caches.routes.clear();
        self.caches.relevant = self.datapath.tables.relevant();
        // What outputs depend on beside the flows: the port a frame came by, its source node (IN_PORT), the MAC that NORMAL asks for.
        let whole = oxm::Match::default().with(key::IN_PORT, 0).with(key::TUNNEL_ID, 0).with(key::ETH_DST, 0);
        self.caches.relevant.merge(&whole.mask);
    }

    /// A frame with this foreign source MAC came from `label`; `confirmed` when by a unicast session, not by a flood.
    pub fn learn(&mut self, mac: Mac, label: Label, confirmed: bool, now: Micros) -> Option<Learned> {
        let learned = self.datapath.learned.learn(mac, label, confirmed, now);
        if learned.is_some() {
            self.learned_changed();
        }
        learned
    }

    /// Only frames that asked for a learned MAC may fare otherwise now.
    fn learned_changed(&mut self) {
        self.caches.frames.retain(|_, trace| !trace.normal);
    }

    pub fn learned(&self, mac: Mac) -> Option<Label> {
        self.datapath.learned.get(mac)
    }

    /// A member was revoked or expired: whatever was learned from it is void.
    pub fn forget_label(&mut self, label: Label) -> Vec<Learned> {
        let forgotten = self.datapath.learned.forget_label(label);
        self.learned_changed();
        forgotten
    }

    /// A controller connected; the hello is already in `outgoing`.
    pub fn connect(&mut self) -> ConnectionId {
        let id = self.next_connection;
        self.next_connection = self.next_connection.wrapping_add(1);
        self.connections.insert(id, Connection::new());
        id
    }

    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// Bytes from a controller, cut anywhere. Answers the frames it sends by packet-out.
    pub fn receive(&mut self, connection: ConnectionId, bytes: &[u8], now: Micros) -> Vec<PacketOut> {
        self.clock = now;
        let mut frames = Vec::new();
        if let Some(known) = self.connections.get_mut(&connection) {
            known.push(bytes);
        }
        while let Some((header, message)) = self.connections.get_mut(&connection).and_then(Connection::next) {
            frames.extend(self.handle(connection, &header, &message, now));
        }
        frames
    }

    /// Connections that have bytes to send, or that are to be closed.
    pub fn ready(&self) -> Vec<ConnectionId> {
        let ready = self.connections.iter().filter(|(_, connection)| connection.has_unsent() || connection.closed);
        ready.map(|(&id, _)| id).collect()
    }

    /// Bytes for a controller; taken out.
    pub fn outgoing(&mut self, connection: ConnectionId) -> Vec<u8> {
        self.connections.get_mut(&connection).map(Connection::take_unsent).unwrap_or_default()
    }

    /// Send what `outgoing` still gives, then close and call `disconnect`.
    pub fn is_closed(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_none_or(|connection| connection.closed)
    }

    /// Flow timeouts and learned MACs that are due; answers the MACs forgotten.
    pub fn tick(&mut self, now: Micros) -> Vec<Learned> {
        self.clock = now;
        let removed = self.datapath.tables.expire(now);
        if !removed.is_empty() {
            self.announce_removed(&removed, now);
            self.flows_changed();
        }
        let forgotten = self.datapath.learned.expire(now);
        if !forgotten.is_empty() {
            self.learned_changed();
        }
        forgotten
    }

    /// When `tick` wants to be called.
    pub fn deadline(&self) -> Option<Micros> {
        let deadlines = [self.datapath.tables.deadline(), self.datapath.learned.deadline()];
        deadlines.into_iter().flatten().min()
    }
}

fn forwarding(trace: &Trace) -> Transit {
    match trace.outputs.first() {
        Some(&Output::Node { port, detour, .. }) => Transit::Forward { port, detour },
        Some(&Output::Drop(DropReason::UnknownLabel(_))) => Transit::Unknown,
        Some(&Output::Drop(reason)) => Transit::Drop(reason),
        _ => Transit::Drop(DropReason::Policy),
    }
}

/// A cache that is full starts anew: cheaper than keeping an order, and a flow that matters is back with its next frame.
fn make_room<K, V>(cache: &mut HashMap<K, V>, max: usize) {
    if cache.len() >= max {
        cache.clear();
    }
}

#[cfg(test)]
mod tests;
