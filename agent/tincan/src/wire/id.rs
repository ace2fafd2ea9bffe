//! Identifiers and the ring (wire.md §1).

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use ring::digest;

fn sha256_prefix<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let hash = digest::digest(&digest::SHA256, bytes);
    let mut prefix = [0; N];
    for (to, from) in prefix.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    prefix
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// First 16 bytes of SHA-256 of the node's Ed25519 key, so an id cannot be claimed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 16]);

impl NodeId {
    pub fn of_identity_key(key: &[u8; 32]) -> Self {
        NodeId(sha256_prefix(key))
    }

    /// The node's ring position: its first 8 bytes.
    pub fn label(&self) -> Label {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        Label(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// 32 lower-case hex characters.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(NodeId)
    }
}

/// First 16 bytes of SHA-256 of the authority's Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OverlayId(pub [u8; 16]);

impl OverlayId {
    pub fn of_authority_key(key: &[u8; 32]) -> Self {
        OverlayId(sha256_prefix(key))
    }
}

/// Drawn each time tincan starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 8]);

/// A ring position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub u64);

impl Label {
    /// Ring distance clockwise from here to `other`.
    pub fn clockwise_to(self, other: Label) -> u64 {
        other.0.wrapping_sub(self.0)
    }

    /// Whether this position lies in the open arc (start, bound), clockwise; start = bound means the whole ring but that point.
    pub fn in_open_arc(self, start: Label, bound: Label) -> bool {
        let here = start.clockwise_to(self);
        let end = start.clockwise_to(bound);
        here != 0 && (end == 0 || here < end)
    }

    /// 16 lower-case hex characters.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(|bytes| Label(u64::from_be_bytes(bytes)))
    }
}

macro_rules! hex_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }
    )*};
}

hex_text!(NodeId, OverlayId, BootId);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Labels are a prefix of SHA-256 and only the authority admits them: they need no second hash.
#[derive(Default, Clone, Copy)]
pub struct LabelHasher(u64);

impl Hasher for LabelHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub type LabelMap<V> = HashMap<Label, V, BuildHasherDefault<LabelHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_goes_clockwise_and_wraps() {
        assert_eq!(Label(10).clockwise_to(Label(12)), 2);
        assert_eq!(Label(12).clockwise_to(Label(10)), u64::MAX - 1);
        assert_eq!(Label(5).clockwise_to(Label(5)), 0);
    }

    #[test]
    fn an_open_arc_holds_neither_end_and_may_wrap() {
        assert!(Label(5).in_open_arc(Label(4), Label(6)));
        assert!(!Label(4).in_open_arc(Label(4), Label(6)));
        assert!(!Label(6).in_open_arc(Label(4), Label(6)));
        assert!(Label(1).in_open_arc(Label(u64::MAX), Label(2)));
        assert!(!Label(3).in_open_arc(Label(u64::MAX), Label(2)));
    }

    #[test]
    fn an_arc_whose_ends_meet_is_the_whole_ring_but_that_point() {
        assert!(Label(9).in_open_arc(Label(7), Label(7)));
        assert!(Label(6).in_open_arc(Label(7), Label(7)));
        assert!(!Label(7).in_open_arc(Label(7), Label(7)));
    }

    #[test]
    fn ids_are_written_as_lower_case_hex_and_read_back() {
        let id = NodeId([0xab; 16]);
        assert_eq!(NodeId::parse(&id.to_string()), Some(id));
        assert_eq!(NodeId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(NodeId::parse("ab"), None);
        assert_eq!(Label::parse("00000000000000ff"), Some(Label(255)));
        assert_eq!(id.label().to_string(), "abababababababab");
    }
}
