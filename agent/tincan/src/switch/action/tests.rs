use super::*;
use crate::switch::openflow::Error;
use crate::switch::testing::hex;

const LISTS: [(&str, &str); 4] = [
    ("output to the whole controller", "0000 0010 fffffffd ffff 000000000000"),
    ("group 7", "0016 0008 00000007"),
    ("set tunnel_id", "0019 0010 80004c08 2000000000000000"),
    ("two actions", "0019 0010 80004c08 0000000000000007 0000 0010 00000010 0000 000000000000"),
];

const INSTRUCTIONS: [(&str, &str); 5] = [
    ("goto 4", "0001 0008 04 000000"),
    ("write metadata", "0002 0018 00000000 0000000000000005 00000000000000ff"),
    ("apply, then goto", "0004 0018 00000000 0000 0010 00000001 0000 000000000000 0001 0008 05 000000"),
    ("clear, then write", "0005 0008 00000000 0003 0010 00000000 0016 0008 00000007"),
    ("meter, then apply nothing", "0006 0008 00000001 0004 0008 00000000"),
];

fn list(bytes: &[u8]) -> Result<Vec<Action>> {
    Action::decode_list(&mut Reader::new(bytes), bytes.len(), false)
}

fn instructions(bytes: &[u8]) -> Result<Instructions> {
    Instructions::decode(&mut Reader::new(bytes))
}

#[test]
fn actions_survive_both_directions() {
    for (name, wire) in LISTS {
        let decoded = list(&hex(wire)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let mut out = Vec::new();
        decoded.iter().for_each(|action| action.encode(&mut out));
        assert_eq!(out, hex(wire), "{name}");
    }
}

#[test]
fn instructions_survive_both_directions() {
    for (name, wire) in INSTRUCTIONS {
        let decoded = instructions(&hex(wire)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let mut out = Vec::new();
        decoded.encode(&mut out);
        assert_eq!(out, hex(wire), "{name}");
    }
}

#[test]
fn a_list_cut_inside_an_item_is_refused() {
    for (name, wire) in LISTS {
        let bytes = hex(wire);
        // Cut between two actions, what is left is a list again.
        (1..bytes.len()).filter(|&cut| !(name == "two actions" && cut == 16)).for_each(|cut| {
            assert!(list(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        });
    }
    for (name, wire) in INSTRUCTIONS {
        let bytes = hex(wire);
        let whole = |cut: usize| bytes.get(cut..cut + 2).is_some_and(|kind| kind[0] == 0 && (1..=6).contains(&kind[1]));
        for cut in 1..bytes.len() {
            let refused = instructions(&bytes[..cut]);
            assert!(refused.is_err() || whole(cut), "{name} cut at {cut}");
        }
    }
}

#[test]
fn what_is_not_supported_has_its_own_error() {
    let cases: [(&str, Error, &str); 13] = [
        ("push vlan", error::BAD_ACTION_TYPE, "0011 0008 8100 0000"),
        ("an experimenter's action", error::BAD_ACTION_EXPERIMENTER, "ffff 0008 00002320"),
        ("an output of 8 bytes", error::BAD_ACTION_LEN, "0000 0008 00000001"),
        ("a length of 4", error::BAD_ACTION_LEN, "0016 0004"),
        ("a length of 12", error::BAD_ACTION_LEN, "0016 000c 00000001 00000000"),
        ("output to LOCAL", error::BAD_ACTION_OUT_PORT, "0000 0010 fffffffe 0000 000000000000"),
        ("output to TABLE from a flow", error::BAD_ACTION_OUT_PORT, "0000 0010 fffffff9 0000 000000000000"),
        ("output to port 0", error::BAD_ACTION_OUT_PORT, "0000 0010 00000000 0000 000000000000"),
        ("group ANY", error::BAD_ACTION_OUT_GROUP, "0016 0008 ffffffff"),
        ("set eth_dst", error::BAD_ACTION_SET_TYPE, "0019 0010 80000606 02450a000002 0000"),
        ("set an unknown field", error::BAD_ACTION_SET_TYPE, "0019 0010 80015004 00000001 00000000"),
        ("set tunnel_id of 4 bytes", error::BAD_ACTION_SET_LEN, "0019 0010 80004c04 00000001 00000000"),
        (
            "set tunnel_id under a mask",
            error::BAD_ACTION_SET_TYPE,
            "0019 0018 80004d10 0000000000000001 0000000000000001",
        ),
    ];
    for (name, wanted, wire) in cases {
        assert_eq!(list(&hex(wire)), Err(wanted), "{name}");
    }
    let table = hex("0000 0010 fffffff9 0000 000000000000");
    assert!(Action::decode_list(&mut Reader::new(&table), 16, true).is_ok(), "TABLE is for packet-outs");
    let cases: [(&str, Error, &str); 6] = [
        ("instruction 7", error::BAD_INSTRUCTION_UNKNOWN, "0007 0008 00000000"),
        ("an experimenter's instruction", error::BAD_INSTRUCTION_EXPERIMENTER, "ffff 0008 00002320"),
        ("a goto of 16 bytes", error::BAD_INSTRUCTION_LEN, "0001 0010 04000000 0000000000000000"),
        ("two gotos", error::BAD_INSTRUCTION_UNSUPPORTED, "0001 0008 04000000 0001 0008 05000000"),
        ("meter 0", error::METER_MOD_INVALID, "0006 0008 00000000"),
        ("a bad action inside", error::BAD_ACTION_TYPE, "0004 0010 00000000 0011 0008 8100 0000"),
    ];
    for (name, wanted, wire) in cases {
        assert_eq!(instructions(&hex(wire)), Err(wanted), "{name}");
    }
    let many = hex("0016 0008 00000007").repeat(ACTIONS_MAX + 1);
    assert_eq!(list(&many), Err(error::BAD_ACTION_TOO_MANY));
}
