//! TCP inside VXLAN inside UDP (RFC 7348): where the headers stand, and whose tunnels end at this node.
//!
//! ```text
//! Ethernet (14) | IPv4 (20) or IPv6 (40) | UDP (8) | VXLAN (8) | Ethernet (14) | IPv4 (20) or IPv6 (40) | TCP (20-60) | payload
//! ```
//! What has VLAN tags, IPv4 options, IPv6 extension headers or fragments in it is of another shape: Linux joins none of it either
//! (`inet_gro_receive`, `ipv6_gro_receive`).

use std::net::IpAddr;

use super::checksum;
use super::headers::{u16_at, u8_at, Network, ETHERTYPE_IPV4, ETHERTYPE_IPV6, TCP, UDP};
use crate::wire::Mac;

pub const ETHERNET: usize = 14;
pub const UDP_HEADER: usize = 8;
pub const VXLAN_HEADER: usize = 8;
/// Only the flag that says there is a network number: Linux joins no other kind by GRO where checksums are left to the receiver, and
/// with other flags (RFC 7348 knows none, the generic protocol extension does) what follows need not be Ethernet.
pub const VXLAN_FLAGS: [u8; 4] = [0x08, 0, 0, 0];

/// The VXLAN tunnels that end in this node's kernel. Frames of others are not joined: a socket of a program would get the many datagrams as
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The MAC by which the node is reached on the overlay.
    pub mac: Mac,
    /// UDP ports that VXLAN links listen at, by the family of their sockets.
    pub ports: Vec<(Network, u16)>,
    /// The node's own addresses.
    pub addresses: Vec<IpAddr>,
}

impl Ends {
    fn has(&self, frame: &[u8], family: Network, port: u16) -> bool {
        self.ports.contains(&(family, port)) && frame.starts_with(&self.mac.0) && {
            let to = match family {
                Network::Ipv4 => frame.get(30..34).and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(IpAddr::from),
                Network::Ipv6 => frame.get(38..54).and_then(|ip| <[u8; 16]>::try_from(ip).ok()).map(IpAddr::from),
            };
            to.is_some_and(|to| self.addresses.contains(&to))
        }
    }
}

/// An IP header without options or extension headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    pub family: Network,
    pub at: usize,
}

impl Ip {
    pub fn end(self) -> usize {
        self.at
            + match self.family {
                Network::Ipv4 => 20,
                Network::Ipv6 => 40,
            }
    }

    /// Source and destination address as they stand in the header.
    pub fn addresses(self, frame: &[u8]) -> &[u8] {
        let from = match self.family {
            Network::Ipv4 => self.at + 12,
            Network::Ipv6 => self.at + 8,
        };
        frame.get(from..self.end()).unwrap_or(&[])
    }

    /// The header whose ethertype stands at `at`, if it is one of this kind, of an unfragmented packet of `protocol` that ends where the
    /// frame does.
    fn parse(frame: &[u8], at: usize, protocol: u8) -> Option<Self> {
        let ethertype = u16_at(frame, at).ok()?;
        let at = at + 2;
        let bytes = frame.len().checked_sub(at)?;
        match ethertype {
            ETHERTYPE_IPV4 => {
                let plain = u8_at(frame, at).ok()? == 0x45
                    && u8_at(frame, at + 9).ok()? == protocol
                    && usize::from(u16_at(frame, at + 2).ok()?) == bytes
                    // All but "don't fragment" (RFC 791 §3.1).
                    && u16_at(frame, at + 6).ok()? & !0x4000 == 0;
                plain.then_some(Self { family: Network::Ipv4, at })
            }
            ETHERTYPE_IPV6 => {
                let plain = u8_at(frame, at).ok()? >> 4 == 6
                    && u8_at(frame, at + 6).ok()? == protocol
                    && usize::from(u16_at(frame, at + 4).ok()?) + 40 == bytes;
                plain.then_some(Self { family: Network::Ipv6, at })
            }
            _ => None,
        }
    }

    /// Whether the header's own checksum is right, where it has one. The second form of zero, 0xffff, is right too but nobody computes it
    /// (RFC 1624 §3): made anew it would be another.
    pub fn is_valid(self, frame: &[u8]) -> bool {
        self.family == Network::Ipv6
            || (u16_at(frame, self.at + 10) != Ok(0xffff)
                && frame.get(self.at..self.end()).is_some_and(|header| checksum::sum(header, 0) == 0xffff))
    }

    /// Whether the TCP checksum behind this header is right, in the form that is computed.
    pub fn tcp_is_valid(self, frame: &[u8]) -> bool {
        u16_at(frame, self.end() + 16) != Ok(0xffff) && self.transport_is_valid(frame, TCP)
    }

    /// Whether the TCP or UDP checksum of what is behind the header is right; for UDP one of 0, which is none, is not.
    pub fn transport_is_valid(self, frame: &[u8], protocol: u8) -> bool {
        let Some(segment) = frame.get(self.end()..) else { return false };
        checksum::sum(segment, checksum::pseudo(self.addresses(frame), protocol, segment.len())) == 0xffff
    }
}

/// Where the headers of one frame stand, all within the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub outer: Ip,
    pub inner: Ip,
    /// Where the TCP payload begins, of which there is at least a byte.
    pub payload: usize,
}

impl Shape {
    /// None for whatever is not joined.
    pub fn of(frame: &[u8], ends: &Ends) -> Option<Self> {
        let outer = Ip::parse(frame, ETHERNET - 2, UDP)?;
        let udp = outer.end();
        if !ends.has(frame, outer.family, u16_at(frame, udp + 2).ok()?) {
            return None;
        }
        let vxlan = udp + UDP_HEADER;
        let inside = vxlan + VXLAN_HEADER;
        if usize::from(u16_at(frame, udp + 4).ok()?) != frame.len() - udp
            || frame.get(vxlan..vxlan + 4)? != VXLAN_FLAGS
            || u8_at(frame, vxlan + 7).ok()? != 0
        {
            return None;
        }
        let inner = Ip::parse(frame, inside + ETHERNET - 2, TCP)?;
        let options = usize::from(u8_at(frame, inner.end() + 12).ok()? >> 4) * 4;
        let payload = inner.end() + options;
        (options >= 20 && payload < frame.len()).then_some(Self { outer, inner, payload })
    }

    pub fn udp(&self) -> usize {
        self.outer.end()
    }

    pub fn tcp(&self) -> usize {
        self.inner.end()
    }
}
