//! Two tincans on one wire: everything between a ping inside and records outside.

mod support;

use serde_json::json;
use support::overlay::Overlay;
use support::{iperf, must, need_root, wait, Net, Tincan};

const A: &str = "192.168.7.1";
const B: &str = "192.168.7.2";

struct Pair {
    a: Tincan,
    b: Tincan,
    overlay: Overlay,
    net: Net,
}

/// Two configured tincans with a tunnel each to the other and flows as an agent would write them.
fn pair() -> Pair {
    let mut net = Net::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    net.join((&ns_a, "wire", &format!("{A}/24")), (&ns_b, "wire", &format!("{B}/24")));
    let overlay = Overlay::new();
    let (mut a, mut b) = (Tincan::start(&ns_a, overlay.node(1)), Tincan::start(&ns_b, overlay.node(2)));
    meet(&overlay, &mut a, &mut b);
    Pair { a, b, overlay, net }
}

fn meet(overlay: &Overlay, a: &mut Tincan, b: &mut Tincan) {
    let port_a = a.configure(overlay, &[])["udpPort"].as_u64().unwrap();
    let port_b = b.configure(overlay, &[])["udpPort"].as_u64().unwrap();
    open(a, b, &format!("{B}:{port_b}"));
    open(b, a, &format!("{A}:{port_a}"));
}

/// What an agent does on one side.
fn open(from: &mut Tincan, to: &Tincan, address: &str) {
    from.add_members(&[&to.papers]);
    from.edge_flows(&[&to.papers]);
    let port = from.tunnel(&to.papers, &[address.to_string()]);
    from.core_flow(to.papers.label, port);
}

#[test]
fn two_nodes_ping_and_carry_tcp_through_a_direct_tunnel() {
    need_root();
    let Pair { mut a, mut b, overlay: _overlay, net: _net } = pair();
    let tunnel = a.wait_path(&b.papers, "direct", 3);
    assert_eq!(tunnel["name"], "node2");
    b.wait_path(&a.papers, "direct", 3);

    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1");
    a.must_ping("fd45::2", "-c 5 -i 0.05 -W 1");
    // Larger than any record: fragments.
    a.must_ping("10.69.0.2", "-c 3 -i 0.05 -W 1 -s 4000");
    b.must_ping("10.69.0.1", "-c 3 -i 0.05 -W 1 -s 1372 -M do");

    let answer = a.control.call("ping", json!({ "to": b.papers.node_id.to_string(), "timeoutMs": 1000 })).unwrap();
    assert_eq!((&answer["path"], &answer["hops"]), (&json!("direct"), &json!(1)), "{answer}");

    let plain = iperf(&b.ns, &a.ns, B, 2);
    let busy = [a.cpu_seconds(), b.cpu_seconds()];
    let seconds = std::env::var("TINCAN_BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let inside = iperf(&b.ns, &a.ns, "10.69.0.2", seconds);
    // Less noisy than a rate on a machine that others use: processor seconds for each gigabyte carried.
    let gigabytes = inside * f64::from(seconds) / 8e9;
    eprintln!(
        "processor seconds per gigabyte: sender {:?}, receiver {:?}",
        a.cost(busy[0], gigabytes),
        b.cost(busy[1], gigabytes)
    );
    // Where the peer sees us is where it sends to.
    assert_eq!(a.tunnel_to(&b.papers)["observed"], b.tunnel_to(&a.papers)["remote"]);
    let resident = a.control.call("stats", json!({})).unwrap()["rssBytes"].as_u64().unwrap();
    eprintln!(
        "plain {:.2} Gbit/s, tunnel {:.2} Gbit/s: {:.3}; {resident} bytes",
        plain / 1e9,
        inside / 1e9,
        inside / plain
    );
    // The figure to hold is measured on the release build by `make demo`; this build is slow and its neighbours are loud.
    assert!(inside / plain > 0.03);
    assert!(resident < 16 << 20);
}

#[test]
fn a_network_that_leads_into_the_overlay_unseen_is_no_way_for_a_tunnel() {
    need_root();
    let Pair { mut a, mut b, overlay: _overlay, net: _net } = pair();
    a.wait_path(&b.papers, "direct", 3);
    b.wait_path(&a.papers, "direct", 3);
    // Another bridge with a cable to evio0: nothing tells that what leaves by it goes into the overlay.
    for (ns, address) in [(&a.ns, "10.77.7.1/24"), (&b.ns, "10.77.7.2/24")] {
        must(&format!(
            "ip -n {ns} link add lan type bridge; ip -n {ns} link add to-lan type veth peer name from-evio
            ip -n {ns} link set to-lan master evio0 up; ip -n {ns} link set from-evio master lan up
            ip -n {ns} addr add {address} dev lan; ip -n {ns} link set lan up"
        ));
    }
    wait("the network inside", 5, || a.ping("10.77.7.2", "-c 1 -W 1").status.success().then_some(()));

    let port_b = b.tunnel_to(&a.papers)["observed"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    a.tunnel(&b.papers, &[format!("10.77.7.2:{port_b}"), format!("{B}:{port_b}")]);
    wait("probes that came back by the tap", 5, || (a.counter("pathInside") > 0).then_some(()));
    // Even when there is no other way left.
    must(&format!("ip -n {} link set wire down", a.ns));
    a.wait_path(&b.papers, "none", 10);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(a.tunnel_to(&b.papers)["path"], "none");
}
