//! Whose address a frame says it comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const VLAN: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;

/// The source of an IP packet and the target of a neighbor advertisement (RFC 4861 §4.4), or the sender of an ARP packet (RFC 826).
/// Frames of a VLAN are another network, but one that is only tagged for its priority (VLAN 0) is taken by the kernel as if it were
/// not.
pub fn sender_addresses(frame: &[u8]) -> [Option<IpAddr>; 2] {
    read(frame).unwrap_or_default()
}

fn read(frame: &[u8]) -> Option<[Option<IpAddr>; 2]> {
    let mut rest = frame.get(12..)?;
    loop {
        let (ethertype, packet) = rest.split_first_chunk::<2>()?;
        if !VLAN.contains(ethertype) {
            return Some(match *ethertype {
                IPV4 => [ipv4(packet, 12), None],
                // Protocol type (2..4) IPv4, lengths 6 and 4.
                ARP if packet.get(2..6) == Some(&[0x08, 0x00, 6, 4][..]) => [ipv4(packet, 14), None],
                IPV6 => [ipv6(packet, 8), advertised(packet)],
                _ => [None, None],
            });
        }
        let (tag, inner) = packet.split_first_chunk::<2>()?;
        if u16::from_be_bytes(*tag) & 0x0fff != 0 {
            return None;
        }
        rest = inner;
    }
}

/// An advertisement behind extension headers is taken by no kernel of today (RFC 6980 forbids fragments of it).
fn advertised(packet: &[u8]) -> Option<IpAddr> {
    let (next, kind) = (*packet.get(6)?, *packet.get(40)?);
    (next == ICMPV6 && kind == NEIGHBOR_ADVERTISEMENT).then(|| ipv6(packet, 48)).flatten()
}

fn ipv4(packet: &[u8], at: usize) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?)))
}

fn ipv6(packet: &[u8], at: usize) -> Option<IpAddr> {
    Some(IpAddr::V6(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(tags: &[u8], ethertype: [u8; 2], packet: &[u8]) -> Vec<u8> {
        [&[0x11; 12], tags, &ethertype, packet].concat()
    }

    fn ipv4_packet() -> Vec<u8> {
        let mut packet = vec![0x45; 20];
        packet[12..16].copy_from_slice(&[10, 244, 1, 5]);
        packet
    }

    fn addresses(frame: &[u8]) -> Vec<String> {
        sender_addresses(frame).into_iter().flatten().map(|address| address.to_string()).collect()
    }

    #[test]
    fn the_sender_of_ip_and_arp_is_found() {
        assert_eq!(addresses(&frame(&[], IPV4, &ipv4_packet())), ["10.244.1.5"]);
        let arp: Vec<u8> =
            [&[0, 1, 8, 0, 6, 4, 0, 2][..], &[2; 6], &[10, 244, 1, 6], &[3; 6], &[10, 244, 2, 7]].concat();
        assert_eq!(addresses(&frame(&[], ARP, &arp)), ["10.244.1.6"]);
        assert_eq!(addresses(&frame(&[], [0x88, 0xb5], &ipv4_packet())), Vec::<String>::new());
    }

    #[test]
    fn an_advertisement_speaks_for_its_target_too() {
        let mut packet = vec![0; 40 + 24];
        packet[0] = 0x60;
        packet[6] = ICMPV6;
        packet[8..24].copy_from_slice(&"fd00::5".parse::<Ipv6Addr>().unwrap().octets());
        packet[48..64].copy_from_slice(&"fd00::9".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(addresses(&frame(&[], IPV6, &packet)), ["fd00::5"]);
        packet[40] = NEIGHBOR_ADVERTISEMENT;
        assert_eq!(addresses(&frame(&[], IPV6, &packet)), ["fd00::5", "fd00::9"]);
    }

    #[test]
    fn a_priority_tag_hides_nothing_and_a_vlan_is_another_network() {
        assert_eq!(addresses(&frame(&[0x81, 0, 0xe0, 0], IPV4, &ipv4_packet())), ["10.244.1.5"]);
        assert_eq!(addresses(&frame(&[0x88, 0xa8, 0, 0, 0x81, 0, 0, 0], IPV4, &ipv4_packet())), ["10.244.1.5"]);
        assert_eq!(addresses(&frame(&[0x81, 0, 0, 7], IPV4, &ipv4_packet())), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_through(frame in proptest::collection::vec(any::<u8>(), 0..100)) {
            sender_addresses(&frame);
        }
    }
}
