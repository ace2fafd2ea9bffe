//! What the pipeline knows of one frame: the match fields, at fixed places in sixteen 64-bit words.
//!
//! ```text
//!  word  bytes, most significant first
//!  0     tunnel_id
//!  1     metadata
//!  2     in_port (4) | eth_type (2) | vlan_vid (2)
//!  3     eth_dst (6) | vlan_pcp (1) | ip_proto (1)
//!  4     eth_src (6) | ip_dscp (1) | ip_ecn (1)
//!  5     ipv4_src or arp_spa (4) | ipv4_dst or arp_tpa (4)
//!  6     tcp/udp/sctp src (2) | dst (2) | arp_op (2) | icmp type (1) | code (1)
//!  7     arp_sha or nd_sll (6) | 0 (2)
//!  8     arp_tha or nd_tll (6) | 0 (2)
//!  9-10  ipv6_src       11-12  ipv6_dst       13-14  ipv6_nd_target
//!  15    ipv6_flabel (4) | 0 (4)
//! ```
//!
//! Fields share a place where their prerequisites exclude each other (clause 7.2.3.6). A masked match is then a compare of words,
//! and the exact-match cache in front of the pipeline hashes the words under the mask of all flows together.

pub const WORDS: usize = 16;

pub const ETH_TYPE_IPV4: u16 = 0x0800;
pub const ETH_TYPE_ARP: u16 = 0x0806;
pub const ETH_TYPE_IPV6: u16 = 0x86dd;
const ETH_TYPE_VLAN: u16 = 0x8100;
const ETH_TYPE_QINQ: u16 = 0x88a8;
/// OFPVID_PRESENT: the frame has a tag.
pub const VLAN_PRESENT: u16 = 0x1000;
pub const PROTOCOL_ICMP: u8 = 1;
pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;
pub const PROTOCOL_SCTP: u8 = 132;
pub const PROTOCOL_ICMPV6: u8 = 58;
pub const ND_SOLICITATION: u8 = 135;
pub const ND_ADVERTISEMENT: u8 = 136;
/// More headers than this in front of the transport header are not looked through.
const EXTENSION_HEADERS_MAX: usize = 8;
const VLAN_TAGS_MAX: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Key(pub [u64; WORDS]);

/// Where a field stands: a word, the bits to its right, its length in bytes. 16-byte fields fill two words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub word: usize,
    pub shift: u32,
    pub bytes: usize,
}

const fn place(word: usize, shift: u32, bytes: usize) -> Place {
    Place { word, shift, bytes }
}

pub const TUNNEL_ID: Place = place(0, 0, 8);
pub const METADATA: Place = place(1, 0, 8);
pub const IN_PORT: Place = place(2, 32, 4);
pub const ETH_TYPE: Place = place(2, 16, 2);
pub const VLAN_VID: Place = place(2, 0, 2);
pub const ETH_DST: Place = place(3, 16, 6);
pub const VLAN_PCP: Place = place(3, 8, 1);
pub const IP_PROTO: Place = place(3, 0, 1);
pub const ETH_SRC: Place = place(4, 16, 6);
pub const IP_DSCP: Place = place(4, 8, 1);
pub const IP_ECN: Place = place(4, 0, 1);
pub const IPV4_SRC: Place = place(5, 32, 4);
pub const IPV4_DST: Place = place(5, 0, 4);
pub const PORT_SRC: Place = place(6, 48, 2);
pub const PORT_DST: Place = place(6, 32, 2);
pub const ARP_OP: Place = place(6, 16, 2);
pub const ICMP_TYPE: Place = place(6, 8, 1);
pub const ICMP_CODE: Place = place(6, 0, 1);
pub const SOURCE_MAC: Place = place(7, 16, 6);
pub const TARGET_MAC: Place = place(8, 16, 6);
pub const IPV6_SRC: Place = place(9, 0, 16);
pub const IPV6_DST: Place = place(11, 0, 16);
pub const ND_TARGET: Place = place(13, 0, 16);
pub const IPV6_FLABEL: Place = place(15, 32, 4);

impl Key {
    /// Sets a field from its bytes as they stand in a frame or an OXM; a length that is not the field's leaves it alone.
    pub fn set(&mut self, at: Place, bytes: &[u8]) {
        if bytes.len() != at.bytes {
            return;
        }
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
        match (bytes.split_at_checked(8), at.bytes) {
            (Some((high, low)), 16) => {
                self.put(at.word, 0, 8, number(high));
                self.put(at.word + 1, 0, 8, number(low));
            }
            _ => self.put(at.word, at.shift, at.bytes, number(bytes)),
        }
    }

    pub fn set_number(&mut self, at: Place, value: u64) {
        self.put(at.word, at.shift, at.bytes, value);
    }

    fn put(&mut self, word: usize, shift: u32, bytes: usize, value: u64) {
        let ones = if bytes >= 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
        if let Some(word) = self.0.get_mut(word) {
            *word = *word & !(ones << shift) | (value & ones) << shift;
        }
    }

    /// The field's bytes, right-aligned in 16.
    pub fn get(&self, at: Place) -> u128 {
        let word = |i: usize| self.0.get(i).copied().unwrap_or(0);
        if at.bytes == 16 {
            u128::from(word(at.word)) << 64 | u128::from(word(at.word + 1))
        } else {
            let ones = if at.bytes >= 8 { u64::MAX } else { (1 << (8 * at.bytes)) - 1 };
            u128::from(word(at.word) >> at.shift & ones)
        }
    }

    pub fn number(&self, at: Place) -> u64 {
        self.get(at) as u64
    }

    pub fn and(&self, mask: &Key) -> Key {
        let mut masked = *self;
        masked.0.iter_mut().zip(mask.0).for_each(|(word, mask)| *word &= mask);
        masked
    }

    pub fn merge(&mut self, other: &Key) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// The fields of an Ethernet frame, as far as it has them; None when it is shorter than an Ethernet header.
    pub fn of_frame(frame: &[u8]) -> Option<Key> {
        let mut key = Key::default();
        key.set(ETH_DST, frame.get(0..6)?);
        key.set(ETH_SRC, frame.get(6..12)?);
        let (mut eth_type, mut at) = (be16(frame, 12)?, 14);
        for tag in 0..VLAN_TAGS_MAX {
            if eth_type != ETH_TYPE_VLAN && eth_type != ETH_TYPE_QINQ {
                break;
            }
            let (Some(control), Some(inner)) = (be16(frame, at), be16(frame, at + 2)) else { break };
            if tag == 0 {
                key.set_number(VLAN_VID, u64::from(VLAN_PRESENT | control & 0x0fff));
                key.set_number(VLAN_PCP, u64::from(control >> 13));
            }
            eth_type = inner;
            at += 4;
        }
        key.set_number(ETH_TYPE, u64::from(eth_type));
        // A frame cut inside a header simply has no further fields: they stay zero, as a missing field does in Open vSwitch.
        let payload = frame.get(at..).unwrap_or(&[]);
        let _ = match eth_type {
            ETH_TYPE_ARP => key.arp(payload),
            ETH_TYPE_IPV4 => key.ipv4(payload),
            ETH_TYPE_IPV6 => key.ipv6(payload),
            _ => None,
        };
        Some(key)
    }

    /// RFC 826, for Ethernet and IPv4.
    fn arp(&mut self, packet: &[u8]) -> Option<()> {
        if packet.get(0..6)? != [0, 1, 8, 0, 6, 4] || packet.len() < 28 {
            return None;
        }
        self.set(ARP_OP, packet.get(6..8)?);
        self.set(SOURCE_MAC, packet.get(8..14)?);
        self.set(IPV4_SRC, packet.get(14..18)?);
        self.set(TARGET_MAC, packet.get(18..24)?);
        self.set(IPV4_DST, packet.get(24..28)?);
        Some(())
    }

    fn ipv4(&mut self, packet: &[u8]) -> Option<()> {
        let first = *packet.first()?;
        let header = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 || header < 20 || packet.len() < 20 {
            return None;
        }
        let service = *packet.get(1)?;
        self.set_number(IP_DSCP, u64::from(service >> 2));
        self.set_number(IP_ECN, u64::from(service & 3));
        let protocol = *packet.get(9)?;
        self.set_number(IP_PROTO, u64::from(protocol));
        self.set(IPV4_SRC, packet.get(12..16)?);
        self.set(IPV4_DST, packet.get(16..20)?);
        let later_fragment = be16(packet, 6)? & 0x1fff != 0;
        if later_fragment {
            return None;
        }
        let payload = packet.get(header..)?;
        if protocol == PROTOCOL_ICMP {
            self.set(ICMP_TYPE, payload.get(0..1)?);
            self.set(ICMP_CODE, payload.get(1..2)?);
            return Some(());
        }
        self.ports(protocol, payload)
    }

    fn ipv6(&mut self, packet: &[u8]) -> Option<()> {
        let first = u32::from_be_bytes(packet.get(0..4)?.try_into().ok()?);
        if first >> 28 != 6 || packet.len() < 40 {
            return None;
        }
        self.set_number(IP_DSCP, u64::from(first >> 22 & 0x3f));
        self.set_number(IP_ECN, u64::from(first >> 20 & 3));
        self.set_number(IPV6_FLABEL, u64::from(first & 0xf_ffff));
        self.set(IPV6_SRC, packet.get(8..24)?);
        self.set(IPV6_DST, packet.get(24..40)?);
        let (mut protocol, mut at, mut later_fragment) = (*packet.get(6)?, 40, false);
        for _ in 0..EXTENSION_HEADERS_MAX {
            // Hop-by-hop, routing and destination options count in 8 bytes, AH in 4 (RFC 8200 §4, RFC 4302 §2.2).
            let length = match protocol {
                0 | 43 | 60 => packet.get(at + 1).map(|&n| (usize::from(n) + 1) * 8),
                51 => packet.get(at + 1).map(|&n| (usize::from(n) + 2) * 4),
                44 => {
                    later_fragment = be16(packet, at + 2).is_some_and(|offset| offset & 0xfff8 != 0);
                    Some(8)
                }
                _ => break,
            };
            let (Some(&next), Some(length)) = (packet.get(at), length) else { break };
            protocol = next;
            at += length;
            if later_fragment {
                break;
            }
        }
        self.set_number(IP_PROTO, u64::from(protocol));
        if later_fragment {
            return None;
        }
        let payload = packet.get(at..)?;
        if protocol == PROTOCOL_ICMPV6 {
            self.icmpv6(payload)
        } else {
            self.ports(protocol, payload)
        }
    }

    fn ports(&mut self, protocol: u8, payload: &[u8]) -> Option<()> {
        if matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP | PROTOCOL_SCTP) {
            self.set(PORT_SRC, payload.get(0..2)?);
            self.set(PORT_DST, payload.get(2..4)?);
        }
        Some(())
    }

    /// RFC 4861 §4.3, §4.4: the target, and the link-layer address options.
    fn icmpv6(&mut self, payload: &[u8]) -> Option<()> {
        let kind = *payload.first()?;
        self.set(ICMP_TYPE, payload.get(0..1)?);
        self.set(ICMP_CODE, payload.get(1..2)?);
        if kind != ND_SOLICITATION && kind != ND_ADVERTISEMENT {
            return Some(());
        }
        self.set(ND_TARGET, payload.get(8..24)?);
        let mut options = payload.get(24..)?;
        while let [option, length, ..] = *options {
            let length = usize::from(length) * 8;
            if length == 0 {
                break;
            }
            let address = options.get(2..8)?;
            match (option, kind) {
                (1, ND_SOLICITATION) => self.set(SOURCE_MAC, address),
                (2, ND_ADVERTISEMENT) => self.set(TARGET_MAC, address),
                _ => {}
            }
            options = options.get(length..)?;
        }
        Some(())
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
