//! Where the headers of a frame stand.
//!
//! ```text
//! Ethernet (14) | 802.1Q or 802.1ad tags (4 each, at most 2) | IPv4 (20-60) or IPv6 (40 + extension headers) | TCP or UDP
//! ```

use super::FrameError;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
const VLAN_TAGS_MAX: usize = 2;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;
/// RFC 8200 §4.1 foresees two headers of these kinds before the transport header; a chain of more is not looked through.
const EXTENSION_HEADERS_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    Ipv4,
    Ipv6,
}

/// Offsets into one frame. `network <= transport <= end <= frame.len()` holds for every value of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub family: Network,
    /// Where the IP header begins.
    pub network: usize,
    /// Protocol of what follows the IP header and the extension headers that were looked through.
    pub protocol: u8,
    /// Part of a fragmented packet: what stands at `transport` need not be a header.
    pub fragment: bool,
    /// Where that begins.
    pub transport: usize,
    /// Where the IP packet ends by its own length field (behind it there may be Ethernet padding).
    pub end: usize,
}

impl Layout {
    /// The layout of an IP frame by its own length fields.
    pub fn parse(frame: &[u8]) -> Result<Self, FrameError> {
        Self::parse_within(frame, false)
    }

    /// The layout of a super-frame: its IP length field counts for nothing, since the frame itself tells (a packet above
    /// 65,535 bytes has 0 there).
    pub fn parse_super(frame: &[u8]) -> Result<Self, FrameError> {
        Self::parse_within(frame, true)
    }

    fn parse_within(frame: &[u8], whole: bool) -> Result<Self, FrameError> {
        let (ethertype, network) = network_header(frame)?;
        match ethertype {
            ETHERTYPE_IPV4 => ipv4(frame, network, whole),
            ETHERTYPE_IPV6 => ipv6(frame, network, whole),
            _ => Err(FrameError::NotIp),
        }
    }

    /// Source and destination address, one after the other, as they stand in the IP header.
    pub fn addresses<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let range = match self.family {
            Network::Ipv4 => self.network + 12..self.network + 20,
            Network::Ipv6 => self.network + 8..self.network + 40,
        };
        frame.get(range).unwrap_or(&[])
    }

    /// Where the payload of the TCP or UDP header begins and where the checksum field stands, once that header is checked.
    pub fn transport_header(&self, frame: &[u8]) -> Result<Transport, FrameError> {
        if self.fragment {
            return Err(FrameError::NotTransport);
        }
        let available = self.end - self.transport;
        match self.protocol {
            TCP => {
                let length = usize::from(u8_at(frame, self.transport + 12)? >> 4) * 4;
                if length < 20 || length > available {
                    return Err(FrameError::Length);
                }
                Ok(Transport { payload: self.transport + length, checksum: self.transport + 16 })
            }
            UDP => {
                if usize::from(u16_at(frame, self.transport + 4)?) != available || available < 8 {
                    return Err(FrameError::Length);
                }
                Ok(Transport { payload: self.transport + 8, checksum: self.transport + 6 })
            }
            _ => Err(FrameError::NotTransport),
        }
    }
}

/// A checked TCP or UDP header: `transport < checksum + 2 <= payload <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    pub payload: usize,
    pub checksum: usize,
}

/// Ethertype behind at most two VLAN tags, and where its header begins.
fn network_header(frame: &[u8]) -> Result<(u16, usize), FrameError> {
    let mut at = 12;
    for _ in 0..=VLAN_TAGS_MAX {
        match u16_at(frame, at)? {
            ETHERTYPE_VLAN | ETHERTYPE_QINQ => at += 4,
            ethertype => return Ok((ethertype, at + 2)),
        }
    }
    Err(FrameError::NotIp)
}

fn ipv4(frame: &[u8], network: usize, whole: bool) -> Result<Layout, FrameError> {
    let first = u8_at(frame, network)?;
    let header = usize::from(first & 15) * 4;
    if first >> 4 != 4 || header < 20 {
        return Err(FrameError::Length);
    }
    let total = usize::from(u16_at(frame, network + 2)?);
    let end = if whole { frame.len() } else { network + total };
    let transport = network + header;
    if end > frame.len() || transport > end {
        return Err(FrameError::Length);
    }
    // Bit 13 is "more fragments", the lower 13 bits are the offset (RFC 791 §3.1).
    let fragment = u16_at(frame, network + 6)? & 0x3fff != 0;
    Ok(Layout { family: Network::Ipv4, network, protocol: u8_at(frame, network + 9)?, fragment, transport, end })
}

fn ipv6(frame: &[u8], network: usize, whole: bool) -> Result<Layout, FrameError> {
    if u8_at(frame, network)? >> 4 != 6 {
        return Err(FrameError::Length);
    }
    let mut transport = network + 40;
    let end = if whole { frame.len() } else { transport + usize::from(u16_at(frame, network + 4)?) };
    if end > frame.len() || transport > end {
        return Err(FrameError::Length);
    }
    let mut protocol = u8_at(frame, network + 6)?;
    // Only headers that leave the pseudo header alone are looked through: behind a routing header the final destination is
    // another than the one in the IPv6 header (RFC 8200 §8.1), and behind a fragment header there may be no header at all.
    for _ in 0..EXTENSION_HEADERS_MAX {
        if protocol != HOP_BY_HOP && protocol != DESTINATION_OPTIONS {
            break;
        }
        protocol = u8_at(frame, transport)?;
        transport += (usize::from(u8_at(frame, transport + 1)?) + 1) * 8;
        if transport > end {
            return Err(FrameError::Length);
        }
    }
    Ok(Layout { family: Network::Ipv6, network, protocol, fragment: false, transport, end })
}

pub fn u8_at(bytes: &[u8], at: usize) -> Result<u8, FrameError> {
    bytes.get(at).copied().ok_or(FrameError::Short)
}

pub fn u16_at(bytes: &[u8], at: usize) -> Result<u16, FrameError> {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => Ok(u16::from_be_bytes([a, b])),
        _ => Err(FrameError::Short),
    }
}

pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, FrameError> {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(FrameError::Short),
    }
}

/// Writes `value` at `at`; outside of `bytes` nothing happens (callers hold a checked [`Layout`]).
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at + value.len()) {
        to.copy_from_slice(value);
    }
}

/// Clears and sets bits of one byte.
pub fn put_bits(bytes: &mut [u8], at: usize, keep: u8, set: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = (*byte & keep) | set;
    }
}
