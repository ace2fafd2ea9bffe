//! What an administrator's slip takes away from a running node comes back by itself.

mod support;

use std::time::Duration;

use support::overlay::Overlay;
use support::{must, need_root, wait, Net, Tincan};

/// Two nodes with a direct path.
fn pair(net: &mut Net) -> (String, String, Tincan, Tincan) {
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
    (ns_a, ns_b, a, b)
}

#[test]
fn a_removed_bridge_tap_or_address_is_made_again_and_traffic_goes_on() {
    need_root();
    let mut net = Net::new();
    let (ns_a, _, a, _b) = pair(&mut net);
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

#[test]
fn vxlan_passes_again_after_tap_or_bridge_were_removed() {
    need_root();
    let mut net = Net::new();
    let (ns_a, ns_b, a, _b) = pair(&mut net);
    for (ns, own, other) in [(&ns_a, 1, 2), (&ns_b, 2, 1)] {
        must(&format!(
            "ip -n {ns} link add vx type vxlan id 7 dstport 8472 local 10.69.0.{own} remote 10.69.0.{other}"
        ));
        must(&format!("ip -n {ns} addr add 10.77.0.{own}/24 dev vx; ip -n {ns} link set vx up"));
    }
    // Where the kernel takes super-frames of tunnels from a tap, its packets go past the bridge, by the tap's index.
    let past = || must(&format!("tc -n {ns_a} filter show dev evio0 egress 2>&1 || true"));
    let takes = kernel() >= (6, 17);
    for harm in ["link del evio-tap", "link del evio0"] {
        must(&format!("ip -n {ns_a} {harm}"));
        wait(&format!("VXLAN after {harm}"), 8, || {
            let there = a.ping("10.77.0.2", "-c 1 -W 1").status.success();
            (there && (!takes || past().contains("Redirect to device evio-tap"))).then_some(())
        });
    }
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
