//! Records to one destination that leave in one call.
//!
//! `UDP_SEGMENT` cuts one buffer into datagrams of one size, the last may be shorter. So a batch takes records of one size
//! until a shorter one closes it, and the sealing layer writes straight into it.

use std::net::SocketAddr;

/// Linux takes 64 segments in one call (128 since 6.9).
const RECORDS_MAX: usize = 64;
/// The payload of one UDP datagram before it is cut: 65,535 less the IPv4 and UDP headers.
const BYTES_MAX: usize = 65_507;

/// A frame above this begins a batch of its own: one that shares a batch is split over two.
pub const OWN_BATCH_BYTES: usize = BYTES_MAX / 2;

#[derive(Debug)]
pub struct Batch {
    buffer: Vec<u8>,
    to: Option<SocketAddr>,
    /// Bytes of the first record, and so of every one but the last.
    record: usize,
    used: usize,
    count: usize,
    /// A short record came: nothing may follow it.
    closed: bool,
    /// Records that left already, one by one, when the socket became full.
    sent: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    pub fn new() -> Self {
        // One byte more for the tail that some kernels need (`udp::batch_needs_tail`).
        Self { buffer: vec![0; BYTES_MAX + 1], to: None, record: 0, used: 0, count: 0, closed: false, sent: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn destination(&self) -> Option<SocketAddr> {
        self.to
    }

    /// Whether `slot` would give room for a record of `bytes` to `to`.
    pub fn fits(&self, to: SocketAddr, bytes: usize) -> bool {
        let joins = self.count == 0
            || (self.to == Some(to)
                && !self.closed
                && self.sent == 0
                && self.count < RECORDS_MAX
                && bytes <= self.record);
        joins && bytes > 0 && self.used + bytes <= BYTES_MAX
    }

    /// Room for a record of exactly `bytes` to `to`, which the caller fills. None: send what is here first.
    ///
    /// (None from an empty batch: no datagram is that large.)
    pub fn slot(&mut self, to: SocketAddr, bytes: usize) -> Option<&mut [u8]> {
        if !self.fits(to, bytes) {
            return None;
        }
        if self.count == 0 {
            self.to = Some(to);
            self.record = bytes;
        }
        self.closed = bytes < self.record;
        let start = self.used;
        self.used += bytes;
        self.count += 1;
        self.buffer.get_mut(start..start + bytes)
    }

    /// Takes the last slot back, when sealing into it failed.
    pub fn take_back(&mut self) {
        if self.count <= 1 {
            self.clear();
            return;
        }
        self.count -= 1;
        self.used = self.count * self.record;
        self.closed = false;
    }

    pub fn clear(&mut self) {
        (self.to, self.record, self.used, self.count, self.closed, self.sent) = (None, 0, 0, 0, false, 0);
    }

    pub fn record_bytes(&self) -> usize {
        self.record
    }

    pub(super) fn pending_records(&self) -> usize {
        self.count - self.sent
    }

    pub(super) fn is_partly_sent(&self) -> bool {
        self.sent > 0
    }

    /// All bytes of the batch, and one more where a batch of equal records needs a tail.
    pub(super) fn wire(&self, tail: bool) -> &[u8] {
        let tail = usize::from(tail && !self.closed);
        self.buffer.get(..self.used + tail).unwrap_or(&[])
    }

    pub(super) fn next_record(&self) -> Option<&[u8]> {
        let start = self.sent * self.record;
        (self.sent < self.count).then(|| self.buffer.get(start..self.used.min(start + self.record)))?
    }

    pub(super) fn record_sent(&mut self) {
        self.sent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn records_of_one_size_join_until_a_shorter_one_closes_the_batch() {
        let mut batch = Batch::new();
        assert!(batch.slot(to(1), 100).is_some());
        assert!(batch.slot(to(1), 101).is_none());
        assert!(batch.slot(to(2), 100).is_none());
        assert!(batch.slot(to(1), 100).is_some());
        assert!(batch.slot(to(1), 40).is_some());
        assert!(batch.slot(to(1), 40).is_none());
        assert_eq!(batch.wire(false).len(), 240);
        assert_eq!(batch.wire(true).len(), 240);
    }

    #[test]
    fn a_batch_ends_at_64_records_and_at_64_kilobytes() {
        let mut batch = Batch::new();
        assert_eq!((0..100).filter(|_| batch.slot(to(1), 10).is_some()).count(), 64);
        batch.clear();
        assert_eq!((0..100).filter(|_| batch.slot(to(1), 1400).is_some()).count(), 46);
        batch.clear();
        assert!(batch.slot(to(1), 65_508).is_none());
        assert!(batch.slot(to(1), 0).is_none());
    }

    #[test]
    fn a_slot_taken_back_leaves_the_batch_as_it_was() {
        let mut batch = Batch::new();
        batch.slot(to(1), 100);
        batch.slot(to(1), 30);
        batch.take_back();
        assert!(batch.slot(to(1), 100).is_some());
        assert_eq!(batch.wire(true).len(), 201);
        batch.take_back();
        batch.take_back();
        assert!(batch.is_empty());
        assert!(batch.slot(to(2), 7).is_some());
    }
}
