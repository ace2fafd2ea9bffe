//! The virtio-net header in front of every frame of a tap with `IFF_VNET_HDR` (virtio 1.2 §5.1.6, `linux/virtio_net.h`).
//!
//! ```text
//! flags (1) | gso_type (1) | hdr_len (2) | gso_size (2) | csum_start (2) | csum_offset (2)
//! ```
//! The integers are in the machine's order: a tap speaks "legacy" virtio unless told otherwise (TUNSETVNETLE).

use super::FrameError;

pub const VNET_BYTES: usize = 10;

/// The checksum from `csum_start` on is still to be computed and stored at `csum_start + csum_offset`.
pub const NEEDS_CSUM: u8 = 1;

pub const GSO_NONE: u8 = 0;
pub const GSO_TCPV4: u8 = 1;
pub const GSO_TCPV6: u8 = 4;
/// Flag beside the type: the super-frame has CWR set, which belongs to its first segment only (RFC 3168 §6.1.2).
pub const GSO_ECN: u8 = 0x80;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vnet {
    pub flags: u8,
    pub gso_type: u8,
    pub hdr_len: u16,
    pub gso_size: u16,
    pub csum_start: u16,
    pub csum_offset: u16,
}

impl Vnet {
    pub fn parse(bytes: &[u8; VNET_BYTES]) -> Self {
        let &[flags, gso_type, a, b, c, d, e, f, g, h] = bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
        }
    }

    pub fn emit(&self) -> [u8; VNET_BYTES] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }

    pub fn needs_csum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }

    /// The kind of super-frame without the ECN flag.
    pub fn gso(&self) -> u8 {
        self.gso_type & !GSO_ECN
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
