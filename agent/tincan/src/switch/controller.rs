//! The requests of controllers, carried out (clause 7.3), and what they are told unasked (clause 7.4).

use super::action::{Action, Instructions};
use super::connection::Header;
use super::key::{self, Key};
use super::message::{
    decode_role, hello_allows, FlowMod, GroupMod, MeterMod, MultipartRequest, PacketOutRequest, Role,
};
use super::openflow::{error, kind, port, Result, NO_BUFFER, TABLE_ALL, VERSION};
use super::oxm::Match;
use super::pipeline::{PacketInSpec, Walk};
use super::table::{FlowSpec, Removed, RemovedReason, FLAG_RESET_COUNTS, FLAG_SEND_REMOVED, TABLES};
use super::{multipart, ConnectionId, PacketOut, Switch};
use crate::time::{Micros, SECOND};
use crate::wire::Reader;

/// OFPPR_ADD, OFPPR_DELETE, OFPPR_MODIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortReason {
    Add = 0,
    Delete = 1,
    Modify = 2,
}

/// What fits behind the headers of a packet-in: match and frame of one message.
const PACKET_IN_FRAME_MAX: usize = 65_000;

impl Switch {
    /// One whole message. Whatever it is, the answer is a reply or one error.
    pub(super) fn handle(
        &mut self,
        id: ConnectionId,
        header: &Header,
        message: &[u8],
        now: Micros,
    ) -> Option<PacketOut> {
        let body = message.get(super::openflow::HEADER_LENGTH..).unwrap_or(&[]);
        match self.carry_out(id, header, body, now) {
            Ok(packet_out) => packet_out,
            Err(error) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.error(header.xid, error, message);
                    if error == error::HELLO_INCOMPATIBLE {
                        connection.close();
                    }
                }
                None
            }
        }
    }

    fn carry_out(&mut self, id: ConnectionId, header: &Header, body: &[u8], now: Micros) -> Result<Option<PacketOut>> {
        let connection = self.connections.get_mut(&id).ok_or(error::BAD_REQUEST_TYPE)?;
        if !connection.greeted {
            if header.kind != kind::HELLO || !hello_allows(header.version, body) {
                return Err(error::HELLO_INCOMPATIBLE);
            }
            connection.greeted = true;
            return Ok(None);
        }
        if header.version != VERSION && header.kind != kind::HELLO {
            return Err(error::BAD_REQUEST_VERSION);
        }
        let xid = header.xid;
        let changes = matches!(
            header.kind,
            kind::FLOW_MOD | kind::GROUP_MOD | kind::METER_MOD | kind::PACKET_OUT | kind::SET_CONFIG
        );
        if changes && connection.role == Role::Slave {
            return Err(error::BAD_REQUEST_IS_SLAVE);
        }
        match header.kind {
            kind::HELLO | kind::ERROR | kind::ECHO_REPLY => {}
            kind::ECHO_REQUEST => connection.send(kind::ECHO_REPLY, xid, |out| out.extend(body)),
            kind::EXPERIMENTER => return Err(error::BAD_REQUEST_EXPERIMENTER),
            kind::FEATURES_REQUEST => {
                empty(body)?;
                let datapath_id = self.datapath.own.0;
                connection.send(kind::FEATURES_REPLY, xid, |out| features(out, datapath_id));
            }
            kind::GET_CONFIG_REQUEST => {
                empty(body)?;
                let miss_send_length = connection.miss_send_length;
                connection.send(kind::GET_CONFIG_REPLY, xid, |out| {
                    out.extend([0, 0]);
                    out.extend(miss_send_length.to_be_bytes());
                });
            }
            kind::SET_CONFIG => connection.miss_send_length = set_config(body)?,
            kind::BARRIER_REQUEST => {
                empty(body)?;
                // Every request is carried out before the next is read: there is nothing to wait for.
                connection.send(kind::BARRIER_REPLY, xid, |_| {});
            }
            kind::ROLE_REQUEST => self.set_role(id, xid, body)?,
            kind::FLOW_MOD => self.flow_mod(FlowMod::decode(body)?, now)?,
            kind::GROUP_MOD => self.group_mod(GroupMod::decode(body)?, now)?,
            kind::METER_MOD => self.meter_mod(MeterMod::decode(body)?, now)?,
            kind::PACKET_OUT => return self.packet_out(body, now).map(Some),
            kind::MULTIPART_REQUEST => {
                let request = MultipartRequest::decode(body)?;
                let items = multipart::reply(&self.datapath, &request, now)?;
                multipart::send(connection, xid, request.kind(), items);
            }
            _ => return Err(error::BAD_REQUEST_TYPE),
        }
        Ok(None)
    }

    fn set_role(&mut self, id: ConnectionId, xid: u32, body: &[u8]) -> Result<()> {
        let (role, generation) = decode_role(body)?;
        if matches!(role, Role::Master | Role::Slave) {
            // Stale by the distance of a wrapping counter (clause 6.3.6).
            if self.generation_id.is_some_and(|known| (generation.wrapping_sub(known) as i64) < 0) {
                return Err(error::ROLE_STALE);
            }
            self.generation_id = Some(generation);
        }
        if role == Role::Master {
            let masters = self.connections.values_mut().filter(|connection| connection.role == Role::Master);
            masters.for_each(|connection| connection.role = Role::Slave);
        }
        let generation = self.generation_id.unwrap_or(u64::MAX);
        if let Some(connection) = self.connections.get_mut(&id) {
            if role != Role::NoChange {
                connection.role = role;
            }
            let role = connection.role as u32;
            connection.send(kind::ROLE_REPLY, xid, |out| {
                out.extend(role.to_be_bytes());
                out.extend([0; 4]);
                out.extend(generation.to_be_bytes());
            });
        }
        Ok(())
    }

    fn flow_mod(&mut self, request: FlowMod, now: Micros) -> Result<()> {
        match request {
            FlowMod::Add(spec) => {
                self.check_flow(&spec)?;
                self.datapath.tables.add(spec, now)?;
            }
            FlowMod::Modify { filter, strict, instructions, flags } => {
                if filter.table != TABLE_ALL && filter.table >= TABLES {
                    return Err(error::FLOW_MOD_TABLE_ID);
                }
                let from = if filter.table == TABLE_ALL { TABLES } else { filter.table };
                self.check_instructions(from, &instructions)?;
                self.datapath.tables.modify(&filter, strict, &instructions, flags & FLAG_RESET_COUNTS != 0);
            }
            FlowMod::Delete { filter, strict } => {
                if filter.table != TABLE_ALL && filter.table >= TABLES {
                    return Err(error::FLOW_MOD_TABLE_ID);
                }
                let removed = self.datapath.tables.delete(&filter, strict, RemovedReason::Delete);
                self.announce_removed(&removed, now);
            }
        }
        self.flows_changed();
        Ok(())
    }

    fn check_flow(&self, spec: &FlowSpec) -> Result<()> {
        if spec.table >= TABLES {
            return Err(error::FLOW_MOD_TABLE_ID);
        }
        self.check_instructions(spec.table, &spec.instructions)
    }

    fn check_instructions(&self, table: u8, instructions: &Instructions) -> Result<()> {
        if instructions.goto.is_some_and(|goto| goto >= TABLES || goto <= table) {
            return Err(error::BAD_INSTRUCTION_TABLE_ID);
        }
        if instructions.meter.is_some_and(|meter| self.datapath.meters.get(meter).is_none()) {
            return Err(error::METER_MOD_UNKNOWN);
        }
        self.check_groups(instructions.actions())
    }

    fn check_groups<'a>(&self, mut actions: impl Iterator<Item = &'a Action>) -> Result<()> {
        let unknown =
            |action: &Action| matches!(*action, Action::Group(group) if self.datapath.groups.get(group).is_none());
        if actions.any(unknown) {
            Err(error::BAD_ACTION_OUT_GROUP)
        } else {
            Ok(())
        }
    }

    fn group_mod(&mut self, request: GroupMod, now: Micros) -> Result<()> {
        match request {
            GroupMod::Add(id, spec) => self.datapath.groups.add(id, spec, now)?,
            GroupMod::Modify(id, spec) => self.datapath.groups.modify(id, spec, now)?,
            GroupMod::Delete(id) => {
                if self.datapath.groups.delete(id) {
                    let removed =
                        self.datapath.tables.delete_where(RemovedReason::GroupDelete, |flow| flow.uses_group(id));
                    self.announce_removed(&removed, now);
                }
            }
            GroupMod::DeleteAll => {
                self.datapath.groups.clear();
                let uses_any = |flow: &Instructions| flow.actions().any(|action| matches!(action, Action::Group(_)));
                let removed = self.datapath.tables.delete_where(RemovedReason::GroupDelete, uses_any);
                self.announce_removed(&removed, now);
            }
        }
        self.flows_changed();
        Ok(())
    }

    fn meter_mod(&mut self, request: MeterMod, now: Micros) -> Result<()> {
        let removed = match request {
            MeterMod::Add(id, spec) => return self.datapath.meters.add(id, spec, now),
            MeterMod::Modify(id, spec) => return self.datapath.meters.modify(id, spec, now),
            MeterMod::Delete(id) => {
                self.datapath.meters.delete(id);
                self.datapath.tables.delete_where(RemovedReason::Delete, |flow| flow.meter == Some(id))
            }
            MeterMod::DeleteAll => {
                self.datapath.meters.clear();
                self.datapath.tables.delete_where(RemovedReason::Delete, |flow| flow.meter.is_some())
            }
        };
        self.announce_removed(&removed, now);
        self.flows_changed();
        Ok(())
    }

    fn packet_out(&mut self, body: &[u8], now: Micros) -> Result<PacketOut> {
        let request = PacketOutRequest::decode(body)?;
        self.check_groups(request.actions.iter())?;
        let mut key = Key::of_frame(request.frame).ok_or(error::BAD_REQUEST_PACKET)?;
        let in_port = if request.in_port == port::CONTROLLER { 0 } else { request.in_port };
        key.set_number(key::IN_PORT, u64::from(in_port));
        let trace = Walk::new(&mut self.datapath, key, request.frame.len(), now).actions(&request.actions);
        self.datapath.count(&trace, request.frame.len(), now);
        self.packet_ins(&trace.packet_ins, request.in_port, request.frame, request.frame.len());
        Ok(PacketOut { frame: request.frame.to_vec(), outputs: trace.outputs })
    }

    /// buffer (4) | total length (2) | reason (1) | table (1) | cookie (8) | match | 0 (2) | frame
    pub(super) fn packet_ins(&mut self, specs: &[PacketInSpec], in_port: u32, frame: &[u8], length: usize) {
        for spec in specs {
            let mut matching = Match::default().with(key::IN_PORT, u128::from(in_port));
            if spec.tunnel_id != 0 {
                matching = matching.with(key::TUNNEL_ID, u128::from(spec.tunnel_id));
            }
            if spec.metadata != 0 {
                matching = matching.with(key::METADATA, u128::from(spec.metadata));
            }
            let total = u16::try_from(length).unwrap_or(u16::MAX);
            let listeners = self.connections.values_mut().filter(|connection| connection.role != Role::Slave);
            for connection in listeners {
                connection.send_async(kind::PACKET_IN, |out| {
                    out.extend(NO_BUFFER.to_be_bytes());
                    out.extend(total.to_be_bytes());
                    out.extend([spec.reason as u8, spec.table]);
                    out.extend(spec.cookie.to_be_bytes());
                    matching.encode(out);
                    out.extend([0; 2]);
                    // No frame is buffered here, so the controller gets the whole one (clause 6.1.2).
                    out.extend(frame.iter().take(PACKET_IN_FRAME_MAX));
                });
            }
        }
    }

    /// cookie (8) | priority (2) | reason (1) | table (1) | seconds (4) | nanoseconds (4) | idle (2) | hard (2) | packets (8) |
    /// bytes (8) | match
    pub(super) fn announce_removed(&mut self, removed: &[Removed], now: Micros) {
        for Removed { flow, reason } in
            removed.iter().filter(|removed| removed.flow.spec.flags & FLAG_SEND_REMOVED != 0)
        {
            let (seconds, nanoseconds) = age(flow.created, now);
            let listeners = self.connections.values_mut().filter(|connection| connection.role != Role::Slave);
            for connection in listeners {
                connection.send_async(kind::FLOW_REMOVED, |out| {
                    out.extend(flow.spec.cookie.to_be_bytes());
                    out.extend(flow.spec.priority.to_be_bytes());
                    out.extend([*reason as u8, flow.spec.table]);
                    out.extend(seconds.to_be_bytes());
                    out.extend(nanoseconds.to_be_bytes());
                    out.extend(flow.spec.idle_timeout.to_be_bytes());
                    out.extend(flow.spec.hard_timeout.to_be_bytes());
                    out.extend(flow.packets.to_be_bytes());
                    out.extend(flow.bytes.to_be_bytes());
                    flow.spec.matching.encode(out);
                });
            }
        }
    }

    /// reason (1) | 0 (7) | port (64)
    pub(super) fn announce_port(&mut self, number: u32, reason: PortReason) {
        let Some(port) = self.datapath.ports.get(&number) else { return };
        for connection in self.connections.values_mut() {
            connection.send_async(kind::PORT_STATUS, |out| {
                out.extend([reason as u8, 0, 0, 0, 0, 0, 0, 0]);
                port.encode(number, out);
            });
        }
    }
}

fn empty(body: &[u8]) -> Result<()> {
    if body.is_empty() {
        Ok(())
    } else {
        Err(error::BAD_REQUEST_LEN)
    }
}

/// datapath id (8) | buffers (4) | tables (1) | auxiliary id (1) | 0 (2) | capabilities (4) | reserved (4)
fn features(out: &mut Vec<u8>, datapath_id: u64) {
    /// Flow, table, port and group statistics.
    const CAPABILITIES: u32 = 1 | 2 | 4 | 8;
    out.extend(datapath_id.to_be_bytes());
    out.extend([0; 4]);
    out.extend([TABLES, 0, 0, 0]);
    out.extend(CAPABILITIES.to_be_bytes());
    out.extend([0; 4]);
}

/// flags (2) | miss send length (2). Frames are handled as they come, fragments or not: flag 0 only.
fn set_config(body: &[u8]) -> Result<u16> {
    let cut = |_| error::BAD_REQUEST_LEN;
    let mut reader = Reader::new(body);
    let (flags, miss_send_length) = (reader.u16().map_err(cut)?, reader.u16().map_err(cut)?);
    reader.end().map_err(cut)?;
    if flags != 0 {
        Err(error::SET_CONFIG_FLAGS)
    } else {
        Ok(miss_send_length)
    }
}

/// Seconds and nanoseconds since `created`.
pub(super) fn age(created: Micros, now: Micros) -> (u32, u32) {
    let age = now.saturating_sub(created);
    (u32::try_from(age / SECOND).unwrap_or(u32::MAX), (age % SECOND) as u32 * 1_000)
}
