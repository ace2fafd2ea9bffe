//! Two tincans with two wires between them, of which one is excluded.

mod support;

use std::time::Duration;

use serde_json::json;
use support::overlay::Overlay;
use support::{must, need_root, wait, Net, Tincan};

const NEAR: [&str; 2] = ["192.168.7.1", "192.168.7.2"];
const FAR: [&str; 2] = ["192.168.8.1", "192.168.8.2"];

/// The hosts that the node says others may try, once they are these.
fn wait_offered(node: &mut Tincan, wanted: &[&str]) {
    let mut last = json!(null);
    wait("candidates", 5, || {
        node.control.call("hello", json!({ "client": "test" })).unwrap();
        for event in node.control.events.drain(..).filter(|event| event["event"] == "candidates") {
            last = event["data"]["local"].clone();
        }
        let hosts = last.as_array()?.iter().filter(|candidate| candidate["type"] == "host");
        let mut offered: Vec<&str> =
            hosts.filter_map(|candidate| candidate["address"].as_str()?.rsplit_once(':')).map(|(ip, _)| ip).collect();
        offered.sort_unstable();
        (offered == wanted).then_some(())
    });
}

/// Counts what leaves from this UDP port by the far wire, from now on.
fn count_far(ns: &str, port: u64) {
    must(&format!(
        "ip netns exec {ns} nft -f - <<'END'
table inet seen {{
  chain out {{
    type filter hook output priority 0
    oifname \"far\" udp sport {port} counter
  }}
}}
END"
    ));
}

fn left_by_far(ns: &str) -> u64 {
    let rules = must(&format!("ip netns exec {ns} nft list table inet seen"));
    let count = rules.split("packets ").nth(1).and_then(|rest| rest.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no counter in {rules}"))
}

fn candidate(address: &str, port: u64) -> String {
    format!("{address}:{port}")
}

#[test]
fn an_excluded_interface_is_neither_offered_nor_sent_by_until_it_is_taken_off_the_list() {
    need_root();
    let mut net = Net::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    for (link, [a, b]) in [("near", NEAR), ("far", FAR)] {
        net.join((&ns_a, link, &format!("{a}/24")), (&ns_b, link, &format!("{b}/24")));
    }
    let overlay = Overlay::new();
    let (mut a, mut b) = (Tincan::start(&ns_a, overlay.node(1)), Tincan::start(&ns_b, overlay.node(2)));
    let port_a = a.configure_excluding(&overlay, &["far"])["udpPort"].as_u64().unwrap();
    let port_b = b.configure(&overlay, &[])["udpPort"].as_u64().unwrap();
    wait_offered(&mut a, &[NEAR[0]]);
    wait_offered(&mut b, &[NEAR[1], FAR[1]]);
    count_far(&ns_a, port_a);

    // b knows a's address on the far wire all the same, say from an earlier time, and a is told b's.
    let (papers_a, papers_b) = (a.papers.clone(), b.papers.clone());
    for (node, peer) in [(&mut a, &papers_b), (&mut b, &papers_a)] {
        node.add_members(&[peer]);
        node.edge_flows(&[peer]);
    }
    let to_b = a.tunnel(&b.papers, &[candidate(FAR[1], port_b)]);
    let to_a = b.tunnel(&a.papers, &[candidate(FAR[0], port_a)]);
    a.core_flow(b.papers.label, to_b);
    b.core_flow(a.papers.label, to_a);
    wait("unanswered handshake", 5, || (a.counter("excludedInterface") > 0).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((&a.tunnel_to(&b.papers)["path"], &b.tunnel_to(&a.papers)["path"]), (&json!("none"), &json!("none")));
    assert_eq!(left_by_far(&ns_a), 0);

    // By the other wire they meet.
    a.tunnel(&b.papers, &[candidate(FAR[1], port_b), candidate(NEAR[1], port_b)]);
    b.tunnel(&a.papers, &[candidate(FAR[0], port_a), candidate(NEAR[0], port_a)]);
    let tunnel = a.wait_path(&b.papers, "direct", 5);
    assert_eq!(tunnel["remote"], candidate(NEAR[1], port_b));
    assert_eq!(tunnel["candidates"], json!([candidate(NEAR[1], port_b)]));
    assert_eq!(b.wait_path(&a.papers, "direct", 5)["remote"], candidate(NEAR[0], port_a));
    a.must_ping("10.69.0.2", "-c 20 -i 0.05 -W 1");
    assert_eq!(left_by_far(&ns_a), 0);

    // The list is changed while the tunnel runs: it moves to the wire that may be used now.
    a.configure_excluding(&overlay, &["near"]);
    wait_offered(&mut a, &[FAR[0]]);
    wait("path by the far wire", 10, || {
        let remotes = [a.tunnel_to(&b.papers)["remote"].clone(), b.tunnel_to(&a.papers)["remote"].clone()];
        (remotes == [json!(candidate(FAR[1], port_b)), json!(candidate(FAR[0], port_a))]).then_some(())
    });
    a.must_ping("10.69.0.2", "-c 20 -i 0.05 -W 1");
    assert!(left_by_far(&ns_a) >= 20);

    a.configure_excluding(&overlay, &[]);
    wait_offered(&mut a, &[NEAR[0], FAR[0]]);
    wait("candidates of both wires", 5, || {
        (a.tunnel_to(&b.papers)["candidates"].as_array().unwrap().len() == 2).then_some(())
    });
    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1");
}

#[test]
fn a_route_that_comes_to_lead_by_an_excluded_interface_takes_the_path_with_it() {
    need_root();
    let mut net = Net::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    for (link, [a, b]) in [("near", NEAR), ("far", FAR)] {
        net.join((&ns_a, link, &format!("{a}/24")), (&ns_b, link, &format!("{b}/24")));
    }
    // An address of b that either wire leads to, and that b speaks from.
    must(&format!(
        "ip -n {ns_b} addr add 198.51.100.2/32 dev lo; ip -n {ns_b} route add {}/32 dev near src 198.51.100.2
         ip -n {ns_a} route add 198.51.100.2/32 via {} metric 20",
        NEAR[0], NEAR[1]
    ));
    let overlay = Overlay::new();
    let (mut a, mut b) = (Tincan::start(&ns_a, overlay.node(1)), Tincan::start(&ns_b, overlay.node(2)));
    a.configure_excluding(&overlay, &["far"]);
    let port_b = b.configure(&overlay, &[])["udpPort"].as_u64().unwrap();
    a.add_members(&[&b.papers]);
    b.add_members(&[&a.papers]);
    b.tunnel(&a.papers, &[]);
    a.tunnel(&b.papers, &[candidate("198.51.100.2", port_b)]);
    a.wait_path(&b.papers, "direct", 5);
    must(&format!("ip -n {ns_a} route add 198.51.100.2/32 via {} metric 10", FAR[1]));
    a.wait_path(&b.papers, "none", 5);
    must(&format!("ip -n {ns_a} route del 198.51.100.2/32 via {} metric 10", FAR[1]));
    a.wait_path(&b.papers, "direct", 5);
}
