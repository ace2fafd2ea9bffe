//! The virtio-net header in front of every frame of a tap with `IFF_VNET_HDR` (virtio 1.2 §5.1.6, `linux/virtio_net.h`).
//!
//! ```text
//! flags (1) | gso_type (1) | hdr_len (2) | gso_size (2) | csum_start (2) | csum_offset (2)
//! num_buffers, hash_value, hash_report, padding (10, unused) | outer_th_offset (2) | inner_nh_offset (2)
//! ```
//! The second line is `virtio_net_hdr_v1_hash_tunnel`, which Linux has since 6.17. Older kernels take a header of that length too: they
//! pass over what they do not know when they read it, and leave anything there when they write it (TUNSETVNETHDRSZ), so it counts only
//! where `gso_type` speaks of a tunnel. The integers are in the machine's order: a tap speaks "legacy" virtio unless told otherwise
//! (TUNSETVNETLE); the two offsets are little-endian always.

use super::headers::Network;
use super::FrameError;

pub const VNET_BYTES: usize = 24;

/// The checksum from `csum_start` on is still to be computed and stored at `csum_start + csum_offset`.
pub const NEEDS_CSUM: u8 = 1;

/// The super-frame has a UDP header outside whose checksum is the pseudo header's sum, to be finished for each segment.
pub const TUNNEL_CSUM: u8 = 8;

pub const GSO_NONE: u8 = 0;
pub const GSO_TCPV4: u8 = 1;
pub const GSO_TCPV6: u8 = 4;
/// Datagrams of UDP, each but the last with `gso_size` bytes of payload (Linux 6.2).
pub const GSO_UDP_L4: u8 = 5;
/// Flag beside the type: the super-frame has CWR set, which belongs to its first segment only (RFC 3168 §6.1.2).
pub const GSO_ECN: u8 = 0x80;
/// Flags beside the type: the super-frame is inside a UDP tunnel (VXLAN), whose own packet is IPv4 or IPv6.
pub const GSO_TUNNEL_IPV4: u8 = 0x20;
pub const GSO_TUNNEL_IPV6: u8 = 0x40;
const GSO_TUNNEL: u8 = GSO_TUNNEL_IPV4 | GSO_TUNNEL_IPV6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vnet {
    pub flags: u8,
    pub gso_type: u8,
    pub hdr_len: u16,
    pub gso_size: u16,
    pub csum_start: u16,
    pub csum_offset: u16,
    /// Where the UDP header of the tunnel begins; 0 without one.
    pub outer_transport: u16,
    /// Where the IP header inside the tunnel begins; 0 without one.
    pub inner_network: u16,
}

impl Vnet {
    pub fn parse(bytes: &[u8; VNET_BYTES]) -> Self {
        let &[flags, gso_type, a, b, c, d, e, f, g, h, .., i, j, k, l] = bytes;
        let offsets = if gso_type & GSO_TUNNEL == 0 { [0; 4] } else { [i, j, k, l] };
        let [i, j, k, l] = offsets;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
            outer_transport: u16::from_le_bytes([i, j]),
            inner_network: u16::from_le_bytes([k, l]),
        }
    }

    pub fn emit(&self) -> [u8; VNET_BYTES] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        let [i, j] = self.outer_transport.to_le_bytes();
        let [k, l] = self.inner_network.to_le_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i, j, k, l]
    }

    pub fn needs_csum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }

    /// The kind of super-frame without the ECN flag and what is said of a tunnel.
    pub fn gso(&self) -> u8 {
        self.gso_type & !(GSO_ECN | GSO_TUNNEL)
    }

    /// Whether the super-frame is inside a UDP tunnel: by which family its packets go. An error where both are said.
    pub fn tunnel(&self) -> Result<Option<Network>, FrameError> {
        match self.gso_type & GSO_TUNNEL {
            0 => Ok(None),
            GSO_TUNNEL_IPV4 => Ok(Some(Network::Ipv4)),
            GSO_TUNNEL_IPV6 => Ok(Some(Network::Ipv6)),
            _ => Err(FrameError::GsoType),
        }
    }
}

/// What one read of the tap gave: a frame, or a super-frame, and what is left to do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapFrame<'a> {
    pub vnet: Vnet,
    pub frame: &'a [u8],
}

/// Splits what one read of the tap gave.
pub fn parse_tap(buffer: &[u8]) -> Result<TapFrame<'_>, FrameError> {
    let (head, frame) = buffer.split_first_chunk::<VNET_BYTES>().ok_or(FrameError::Short)?;
    if frame.len() < 14 {
        return Err(FrameError::Short);
    }
    Ok(TapFrame { vnet: Vnet::parse(head), frame })
}
