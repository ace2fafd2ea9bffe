//! Goal: what one tap hands over is what the other tap gets, and every frame between the two is a whole valid frame.

use proptest::prelude::*;

use super::builder::{finish, transport_sum, Packet};
use super::*;

/// One record: flags and frame.
type Record = (u8, Vec<u8>);

pub fn cut(vnet: Vnet, frame: &[u8], max_frame: usize) -> Result<Vec<Record>, FrameError> {
    let mut records = vec![];
    let count = segment(&TapFrame { vnet, frame }, max_frame, |flags, head, payload| {
        records.push((flags, [head, payload].concat()));
    })?;
    assert_eq!(count, records.len());
    Ok(records)
}

/// Every delivery as (virtio-net header, frame).
pub fn merge(records: &[Record]) -> Vec<(Vnet, Vec<u8>)> {
    merge_numbered(records.iter().enumerate().map(|(counter, record)| (counter as u64, record)))
}

fn merge_numbered<'a>(records: impl Iterator<Item = (u64, &'a Record)>) -> Vec<(Vnet, Vec<u8>)> {
    let mut deliveries = vec![];
    let mut sink = |delivery: &Delivery<'_>| {
        let mut bytes = vec![];
        delivery.copy_to(&mut bytes);
        assert_eq!(bytes.len(), delivery.frame_bytes() + VNET_BYTES);
        assert!(bytes[VNET_BYTES..].starts_with(delivery.headers()));
        let tap = parse_tap(&bytes).expect("a delivery is what a tap takes");
        deliveries.push((tap.vnet, tap.frame.to_vec()));
    };
    let mut merger = Merger::new();
    for (counter, (flags, frame)) in records {
        merger.push(9, counter, *flags, frame, &mut sink).expect("our own frames are valid");
    }
    merger.flush(&mut sink);
    deliveries
}

fn packet() -> impl Strategy<Value = Packet> {
    (
        any::<bool>(),
        proptest::collection::vec(0..4095u16, 0..3),
        0..4usize,
        0..11usize,
        any::<(u32, u32, u16)>(),
        // FIN and PSH at the end, CWR and ECE, and always ACK.
        prop_oneof![Just(0x10u8), Just(0x18), Just(0x19), Just(0x90), Just(0xd8)],
        1..20_000usize,
    )
        .prop_map(
            |(v6, vlans, ip_options, tcp_options, (sequence, acknowledgement, identification), flags, bytes)| {
                let payload = (0..bytes).map(|n| (n * 7 + n / 256) as u8).collect();
                let protocol = 6;
                Packet {
                    v6,
                    vlans,
                    ip_options,
                    tcp_options,
                    protocol,
                    sequence,
                    acknowledgement,
                    identification,
                    flags,
                    payload,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn merging_undoes_segmenting(packet in packet(), size in 200..3000usize, room in 200..3000usize) {
        let frame = packet.frame();
        let size = size.max(packet.payload.len() / 100);
        let max_frame = packet.header_bytes() + room.max(packet.payload.len() / 100);
        let records = cut(packet.super_vnet(size), &frame, max_frame).unwrap();
        let deliveries = merge(&records);
        prop_assert_eq!(deliveries.len(), 1);
        let (vnet, mut merged) = deliveries.into_iter().next().unwrap();
        if records.len() > 1 {
            let mut expected = packet.super_vnet(size.min(max_frame - packet.header_bytes()));
            expected.gso_type |= if packet.flags & 0x80 != 0 { 0x80 } else { 0 };
            prop_assert_eq!(vnet, expected);
        } else {
            prop_assert_eq!(vnet, packet.partial_vnet());
        }
        finish(&vnet, &mut merged);
        prop_assert!(merged == frame, "the merged frame, once finished, is the frame that was cut");
    }

    #[test]
    fn every_segment_is_a_valid_frame_of_its_own(packet in packet(), size in 200..3000usize) {
        let records = cut(packet.super_vnet(size), &packet.frame(), usize::MAX).unwrap();
        for (index, (flags, frame)) in records.iter().enumerate() {
            let last = index + 1 == records.len();
            prop_assert_eq!(*flags, if index == 0 { PARTIAL } else { PARTIAL | CONTINUES });
            let mut keep = 0xff;
            if !last { keep &= !0x09; }
            if index > 0 { keep &= !0x80; }
            let offset = index * size;
            let expected = Packet {
                sequence: packet.sequence.wrapping_add(offset as u32),
                identification: packet.identification.wrapping_add(index as u16),
                flags: packet.flags & keep,
                payload: packet.payload[offset..packet.payload.len().min(offset + size)].to_vec(),
                ..packet.clone()
            };
            prop_assert!(last || expected.payload.len() == size);
            // Alone, it is handed on with a missing checksum; a network card that finishes it makes the right frame.
            let alone = merge(&[(PARTIAL, frame.clone())]);
            let (vnet, mut finished) = alone[0].clone();
            prop_assert_eq!(vnet, expected.partial_vnet());
            finish(&vnet, &mut finished);
            let sum = transport_sum(&finished, packet.network(), packet.transport(), 6);
            prop_assert_eq!(&finished[packet.transport() + 16..][..2], &sum.to_be_bytes());
            prop_assert!(finished == expected.frame());
        }
    }

    #[test]
    fn a_lost_record_costs_its_own_segment_and_no_other(packet in packet(), lost in any::<prop::sample::Index>()) {
        let records = cut(packet.super_vnet(500), &packet.frame(), usize::MAX).unwrap();
        let lost = lost.index(records.len());
        let kept = records.iter().enumerate().filter(|(index, _)| *index != lost).map(|(n, record)| (n as u64, record));
        let bytes: usize = merge_numbered(kept).iter().map(|(_, frame)| frame.len() - packet.header_bytes()).sum();
        prop_assert_eq!(bytes, packet.payload.len() - (records[lost].1.len() - packet.header_bytes()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_super_frame_of_datagrams_gives_each_of_them_as_it_was_sent(
        packet in packet(),
        size in 1..2_000usize,
        max_frame in 60..3_000usize,
    ) {
        let whole = Packet { protocol: 17, ..packet };
        let size = size.max(whole.payload.len() / 100);
        let records = cut(whole.super_vnet(size), &whole.frame(), max_frame).unwrap();
        prop_assert_eq!(records.len(), whole.payload.len().div_ceil(size));
        for (index, (record, payload)) in records.into_iter().zip(whole.payload.chunks(size)).enumerate() {
            prop_assert_eq!(record.0, PARTIAL);
            let sent = Packet {
                identification: whole.identification.wrapping_add(index as u16),
                payload: payload.to_vec(),
                ..whole.clone()
            };
            let (vnet, mut frame) = merge(&[record]).remove(0);
            prop_assert_eq!(vnet, sent.partial_vnet());
            finish(&vnet, &mut frame);
            prop_assert!(frame == sent.frame());
        }
    }
}

#[test]
fn a_frame_with_its_checksum_passes_untouched() {
    let frame = Packet { payload: vec![1, 2, 3], ..Packet::default() }.frame();
    let records = cut(Vnet::default(), &frame, 10).unwrap();
    assert_eq!(records, [(0, frame.clone())]);
    assert_eq!(merge(&records), [(Vnet::default(), frame)]);
}

#[test]
fn a_udp_frame_without_its_checksum_stays_partial_and_can_be_finished() {
    for v6 in [false, true] {
        let packet = Packet { v6, protocol: 17, payload: vec![7; 333], ..Packet::default() };
        let records = cut(packet.partial_vnet(), &packet.frame(), 100).unwrap();
        assert_eq!(records[0].0, PARTIAL);
        let (vnet, mut merged) = merge(&records).remove(0);
        assert_eq!(vnet, packet.partial_vnet());
        finish(&vnet, &mut merged);
        assert_eq!(merged, packet.frame());
    }
}

#[test]
fn a_lone_tcp_frame_too_long_for_the_route_is_cut_like_a_super_frame() {
    let packet = Packet { payload: vec![5; 1348], flags: 0x18, ..Packet::default() };
    let records = cut(packet.partial_vnet(), &packet.frame(), 1100).unwrap();
    assert_eq!(records.iter().map(|(_, frame)| frame.len()).collect::<Vec<_>>(), [1100, 380]);
    let (vnet, mut merged) = merge(&records).remove(0);
    finish(&vnet, &mut merged);
    assert_eq!(merged, packet.frame());
}

#[test]
fn a_checksum_nobody_could_place_again_is_finished_here() {
    // Behind a routing header (43) the pseudo header has another destination than the IPv6 header shows.
    let packet = Packet { v6: true, ip_options: 1, payload: vec![9; 51], ..Packet::default() };
    let mut frame = packet.frame();
    frame[packet.network() + 6] = 43;
    let field = packet.transport() + 16;
    let right = frame[field..field + 2].to_vec();
    let pseudo =
        checksum::pseudo(&frame[packet.network() + 8..packet.network() + 40], 6, frame.len() - packet.transport());
    frame[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
    let records = cut(packet.partial_vnet(), &frame, 2000).unwrap();
    assert_eq!(records[0].0, 0);
    assert_eq!(records[0].1[field..field + 2], right);
}

#[test]
fn segments_of_two_sessions_or_with_a_gap_do_not_join() {
    let packet = Packet { payload: vec![1; 900], ..Packet::default() };
    let records = cut(packet.super_vnet(300), &packet.frame(), usize::MAX).unwrap();
    let deliver = |keys: [(u64, u64); 3]| {
        let mut count = 0;
        let mut sink = |_: &Delivery<'_>| count += 1;
        let mut merger = Merger::new();
        for ((from, counter), (flags, frame)) in keys.into_iter().zip(&records) {
            merger.push(from, counter, *flags, frame, &mut sink).unwrap();
        }
        merger.flush(&mut sink);
        count
    };
    assert_eq!(deliver([(1, 5), (1, 6), (1, 7)]), 1);
    assert_eq!(deliver([(1, 5), (2, 6), (1, 7)]), 3);
    assert_eq!(deliver([(1, 5), (1, 7), (1, 8)]), 2);
    assert_eq!(deliver([(1, u64::MAX), (1, 0), (1, 1)]), 1);
}

#[test]
fn a_segment_that_differs_in_any_header_byte_stands_alone() {
    for v6 in [false, true] {
        let packet = Packet { v6, vlans: vec![5], ip_options: 1, payload: vec![1; 600], ..Packet::default() };
        let records = cut(packet.super_vnet(300), &packet.frame(), usize::MAX).unwrap();
        let transport_checksum = packet.transport() + 16;
        for at in 0..packet.header_bytes() {
            let mut records = records.clone();
            records[1].1[at] ^= 0x20;
            let ignored = at / 2 == transport_checksum / 2 || (!v6 && at / 2 == (packet.network() + 10) / 2);
            let mut merger = Merger::new();
            let mut frames = vec![];
            let mut sink = |delivery: &Delivery<'_>| frames.push(delivery.payload.len());
            for (counter, (flags, frame)) in records.iter().enumerate() {
                // It may also be refused as a frame of its own.
                let _ = merger.push(1, counter as u64, *flags, frame, &mut sink);
            }
            merger.flush(&mut sink);
            assert_eq!(frames[0] == 2, ignored, "byte {at} of {}", packet.header_bytes());
        }
    }
}
