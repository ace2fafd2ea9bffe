//! The way of one frame or record through the tables (clause 5.1): flows in, a [`Trace`] out. The trace says what happened and what
//! to count, so that the caches in front can replay it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::{Action, Instructions};
use super::group::{GroupKind, Groups};
use super::key::{self, Key};
use super::learned::LearnedMacs;
use super::meter::Meters;
use super::openflow::{port, CONTROLLER_NO_BUFFER};
use super::port::Port;
use super::table::{FlowId, Tables};
use super::{DropReason, Output, Outputs, PortKind, CORE_TABLE};
use crate::routing::Neighbours;
use crate::time::Micros;
use crate::wire::Label;

/// All that decides where a frame goes.
pub struct Datapath {
    pub own: Label,
    pub tables: Tables,
    pub groups: Groups,
    pub meters: Meters,
    pub ports: BTreeMap<u32, Port>,
    pub neighbours: Neighbours,
    pub learned: LearnedMacs,
}

/// OFPR_NO_MATCH and OFPR_ACTION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketInReason {
    NoMatch = 0,
    Action = 1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketInSpec {
    pub reason: PacketInReason,
    pub table: u8,
    pub cookie: u64,
    pub tunnel_id: u64,
    pub metadata: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub outputs: Outputs,
    pub packet_ins: Vec<PacketInSpec>,
    flows: Vec<FlowId>,
    /// Group, bucket, whether it is the first bucket of this visit.
    buckets: Vec<(u32, usize, bool)>,
    missed: Option<u8>,
    /// It passed a meter: the next packet may fare otherwise.
    pub metered: bool,
    /// It asked for a learned MAC.
    pub normal: bool,
}

/// The action set (clause 5.10), of the actions there are: one of each kind, executed in this order, output last and only without a group.
#[derive(Default)]
struct ActionSet {
    tunnel: Option<u64>,
    group: Option<u32>,
    output: Option<u32>,
}

impl ActionSet {
    fn write(&mut self, actions: &[Action]) {
        for action in actions {
            match *action {
                Action::SetTunnel(label) => self.tunnel = Some(label),
                Action::Group(group) => self.group = Some(group),
                Action::Output { port, .. } => self.output = Some(port),
            }
        }
    }

    fn actions(&self) -> Vec<Action> {
        let output = match (self.group, self.output) {
            (Some(group), _) => Some(Action::Group(group)),
            (None, port) => port.map(|port| Action::Output { port, max_length: CONTROLLER_NO_BUFFER }),
        };
        self.tunnel.map(Action::SetTunnel).into_iter().chain(output).collect()
    }
}

pub struct Walk<'a> {
    datapath: &'a mut Datapath,
    key: Key,
    /// 0 for what this node sends itself.
    in_port: u32,
    /// `in_port` is a tunnel.
    came_by: Option<u32>,
    /// A flow has set tunnel_id: it is a destination now, no longer the source.
    addressed: bool,
    /// In a bucket of a fast-failover group that is not the first.
    failover: bool,
    length: usize,
    now: Micros,
    table: u8,
    cookie: u64,
    table_miss: bool,
    /// NORMAL asks table `core` for the next hop, and a flow there may not ask again.
    routed: bool,
    /// TABLE of a packet-out was followed.
    in_tables: bool,
    why: DropReason,
    outputs: Vec<Output>,
    trace: Trace,
}

impl<'a> Walk<'a> {
    pub fn new(datapath: &'a mut Datapath, key: Key, length: usize, now: Micros) -> Self {
        let in_port = key.number(key::IN_PORT) as u32;
        let came_by = datapath.neighbours.get(in_port).map(|_| in_port);
        let trace = Trace {
            outputs: Outputs::from([]),
            packet_ins: Vec::new(),
            flows: Vec::new(),
            buckets: Vec::new(),
            missed: None,
            metered: false,
            normal: false,
        };
        Walk {
            datapath,
            key,
            in_port,
            came_by,
            addressed: false,
            failover: false,
            length,
            now,
            table: 0,
            cookie: u64::MAX,
            table_miss: false,
            routed: false,
            in_tables: false,
            why: DropReason::Policy,
            outputs: Vec::new(),
            trace,
        }
    }

    /// A frame from table 0 on.
    pub fn frame(mut self) -> Trace {
        self.tables_from(0);
        self.finish()
    }

    /// A record or frame for `label` from table `core` on.
    pub fn route(mut self, label: Label) -> Trace {
        self.address(label.0);
        self.tables_from(CORE_TABLE);
        self.finish()
    }

    /// The actions of a packet-out.
    pub fn actions(mut self, actions: &[Action]) -> Trace {
        self.execute(actions);
        self.finish()
    }

    fn finish(mut self) -> Trace {
        // What could not be sent only tells why when nothing was.
        if self.outputs.iter().any(|output| !matches!(output, Output::Drop(_))) {
            self.outputs.retain(|output| !matches!(output, Output::Drop(_)));
        } else if self.outputs.is_empty() && self.trace.packet_ins.is_empty() {
            self.outputs.push(Output::Drop(self.why));
        }
        self.trace.outputs = Arc::from(self.outputs);
        self.trace
    }

    fn address(&mut self, label: u64) {
        self.key.set_number(key::TUNNEL_ID, label);
        self.addressed = true;
    }

    fn label(&self) -> Label {
        Label(self.key.number(key::TUNNEL_ID))
    }

    fn tables_from(&mut self, first: u8) {
        let (mut set, mut next) = (ActionSet::default(), Some(first));
        while let Some(table) = next {
            self.table = table;
            let Some(id) = self.datapath.tables.lookup(table, &self.key) else {
                self.trace.missed = Some(table);
                self.unknown_if_core();
                return;
            };
            let Some(flow) = self.datapath.tables.get(id) else { return };
            let instructions = Arc::clone(&flow.spec.instructions);
            (self.cookie, self.table_miss) = (flow.spec.cookie, flow.is_table_miss());
            self.trace.flows.push(id);
            if !self.metered_pass(&instructions) {
                return;
            }
            if let Some(actions) = &instructions.apply {
                self.execute(actions);
            }
            if instructions.clear {
                set = ActionSet::default();
            }
            set.write(instructions.write.as_deref().unwrap_or(&[]));
            if let Some((value, mask)) = instructions.metadata {
                let metadata = self.key.number(key::METADATA) & !mask | value;
                self.key.set_number(key::METADATA, metadata);
            }
            // A goto only ever leads on (clause 5.1), so this ends; the flow-mod was checked for it.
            next = instructions.goto.filter(|&to| to > table);
            if next.is_none() && instructions.actions().next().is_none() {
                self.unknown_if_core();
            }
        }
        self.execute(&set.actions());
    }

    /// Nothing in `core` takes the label: it lies in our own arc and nobody owns it.
    fn unknown_if_core(&mut self) {
        if self.table == CORE_TABLE && self.addressed {
            self.why = DropReason::UnknownLabel(self.label());
        }
    }

    fn metered_pass(&mut self, instructions: &Instructions) -> bool {
        let Some(meter) = instructions.meter else { return true };
        self.trace.metered = true;
        let pass = self.datapath.meters.pass(meter, self.length, self.now);
        if !pass {
            self.why = DropReason::Meter;
        }
        pass
    }

    fn execute(&mut self, actions: &[Action]) {
        for action in actions {
            match *action {
                Action::SetTunnel(label) => self.address(label),
                Action::Group(group) => self.group(group),
                Action::Output { port, .. } => self.output(port),
            }
        }
    }

    fn group(&mut self, id: u32) {
        let datapath = &*self.datapath;
        let Some(group) = datapath.groups.get(id) else { return };
        let kind = group.spec.kind;
        let chosen = group.chosen(|port| datapath.is_up(port));
        let chosen: Vec<_> = chosen.into_iter().map(|(i, bucket)| (i, bucket.actions.clone())).collect();
        if chosen.is_empty() && self.addressed {
            // Every bucket is dead: round by the neighbours, as when the port of a plain output is down.
            self.hop(self.label(), None);
        }
        for (i, (bucket, actions)) in chosen.into_iter().enumerate() {
            self.trace.buckets.push((id, bucket, i == 0));
            // Each bucket has a copy of the packet (clause 5.6.1).
            let (key, addressed, failover) = (self.key, self.addressed, self.failover);
            self.failover |= kind == GroupKind::FastFailover && bucket > 0;
            let mut set = ActionSet::default();
            set.write(&actions);
            self.execute(&set.actions());
            (self.key, self.addressed, self.failover) = (key, addressed, failover);
        }
    }

    fn output(&mut self, to: u32) {
        match to {
            port::CONTROLLER => self.packet_in(),
            port::FLOOD | port::ALL => self.flood(),
            port::NORMAL => self.normal(),
            port::IN_PORT => self.back(),
            port::TABLE if !self.in_tables => {
                self.in_tables = true;
                self.tables_from(0);
            }
            // Never out by the port it came in by (clause 5.9), but a record addressed to a node may go another way.
            to if to == self.in_port && (self.came_by.is_none() || !self.addressed) => {}
            to => self.port(to),
        }
    }

    fn port(&mut self, to: u32) {
        match self.datapath.ports.get(&to).map(|port| (port.kind, port.up)) {
            Some((PortKind::Tap, true)) => self.outputs.push(Output::Tap { port: to }),
            Some((PortKind::Tunnel(neighbour), _)) => {
                let label = if self.addressed { self.label() } else { neighbour };
                self.hop(label, Some(to));
            }
            None if self.addressed => self.hop(self.label(), None),
            _ => self.outputs.push(Output::Drop(DropReason::Port)),
        }
    }

    /// Towards `label` by tunnel `port`, or round it when it is down or where the record came from.
    fn hop(&mut self, label: Label, port: Option<u32>) {
        let neighbours = &self.datapath.neighbours;
        let output = if label == self.datapath.own {
            Output::Drop(DropReason::Policy)
        } else if let Some((port, detour)) = neighbours.hop(label, self.came_by, port) {
            Output::Node { label, port, detour: detour || self.failover }
        } else {
            Output::Drop(DropReason::NoRoute(label))
        };
        self.outputs.push(output);
    }

    /// IN_PORT: to the tap it came from, or back to the node that sent it.
    fn back(&mut self) {
        match self.came_by {
            None if self.datapath.is_up(self.in_port) => self.outputs.push(Output::Tap { port: self.in_port }),
            Some(port) if self.datapath.neighbours.is_up(port) => {
                let label = self.label();
                self.outputs.push(Output::Node { label, port, detour: self.failover });
            }
            _ => self.outputs.push(Output::Drop(DropReason::Port)),
        }
    }

    /// FLOOD: from a tap to every node and every other tap. What came from another node goes to the taps only: the way from node
    /// to node is the flood machine's.
    fn flood(&mut self) {
        let taps = self.datapath.ports.iter().filter(|(_, port)| port.kind == PortKind::Tap && port.up);
        let taps = taps.map(|(&port, _)| port).filter(|&port| port != self.in_port);
        self.outputs.extend(taps.map(|port| Output::Tap { port }));
        if self.came_by.is_none() {
            self.outputs.push(Output::Flood);
        }
    }

    /// NORMAL: to the node a foreign MAC was learned from, else FLOOD.
    fn normal(&mut self) {
        self.trace.normal = true;
        let mac = self.key.number(key::ETH_DST).to_be_bytes();
        let [_, _, mac @ ..] = mac;
        match self.datapath.learned.get(mac) {
            Some(label) if self.came_by.is_none() && !self.routed => {
                let (key, addressed) = (self.key, self.addressed);
                self.routed = true;
                self.address(label.0);
                self.tables_from(CORE_TABLE);
                self.routed = false;
                (self.key, self.addressed) = (key, addressed);
            }
            _ => self.flood(),
        }
    }

    fn packet_in(&mut self) {
        let reason = if self.table_miss { PacketInReason::NoMatch } else { PacketInReason::Action };
        self.trace.packet_ins.push(PacketInSpec {
            reason,
            table: self.table,
            cookie: self.cookie,
            tunnel_id: self.key.number(key::TUNNEL_ID),
            metadata: self.key.number(key::METADATA),
        });
    }
}

impl Datapath {
    pub fn is_up(&self, port: u32) -> bool {
        self.ports.get(&port).is_some_and(|port| port.up)
    }

    /// Flow, group, table and port counters of one packet that took this way.
    pub fn count(&mut self, trace: &Trace, length: usize, now: Micros) {
        trace.flows.iter().for_each(|&id| self.tables.hit(id, length, now));
        trace.buckets.iter().for_each(|&(group, bucket, first)| self.groups.hit(group, bucket, first, length));
        if let Some(table) = trace.missed {
            self.tables.missed(table);
        }
        for output in trace.outputs.iter() {
            let (Output::Tap { port } | Output::Node { port, .. }) = *output else { continue };
            if let Some(port) = self.ports.get_mut(&port) {
                port.sent(length);
            }
        }
    }
}
