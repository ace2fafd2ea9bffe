//! Joins the segments of a TCP super-frame again, so that the tap and the stack above it are entered once for all of them.
//!
//! The payloads stay where the records were opened; only the headers are copied and rewritten. What a peer claims is
//! verified: a frame joins when its headers are those of the frame before, byte by byte, but for the lengths, the next
//! identification, the next sequence number, the flags FIN and PSH, and the checksums. Anything else stands alone.

use std::sync::Arc;

use super::checksum;
use super::headers::{put, put_bits, u16_at, u32_at, u8_at, Layout, Network, Transport, TCP};
use super::tunnel::Ends;
use super::tunnel_merge::TunnelMerger;
use super::vnet::{Vnet, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VNET_BYTES};
use super::{FrameError, CONTINUES, FRAME_MAX, HEAD_MAX, PARTIAL};

/// Segments in one super-frame, at most: 64 KB in segments of 536 bytes (RFC 9293 §3.7.1) are 123.
pub const MAX_MERGED: usize = 128;
/// A packet's length field ends here; a super-frame is one packet.
pub(super) const PACKET_MAX: usize = u16::MAX as usize;

pub(super) const TCP_FIN: u8 = 0x01;
pub(super) const TCP_PSH: u8 = 0x08;
pub(super) const TCP_CWR: u8 = 0x80;
/// Flags that a merged segment may have: FIN, PSH, ACK, ECE and CWR. SYN, RST and URG stand alone.
pub(super) const TCP_MERGEABLE: u8 = TCP_FIN | TCP_PSH | TCP_CWR | 0x10 | 0x40;

/// One frame or super-frame, ready for the tap: `head` and then every part of `payload`.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'d> {
    /// What the caller gave with the first segment (the session, the source).
    pub from: u64,
    /// The virtio-net header, and behind it the headers of the frame where they had to be rewritten.
    pub head: &'d [u8],
    pub payload: &'d [&'d [u8]],
}

impl Delivery<'_> {
    /// The first bytes of the Ethernet frame: at least its headers up to TCP or UDP, for the switch to look at.
    pub fn headers(&self) -> &[u8] {
        match self.head.get(VNET_BYTES..) {
            Some(headers) if !headers.is_empty() => headers,
            _ => self.payload.first().copied().unwrap_or(&[]),
        }
    }

    /// Length of the frame without the virtio-net header.
    pub fn frame_bytes(&self) -> usize {
        self.head.len().saturating_sub(VNET_BYTES) + self.payload.iter().map(|part| part.len()).sum::<usize>()
    }

    /// A super-frame inside a tunnel.
    pub fn is_tunnel(&self) -> bool {
        self.head.first_chunk().is_some_and(|head| Vnet::parse(head).outer_transport > 0)
    }

    /// Virtio-net header and frame, in pieces.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.head).chain(self.payload.iter().copied())
    }

    /// Appends virtio-net header and frame to `to` in one piece, as a read of a tap would have given them.
    pub fn copy_to(&self, to: &mut Vec<u8>) {
        self.parts().for_each(|part| to.extend_from_slice(part));
    }
}

/// Merges frames in the order their records were opened.
///
/// It borrows the opened plaintexts, so it lives as long as a batch of them: make one per batch, push every frame, flush.
/// Nothing is held back for longer than that.
pub struct Merger<'a> {
    /// The super-frame being built; `parts == 0` when there is none.
    head: [u8; VNET_BYTES + HEAD_MAX],
    head_bytes: usize,
    payload: [&'a [u8]; MAX_MERGED],
    parts: usize,
    payload_bytes: usize,
    from: u64,
    next_counter: u64,
    layout: Layout,
    closed: bool,
    /// Where the kernel takes super-frames of tunnels; boxed, since it is as large again.
    tunnels: Option<Box<TunnelMerger<'a>>>,
}

impl Default for Merger<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Merger<'a> {
    pub fn new() -> Self {
        Self {
            head: [0; VNET_BYTES + HEAD_MAX],
            head_bytes: 0,
            payload: [&[]; MAX_MERGED],
            parts: 0,
            payload_bytes: 0,
            from: 0,
            next_counter: 0,
            layout: Layout { family: Network::Ipv4, network: 0, protocol: 0, fragment: false, transport: 0, end: 0 },
            closed: false,
            tunnels: None,
        }
    }

    /// One that also joins what is inside the tunnels that end here; None: as [`Merger::new`].
    pub fn with_tunnels(ends: Option<&Arc<Ends>>) -> Self {
        Self { tunnels: ends.map(|ends| Box::new(TunnelMerger::new(ends.clone()))), ..Self::new() }
    }

    /// Takes the frame of one opened record: `from` names its session, `counter` and `flags` are the record's.
    ///
    /// `sink` gets whatever is complete now, in order. A frame in error is not delivered.
    pub fn push(
        &mut self,
        from: u64,
        counter: u64,
        flags: u8,
        frame: &'a [u8],
        sink: &mut impl FnMut(&Delivery<'_>),
    ) -> Result<(), FrameError> {
        if flags & !(PARTIAL | CONTINUES) != 0 {
            return Err(FrameError::Flags);
        }
        // The kernel would take up to 64 KB from a tap, whatever its MTU, and hand them to whoever is behind the bridge.
        if frame.len() > FRAME_MAX {
            return Err(FrameError::TooLong);
        }
        if flags == PARTIAL | CONTINUES && self.join(from, counter, frame) {
            return Ok(());
        }
        if flags & CONTINUES == 0 && self.tunnels.as_mut().is_some_and(|tunnels| tunnels.join(from, flags, frame)) {
            return Ok(());
        }
        self.flush(sink);
        if flags & CONTINUES == 0 && self.tunnels.as_mut().is_some_and(|tunnels| tunnels.start(from, flags, frame)) {
            return Ok(());
        }
        self.alone(from, counter, flags, frame, sink)
    }

    /// A frame that nothing waits for, but for the next segment.
    fn alone(
        &mut self,
        from: u64,
        counter: u64,
        flags: u8,
        frame: &'a [u8],
        sink: &mut impl FnMut(&Delivery<'_>),
    ) -> Result<(), FrameError> {
        if flags & PARTIAL == 0 {
            if frame.len() < 14 {
                return Err(FrameError::Short);
            }
            sink(&Delivery { from, head: &[0; VNET_BYTES], payload: &[frame] });
            return Ok(());
        }
        self.start(from, counter, frame)?;
        if self.closed {
            self.flush_plain(sink);
        }
        Ok(())
    }

    /// Delivers what is being built: call it at the end of every batch.
    pub fn flush(&mut self, sink: &mut impl FnMut(&Delivery<'_>)) {
        // Never are there frames of both kinds.
        self.flush_plain(sink);
        let stayed_alone = self.tunnels.as_mut().and_then(|tunnels| tunnels.flush(sink));
        if let Some((from, flags, frame)) = stayed_alone {
            // It is UDP, which nothing continues; its headers were parsed before, so there is no error.
            let _ = self.alone(from, 0, flags, frame, sink);
        }
    }

    fn flush_plain(&mut self, sink: &mut impl FnMut(&Delivery<'_>)) {
        if self.parts == 0 {
            return;
        }
        if self.parts > 1 {
            self.write_super_frame();
        }
        let head = self.head.get(..VNET_BYTES + self.head_bytes).unwrap_or(&[]);
        let payload = self.payload.get(..self.parts).unwrap_or(&[]);
        sink(&Delivery { from: self.from, head, payload });
        self.parts = 0;
    }

    /// Begins with a frame whose checksum is missing, so that it could be delivered as it is.
    fn start(&mut self, from: u64, counter: u64, frame: &'a [u8]) -> Result<(), FrameError> {
        let layout = Layout::parse(frame)?;
        let transport = layout.transport_header(frame)?;
        // Ethernet padding would take part in the checksum: it ends here.
        let packet = frame.get(..layout.end).ok_or(FrameError::Length)?;
        let (headers, payload) = packet.split_at_checked(transport.payload).ok_or(FrameError::Length)?;
        let head = self.head.get_mut(VNET_BYTES..VNET_BYTES + headers.len()).ok_or(FrameError::HeadersTooLong)?;
        head.copy_from_slice(headers);
        let pseudo = checksum::pseudo(layout.addresses(frame), layout.protocol, layout.end - layout.transport);
        put(head, transport.checksum, &pseudo.to_be_bytes());
        let vnet = Vnet {
            flags: NEEDS_CSUM,
            gso_type: GSO_NONE,
            hdr_len: 0,
            gso_size: 0,
            csum_start: layout.transport as u16,
            csum_offset: (transport.checksum - layout.transport) as u16,
            ..Vnet::default()
        };
        put(&mut self.head, 0, &vnet.emit());
        self.head_bytes = headers.len();
        self.hold(0, payload);
        self.parts = 1;
        self.payload_bytes = payload.len();
        self.from = from;
        self.next_counter = counter.wrapping_add(1);
        self.layout = layout;
        self.closed = !opens_super_frame(frame, &layout, &transport);
        Ok(())
    }

    /// Adds the next segment if it is one; false leaves everything as it was.
    fn join(&mut self, from: u64, counter: u64, frame: &'a [u8]) -> bool {
        let first = self.payload.first().map_or(0, |part| part.len());
        if self.parts == 0
            || self.closed
            || self.parts >= MAX_MERGED
            || (from, counter) != (self.from, self.next_counter)
        {
            return false;
        }
        let Some((headers, payload)) = frame.split_at_checked(self.head_bytes) else { return false };
        let packet = self.head_bytes - self.layout.network + self.payload_bytes + payload.len();
        if payload.is_empty() || payload.len() > first || packet > PACKET_MAX {
            return false;
        }
        let Some(flags) = self.same_headers(headers, payload.len()) else { return false };
        self.hold(self.parts, payload);
        self.parts += 1;
        self.payload_bytes += payload.len();
        self.next_counter = counter.wrapping_add(1);
        // Only the last segment may be short, and FIN and PSH are the last one's.
        self.closed = payload.len() < first || flags & (TCP_FIN | TCP_PSH) != 0;
        let flags_at = VNET_BYTES + self.layout.transport + 13;
        put_bits(&mut self.head, flags_at, 0xff, flags & (TCP_FIN | TCP_PSH));
        true
    }

    /// The TCP flags of `headers` if they are those of the next segment with `payload` bytes.
    ///
    /// The headers of the first frame are checked already; equal bytes have the same layout, so nothing is parsed again.
    fn same_headers(&self, headers: &[u8], payload: usize) -> Option<u8> {
        let first = self.head.get(VNET_BYTES..VNET_BYTES + self.head_bytes)?;
        let Layout { family, network, transport, .. } = self.layout;
        let same = |from: usize, to: usize| first.get(from..to) == headers.get(from..to);
        let packet = self.head_bytes - network + payload;
        let addresses_same = match family {
            // Behind the version and service bytes: length, identification, then from the fragment field to the protocol,
            // header checksum, addresses and options. The header checksum is made anew; the record's tag vouches for the rest.
            Network::Ipv4 => {
                usize::from(u16_at(headers, network + 2).ok()?) == packet
                    && u16_at(headers, network + 4).ok()?
                        == u16_at(first, network + 4).ok()?.wrapping_add(self.parts as u16)
                    && same(0, network + 2)
                    && same(network + 6, network + 10)
                    && same(network + 12, transport + 4)
            }
            // Payload length behind the flow label; then next header, hop limit, addresses and extension headers.
            Network::Ipv6 => {
                usize::from(u16_at(headers, network + 4).ok()?) + 40 == packet
                    && same(0, network + 4)
                    && same(network + 6, transport + 4)
            }
        };
        let sequence = u32_at(first, transport + 4).ok()?.wrapping_add(self.payload_bytes as u32);
        let (had, has) = (u8_at(first, transport + 13).ok()?, u8_at(headers, transport + 13).ok()?);
        let joins = addresses_same
            && u32_at(headers, transport + 4).ok()? == sequence
            && same(transport + 8, transport + 13)
            && has & !(TCP_FIN | TCP_PSH) == had & !(TCP_FIN | TCP_PSH | TCP_CWR)
            && same(transport + 14, transport + 16)
            && same(transport + 18, self.head_bytes);
        joins.then_some(has)
    }

    fn hold(&mut self, at: usize, payload: &'a [u8]) {
        if let Some(slot) = self.payload.get_mut(at) {
            *slot = payload;
        }
    }

    /// Makes the headers of the first segment those of all of them.
    fn write_super_frame(&mut self) {
        let Layout { family, network, transport, .. } = self.layout;
        let Some(head) = self.head.get_mut(VNET_BYTES..VNET_BYTES + self.head_bytes) else { return };
        let packet = self.head_bytes - network + self.payload_bytes;
        match family {
            Network::Ipv4 => {
                put(head, network + 2, &(packet as u16).to_be_bytes());
                let sum = checksum::ipv4_header(head.get(network..transport).unwrap_or(&[]));
                put(head, network + 10, &sum.to_be_bytes());
            }
            Network::Ipv6 => put(head, network + 4, &((packet - 40) as u16).to_be_bytes()),
        }
        let length = self.head_bytes - transport + self.payload_bytes;
        let pseudo = checksum::pseudo(self.layout.addresses(head), TCP, length);
        put(head, transport + 16, &pseudo.to_be_bytes());
        let ecn = if u8_at(head, transport + 13).unwrap_or(0) & TCP_CWR != 0 { GSO_ECN } else { 0 };
        let vnet = Vnet {
            flags: NEEDS_CSUM,
            gso_type: ecn | if family == Network::Ipv4 { GSO_TCPV4 } else { GSO_TCPV6 },
            hdr_len: self.head_bytes as u16,
            gso_size: self.payload.first().map_or(0, |part| part.len()) as u16,
            csum_start: transport as u16,
            csum_offset: 16,
            ..Vnet::default()
        };
        put(&mut self.head, 0, &vnet.emit());
    }
}

/// A frame to which the next segment may be added: TCP with payload, without flags that end it, and no packet to come that
/// the kernel could not cut again (a fragment is refused before).
fn opens_super_frame(frame: &[u8], layout: &Layout, transport: &Transport) -> bool {
    let flags = u8_at(frame, layout.transport + 13).unwrap_or(0xff);
    layout.protocol == TCP
        && layout.end > transport.payload
        && flags & !TCP_MERGEABLE == 0
        && flags & (TCP_FIN | TCP_PSH) == 0
}
