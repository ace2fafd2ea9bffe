use super::*;
use crate::switch::testing::hex;

fn of(frame: &str) -> Key {
    Key::of_frame(&hex(frame)).expect("an Ethernet frame")
}

const ARP_REQUEST: &str =
    "ffffffffffff 02450a000001 0806 0001 0800 06 04 0001 02450a000001 0a000001 000000000000 0a000002";
const TCP_IN_TWO_TAGS: &str = "02450a000002 02450a000001 88a8 6064 8100 0065 0800
    45 b9 0028 0001 4000 40 06 0000 0a000001 0a000002  c350 0050 00000000 00000000 50 02 0000 0000 0000";
const ND_SOLICITATION_FRAME: &str = "3333ff000002 02450a000001 86dd 60012345 0028 00 ff
    fe80000000000000004545fffe000001 ff0200000000000000000001ff000002  3a 00 0502 00000000
    87 00 0000 00000000 fe800000000000000000000000000002  01 01 02450a000001";

#[test]
fn an_arp_frame_shows_operation_and_addresses() {
    let key = of(ARP_REQUEST);
    assert_eq!(key.number(ETH_TYPE), 0x0806);
    assert_eq!(key.number(ETH_DST), 0xffff_ffff_ffff);
    assert_eq!(key.number(ETH_SRC), 0x0245_0a00_0001);
    assert_eq!(key.number(ARP_OP), 1);
    assert_eq!((key.number(IPV4_SRC), key.number(IPV4_DST)), (0x0a00_0001, 0x0a00_0002));
    assert_eq!((key.number(SOURCE_MAC), key.number(TARGET_MAC)), (0x0245_0a00_0001, 0));
}

#[test]
fn tags_are_looked_through_and_the_outer_one_is_shown() {
    let key = of(TCP_IN_TWO_TAGS);
    assert_eq!((key.number(VLAN_VID), key.number(VLAN_PCP)), (0x1064, 3));
    assert_eq!((key.number(ETH_TYPE), key.number(IP_PROTO)), (0x0800, 6));
    assert_eq!((key.number(IP_DSCP), key.number(IP_ECN)), (46, 1));
    assert_eq!((key.number(PORT_SRC), key.number(PORT_DST)), (50_000, 80));
}

#[test]
fn a_neighbour_solicitation_is_found_behind_a_hop_by_hop_header() {
    let key = of(ND_SOLICITATION_FRAME);
    assert_eq!((key.number(IP_PROTO), key.number(ICMP_TYPE), key.number(ICMP_CODE)), (58, 135, 0));
    assert_eq!(key.get(ND_TARGET), 0xfe80_0000_0000_0000_0000_0000_0000_0002);
    assert_eq!(key.get(IPV6_DST), 0xff02_0000_0000_0000_0000_0001_ff00_0002);
    assert_eq!((key.number(SOURCE_MAC), key.number(IPV6_FLABEL)), (0x0245_0a00_0001, 0x12345));
}

#[test]
fn a_later_fragment_has_no_ports() {
    let first =
        of("02450a000002 02450a000001 0800 4500 0030 0001 2000 40 11 0000 0a000001 0a000002 0035 0035 0000 0000");
    let later =
        of("02450a000002 02450a000001 0800 4500 0030 0001 2001 40 11 0000 0a000001 0a000002 0035 0035 0000 0000");
    assert_eq!((first.number(IP_PROTO), first.number(PORT_DST)), (17, 53));
    assert_eq!((later.number(IP_PROTO), later.number(PORT_DST)), (17, 0));
    let ipv6 = "02450a000002 02450a000001 86dd 60000000 0010 2c 40 fe800000000000000000000000000001
        fe800000000000000000000000000002  11 00 OFFSET 00000001  0035 0035 0000 0000";
    assert_eq!(of(&ipv6.replace("OFFSET", "0001")).number(PORT_DST), 53);
    assert_eq!(of(&ipv6.replace("OFFSET", "0009")).number(PORT_DST), 0);
}

#[test]
fn a_frame_cut_anywhere_keeps_the_fields_it_has() {
    for whole in [ARP_REQUEST, TCP_IN_TWO_TAGS, ND_SOLICITATION_FRAME] {
        let frame = hex(whole);
        let full = of(whole);
        for cut in 0..frame.len() {
            match Key::of_frame(&frame[..cut]) {
                None => assert!(cut < 14),
                Some(key) => assert_eq!(key.number(ETH_SRC), full.number(ETH_SRC), "{cut}"),
            }
        }
    }
}

#[test]
fn set_and_get_agree_for_every_place_and_touch_nothing_else() {
    let places = [
        TUNNEL_ID,
        METADATA,
        IN_PORT,
        ETH_TYPE,
        VLAN_VID,
        ETH_DST,
        VLAN_PCP,
        IP_PROTO,
        ETH_SRC,
        IP_DSCP,
        IP_ECN,
        IPV4_SRC,
        IPV4_DST,
        PORT_SRC,
        PORT_DST,
        ARP_OP,
        ICMP_TYPE,
        ICMP_CODE,
        SOURCE_MAC,
        TARGET_MAC,
        IPV6_SRC,
        IPV6_DST,
        ND_TARGET,
        IPV6_FLABEL,
    ];
    for (i, &place) in places.iter().enumerate() {
        let mut key = Key::default();
        let value = u128::MAX >> (128 - 8 * place.bytes);
        key.set(place, &value.to_be_bytes()[16 - place.bytes..]);
        assert_eq!(key.get(place), value);
        for (j, &other) in places.iter().enumerate() {
            assert_eq!(key.get(other) != 0, i == j, "{i} {j}");
        }
        key.set(place, &[0; 3]);
        assert_eq!(key.get(place), value, "a length that is not the field's changes nothing");
    }
}
