//! Record types (wire.md §4): the first byte tells what a datagram is.

pub const ROUTED: u8 = 0xc0;
pub const HANDSHAKE: u8 = 0xc1;
pub const COOKIE: u8 = 0xc2;
pub const FRAME: u8 = 0xc3;
pub const FRAGMENT: u8 = 0xc4;
pub const FLOOD: u8 = 0xc5;
pub const FLOOD_ACK: u8 = 0xc6;
pub const PROBE: u8 = 0xc7;
pub const CONTROL: u8 = 0xc8;
pub const NOTICE: u8 = 0xc9;

/// Types that a session seals: C3 to C8.
pub fn is_sealed(record_type: u8) -> bool {
    (FRAME..=CONTROL).contains(&record_type)
}
