//! A tap for each tunnel, as Open vSwitch has them for ports. Three tincans, each with a wire to each.

mod support;

use std::time::Duration;

use serde_json::{json, Value};
use support::overlay::{Overlay, Papers};
use support::{must, need_root, sh, wait, Net, Raw, Tincan};

const PREFIX: &str = "evt";
/// The wire between two nodes, by their indices, and the last number of both ends' addresses.
const WIRES: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

struct Trio {
    nodes: [Tincan; 3],
    overlay: Overlay,
    papers: [Papers; 3],
    net: Net,
}

fn bridge() -> Value {
    json!({ "name": "evio0", "tap": "evio-tap", "perTunnel": { "prefix": PREFIX } })
}

fn address(wire: usize, node: usize) -> String {
    format!("192.168.{}.{}", 7 + wire, 1 + node)
}

/// A link that stands for the other switch's own port: whatever it is, it is no bridge.
fn start(net: &mut Net, name: &str, papers: &Papers) -> Tincan {
    let ns = net.add(name);
    must(&format!("ip -n {ns} link add evio0 type veth peer name evio0-in"));
    Tincan::start(&ns, papers.clone())
}

/// What an agent does with a fresh tincan.
fn set_up(node: &mut Tincan, index: usize, papers: &[Papers; 3], overlay: &Overlay) {
    node.try_configure(overlay, &[], &bridge()).unwrap();
    let others: Vec<&Papers> = (0..3).filter(|other| *other != index).map(|other| &papers[other]).collect();
    node.add_members(&others);
    node.edge_flows(&others);
    for (wire, &(left, right)) in WIRES.iter().enumerate() {
        if left != index && right != index {
            continue;
        }
        let other = left + right - index;
        let port = tincan::node::derived_port(tincan::wire::Label(papers[other].label));
        let port = node.tunnel(&papers[other], &[format!("{}:{port}", address(wire, other))]);
        node.core_flow(papers[other].label, port);
    }
}

fn trio() -> Trio {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let papers = [1, 2, 3].map(|number| overlay.node(number));
    let mut nodes = [("a", &papers[0]), ("b", &papers[1]), ("c", &papers[2])].map(|(n, p)| start(&mut net, n, p));
    for (wire, &(left, right)) in WIRES.iter().enumerate() {
        let end = |node: usize| (nodes[node].ns.clone(), format!("w{wire}"), format!("{}/24", address(wire, node)));
        let (one, other) = (end(left), end(right));
        net.join((&one.0, &one.1, &one.2), (&other.0, &other.1, &other.2));
    }
    for (index, node) in nodes.iter_mut().enumerate() {
        set_up(node, index, &papers, &overlay);
    }
    for (left, right) in WIRES {
        nodes[left].wait_path(&papers[right], "direct", 8);
        nodes[right].wait_path(&papers[left], "direct", 8);
    }
    Trio { nodes, overlay, papers, net }
}

fn tap_to(node: &mut Tincan, peer: &Papers) -> String {
    node.tunnel_to(peer)["tap"].as_str().unwrap().to_owned()
}

/// The other switch's end of the tap to `peer`.
fn raw(node: &mut Tincan, peer: &Papers) -> Raw {
    let tap = tap_to(node, peer);
    Raw::open(&node.ns, &tap)
}

fn link(ns: &str, name: &str) -> String {
    String::from_utf8_lossy(&sh(&format!("ip -n {ns} -d link show {name}")).stdout).into_owned()
}

fn has_carrier(ns: &str, name: &str) -> bool {
    let shown = link(ns, name);
    shown.contains("LOWER_UP") && !shown.contains("NO-CARRIER")
}

/// The first byte of what came by each tap.
fn numbers(taps: &[Raw]) -> Vec<Vec<u8>> {
    taps.iter().map(|tap| tap.received().iter().map(|frame| frame[14]).collect()).collect()
}

fn settle() {
    std::thread::sleep(Duration::from_millis(600));
}

#[test]
fn each_tunnel_has_a_tap_whose_carrier_follows_its_path_and_the_bridge_of_others_is_left_alone() {
    let Trio { nodes: [mut a, mut b, c], papers, net: _net, .. } = trio();
    let ns = a.ns.clone();
    for peer in [&papers[1], &papers[2]] {
        let tap = tap_to(&mut a, peer);
        assert_eq!(tap, format!("{PREFIX}{}", &format!("{:016x}", peer.label)[..12]));
        wait("carrier", 3, || has_carrier(&ns, &tap).then_some(()));
        let shown = link(&ns, &tap);
        assert!(shown.contains("mtu 1400") && shown.contains("vnet_hdr on"), "{shown}");
        assert!(!shown.contains("master"), "{shown}");
        assert_eq!(must(&format!("ip -n {ns} addr show {tap}")).matches("inet").count(), 0);
        let added = json!({ "peer": peer.node_id.to_string(), "note": "test" });
        assert_eq!(a.control.call("tunnel-add", added).unwrap()["tap"], tap.as_str());
    }
    assert!(!must(&format!("ip -n {ns} link")).contains("evio-tap"), "the one tap is not made");
    let shown = link(&ns, "evio0");
    assert!(shown.contains("veth") && shown.contains("mtu 1400") && shown.contains("02:45:0a:45:00:01"), "{shown}");
    assert!(must(&format!("ip -n {ns} addr show evio0")).contains("10.69.0.1/16"));
    assert!(must(&format!("ip -n {ns} neigh show dev evio0")).contains("10.69.0.3 lladdr 02:45:0a:45:00:03"));

    let (to_b, to_c) = (tap_to(&mut a, &papers[1]), tap_to(&mut a, &papers[2]));
    let b_to_a = tap_to(&mut b, &papers[0]);
    must(&format!("ip -n {ns} link set w0 down"));
    wait("carrier off", 10, || (!has_carrier(&ns, &to_b)).then_some(()));
    wait("carrier off at the other end", 10, || (!has_carrier(&b.ns, &b_to_a)).then_some(()));
    assert!(has_carrier(&ns, &to_c));
    must(&format!("ip -n {ns} link set w0 up"));
    wait("carrier", 15, || has_carrier(&ns, &to_b).then_some(()));

    // A removed tunnel's tap goes at once, with a stop all go; what the other switch made stays.
    let peer = json!({ "peer": papers[1].node_id.to_string() });
    a.control.call("tunnel-remove", peer).unwrap();
    wait("end of the tap", 3, || link(&ns, &to_b).is_empty().then_some(()));
    assert!(a.stop(libc::SIGTERM).success());
    let links = must(&format!("ip -n {ns} link"));
    assert!(!links.contains(PREFIX) && links.contains("evio0"), "{links}");
    drop((b, c));
}

#[test]
fn the_tap_is_the_first_hop_and_what_comes_is_written_to_the_tap_of_its_tunnel() {
    let Trio { nodes: [mut a, mut b, mut c], papers, net: _net, .. } = trio();
    let to_b = tap_to(&mut a, &papers[1]);
    let senders = [raw(&mut a, &papers[1]), raw(&mut a, &papers[2])];
    let taps_of_c = [raw(&mut c, &papers[0]), raw(&mut c, &papers[1])];
    let frame = |sender: &Raw, number: u8| sender.send(papers[2].mac, papers[0].mac, &[number; 46]);

    let before = b.counter("transitRecords");
    // The first may wait for a session, and leaves then as the flows say.
    frame(&senders[1], 0);
    settle();
    numbers(&taps_of_c);
    frame(&senders[1], 1);
    settle();
    assert_eq!(numbers(&taps_of_c), [vec![1], vec![]]);
    frame(&senders[0], 2);
    settle();
    assert_eq!(numbers(&taps_of_c), [vec![], vec![2]]);
    assert!(b.counter("transitRecords") > before);

    // The tunnel is down and something is in its tap all the same: it leaves as the flows say.
    let ns = a.ns.clone();
    must(&format!("ip -n {ns} link set w0 down"));
    wait("carrier off", 10, || (!has_carrier(&ns, &to_b)).then_some(()));
    // Until the kernel has seen the carrier, up to a second later, it drops what is sent.
    let arrived = wait("a frame by the flows", 10, || {
        must(&format!("ip -n {ns} link set {to_b} carrier on"));
        frame(&senders[0], 3);
        settle();
        Some(numbers(&taps_of_c)).filter(|of| of.iter().any(|some| !some.is_empty()))
    });
    assert_eq!(arrived, [vec![3], vec![]]);

    // The tap it belongs to cannot be had: another one.
    let (ns, taken) = (c.ns.clone(), tap_to(&mut c, &papers[0]));
    c.signal(libc::SIGSTOP);
    must(&format!("ip -n {ns} link del {taken}; ip -n {ns} link add {taken} type bridge"));
    c.signal(libc::SIGCONT);
    let reason = c.control.event("unrepaired", 5);
    assert!(reason["reason"].as_str().unwrap().contains(&taken), "{reason}");
    assert_eq!((&c.tunnel_to(&papers[0])["tap"], c.counter("tapOther")), (&Value::Null, 0));
    frame(&senders[1], 4);
    settle();
    assert_eq!(taps_of_c[1].received().iter().map(|frame| frame[14]).collect::<Vec<_>>(), [4]);
    assert_eq!(c.counter("tapOther"), 1);
}

#[test]
fn a_broadcast_on_one_tap_reaches_every_node_once() {
    let Trio { nodes: [mut a, mut b, mut c], papers, net: _net, .. } = trio();
    let (sender, own) = (raw(&mut a, &papers[1]), raw(&mut a, &papers[2]));
    let of_b = [raw(&mut b, &papers[0]), raw(&mut b, &papers[2])];
    let of_c = [raw(&mut c, &papers[0]), raw(&mut c, &papers[1])];
    for (destination, number) in [([0xff; 6], 1u8), ([0x33, 0x33, 0, 0, 0, 0xfb], 2)] {
        sender.send(destination, [0x06, 1, 2, 3, 4, 5], &[number; 46]);
        settle();
    }
    assert_eq!(numbers(&of_b), [vec![1, 2], vec![]], "b has it by its tunnel to a");
    assert_eq!(numbers(&of_c), [vec![1, 2], vec![]], "c has it by its tunnel to a");
    assert!(own.received().is_empty());
    assert_eq!(a.counter("floodOriginated"), 2);
}

#[test]
fn a_killed_tincan_takes_its_taps_over_and_removes_those_whose_tunnels_are_gone() {
    let Trio { nodes: [mut a, mut b, c], papers, overlay, net: _net } = trio();
    let ns = a.ns.clone();
    let taps = [tap_to(&mut a, &papers[1]), tap_to(&mut a, &papers[2])];
    let number = |tap: &str| link(&ns, tap).split(':').next().unwrap().to_owned();
    let before = [number(&taps[0]), number(&taps[1])];
    a.signal(libc::SIGKILL);
    wait("carrier off", 3, || {
        taps.iter().all(|tap| !link(&ns, tap).is_empty() && !has_carrier(&ns, tap)).then_some(())
    });
    let (left, other) = (format!("{PREFIX}0123456789ab"), format!("{PREFIX}ba9876543210"));
    must(&format!("ip -n {ns} tuntap add {left} mode tap vnet_hdr; ip -n {ns} link add {other} type bridge"));
    a.kill_and_restart();
    set_up(&mut a, 0, &papers, &overlay);
    for (tap, peer) in taps.iter().zip(&papers[1..]) {
        a.wait_path(peer, "direct", 8);
        assert_eq!(&tap_to(&mut a, peer), tap);
        wait("carrier", 3, || has_carrier(&ns, tap).then_some(()));
    }
    assert_eq!([number(&taps[0]), number(&taps[1])], before, "the same links");
    // One that somebody removes is made again, with its carrier.
    must(&format!("ip -n {ns} link del {}", taps[0]));
    wait("repair", 5, || has_carrier(&ns, &taps[0]).then_some(()));
    let repaired = a.control.event("repaired", 5);
    assert!(repaired["what"].as_str().unwrap().contains(&format!("make tap {}", taps[0])), "{repaired}");
    let (sender, listener) = (raw(&mut a, &papers[1]), raw(&mut b, &papers[0]));
    wait("a frame by the new tap", 5, || {
        sender.send(papers[1].mac, papers[0].mac, &[7; 46]);
        listener.received().first().map(|frame| frame[14])
    });

    wait("end of the leftover", 40, || link(&ns, &left).is_empty().then_some(()));
    assert!(!link(&ns, &other).is_empty(), "no tap, not ours");
    assert!(taps.iter().all(|tap| has_carrier(&ns, tap)));
    drop((b, c));
}

#[test]
fn without_the_other_switch_s_bridge_there_is_no_node_and_another_prefix_is_a_conflict() {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let ns = net.add("a");
    let mut node = Tincan::start(&ns, overlay.node(1));
    assert_eq!(node.try_configure(&overlay, &[], &bridge()).unwrap_err(), "system");
    must(&format!("ip -n {ns} link add evio0 type veth peer name evio0-in"));
    node.try_configure(&overlay, &[], &bridge()).unwrap();
    for prefix in ["", "e/t", "7t", "evio0-tt"] {
        let other = json!({ "name": "evio0", "tap": "evio-tap", "perTunnel": { "prefix": prefix } });
        assert_eq!(node.try_configure(&overlay, &[], &other).unwrap_err(), "bad-request", "{prefix}");
    }
    let other = json!({ "name": "evio0", "tap": "evio-tap", "perTunnel": { "prefix": "other" } });
    assert_eq!(node.try_configure(&overlay, &[], &other).unwrap_err(), "conflict");
    assert!(!must(&format!("ip -n {ns} link")).contains(PREFIX), "no tunnel, no tap");
}
