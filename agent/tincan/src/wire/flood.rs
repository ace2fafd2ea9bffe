//! Plaintexts of flood and flood acknowledgement (wire.md §6.3).
//!
//! ```text
//! flood:           root (8) | sequence (8) | start (8) | bound (8) | hop limit (1) | flags (1) | Ethernet frame
//! acknowledgement: root (8) | sequence (8) | start (8) | bound (8)
//! ```

use super::frame::{ETHERNET_HEADER, PARTIAL};
use super::{DecodeError, Label, Reader};

pub const FLOOD_HEADER: usize = 34;
/// What the root sets.
pub const FLOOD_HOP_LIMIT: u8 = 32;

/// Names one hop of a flood: an acknowledgement echoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FloodArc {
    pub root: Label,
    /// Boot tag (4, random) and number (4, ascending).
    pub sequence: u64,
    /// The receiver answers for every node in the open arc (start, bound), clockwise.
    pub start: Label,
    pub bound: Label,
}

impl FloodArc {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(FloodArc {
            root: Label(reader.u64()?),
            sequence: reader.u64()?,
            start: Label(reader.u64()?),
            bound: Label(reader.u64()?),
        })
    }

    /// The plaintext of an acknowledgement.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        for value in [self.root.0, self.sequence, self.start.0, self.bound.0] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        out
    }

    pub fn decode_acknowledgement(plaintext: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(plaintext);
        let arc = Self::read(&mut reader)?;
        reader.end()?;
        Ok(arc)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood<'a> {
    pub arc: FloodArc,
    pub hop_limit: u8,
    pub partial: bool,
    pub ethernet: &'a [u8],
}

impl<'a> Flood<'a> {
    pub fn decode(plaintext: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(plaintext);
        let arc = FloodArc::read(&mut reader)?;
        let hop_limit = reader.u8()?;
        let flags = reader.u8()?;
        if flags & !PARTIAL != 0 {
            return Err(DecodeError("unknown flag"));
        }
        let ethernet = reader.rest();
        if ethernet.len() < ETHERNET_HEADER {
            return Err(DecodeError("cut short"));
        }
        Ok(Flood { arc, hop_limit, partial: flags & PARTIAL != 0, ethernet })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.arc.encode();
        out.extend_from_slice(&[self.hop_limit, u8::from(self.partial) * PARTIAL]);
        out.extend_from_slice(self.ethernet);
        out
    }
}
