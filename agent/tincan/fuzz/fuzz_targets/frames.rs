//! What the tap hands over and what a peer seals: cutting, merging, and headers that lie.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tincan::frame::{parse_tap, segment, Delivery, Merger};

/// A delivery describes itself truly: the kernel is never pointed outside of the frame.
fn check(delivery: &Delivery<'_>) {
    let mut bytes = Vec::new();
    delivery.copy_to(&mut bytes);
    let tap = parse_tap(&bytes).expect("a delivery is what a tap takes");
    assert_eq!(tap.frame.len(), delivery.frame_bytes());
    let needs = tap.vnet.flags & 1 != 0;
    assert!(!needs || usize::from(tap.vnet.csum_start) + usize::from(tap.vnet.csum_offset) + 2 <= tap.frame.len());
    assert!(tap.vnet.gso_type == 0 || (needs && usize::from(tap.vnet.hdr_len) < tap.frame.len()));
    // What merged can be cut again.
    if tap.vnet.gso_type != 0 {
        assert!(segment(&tap, usize::MAX, |_, _, _| {}).is_ok());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(([room, rest @ ..], data)) = data.split_first_chunk::<2>() else { return };
    let max_frame = usize::from(*room) * 8 + usize::from(rest[0] & 7);

    // As the tap's: whatever can be cut is taken by the other side, byte for byte.
    if let Ok(tap) = parse_tap(data) {
        let mut records = Vec::new();
        if segment(&tap, max_frame, |flags, head, payload| records.push((flags, [head, payload].concat()))).is_ok() {
            let mut merger = Merger::new();
            for (counter, (flags, frame)) in records.iter().enumerate() {
                let _ = merger.push(1, counter as u64, *flags, frame, &mut check);
            }
            merger.flush(&mut check);
        }
    }

    // As a peer's: flags, length, frame, one after the other, in one session.
    let mut merger = Merger::new();
    let mut rest = data;
    let mut counter = 0;
    while let Some(([flags, length], tail)) = rest.split_first_chunk::<2>() {
        let (frame, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let _ = merger.push(1, counter, *flags & 7, frame, &mut check);
        counter += 1;
        rest = tail;
    }
    merger.flush(&mut check);
});
