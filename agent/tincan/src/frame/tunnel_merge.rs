//! Joins TCP segments inside VXLAN, for kernels that take super-frames of UDP tunnels from a tap.
//!
//! The kernel cuts such a super-frame before the tap where its way leads over a bridge (a bridge has no `hw_enc_features` for it), and
//! each frame comes with its checksum inside. What is joined is handed on with that checksum left to be computed, and what would be
//! wrong is made right so; therefore **every checksum of every frame is verified here before it joins**, those of both IP headers too.
//! A frame in which one is wrong passes as it came, for the kernel to drop.
//!
//! Otherwise the rules are those of Linux' GRO (`tcp_gro_receive`, `inet_gro_receive`, `vxlan_gro_receive`): all headers are the same byte
//! by byte, from the outer MACs to the TCP options, but for lengths, checksums, FIN, PSH and CWR, the next sequence number and, in both IPv4
//! headers, the next identification. Linux takes equal identifications as well where fragments are forbidden; here they stand alone, since
//! a kernel that cuts the super-frame again counts them up. Only frames that follow each other join: nothing is reordered.

use std::sync::Arc;

use super::checksum;
use super::headers::{put, put_bits, u16_at, u32_at, u8_at, Network, TCP, UDP};
use super::merge::{Delivery, MAX_MERGED, PACKET_MAX, TCP_CWR, TCP_FIN, TCP_MERGEABLE, TCP_PSH};
use super::tunnel::{Ends, Ip, Shape, ETHERNET};
use super::vnet::{
    Vnet, GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_TUNNEL_IPV4, GSO_TUNNEL_IPV6, NEEDS_CSUM, TUNNEL_CSUM, VNET_BYTES,
};
use super::PARTIAL;

/// The longest headers of a [`Shape`]: IPv6 in IPv6 and TCP with all options.
const HEADERS_MAX: usize = 2 * (ETHERNET + 40) + 16 + 60;

/// What the outer UDP checksum is; the same for all that join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outer {
    /// 0: there is none (RFC 768; RFC 6935 for IPv6).
    Absent,
    /// Right, or not computed yet. Either way each segment will have its own.
    Present,
}

/// Frames that are being joined. It borrows the opened plaintexts as [`super::Merger`] does, which flushes it in time.
pub struct TunnelMerger<'a> {
    ends: Arc<Ends>,
    payload: [&'a [u8]; MAX_MERGED],
    /// 0: there is none.
    parts: usize,
    payload_bytes: usize,
    from: u64,
    /// The first frame, and the flags of its record.
    frame: &'a [u8],
    flags: u8,
    shape: Shape,
    outer: Outer,
    /// FIN and PSH of the last.
    ends_with: u8,
    closed: bool,
}

impl<'a> TunnelMerger<'a> {
    pub fn new(ends: Arc<Ends>) -> Self {
        let nowhere = Ip { family: Network::Ipv4, at: 0 };
        Self {
            ends,
            payload: [&[]; MAX_MERGED],
            parts: 0,
            payload_bytes: 0,
            from: 0,
            frame: &[],
            flags: 0,
            shape: Shape { outer: nowhere, inner: nowhere, payload: 0 },
            outer: Outer::Absent,
            ends_with: 0,
            closed: false,
        }
    }

    /// Begins with this frame if others may follow it; false: it is none of these. There must be none being joined.
    pub fn start(&mut self, from: u64, flags: u8, frame: &'a [u8]) -> bool {
        let Some(shape) = Shape::of(frame, &self.ends) else { return false };
        let tcp_flags = u8_at(frame, shape.tcp() + 13).unwrap_or(0xff);
        if tcp_flags & !(TCP_MERGEABLE & !(TCP_FIN | TCP_PSH)) != 0 {
            return false;
        }
        let Some(payload) = frame.get(shape.payload..) else { return false };
        (self.from, self.flags, self.frame, self.shape) = (from, flags, frame, shape);
        self.ends_with = 0;
        self.closed = false;
        self.parts = 0;
        self.payload_bytes = 0;
        self.hold(payload);
        true
    }

    /// Adds the next segment if it is one; false leaves everything as it was.
    pub fn join(&mut self, from: u64, flags: u8, frame: &'a [u8]) -> bool {
        let first = self.payload.first().map_or(0, |part| part.len());
        if self.parts == 0 || self.closed || self.parts >= MAX_MERGED || (from, flags) != (self.from, self.flags) {
            return false;
        }
        let Some(payload) = frame.get(self.shape.payload..) else { return false };
        let outgrown = self.frame.len() + self.payload_bytes - first + payload.len() - ETHERNET > PACKET_MAX;
        if payload.is_empty() || payload.len() > first || outgrown {
            return false;
        }
        let Some(tcp_flags) = self.same_headers(frame) else { return false };
        let Some(outer) = checked(frame, &self.shape, flags) else { return false };
        if self.parts == 1 {
            match checked(self.frame, &self.shape, self.flags) {
                Some(first) => self.outer = first,
                None => self.closed = true,
            }
        }
        if self.closed || outer != self.outer {
            return false;
        }
        self.ends_with = tcp_flags & (TCP_FIN | TCP_PSH);
        // Only the last segment may be short, and FIN and PSH are the last one's.
        self.closed = payload.len() < first || self.ends_with != 0;
        self.hold(payload);
        true
    }

    fn hold(&mut self, payload: &'a [u8]) {
        if let Some(slot) = self.payload.get_mut(self.parts) {
            *slot = payload;
            self.parts += 1;
            self.payload_bytes += payload.len();
        }
    }

    /// The TCP flags of a frame whose headers are those of the next segment.
    fn same_headers(&self, frame: &[u8]) -> Option<u8> {
        let Shape { outer, inner, payload } = self.shape;
        let first = self.frame;
        let same = |from: usize, to: usize| first.get(from..to) == frame.get(from..to);
        let ip_same = |ip: Ip| -> Option<bool> {
            let bytes = frame.len() - ip.at;
            Some(match ip.family {
                Network::Ipv4 => {
                    let next = u16_at(first, ip.at + 4).ok()?.wrapping_add(self.parts as u16);
                    same(ip.at, ip.at + 2)
                        && usize::from(u16_at(frame, ip.at + 2).ok()?) == bytes
                        && u16_at(frame, ip.at + 4).ok()? == next
                        && same(ip.at + 6, ip.at + 10)
                        && same(ip.at + 12, ip.end())
                }
                Network::Ipv6 => {
                    same(ip.at, ip.at + 4)
                        && usize::from(u16_at(frame, ip.at + 4).ok()?) + 40 == bytes
                        && same(ip.at + 6, ip.end())
                }
            })
        };
        let (udp, tcp) = (self.shape.udp(), self.shape.tcp());
        let sequence = u32_at(first, tcp + 4).ok()?.wrapping_add(self.payload_bytes as u32);
        let (had, has) = (u8_at(first, tcp + 13).ok()?, u8_at(frame, tcp + 13).ok()?);
        let joins = same(0, outer.at)
            && ip_same(outer)?
            && same(udp, udp + 4)
            && usize::from(u16_at(frame, udp + 4).ok()?) == frame.len() - udp
            && same(udp + 8, inner.at)
            && ip_same(inner)?
            && same(tcp, tcp + 4)
            && u32_at(frame, tcp + 4).ok()? == sequence
            && same(tcp + 8, tcp + 13)
            && has & !(TCP_FIN | TCP_PSH) == had & !TCP_CWR
            && same(tcp + 14, tcp + 16)
            && same(tcp + 18, payload);
        joins.then_some(has)
    }

    /// Hands on what is joined; a frame that stayed alone is given back, with the flags of its record: it is delivered as it came.
    pub fn flush(&mut self, sink: &mut impl FnMut(&Delivery<'_>)) -> Option<(u64, u8, &'a [u8])> {
        let parts = std::mem::take(&mut self.parts);
        if parts <= 1 {
            return (parts == 1).then_some((self.from, self.flags, self.frame));
        }
        let mut head = [0; VNET_BYTES + HEADERS_MAX];
        if let Some(bytes) = self.write_super_frame(&mut head) {
            let payload = self.payload.get(..parts).unwrap_or(&[]);
            sink(&Delivery { from: self.from, head: head.get(..bytes).unwrap_or(&[]), payload });
        }
        None
    }

    /// Virtio-net header and headers of all of them; answers how long both are.
    fn write_super_frame(&self, head: &mut [u8]) -> Option<usize> {
        let Shape { outer, inner, payload } = self.shape;
        let (vnet_head, rest) = head.split_at_mut_checked(VNET_BYTES)?;
        let headers = rest.get_mut(..payload)?;
        headers.copy_from_slice(self.frame.get(..payload)?);
        let whole = payload + self.payload_bytes;
        for ip in [outer, inner] {
            put_length(headers, ip, ip.end(), whole);
        }
        let (udp, tcp) = (self.shape.udp(), self.shape.tcp());
        put(headers, udp + 4, &((whole - udp) as u16).to_be_bytes());
        let outside = checksum::pseudo(outer.addresses(headers), UDP, whole - udp);
        put(headers, udp + 6, &if self.outer == Outer::Present { outside } else { 0 }.to_be_bytes());
        let inside = checksum::pseudo(inner.addresses(headers), TCP, whole - tcp);
        put(headers, tcp + 16, &inside.to_be_bytes());
        put_bits(headers, tcp + 13, 0xff, self.ends_with);
        let ecn = if u8_at(headers, tcp + 13).ok()? & TCP_CWR != 0 { GSO_ECN } else { 0 };
        let by_family = |ip: Ip, v4: u8, v6: u8| if ip.family == Network::Ipv4 { v4 } else { v6 };
        let vnet = Vnet {
            flags: NEEDS_CSUM | if self.outer == Outer::Present { TUNNEL_CSUM } else { 0 },
            gso_type: ecn | by_family(inner, GSO_TCPV4, GSO_TCPV6) | by_family(outer, GSO_TUNNEL_IPV4, GSO_TUNNEL_IPV6),
            hdr_len: payload as u16,
            gso_size: self.payload.first()?.len() as u16,
            csum_start: tcp as u16,
            csum_offset: 16,
            outer_transport: udp as u16,
            inner_network: inner.at as u16,
        };
        put(vnet_head, 0, &vnet.emit());
        Some(VNET_BYTES + payload)
    }
}

/// Length field and, for IPv4, checksum of a header that ends at `end`, in a frame of `whole` bytes.
pub fn put_length(headers: &mut [u8], ip: Ip, end: usize, whole: usize) {
    match ip.family {
        Network::Ipv4 => {
            put(headers, ip.at + 2, &((whole - ip.at) as u16).to_be_bytes());
            let sum = checksum::ipv4_header(headers.get(ip.at..end).unwrap_or(&[]));
            put(headers, ip.at + 10, &sum.to_be_bytes());
        }
        Network::Ipv6 => put(headers, ip.at + 4, &((whole - ip.at - 40) as u16).to_be_bytes()),
    }
}

/// What the outer UDP checksum is, if no checksum is wrong.
fn checked(frame: &[u8], shape: &Shape, flags: u8) -> Option<Outer> {
    let Shape { outer, inner, .. } = *shape;
    if !outer.is_valid(frame) || !inner.is_valid(frame) || !inner.tcp_is_valid(frame) {
        return None;
    }
    match u16_at(frame, shape.udp() + 6).ok()? {
        // Its content is without meaning (docs/wire.md §6.1).
        _ if flags & PARTIAL != 0 => Some(Outer::Present),
        0 => Some(Outer::Absent),
        _ => outer.transport_is_valid(frame, UDP).then_some(Outer::Present),
    }
}
