//! Notice (wire.md §7), 28 bytes: `C9 | kind (1) | size (2) | label (8) | quote (16)`.

use super::record::NOTICE;
use super::{DecodeError, Label, Reader};

pub const NOTICE_RECORD: usize = 28;
/// Every path carries records of this many bytes, routing header included.
pub const RECORD_SIZE_FLOOR: u16 = 1200;
const UNKNOWN_LABEL: u8 = 1;
const TOO_BIG: u8 = 2;
const UNKNOWN_INDEX: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// The label lies in the sender's arc and nobody owns it.
    UnknownLabel(Label),
    /// The next hop towards `label` takes `size` bytes, routing header included.
    TooBig {
        label: Label,
        size: u16,
    },
    UnknownIndex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    pub complaint: Complaint,
    /// First 16 bytes of the record complained of, behind any routing header.
    pub quote: [u8; 16],
}

impl Notice {
    pub fn decode(record: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        if reader.u8()? != NOTICE {
            return Err(DecodeError("not a notice"));
        }
        let kind = reader.u8()?;
        let size = reader.u16()?;
        let label = Label(reader.u64()?);
        let quote = reader.array()?;
        reader.end()?;
        let complaint = match kind {
            UNKNOWN_LABEL if size == 0 => Complaint::UnknownLabel(label),
            TOO_BIG if size < RECORD_SIZE_FLOOR => return Err(DecodeError("size below the floor")),
            TOO_BIG => Complaint::TooBig { label, size },
            UNKNOWN_INDEX if size == 0 && label == Label(0) => Complaint::UnknownIndex,
            UNKNOWN_LABEL | UNKNOWN_INDEX => return Err(DecodeError("a field that must be zero is not")),
            _ => return Err(DecodeError("unknown notice")),
        };
        Ok(Notice { complaint, quote })
    }

    pub fn encode(&self) -> Vec<u8> {
        let (kind, size, label) = match self.complaint {
            Complaint::UnknownLabel(label) => (UNKNOWN_LABEL, 0, label),
            Complaint::TooBig { label, size } => (TOO_BIG, size, label),
            Complaint::UnknownIndex => (UNKNOWN_INDEX, 0, Label(0)),
        };
        let mut out = vec![NOTICE, kind];
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&label.0.to_be_bytes());
        out.extend_from_slice(&self.quote);
        out
    }
}
