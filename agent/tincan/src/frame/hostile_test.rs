//! Goal: neither a kernel that lies nor a peer that forges makes a panic, an endless loop, or a header that lies to our kernel.

use proptest::prelude::*;

use super::builder::{naive, Packet};
use super::inverse_test::cut;
use super::*;
use crate::wire::Mac;

fn shapes() -> Vec<Packet> {
    let mut shapes = vec![];
    for v6 in [false, true] {
        for protocol in [6, 17] {
            for ip_options in [0, 2] {
                shapes.push(Packet {
                    v6,
                    protocol,
                    ip_options,
                    vlans: vec![1, 2],
                    payload: vec![3; 40],
                    ..Packet::default()
                });
            }
        }
    }
    shapes
}

/// Pushes one frame and checks that whatever comes out describes itself truly.
fn push(flags: u8, frame: &[u8]) -> Result<usize, FrameError> {
    let mut deliveries = 0;
    let mut sink = |delivery: &Delivery<'_>| {
        let mut bytes = vec![];
        delivery.copy_to(&mut bytes);
        let tap = parse_tap(&bytes).expect("long enough for a tap");
        if tap.vnet.needs_csum() {
            assert!(usize::from(tap.vnet.csum_start + tap.vnet.csum_offset) + 2 <= tap.frame.len());
        }
        let to = Mac(*tap.frame.first_chunk().expect("a destination"));
        if let Some(tagged) = Tagged::of(delivery, to) {
            let tagged: Vec<u8> = tagged.parts().flatten().copied().collect();
            let (macs, behind) = tagged[VNET_BYTES..].split_at(12);
            assert_eq!([macs, &behind[4..]].concat(), tap.frame);
        }
        deliveries += 1;
    };
    let mut merger = Merger::new();
    merger.push(1, 1, flags, frame, &mut sink)?;
    merger.flush(&mut sink);
    Ok(deliveries)
}

#[test]
fn a_partial_frame_cut_anywhere_is_refused() {
    for packet in shapes() {
        let frame = packet.frame();
        assert_eq!(push(PARTIAL, &frame), Ok(1));
        for end in 0..frame.len() {
            assert!(push(PARTIAL, &frame[..end]).is_err(), "{end} of {} bytes", frame.len());
            assert!(push(PARTIAL | CONTINUES, &frame[..end]).is_err());
        }
    }
}

#[test]
fn a_super_frame_cut_inside_its_headers_is_refused() {
    for packet in shapes().into_iter().filter(|packet| packet.protocol == 6) {
        let frame = packet.frame();
        for end in 0..packet.header_bytes() {
            assert!(cut(packet.super_vnet(10), &frame[..end], 500).is_err());
        }
    }
}

#[test]
fn padding_behind_a_partial_packet_is_taken_off() {
    let packet = Packet { protocol: 17, payload: vec![1], ..Packet::default() };
    let mut frame = packet.frame();
    let length = frame.len();
    frame.resize(60, 0xee);
    let mut merger = Merger::new();
    let mut bytes = 0;
    merger.push(1, 1, PARTIAL, &frame, &mut |delivery| bytes = delivery.frame_bytes()).unwrap();
    assert_eq!(bytes, length);
}

#[test]
fn a_virtio_header_that_contradicts_the_frame_is_refused() {
    let packet = Packet { payload: vec![1; 100], ..Packet::default() };
    let frame = packet.frame();
    let good = packet.super_vnet(50);
    assert!(cut(good, &frame, 1500).is_ok());
    for (wrong, reason) in [
        (Vnet { csum_start: 33, ..good }, FrameError::Offsets),
        (Vnet { csum_offset: 15, ..good }, FrameError::Offsets),
        (Vnet { csum_start: u16::MAX, csum_offset: u16::MAX, ..good }, FrameError::Offsets),
        (Vnet { flags: 0, ..good }, FrameError::Offsets),
        (Vnet { gso_size: 0, ..good }, FrameError::Offsets),
        (Vnet { gso_type: 4, ..good }, FrameError::Offsets),
        (Vnet { gso_type: 3, ..good }, FrameError::GsoType),
        (Vnet { gso_type: 5, ..good }, FrameError::Offsets),
        (Vnet { gso_type: 6, ..good }, FrameError::GsoType),
        (Vnet { gso_type: 0x7f, ..good }, FrameError::GsoType),
    ] {
        assert_eq!(cut(wrong, &frame, 1500), Err(reason), "{wrong:?}");
    }
    assert_eq!(cut(good, &frame, packet.header_bytes()), Err(FrameError::HeadersTooLong));
}

#[test]
fn a_virtio_header_of_datagrams_that_contradicts_the_frame_is_refused() {
    let packet = Packet { protocol: 17, payload: vec![1; 100], ..Packet::default() };
    let frame = packet.frame();
    let good = packet.super_vnet(30);
    assert_eq!(cut(good, &frame, 10).map(|records| records.len()), Ok(4));
    for wrong in [
        Vnet { csum_offset: 16, ..good },
        Vnet { flags: 0, ..good },
        Vnet { gso_size: 0, ..good },
        Vnet { gso_type: 1, ..good },
    ] {
        assert_eq!(cut(wrong, &frame, 1500), Err(FrameError::Offsets), "{wrong:?}");
    }
    assert_eq!(cut(Vnet { gso_size: u16::MAX, ..good }, &frame, 1500), Err(FrameError::Length));
    let mut longer = frame.clone();
    longer.push(0);
    assert_eq!(cut(good, &longer, 1500), Err(FrameError::Length));
}

#[test]
fn fragments_and_unknown_flags_are_refused() {
    let packet = Packet { payload: vec![1; 100], ..Packet::default() };
    let mut frame = packet.frame();
    frame[packet.network() + 6] = 0x20;
    assert_eq!(push(PARTIAL, &frame), Err(FrameError::NotTransport));
    assert_eq!(push(0, &frame), Ok(1));
    for flags in 4..=255 {
        assert_eq!(push(flags, &frame), Err(FrameError::Flags));
    }
}

#[test]
fn a_frame_longer_than_any_mtu_allows_is_refused() {
    for (v6, protocol, flags) in
        [(false, 6, PARTIAL), (false, 6, 0), (true, 17, PARTIAL), (true, 6, PARTIAL | CONTINUES)]
    {
        let packet = Packet { v6, protocol, ..Packet::default() };
        let of = |bytes: usize| Packet { payload: vec![1; bytes - packet.header_bytes()], ..packet.clone() }.frame();
        assert_eq!(push(flags, &of(FRAME_MAX)), Ok(1));
        for bytes in [FRAME_MAX + 1, 16_384, 64_000] {
            assert_eq!(push(flags, &of(bytes)), Err(FrameError::TooLong), "{bytes}");
        }
    }
}

#[test]
fn a_super_frame_never_outgrows_one_packet() {
    let whole = Packet { payload: vec![1; 1400], ..Packet::default() };
    let frames: Vec<Vec<u8>> = (0..100u32)
        .map(|n| {
            let sequence = whole.sequence.wrapping_add(1400 * n);
            Packet { sequence, identification: whole.identification.wrapping_add(n as u16), ..whole.clone() }.frame()
        })
        .collect();
    let mut largest = 0;
    let mut bytes = 0;
    let mut sink = |delivery: &Delivery<'_>| {
        largest = largest.max(delivery.frame_bytes() - 14);
        bytes += delivery.payload.iter().map(|part| part.len()).sum::<usize>();
    };
    let mut merger = Merger::new();
    for (counter, frame) in frames.iter().enumerate() {
        let flags = if counter == 0 { PARTIAL } else { PARTIAL | CONTINUES };
        merger.push(1, counter as u64, flags, frame, &mut sink).unwrap();
    }
    merger.flush(&mut sink);
    assert!((64_000..=65_535).contains(&largest), "{largest}");
    assert_eq!(bytes, 140_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_taken_or_refused(
        flags in 0..4u8,
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..4),
    ) {
        for frame in &frames {
            let _ = push(flags, frame);
        }
    }

    #[test]
    fn a_frame_with_flipped_bytes_is_taken_or_refused(
        shape in 0..8usize,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        vnet in any::<(u8, u8, u16, u16, u16, u16)>(),
        max_frame in 0..300usize,
    ) {
        let packet = &shapes()[shape];
        let mut frame = packet.frame();
        for (at, value) in flips {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        let _ = push(PARTIAL, &frame);
        let (flags, gso_type, hdr_len, gso_size, csum_start, csum_offset) = vnet;
        let wild = Vnet { flags, gso_type: gso_type & 7, hdr_len, gso_size, csum_start, csum_offset, ..Vnet::default() };
        for vnet in [wild, packet.super_vnet(usize::from(gso_size)), packet.partial_vnet()] {
            let _ = cut(vnet, &frame, max_frame);
        }
    }
}

#[test]
fn the_sum_the_kernel_is_given_covers_the_pseudo_header_and_nothing_else() {
    // RFC 9293 §3.1: addresses, zero, protocol, length.
    let addresses = [10, 0, 0, 2, 10, 0, 0, 1];
    let mut header = addresses.to_vec();
    header.extend([0, 6, 0x12, 0x34]);
    assert_eq!(checksum::pseudo(&addresses, 6, 0x1234), naive(&header));
}
