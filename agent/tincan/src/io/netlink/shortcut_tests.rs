use std::net::UdpSocket;
use std::process::Command;

use super::super::tap::Tap;
use super::super::testing::{in_namespace, ip};
use super::tests::desired;
use super::*;
use crate::frame::Network;

const V4: (Network, u16) = (Network::Ipv4, 8472);
const V6: (Network, u16) = (Network::Ipv6, 8472);

fn tc(arguments: &str) -> String {
    let output = Command::new("tc").args(arguments.split_whitespace()).output().expect("iproute2 is installed");
    assert!(output.status.success(), "tc {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A bridge with its tap, and what the filters of it redirected so far.
struct Node {
    netlink: Netlink,
    tap: Tap,
    shortcut: Shortcut,
}

impl Node {
    fn new() -> Self {
        let tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        let own = netlink.local_addresses(&["evio0", "evio0-up"], &[]).unwrap().own;
        let index = |name: &str| own.iter().find(|(own, _)| own == name).unwrap().1;
        let shortcut = Shortcut { bridge: index("evio0"), tap: index("evio0-up"), ports: vec![V4, V6] };
        Self { netlink, tap, shortcut }
    }

    fn ports(&mut self, ports: &[(Network, u16)]) {
        self.shortcut.ports = ports.to_vec();
        self.netlink.set_shortcut(&self.shortcut).unwrap();
    }

    /// How many packets a datagram to `to` is for the filters.
    fn redirected(&self, to: &str) -> usize {
        let socket = UdpSocket::bind(if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
        let before = sent();
        socket.send_to(b"a datagram of some bytes", to).unwrap();
        sent() - before
    }
}

fn sent() -> usize {
    let shown = tc("-s filter show dev evio0 egress");
    let packets = shown.lines().filter_map(|line| line.trim().strip_prefix("Sent ")?.split(" bytes ").nth(1));
    packets.map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn what_vxlan_sends_to_nodes_goes_past_the_bridge_and_nothing_else_does() {
    in_namespace(|| {
        let mut node = Node::new();
        // A pod behind another port of the bridge.
        ip("neigh add 10.9.0.77 lladdr 02:46:0a:09:00:4d dev evio0 nud permanent");
        ip("neigh add 10.9.0.78 lladdr 66:45:0a:09:00:4e dev evio0 nud permanent");
        node.ports(&[V4, V6]);
        assert_eq!(node.redirected("10.9.0.2:8472"), 1);
        assert_eq!(node.redirected("[fd09::3]:8472"), 1);
        for other in ["10.9.0.2:8473", "[fd09::3]:4789", "10.9.0.77:8472", "10.9.0.78:8472", "10.9.0.1:8472"] {
            assert_eq!(node.redirected(other), 0, "to {other}");
        }
        // Pieces of a datagram have no ports, and would overtake each other.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let before = sent();
        socket.send_to(&[0; 4_000], "10.9.0.2:8472").unwrap();
        assert_eq!(sent(), before);
    });
}

#[test]
fn a_redirected_packet_comes_out_of_the_tap() {
    in_namespace(|| {
        let mut node = Node::new();
        node.ports(&[V4]);
        let mut buffer = vec![0; 70_000];
        while node.tap.read(&mut buffer).is_ok_and(|read| read.is_some()) {}
        assert_eq!(node.redirected("10.9.0.3:8472"), 1);
        let mut frames = vec![];
        while let Ok(Some(read)) = node.tap.read(&mut buffer) {
            frames.push(buffer[..read].to_vec());
        }
        let text = b"a datagram of some bytes";
        assert!(frames.iter().any(|frame| frame.windows(text.len()).any(|part| part == text)), "{frames:x?}");
    });
}

#[test]
fn ports_change_and_go_and_filters_of_others_stay() {
    in_namespace(|| {
        let mut node = Node::new();
        node.ports(&[]);
        node.ports(&[V4]);
        tc("filter add dev evio0 egress protocol ip prio 7 u32 match ip dport 99 0xffff flowid 1:1");
        node.ports(&[V6, (Network::Ipv6, 4789)]);
        assert_eq!(node.redirected("10.9.0.2:8472"), 0);
        assert_eq!(node.redirected("[fd09::2]:8472") + node.redirected("[fd09::2]:4789"), 2);
        // As an earlier tincan left it.
        let mut next = Netlink::open().unwrap();
        next.set_shortcut(&node.shortcut).unwrap();
        assert_eq!(node.redirected("[fd09::2]:8472"), 1);
        node.ports(&[]);
        let left = tc("filter show dev evio0 egress");
        assert!(left.contains("pref 7 u32") && !left.contains("mirred"), "{left}");
    });
}

#[test]
fn a_bridge_that_went_meanwhile_is_an_error_that_says_what_for() {
    in_namespace(|| {
        let mut node = Node::new();
        node.shortcut.bridge = 4_000;
        let error = node.netlink.set_shortcut(&node.shortcut).unwrap_err().to_string();
        assert!(error.starts_with("cannot redirect VXLAN past the bridge: "), "{error}");
    });
}
