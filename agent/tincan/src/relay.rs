//! The relay socket's bytes and its queue (docs/wire.md §10.3): records of `webrtc` paths on their way to the agent.
//!
//! The agent grants credit; what exceeds it waits at most 20 ms and is then dropped from the head, so that an agent that
//! stopped or fell behind costs packets, never memory or time.

use std::collections::{BTreeMap, VecDeque};

use crate::time::{Micros, MILLISECOND};
use crate::wire::DecodeError;

/// `length (4) | port (2) | kind (1) | 0 (1)`
pub const HEADER: usize = 8;
pub const PAYLOAD_MAX: usize = 65_536;
const RECORDS: u8 = 1;
const CREDIT: u8 = 2;
const SIZE: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Records of this port's channel; the payload stands at the decoder's front.
    Records {
        port: u16,
    },
    Credit {
        port: u16,
        bytes: u32,
    },
}

/// Takes the stream's bytes, cut anywhere, and gives whole units.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    at: usize,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole unit with its payload, None while it is incomplete. After an error the stream cannot be followed any
    /// more: the connection must be closed.
    #[allow(clippy::should_implement_trait)] // It lends its own buffer, which an Iterator cannot.
    pub fn next(&mut self) -> Result<Option<(Unit, &mut [u8])>, DecodeError> {
        let waiting = self.buffer.get_mut(self.at..).unwrap_or(&mut []);
        let Some((&mut [l0, l1, l2, l3, p0, p1, kind, zero], rest)) = waiting.split_first_chunk_mut::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let port = u16::from_be_bytes([p0, p1]);
        if length > PAYLOAD_MAX {
            return Err(DecodeError("relay payload too long"));
        }
        if zero != 0 {
            return Err(DecodeError("a field that must be zero is not"));
        }
        let Some(payload) = rest.get_mut(..length) else { return Ok(None) };
        let unit = match kind {
            RECORDS => {
                check_records(payload)?;
                Unit::Records { port }
            }
            CREDIT => {
                let bytes = <[u8; 4]>::try_from(&*payload).map_err(|_| DecodeError("credit has four bytes"))?;
                Unit::Credit { port, bytes: u32::from_be_bytes(bytes) }
            }
            _ => return Err(DecodeError("unknown relay kind")),
        };
        self.at += HEADER + length;
        Ok(Some((unit, payload)))
    }
}

fn check_records(mut payload: &[u8]) -> Result<(), DecodeError> {
    while !payload.is_empty() {
        let (size, rest) = payload.split_first_chunk::<SIZE>().ok_or(DecodeError("cut short"))?;
        let size = usize::from(u16::from_be_bytes(*size));
        payload = rest.get(size..).ok_or(DecodeError("a record ends behind its unit"))?;
    }
    Ok(())
}

/// Every record of a unit's payload, in place.
pub fn records_mut(payload: &mut [u8]) -> RecordsMut<'_> {
    RecordsMut { payload }
}

pub struct RecordsMut<'p> {
    payload: &'p mut [u8],
}

impl<'p> Iterator for RecordsMut<'p> {
    type Item = &'p mut [u8];

    fn next(&mut self) -> Option<&'p mut [u8]> {
        let (size, rest) = std::mem::take(&mut self.payload).split_first_chunk_mut::<SIZE>()?;
        let (record, rest) = rest.split_at_mut_checked(usize::from(u16::from_be_bytes(*size)))?;
        self.payload = rest;
        Some(record)
    }
}

fn put_header(out: &mut Vec<u8>, port: u16, kind: u8, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&port.to_be_bytes());
    out.extend_from_slice(&[kind, 0]);
}

/// As the agent's side writes it; tests and tools play the agent with it.
pub fn encode_credit(port: u16, bytes: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + 4);
    put_header(&mut out, port, CREDIT, 4);
    out.extend_from_slice(&bytes.to_be_bytes());
    out
}

pub fn encode_records(port: u16, records: &[&[u8]]) -> Vec<u8> {
    let length = records.iter().map(|record| SIZE + record.len()).sum();
    let mut out = Vec::with_capacity(HEADER + length);
    put_header(&mut out, port, RECORDS, length);
    for record in records {
        out.extend_from_slice(&u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(record);
    }
    out
}

/// How long a record may wait for credit.
const WAIT: Micros = 20 * MILLISECOND;
/// What one port may queue, whatever the rate: 20 ms of 200 Mbit/s.
const QUEUE_BYTES: usize = 512 * 1024;
/// Payload of one unit: small enough that a probe never waits behind much.
const UNIT_BYTES: usize = 32 * 1024;

#[derive(Default)]
struct Port {
    credit: u64,
    /// Probes: they measure the path and must not measure our queue.
    probes: VecDeque<Vec<u8>>,
    queue: VecDeque<(Micros, Vec<u8>)>,
    bytes: usize,
}

/// What waits for the agent, by port.
#[derive(Default)]
pub struct Outbox {
    ports: BTreeMap<u16, Port>,
    dropped: u64,
}

impl Outbox {
    /// A fresh connection: no credit anywhere, and what waited is too old.
    pub fn reset(&mut self) {
        self.dropped += self.ports.values().map(|port| port.queue.len() as u64).sum::<u64>();
        self.ports.clear();
    }

    /// The tunnel is gone, and the port's credit with it.
    pub fn forget(&mut self, port: u16) {
        self.ports.remove(&port);
    }

    pub fn grant(&mut self, port: u16, bytes: u32) {
        let port = self.ports.entry(port).or_default();
        port.credit = port.credit.saturating_add(u64::from(bytes));
    }

    pub fn push(&mut self, port: u16, record: &[u8], probe: bool, now: Micros) {
        let port = self.ports.entry(port).or_default();
        if probe {
            if port.probes.len() >= 8 {
                port.probes.pop_front();
            }
            port.probes.push_back(record.to_vec());
            return;
        }
        port.bytes += record.len();
        port.queue.push_back((now, record.to_vec()));
        self.dropped += port.trim(now);
    }

    /// Records dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Moves what credit allows to `out`, up to about `room` bytes.
    pub fn take(&mut self, room: usize, now: Micros, out: &mut Vec<u8>) {
        let start = out.len();
        for (&number, port) in &mut self.ports {
            self.dropped += port.trim(now);
            while out.len() - start < room && port.next_size().is_some_and(|size| size <= port.credit) {
                port.unit(number, out);
            }
        }
    }

    /// Something could leave if there were room in the socket.
    pub fn is_ready(&self) -> bool {
        self.ports.values().any(|port| port.next_size().is_some_and(|size| size <= port.credit))
    }
}

impl Port {
    fn trim(&mut self, now: Micros) -> u64 {
        let mut dropped = 0;
        while self.queue.front().is_some_and(|(at, _)| now.saturating_sub(*at) > WAIT) || self.bytes > QUEUE_BYTES {
            let Some((_, record)) = self.queue.pop_front() else { break };
            self.bytes -= record.len();
            dropped += 1;
        }
        dropped
    }

    /// Credit that the next record costs.
    fn next_size(&self) -> Option<u64> {
        let record = self.probes.front().or(self.queue.front().map(|(_, record)| record))?;
        Some((SIZE + record.len()) as u64)
    }

    fn unit(&mut self, number: u16, out: &mut Vec<u8>) {
        let start = out.len();
        put_header(out, number, RECORDS, 0);
        while let Some(size) = self.next_size() {
            let length = out.len() - start - HEADER;
            if size > self.credit || (length > 0 && length + size as usize > UNIT_BYTES) {
                break;
            }
            let record = match self.probes.pop_front() {
                Some(probe) => probe,
                None => match self.queue.pop_front() {
                    Some((_, record)) => {
                        self.bytes -= record.len();
                        record
                    }
                    None => break,
                },
            };
            self.credit -= size;
            out.extend_from_slice(&u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(&record);
        }
        let length = (out.len() - start - HEADER) as u32;
        if let Some(field) = out.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(bytes: &[u8]) -> Vec<(Unit, Vec<Vec<u8>>)> {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        let mut out = vec![];
        while let Some((unit, payload)) = decoder.next().unwrap() {
            let mut records = vec![];
            if let Unit::Records { .. } = unit {
                records.extend(records_mut(payload).map(|record| record.to_vec()));
            }
            out.push((unit, records));
        }
        out
    }

    #[test]
    fn units_survive_every_split_of_the_stream() {
        let stream = [encode_records(16, &[b"abc", b"", b"defg"]), encode_credit(17, 70_000)].concat();
        let whole = units(&stream);
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0], (Unit::Records { port: 16 }, vec![b"abc".to_vec(), vec![], b"defg".to_vec()]));
        assert_eq!(whole[1].0, Unit::Credit { port: 17, bytes: 70_000 });
        for cut in 0..=stream.len() {
            let mut decoder = Decoder::default();
            let mut seen = 0;
            for part in [&stream[..cut], &stream[cut..]] {
                decoder.push(part);
                while decoder.next().unwrap().is_some() {
                    seen += 1;
                }
            }
            assert_eq!(seen, 2, "cut at {cut}");
        }
    }

    #[test]
    fn broken_units_are_refused() {
        for (what, bytes) in [
            ("too long", &[0, 1, 0, 1, 0, 16, 1, 0][..]),
            ("byte 7 set", &[0, 0, 0, 0, 0, 16, 1, 1]),
            ("unknown kind", &[0, 0, 0, 0, 0, 16, 3, 0]),
            ("short credit", &[0, 0, 0, 3, 0, 16, 2, 0, 1, 2, 3]),
            ("long credit", &[0, 0, 0, 5, 0, 16, 2, 0, 1, 2, 3, 4, 5]),
            ("a record longer than its unit", &[0, 0, 0, 3, 0, 16, 1, 0, 0, 2, 9]),
            ("half a size", &[0, 0, 0, 1, 0, 16, 1, 0, 0]),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert!(decoder.next().is_err(), "{what}");
        }
    }

    fn taken(outbox: &mut Outbox, now: Micros) -> Vec<Vec<u8>> {
        let mut out = vec![];
        outbox.take(1 << 20, now, &mut out);
        units(&out).into_iter().flat_map(|(_, records)| records).collect()
    }

    #[test]
    fn nothing_leaves_without_credit_and_sizes_count() {
        let mut outbox = Outbox::default();
        outbox.push(16, b"hello", false, 0);
        assert!(taken(&mut outbox, 0).is_empty());
        outbox.grant(16, 6);
        assert!(taken(&mut outbox, 0).is_empty());
        outbox.grant(16, 1);
        assert_eq!(taken(&mut outbox, 0), [b"hello".to_vec()]);
    }

    #[test]
    fn probes_go_first() {
        let mut outbox = Outbox::default();
        outbox.push(16, b"data", false, 0);
        outbox.push(16, b"probe", true, 0);
        outbox.grant(16, 1000);
        assert_eq!(taken(&mut outbox, 0), [b"probe".to_vec(), b"data".to_vec()]);
    }

    #[test]
    fn what_waited_longer_than_20_ms_is_dropped_from_the_head() {
        let mut outbox = Outbox::default();
        outbox.push(16, b"old", false, 0);
        outbox.push(16, b"new", false, 15 * MILLISECOND);
        outbox.grant(16, 1000);
        assert_eq!(taken(&mut outbox, 25 * MILLISECOND), [b"new".to_vec()]);
        assert_eq!(outbox.take_dropped(), 1);
    }

    #[test]
    fn a_port_s_queue_is_bounded_whatever_the_rate() {
        let mut outbox = Outbox::default();
        for _ in 0..2000 {
            outbox.push(16, &[0; 1200], false, 0);
        }
        outbox.grant(16, u32::MAX);
        assert!(taken(&mut outbox, 0).len() * 1200 <= QUEUE_BYTES);
    }

    #[test]
    fn one_port_without_credit_holds_up_no_other() {
        let mut outbox = Outbox::default();
        outbox.push(16, b"stuck", false, 0);
        outbox.push(17, b"free", false, 0);
        outbox.grant(17, 100);
        assert_eq!(taken(&mut outbox, 0), [b"free".to_vec()]);
    }

    #[test]
    fn a_fresh_connection_starts_without_credit() {
        let mut outbox = Outbox::default();
        outbox.grant(16, 1000);
        outbox.reset();
        outbox.push(16, b"hello", false, 0);
        assert!(taken(&mut outbox, 0).is_empty());
    }
}
