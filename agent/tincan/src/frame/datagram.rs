//! Whom a UDP datagram in a frame comes from, also one that is inside a VXLAN tunnel.

use std::net::{IpAddr, SocketAddr};

use super::headers::{u16_at, Layout, UDP};
use super::tunnel::{UDP_HEADER, VXLAN_FLAGS, VXLAN_HEADER};

/// The source of the unfragmented UDP datagram in this frame, and of the one in the tunnel that it may be. What tells a tunnel is how
/// its payload begins, at any port: what is found so is to be compared with addresses that are known.
pub fn datagram_sources(frame: &[u8]) -> [Option<SocketAddr>; 2] {
    let Some((source, payload)) = read(frame) else { return [None; 2] };
    let inner = payload.starts_with(&VXLAN_FLAGS).then(|| payload.get(VXLAN_HEADER..)).flatten();
    [Some(source), inner.and_then(read).map(|(source, _)| source)]
}

fn read(frame: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let layout = Layout::parse_super(frame).ok().filter(|layout| layout.protocol == UDP && !layout.fragment)?;
    let addresses = layout.addresses(frame);
    let source: IpAddr = match addresses.len() {
        8 => <[u8; 4]>::try_from(addresses.get(..4)?).ok()?.into(),
        _ => <[u8; 16]>::try_from(addresses.get(..16)?).ok()?.into(),
    };
    let port = u16_at(frame, layout.transport).ok()?;
    Some((SocketAddr::new(source, port), frame.get(layout.transport + UDP_HEADER..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::builder::Packet;
    use super::*;

    fn sources(packet: &Packet) -> Vec<String> {
        datagram_sources(&packet.frame()).into_iter().flatten().map(|source| source.to_string()).collect()
    }

    fn udp() -> Packet {
        Packet { protocol: 17, payload: vec![1; 30], ..Packet::default() }
    }

    #[test]
    fn the_source_of_a_datagram_is_found_in_both_families_behind_tags_and_options() {
        assert_eq!(sources(&udp()), ["10.0.0.2:12345"]);
        assert_eq!(sources(&Packet { v6: true, ..udp() }), ["[fd00::2]:12345"]);
        assert_eq!(sources(&Packet { vlans: vec![7], ip_options: 2, ..udp() }), ["10.0.0.2:12345"]);
        assert_eq!(sources(&Packet { v6: true, vlans: vec![7, 8], ip_options: 1, ..udp() }), ["[fd00::2]:12345"]);
    }

    #[test]
    fn tcp_has_no_datagram() {
        assert_eq!(sources(&Packet::default()), [""; 0]);
    }

    #[test]
    fn a_later_fragment_has_no_source_though_its_bytes_may_look_like_one() {
        let mut frame = udp().frame();
        frame[21] = 5;
        assert_eq!(datagram_sources(&frame), [None; 2]);
    }

    #[test]
    fn a_datagram_within_vxlan_is_found_too_and_within_another_payload_is_not() {
        let inner = Packet { v6: true, vlans: vec![9], ..udp() }.frame();
        let tunnel = |flags: u8| Packet { payload: [&[flags, 0, 0, 0, 0, 0, 42, 0], &inner[..]].concat(), ..udp() };
        assert_eq!(sources(&tunnel(8)), ["10.0.0.2:12345", "[fd00::2]:12345"]);
        assert_eq!(sources(&tunnel(12)), ["10.0.0.2:12345"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), cut in 0usize..120) {
            datagram_sources(&bytes);
            let frame = Packet { payload: [&[8, 0, 0, 0, 0, 0, 42, 0], &bytes[..]].concat(), ..udp() }.frame();
            datagram_sources(&frame[..cut.min(frame.len())]);
        }
    }
}
