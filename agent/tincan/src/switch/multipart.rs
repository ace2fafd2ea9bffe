//! Statistics and descriptions (clause 7.3.5). A reply is a list of items; as many as fit go into each message.

use super::connection::Connection;
use super::controller::age;
use super::group::{Counters, Group, GROUPS_MAX};
use super::key;
use super::message::MultipartRequest;
use super::meter::{Meter, BANDS_MAX, METERS_MAX};
use super::openflow::{error, fill_length, kind, padded, port, zeros, Result, GROUP_ALL, METER_ALL, TABLE_ALL};
use super::oxm::{self, FIELDS};
use super::pipeline::Datapath;
use super::port::Port;
use super::table::{Filter, Flow, FLOWS_MAX, TABLES};
use super::CORE_TABLE;
use crate::time::Micros;

/// Header, type, flags and padding take 16 of the 65,535 bytes.
const ITEMS_MAX: usize = 65_000;

type Items = Vec<Vec<u8>>;

pub fn send(connection: &mut Connection, xid: u32, multipart: u16, items: Items) {
    let mut messages: Vec<Vec<u8>> = vec![Vec::new()];
    for item in items {
        match messages.last_mut() {
            Some(last) if last.len() + item.len() <= ITEMS_MAX => last.extend(item),
            _ => messages.push(item),
        }
    }
    let last = messages.len() - 1;
    for (i, items) in messages.into_iter().enumerate() {
        connection.send(kind::MULTIPART_REPLY, xid, |out| {
            out.extend(multipart.to_be_bytes());
            out.extend([0, u8::from(i < last), 0, 0, 0, 0]);
            out.extend(items);
        });
    }
}

pub fn reply(datapath: &Datapath, request: &MultipartRequest, now: Micros) -> Result<Items> {
    Ok(match *request {
        MultipartRequest::Desc => vec![description()],
        MultipartRequest::Flow(filter) => {
            check_table(&filter)?;
            datapath.tables.select(&filter).map(|(_, flow)| flow_stats(flow, now)).collect()
        }
        MultipartRequest::Aggregate(filter) => {
            check_table(&filter)?;
            vec![aggregate(datapath, &filter)]
        }
        MultipartRequest::Table => (0..TABLES).map(|table| table_stats(datapath, table)).collect(),
        MultipartRequest::PortStats(number) => {
            let ports = select(datapath.ports.iter(), number, port::ANY);
            let items: Items = ports.map(|(number, port)| port_stats(number, port, now)).collect();
            found(items, number == port::ANY, error::BAD_REQUEST_PORT)?
        }
        MultipartRequest::PortDesc => datapath.ports.iter().map(|(&number, port)| described(number, port)).collect(),
        MultipartRequest::Group(id) => {
            let groups = datapath.groups.iter().filter(|&(group, _)| id == GROUP_ALL || group == id);
            groups.map(|(id, group)| group_stats(datapath, id, group, now)).collect()
        }
        MultipartRequest::GroupDesc => datapath.groups.iter().map(|(id, group)| group_description(id, group)).collect(),
        MultipartRequest::GroupFeatures => vec![group_features()],
        MultipartRequest::Meter(id) => {
            let items: Items = meters(datapath, id).map(|(id, meter)| meter_stats(datapath, id, meter, now)).collect();
            found(items, id == METER_ALL, error::METER_MOD_UNKNOWN)?
        }
        MultipartRequest::MeterConfig(id) => {
            let items: Items = meters(datapath, id).map(|(id, meter)| meter_config(id, meter)).collect();
            found(items, id == METER_ALL, error::METER_MOD_UNKNOWN)?
        }
        MultipartRequest::MeterFeatures => vec![meter_features()],
        MultipartRequest::TableFeatures => (0..TABLES).map(table_features).collect(),
    })
}

fn select<'a, T: 'a>(
    all: impl Iterator<Item = (&'a u32, &'a T)>,
    wanted: u32,
    any: u32,
) -> impl Iterator<Item = (u32, &'a T)> {
    all.map(|(&number, item)| (number, item)).filter(move |&(number, _)| wanted == any || number == wanted)
}

fn meters(datapath: &Datapath, wanted: u32) -> impl Iterator<Item = (u32, &Meter)> {
    datapath.meters.iter().filter(move |&(id, _)| wanted == METER_ALL || id == wanted)
}

fn found(items: Items, all: bool, none: super::openflow::Error) -> Result<Items> {
    if items.is_empty() && !all {
        Err(none)
    } else {
        Ok(items)
    }
}

fn check_table(filter: &Filter) -> Result<()> {
    if filter.table == TABLE_ALL || filter.table < TABLES {
        Ok(())
    } else {
        Err(error::BAD_REQUEST_TABLE_ID)
    }
}

fn text(out: &mut Vec<u8>, text: &str, size: usize) {
    let end = out.len() + size;
    out.extend(text.bytes().take(size - 1));
    out.resize(end, 0);
}

fn number<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend(bytes);
}

/// manufacturer (256) | hardware (256) | software (256) | serial (32) | datapath (256)
fn description() -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, "Evio", 256);
    text(&mut out, "tincan", 256);
    text(&mut out, env!("CARGO_PKG_VERSION"), 256);
    text(&mut out, "None", 32);
    text(&mut out, "the switch built into tincan", 256);
    out
}

/// length (2) | table (1) | 0 (1) | seconds (4) | nanoseconds (4) | priority (2) | idle (2) | hard (2) | flags (2) | 0 (4) |
/// cookie (8) | packets (8) | bytes (8) | match | instructions
fn flow_stats(flow: &Flow, now: Micros) -> Vec<u8> {
    let (seconds, nanoseconds) = age(flow.created, now);
    let (spec, mut out) = (&flow.spec, vec![0, 0, flow.spec.table, 0]);
    number(&mut out, seconds.to_be_bytes());
    number(&mut out, nanoseconds.to_be_bytes());
    for field in [spec.priority, spec.idle_timeout, spec.hard_timeout, spec.flags, 0, 0] {
        number(&mut out, field.to_be_bytes());
    }
    for field in [spec.cookie, flow.packets, flow.bytes] {
        number(&mut out, field.to_be_bytes());
    }
    spec.matching.encode(&mut out);
    spec.instructions.encode(&mut out);
    fill_length(&mut out, 0, 0);
    out
}

/// packets (8) | bytes (8) | flows (4) | 0 (4)
fn aggregate(datapath: &Datapath, filter: &Filter) -> Vec<u8> {
    let (mut packets, mut bytes, mut flows) = (0u64, 0u64, 0u32);
    for (_, flow) in datapath.tables.select(filter) {
        packets = packets.saturating_add(flow.packets);
        bytes = bytes.saturating_add(flow.bytes);
        flows += 1;
    }
    let mut out = Vec::new();
    number(&mut out, packets.to_be_bytes());
    number(&mut out, bytes.to_be_bytes());
    number(&mut out, flows.to_be_bytes());
    zeros(&mut out, 4);
    out
}

/// table (1) | 0 (3) | active (4) | lookups (8) | matched (8)
fn table_stats(datapath: &Datapath, table: u8) -> Vec<u8> {
    let counters = datapath.tables.counters.get(usize::from(table)).copied().unwrap_or_default();
    let mut out = vec![table, 0, 0, 0];
    number(&mut out, (datapath.tables.active(table) as u32).to_be_bytes());
    number(&mut out, counters.lookups.to_be_bytes());
    number(&mut out, counters.matched.to_be_bytes());
    out
}

/// port (4) | 0 (4) | rx, tx packets | rx, tx bytes | rx, tx dropped | six kinds of errors (8 each) | seconds (4) | nanoseconds (4)
fn port_stats(id: u32, port: &Port, now: Micros) -> Vec<u8> {
    let c = &port.counters;
    let (seconds, nanoseconds) = age(port.created, now);
    let mut out = Vec::new();
    number(&mut out, id.to_be_bytes());
    zeros(&mut out, 4);
    for counter in [c.rx_packets, c.tx_packets, c.rx_bytes, c.tx_bytes, c.rx_dropped, c.tx_dropped] {
        number(&mut out, counter.to_be_bytes());
    }
    zeros(&mut out, 6 * 8);
    number(&mut out, seconds.to_be_bytes());
    number(&mut out, nanoseconds.to_be_bytes());
    out
}

fn described(number: u32, port: &Port) -> Vec<u8> {
    let mut out = Vec::new();
    port.encode(number, &mut out);
    out
}

/// length (2) | 0 (2) | group (4) | references (4) | 0 (4) | packets (8) | bytes (8) | seconds (4) | nanoseconds (4) | per bucket:
/// packets (8) | bytes (8)
fn group_stats(datapath: &Datapath, id: u32, group: &Group, now: Micros) -> Vec<u8> {
    let references = datapath.tables.iter().filter(|flow| flow.spec.instructions.uses_group(id)).count() as u32;
    let (seconds, nanoseconds) = age(group.created, now);
    let mut out = vec![0; 4];
    number(&mut out, id.to_be_bytes());
    number(&mut out, references.to_be_bytes());
    zeros(&mut out, 4);
    let count = |out: &mut Vec<u8>, counters: &Counters| {
        number(out, counters.packets.to_be_bytes());
        number(out, counters.bytes.to_be_bytes());
    };
    count(&mut out, &group.counters);
    number(&mut out, seconds.to_be_bytes());
    number(&mut out, nanoseconds.to_be_bytes());
    group.buckets.iter().for_each(|bucket| count(&mut out, bucket));
    fill_length(&mut out, 0, 0);
    out
}

/// length (2) | type (1) | 0 (1) | group (4) | buckets as in a group-mod
fn group_description(id: u32, group: &Group) -> Vec<u8> {
    let mut out = vec![0, 0, group.spec.kind as u8, 0];
    number(&mut out, id.to_be_bytes());
    for bucket in &group.spec.buckets {
        let start = out.len();
        zeros(&mut out, 2);
        number(&mut out, bucket.weight.to_be_bytes());
        number(&mut out, bucket.watch_port.to_be_bytes());
        number(&mut out, bucket.watch_group.to_be_bytes());
        zeros(&mut out, 4);
        bucket.actions.iter().for_each(|action| action.encode(&mut out));
        fill_length(&mut out, start, start);
    }
    fill_length(&mut out, 0, 0);
    out
}

/// Bit sets of what is supported, for each kind of group: all 0, select 1, indirect 2, fast failover 3.
fn group_features() -> Vec<u8> {
    const KINDS: u32 = 1 | 4 | 8;
    const CAPABILITY_LIVENESS: u32 = 4;
    const ACTIONS: u32 = 1 | 1 << 25;
    let mut out = Vec::new();
    number(&mut out, KINDS.to_be_bytes());
    number(&mut out, CAPABILITY_LIVENESS.to_be_bytes());
    let of_kind = |kind: u32, value: u32| if KINDS & 1 << kind != 0 { value } else { 0 };
    for value in [GROUPS_MAX as u32, ACTIONS] {
        (0..4).for_each(|kind| number(&mut out, of_kind(kind, value).to_be_bytes()));
    }
    out
}

/// meter (4) | length (2) | 0 (6) | flows (4) | packets (8) | bytes (8) | seconds (4) | nanoseconds (4) | per band: packets (8) | bytes (8)
fn meter_stats(datapath: &Datapath, id: u32, meter: &Meter, now: Micros) -> Vec<u8> {
    let flows = datapath.tables.iter().filter(|flow| flow.spec.instructions.meter == Some(id)).count() as u32;
    let (seconds, nanoseconds) = age(meter.created, now);
    let mut out = Vec::new();
    number(&mut out, id.to_be_bytes());
    zeros(&mut out, 8);
    number(&mut out, flows.to_be_bytes());
    number(&mut out, meter.packets.to_be_bytes());
    number(&mut out, meter.bytes.to_be_bytes());
    number(&mut out, seconds.to_be_bytes());
    number(&mut out, nanoseconds.to_be_bytes());
    for band in &meter.bands {
        number(&mut out, band.packets.to_be_bytes());
        number(&mut out, band.bytes.to_be_bytes());
    }
    fill_length(&mut out, 4, 0);
    out
}

/// length (2) | flags (2) | meter (4) | bands as in a meter-mod
fn meter_config(id: u32, meter: &Meter) -> Vec<u8> {
    let mut out = vec![0, 0];
    number(&mut out, meter.spec.flags.to_be_bytes());
    number(&mut out, id.to_be_bytes());
    for band in &meter.spec.bands {
        out.extend([0, 1, 0, 16]);
        number(&mut out, band.rate.to_be_bytes());
        number(&mut out, band.burst.to_be_bytes());
        zeros(&mut out, 4);
    }
    fill_length(&mut out, 0, 0);
    out
}

/// most meters (4) | band types (4) | capabilities (4) | most bands (1) | most colours (1) | 0 (2)
fn meter_features() -> Vec<u8> {
    const BAND_DROP: u32 = 1 << 1;
    const CAPABILITIES: u32 = 1 | 2 | 4 | 8;
    let mut out = Vec::new();
    number(&mut out, (METERS_MAX as u32).to_be_bytes());
    number(&mut out, BAND_DROP.to_be_bytes());
    number(&mut out, CAPABILITIES.to_be_bytes());
    out.extend([BANDS_MAX as u8, 0, 0, 0]);
    out
}

/// length (2) | table (1) | 0 (5) | name (32) | metadata match (8) | metadata write (8) | config (4) | most entries (4) | properties
fn table_features(table: u8) -> Vec<u8> {
    let mut out = vec![0, 0, table, 0, 0, 0, 0, 0];
    let name = if table == CORE_TABLE { "core".to_owned() } else { format!("table{table}") };
    text(&mut out, &name, 32);
    // Metadata can be matched and written in every bit.
    out.extend([0xff; 16]);
    zeros(&mut out, 4);
    number(&mut out, (FLOWS_MAX as u32).to_be_bytes());
    // Types of clause 7.3.5.5.2; the table-miss entry can do whatever others can, so its properties (odd types) are left out.
    let instructions = [1u16, 2, 3, 4, 5, 6].iter().flat_map(|kind| [kind.to_be_bytes(), 4u16.to_be_bytes()].concat());
    property(&mut out, 0, instructions.collect());
    property(&mut out, 2, (table + 1..TABLES).collect());
    for kind in [4, 6] {
        let actions = [0u16, 22, 25].iter().flat_map(|kind| [kind.to_be_bytes(), 4u16.to_be_bytes()].concat());
        property(&mut out, kind, actions.collect());
    }
    let list = |mask: bool, wanted: fn(&oxm::Field) -> bool| {
        let fields = FIELDS.iter().filter(move |field| wanted(field));
        fields.flat_map(move |field| field.header(mask && field.maskable).to_be_bytes()).collect::<Vec<_>>()
    };
    property(&mut out, 8, list(true, |_| true));
    property(&mut out, 10, list(false, |field| field.place != key::IN_PORT));
    for kind in [12, 14] {
        property(&mut out, kind, list(false, |field| field.id == oxm::TUNNEL_ID));
    }
    fill_length(&mut out, 0, 0);
    out
}

/// type (2) | length (2, without padding) | content | zeros to a multiple of 8
fn property(out: &mut Vec<u8>, kind: u16, content: Vec<u8>) {
    let length = 4 + content.len();
    number(out, kind.to_be_bytes());
    number(out, (length as u16).to_be_bytes());
    out.extend(content);
    zeros(out, padded(length) - length);
}
