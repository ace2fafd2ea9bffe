//! What the tap hands over and what a peer seals: cutting, merging, also inside of tunnels, and headers that lie.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

use tincan::frame::{datagram_sources, parse_tap, segment, Delivery, Ends, Merger, Network};
use tincan::wire::Mac;

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

/// Tunnels that end here, to addresses of few different bytes.
fn ends() -> Arc<Ends> {
    let ports = vec![(Network::Ipv4, 8472), (Network::Ipv6, 8472)];
    let addresses = vec!["10.45.0.1".parse().unwrap(), "fd45::1".parse().unwrap()];
    Arc::new(Ends { mac: Mac([2, 0x45, 10, 45, 0, 1]), ports, addresses })
}

/// One frame after the other: flags, length, frame.
fn records(mut rest: &[u8]) -> Vec<(u8, &[u8])> {
    let mut records = Vec::new();
    while let Some(([flags, length], tail)) = rest.split_first_chunk::<2>() {
        let (frame, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        records.push((*flags & 7, frame));
        rest = tail;
    }
    records
}

fuzz_target!(|data: &[u8]| {
    let Some(([room, rest @ ..], data)) = data.split_first_chunk::<2>() else { return };
    let max_frame = usize::from(*room) * 8 + usize::from(rest[0] & 7);

    // As the tap's: whatever can be cut is taken by the other side, byte for byte.
    if let Ok(tap) = parse_tap(data) {
        datagram_sources(tap.frame);
        let mut records = Vec::new();
        if segment(&tap, max_frame, |flags, head, payload| records.push((flags, [head, payload].concat()))).is_ok() {
            let mut merger = Merger::new();
            for (counter, (flags, frame)) in records.iter().enumerate() {
                let _ = merger.push(1, counter as u64, *flags, frame, &mut check);
            }
            merger.flush(&mut check);
        }
    }

    // As a peer's, in one session; with tunnels that end here, and without.
    let records = records(data);
    let ends = ends();
    for ends in [None, Some(&ends)] {
        let mut merger = Merger::with_tunnels(ends);
        for (counter, (flags, frame)) in records.iter().enumerate() {
            let _ = merger.push(1, counter as u64, *flags, frame, &mut check);
        }
        merger.flush(&mut check);
    }

    // Of frames that have all their checksums the same ones come out again.
    let mut merger = Merger::with_tunnels(Some(&ends));
    let mut again = Vec::new();
    let mut cut = |delivery: &Delivery<'_>| {
        let mut bytes = Vec::new();
        delivery.copy_to(&mut bytes);
        let tap = parse_tap(&bytes).expect("a delivery is what a tap takes");
        segment(&tap, usize::MAX, |_, head, payload| again.push([head, payload].concat())).expect("it can be cut");
    };
    let mut taken = Vec::new();
    for (counter, (_, frame)) in records.iter().enumerate() {
        if merger.push(1, counter as u64, 0, frame, &mut cut).is_ok() {
            taken.push(frame.to_vec());
        }
    }
    merger.flush(&mut cut);
    assert!(without_outer_checksum(&taken) == without_outer_checksum(&again));
});

/// A UDP checksum that was right is left to be computed in what is joined: docs/wire.md §6.1.
fn without_outer_checksum(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut frames = frames.to_vec();
    for frame in &mut frames {
        let field = if frame.get(12) == Some(&0x86) { 60 } else { 40 };
        if let Some(bytes) = frame.get_mut(field..field + 2) {
            bytes.fill(0);
        }
    }
    frames
}
