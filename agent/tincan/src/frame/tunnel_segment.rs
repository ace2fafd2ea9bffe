//! Cuts a TCP super-frame inside a UDP tunnel (VXLAN, Geneve), as a tap gives it that has no bridge above, or one of a kernel that lets it through.
//!
//! A record has only one checksum that is not computed, the outermost: those inside are computed here, over bytes that are copied into a
//! record next.

use super::checksum;
use super::headers::{put, put_bits, u16_at, u32_at, u8_at, Layout, Network, UDP};
use super::merge::{TCP_CWR, TCP_FIN, TCP_PSH};
use super::tunnel::Ip;
use super::tunnel_merge::put_length;
use super::vnet::{TapFrame, GSO_TCPV4, GSO_TCPV6, TUNNEL_CSUM};
use super::{FrameError, HEAD_MAX, PARTIAL};

/// As [`super::segment`]; `outer` is the family that the virtio-net header says the tunnel has.
pub fn segment(
    tap: &TapFrame<'_>,
    outer: Network,
    max_frame: usize,
    mut out: impl FnMut(u8, &[u8], &[u8]),
) -> Result<usize, FrameError> {
    let TapFrame { vnet, frame } = tap;
    let parts = Parts::of(tap, outer)?;
    let (headers, payload) = frame.split_at_checked(parts.payload).ok_or(FrameError::Length)?;
    let mut head = [0u8; HEAD_MAX];
    let head = head.get_mut(..headers.len()).ok_or(FrameError::HeadersTooLong)?;
    head.copy_from_slice(headers);
    // A segment is an IP packet by itself: its length must fit the length field.
    let largest = usize::from(u16::MAX).saturating_sub(headers.len() - parts.outer.at);
    let size = usize::from(vnet.gso_size).min(max_frame.saturating_sub(headers.len())).min(largest);
    if size == 0 {
        return Err(FrameError::HeadersTooLong);
    }
    let sequence = u32_at(frame, parts.tcp + 4)?;
    let tcp_flags = u8_at(frame, parts.tcp + 13)?;
    let constant = {
        let length = checksum::fold((frame.len() - parts.tcp) as u64);
        checksum::fold(u64::from(u16_at(frame, parts.tcp + 16)?) + u64::from(!length))
    };
    let count = payload.len().div_ceil(size).max(1);
    for index in 0..count {
        let offset = index * size;
        let piece = payload.get(offset..payload.len().min(offset + size)).unwrap_or(&[]);
        let whole = headers.len() + piece.len();
        for (ip, end) in [(parts.outer, parts.udp), (parts.inner, parts.tcp)] {
            if ip.family == Network::Ipv4 {
                let identification = u16_at(frame, ip.at + 4)?.wrapping_add(index as u16);
                put(head, ip.at + 4, &identification.to_be_bytes());
            }
            put_length(head, ip, end, whole);
        }
        put(head, parts.udp + 4, &((whole - parts.udp) as u16).to_be_bytes());
        put(head, parts.udp + 6, &[0; 2]);
        put(head, parts.tcp + 4, &sequence.wrapping_add(offset as u32).to_be_bytes());
        // FIN and PSH are the last segment's, CWR is the first one's (RFC 3168 §6.1.2), as Linux's tcp_gso_segment has it.
        let mut keep = 0xff;
        if index + 1 != count {
            keep &= !(TCP_FIN | TCP_PSH);
        }
        if index != 0 {
            keep &= !TCP_CWR;
        }
        put_bits(head, parts.tcp + 13, 0, tcp_flags & keep);
        // The field has the sum of the pseudo header with the whole length: as the kernel does, only the length is exchanged in it, since
        // behind a routing header its addresses are others than those to be seen here.
        let pseudo = checksum::fold(u64::from(constant) + (whole - parts.tcp) as u64);
        put(head, parts.tcp + 16, &pseudo.to_be_bytes());
        // The TCP header has an even length: what is behind it can be added to its sum.
        let sum = checksum::sum(piece, checksum::sum(head.get(parts.tcp..).unwrap_or(&[]), 0));
        put(head, parts.tcp + 16, &(!sum).to_be_bytes());
        out(if vnet.flags & TUNNEL_CSUM != 0 { PARTIAL } else { 0 }, head, piece);
    }
    Ok(count)
}

/// Where the headers stand: `outer.end() <= udp`, and so on downwards.
struct Parts {
    outer: Ip,
    udp: usize,
    inner: Ip,
    tcp: usize,
    payload: usize,
}

impl Parts {
    fn of(tap: &TapFrame<'_>, family: Network) -> Result<Self, FrameError> {
        let TapFrame { vnet, frame } = tap;
        let layout = Layout::parse_super(frame)?;
        let inside = match vnet.gso() {
            GSO_TCPV4 => Network::Ipv4,
            GSO_TCPV6 => Network::Ipv6,
            _ => return Err(FrameError::GsoType),
        };
        let udp = layout.transport;
        // Some kernels count the offsets without a VLAN tag that they have put into the frame themselves.
        let tag = udp.checked_sub(usize::from(vnet.outer_transport)).ok_or(FrameError::Offsets)?;
        let inner = Ip { family: inside, at: usize::from(vnet.inner_network) + tag };
        let tcp = usize::from(vnet.csum_start);
        let version = u8_at(frame, inner.at)? >> 4;
        let fits = layout.family == family
            && layout.protocol == UDP
            && !layout.fragment
            && layout.network + if family == Network::Ipv4 { 20 } else { 40 } <= udp
            && matches!(tag, 0 | 4)
            && inner.at >= udp + 8
            && version == if inside == Network::Ipv4 { 4 } else { 6 }
            && u8_at(frame, layout.network)? >> 4 == if family == Network::Ipv4 { 4 } else { 6 };
        if !fits || !vnet.needs_csum() || vnet.csum_offset != 16 || vnet.gso_size == 0 || tcp < inner.end() {
            return Err(FrameError::Offsets);
        }
        let length = usize::from(u8_at(frame, tcp + 12)? >> 4) * 4;
        if length < 20 || tcp + length > frame.len() {
            return Err(FrameError::Length);
        }
        Ok(Self { outer: Ip { family, at: layout.network }, udp, inner, tcp, payload: tcp + length })
    }
}
