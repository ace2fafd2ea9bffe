//! Requests of a controller (clause 7.3), decoded. The layouts are drawn above each decoder, behind the 8 header bytes.

use std::sync::Arc;

use super::action::{Action, Instructions};
use super::group::{Bucket, GroupKind, GroupSpec, BUCKETS_MAX};
use super::meter::{self, DropBand, MeterSpec, BANDS_MAX};
use super::openflow::{error, port, Result, GROUP_ALL, GROUP_ANY, GROUP_MAX, METER_ALL, METER_MAX, NO_BUFFER};
use super::oxm::Match;
use super::table::{Filter, FlowSpec, FLAGS_KNOWN};
use crate::wire::{DecodeError, Reader};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowMod {
    Add(FlowSpec),
    /// `strict` holds the priority.
    Modify {
        filter: Filter,
        strict: Option<u16>,
        instructions: Arc<Instructions>,
        flags: u16,
    },
    Delete {
        filter: Filter,
        strict: Option<u16>,
    },
}

fn cut(_: DecodeError) -> super::openflow::Error {
    error::BAD_REQUEST_LEN
}

impl FlowMod {
    /// cookie (8) | cookie mask (8) | table (1) | command (1) | idle (2) | hard (2) | priority (2) | buffer (4) | out port (4) |
    /// out group (4) | flags (2) | 0 (2) | match | instructions
    pub fn decode(body: &[u8]) -> Result<FlowMod> {
        let mut reader = Reader::new(body);
        let (cookie, cookie_mask) = (reader.u64().map_err(cut)?, reader.u64().map_err(cut)?);
        let (table, command) = (reader.u8().map_err(cut)?, reader.u8().map_err(cut)?);
        let (idle_timeout, hard_timeout) = (reader.u16().map_err(cut)?, reader.u16().map_err(cut)?);
        let (priority, buffer) = (reader.u16().map_err(cut)?, reader.u32().map_err(cut)?);
        let (out_port, out_group) = (reader.u32().map_err(cut)?, reader.u32().map_err(cut)?);
        let flags = reader.u16().map_err(cut)?;
        reader.take(2).map_err(cut)?;
        let matching = Match::decode(&mut reader)?;
        let instructions = Arc::new(Instructions::decode(&mut reader)?);
        if command > 4 {
            return Err(error::FLOW_MOD_COMMAND);
        }
        if flags & !FLAGS_KNOWN != 0 {
            return Err(error::FLOW_MOD_FLAGS);
        }
        let strict = (command == 2 || command == 4).then_some(priority);
        if command >= 3 {
            let filter = Filter { table, matching, out_port, out_group, cookie, cookie_mask };
            return Ok(FlowMod::Delete { filter, strict });
        }
        // No frame is ever kept here for a controller, so no buffer can be meant.
        if buffer != NO_BUFFER {
            return Err(error::BAD_REQUEST_BUFFER_UNKNOWN);
        }
        if command == 0 {
            let spec = FlowSpec { table, priority, matching, cookie, idle_timeout, hard_timeout, flags, instructions };
            return Ok(FlowMod::Add(spec));
        }
        let filter = Filter { table, matching, out_port: port::ANY, out_group: GROUP_ANY, cookie, cookie_mask };
        Ok(FlowMod::Modify { filter, strict, instructions, flags })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupMod {
    Add(u32, GroupSpec),
    Modify(u32, GroupSpec),
    Delete(u32),
    DeleteAll,
}

impl GroupMod {
    /// command (2) | type (1) | 0 (1) | group (4) | buckets
    pub fn decode(body: &[u8]) -> Result<GroupMod> {
        let mut reader = Reader::new(body);
        let (command, kind) = (reader.u16().map_err(cut)?, reader.u8().map_err(cut)?);
        reader.take(1).map_err(cut)?;
        let id = reader.u32().map_err(cut)?;
        match command {
            2 if id == GROUP_ALL => return Ok(GroupMod::DeleteAll),
            2 if id <= GROUP_MAX => return Ok(GroupMod::Delete(id)),
            0 | 1 if id <= GROUP_MAX => {}
            0..=2 => return Err(error::GROUP_MOD_INVALID),
            _ => return Err(error::GROUP_MOD_COMMAND),
        }
        let kind = match kind {
            0 => GroupKind::All,
            2 => GroupKind::Indirect,
            3 => GroupKind::FastFailover,
            _ => return Err(error::GROUP_MOD_TYPE),
        };
        let buckets = decode_buckets(&mut reader)?;
        if kind == GroupKind::Indirect && buckets.len() != 1 {
            return Err(error::GROUP_MOD_INVALID);
        }
        let spec = GroupSpec { kind, buckets };
        Ok(if command == 0 { GroupMod::Add(id, spec) } else { GroupMod::Modify(id, spec) })
    }
}

/// bucket: length (2) | weight (2) | watch port (4) | watch group (4) | 0 (4) | actions
fn decode_buckets(reader: &mut Reader<'_>) -> Result<Vec<Bucket>> {
    let bad = |_| error::GROUP_MOD_BUCKET;
    let mut buckets = Vec::new();
    while reader.remaining() > 0 {
        let length = usize::from(reader.u16().map_err(bad)?);
        let rest = length.checked_sub(2).filter(|_| length % 8 == 0).ok_or(error::GROUP_MOD_BUCKET)?;
        let mut bucket = Reader::new(reader.take(rest).map_err(bad)?);
        let weight = bucket.u16().map_err(bad)?;
        let (watch_port, watch_group) = (bucket.u32().map_err(bad)?, bucket.u32().map_err(bad)?);
        bucket.take(4).map_err(bad)?;
        let length = bucket.remaining();
        let actions = Action::decode_list(&mut bucket, length, false)?;
        if watch_group != GROUP_ANY {
            return Err(error::GROUP_MOD_WATCH);
        }
        if actions.iter().any(|action| matches!(action, Action::Group(_))) {
            return Err(error::GROUP_MOD_CHAINING);
        }
        if buckets.len() == BUCKETS_MAX {
            return Err(error::GROUP_MOD_OUT_OF_BUCKETS);
        }
        buckets.push(Bucket { weight, watch_port, watch_group, actions });
    }
    Ok(buckets)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeterMod {
    Add(u32, MeterSpec),
    Modify(u32, MeterSpec),
    Delete(u32),
    DeleteAll,
}

impl MeterMod {
    /// command (2) | flags (2) | meter (4) | bands, each: type (2: 1 drop) | length (2: 16) | rate (4) | burst (4) | 0 (4)
    pub fn decode(body: &[u8]) -> Result<MeterMod> {
        let mut reader = Reader::new(body);
        let (command, flags) = (reader.u16().map_err(cut)?, reader.u16().map_err(cut)?);
        let id = reader.u32().map_err(cut)?;
        let usual = (1..=METER_MAX).contains(&id);
        match command {
            2 if id == METER_ALL => return Ok(MeterMod::DeleteAll),
            2 if usual => return Ok(MeterMod::Delete(id)),
            0 | 1 if usual => {}
            0..=2 => return Err(error::METER_MOD_INVALID),
            _ => return Err(error::METER_MOD_COMMAND),
        }
        if flags & !meter::FLAGS_KNOWN != 0
            || flags & (meter::FLAG_KBPS | meter::FLAG_PKTPS) == meter::FLAG_KBPS | meter::FLAG_PKTPS
        {
            return Err(error::METER_MOD_FLAGS);
        }
        let mut bands = Vec::new();
        while reader.remaining() > 0 {
            let (kind, length) = (reader.u16().map_err(cut)?, reader.u16().map_err(cut)?);
            if kind != 1 {
                return Err(error::METER_MOD_BAND);
            }
            if length != 16 {
                return Err(error::BAD_REQUEST_LEN);
            }
            if bands.len() == BANDS_MAX {
                return Err(error::METER_MOD_OUT_OF_BANDS);
            }
            bands.push(DropBand { rate: reader.u32().map_err(cut)?, burst: reader.u32().map_err(cut)? });
            reader.take(4).map_err(cut)?;
        }
        let spec = MeterSpec { flags, bands };
        Ok(if command == 0 { MeterMod::Add(id, spec) } else { MeterMod::Modify(id, spec) })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketOutRequest<'a> {
    pub in_port: u32,
    pub actions: Vec<Action>,
    pub frame: &'a [u8],
}

impl<'a> PacketOutRequest<'a> {
    /// buffer (4) | in port (4) | length of actions (2) | 0 (6) | actions | frame
    pub fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (buffer, in_port) = (reader.u32().map_err(cut)?, reader.u32().map_err(cut)?);
        let length = usize::from(reader.u16().map_err(cut)?);
        reader.take(6).map_err(cut)?;
        let actions = Action::decode_list(&mut reader, length, true)?;
        if buffer != NO_BUFFER {
            return Err(error::BAD_REQUEST_BUFFER_UNKNOWN);
        }
        if !matches!(in_port, 1..=port::MAX | port::CONTROLLER) {
            return Err(error::BAD_REQUEST_PORT);
        }
        Ok(PacketOutRequest { in_port, actions, frame: reader.rest() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    NoChange = 0,
    Equal = 1,
    Master = 2,
    Slave = 3,
}

/// role (4) | 0 (4) | generation (8)
pub fn decode_role(body: &[u8]) -> Result<(Role, u64)> {
    let mut reader = Reader::new(body);
    let role = reader.u32().map_err(cut)?;
    reader.take(4).map_err(cut)?;
    let generation = reader.u64().map_err(cut)?;
    reader.end().map_err(cut)?;
    let role = match role {
        0 => Role::NoChange,
        1 => Role::Equal,
        2 => Role::Master,
        3 => Role::Slave,
        _ => return Err(error::ROLE_BAD),
    };
    Ok((role, generation))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultipartRequest {
    Desc,
    Flow(Filter),
    Aggregate(Filter),
    Table,
    PortStats(u32),
    Group(u32),
    GroupDesc,
    GroupFeatures,
    Meter(u32),
    MeterConfig(u32),
    MeterFeatures,
    TableFeatures,
    PortDesc,
}

impl MultipartRequest {
    /// type (2) | flags (2: 1 = more follows) | 0 (4) | body
    pub fn decode(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (kind, flags) = (reader.u16().map_err(cut)?, reader.u16().map_err(cut)?);
        reader.take(4).map_err(cut)?;
        // Only a write of table features can be longer than one message, and that is not allowed here.
        if flags & 1 != 0 {
            return Err(error::BAD_REQUEST_MULTIPART_OVERFLOW);
        }
        let number = |reader: &mut Reader<'_>| -> Result<u32> {
            let number = reader.u32().map_err(cut)?;
            reader.take(4).map_err(cut)?;
            Ok(number)
        };
        let request = match kind {
            0 => MultipartRequest::Desc,
            1 => MultipartRequest::Flow(decode_filter(&mut reader)?),
            2 => MultipartRequest::Aggregate(decode_filter(&mut reader)?),
            3 => MultipartRequest::Table,
            4 => MultipartRequest::PortStats(number(&mut reader)?),
            6 => MultipartRequest::Group(number(&mut reader)?),
            7 => MultipartRequest::GroupDesc,
            8 => MultipartRequest::GroupFeatures,
            9 => MultipartRequest::Meter(number(&mut reader)?),
            10 => MultipartRequest::MeterConfig(number(&mut reader)?),
            11 => MultipartRequest::MeterFeatures,
            12 if reader.remaining() > 0 => return Err(error::TABLE_FEATURES_EPERM),
            12 => MultipartRequest::TableFeatures,
            13 => MultipartRequest::PortDesc,
            0xffff => return Err(error::BAD_REQUEST_EXPERIMENTER),
            _ => return Err(error::BAD_REQUEST_MULTIPART),
        };
        reader.end().map_err(cut)?;
        Ok(request)
    }

    /// Its type again, for the reply.
    pub fn kind(&self) -> u16 {
        match self {
            MultipartRequest::Desc => 0,
            MultipartRequest::Flow(_) => 1,
            MultipartRequest::Aggregate(_) => 2,
            MultipartRequest::Table => 3,
            MultipartRequest::PortStats(_) => 4,
            MultipartRequest::Group(_) => 6,
            MultipartRequest::GroupDesc => 7,
            MultipartRequest::GroupFeatures => 8,
            MultipartRequest::Meter(_) => 9,
            MultipartRequest::MeterConfig(_) => 10,
            MultipartRequest::MeterFeatures => 11,
            MultipartRequest::TableFeatures => 12,
            MultipartRequest::PortDesc => 13,
        }
    }
}

/// table (1) | 0 (3) | out port (4) | out group (4) | 0 (4) | cookie (8) | cookie mask (8) | match
fn decode_filter(reader: &mut Reader<'_>) -> Result<Filter> {
    let table = reader.u8().map_err(cut)?;
    reader.take(3).map_err(cut)?;
    let (out_port, out_group) = (reader.u32().map_err(cut)?, reader.u32().map_err(cut)?);
    reader.take(4).map_err(cut)?;
    let (cookie, cookie_mask) = (reader.u64().map_err(cut)?, reader.u64().map_err(cut)?);
    let matching = Match::decode(reader)?;
    Ok(Filter { table, matching, out_port, out_group, cookie, cookie_mask })
}

/// Whether a hello allows our version: by its bitmap element if there is one, else by its header (clause 6.3.1).
pub fn hello_allows(version: u8, body: &[u8]) -> bool {
    let mut reader = Reader::new(body);
    while let (Ok(kind), Ok(length)) = (reader.u16(), reader.u16()) {
        let length = usize::from(length);
        let Some(payload) = length.checked_sub(4).and_then(|length| reader.take(length).ok()) else { break };
        if kind == 1 {
            let first = Reader::new(payload).u32().unwrap_or(0);
            return first & 1 << super::openflow::VERSION != 0;
        }
        if reader.take(super::openflow::padded(length) - length).is_err() {
            break;
        }
    }
    version >= super::openflow::VERSION
}

#[cfg(test)]
mod tests;
