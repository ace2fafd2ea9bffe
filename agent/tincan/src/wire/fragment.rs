//! Plaintext of a fragment record (wire.md §6.2): `id (2) | index (1) | count (1: 2 to 64) | piece`.

use super::{DecodeError, Reader};

pub const FRAGMENT_HEADER: usize = 4;
pub const FRAGMENTS_MAX: u8 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    pub id: u16,
    pub index: u8,
    pub count: u8,
    pub piece: &'a [u8],
}

impl<'a> Fragment<'a> {
    pub fn decode(plaintext: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(plaintext);
        let (id, index, count) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let piece = reader.rest();
        if !(2..=FRAGMENTS_MAX).contains(&count) || index >= count {
            return Err(DecodeError("fragment index or count out of range"));
        }
        if piece.is_empty() {
            return Err(DecodeError("cut short"));
        }
        Ok(Fragment { id, index, count, piece })
    }

    pub fn encode(&self) -> Vec<u8> {
        let [high, low] = self.id.to_be_bytes();
        [&[high, low, self.index, self.count], self.piece].concat()
    }
}
