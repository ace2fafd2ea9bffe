//! Ethernet frames on their way between the tap and the records.
//!
//! The tap hands over TCP *super-frames* of up to 64 KB with a virtio-net header. [`segment`] cuts them into whole
//! frames, one a record; [`Merger`] joins what arrives back into super-frames (docs/wire.md §6.1). No TCP or UDP checksum
//! is computed on either side: the AEAD tag of the record is the integrity check and the kernel is told `NEEDS_CSUM`.
//!
//! Segments of TCP inside VXLAN, which the kernel cuts and finishes before the tap where its way leads over a bridge, are joined too, for a
//! kernel that takes super-frames of UDP tunnels from a tap (Linux 6.17): those have checksums, which are verified before ([`tunnel_merge`]).
//!
//! Everything here is pure and takes hostile bytes: it answers [`FrameError`] and never panics.

pub mod checksum;
mod datagram;
mod headers;
mod merge;
mod segment;
mod sender;
mod tagged;
mod tunnel;
mod tunnel_merge;
mod tunnel_segment;
mod vnet;

#[cfg(test)]
mod builder;
#[cfg(test)]
mod hostile_test;
#[cfg(test)]
mod inverse_test;
#[cfg(test)]
mod tunnel_test;

pub use datagram::datagram_sources;
pub use headers::{Layout, Network};
pub use merge::{Delivery, Merger, MAX_MERGED};
pub use segment::segment;
pub use sender::sender_addresses;
pub use tagged::Tagged;
pub use tunnel::Ends;
pub use vnet::{parse_tap, TapFrame, Vnet, VNET_BYTES};

/// Record flag: the TCP or UDP checksum of this frame is not computed (docs/wire.md §6.1).
pub const PARTIAL: u8 = 1;
/// Record flag: this frame is the next segment of the super-frame in the record before (docs/wire.md §6.1).
pub const CONTINUES: u8 = 2;

/// The longest run of headers that is rewritten: Ethernet, two VLAN tags, IPv6 with extension headers and TCP with options
/// fit with room to spare; a frame with more is refused rather than copied.
pub const HEAD_MAX: usize = 512;

/// The longest frame that anybody's tap gives: the largest MTU of an overlay (docs/wire.md §2), the Ethernet header and two VLAN tags.
/// A peer's may be longer than this node's own MTU, while a new one is on its way through the overlay.
pub const FRAME_MAX: usize = 9_000 + 14 + 2 * 4;

/// Why a frame was dropped; every kind is a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// It ends inside a header.
    Short,
    /// A length inside the frame contradicts the frame.
    Length,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// A checksum or super-frame was asked for where only TCP and UDP have one (fragments, routing headers).
    NotTransport,
    /// The virtio-net header contradicts the frame.
    Offsets,
    /// A kind of super-frame that was never negotiated.
    GsoType,
    /// The headers are longer than [`HEAD_MAX`], or leave no room for payload in a record.
    HeadersTooLong,
    /// A record flag that does not exist.
    Flags,
    /// A peer's frame is longer than [`FRAME_MAX`].
    TooLong,
}

impl FrameError {
    /// The name of the counter.
    pub const fn counter(self) -> &'static str {
        match self {
            Self::Short => "frameShort",
            Self::Length => "frameLength",
            Self::NotIp => "frameNotIp",
            Self::NotTransport => "frameNotTransport",
            Self::Offsets => "frameOffsets",
            Self::GsoType => "frameGsoType",
            Self::HeadersTooLong => "frameHeadersTooLong",
            Self::Flags => "frameFlags",
            Self::TooLong => "frameTooLong",
        }
    }
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Short => "the frame ends inside a header",
            Self::Length => "a length field contradicts the frame",
            Self::NotIp => "neither IPv4 nor IPv6",
            Self::NotTransport => "no TCP or UDP header to finish",
            Self::Offsets => "the virtio-net header contradicts the frame",
            Self::GsoType => "a super-frame of a kind that was not negotiated",
            Self::HeadersTooLong => "headers too long",
            Self::Flags => "unknown record flags",
            Self::TooLong => "the frame is longer than any MTU allows",
        })
    }
}

impl std::error::Error for FrameError {}
