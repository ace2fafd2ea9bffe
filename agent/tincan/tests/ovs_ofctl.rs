//! The switch driven by Open vSwitch's own tool over a unix socket. Needs `ovs-ofctl` (Debian: openvswitch-common).

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output as Finished, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tincan::switch::{Output, PacketOut, PortKind, Switch, Transit};
use tincan::time::monotonic;
use tincan::wire::Label;

const OWN: Label = Label(0x1000_0000_0000_0000);
const PEER: Label = Label(0x2000_0000_0000_0000);

/// A switch behind a socket, as the node has it, but with a thread for each connection.
struct Served {
    switch: Arc<Mutex<Switch>>,
    sent: Arc<Mutex<Vec<PacketOut>>>,
    path: PathBuf,
}

impl Served {
    fn new() -> Served {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("evio-switch-{}-{number}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket in the temporary directory");
        let mut switch = Switch::new(OWN);
        switch.set_port(1, "evio0-tap", PortKind::Tap, true);
        switch.set_port(16, "tunnel-a", PortKind::Tunnel(PEER), true);
        switch.set_port(17, "tunnel-b", PortKind::Tunnel(Label(0x3000_0000_0000_0000)), true);
        let switch = Arc::new(Mutex::new(switch));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (shared, frames) = (Arc::clone(&switch), Arc::clone(&sent));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (switch, sent) = (Arc::clone(&shared), Arc::clone(&frames));
                std::thread::spawn(move || serve(stream, &switch, &sent));
            }
        });
        Served { switch, sent, path }
    }

    fn ofctl(&self, arguments: &[&str]) -> Finished {
        let (command, rest) = arguments.split_first().expect("a command");
        let mut ofctl = Command::new("ovs-ofctl");
        ofctl
            .args(["-O", "OpenFlow13", "--timeout=10", command])
            .arg(format!("unix:{}", self.path.display()))
            .args(rest);
        ofctl
            .stdin(Stdio::null())
            .output()
            .expect("ovs-ofctl is not installed; this test needs Debian's openvswitch-common")
    }

    /// What it prints; a refusal fails the test.
    fn run(&self, arguments: &[&str]) -> String {
        let finished = self.ofctl(arguments);
        let text = String::from_utf8_lossy(&finished.stdout).into_owned() + &String::from_utf8_lossy(&finished.stderr);
        assert!(finished.status.success(), "ovs-ofctl {arguments:?}: {text}");
        text
    }

    /// What it says when the switch refuses.
    fn refused(&self, arguments: &[&str]) -> String {
        let finished = self.ofctl(arguments);
        let text = String::from_utf8_lossy(&finished.stderr).into_owned();
        assert!(text.contains("OFPT_ERROR"), "ovs-ofctl {arguments:?} was not refused: {text}");
        text
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(mut stream: UnixStream, switch: &Mutex<Switch>, sent: &Mutex<Vec<PacketOut>>) {
    let id = switch.lock().expect("lock").connect();
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let mut bytes = [0; 4096];
    loop {
        let outgoing = switch.lock().expect("lock").outgoing(id);
        if stream.write_all(&outgoing).is_err() || switch.lock().expect("lock").is_closed(id) {
            break;
        }
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(length) => {
                let frames = switch.lock().expect("lock").receive(id, &bytes[..length], monotonic());
                sent.lock().expect("lock").extend(frames);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    switch.lock().expect("lock").disconnect(id);
}

/// Flow lines without what changes from run to run.
fn flows(dump: &str) -> Vec<String> {
    let lines = dump.lines().filter(|line| line.contains("table="));
    lines
        .map(|line| {
            let fields =
                line.trim().split(' ').filter(|field| !field.starts_with("duration=") && !field.starts_with("cookie="));
            fields.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn show_tells_the_datapath_and_its_ports() {
    let served = Served::new();
    let shown = served.run(&["show"]);
    assert!(shown.contains("dpid:1000000000000000"), "{shown}");
    assert!(shown.contains("n_tables:16"), "{shown}");
    assert!(shown.contains(" 1(evio0-tap)"), "{shown}");
    assert!(shown.contains(" 16(tunnel-a)") && shown.contains("state:      LIVE"), "{shown}");
    assert!(served.run(&["dump-desc"]).contains("Manufacturer: Evio"));
}

#[test]
fn flows_of_every_match_kind_are_dumped_as_they_were_added() {
    let served = Served::new();
    let added = [
        "table=0, priority=100,in_port=1 actions=goto_table:1",
        "table=1, priority=90,arp,in_port=1,arp_spa=10.0.0.0/8,arp_op=1 actions=CONTROLLER:65535",
        "table=1, priority=80,icmp6,icmp_type=135,nd_target=fe80::1 actions=CONTROLLER:65535",
        "table=1, priority=70,dl_src=02:45:00:00:00:00/ff:ff:00:00:00:00 actions=drop",
        "table=2, priority=60,tcp,vlan_tci=0x1005/0x1fff,tp_dst=80 actions=output:16",
        "table=2, priority=50,udp6,ipv6_src=fd00::/64,udp_src=53 actions=NORMAL",
        "table=3, priority=40,dl_dst=02:45:0a:00:00:02 actions=set_field:0x2000000000000000->tun_id,goto_table:4",
        "table=3, priority=30,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=FLOOD",
        "table=4, priority=20,tun_id=0x2000000000000000/0xf000000000000000 actions=output:16",
        "table=5, priority=10,ip,nw_tos=32,nw_ecn=1,nw_src=10.1.0.0/16 actions=write_metadata:0x5/0xff,goto_table:6",
        "table=6, priority=0 actions=clear_actions,write_actions(set_field:0x7->tun_id,output:1)",
    ];
    for flow in added {
        served.run(&["add-flow", flow]);
    }
    let dump = served.run(&["dump-flows"]);
    let dumped = flows(&dump);
    assert_eq!(dumped.len(), added.len(), "{dump}");
    for wanted in [
        "table=0, n_packets=0, n_bytes=0, priority=100,in_port=1 actions=goto_table:1",
        "table=1, n_packets=0, n_bytes=0, priority=90,arp,in_port=1,arp_spa=10.0.0.0/8,arp_op=1 actions=CONTROLLER:65535",
        "table=1, n_packets=0, n_bytes=0, priority=80,icmp6,icmp_type=135,nd_target=fe80::1 actions=CONTROLLER:65535",
        "table=1, n_packets=0, n_bytes=0, priority=70,dl_src=02:45:00:00:00:00/ff:ff:00:00:00:00 actions=drop",
        "table=2, n_packets=0, n_bytes=0, priority=60,tcp,dl_vlan=5,tp_dst=80 actions=output:16",
        "table=2, n_packets=0, n_bytes=0, priority=50,udp6,ipv6_src=fd00::/64,tp_src=53 actions=NORMAL",
        "table=3, n_packets=0, n_bytes=0, priority=40,dl_dst=02:45:0a:00:00:02 actions=set_field:0x2000000000000000->tun_id,goto_table:4",
        "table=3, n_packets=0, n_bytes=0, priority=30,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=FLOOD",
        "table=4, n_packets=0, n_bytes=0, priority=20,tun_id=0x2000000000000000/0xf000000000000000 actions=output:16",
        "table=5, n_packets=0, n_bytes=0, priority=10,ip,nw_src=10.1.0.0/16,nw_tos=32,nw_ecn=1 actions=write_metadata:0x5/0xff,goto_table:6",
    ] {
        assert!(dumped.iter().any(|flow| flow == wanted), "{wanted}\nis not in\n{}", dumped.join("\n"));
    }
    assert_eq!(flows(&served.run(&["dump-flows", "table=3"])).len(), 2);
    served.run(&["del-flows", "table=3,dl_dst=02:45:0a:00:00:02"]);
    served.run(&["del-flows", "--strict", "table=0,priority=100,in_port=1"]);
    assert_eq!(flows(&served.run(&["dump-flows"])).len(), added.len() - 2);
    served.run(&["del-flows"]);
    assert_eq!(flows(&served.run(&["dump-flows"])).len(), 0);
}

#[test]
fn frames_and_records_follow_the_flows_and_are_counted() {
    let served = Served::new();
    served.run(&[
        "add-flow",
        "table=0,dl_dst=02:45:0a:00:00:02,actions=set_field:0x2000000000000000->tun_id,goto_table:4",
    ]);
    served.run(&["add-flow", "table=4,tun_id=0x2000000000000000/0xf000000000000000,actions=output:16"]);
    let frame = [&[2, 0x45, 10, 0, 0, 2, 2, 0x45, 10, 0, 0, 1, 8, 0][..], &[0x45; 86]].concat();
    {
        let mut switch = served.switch.lock().expect("lock");
        for _ in 0..3 {
            let outputs = switch.frame(1, None, &frame, monotonic());
            assert_eq!(*outputs, [Output::Node { label: PEER, port: 16, detour: false }]);
        }
        let transit = switch.transit(Some(17), PEER, 0, 1_000, monotonic());
        assert_eq!(transit, Transit::Forward { port: 16, detour: false });
    }
    let dump = served.run(&["dump-flows"]);
    assert!(dump.contains("table=0, n_packets=3, n_bytes=300"), "{dump}");
    assert!(dump.contains("table=4, n_packets=4, n_bytes=1300"), "{dump}");
    let ports = served.run(&["dump-ports"]);
    assert!(ports.contains("rx pkts=3, bytes=300") && ports.contains("tx pkts=4, bytes=1300"), "{ports}");
    assert!(served.run(&["dump-ports", "16"]).contains("1 ports"), "one port");
    assert!(served.run(&["dump-aggregate"]).contains("packet_count=7 byte_count=1600 flow_count=2"));
    let tables = served.run(&["dump-tables"]);
    assert!(tables.contains("active=1, lookup=4, matched=4"), "{tables}");
}

#[test]
fn groups_and_meters_are_added_used_dumped_and_deleted() {
    let served = Served::new();
    served.run(&["add-group", "group_id=7,type=ff,bucket=watch_port:16,output:16,bucket=watch_port:17,output:17"]);
    served.run(&["add-flow", "table=4,actions=group:7"]);
    served.run(&["add-meter", "meter=1,pktps,burst,band=type=drop,rate=100,burst_size=10"]);
    served.run(&["add-flow", "table=0,arp,actions=meter:1,CONTROLLER:65535"]);
    let groups = served.run(&["dump-groups"]);
    assert!(
        groups.contains("group_id=7,type=ff,bucket=watch_port:16,actions=output:16,bucket=watch_port:17"),
        "{groups}"
    );
    served.switch.lock().expect("lock").set_port(16, "tunnel-a", PortKind::Tunnel(PEER), false);
    let transit = served.switch.lock().expect("lock").transit(None, PEER, 0, 100, monotonic());
    assert_eq!(transit, Transit::Forward { port: 17, detour: true });
    let stats = served.run(&["dump-group-stats"]);
    assert!(stats.contains("group_id=7") && stats.contains("ref_count=1,packet_count=1,byte_count=100"), "{stats}");
    assert!(stats.contains("bucket1:packet_count=1,byte_count=100"), "{stats}");
    let meters = served.run(&["dump-meters"]);
    assert!(
        meters.contains("meter=1 pktps burst bands=") && meters.contains("type=drop rate=100 burst_size=10"),
        "{meters}"
    );
    assert!(served.run(&["meter-stats"]).contains("meter:1 flow_count:1"));
    assert!(served.run(&["meter-features"]).contains("max_bands:8"));
    served.run(&["dump-group-features"]);
    served.run(&["del-groups"]);
    served.run(&["del-meters"]);
    assert_eq!(flows(&served.run(&["dump-flows"])), Vec::<String>::new(), "flows go with their groups and meters");
}

#[test]
fn a_packet_out_leaves_by_its_actions() {
    let served = Served::new();
    served.run(&["packet-out", "in_port=CONTROLLER packet=ffffffffffff02450a0000010806 actions=output:1,output:16"]);
    let sent = served.sent.lock().expect("lock");
    let [packet] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(*packet.outputs, [Output::Tap { port: 1 }, Output::Node { label: PEER, port: 16, detour: false }]);
    assert_eq!(packet.frame.len(), 14);
}

#[test]
fn what_is_not_supported_is_refused_with_the_standards_error() {
    let served = Served::new();
    for (arguments, name) in [
        (["add-flow", "table=4,actions=group:99"], "OFPBAC_BAD_OUT_GROUP"),
        (["add-flow", "table=200,actions=drop"], "OFPFMFC_BAD_TABLE_ID"),
        (["add-flow", "table=3,actions=goto_table:16"], "OFPBIC_BAD_TABLE_ID"),
        (["add-flow", "ip,actions=set_field:1.2.3.4->nw_src"], "OFPBAC_BAD_SET_TYPE"),
        (["add-flow", "ip,actions=dec_ttl"], "OFPBAC_BAD_TYPE"),
        (["add-flow", "actions=LOCAL"], "OFPBAC_BAD_OUT_PORT"),
        (["add-flow", "reg1=5,actions=drop"], "OFPBMC_BAD_FIELD"),
        (["add-flow", "actions=meter:5,output:1"], "OFPMMFC_UNKNOWN_METER"),
        (["add-group", "group_id=1,type=select,bucket=output:1"], "OFPGMFC_BAD_TYPE"),
        (["add-meter", "meter=1,kbps,band=type=dscp_remark,rate=1,prec_level=1"], "OFPMMFC_BAD_BAND"),
        (["mod-port", "1"], "OFPBRC_BAD_TYPE"),
    ] {
        let arguments: Vec<&str> =
            arguments.into_iter().chain((arguments[0] == "mod-port").then_some("down")).collect();
        let said = served.refused(&arguments);
        assert!(said.contains(name), "{arguments:?}: {said}");
    }
    assert!(served.run(&["show"]).contains("n_tables:16"), "the switch lives");
}

#[test]
fn table_features_and_diff_work_on_the_whole_pipeline() {
    let served = Served::new();
    let features = served.run(&["dump-table-features"]);
    assert!(features.contains("table 4 (\"core\")"), "{features}");
    assert!(features.contains("tun_id"), "{features}");
    let file = served.path.with_extension("flows");
    std::fs::write(&file, "table=0,priority=5,actions=goto_table:3\ntable=3,actions=NORMAL\n").expect("a file");
    let name = file.to_string_lossy().into_owned();
    served.run(&["add-flow", "table=9,actions=drop"]);
    served.run(&["replace-flows", &name]);
    let dump = served.run(&["dump-flows"]);
    assert_eq!(flows(&dump).len(), 2, "{dump}");
    std::fs::remove_file(&file).expect("the file again");
}
