use proptest::prelude::*;

use super::openflow::{error, kind, port, Error};
use super::testing::{hex, message, messages};
use super::*;
use crate::time::SECOND;

const OWN: Label = Label(0x1000);
const PEER: Label = Label(0x2000);
const OTHER: Label = Label(0x3000);

fn switch() -> Switch {
    let mut switch = Switch::new(OWN);
    switch.set_port(1, "tap", PortKind::Tap, true);
    switch.set_port(16, "peer", PortKind::Tunnel(PEER), true);
    switch.set_port(17, "other", PortKind::Tunnel(OTHER), true);
    switch
}

/// A switch with one controller that has greeted; its own hello is taken.
fn controlled() -> (Switch, ConnectionId) {
    let mut switch = switch();
    let controller = greeted(&mut switch);
    (switch, controller)
}

fn greeted(switch: &mut Switch) -> ConnectionId {
    let controller = switch.connect();
    assert_eq!(switch.outgoing(controller), hex("04 00 0010 00000000 0001 0008 00000010"));
    assert_eq!(switch.receive(controller, &message(kind::HELLO, 1, ""), 0), vec![]);
    assert_eq!(switch.outgoing(controller), Vec::<u8>::new());
    controller
}

fn ask(switch: &mut Switch, controller: ConnectionId, bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    switch.receive(controller, bytes, 0);
    messages(&switch.outgoing(controller))
}

/// The type and code of the one error that is the answer.
fn refusal(answers: &[(u8, u32, Vec<u8>)]) -> Error {
    let [(kind::ERROR, _, body)] = answers else { panic!("{answers:02x?}") };
    Error(u16::from_be_bytes([body[0], body[1]]), u16::from_be_bytes([body[2], body[3]]))
}

/// table, priority, match and instructions as hex.
fn add(switch: &mut Switch, controller: ConnectionId, table: u8, priority: u16, matching: &str, instructions: &str) {
    let fields = hex(matching);
    let length = 4 + fields.len();
    let padding = "00".repeat(length.next_multiple_of(8) - length);
    let body = format!(
        "0000000000000000 0000000000000000 {table:02x} 00 0000 0000 {priority:04x} ffffffff ffffffff ffffffff 0000 0000
         0001 {length:04x} {matching} {padding} {instructions}"
    );
    assert_eq!(ask(switch, controller, &message(kind::FLOW_MOD, 7, &body)), vec![]);
}

fn output(port: u32) -> String {
    format!("0004 0018 00000000 0000 0010 {port:08x} ffff 000000000000")
}

fn frame(destination: &str) -> Vec<u8> {
    hex(&format!("{destination} 02450a000001 0800 {}", "45".repeat(46)))
}

const TO_PEER: &str = "02450a000002";
const FOREIGN: &str = "525400000001";
const FOREIGN_MAC: Mac = [0x52, 0x54, 0, 0, 0, 1];

/// The edge and core of a small overlay: members by MAC, labels by their first bits, the rest NORMAL, groups FLOOD.
fn programmed() -> (Switch, ConnectionId) {
    let (mut switch, controller) = controlled();
    add(&mut switch, controller, 0, 10, "80000004 00000001", "0001 0008 03 000000");
    add(&mut switch, controller, 0, 5, "", &output(1));
    let set = "0004 0018 00000000 0019 0010 80004c08 0000000000002000 0001 0008 04 000000";
    add(&mut switch, controller, 3, 10, "80000606 02450a000002", set);
    add(&mut switch, controller, 3, 5, "8000070c 010000000000 010000000000", &output(port::FLOOD));
    add(&mut switch, controller, 3, 0, "", &output(port::NORMAL));
    add(&mut switch, controller, 4, 10, "80004d10 0000000000002000 fffffffffffff000", &output(16));
    add(&mut switch, controller, 4, 10, "80004d10 0000000000003000 fffffffffffff000", &output(17));
    (switch, controller)
}

#[test]
fn a_frame_for_a_member_goes_to_its_label_by_the_core_tables_port() {
    let (mut switch, _) = programmed();
    for _ in 0..2 {
        assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), [Output::Node { label: PEER, port: 16, detour: false }]);
    }
    let counters = switch.port_counters(16).expect("a port");
    assert_eq!((counters.tx_packets, counters.tx_bytes), (2, 120));
}

#[test]
fn a_frame_from_a_node_goes_to_the_tap() {
    let (mut switch, _) = programmed();
    assert_eq!(*switch.frame(16, Some(PEER), &frame("02450a000009"), 0), [Output::Tap { port: 1 }]);
}

#[test]
fn groups_and_unknown_foreign_macs_are_flooded_and_learned_ones_are_not() {
    let (mut switch, _) = programmed();
    assert_eq!(*switch.frame(1, None, &frame("ffffffffffff"), 0), [Output::Flood]);
    assert_eq!(*switch.frame(1, None, &frame(FOREIGN), 0), [Output::Flood]);
    assert!(switch.learn(FOREIGN_MAC, OTHER, true, 0).is_some());
    assert_eq!(*switch.frame(1, None, &frame(FOREIGN), 0), [Output::Node { label: OTHER, port: 17, detour: false }]);
    assert_eq!(switch.tick(300 * SECOND), vec![Learned { mac: FOREIGN_MAC, label: None }]);
    assert_eq!(*switch.frame(1, None, &frame(FOREIGN), 0), [Output::Flood]);
}

#[test]
fn a_port_that_is_down_is_detoured_and_its_return_is_noticed() {
    let (mut switch, _) = programmed();
    let direct = [Output::Node { label: PEER, port: 16, detour: false }];
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), direct);
    switch.set_port(16, "peer", PortKind::Tunnel(PEER), false);
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), [Output::Node { label: PEER, port: 17, detour: true }]);
    assert_eq!(
        switch.transit(Some(17), PEER, 0, 100, 0),
        Transit::Forward { port: 17, detour: true },
        "the only way left"
    );
    switch.set_port(17, "other", PortKind::Tunnel(OTHER), false);
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), [Output::Drop(DropReason::NoRoute(PEER))]);
    switch.set_port(16, "peer", PortKind::Tunnel(PEER), true);
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), direct);
    switch.remove_port(16);
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), [Output::Drop(DropReason::NoRoute(PEER))]);
}

#[test]
fn a_draining_port_is_served_to_flows_that_name_it_and_to_nobody_else() {
    let (mut switch, _) = programmed();
    let direct = [Output::Node { label: PEER, port: 16, detour: false }];
    assert_eq!(switch.transit(Some(16), Label(0x2fff), 0, 100, 0), Transit::Forward { port: 17, detour: true });
    switch.set_draining(17, true);
    switch.set_draining(16, true);
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), direct);
    assert_eq!(*switch.frame(16, Some(PEER), &frame("02450a000009"), 0), [Output::Tap { port: 1 }]);
    assert_eq!(switch.transit(Some(17), PEER, FLAG_DETOUR, 100, 0), Transit::Drop(DropReason::NoRoute(PEER)));
    switch.set_draining(16, false);
    assert_eq!(switch.transit(Some(17), PEER, FLAG_DETOUR, 100, 0), Transit::Forward { port: 16, detour: true });
}

#[test]
fn transit_follows_core_knows_unknown_labels_and_never_goes_back() {
    let (mut switch, _) = programmed();
    assert_eq!(switch.transit(Some(17), PEER, 0, 100, 0), Transit::Forward { port: 16, detour: false });
    assert_eq!(switch.transit(None, OTHER, 0, 100, 0), Transit::Forward { port: 17, detour: false });
    assert_eq!(switch.transit(Some(17), Label(0x9000), 0, 100, 0), Transit::Unknown);
    assert_eq!(switch.transit(Some(16), Label(0x2fff), 0, 100, 0), Transit::Forward { port: 17, detour: true });
    assert_eq!(switch.transit(Some(17), PEER, FLAG_DETOUR, 100, 0), Transit::Forward { port: 16, detour: true });
    let far = Label(0x8000_0000_0000_0000);
    assert_eq!(switch.transit(Some(17), far, FLAG_DETOUR, 100, 0), Transit::Forward { port: 16, detour: true });
    let behind = Label(0x0900);
    assert_eq!(switch.transit(Some(16), behind, FLAG_DETOUR, 100, 0), Transit::Drop(DropReason::NoRoute(behind)));
}

#[test]
fn a_frame_for_a_label_nobody_owns_says_so() {
    let (mut switch, controller) = programmed();
    let set = "0004 0018 00000000 0019 0010 80004c08 0000000000009000 0001 0008 04 000000";
    add(&mut switch, controller, 3, 20, "80000606 02450a000002", set);
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), [Output::Drop(DropReason::UnknownLabel(Label(0x9000)))]);
}

#[test]
fn a_tunnel_without_a_tunnel_id_leads_to_its_neighbour_and_in_port_back_to_the_source() {
    let (mut switch, controller) = controlled();
    add(&mut switch, controller, 0, 5, "80000004 00000001", &output(16));
    add(&mut switch, controller, 0, 5, "80000004 00000011", &output(port::IN_PORT));
    add(&mut switch, controller, 0, 5, "80000004 00000010", &output(16));
    assert_eq!(*switch.frame(1, None, &frame(FOREIGN), 0), [Output::Node { label: PEER, port: 16, detour: false }]);
    let back = [Output::Node { label: Label(0x77), port: 17, detour: false }];
    assert_eq!(*switch.frame(17, Some(Label(0x77)), &frame(FOREIGN), 0), back);
    assert_eq!(
        *switch.frame(16, Some(PEER), &frame(FOREIGN), 0),
        [Output::Drop(DropReason::Policy)],
        "never out where it came in"
    );
}

#[test]
fn a_meter_drops_what_is_above_its_rate_in_spite_of_the_cache() {
    let (mut switch, controller) = controlled();
    let meter = message(kind::METER_MOD, 1, "0000 0006 00000001 0001 0010 00000002 00000002 00000000");
    assert_eq!(ask(&mut switch, controller, &meter), vec![]);
    add(&mut switch, controller, 0, 5, "", &format!("0006 0008 00000001 {}", output(16)));
    let passed = |switch: &mut Switch, now| {
        (0..10).filter(|_| *switch.frame(1, None, &frame(FOREIGN), now) != [Output::Drop(DropReason::Meter)]).count()
    };
    assert_eq!(passed(&mut switch, 0), 2);
    assert_eq!(passed(&mut switch, SECOND), 2);
}

#[test]
fn a_packet_in_carries_frame_port_label_cookie_and_reason() {
    let (mut switch, controller) = controlled();
    add(&mut switch, controller, 0, 0, "", &output(port::CONTROLLER));
    add(&mut switch, controller, 0, 9, "80000a02 0806", &output(port::CONTROLLER));
    assert_eq!(*switch.frame(16, Some(Label(0x77)), &frame(FOREIGN), 0), []);
    let sent = messages(&switch.outgoing(controller));
    let [(kind::PACKET_IN, 0, body)] = sent.as_slice() else { panic!("{sent:?}") };
    let wanted = "ffffffff 003c 00 00 0000000000000000 0001 0018 80000004 00000010 80004c08 0000000000000077 0000";
    assert_eq!(*body, [hex(wanted), frame(FOREIGN)].concat());
    switch.frame(1, None, &hex("ffffffffffff 02450a000001 0806"), 0);
    let sent = messages(&switch.outgoing(controller));
    assert_eq!(sent[0].2[..8], hex("ffffffff 000e 01 00"), "an explicit output");
}

#[test]
fn port_changes_are_told_to_every_controller() {
    let (mut switch, first) = controlled();
    let second = greeted(&mut switch);
    switch.set_port(18, "new", PortKind::Tunnel(Label(5)), false);
    switch.set_port(18, "new", PortKind::Tunnel(Label(5)), false);
    switch.set_port(18, "new", PortKind::Tunnel(Label(5)), true);
    switch.remove_port(18);
    for controller in [first, second] {
        let told = messages(&switch.outgoing(controller));
        let reasons_and_states: Vec<_> = told.iter().map(|(_, _, body)| (body[0], body[8 + 39])).collect();
        assert_eq!(reasons_and_states, [(0, 1), (2, 4), (1, 4)]);
        assert!(told.iter().all(|(kind, _, body)| *kind == kind::PORT_STATUS && body.len() == 72));
    }
}

#[test]
fn a_flow_that_times_out_or_is_deleted_is_reported_when_it_asked_for_it() {
    let (mut switch, controller) = controlled();
    let with = |command: u8, idle: u16| {
        let body = format!(
            "0000000000000005 0000000000000000 02 {command:02x} {idle:04x} 0000 0009 ffffffff ffffffff ffffffff 0001 0000 0001 0004 00000000"
        );
        message(kind::FLOW_MOD, 7, &body)
    };
    ask(&mut switch, controller, &with(0, 3));
    assert_eq!(switch.deadline(), Some(3 * SECOND));
    assert_eq!(switch.tick(3 * SECOND), vec![]);
    let wanted =
        "0000000000000005 0009 00 02 00000003 00000000 0003 0000 0000000000000000 0000000000000000 0001 0004 00000000";
    assert_eq!(messages(&switch.outgoing(controller)), [(kind::FLOW_REMOVED, 0, hex(wanted))]);
    ask(&mut switch, controller, &with(0, 0));
    let told = ask(&mut switch, controller, &with(3, 0));
    assert_eq!((told.len(), told[0].0, told[0].2[10]), (1, kind::FLOW_REMOVED, 2));
}

#[test]
fn a_flow_set_changed_and_changed_back_forwards_as_before_and_replays_cleanly() {
    let (mut switch, controller) = programmed();
    let probes = [TO_PEER, FOREIGN, "ffffffffffff"];
    let before: Vec<Outputs> = probes.iter().map(|to| switch.frame(1, None, &frame(to), 0)).collect();
    add(&mut switch, controller, 0, 60, "80000004 00000001", &output(17));
    assert_ne!(*switch.frame(1, None, &frame(TO_PEER), 0), *before[0]);
    let delete = "0000000000000000 0000000000000000 00 04 0000 0000 003c ffffffff ffffffff ffffffff 0000 0000
        0001 000c 80000004 00000001 00000000";
    assert_eq!(ask(&mut switch, controller, &message(kind::FLOW_MOD, 8, delete)), vec![]);
    let after: Vec<Outputs> = probes.iter().map(|to| switch.frame(1, None, &frame(to), 0)).collect();
    assert_eq!(before, after);
    add(&mut switch, controller, 3, 0, "", &output(port::NORMAL));
    assert_eq!(*switch.frame(1, None, &frame(TO_PEER), 0), *before[0]);
}

#[test]
fn roles_decide_who_may_change_and_who_is_told() {
    let (mut switch, first) = controlled();
    let second = greeted(&mut switch);
    let master = |generation: u64| message(kind::ROLE_REQUEST, 1, &format!("00000002 00000000 {generation:016x}"));
    assert_eq!(ask(&mut switch, first, &master(5))[0].2, hex("00000002 00000000 0000000000000005"));
    assert_eq!(ask(&mut switch, second, &master(6))[0].0, kind::ROLE_REPLY);
    let query = message(kind::ROLE_REQUEST, 1, "00000000 00000000 0000000000000000");
    assert_eq!(
        ask(&mut switch, first, &query)[0].2,
        hex("00000003 00000000 0000000000000006"),
        "the old master is a slave"
    );
    assert_eq!(refusal(&ask(&mut switch, first, &message(kind::PACKET_OUT, 1, ""))), error::BAD_REQUEST_IS_SLAVE);
    assert_eq!(refusal(&ask(&mut switch, first, &master(5))), error::ROLE_STALE);
    add(&mut switch, second, 0, 0, "", &output(port::CONTROLLER));
    switch.frame(1, None, &frame(FOREIGN), 0);
    assert_eq!(switch.ready(), [second], "a slave gets no packet-in");
}

#[test]
fn what_is_wrong_gets_one_error_that_quotes_it_and_the_connection_lives() {
    let (mut switch, controller) = controlled();
    let cases: [(&str, Vec<u8>, Error); 9] = [
        ("an unknown type", message(60, 9, ""), error::BAD_REQUEST_TYPE),
        ("a port-mod", message(16, 9, &"00".repeat(32)), error::BAD_REQUEST_TYPE),
        ("a reply as a request", message(kind::FEATURES_REPLY, 9, ""), error::BAD_REQUEST_TYPE),
        ("an experimenter", message(kind::EXPERIMENTER, 9, "00002320 00000000"), error::BAD_REQUEST_EXPERIMENTER),
        ("a features request with a body", message(kind::FEATURES_REQUEST, 9, "00"), error::BAD_REQUEST_LEN),
        ("a flow-mod cut short", message(kind::FLOW_MOD, 9, "0000"), error::BAD_REQUEST_LEN),
        ("fragment handling", message(kind::SET_CONFIG, 9, "0001 0080"), error::SET_CONFIG_FLAGS),
        (
            "statistics of a port that is not",
            message(kind::MULTIPART_REQUEST, 9, "0004 0000 00000000 00000063 00000000"),
            error::BAD_REQUEST_PORT,
        ),
        (
            "a packet-out of no frame",
            message(kind::PACKET_OUT, 9, "ffffffff 00000001 0000 000000000000"),
            error::BAD_REQUEST_PACKET,
        ),
    ];
    for (name, request, wanted) in cases {
        let answers = ask(&mut switch, controller, &request);
        assert_eq!(refusal(&answers), wanted, "{name}");
        assert_eq!((answers[0].1, &answers[0].2[4..]), (9, &request[..request.len().min(64)]), "{name}");
    }
    let mut old = message(kind::ECHO_REQUEST, 9, "");
    old[0] = 1;
    assert_eq!(refusal(&ask(&mut switch, controller, &old)), error::BAD_REQUEST_VERSION);
    assert_eq!(
        ask(&mut switch, controller, &message(kind::ECHO_REQUEST, 3, "abcd")),
        [(kind::ECHO_REPLY, 3, hex("abcd"))]
    );
    assert!(!switch.is_closed(controller));
}

#[test]
fn a_broken_frame_or_a_wrong_hello_closes_the_connection_after_its_error() {
    let (mut switch, controller) = controlled();
    let answers = ask(&mut switch, controller, &hex("04 02 0007 00000001 ffff"));
    assert_eq!(refusal(&answers), error::BAD_REQUEST_LEN);
    assert!(switch.is_closed(controller));
    assert_eq!(switch.receive(controller, &message(kind::ECHO_REQUEST, 3, ""), 0), vec![]);
    assert_eq!(switch.outgoing(controller), Vec::<u8>::new());
    switch.disconnect(controller);
    for first in
        [message(kind::ECHO_REQUEST, 1, ""), hex("01 00 0008 00000001"), hex("06 00 0010 00000001 0001 0008 00000040")]
    {
        let controller = switch.connect();
        switch.outgoing(controller);
        assert_eq!(refusal(&ask(&mut switch, controller, &first)), error::HELLO_INCOMPATIBLE);
        assert!(switch.is_closed(controller));
    }
}

#[test]
fn a_stream_split_at_every_offset_means_the_same() {
    let stream = [
        message(kind::FEATURES_REQUEST, 1, ""),
        message(kind::FLOW_MOD, 2, "00"),
        message(kind::MULTIPART_REQUEST, 3, "000d 0000 00000000"),
        message(kind::BARRIER_REQUEST, 4, ""),
    ]
    .concat();
    let whole = {
        let (mut switch, controller) = controlled();
        ask(&mut switch, controller, &stream)
    };
    assert_eq!(
        whole.iter().map(|(kind, xid, _)| (*kind, *xid)).collect::<Vec<_>>(),
        [(6, 1), (1, 2), (19, 3), (21, 4)]
    );
    for split in 1..stream.len() {
        let (mut switch, controller) = controlled();
        let mut answers = ask(&mut switch, controller, &stream[..split]);
        answers.extend(ask(&mut switch, controller, &stream[split..]));
        assert_eq!(answers, whole, "split at {split}");
    }
}

#[test]
fn a_long_reply_is_cut_into_messages_that_say_more_follows() {
    let (mut switch, controller) = controlled();
    for i in 0..2_000u64 {
        let matching = format!("80004c08 {i:016x}");
        add(&mut switch, controller, 4, 10, &matching, &output(16));
    }
    let request =
        "0001 0000 00000000 ff 000000 ffffffff ffffffff 00000000 0000000000000000 0000000000000000 0001 0004 00000000";
    let answers = ask(&mut switch, controller, &message(kind::MULTIPART_REQUEST, 5, request));
    assert!(answers.len() == 3);
    let (last, others) = answers.split_last().expect("answers");
    assert!(others.iter().all(|(_, _, body)| body[3] == 1) && last.2[3] == 0);
    // Fixed part 48, match 16, apply-actions with one output 24.
    let total: usize = answers.iter().map(|(_, _, body)| body.len() - 8).sum();
    assert_eq!(total, 2_000 * (48 + 16 + 24));
}

#[test]
fn a_controller_that_does_not_read_costs_bounded_memory() {
    let (mut switch, controller) = controlled();
    add(&mut switch, controller, 0, 0, "", &output(port::CONTROLLER));
    (0..100_000).for_each(|_| drop(switch.frame(1, None, &frame(FOREIGN), 0)));
    assert!(switch.outgoing(controller).len() < 2 << 20);
}

#[test]
fn frames_that_are_no_frames_or_come_by_no_port_are_dropped() {
    let (mut switch, _) = programmed();
    for cut in 0..14 {
        assert_eq!(*switch.frame(1, None, &frame(TO_PEER)[..cut], 0), [Output::Drop(DropReason::Port)]);
    }
    assert_eq!(*switch.frame(99, None, &frame(TO_PEER), 0), [Output::Drop(DropReason::Port)]);
    assert_eq!(switch.port_counters(1).map(|counters| counters.rx_dropped), Some(14));
}

#[test]
fn a_tunnel_without_a_path_to_send_by_still_takes_what_its_peer_sends() {
    let (mut switch, _) = programmed();
    let delivered = [Output::Tap { port: 1 }];
    assert_eq!(*switch.frame(16, Some(PEER), &frame("02450a000009"), 0), delivered);
    switch.set_port(16, "peer", PortKind::Tunnel(PEER), false);
    assert_eq!(*switch.frame(16, Some(PEER), &frame("02450a000009"), 0), delivered);
    switch.set_port(1, "tap", PortKind::Tap, false);
    assert_eq!(
        *switch.frame(1, None, &frame(TO_PEER), 0),
        [Output::Drop(DropReason::Port)],
        "a tap that is down is down"
    );
}

/// The cache must never show: every answer equals that of a switch that has just been told the same and never seen a frame.
#[derive(Debug, Clone)]
enum Step {
    Add { table: u8, priority: u16, matching: &'static str, instructions: String },
    Delete { table: u8 },
    Port { number: u32, up: bool },
    Learn(Label),
    Frame { in_port: u32, source: Option<Label>, destination: &'static str },
    Transit { in_port: Option<u32>, destination: Label, flags: u8 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let matching = prop::sample::select(vec![
        "",
        "80000004 00000001",
        "80000606 02450a000002",
        "8000070c 010000000000 010000000000",
        "80004d10 0000000000002000 fffffffffffff000",
        "80000a02 0800",
    ]);
    let to = || prop::sample::select(vec![1, 16, 17, port::FLOOD, port::NORMAL, port::IN_PORT]);
    let set = "0004 0018 00000000 0019 0010 80004c08 0000000000002000";
    let instructions = (to(), 0u8..4, 0u8..6).prop_map(move |(port, shape, table)| match shape {
        0 => output(port),
        1 => format!("0001 0008 {table:02x} 000000"),
        2 => format!("{set} 0001 0008 {table:02x} 000000"),
        _ => String::new(),
    });
    let ports = || prop::sample::select(vec![1u32, 16, 17]);
    let labels = || prop::sample::select(vec![PEER, OTHER, Label(0x2fff), Label(0x9000)]);
    let macs = prop::sample::select(vec![TO_PEER, FOREIGN, "ffffffffffff"]);
    prop_oneof![
        3 => (0u8..5, 0u16..4, matching, instructions)
            .prop_map(|(table, priority, matching, instructions)| Step::Add { table, priority, matching, instructions }),
        1 => (0u8..5).prop_map(|table| Step::Delete { table }),
        1 => (ports(), any::<bool>()).prop_map(|(number, up)| Step::Port { number, up }),
        1 => labels().prop_map(Step::Learn),
        6 => (ports(), labels(), macs).prop_map(|(in_port, label, destination)| {
            Step::Frame { in_port, source: (in_port != 1).then_some(label), destination }
        }),
        3 => (prop::option::of(prop::sample::select(vec![16u32, 17])), labels(), 0u8..2)
            .prop_map(|(in_port, destination, flags)| Step::Transit { in_port, destination, flags }),
    ]
}

/// Tells a switch everything but frames.
fn tell(switch: &mut Switch, controller: ConnectionId, step: &Step) {
    let kinds =
        |number| if number == 1 { PortKind::Tap } else { PortKind::Tunnel(if number == 16 { PEER } else { OTHER }) };
    match step {
        Step::Add { table, priority, matching, instructions } => {
            let fields = hex(matching);
            let length = 4 + fields.len();
            let padding = "00".repeat(length.next_multiple_of(8) - length);
            let body = format!(
                "0000000000000000 0000000000000000 {table:02x} 00 0000 0000 {priority:04x} ffffffff ffffffff ffffffff 0000 0000
                 0001 {length:04x} {matching} {padding} {instructions}"
            );
            // A goto that leads back is refused; that is the same for both.
            switch.receive(controller, &message(kind::FLOW_MOD, 1, &body), 0);
        }
        Step::Delete { table } => {
            let body = format!(
                "0000000000000000 0000000000000000 {table:02x} 03 0000 0000 0000 ffffffff ffffffff ffffffff 0000 0000 0001 0004 00000000"
            );
            switch.receive(controller, &message(kind::FLOW_MOD, 1, &body), 0);
        }
        Step::Port { number, up } => switch.set_port(*number, "port", kinds(*number), *up),
        Step::Learn(label) => drop(switch.learn(FOREIGN_MAC, *label, true, 0)),
        Step::Frame { .. } | Step::Transit { .. } => {}
    }
}

proptest! {
    #[test]
    fn the_caches_never_show(steps in prop::collection::vec(any_step(), 1..50)) {
        let (mut cached, controller) = controlled();
        for (i, step) in steps.iter().enumerate() {
            tell(&mut cached, controller, step);
            let fresh = || {
                let (mut fresh, controller) = controlled();
                steps[..i].iter().for_each(|step| tell(&mut fresh, controller, step));
                fresh
            };
            match *step {
                Step::Frame { in_port, source, destination } => {
                    let wanted = fresh().frame(in_port, source, &frame(destination), 0);
                    prop_assert_eq!(&cached.frame(in_port, source, &frame(destination), 0), &wanted);
                    prop_assert_eq!(&cached.frame(in_port, source, &frame(destination), 0), &wanted, "the second time");
                }
                Step::Transit { in_port, destination, flags } => {
                    let wanted = fresh().transit(in_port, destination, flags, 100, 0);
                    prop_assert_eq!(cached.transit(in_port, destination, flags, 100, 0), wanted);
                    prop_assert_eq!(cached.transit(in_port, destination, flags, 100, 0), wanted, "the second time");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn any_bytes_from_a_controller_are_survived(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let (mut switch, controller) = controlled();
        for chunk in chunks {
            switch.receive(controller, &chunk, 0);
        }
        switch.outgoing(controller);
    }

    #[test]
    fn any_body_of_any_message_is_answered_or_taken(kind in 0u8..32, body in prop::collection::vec(any::<u8>(), 0..160)) {
        let (mut switch, controller) = controlled();
        let length = (8 + body.len()) as u16;
        let request = [&[4, kind][..], &length.to_be_bytes(), &[0; 4], &body].concat();
        let answers = ask(&mut switch, controller, &request);
        prop_assert!(answers.len() <= 1);
        prop_assert!(!switch.is_closed(controller));
    }

    #[test]
    fn any_frame_is_survived(frame in prop::collection::vec(any::<u8>(), 0..200), in_port in prop::sample::select(vec![1u32, 16])) {
        let (mut switch, _) = programmed();
        let outputs = switch.frame(in_port, Some(PEER), &frame, 0);
        prop_assert!(!outputs.is_empty());
    }
}
