//! Cuts what the tap hands over into whole frames, one a record.
//!
//! Every segment repeats the headers, so a lost record costs one segment and nothing else. The payload is not copied here:
//! the caller gets the rewritten headers and a slice of the super-frame, and writes both into the record it seals.

use super::checksum;
use super::headers::{put, put_bits, u16_at, u32_at, u8_at, Layout, Network, Transport, TCP, UDP};
use super::vnet::{TapFrame, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4};
use super::{tunnel_segment, FrameError, CONTINUES, HEAD_MAX, PARTIAL};

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// Hands every frame of `tap` to `out(flags, head, payload)`: the frame is `head` followed by `payload`.
///
/// A super-frame inside a UDP tunnel gives frames that have all their checksums, but for the outermost. A TCP super-frame gives
/// segments of at most its `gso_size`, and of at most `max_frame` bytes of frame each; all but the last have one length. A lone TCP
/// frame above `max_frame` is cut too, if its checksum is not computed yet. A UDP super-frame gives the datagrams that were sent. Any
/// other frame comes out whole, however long: fragments (docs/wire.md §6.2) are the session's. Returns the number of frames.
pub fn segment(
    tap: &TapFrame<'_>,
    max_frame: usize,
    mut out: impl FnMut(u8, &[u8], &[u8]),
) -> Result<usize, FrameError> {
    let TapFrame { vnet, frame } = tap;
    if let Some(outer) = vnet.tunnel()? {
        return tunnel_segment::segment(tap, outer, max_frame, out);
    }
    match vnet.gso() {
        GSO_NONE if !vnet.needs_csum() => {
            out(0, frame, &[]);
            Ok(1)
        }
        GSO_NONE => match transport_checksum(tap) {
            Some((layout, transport)) if layout.protocol == TCP && frame.len() > max_frame => {
                split(frame, &layout, &transport, usize::MAX, max_frame, out)
            }
            Some(_) => {
                out(PARTIAL, frame, &[]);
                Ok(1)
            }
            None => finish(tap, out),
        },
        kind @ (GSO_TCPV4 | GSO_TCPV6) => {
            let layout = Layout::parse_super(frame)?;
            let transport = layout.transport_header(frame)?;
            let family = if kind == GSO_TCPV4 { Network::Ipv4 } else { Network::Ipv6 };
            if layout.protocol != TCP || layout.family != family || !vnet.needs_csum() || vnet.gso_size == 0 {
                return Err(FrameError::Offsets);
            }
            checked_offsets(tap, &layout, &transport)?;
            split(frame, &layout, &transport, usize::from(vnet.gso_size), max_frame, out)
        }
        GSO_UDP_L4 => {
            let layout = Layout::parse_super(frame)?;
            let transport = layout.transport_header(frame)?;
            if layout.protocol != UDP || !vnet.needs_csum() || vnet.gso_size == 0 {
                return Err(FrameError::Offsets);
            }
            checked_offsets(tap, &layout, &transport)?;
            split_datagrams(frame, &layout, &transport, usize::from(vnet.gso_size), out)
        }
        _ => Err(FrameError::GsoType),
    }
}

/// The layout of a frame whose missing checksum is its TCP or UDP checksum, exactly where we would look for it.
fn transport_checksum(tap: &TapFrame<'_>) -> Option<(Layout, Transport)> {
    let layout = Layout::parse(tap.frame).ok()?;
    let transport = layout.transport_header(tap.frame).ok()?;
    checked_offsets(tap, &layout, &transport).ok()?;
    // The checksum covers everything up to the end of the frame; with padding behind the packet it is not the transport's.
    (layout.end == tap.frame.len()).then_some((layout, transport))
}

fn checked_offsets(tap: &TapFrame<'_>, layout: &Layout, transport: &Transport) -> Result<(), FrameError> {
    let start = usize::from(tap.vnet.csum_start);
    if start != layout.transport || start + usize::from(tap.vnet.csum_offset) != transport.checksum {
        return Err(FrameError::Offsets);
    }
    Ok(())
}

/// A checksum the receiver could not place again (GRE, a packet behind a routing header): computed here.
fn finish(tap: &TapFrame<'_>, mut out: impl FnMut(u8, &[u8], &[u8])) -> Result<usize, FrameError> {
    let start = usize::from(tap.vnet.csum_start);
    let field = start + usize::from(tap.vnet.csum_offset);
    if field + 2 > HEAD_MAX {
        return Err(FrameError::HeadersTooLong);
    }
    let (head, rest) = tap.frame.split_at_checked(field + 2).ok_or(FrameError::Offsets)?;
    let covered = tap.frame.get(start..).ok_or(FrameError::Offsets)?;
    // The field holds the sum of the pseudo header and takes part in the sum (`linux/virtio_net.h`).
    let value = !checksum::sum(covered, 0);
    let mut copy = [0u8; HEAD_MAX];
    let copy = copied(head, &mut copy)?;
    // Zero would say "no checksum" in UDP; its other form means the same sum (RFC 768).
    put(copy, field, &if value == 0 { 0xffff } else { value }.to_be_bytes());
    out(0, copy, rest);
    Ok(1)
}

/// Headers that may be rewritten.
fn copied<'c>(headers: &[u8], copy: &'c mut [u8; HEAD_MAX]) -> Result<&'c mut [u8], FrameError> {
    let copy = copy.get_mut(..headers.len()).ok_or(FrameError::HeadersTooLong)?;
    copy.copy_from_slice(headers);
    Ok(copy)
}

fn split(
    frame: &[u8],
    layout: &Layout,
    transport: &Transport,
    gso_size: usize,
    max_frame: usize,
    mut out: impl FnMut(u8, &[u8], &[u8]),
) -> Result<usize, FrameError> {
    let (headers, payload) = frame.split_at_checked(transport.payload).ok_or(FrameError::Length)?;
    let mut copy = [0u8; HEAD_MAX];
    let head = copied(headers, &mut copy)?;
    // A segment is an IP packet by itself: its length must fit the length field.
    let largest = usize::from(u16::MAX).saturating_sub(headers.len() - layout.network);
    let size = gso_size.min(max_frame.saturating_sub(headers.len())).min(largest);
    if size == 0 {
        return Err(FrameError::HeadersTooLong);
    }
    let sequence = u32_at(frame, layout.transport + 4)?;
    let packets = Packets::of(head, layout)?;
    let flags_at = layout.transport + 13;
    let tcp_flags = u8_at(frame, flags_at)?;
    let count = payload.len().div_ceil(size).max(1);
    for index in 0..count {
        let offset = index * size;
        let piece = payload.get(offset..payload.len().min(offset + size)).unwrap_or(&[]);
        packets.put(head, index, piece.len());
        put(head, layout.transport + 4, &sequence.wrapping_add(offset as u32).to_be_bytes());
        // FIN and PSH are the last segment's, CWR is the first one's (RFC 3168 §6.1.2), as Linux's tcp_gso_segment has it.
        let mut keep = 0xff;
        if index + 1 != count {
            keep &= !(TCP_FIN | TCP_PSH);
        }
        if index != 0 {
            keep &= !TCP_CWR;
        }
        put_bits(head, flags_at, 0, tcp_flags & keep);
        out(if index == 0 { PARTIAL } else { PARTIAL | CONTINUES }, head, piece);
    }
    Ok(count)
}

/// The datagrams of one super-frame. Each is whole, so they are of the size that they were sent with, whatever the way takes.
fn split_datagrams(
    frame: &[u8],
    layout: &Layout,
    transport: &Transport,
    size: usize,
    mut out: impl FnMut(u8, &[u8], &[u8]),
) -> Result<usize, FrameError> {
    let (headers, payload) = frame.split_at_checked(transport.payload).ok_or(FrameError::Length)?;
    let mut copy = [0u8; HEAD_MAX];
    let head = copied(headers, &mut copy)?;
    if headers.len() - layout.network + size > usize::from(u16::MAX) {
        return Err(FrameError::Length);
    }
    let packets = Packets::of(head, layout)?;
    let count = payload.len().div_ceil(size).max(1);
    for index in 0..count {
        let offset = index * size;
        let piece = payload.get(offset..payload.len().min(offset + size)).unwrap_or(&[]);
        packets.put(head, index, piece.len());
        let length = headers.len() - layout.transport + piece.len();
        put(head, layout.transport + 4, &(length as u16).to_be_bytes());
        out(PARTIAL, head, piece);
    }
    Ok(count)
}

/// The IP headers of the pieces of one super-frame, which differ in length and identification.
struct Packets {
    family: Network,
    network: usize,
    identification: u16,
    /// The sum of what stays the same in an IPv4 header.
    constant: u16,
}

impl Packets {
    /// `head`: a copy of the headers, in which the fields are cleared.
    fn of(head: &mut [u8], layout: &Layout) -> Result<Self, FrameError> {
        let Layout { family, network, transport, .. } = *layout;
        let identification = u16_at(head, network + 4)?;
        let constant = match family {
            Network::Ipv4 => {
                put(head, network + 2, &[0; 4]);
                !checksum::ipv4_header(head.get(network..transport).unwrap_or(&[]))
            }
            Network::Ipv6 => 0,
        };
        Ok(Self { family, network, identification, constant })
    }

    /// The header of the piece with this number, of `payload` bytes behind `head`; the caller has checked that a packet can be so long.
    fn put(&self, head: &mut [u8], index: usize, payload: usize) {
        let Self { family, network, identification, constant } = *self;
        let packet = (head.len() - network + payload) as u16;
        match family {
            Network::Ipv4 => {
                let identification = identification.wrapping_add(index as u16);
                put(head, network + 2, &packet.to_be_bytes());
                put(head, network + 4, &identification.to_be_bytes());
                let sum = u32::from(constant) + u32::from(packet) + u32::from(identification);
                put(head, network + 10, &(!checksum::fold(u64::from(sum))).to_be_bytes());
            }
            Network::Ipv6 => put(head, network + 4, &(packet - 40).to_be_bytes()),
        }
    }
}
