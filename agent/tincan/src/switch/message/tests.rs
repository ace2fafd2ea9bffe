use super::*;
use crate::switch::openflow::Error;
use crate::switch::testing::hex;

const ADD: &str = "0000000000000001 0000000000000000 03 00 0000 0000 0064 ffffffff ffffffff ffffffff 0001 0000
    0001 000c 80000004 00000001 00000000  0001 0008 04 000000";
const DELETE_STRICT: &str =
    "0000000000000001 00000000000000ff 03 04 0000 0000 0064 00000000 00000010 ffffffff 0000 0000
    0001 000c 80000004 00000001 00000000";
const GROUP: &str = "0000 03 00 00000007  0020 0000 00000010 ffffffff 00000000 0000 0010 00000010 0000 000000000000
    0020 0000 00000011 ffffffff 00000000 0000 0010 00000011 0000 000000000000";
const METER: &str = "0000 0006 00000001  0001 0010 00000064 0000000a 00000000";
const PACKET: &str =
    "ffffffff fffffffd 0010 000000000000  0000 0010 00000001 0000 000000000000  ffffffffffff 02450a000001 0806";
const ROLE: &str = "00000002 00000000 0000000000000005";
const FLOW_STATS: &str =
    "0001 0000 00000000  ff 000000 ffffffff ffffffff 00000000 0000000000000000 0000000000000000 0001 0004 00000000";

#[test]
fn requests_are_read_as_the_specification_lays_them_out() {
    let FlowMod::Add(flow) = FlowMod::decode(&hex(ADD)).expect("a flow-mod") else { panic!("an add") };
    assert_eq!((flow.table, flow.priority, flow.cookie, flow.flags), (3, 100, 1, 1));
    assert_eq!(flow.instructions.goto, Some(4));
    let FlowMod::Delete { filter, strict } = FlowMod::decode(&hex(DELETE_STRICT)).expect("a flow-mod") else {
        panic!("a delete")
    };
    assert_eq!((filter.out_port, filter.cookie_mask, strict), (16, 0xff, Some(100)));
    let GroupMod::Add(7, group) = GroupMod::decode(&hex(GROUP)).expect("a group-mod") else { panic!("an add") };
    assert_eq!((group.kind, group.buckets.len(), group.buckets[1].watch_port), (GroupKind::FastFailover, 2, 17));
    let MeterMod::Add(1, meter) = MeterMod::decode(&hex(METER)).expect("a meter-mod") else { panic!("an add") };
    assert_eq!(meter.bands, [DropBand { rate: 100, burst: 10 }]);
    let bytes = hex(PACKET);
    let packet = PacketOutRequest::decode(&bytes).expect("a packet-out");
    assert_eq!((packet.in_port, packet.actions.len(), packet.frame.len()), (port::CONTROLLER, 1, 14));
    assert_eq!(decode_role(&hex(ROLE)), Ok((Role::Master, 5)));
    let filter = Filter {
        table: 0xff,
        matching: Match::default(),
        out_port: port::ANY,
        out_group: GROUP_ANY,
        cookie: 0,
        cookie_mask: 0,
    };
    assert_eq!(MultipartRequest::decode(&hex(FLOW_STATS)), Ok(MultipartRequest::Flow(filter)));
}

#[test]
fn requests_cut_short_are_refused_at_every_length() {
    let refused = |name: &str, wire: &str, until: usize, decodes: fn(&[u8]) -> bool| {
        let bytes = hex(wire);
        (0..until).for_each(|cut| assert!(!decodes(&bytes[..cut]), "{name} cut at {cut}"));
        assert!(decodes(&bytes), "{name}");
    };
    // Up to its fixed part: whole buckets, bands, instructions and frame bytes may be fewer.
    refused("add", ADD, 40 + 16, |bytes| FlowMod::decode(bytes).is_ok());
    refused("delete", DELETE_STRICT, 40 + 16, |bytes| FlowMod::decode(bytes).is_ok());
    refused("group", GROUP, 8, |bytes| GroupMod::decode(bytes).is_ok());
    refused("meter", METER, 8, |bytes| MeterMod::decode(bytes).is_ok());
    refused("packet-out", PACKET, 16 + 16, |bytes| PacketOutRequest::decode(bytes).is_ok());
    refused("role", ROLE, 16, |bytes| decode_role(bytes).is_ok());
    refused("flow statistics", FLOW_STATS, 48, |bytes| MultipartRequest::decode(bytes).is_ok());
    for (wire, whole) in [(GROUP, 40), (METER, 0)] {
        let bytes = hex(wire);
        for cut in (9..bytes.len()).filter(|&cut| cut != whole) {
            assert!(GroupMod::decode(&bytes[..cut]).is_err() && MeterMod::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}

#[test]
fn each_wrong_value_has_its_own_error() {
    let flow = |from: &str, to: &str| FlowMod::decode(&hex(&ADD.replacen(from, to, 1))).err();
    assert_eq!(flow("03 00 0000", "03 05 0000"), Some(error::FLOW_MOD_COMMAND));
    assert_eq!(flow("0001 0000\n", "0020 0000\n"), Some(error::FLOW_MOD_FLAGS));
    assert_eq!(flow("0064 ffffffff", "0064 00000001"), Some(error::BAD_REQUEST_BUFFER_UNKNOWN));
    let group = |from: &str, to: &str| GroupMod::decode(&hex(&GROUP.replacen(from, to, 1))).err();
    assert_eq!(group("0000 03 00", "0003 03 00"), Some(error::GROUP_MOD_COMMAND));
    assert_eq!(group("0000 03 00", "0000 01 00"), Some(error::GROUP_MOD_TYPE));
    assert_eq!(group("0000 03 00", "0000 02 00"), Some(error::GROUP_MOD_INVALID), "indirect has one bucket");
    assert_eq!(group("00000007", "ffffffff"), Some(error::GROUP_MOD_INVALID));
    assert_eq!(group("ffffffff", "00000001"), Some(error::GROUP_MOD_WATCH));
    assert_eq!(group("0020 0000 00000010", "0021 0000 00000010"), Some(error::GROUP_MOD_BUCKET));
    let chained = "0000 00 00 00000007  0018 0000 ffffffff ffffffff 00000000 0016 0008 00000001";
    assert_eq!(GroupMod::decode(&hex(chained)), Err(error::GROUP_MOD_CHAINING));
    let meter = |from: &str, to: &str| MeterMod::decode(&hex(&METER.replacen(from, to, 1))).err();
    assert_eq!(meter("0000 0006", "0009 0006"), Some(error::METER_MOD_COMMAND));
    assert_eq!(meter("0000 0006", "0000 0003"), Some(error::METER_MOD_FLAGS));
    assert_eq!(meter("0000 0006", "0000 0010"), Some(error::METER_MOD_FLAGS));
    assert_eq!(meter("0001 0010", "0002 0010"), Some(error::METER_MOD_BAND));
    assert_eq!(meter("00000001", "00000000"), Some(error::METER_MOD_INVALID));
    assert_eq!(decode_role(&hex("00000004 00000000 0000000000000005")), Err(error::ROLE_BAD));
    let packet = |from: &str, to: &str| PacketOutRequest::decode(&hex(&PACKET.replacen(from, to, 1))).err();
    assert_eq!(packet("ffffffff fffffffd", "00000001 fffffffd"), Some(error::BAD_REQUEST_BUFFER_UNKNOWN));
    assert_eq!(packet("fffffffd", "ffffffff"), Some(error::BAD_REQUEST_PORT));
    assert_eq!(packet("0010 0000", "0011 0000"), Some(error::BAD_ACTION_LEN));
    let multipart: [(&str, Error); 5] = [
        ("0005 0000 00000000", error::BAD_REQUEST_MULTIPART),
        ("ffff 0000 00000000 00002320 00000000", error::BAD_REQUEST_EXPERIMENTER),
        ("0000 0001 00000000", error::BAD_REQUEST_MULTIPART_OVERFLOW),
        ("0000 0000 00000000 00", error::BAD_REQUEST_LEN),
        ("000c 0000 00000000 0040", error::TABLE_FEATURES_EPERM),
    ];
    for (wire, wanted) in multipart {
        assert_eq!(MultipartRequest::decode(&hex(wire)), Err(wanted), "{wire}");
    }
}

#[test]
fn a_hello_allows_us_by_bitmap_or_by_version() {
    assert!(hello_allows(4, &[]) && hello_allows(6, &[]) && !hello_allows(1, &[]));
    assert!(hello_allows(6, &hex("0001 0008 00000072")));
    assert!(!hello_allows(6, &hex("0001 0008 00000042")));
    assert!(hello_allows(4, &hex("0009 0006 abcd 0000 0001 0008 00000010")), "an unknown element is passed over");
    assert!(hello_allows(4, &hex("0001 0000")) && hello_allows(4, &hex("0001")), "broken elements count for nothing");
}
