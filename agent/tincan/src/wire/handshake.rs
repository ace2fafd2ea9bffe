//! Handshake and cookie records, and what stands inside the Noise messages (wire.md §5).
//!
//! ```text
//! Initiation: C1 | 1 | 0 0 | sender index (4) | 0 (4)              | Noise message 1 | mac1 (16) | mac2 (16)
//! Response:   C1 | 2 | 0 0 | sender index (4) | receiver index (4) | Noise message 2
//! Cookie:     C2 | 0 0 0 | receiver index (4) | cookie (16)
//! ```

use super::certificate::CERTIFICATE_MAX;
use super::record::{COOKIE, HANDSHAKE};
use super::{BootId, DecodeError, Reader};

pub const MAC_LENGTH: usize = 16;
pub const HANDSHAKE_HEADER: usize = 12;
const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
/// e, encrypted s, and the tag of the payload (Noise revision 34, pattern IK).
const NOISE_1_MIN: usize = 32 + 48 + 16;
/// e, and the tag of the payload.
const NOISE_2_MIN: usize = 32 + 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake<'a> {
    Initiation(Initiation<'a>),
    Response(Response<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initiation<'a> {
    pub sender: u32,
    pub noise: &'a [u8],
    pub mac1: &'a [u8],
    pub mac2: &'a [u8],
    /// All bytes before mac1, which mac1 covers.
    pub before_mac1: &'a [u8],
    /// All bytes before mac2, which mac2 covers.
    pub before_mac2: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    pub sender: u32,
    pub receiver: u32,
    pub noise: &'a [u8],
}

impl<'a> Handshake<'a> {
    pub fn decode(record: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        if reader.u8()? != HANDSHAKE {
            return Err(DecodeError("not a handshake"));
        }
        let kind = reader.u8()?;
        reader.zeros(2)?;
        let sender = reader.u32()?;
        match kind {
            INITIATION => {
                reader.zeros(4)?;
                let macs = 2 * MAC_LENGTH;
                let noise = reader.take(reader.remaining().checked_sub(macs).ok_or(DecodeError("cut short"))?)?;
                if noise.len() < NOISE_1_MIN {
                    return Err(DecodeError("cut short"));
                }
                let mac1 = reader.take(MAC_LENGTH)?;
                let mac2 = reader.take(MAC_LENGTH)?;
                let (before_mac2, _) =
                    record.split_at_checked(record.len() - MAC_LENGTH).ok_or(DecodeError("cut short"))?;
                let (before_mac1, _) = record.split_at_checked(record.len() - macs).ok_or(DecodeError("cut short"))?;
                Ok(Handshake::Initiation(Initiation { sender, noise, mac1, mac2, before_mac1, before_mac2 }))
            }
            RESPONSE => {
                let receiver = reader.u32()?;
                let noise = reader.rest();
                if noise.len() < NOISE_2_MIN {
                    return Err(DecodeError("cut short"));
                }
                Ok(Handshake::Response(Response { sender, receiver, noise }))
            }
            _ => Err(DecodeError("unknown handshake message")),
        }
    }
}

/// An initiation without its MACs.
pub fn encode_initiation(sender: u32, noise: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HANDSHAKE_HEADER + noise.len() + 2 * MAC_LENGTH);
    record.extend_from_slice(&[HANDSHAKE, INITIATION, 0, 0]);
    record.extend_from_slice(&sender.to_be_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(noise);
    record
}

pub fn encode_response(sender: u32, receiver: u32, noise: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HANDSHAKE_HEADER + noise.len());
    record.extend_from_slice(&[HANDSHAKE, RESPONSE, 0, 0]);
    record.extend_from_slice(&sender.to_be_bytes());
    record.extend_from_slice(&receiver.to_be_bytes());
    record.extend_from_slice(noise);
    record
}

/// Payload of Noise message 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitiationPayload<'a> {
    pub boot_id: BootId,
    /// Cipher numbers; unknown ones are another version's and are passed over.
    pub ciphers: &'a [u8],
    pub certificate: &'a [u8],
}

impl<'a> InitiationPayload<'a> {
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let boot_id = BootId(reader.array()?);
        let number = reader.u8()?;
        let ciphers = reader.take(usize::from(number))?;
        let certificate = certificate(&mut reader)?;
        reader.end()?;
        Ok(InitiationPayload { boot_id, ciphers, certificate })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.boot_id.0.to_vec();
        let number = u8::try_from(self.ciphers.len()).unwrap_or(u8::MAX);
        out.push(number);
        out.extend(self.ciphers.iter().take(usize::from(number)));
        put_certificate(&mut out, self.certificate);
        out
    }
}

/// Payload of Noise message 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponsePayload<'a> {
    pub boot_id: BootId,
    pub cipher: u8,
    pub certificate: &'a [u8],
}

impl<'a> ResponsePayload<'a> {
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let boot_id = BootId(reader.array()?);
        let cipher = reader.u8()?;
        let certificate = certificate(&mut reader)?;
        reader.end()?;
        Ok(ResponsePayload { boot_id, cipher, certificate })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.boot_id.0.to_vec();
        out.push(self.cipher);
        put_certificate(&mut out, self.certificate);
        out
    }
}

fn certificate<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = usize::from(reader.u16()?);
    if length > CERTIFICATE_MAX {
        return Err(DecodeError("object too long"));
    }
    reader.take(length)
}

fn put_certificate(out: &mut Vec<u8>, certificate: &[u8]) {
    let length = u16::try_from(certificate.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(certificate);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// The initiation's sender index.
    pub receiver: u32,
    pub cookie: [u8; 16],
}

impl Cookie {
    pub fn decode(record: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        if reader.u8()? != COOKIE {
            return Err(DecodeError("not a cookie"));
        }
        reader.zeros(3)?;
        let cookie = Cookie { receiver: reader.u32()?, cookie: reader.array()? };
        reader.end()?;
        Ok(cookie)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![COOKIE, 0, 0, 0];
        out.extend_from_slice(&self.receiver.to_be_bytes());
        out.extend_from_slice(&self.cookie);
        out
    }
}
