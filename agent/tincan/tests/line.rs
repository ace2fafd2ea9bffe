//! Three tincans in a line: the one in the middle carries what it cannot read.

mod support;

use serde_json::json;
use support::overlay::Overlay;
use support::{iperf, need_root, wait, Net, Raw, Tincan};

const WIRES: [(&str, &str); 2] = [("192.168.7.1", "192.168.7.2"), ("192.168.8.2", "192.168.8.3")];

struct Line {
    nodes: [Tincan; 3],
    net: Net,
}

fn line() -> Line {
    line_with(&[])
}

fn line_with(environment: &[&str]) -> Line {
    let mut net = Net::new();
    let names = ["a", "b", "c"].map(|name| net.add(name));
    for (index, (left, right)) in WIRES.iter().enumerate() {
        let (to_right, to_left) = (format!("r{index}"), format!("l{index}"));
        net.join(
            (&names[index], &to_right, &format!("{left}/24")),
            (&names[index + 1], &to_left, &format!("{right}/24")),
        );
    }
    let overlay = Overlay::new();
    let papers = [1, 2, 3].map(|number| overlay.node(number));
    let [a, b, c] = names;
    let mut nodes = [
        Tincan::start_with(&a, papers[0].clone(), environment),
        Tincan::start_with(&b, papers[1].clone(), environment),
        Tincan::start_with(&c, papers[2].clone(), environment),
    ];
    let mut ports = vec![];
    for node in &mut nodes {
        ports.push(node.configure(&overlay, &[])["udpPort"].as_u64().unwrap());
        let own = node.papers.node_id;
        let others: Vec<_> = papers.iter().filter(|papers| papers.node_id != own).collect();
        node.add_members(&others);
        node.edge_flows(&others);
    }
    let at = |wire: usize, right: bool, port: u64| {
        let (left_ip, right_ip) = WIRES[wire];
        format!("{}:{port}", if right { right_ip } else { left_ip })
    };
    let a_b = nodes[0].tunnel(&papers[1], &[at(0, true, ports[1])]);
    let b_a = nodes[1].tunnel(&papers[0], &[at(0, false, ports[0])]);
    let b_c = nodes[1].tunnel(&papers[2], &[at(1, true, ports[2])]);
    let c_b = nodes[2].tunnel(&papers[1], &[at(1, false, ports[1])]);
    for (node, label, port) in [(0, 1, a_b), (0, 2, a_b), (1, 0, b_a), (1, 2, b_c), (2, 1, c_b), (2, 0, c_b)] {
        nodes[node].core_flow(papers[label].label, port);
    }
    for (node, peer) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        nodes[node].wait_path(&papers[peer], "direct", 5);
    }
    Line { nodes, net }
}

#[test]
fn the_ends_of_a_line_talk_through_the_middle() {
    need_root();
    let Line { nodes: [mut a, mut b, c], net: _net } = line();
    let c_id = c.papers.node_id.to_string();

    let answer = a.control.call("ping", json!({ "to": c_id, "timeoutMs": 2000 })).unwrap();
    assert_eq!((&answer["path"], &answer["hops"]), (&json!("via"), &json!(2)), "{answer}");

    a.must_ping("10.69.0.3", "-c 5 -i 0.05 -W 1");
    a.must_ping("fd45::3", "-c 5 -i 0.05 -W 1");
    c.must_ping("10.69.0.1", "-c 3 -i 0.05 -W 1 -s 4000");
    assert!(b.counter("transitRecords") > 20);

    let adjacent = wait("adjacency", 3, || {
        let adjacent = a.tunnel_to(&b.papers)["adjacent"].clone();
        (adjacent.as_array().unwrap().len() == 2).then_some(adjacent)
    });
    assert!(adjacent.as_array().unwrap().contains(&json!(format!("{:016x}", c.papers.label))), "{adjacent}");

    let through = iperf(&c.ns, &a.ns, "10.69.0.3", 2);
    eprintln!("one flow through the middle: {:.2} Gbit/s", through / 1e9);
    assert!(through > 50e6);
    let demand = a.control.call("demand", json!({})).unwrap();
    let to_c = demand["labels"].as_array().unwrap().iter().find(|d| d["label"] == format!("{:016x}", c.papers.label));
    assert!(to_c.unwrap()["viaBytes"].as_u64().unwrap() > 1_000_000, "{demand}");
}

#[test]
fn a_draining_tunnel_carries_on_and_neighbours_hear_that_it_goes() {
    need_root();
    let Line { nodes: [mut a, mut b, c], net: _net } = line();
    let middle = b.papers.clone();
    let mut wait_adjacent = |count: usize| {
        wait("adjacency", 3, || (a.tunnel_to(&middle)["adjacent"].as_array().unwrap().len() == count).then_some(()))
    };
    wait_adjacent(2);
    let peer = json!({ "peer": c.papers.node_id.to_string() });
    b.control.call("tunnel-drain", peer).unwrap();
    wait_adjacent(1);
    // The flows of the middle still name it, and what comes by it is taken.
    c.must_ping("10.69.0.1", "-c 10 -i 0.05 -W 1");
    b.tunnel(&c.papers, &[]);
    wait_adjacent(2);
}

#[test]
fn a_broadcast_of_a_host_behind_a_node_reaches_every_other_node_once_and_its_address_is_learned() {
    need_root();
    let Line { nodes: [a, mut b, mut c], mut net } = line();
    let pod = net.add("pod");
    let a_ns = &a.ns;
    support::must(&format!(
        "ip -n {a_ns} link add pod0 type veth peer name eth0 netns {pod}; ip -n {a_ns} link set pod0 master evio0 up;
         ip -n {pod} link set eth0 up"
    ));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let sender = Raw::open(&pod, "eth0");
    let listeners = [Raw::open(&b.ns, "evio0"), Raw::open(&c.ns, "evio0")];
    let foreign = [0x06, 1, 2, 3, 4, 5];
    for (destination, number) in [([0xff; 6], 1u8), ([0x33, 0x33, 0, 0, 0, 0xfb], 2)] {
        sender.send(destination, foreign, &[number; 46]);
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for listener in &listeners {
        let numbers: Vec<u8> = listener.received().iter().map(|frame| frame[14]).collect();
        assert_eq!(numbers, [1, 2]);
    }
    for node in [&mut b, &mut c] {
        // The host's own kernel may have spoken before.
        let learned = wait("learned address", 3, || {
            let learned = node.control.event("learned", 3);
            (learned["mac"] == "06:01:02:03:04:05").then_some(learned)
        });
        assert_eq!(learned["label"], format!("{:016x}", a.papers.label));
    }
}

#[test]
fn a_middle_with_a_smaller_path_tells_the_source_what_fits() {
    need_root();
    let Line { nodes: [a, mut b, c], net: _net } = line();
    for (ns, link) in [(&b.ns, "r1"), (&c.ns, "l1")] {
        support::must(&format!("ip -n {ns} link set {link} mtu 1300"));
    }
    // The far hop finds out by itself, the source by the middle's notice.
    a.ping("10.69.0.3", "-c 30 -i 0.1 -W 1 -s 1350");
    wait("smaller path", 20, || (b.tunnel_to(&c.papers)["recordSize"].as_u64().unwrap() < 1300).then_some(()));
    a.ping("10.69.0.3", "-c 3 -i 0.1 -W 1 -s 1350");
    a.must_ping("10.69.0.3", "-c 5 -i 0.1 -W 1 -s 1350");
}

#[test]
fn a_middle_whose_far_path_shrinks_without_a_word_tells_the_source_before_its_next_record_comes() {
    need_root();
    // A virtual wire lets a batch that is not cut yet pass, however small the far end.
    let Line { nodes: [mut a, mut b, c], net: _net } = line_with(&["EVIO_UDP_GSO=off"]);
    wait("record size", 5, || (b.tunnel_to(&c.papers)["recordSize"] == 1472).then_some(()));
    a.must_ping("10.69.0.3", "-c 3 -i 0.1 -W 1 -s 1350");
    assert_eq!(a.counter("noticeTooBig"), 0);
    support::must(&format!("ip -n {} link set l1 mtu 1300", c.ns));
    assert!(!a.ping("10.69.0.3", "-c 1 -W 1 -s 1350").status.success(), "it should not have got through");
    wait("notice", 8, || (a.counter("noticeTooBig") > 0).then_some(()));
    assert_eq!(b.counter("transitTooBig"), 0, "no record came that it could have complained of");
    a.must_ping("10.69.0.3", "-c 3 -i 0.1 -W 1 -s 1350");
}
