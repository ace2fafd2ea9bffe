//! Plaintext of a frame record (wire.md §6.1): `flags (1) | 0 (1) | Ethernet frame without FCS`.

use super::{DecodeError, Reader};

pub const FRAME_HEADER: usize = 2;
/// The TCP or UDP checksum is not computed.
pub const PARTIAL: u8 = 1;
/// The next segment of the super-frame whose earlier segment had the counter before this one.
pub const CONTINUES: u8 = 2;
/// Destination, source, type (IEEE 802.3).
pub const ETHERNET_HEADER: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub partial: bool,
    pub continues: bool,
    pub ethernet: &'a [u8],
}

impl<'a> Frame<'a> {
    pub fn decode(plaintext: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(plaintext);
        let flags = reader.u8()?;
        if flags & !(PARTIAL | CONTINUES) != 0 {
            return Err(DecodeError("unknown flag"));
        }
        reader.zeros(1)?;
        let ethernet = reader.rest();
        if ethernet.len() < ETHERNET_HEADER {
            return Err(DecodeError("cut short"));
        }
        Ok(Frame { partial: flags & PARTIAL != 0, continues: flags & CONTINUES != 0, ethernet })
    }

    pub fn header(&self) -> [u8; FRAME_HEADER] {
        [(u8::from(self.partial) * PARTIAL) | (u8::from(self.continues) * CONTINUES), 0]
    }

    pub fn encode(&self) -> Vec<u8> {
        [&self.header()[..], self.ethernet].concat()
    }
}
