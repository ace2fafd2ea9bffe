//! Routing header (wire.md §4.1): clear, outside every seal, added or stripped at any hop.
//!
//! ```text
//! 0        1        2         3      4                    12                  20
//! +--------+--------+---------+------+--------------------+-------------------+- - -
//! | C0     | flags  |hop limit| 0    | destination label  | source label      | record C1..C9
//! +--------+--------+---------+------+--------------------+-------------------+- - -
//! ```

use super::record::{HANDSHAKE, NOTICE, ROUTED};
use super::{DecodeError, Label, Reader};

pub const ROUTING_HEADER: usize = 20;
/// What the source sets.
pub const HOP_LIMIT: u8 = 64;
/// Taken once the next hop was found down: from here strictly greedy or delivered.
pub const DETOUR: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutingHeader {
    pub detour: bool,
    pub hop_limit: u8,
    pub destination: Label,
    pub source: Label,
}

impl RoutingHeader {
    pub fn new(source: Label, destination: Label) -> Self {
        RoutingHeader { detour: false, hop_limit: HOP_LIMIT, destination, source }
    }

    /// The header and the record it wraps.
    pub fn decode(record: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut reader = Reader::new(record);
        if reader.u8()? != ROUTED {
            return Err(DecodeError("not a routing header"));
        }
        let flags = reader.u8()?;
        if flags & !DETOUR != 0 {
            return Err(DecodeError("unknown flag"));
        }
        let hop_limit = reader.u8()?;
        reader.zeros(1)?;
        let destination = Label(reader.u64()?);
        let source = Label(reader.u64()?);
        let inner = reader.rest();
        match inner.first() {
            Some(HANDSHAKE..=NOTICE) => {
                Ok((RoutingHeader { detour: flags & DETOUR != 0, hop_limit, destination, source }, inner))
            }
            Some(_) => Err(DecodeError("a routing header wraps no such record")),
            None => Err(DecodeError("cut short")),
        }
    }

    pub fn encode(&self) -> [u8; ROUTING_HEADER] {
        let [d0, d1, d2, d3, d4, d5, d6, d7] = self.destination.0.to_be_bytes();
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.source.0.to_be_bytes();
        let flags = if self.detour { DETOUR } else { 0 };
        [ROUTED, flags, self.hop_limit, 0, d0, d1, d2, d3, d4, d5, d6, d7, s0, s1, s2, s3, s4, s5, s6, s7]
    }

    /// As a transit node passes it on; nothing when the hop limit is used up.
    pub fn forwarded(&self) -> Option<Self> {
        match self.hop_limit {
            0 | 1 => None,
            hops => Some(RoutingHeader { hop_limit: hops - 1, ..*self }),
        }
    }
}
