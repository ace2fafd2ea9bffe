//! Packets that the kernel's NAT sends on while it looks into bridges, as kube-proxy and br_netfilter do on every node of a cluster.

mod support;

use std::net::SocketAddr;

use support::overlay::{Overlay, Papers};
use support::{caller_seen, iperf, must, need_root, wait, Net, Tincan};

/// b has tunnels to a and to c, and nothing else goes from a to c.
fn line(net: &mut Net) -> [Tincan; 3] {
    let names = ["a", "b", "c"].map(|name| net.add(name));
    net.join((&names[0], "wire", "192.168.7.1/24"), (&names[1], "wire", "192.168.7.2/24"));
    net.join((&names[1], "onward", "192.168.8.2/24"), (&names[2], "wire", "192.168.8.3/24"));
    let overlay = Overlay::new();
    let mut number = 0;
    let mut nodes = names.map(|ns| {
        number += 1;
        must(&format!(
            "modprobe -q br_netfilter || true
             ip netns exec {ns} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
             net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1"
        ));
        Tincan::start(&ns, overlay.node(number))
    });
    let ports = nodes.each_mut().map(|node| node.configure(&overlay, &[])["udpPort"].as_u64().unwrap());
    let papers = nodes.each_ref().map(|node| node.papers.clone());
    let open = |from: &mut Tincan, others: &[(&Papers, String)]| {
        let members: Vec<&Papers> = others.iter().map(|(papers, _)| *papers).collect();
        from.add_members(&members);
        from.edge_flows(&members);
        for (papers, address) in others {
            let port = from.tunnel(papers, std::slice::from_ref(address));
            from.core_flow(papers.label, port);
        }
    };
    let [a, b, c] = &papers;
    open(&mut nodes[0], &[(b, format!("192.168.7.2:{}", ports[1]))]);
    open(&mut nodes[1], &[(a, format!("192.168.7.1:{}", ports[0])), (c, format!("192.168.8.3:{}", ports[2]))]);
    open(&mut nodes[2], &[(b, format!("192.168.8.2:{}", ports[1]))]);
    nodes[0].wait_path(b, "direct", 5);
    nodes[2].wait_path(b, "direct", 5);
    nodes[1].wait_path(c, "direct", 5);
    nodes
}

#[test]
fn a_port_of_a_node_leads_to_a_third_node_though_the_kernel_looks_into_bridges() {
    need_root();
    let mut net = Net::new();
    let [a, b, c] = line(&mut net);
    // What kube-proxy does of a NodePort.
    must(&format!(
        "ip netns exec {} nft -f - <<'END'
table inet proxy {{
  chain services {{
    type nat hook prerouting priority dstnat
    ip daddr 10.69.0.2 tcp dport {{ 5201, 7000 }} dnat ip to 10.69.0.3
    ip6 daddr fd45::2 tcp dport {{ 5201, 7000 }} dnat ip6 to fd45::3
  }}
  chain replies {{
    type nat hook postrouting priority srcnat
    ct status & dnat == dnat masquerade
  }}
}}
END",
        b.ns
    ));
    let ways = [("10.69.0.2", "10.69.0.3"), ("fd45::2", "fd45::3")];
    let leads = |(called, listening): (&str, &str)| {
        let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 7000);
        caller_seen(&a.ns, at(called), &c.ns, at(listening)) == Some(called.parse().unwrap())
    };
    for (called, listening) in ways {
        assert!(leads((called, listening)), "{called} leads to {listening}, which sees b");
        // Super-frames too.
        assert!(iperf(&c.ns, &a.ns, called, 1) > 1e6);
    }
    // And when tincan has put right what somebody did.
    for harm in ["link del evio-tap", "link del evio0", "link set evio0 address 02:45:00:00:00:09"] {
        must(&format!("ip -n {} {harm}", b.ns));
        wait(&format!("way after {harm}"), 10, || ways.into_iter().all(leads).then_some(()));
    }
}
