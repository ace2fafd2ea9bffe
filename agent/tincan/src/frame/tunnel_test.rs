//! Goal: segments inside VXLAN leave as one super-frame, which the kernel, or `segment`, cuts into the very frames that came; and what is not
//! joined passes as it came.

use std::sync::Arc;

use proptest::prelude::*;

use super::builder::{finish, naive, transport_sum, Packet};
use super::headers::Network;
use super::inverse_test::cut;
use super::vnet::{GSO_ECN, GSO_TUNNEL_IPV4, GSO_TUNNEL_IPV6, TUNNEL_CSUM};
use super::*;
use crate::wire::Mac;

const MAC: [u8; 6] = [2, 0x45, 10, 45, 0, 1];
const PORT: u16 = 8472;

/// One record: flags and frame.
type Record = (u8, Vec<u8>);
/// What is changed, in words, and how.
type Change = (&'static str, fn(&mut Wrapped));

fn ends() -> Arc<Ends> {
    let ports = vec![(Network::Ipv4, PORT), (Network::Ipv6, PORT)];
    let addresses = vec!["10.45.0.1".parse().unwrap(), "fd45::1".parse().unwrap()];
    Arc::new(Ends { mac: Mac(MAC), ports, addresses })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Udp {
    /// The outer checksum is 0,
    Absent,
    /// right,
    Right,
    /// or not computed.
    Partial,
}

/// A TCP packet in VXLAN.
#[derive(Debug, Clone)]
struct Wrapped {
    v6: bool,
    udp: Udp,
    identification: u16,
    inner: Packet,
}

impl Wrapped {
    fn new(v6: bool, udp: Udp, inner: Packet) -> Self {
        Self { v6, udp, identification: 0xfffd, inner }
    }

    fn header_bytes(&self) -> usize {
        14 + if self.v6 { 40 } else { 20 } + 16 + self.inner.header_bytes()
    }

    fn frame(&self) -> Vec<u8> {
        let inside = self.inner.frame();
        let udp_bytes = (16 + inside.len()) as u16;
        let mut frame = [&MAC[..], &[2, 0x45, 10, 45, 0, 2]].concat();
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(udp_bytes.to_be_bytes());
            frame.extend([17, 64]);
            for host in [2u8, 1] {
                frame.extend([0xfd, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
            }
        } else {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + udp_bytes).to_be_bytes());
            frame.extend(self.identification.to_be_bytes());
            frame.extend([0, 0, 64, 17, 0, 0, 10, 45, 0, 2, 10, 45, 0, 1]);
            let sum = !naive(&frame[14..]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        let udp = frame.len();
        frame.extend(50_000u16.to_be_bytes());
        frame.extend(PORT.to_be_bytes());
        frame.extend(udp_bytes.to_be_bytes());
        frame.extend([0, 0, 0x08, 0, 0, 0, 0, 0, 1, 0]);
        frame.extend(inside);
        let sum = match self.udp {
            Udp::Absent => 0,
            Udp::Right => transport_sum(&frame, 14, udp, 17),
            Udp::Partial => 0x1234,
        };
        frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    fn record(&self) -> Record {
        (if self.udp == Udp::Partial { PARTIAL } else { 0 }, self.frame())
    }

    /// What the kernel cuts it into, by its rules and apart from the code under test.
    fn kernel_cuts(&self, size: usize) -> Vec<Record> {
        let Packet { payload, flags, sequence, identification, .. } = &self.inner;
        let count = payload.len().div_ceil(size);
        let pieces = payload.chunks(size).enumerate();
        let segments = pieces.map(|(index, piece)| {
            let keep = if index + 1 == count { 0xff } else { !0x09 } & if index == 0 { 0xff } else { !0x80 };
            let inner = Packet {
                payload: piece.to_vec(),
                flags: flags & keep,
                sequence: sequence.wrapping_add((index * size) as u32),
                identification: identification.wrapping_add(index as u16),
                ..self.inner.clone()
            };
            Self { identification: self.identification.wrapping_add(index as u16), inner, ..self.clone() }.record()
        });
        segments.collect()
    }
}

fn merge(records: &[Record]) -> Vec<(Vnet, Vec<u8>)> {
    merge_at(Some(&ends()), records)
}

fn merge_at(ends: Option<&Arc<Ends>>, records: &[Record]) -> Vec<(Vnet, Vec<u8>)> {
    let mut deliveries = vec![];
    let mut sink = |delivery: &Delivery<'_>| {
        let mut bytes = vec![];
        delivery.copy_to(&mut bytes);
        let tap = parse_tap(&bytes).expect("a delivery is what a tap takes");
        assert!(tap.frame.starts_with(delivery.headers()));
        assert_eq!(delivery.is_tunnel(), tap.vnet.outer_transport > 0);
        deliveries.push((tap.vnet, tap.frame.to_vec()));
    };
    let mut merger = Merger::with_tunnels(ends);
    for (counter, (flags, frame)) in records.iter().enumerate() {
        merger.push(1, counter as u64, *flags, frame, &mut sink).expect("these frames are valid");
    }
    merger.flush(&mut sink);
    deliveries
}

/// What comes out of the deliveries, each cut again, and what does not have its checksum given it.
fn cut_again(deliveries: Vec<(Vnet, Vec<u8>)>) -> Vec<Vec<u8>> {
    let records =
        deliveries.into_iter().flat_map(|(vnet, frame)| cut(vnet, &frame, usize::MAX).expect("it can be cut"));
    records.map(|(flags, frame)| if flags & PARTIAL == 0 { frame } else { finished(frame) }).collect()
}

/// A frame with its outermost checksum.
fn finished(frame: Vec<u8>) -> Vec<u8> {
    let alone = merge_at(None, &[(PARTIAL, frame)]);
    let (vnet, mut frame) = alone[0].clone();
    finish(&vnet, &mut frame);
    frame
}

fn frames(records: &[Record]) -> Vec<Vec<u8>> {
    let own = |(flags, frame): &Record| if flags & PARTIAL == 0 { frame.clone() } else { finished(frame.clone()) };
    records.iter().map(own).collect()
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 7 + n / 256) as u8).collect()
}

fn wrapped() -> impl Strategy<Value = Wrapped> {
    let kind = prop_oneof![Just(Udp::Absent), Just(Udp::Right), Just(Udp::Partial)];
    // FIN and PSH at the end, CWR and ECE, and always ACK.
    let flags = prop_oneof![Just(0x10u8), Just(0x18), Just(0x19), Just(0x90), Just(0xd8)];
    (any::<(bool, bool)>(), kind, 0..11usize, any::<(u32, u16, u16)>(), flags, 1..20_000usize).prop_map(
        |((v6, inner_v6), udp, tcp_options, (sequence, identification, outside), flags, bytes)| {
            let payload = payload(bytes);
            let inner =
                Packet { v6: inner_v6, tcp_options, sequence, identification, flags, payload, ..Packet::default() };
            Wrapped { v6, udp, identification: outside, inner }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_the_kernel_cuts_is_joined_and_cut_again_it_is_the_same(packet in wrapped(), size in 200..1400usize) {
        let size = size.max(packet.inner.payload.len() / 100);
        let records = packet.kernel_cuts(size);
        let deliveries = merge(&records);
        prop_assert_eq!(deliveries.len(), 1, "{} records", records.len());
        if records.len() > 1 {
            let vnet = &deliveries[0].0;
            let tcp = packet.header_bytes() - 20 - 4 * packet.inner.tcp_options;
            let outer = if packet.v6 { GSO_TUNNEL_IPV6 } else { GSO_TUNNEL_IPV4 };
            let mut expected = packet.inner.super_vnet(size);
            expected.gso_type |= outer | if packet.inner.flags & 0x80 != 0 { GSO_ECN } else { 0 };
            expected.flags |= if packet.udp == Udp::Absent { 0 } else { TUNNEL_CSUM };
            expected.hdr_len = packet.header_bytes() as u16;
            expected.csum_start = tcp as u16;
            expected.outer_transport = if packet.v6 { 54 } else { 34 };
            expected.inner_network = (tcp - if packet.inner.v6 { 40 } else { 20 }) as u16;
            prop_assert_eq!(*vnet, expected);
            // Finished as one packet it is the packet that was cut: all of its lengths and inner checksums are right.
            let (mut joined, mut whole) = (deliveries[0].1.clone(), packet.frame());
            finish(vnet, &mut joined);
            let field = usize::from(expected.outer_transport) + 6;
            for frame in [&mut joined, &mut whole] {
                frame[field..field + 2].fill(0);
            }
            prop_assert!(joined == whole);
        }
        prop_assert!(cut_again(deliveries) == frames(&records));
    }

    #[test]
    fn nothing_is_lost_changed_or_reordered_whatever_comes_between(
        packets in proptest::collection::vec((wrapped(), 300..1400usize), 1..4),
        drops in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        swaps in proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..6),
        flips in proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 0..6),
    ) {
        let mut records: Vec<Record> =
            packets.iter().flat_map(|(packet, size)| packet.kernel_cuts((*size).max(packet.inner.payload.len() / 20))).collect();
        for drop in drops {
            let at = drop.index(records.len());
            if records.len() > 1 {
                records.remove(at);
            }
        }
        for (one, other) in swaps {
            let (one, other) = (one.index(records.len()), other.index(records.len()));
            records.swap(one, other);
        }
        for (record, byte, value) in flips {
            let record = record.index(records.len());
            let (flags, frame) = &mut records[record];
            // What is not computed must stay a frame that can be finished, else it is refused as it was before.
            if *flags == 0 {
                let byte = byte.index(frame.len());
                frame[byte] ^= value;
            }
        }
        prop_assert!(cut_again(merge(&records)) == frames(&records));
    }
}

#[test]
fn a_segment_that_differs_in_any_header_byte_or_has_a_wrong_checksum_passes_as_it_came() {
    for (v6, inner_v6, udp) in
        [(false, false, Udp::Absent), (true, true, Udp::Right), (false, true, Udp::Right), (true, false, Udp::Absent)]
    {
        let inner = Packet { v6: inner_v6, payload: payload(600), ..Packet::default() };
        let packet = Wrapped::new(v6, udp, inner);
        let records = packet.kernel_cuts(300);
        assert_eq!(merge(&records).len(), 1);
        for which in 0..2 {
            for at in 0..records[0].1.len() {
                let mut records = records.clone();
                records[which].1[at] ^= 0x20;
                let deliveries = merge(&records);
                assert_eq!(deliveries.len(), 2, "byte {at} of frame {which}");
                let plain: Vec<Vec<u8>> = deliveries
                    .into_iter()
                    .map(|(vnet, frame)| {
                        assert_eq!(vnet, Vnet::default());
                        frame
                    })
                    .collect();
                assert_eq!(plain, frames(&records));
            }
        }
    }
}

/// How many deliveries there are of two frames, the second of which was changed.
fn deliveries_of(packet: &Wrapped, change: impl Fn(&mut Wrapped)) -> usize {
    let mut second = packet.clone();
    second.identification = second.identification.wrapping_add(1);
    second.inner.identification = second.inner.identification.wrapping_add(1);
    second.inner.sequence = second.inner.sequence.wrapping_add(packet.inner.payload.len() as u32);
    change(&mut second);
    let records = [packet.record(), second.record()];
    let deliveries = merge(&records);
    let count = deliveries.len();
    assert_eq!(cut_again(deliveries), frames(&records));
    count
}

#[test]
fn only_what_linux_would_join_is_joined() {
    let packet = Wrapped::new(false, Udp::Absent, Packet { payload: payload(500), ..Packet::default() });
    assert_eq!(deliveries_of(&packet, |_| {}), 1);
    assert_eq!(deliveries_of(&packet, |second| second.inner.payload.truncate(1)), 1);
    assert_eq!(deliveries_of(&packet, |second| second.inner.flags = 0x19), 1, "FIN and PSH are of the last");
    let changes: [Change; 12] = [
        ("a gap", |second| second.inner.sequence += 1),
        ("another acknowledgement", |second| second.inner.acknowledgement += 1),
        ("the same identification inside", |second| second.inner.identification -= 1),
        ("the same identification outside", |second| second.identification -= 1),
        ("a longer segment", |second| second.inner.payload.push(1)),
        ("no payload", |second| second.inner.payload.clear()),
        ("more TCP options", |second| second.inner.tcp_options += 1),
        ("CWR", |second| second.inner.flags |= 0x80),
        ("ECE", |second| second.inner.flags |= 0x40),
        ("RST", |second| second.inner.flags |= 0x04),
        ("URG", |second| second.inner.flags |= 0x20),
        ("another kind of checksum", |second| second.udp = Udp::Right),
    ];
    for (name, change) in changes {
        assert_eq!(deliveries_of(&packet, change), 2, "{name}");
    }
    for flags in [0x12, 0x14, 0x30, 0x18, 0x11, 0x00] {
        let mut packet = packet.clone();
        packet.inner.flags = flags;
        let joins = flags == 0;
        assert_eq!(deliveries_of(&packet, |_| {}) == 1, joins, "both with {flags:02x}");
    }
    let ip_options = Packet { ip_options: 1, ..packet.inner.clone() };
    assert_eq!(deliveries_of(&Wrapped { inner: ip_options, ..packet.clone() }, |_| {}), 2);
    let vlan = Packet { vlans: vec![5], ..packet.inner.clone() };
    assert_eq!(deliveries_of(&Wrapped { inner: vlan, ..packet.clone() }, |_| {}), 2);
    let datagram = Packet { protocol: 17, ..packet.inner.clone() };
    assert_eq!(deliveries_of(&Wrapped { inner: datagram, ..packet }, |_| {}), 2);
}

#[test]
fn fragments_are_not_joined() {
    for at in [20, 14 + 20 + 16 + 14 + 6] {
        let packet = Wrapped::new(false, Udp::Absent, Packet { payload: payload(600), ..Packet::default() });
        let mut records = packet.kernel_cuts(300);
        for (_, frame) in &mut records {
            // "More fragments", with the checksum of that header right.
            frame[at] |= 0x20;
            let header = at - 6;
            let sum = !naive(&[&frame[header..header + 10], &[0, 0], &frame[header + 12..header + 20]].concat());
            frame[header + 10..header + 12].copy_from_slice(&sum.to_be_bytes());
        }
        assert_eq!(merge(&records).len(), 2, "byte {at}");
    }
}

#[test]
fn tunnels_that_end_elsewhere_are_left_alone() {
    for v6 in [false, true] {
        let packet = Wrapped::new(v6, Udp::Absent, Packet { payload: payload(900), ..Packet::default() });
        let records = packet.kernel_cuts(300);
        let count = |change: &dyn Fn(&mut Ends)| {
            let mut ends = (*ends()).clone();
            change(&mut ends);
            merge_at(Some(&Arc::new(ends)), &records).len()
        };
        assert_eq!(count(&|_| {}), 1);
        assert_eq!(count(&|ends| ends.mac = Mac([2, 0x45, 10, 45, 0, 9])), 3, "of another machine");
        assert_eq!(count(&|ends| ends.addresses.clear()), 3, "routed on to another address");
        assert_eq!(
            count(&|ends| ends.ports.retain(|(family, _)| (*family == Network::Ipv6) != v6)),
            3,
            "no such socket"
        );
        assert_eq!(count(&|ends| ends.ports.iter_mut().for_each(|(_, port)| *port = 4789)), 3, "another port");
        assert_eq!(merge_at(None, &records).len(), 3, "a kernel that does not take them");
    }
}

#[test]
fn frames_of_two_sessions_and_of_others_between_keep_their_order() {
    let packet = Wrapped::new(false, Udp::Absent, Packet { payload: payload(900), ..Packet::default() });
    let mut records = packet.kernel_cuts(300);
    let mut froms = vec![];
    let ends = ends();
    let mut merger = Merger::with_tunnels(Some(&ends));
    let mut sink = |delivery: &Delivery<'_>| froms.push((delivery.from, delivery.payload.len()));
    for (from, (flags, frame)) in [7, 8, 8].into_iter().zip(&records) {
        merger.push(from, 0, *flags, frame, &mut sink).unwrap();
    }
    merger.flush(&mut sink);
    assert_eq!(froms, [(7, 1), (8, 2)]);
    let plain = Packet { payload: payload(400), ..Packet::default() };
    let super_frame = cut(plain.super_vnet(100), &plain.frame(), usize::MAX).unwrap();
    records.splice(1..1, super_frame);
    records.insert(1, (0, Packet { protocol: 17, payload: vec![1], ..Packet::default() }.frame()));
    let deliveries = merge(&records);
    let gso: Vec<u8> = deliveries.iter().map(|(vnet, _)| vnet.gso_type).collect();
    assert_eq!(gso, [0, 0, 1, 1 | GSO_TUNNEL_IPV4]);
    assert_eq!(cut_again(deliveries), frames(&records));
}

#[test]
fn a_super_frame_in_a_tunnel_never_outgrows_one_packet() {
    for v6 in [false, true] {
        let whole = Packet { v6, payload: payload(1300), ..Packet::default() };
        let records: Vec<Record> = (0..120u16)
            .map(|n| {
                let sequence = whole.sequence.wrapping_add(1300 * u32::from(n));
                let inner = Packet { sequence, identification: whole.identification.wrapping_add(n), ..whole.clone() };
                let packet = Wrapped::new(v6, Udp::Absent, inner);
                Wrapped { identification: packet.identification.wrapping_add(n), ..packet }.record()
            })
            .collect();
        let deliveries = merge(&records);
        assert_eq!(deliveries.len(), 3);
        let largest = deliveries.iter().map(|(_, frame)| frame.len() - 14).max().unwrap();
        assert!((64_000..=65_535).contains(&largest), "{largest}");
        assert_eq!(cut_again(deliveries), frames(&records));
    }
}

#[test]
fn a_tunnel_s_super_frame_is_cut_to_what_a_route_takes() {
    let packet = Wrapped::new(true, Udp::Absent, Packet { payload: payload(5000), flags: 0x18, ..Packet::default() });
    let (vnet, frame) = merge(&packet.kernel_cuts(1300)).remove(0);
    let records = cut(vnet, &frame, packet.header_bytes() + 700).unwrap();
    assert_eq!(records, packet.kernel_cuts(700));
    assert_eq!(cut(vnet, &frame, packet.header_bytes()), Err(FrameError::HeadersTooLong));
}

#[test]
fn a_tag_outside_is_cut_as_it_stands_whether_the_kernel_counted_it_or_not() {
    let packet = Wrapped::new(false, Udp::Partial, Packet { payload: payload(2000), ..Packet::default() });
    let (mut vnet, frame) = merge(&packet.kernel_cuts(900)).remove(0);
    let tag = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
    let expected: Vec<Vec<u8>> = cut(vnet, &frame, usize::MAX).unwrap().iter().map(|(_, frame)| tag(frame)).collect();
    vnet.csum_start += 4;
    for counted in [0, 4] {
        let vnet = Vnet { outer_transport: 34 + counted, inner_network: 64 + counted, ..vnet };
        let records = cut(vnet, &tag(&frame), usize::MAX).unwrap();
        assert_eq!(records.iter().map(|(_, frame)| frame.clone()).collect::<Vec<_>>(), expected);
        assert!(records.iter().all(|(flags, _)| *flags == PARTIAL));
    }
}

#[test]
fn a_tunnel_header_that_contradicts_the_frame_is_refused() {
    let packet = Wrapped::new(false, Udp::Absent, Packet { payload: payload(900), ..Packet::default() });
    let (good, frame) = merge(&packet.kernel_cuts(300)).remove(0);
    assert!(cut(good, &frame, 1500).is_ok());
    for (wrong, reason) in [
        (Vnet { csum_start: 40, ..good }, FrameError::Offsets),
        (Vnet { csum_start: u16::MAX, ..good }, FrameError::Short),
        (Vnet { csum_offset: 6, ..good }, FrameError::Offsets),
        (Vnet { flags: 0, ..good }, FrameError::Offsets),
        (Vnet { gso_size: 0, ..good }, FrameError::Offsets),
        (Vnet { outer_transport: 36, ..good }, FrameError::Offsets),
        (Vnet { outer_transport: 0, ..good }, FrameError::Offsets),
        (Vnet { inner_network: 40, ..good }, FrameError::Offsets),
        (Vnet { inner_network: u16::MAX, ..good }, FrameError::Short),
        (Vnet { gso_type: good.gso_type ^ 0x60, ..good }, FrameError::Offsets),
        (Vnet { gso_type: good.gso_type | 0x60, ..good }, FrameError::GsoType),
        (Vnet { gso_type: GSO_TUNNEL_IPV4 | 4, ..good }, FrameError::Offsets),
        (Vnet { gso_type: GSO_TUNNEL_IPV4 | 5, ..good }, FrameError::GsoType),
        (Vnet { gso_type: GSO_TUNNEL_IPV4, ..good }, FrameError::GsoType),
    ] {
        assert_eq!(cut(wrong, &frame, 1500), Err(reason), "{wrong:?}");
    }
    for end in 0..packet.header_bytes() {
        assert!(cut(good, &frame[..end], 1500).is_err(), "{end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_tunnel_with_flipped_bytes_is_cut_or_refused(
        v6 in any::<(bool, bool)>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        wild in any::<(u16, u16, u16, u16, u16)>(),
        max_frame in 0..600usize,
    ) {
        let packet = Wrapped::new(v6.0, Udp::Right, Packet { v6: v6.1, payload: payload(400), ..Packet::default() });
        let records = packet.kernel_cuts(100);
        let (good, mut frame) = merge(&records).remove(0);
        for (at, value) in flips {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        let (gso_size, csum_start, csum_offset, outer_transport, inner_network) = wild;
        let lies = Vnet { gso_size, csum_start: csum_start % 600, outer_transport: outer_transport % 64, inner_network: inner_network % 128, ..good };
        for vnet in [good, lies, Vnet { csum_offset, csum_start, outer_transport, inner_network, ..good }] {
            let _ = cut(vnet, &frame, max_frame);
        }
    }
}
