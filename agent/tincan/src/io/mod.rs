//! The kernel: taps, the UDP socket, netlink. Thin adapters that decide nothing.

pub mod batch;
pub mod netlink;
pub mod nft;
pub mod poll;
pub mod stream;
pub mod tap;
pub mod udp;

#[cfg(test)]
mod testing;
