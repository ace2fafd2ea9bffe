//! Plaintext of a probe (wire.md §6.4), 32 bytes and, on requests, zero padding:
//!
//! ```text
//! kind (1) | flags (1) | size (2) | challenge (8) | family (1: 0, 4, 6) | 0 (1) | port (2) | address (16) | zero padding
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::sealed::SEAL_OVERHEAD;
use super::{DecodeError, Reader};

pub const PROBE_BODY: usize = 32;
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
/// The sender has proven this path.
const PROVEN: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub response: bool,
    pub proven: bool,
    /// Length in bytes of the whole request record, session header and tag included; a response echoes it.
    pub size: u16,
    pub challenge: [u8; 8],
    /// In a response by a direct path: where the request was seen to come from.
    pub seen: Option<SocketAddr>,
}

/// The smallest request record.
pub const PROBE_RECORD_MIN: u16 = (SEAL_OVERHEAD + PROBE_BODY) as u16;

impl Probe {
    pub fn decode(plaintext: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(plaintext);
        let response = match reader.u8()? {
            REQUEST => false,
            RESPONSE => true,
            _ => return Err(DecodeError("unknown probe kind")),
        };
        let flags = reader.u8()?;
        if flags & !PROVEN != 0 {
            return Err(DecodeError("unknown flag"));
        }
        let size = reader.u16()?;
        let challenge = reader.array()?;
        let family = reader.u8()?;
        reader.zeros(1)?;
        let port = reader.u16()?;
        let mut address = Reader::new(reader.take(16)?);
        let seen = match family {
            0 if port == 0 => None,
            4 => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address.array::<4>()?)), port)),
            6 => Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address.array::<16>()?)), port)),
            _ => return Err(DecodeError("unknown address family")),
        };
        address.zeros(address.remaining())?;
        if response {
            reader.end()?;
        } else {
            if seen.is_some() {
                return Err(DecodeError("a request tells no address"));
            }
            if usize::from(size) != plaintext.len() + SEAL_OVERHEAD {
                return Err(DecodeError("size is not the record's"));
            }
            reader.zeros(reader.remaining())?;
        }
        Ok(Probe { response, proven: flags & PROVEN != 0, size, challenge, seen })
    }

    /// A request comes padded, so that its record has `size` bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PROBE_BODY);
        out.push(if self.response { RESPONSE } else { REQUEST });
        out.push(if self.proven { PROVEN } else { 0 });
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.challenge);
        let family = match self.seen {
            None => 0,
            Some(SocketAddr::V4(_)) => 4,
            Some(SocketAddr::V6(_)) => 6,
        };
        out.extend_from_slice(&[family, 0]);
        out.extend_from_slice(&self.seen.map_or(0, |seen| seen.port()).to_be_bytes());
        match self.seen.map(|seen| seen.ip()) {
            None => {}
            Some(IpAddr::V4(address)) => out.extend_from_slice(&address.octets()),
            Some(IpAddr::V6(address)) => out.extend_from_slice(&address.octets()),
        }
        out.resize(PROBE_BODY, 0);
        if !self.response {
            out.resize(usize::from(self.size.max(PROBE_RECORD_MIN)) - SEAL_OVERHEAD, 0);
        }
        out
    }
}
