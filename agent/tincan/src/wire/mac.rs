//! MAC addresses and the rule that derives them from overlay addresses (wire.md §3).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{DecodeError, Reader};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// `02:45:a.b.c.d`: a node's `evio0`, from its IPv4 overlay address.
    pub fn of_node(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Mac([0x02, 0x45, a, b, c, d])
    }

    /// `02:46:a.b.c.d`: a pod, from its IPv4 address.
    pub fn of_pod(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Mac([0x02, 0x46, a, b, c, d])
    }

    /// `02:47:00:00` and the low 16 bits of the certificate's serial: a node with IPv6 only.
    pub fn of_serial(serial: u64) -> Self {
        let [.., high, low] = serial.to_be_bytes();
        Mac([0x02, 0x47, 0, 0, high, low])
    }

    /// Whether the rule speaks about this MAC; all other unicast MACs are foreign.
    pub fn is_ruled(&self) -> bool {
        matches!(self.0, [0x02, 0x45..=0x47, ..])
    }

    /// Multicast or broadcast (IEEE 802, the I/G bit).
    pub fn is_group(&self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 1
    }

    /// EUI-64 with the universal bit flipped (RFC 4291 appendix A).
    pub fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f])
    }

    fn masked(&self, mask: &Mac) -> Mac {
        let mut out = *self;
        for (byte, keep) in out.0.iter_mut().zip(mask.0) {
            *byte &= keep;
        }
        out
    }
}

/// A certificate's MAC and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacRule {
    pub mac: Mac,
    pub mask: Mac,
}

impl MacRule {
    pub fn exactly(mac: Mac) -> Self {
        MacRule { mac, mask: Mac::BROADCAST }
    }

    pub fn matches(&self, mac: &Mac) -> bool {
        mac.masked(&self.mask) == self.mac
    }

    pub fn decode(value: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rule = MacRule { mac: Mac(value.array()?), mask: Mac(value.array()?) };
        if rule.matches(&rule.mac) {
            Ok(rule)
        } else {
            Err(DecodeError("masked-out bits are not zero"))
        }
    }

    pub fn encode(&self) -> [u8; 12] {
        let mut out = [0; 12];
        for (to, from) in out.iter_mut().zip(self.mac.0.iter().chain(&self.mask.0)) {
            *to = *from;
        }
        out
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
