//! Session header (wire.md §4.2) of the sealed records C3 to C8; the whole header is associated data.
//!
//! ```text
//! 0       1    2        4                8                                 16
//! +-------+----+--------+----------------+---------------------------------+- - - - - - -+- - - - -+
//! | type  | 0  | 0      | receiver index | counter                         | ciphertext  | tag (16)|
//! +-------+----+--------+----------------+---------------------------------+- - - - - - -+- - - - -+
//! ```

use super::record::is_sealed;
use super::{DecodeError, Reader};

pub const SESSION_HEADER: usize = 16;
pub const TAG: usize = 16;
/// Bytes of a sealed record besides its plaintext.
pub const SEAL_OVERHEAD: usize = SESSION_HEADER + TAG;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionHeader {
    pub record_type: u8,
    /// Drawn by the receiver: names the session at its side.
    pub receiver: u32,
    pub counter: u64,
}

impl SessionHeader {
    /// Of a whole record: there must be room for the tag.
    pub fn decode(record: &[u8]) -> Result<Self, DecodeError> {
        if record.len() < SEAL_OVERHEAD {
            return Err(DecodeError("cut short"));
        }
        Self::decode_header(record)
    }

    /// Of the first 16 bytes alone, as a notice quotes them.
    pub fn decode_header(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let record_type = reader.u8()?;
        if !is_sealed(record_type) {
            return Err(DecodeError("not a sealed record"));
        }
        reader.zeros(3)?;
        Ok(SessionHeader { record_type, receiver: reader.u32()?, counter: reader.u64()? })
    }

    pub fn encode(&self) -> [u8; SESSION_HEADER] {
        let [r0, r1, r2, r3] = self.receiver.to_be_bytes();
        let [c0, c1, c2, c3, c4, c5, c6, c7] = self.counter.to_be_bytes();
        [self.record_type, 0, 0, 0, r0, r1, r2, r3, c0, c1, c2, c3, c4, c5, c6, c7]
    }
}
