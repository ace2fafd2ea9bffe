//! Objects signed by the authority (wire.md §2):
//!
//! ```text
//! magic (4) | TLV ... | signature (64)
//! TLV = type (1) | length (2) | value (length)
//! ```
//!
//! The signature is Ed25519 over `domain || 0 || magic || TLVs`.

use std::ops::Deref;

use ring::signature::{Ed25519KeyPair, UnparsedPublicKey, ED25519};

use super::{DecodeError, Reader};

pub const OBJECT_MAX: usize = 4096;
const SIGNATURE: usize = 64;
/// Unknown types from here up are ignored, though covered by the signature.
const IGNORABLE: u8 = 128;

/// What tells one kind of object from another.
pub struct Kind {
    pub magic: [u8; 4],
    pub domain: &'static str,
    pub max: usize,
    /// Types that may stand several times in a row.
    pub repeatable: &'static [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectError {
    Malformed(DecodeError),
    /// Of another overlay, or not signed by its authority.
    WrongAuthority,
}

impl From<DecodeError> for ObjectError {
    fn from(error: DecodeError) -> Self {
        ObjectError::Malformed(error)
    }
}

/// An object whose signature verified, with the bytes that were signed. Only `verify` makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    raw: Vec<u8>,
}

impl<T> Verified<T> {
    pub(super) fn new(value: T, raw: &[u8]) -> Self {
        Verified { value, raw: raw.to_vec() }
    }

    /// The whole object, as it is passed on.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The TLVs of an object, in order, each checked against the rules of order, repetition and unknown types.
pub struct Tlvs<'a> {
    reader: Reader<'a>,
    repeatable: &'static [u8],
    last: Option<u8>,
}

impl<'a> Tlvs<'a> {
    pub fn of(raw: &'a [u8], kind: &Kind) -> Result<Self, DecodeError> {
        if raw.len() > kind.max {
            return Err(DecodeError("object too long"));
        }
        let body = raw.len().checked_sub(SIGNATURE).and_then(|end| raw.get(..end)).ok_or(DecodeError("cut short"))?;
        let mut reader = Reader::new(body);
        if reader.array::<4>()? != kind.magic {
            return Err(DecodeError("wrong magic"));
        }
        Ok(Tlvs { reader, repeatable: kind.repeatable, last: None })
    }

    /// The next TLV with a type below 128.
    pub fn read(&mut self) -> Result<Option<(u8, Reader<'a>)>, DecodeError> {
        while self.reader.remaining() > 0 {
            let kind = self.reader.u8()?;
            let length = self.reader.u16()?;
            let value = self.reader.take(usize::from(length))?;
            match self.last {
                Some(last) if kind < last => return Err(DecodeError("types not in ascending order")),
                Some(last) if kind == last && !self.repeatable.contains(&kind) => {
                    return Err(DecodeError("a type stands twice"));
                }
                _ => self.last = Some(kind),
            }
            if kind < IGNORABLE {
                return Ok(Some((kind, Reader::new(value))));
            }
        }
        Ok(None)
    }
}

fn signed_bytes(kind: &Kind, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(kind.domain.len() + 1 + body.len());
    message.extend_from_slice(kind.domain.as_bytes());
    message.push(0);
    message.extend_from_slice(body);
    message
}

pub(super) fn verify_signature(raw: &[u8], kind: &Kind, key: &[u8; 32]) -> Result<(), ObjectError> {
    let (body, signature) = raw.split_last_chunk::<SIGNATURE>().ok_or(DecodeError("cut short"))?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&signed_bytes(kind, body), signature)
        .map_err(|_| ObjectError::WrongAuthority)
}

/// Builds an object. The agent's authority code is its usual maker; tests and vectors use this one.
pub struct Builder {
    body: Vec<u8>,
}

impl Builder {
    pub fn new(kind: &Kind) -> Self {
        Builder { body: kind.magic.to_vec() }
    }

    pub fn put(&mut self, kind: u8, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.body.push(kind);
        self.body.extend_from_slice(&length.to_be_bytes());
        self.body.extend(value.iter().take(usize::from(length)));
    }

    pub fn sign(mut self, kind: &Kind, key: &Ed25519KeyPair) -> Vec<u8> {
        let signature = key.sign(&signed_bytes(kind, &self.body));
        self.body.extend_from_slice(signature.as_ref());
        self.body
    }
}

/// A certificate's and an overlay's name: one DNS label.
pub(super) fn dns_label(mut value: Reader<'_>) -> Result<String, DecodeError> {
    let bytes = value.rest();
    let inner = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = bytes.first().is_some_and(inner) && bytes.last().is_some_and(inner);
    if !ends || bytes.len() > 63 || !bytes.iter().all(|c| inner(c) || *c == b'-') {
        return Err(DecodeError("name is not a DNS label"));
    }
    Ok(bytes.iter().map(|&c| char::from(c)).collect())
}

pub(super) fn required<T>(field: Option<T>) -> Result<T, DecodeError> {
    field.ok_or(DecodeError("a required type is missing"))
}
