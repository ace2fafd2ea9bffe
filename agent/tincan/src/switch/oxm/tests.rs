use proptest::prelude::*;

use super::*;
use crate::switch::openflow::Error;
use crate::switch::testing::hex;

/// Layouts of clause 7.2.3, padding included.
const MATCHES: [(&str, &str); 8] = [
    ("everything", "0001 0004 00000000"),
    ("in_port 1", "0001 000c 80000004 00000001 00000000"),
    ("eth_dst under a mask", "0001 0014 8000070c 024500000000 ffff00000000 00000000"),
    ("arp request from 10.0.0.0/8", "0001 001c 80000a02 0806 80002a02 0001 80002d08 0a000000 ff000000 00000000"),
    ("vlan 5, tcp port 80", "0001 001b 80000a02 0800 80000c02 1005 80001401 06 80001c02 0050 0000000000"),
    ("tunnel_id under a mask", "0001 0018 80004d10 2000000000000000 f000000000000000"),
    ("udp over ipv6 from 53", "0001 0015 80000a02 86dd 80001401 11 80001e02 0035 000000"),
    (
        "solicitation for fe80::2",
        "0001 0028 80000a02 86dd 80001401 3a 80003a01 87 80003e10 fe80000000000000 0000000000000002",
    ),
];

fn decode(text: &str) -> Result<Match> {
    let bytes = hex(text);
    let mut reader = Reader::new(&bytes);
    let decoded = Match::decode(&mut reader)?;
    assert_eq!(reader.remaining(), 0);
    Ok(decoded)
}

#[test]
fn matches_survive_both_directions() {
    for (name, wire) in MATCHES {
        let decoded = decode(wire).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let mut out = Vec::new();
        decoded.encode(&mut out);
        assert_eq!(out, hex(wire), "{name}");
    }
}

#[test]
fn a_match_cut_short_is_refused_at_every_length() {
    for (name, wire) in MATCHES {
        let bytes = hex(wire);
        for cut in 0..bytes.len() {
            let refused = Match::decode(&mut Reader::new(&bytes[..cut]));
            assert!(refused.is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn what_a_match_may_not_say_has_its_own_error() {
    let cases: [(&str, Error, &str); 12] = [
        ("a match of the old type", error::BAD_MATCH_TYPE, "0000 0004 00000000"),
        ("a length below the header", error::BAD_MATCH_LEN, "0001 0003 00000000"),
        ("a field of another class", error::BAD_MATCH_FIELD, "0001 000c 00010004 00000001 00000000"),
        ("in_phy_port", error::BAD_MATCH_FIELD, "0001 000c 80000204 00000001 00000000"),
        ("a field of the wrong length", error::BAD_MATCH_LEN, "0001 000a 80000002 0001 000000000000"),
        ("a field twice", error::BAD_MATCH_DUPLICATE, "0001 0014 80000004 00000001 80000004 00000001 00000000"),
        ("a mask on in_port", error::BAD_MATCH_MASK, "0001 0010 80000108 00000001 ffffffff"),
        ("bits outside the mask", error::BAD_MATCH_WILDCARDS, "0001 0014 8000070c 024500000001 ffff00000000 00000000"),
        ("a vlan of 14 bits", error::BAD_MATCH_VALUE, "0001 000a 80000c02 2005 000000000000"),
        ("arp_op without eth_type", error::BAD_MATCH_PREREQUISITE, "0001 000a 80002a02 0001 000000000000"),
        ("tcp_dst with udp", error::BAD_MATCH_PREREQUISITE, "0001 0015 80000a02 0800 80001401 11 80001c02 0050 000000"),
        ("vlan_pcp with no tag", error::BAD_MATCH_PREREQUISITE, "0001 000f 80000c02 0000 80000e01 03 00"),
    ];
    for (name, wanted, wire) in cases {
        assert_eq!(decode(wire), Err(wanted), "{name}");
    }
}

#[test]
fn a_field_masked_away_is_no_field() {
    assert_eq!(decode("0001 0014 8000070c 000000000000 000000000000 00000000"), Ok(Match::default()));
}

#[test]
fn one_match_lies_within_another_or_overlaps_it() {
    let narrow = Match::default().with(key::ETH_TYPE, 0x0800).with(key::IN_PORT, 1);
    let wide = Match::default().with(key::ETH_TYPE, 0x0800);
    let other = Match::default().with(key::ETH_TYPE, 0x0806);
    assert!(narrow.is_within(&wide) && narrow.is_within(&Match::default()) && narrow.is_within(&narrow));
    assert!(!wide.is_within(&narrow) && !narrow.is_within(&other));
    assert!(wide.overlaps(&narrow) && !narrow.overlaps(&other));
    assert!(Match::default().with(key::IN_PORT, 2).overlaps(&wide));
}

proptest! {
    #[test]
    fn any_bytes_are_a_match_or_an_error_and_what_is_accepted_is_stable(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        if let Ok(decoded) = Match::decode_fields(&bytes) {
            let mut once = Vec::new();
            decoded.encode(&mut once);
            let again = Match::decode(&mut Reader::new(&once));
            prop_assert_eq!(again, Ok(decoded));
        }
    }
}
