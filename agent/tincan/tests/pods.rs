//! Pods behind nodes: routed by the kernel of their node and over the overlay, or ports of its bridge.

mod support;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::{json, Value};
use support::overlay::Overlay;
use support::{caller_seen, iperf, must, need_root, sh, wait, Net, Raw, Tincan};

const WIRE: [&str; 2] = ["192.168.7.1", "192.168.7.2"];

struct World {
    a: Tincan,
    b: Tincan,
    overlay: Overlay,
    net: Net,
}

/// Two nodes on one wire, each with a prefix for pods.
fn world() -> World {
    let mut net = Net::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    let [ip_a, ip_b] = WIRE.map(|ip| format!("{ip}/24"));
    net.join((&ns_a, "wire", &ip_a), (&ns_b, "wire", &ip_b));
    let overlay = Overlay::new();
    let mut a = Tincan::start(&ns_a, overlay.node_with_pods(1));
    let mut b = Tincan::start(&ns_b, overlay.node_with_pods(2));
    let ports = [&mut a, &mut b].map(|node| {
        // As evio-cni leaves a node.
        must(&format!("ip netns exec {} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", node.ns));
        node.configure(&overlay, &[])["udpPort"].as_u64().unwrap()
    });
    let (papers_a, papers_b) = (a.papers.clone(), b.papers.clone());
    for (node, peer, address) in [
        (&mut a, &papers_b, format!("{}:{}", WIRE[1], ports[1])),
        (&mut b, &papers_a, format!("{}:{}", WIRE[0], ports[0])),
    ] {
        node.add_members(&[peer]);
        node.edge_flows(&[peer]);
        let port = node.tunnel(peer, &[address]);
        node.core_flow(peer.label, port);
    }
    a.wait_path(&papers_b, "direct", 5);
    b.wait_path(&papers_a, "direct", 5);
    World { a, b, overlay, net }
}

/// Pod `host` of a node as evio-cni makes it with a routed attachment: its namespace.
fn routed_pod(net: &mut Net, node: &Tincan, host: u8) -> String {
    let number = node.papers.ipv4.octets()[3];
    let pod = net.add(&format!("pod{number}-{host}"));
    let (ns, link) = (&node.ns, format!("evc{number}-{host}"));
    let (v4, v6) = (format!("10.70.{number}.{host}"), format!("fd70:0:0:{number}::{host}"));
    let (gateway4, gateway6) = (node.papers.ipv4, node.papers.ipv6);
    must(&format!(
        "ip -n {ns} link add {link} type veth peer name eth0 netns {pod}
         ip -n {ns} link set {link} up; ip -n {pod} link set eth0 up
         host=$(ip netns exec {ns} cat /sys/class/net/{link}/address)
         mac=$(ip netns exec {pod} cat /sys/class/net/eth0/address)
         ip -n {pod} addr add {v4}/32 dev eth0; ip -n {pod} addr add {v6}/128 dev eth0 nodad
         for gateway in {gateway4} {gateway6}; do
           ip -n {pod} neigh replace $gateway lladdr $host dev eth0 nud permanent
           ip -n {pod} route add default via $gateway dev eth0 onlink
         done
         ip -n {ns} route add {v4}/32 dev {link}; ip -n {ns} -6 route add {v6}/128 dev {link}
         for address in {v4} {v6}; do ip -n {ns} neigh replace $address lladdr $mac dev {link} nud permanent; done"
    ));
    pod
}

/// As whom somebody at this address of `to` sees a caller from `from`.
fn seen_as(from: &str, to: &str, address: &str) -> Option<IpAddr> {
    let address = SocketAddr::new(address.parse().unwrap(), 7000);
    caller_seen(from, address, to, address)
}

fn route_to(node: &Tincan, address: &str) -> String {
    String::from_utf8_lossy(&sh(&format!("ip -n {} route get {address}", node.ns)).stdout).into_owned()
}

fn ours(node: &Tincan) -> String {
    must(&format!("ip -n {0} -4 route show proto 69; ip -n {0} -6 route show proto 69", node.ns))
}

fn ping(ns: &str, address: &str, options: &str) -> bool {
    sh(&format!("ip netns exec {ns} ping -c 2 -i 0.1 -W 1 {options} {address}")).status.success()
}

/// The problems told last.
fn problems(node: &mut Tincan, seconds: u64) -> Value {
    node.control.event("problems", seconds)["problems"].clone()
}

fn order_firewall(node: &mut Tincan) {
    let number = node.papers.ipv4.octets()[3];
    let order = json!({
        "podCIDRs": [format!("10.70.{number}.0/24"), format!("fd70:0:0:{number}::/64")],
        "overlayCIDRs": ["10.69.0.0/16", "10.70.0.0/16", "fd45::/64", "fd70::/48"],
        "hostInterfacePrefix": "evc",
    });
    node.control.call("firewall", order).unwrap();
    let ns = node.ns.clone();
    wait("firewall", 5, || has_table(&ns).then_some(()));
}

fn has_table(ns: &str) -> bool {
    sh(&format!("ip netns exec {ns} nft list table inet evio")).status.success()
}

/// Mean bytes of what crossed a node's tap: `tx` came from the kernel, `rx` from tincan.
fn mean_frame(node: &Tincan, direction: &str) -> f64 {
    let of = |what: &str| {
        let path = format!("/sys/class/net/evio-tap/statistics/{direction}_{what}");
        must(&format!("ip netns exec {} cat {path}", node.ns)).trim().parse::<f64>().unwrap()
    };
    of("bytes") / of("packets")
}

#[test]
fn pods_super_frames_cross_the_overlay_whole() {
    need_root();
    let World { a, b, overlay: _overlay, mut net } = world();
    let (pod_a, pod_b) = (routed_pod(&mut net, &a, 5), routed_pod(&mut net, &b, 6));
    wait("pods reach each other", 5, || ping(&pod_a, "10.70.2.6", "").then_some(()));
    iperf(&pod_b, &pod_a, "10.70.2.6", 1);
    // Some 48 segments each; without them a frame is 1,400 bytes. Acknowledgements and handshakes go the other way.
    for (node, direction) in [(&a, "tx"), (&b, "rx")] {
        let mean = mean_frame(node, direction);
        assert!(mean > 20_000.0, "{direction} of {}: {mean} bytes a frame", node.ns);
    }
}

#[test]
fn routes_follow_the_members_and_come_back_when_somebody_deletes_them() {
    need_root();
    let World { mut a, b, overlay, net: _net } = world();
    wait("routes", 3, || route_to(&a, "10.70.2.5").contains("via 10.69.0.2 dev evio0").then_some(()));
    assert!(route_to(&a, "fd70:0:0:2::5").contains("via fd45::2 dev evio0"));
    assert_eq!(route_to(&a, "10.70.1.99"), "", "there is no such pod, and no way out for it");
    must(&format!("ip -n {} route flush proto 69", a.ns));
    wait("routes again", 5, || route_to(&a, "10.70.2.5").contains("via 10.69.0.2 dev evio0").then_some(()));
    let repaired = a.control.event("repaired", 5);
    assert_eq!(repaired["what"], "set 2 routes", "{repaired}");
    must(&format!("ip -n {} -6 route del fd70:0:0:2::/64", a.ns));
    wait("route again", 5, || route_to(&a, "fd70:0:0:2::5").contains("via fd45::2").then_some(()));
    assert_eq!(a.control.event("repaired", 5)["what"], "set route fd70:0:0:2::/64 via fd45::2");

    a.control.call("revocations", json!({ "list": support::overlay::b64(&overlay.revoke(1, &b.papers)) })).unwrap();
    wait("end of the routes", 5, || (!ours(&a).contains("via")).then_some(()));
    assert!(ours(&a).contains("unreachable 10.70.1.0/24"), "{}", ours(&a));
    let third = overlay.node_with_pods_for(3, 4);
    a.add_members(&[&third]);
    wait("route", 3, || ours(&a).contains("10.70.3.0/24 via 10.69.0.3").then_some(()));
    // Certificates are looked at every ten seconds.
    wait("end of a certificate and of its route", 25, || (!ours(&a).contains("10.70.3.0/24")).then_some(()));
    assert!(a.stop(libc::SIGTERM).success());
    assert_eq!(ours(&a), "");
}

#[test]
fn routes_stay_when_the_bridge_does_and_the_next_tincan_takes_them_over() {
    need_root();
    let World { a, mut b, overlay, net: _net } = world();
    wait("routes", 3, || (ours(&b).lines().count() == 4).then_some(()));
    b.control.call("shutdown", json!({ "keepBridge": true })).unwrap();
    wait("end", 3, || (!b.run_dir.join("control.sock").exists()).then_some(()));
    assert_eq!(ours(&b).lines().count(), 4);
    // It would say who it is to the next one.
    drop(a);
    b.kill_and_restart();
    b.configure(&overlay, &[]);
    // It knows no members yet.
    wait("routes of nobody gone", 3, || (ours(&b).lines().count() == 2).then_some(()));
    assert!(b.stop(libc::SIGTERM).success());
    assert_eq!(ours(&b), "");
}

#[test]
fn a_route_of_the_machine_that_meets_a_prefix_is_a_problem_with_both_names_until_it_is_gone() {
    need_root();
    let World { mut a, b: _b, overlay, net: _net } = world();
    let route = "10.70.2.128/25 via 192.168.7.9";
    must(&format!("ip -n {} route add {route}", a.ns));
    let told = problems(&mut a, 5);
    assert_eq!(told[0]["kind"], "address-conflict");
    let text = told[0]["text"].as_str().unwrap();
    let expected = "10.70.2.0/24 of node node2 meets the route 10.70.2.128/25 via 192.168.7.9 dev wire of this machine, which takes its packets: ";
    assert!(text.starts_with(expected), "{text}");
    // A client that comes back hears of it, and the route stays.
    a.configure(&overlay, &[]);
    assert_eq!(problems(&mut a, 5), told);
    assert!(must(&format!("ip -n {} route show", a.ns)).contains(route));
    must(&format!("ip -n {} route del {route}", a.ns));
    assert_eq!(problems(&mut a, 5), json!([]));
}

#[test]
fn pods_behind_two_nodes_talk_by_their_own_addresses() {
    need_root();
    let World { mut a, mut b, overlay: _overlay, mut net } = world();
    let (pod_a, pod_b) = (routed_pod(&mut net, &a, 5), routed_pod(&mut net, &b, 6));
    order_firewall(&mut a);
    order_firewall(&mut b);
    for address in ["10.70.2.6", "fd70:0:0:2::6"] {
        wait("pod", 5, || ping(&pod_a, address, "").then_some(()));
    }
    assert_eq!(seen_as(&pod_a, &pod_b, "10.70.2.6"), Some("10.70.1.5".parse().unwrap()));
    assert_eq!(seen_as(&pod_a, &pod_b, "fd70:0:0:2::6"), Some("fd70:0:0:1::5".parse().unwrap()));
    assert_eq!(seen_as(&pod_b, &pod_a, "10.70.1.5"), Some("10.70.2.6".parse().unwrap()));
    // The node itself, and a pod's own node.
    assert_eq!(seen_as(&a.ns, &pod_b, "10.70.2.6"), Some("10.69.0.1".parse().unwrap()));
    assert_eq!(seen_as(&pod_a, &a.ns, "10.69.0.1"), Some("10.70.1.5".parse().unwrap()));
    let other = routed_pod(&mut net, &a, 7);
    assert_eq!(seen_as(&pod_a, &other, "10.70.1.7"), Some("10.70.1.5".parse().unwrap()));
    assert!(!ping(&pod_b, "10.70.1.99", ""), "a pod that is not there");
    assert_eq!(b.counter("sourceAddressRefused") + a.counter("sourceAddressRefused"), 0);
}

#[test]
fn a_pod_that_speaks_by_another_address_gets_nowhere_and_a_node_that_lets_it_is_not_believed() {
    need_root();
    let World { mut a, mut b, overlay, mut net } = world();
    let (pod_a, _pod_b) = (routed_pod(&mut net, &a, 5), routed_pod(&mut net, &b, 6));
    b.add_members(&[&overlay.node_with_pods(3)]);
    must(&format!("ip -n {pod_a} addr add 10.70.3.9/32 dev eth0; ip -n {pod_a} addr add 10.70.1.200/32 dev eth0"));
    must(&format!("ip -n {pod_a} addr add fd70:0:0:3::9/128 dev eth0 nodad"));
    wait("pod", 5, || ping(&pod_a, "10.70.2.6", "").then_some(()));
    // Without its firewall node a forwards what the pod sends, and node b sees by whose session it comes.
    for (source, target) in [("10.70.3.9", "10.70.2.6"), ("fd70:0:0:3::9", "fd70:0:0:2::6")] {
        let before = b.counter("sourceAddressRefused");
        assert!(!ping(&pod_a, target, &format!("-I {source}")));
        assert!(b.counter("sourceAddressRefused") > before, "{source}");
    }
    let refused = b.counter("sourceAddressRefused");
    order_firewall(&mut a);
    for source in ["10.70.3.9", "10.70.1.200", "fd70:0:0:3::9"] {
        let target = if source.contains(':') { "fd70:0:0:2::6" } else { "10.70.2.6" };
        assert!(!ping(&pod_a, target, &format!("-I {source}")), "{source}");
    }
    assert_eq!(b.counter("sourceAddressRefused"), refused, "none of it left node a");
    assert!(ping(&pod_a, "10.70.2.6", "-I 10.70.1.5"));
    assert!(ping(&pod_a, "fd70:0:0:2::6", "-I fd70:0:0:1::5"));
}

#[test]
fn what_leaves_the_overlay_is_masqueraded_by_a_table_that_comes_back_and_goes_with_tincan() {
    need_root();
    let World { mut a, b: _b, overlay: _overlay, mut net } = world();
    let pod = routed_pod(&mut net, &a, 5);
    let outside = net.add("outside");
    net.join((&a.ns, "out", "192.168.9.1/24"), (&outside, "in", "192.168.9.2/24"));
    must(&format!(
        "ip -n {} addr add 2001:db8:9::1/64 dev out nodad; ip -n {outside} addr add 2001:db8:9::2/64 dev in nodad",
        a.ns
    ));
    must(&format!("ip netns exec {} nft 'add table inet other; add chain inet other kept'", a.ns));
    assert_eq!(seen_as(&pod, &outside, "192.168.9.2"), None, "nobody outside knows the way to a pod");
    order_firewall(&mut a);
    assert_eq!(seen_as(&pod, &outside, "192.168.9.2"), Some("192.168.9.1".parse().unwrap()));
    assert_eq!(seen_as(&pod, &outside, "2001:db8:9::2"), Some("2001:db8:9::1".parse().unwrap()));
    // Another order for the same changes nothing, a flush is made good.
    order_firewall(&mut a);
    must(&format!("ip netns exec {} nft flush ruleset", a.ns));
    wait("the table", 6, || has_table(&a.ns).then_some(()));
    assert_eq!(a.control.event("repaired", 5)["what"], "set table inet evio of nftables");
    must(&format!("ip netns exec {} nft 'add table inet other; flush chain inet evio to-outside'", a.ns));
    let ns = a.ns.clone();
    let masquerades = || {
        let listed = sh(&format!("ip netns exec {ns} nft list table inet evio"));
        String::from_utf8_lossy(&listed.stdout).contains("masquerade").then_some(())
    };
    wait("its rules", 6, masquerades);
    a.control.call("firewall", Value::Null).unwrap();
    wait("no table", 5, || (!has_table(&a.ns)).then_some(()));
    order_firewall(&mut a);
    assert!(a.stop(libc::SIGTERM).success());
    assert!(!has_table(&ns));
    assert!(must(&format!("ip netns exec {ns} nft list tables")).contains("table inet other"));
}

#[test]
fn without_nft_that_is_one_problem_and_a_wrong_order_is_refused() {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let ns = net.add("a");
    let mut node = Tincan::start_with(&ns, overlay.node_with_pods(1), &["PATH=/nowhere"]);
    node.configure(&overlay, &[]);
    let order =
        |pods: &str, prefix: &str| json!({ "podCIDRs": [pods], "overlayCIDRs": [], "hostInterfacePrefix": prefix });
    for wrong in [order("10.70.1.1/24", "evc"), order("10.70.1.0/24; drop", "evc"), order("10.70.1.0/24", "e\" drop")] {
        assert_eq!(node.control.call("firewall", wrong), Err("bad-request".into()));
    }
    node.control.call("firewall", order("10.70.1.0/24", "evc")).unwrap();
    let told = problems(&mut node, 5);
    assert_eq!(told, json!([{ "kind": "firewall", "text": "the program nft is not in PATH: install nftables" }]));
    node.control.call("firewall", Value::Null).unwrap();
    assert!(node.stop(libc::SIGTERM).success());
}

/// A pod as a port of the node's bridge: its namespace and MAC.
fn flat_pod(net: &mut Net, node: &Tincan, host: u8) -> (String, [u8; 6]) {
    let number = node.papers.ipv4.octets()[3];
    let pod = net.add(&format!("flat{number}-{host}"));
    let (ns, link) = (&node.ns, format!("evc{number}-{host}"));
    let mac = [0x02, 0x46, 10, 70, number, host];
    let text = mac.map(|byte| format!("{byte:02x}")).join(":");
    must(&format!(
        "ip -n {ns} link add {link} type veth peer name eth0 address {text} netns {pod}
         ip -n {ns} link set {link} master evio0 up; ip -n {pod} link set eth0 up mtu 1400
         ip -n {pod} addr add 10.70.{number}.{host}/16 dev eth0
         ip -n {pod} addr add fd70:0:0:{number}::{host}/48 dev eth0 nodad"
    ));
    (pod, mac)
}

#[test]
fn pods_that_are_ports_of_two_nodes_bridges_are_in_one_network() {
    need_root();
    let World { mut a, mut b, overlay: _overlay, mut net } = world();
    let (pod_a, mac_a) = flat_pod(&mut net, &a, 5);
    let (pod_b, mac_b) = flat_pod(&mut net, &b, 6);
    // ARP and ND are flooded, answered by the pod, and what follows is sent to its node alone.
    for (from, address) in
        [(&pod_a, "10.70.2.6"), (&pod_b, "10.70.1.5"), (&pod_a, "fd70:0:0:2::6"), (&pod_b, "fd70:0:0:1::5")]
    {
        wait("pod", 5, || ping(from, address, "").then_some(()));
    }
    let neighbours = must(&format!("ip -n {pod_a} neigh show"));
    assert!(neighbours.contains("10.70.2.6 dev eth0 lladdr 02:46:0a:46:02:06"), "{neighbours}");
    assert!(neighbours.contains("fd70:0:0:2::6 dev eth0 lladdr 02:46:0a:46:02:06"), "{neighbours}");
    assert_eq!(seen_as(&pod_a, &pod_b, "10.70.2.6"), Some("10.70.1.5".parse().unwrap()));
    // Groups reach the other node's pods and its own ones, once; a frame for one pod reaches nobody else.
    let (other, _) = flat_pod(&mut net, &b, 7);
    std::thread::sleep(Duration::from_millis(300));
    let (sender, listener, beside) = (Raw::open(&pod_a, "eth0"), Raw::open(&pod_b, "eth0"), Raw::open(&other, "eth0"));
    let groups = [[0x01, 0, 0x5e, 1, 2, 3], [0x33, 0x33, 0, 0, 0, 0xfb], [0xff; 6]];
    for (number, destination) in groups.iter().chain([&mac_b]).enumerate() {
        sender.send(*destination, mac_a, &[number as u8; 46]);
    }
    std::thread::sleep(Duration::from_millis(1000));
    let numbers = |raw: &Raw| raw.received().iter().map(|frame| frame[14]).collect::<Vec<u8>>();
    assert_eq!(numbers(&listener), [0, 1, 2, 3]);
    assert_eq!(numbers(&beside), [0, 1, 2]);
    // A node reaches its own pods on the bridge, and those of others by their node.
    must(&format!("ip -n {} addr add 10.70.1.1/16 dev evio0; ip -n {} addr add 10.70.2.1/16 dev evio0", a.ns, b.ns));
    for (pod, gateway) in [(&pod_a, "10.70.1.1"), (&pod_b, "10.70.2.1")] {
        must(&format!("ip -n {pod} route add default via {gateway}"));
    }
    wait("own pod", 5, || ping(&a.ns, "10.70.1.5", "").then_some(()));
    wait("other pod", 5, || ping(&a.ns, "10.70.2.6", "").then_some(()));
    assert_eq!(a.counter("sourceAddressRefused") + b.counter("sourceAddressRefused"), 0);
    // Nobody is another node's pod.
    let (before, forged) = (b.counter("sourceMacRefused"), [0x02, 0x46, 10, 70, 2, 6]);
    sender.send([0xff; 6], forged, &[9; 46]);
    wait("refusal", 3, || (b.counter("sourceMacRefused") > before).then_some(()));
    assert_eq!(numbers(&listener), Vec::<u8>::new());
}
