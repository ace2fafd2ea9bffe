//! What an administrator's slip takes away from a running node comes back by itself.

mod support;

use std::time::Duration;

use support::overlay::Overlay;
use support::{must, need_root, wait, Net, Tincan};

#[test]
fn a_removed_bridge_tap_or_address_is_made_again_and_traffic_goes_on() {
    need_root();
    let mut net = Net::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    net.join((&ns_a, "wire", "192.168.7.1/24"), (&ns_b, "wire", "192.168.7.2/24"));
    let overlay = Overlay::new();
    let (mut a, mut b) = (Tincan::start(&ns_a, overlay.node(1)), Tincan::start(&ns_b, overlay.node(2)));
    let port_a = a.configure(&overlay, &[])["udpPort"].as_u64().unwrap();
    let port_b = b.configure(&overlay, &[])["udpPort"].as_u64().unwrap();
    let (papers_a, peer) = (a.papers.clone(), b.papers.clone());
    for (one, other, address) in
        [(&mut a, &peer, format!("192.168.7.2:{port_b}")), (&mut b, &papers_a, format!("192.168.7.1:{port_a}"))]
    {
        one.add_members(&[other]);
        one.edge_flows(&[other]);
        let port = one.tunnel(other, &[address]);
        one.core_flow(other.label, port);
    }
    a.wait_path(&peer, "direct", 3);
    a.must_ping("10.69.0.2", "-c 2 -i 0.05 -W 1");

    for harm in ["link del evio-tap", "link del evio0", "addr flush dev evio0", "link set evio-tap nomaster"] {
        must(&format!("ip -n {ns_a} {harm}"));
        wait(&format!("repair of {harm}"), 8, || {
            let answered = a.ping("10.69.0.2", "-c 1 -W 1").status.success();
            let answered6 = a.ping("fd45::2", "-c 1 -W 1").status.success();
            (answered && answered6).then_some(())
        });
    }
    // No dead descriptor keeps the loop awake.
    let ticks = |a: &Tincan| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", a.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks(&a);
    std::thread::sleep(Duration::from_secs(1));
    assert!(ticks(&a) - before < 20, "idle again");
}
