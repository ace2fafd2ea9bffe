//! Every verb of every version, in both kinds of attachment and all families, by the real program in real namespaces.

mod support;

use serde_json::{json, Value};
use support::{addresses, Node, Pod, FAMILIES, MODES, VERSIONS};

fn at_least(version: &str, other: &str) -> bool {
    VERSIONS.iter().position(|v| *v == version) >= VERSIONS.iter().position(|v| *v == other)
}

/// One node, one pod, every verb in the order a runtime has it.
fn life(node: &Node, version: &str) {
    let (pod, config) = (node.pod(), node.config(version));
    let result = node.call("ADD", &pod, &config).result();
    let what = format!("{version} {} {}: {result}", node.mode, node.families);
    assert_eq!(result["cniVersion"], version, "{what}");
    assert_eq!(result["ips"].as_array().unwrap().len(), node.families.len(), "{what}");
    assert_eq!(result["ips"][0].get("version").is_some(), !at_least(version, "1.0.0"), "{what}");
    assert_eq!(result["interfaces"][1].get("mtu").is_some(), at_least(version, "1.1.0"), "{what}");
    assert_eq!(node.host_links(), [result["interfaces"][0]["name"].as_str().unwrap()]);

    let check = support::merged(config.clone(), &json!({ "prevResult": result }));
    let checked = node.call("CHECK", &pod, &check);
    if at_least(version, "0.4.0") {
        assert_eq!(checked.result(), Value::Null, "{what}");
    } else {
        assert_eq!(checked.code(), 1, "{what}");
    }
    let gc = support::merged(
        config.clone(),
        &json!({ "cni.dev/valid-attachments": [{ "containerID": pod.id, "ifname": "eth0" }] }),
    );
    for (verb, config) in [("STATUS", &config), ("GC", &gc)] {
        let said = node.call_network(verb, config);
        if at_least(version, "1.1.0") {
            assert_eq!(said.result(), Value::Null, "{verb} {what}");
        } else {
            assert_eq!(said.code(), 1, "{verb} {what}");
        }
    }
    assert_eq!(node.call_network("VERSION", &json!({ "cniVersion": version })).result()["cniVersion"], version);
    for _ in 0..2 {
        assert_eq!(node.call("DEL", &pod, &check).result(), Value::Null, "{what}");
    }
    assert!(node.host_links().is_empty() && node.given().is_empty() && node.files("attached").is_empty(), "{what}");
    assert!(!pod.ns.ip("-br link show").contains("eth0"), "{what}");
}

#[test]
fn every_verb_does_its_part_in_every_version_attachment_and_family() {
    for mode in MODES {
        for families in FAMILIES {
            let node = Node::new(mode, families);
            for version in VERSIONS {
                life(&node, version);
            }
        }
    }
}

fn two_pods(node: &Node) -> [(Pod, Value); 2] {
    [(); 2].map(|()| {
        let pod = node.pod();
        let result = node.call("ADD", &pod, &node.config("1.0.0")).result();
        (pod, result)
    })
}

#[test]
fn pods_reach_each_other_and_their_node_and_the_node_reaches_them() {
    for mode in MODES {
        for families in FAMILIES {
            let node = Node::new(mode, families);
            let [(a, of_a), (b, of_b)] = two_pods(&node);
            for (from_b, from_a) in addresses(&of_b).iter().zip(addresses(&of_a)) {
                assert!(a.ns.pings(from_b), "{mode} {families}: pod to pod, {from_b}");
                assert!(b.ns.pings(&from_a), "{mode} {families}: pod to pod, {from_a}");
                assert!(node.ns.pings(from_b), "{mode} {families}: node to pod, {from_b}");
            }
            for gateway in of_a["ips"].as_array().unwrap().iter().map(|ip| ip["gateway"].as_str().unwrap()) {
                assert!(a.ns.pings(gateway), "{mode} {families}: pod to node, {gateway}");
            }
        }
    }
}

/// Source MAC and address of the first echo request that reaches `to`.
fn seen_by(to: &Pod, from: &Pod, address: &str) -> (String, String) {
    let ns = &to.ns.name;
    let script = format!(
        "ip netns exec {ns} timeout 10 tcpdump -i eth0 -e -n -l -c 1 'icmp[0] == 8 or icmp6[0] == 128' 2>/dev/null &
         for i in 1 2 3 4 5 6 7 8 9 10; do ip netns exec {} ping -n -c 1 -W 1 {address} >/dev/null; kill -0 $! 2>/dev/null || break; sleep 0.2; done; wait",
        from.ns.name
    );
    let line = String::from_utf8(support::sh(&script).stdout).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let arrow = words.iter().rposition(|word| *word == ">").unwrap_or_else(|| panic!("{line}"));
    (words[1].to_owned(), words[arrow - 1].to_owned())
}

#[test]
fn a_pod_is_seen_under_its_own_address_and_flat_under_its_own_mac() {
    for mode in MODES {
        let node = Node::new(mode, "46");
        let [(a, of_a), (b, of_b)] = two_pods(&node);
        for (source, target) in addresses(&of_a).iter().zip(addresses(&of_b)) {
            let (mac, address) = seen_by(&b, &a, &target);
            let expected = if mode == "flat" { &of_a["interfaces"][1]["mac"] } else { &of_b["interfaces"][0]["mac"] };
            assert_eq!((&address, &json!(mac)), (source, expected), "{mode}");
        }
        assert_eq!(of_a["interfaces"][1]["mac"], "02:46:0a:f4:03:02");
    }
}

#[test]
fn routed_pods_have_host_routes_and_nothing_to_resolve() {
    let node = Node::new("routed", "46");
    let [(pod, result), _] = two_pods(&node);
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    let (v4, v6) = (pod.ns.ip("-4 route"), pod.ns.ip("-6 route"));
    assert!(v4.contains("default via 10.45.0.4 dev eth0") && v4.contains("onlink"), "{v4}");
    assert!(v6.contains("default via fd45::4 dev eth0") && v6.contains("onlink"), "{v6}");
    let neighbours = pod.ns.ip("neigh show nud permanent");
    assert_eq!(neighbours.matches(result["interfaces"][0]["mac"].as_str().unwrap()).count(), 2, "{neighbours}");
    let of_pod = pod.ns.ip("addr show eth0");
    assert!(
        of_pod.contains("10.244.3.2/32") && of_pod.contains("fd00:10:244:3::2/128") && of_pod.contains("nodad"),
        "{of_pod}"
    );
    assert!(!of_pod.contains("tentative") && of_pod.contains("mtu 1400"), "{of_pod}");
    for (family, address) in [("-4", "10.244.3.2"), ("-6", "fd00:10:244:3::2")] {
        let route = node.ns.ip(&format!("{family} route show {address}"));
        assert!(route.contains(&format!("dev {host}")), "{route}");
    }
    let link = node.ns.ip(&format!("-d link show {host}"));
    assert!(link.contains("mtu 1400") && !link.contains("master") && link.contains("alias evio-cni:evio"), "{link}");
    assert_eq!(node.ns.ip(&format!("neigh show dev {host} nud permanent")).lines().count(), 2);
    assert!(!node.ns.ip(&format!("addr show {host}")).contains("inet"));
    for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        assert_eq!(node.ns.run(&format!("cat /proc/sys/net/{setting}")).stdout, b"1\n", "{setting}");
    }
}

#[test]
fn a_node_without_overlay_addresses_leads_its_pods_by_link_local_next_hops() {
    let node = Node::new("routed", "46");
    let pod = node.pod();
    let result = node.call("ADD", &pod, &node.config_with(&json!({ "gateways": [] }))).result();
    assert_eq!(
        (&result["ips"][0]["gateway"], &result["ips"][1]["gateway"]),
        (&json!("169.254.1.1"), &json!("fe80::1"))
    );
    assert!(pod.ns.pings("10.45.0.4") && pod.ns.pings("fd45::4"));
}

#[test]
fn flat_pods_are_ports_of_the_bridge_in_one_network() {
    let node = Node::new("flat", "46");
    let [(pod, result), _] = two_pods(&node);
    assert_eq!(result["ips"][0], json!({ "address": "10.244.3.2/16", "gateway": "10.244.3.1", "interface": 1 }));
    assert_eq!(result["ips"][1]["address"], "fd00:10:244:3::2/48");
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    assert!(node.ns.ip(&format!("link show {host}")).contains("master evio0"));
    // A Service may send a pod to itself.
    assert!(node.ns.ip(&format!("-d link show {host}")).contains("hairpin on"));
    let bridge = node.ns.ip("addr show evio0");
    assert!(bridge.contains("10.244.3.1/16") && bridge.contains("fd00:10:244:3::1/48"), "{bridge}");
    assert!(pod.ns.ip("-4 route").contains("default via 10.244.3.1 dev eth0"));
}

#[test]
fn router_advertisements_keep_their_meaning_on_a_node_that_did_not_forward() {
    let node = Node::new("routed", "6");
    node.ns.ip("link add up0 type bridge");
    must_write(&node, "ipv6/conf/all/forwarding", "0");
    must_write(&node, "ipv6/conf/up0/accept_ra", "1");
    node.call("ADD", &node.pod(), &node.config("1.0.0")).result();
    assert_eq!(node.ns.run("cat /proc/sys/net/ipv6/conf/up0/accept_ra").stdout, b"2\n");
}

fn must_write(node: &Node, setting: &str, value: &str) {
    assert!(node.ns.run(&format!("sh -c 'echo {value} >/proc/sys/net/{setting}'")).status.success());
}

#[test]
fn dns_of_the_configuration_is_passed_on_and_an_address_that_is_asked_for_is_given() {
    let node = Node::new("routed", "46");
    let config = node.config_with(&json!({
        "dns": { "nameservers": ["10.96.0.10"], "search": ["svc.cluster.local"] },
        "runtimeConfig": { "ips": ["10.244.3.77/24"] },
    }));
    let first = node.pod();
    let result = node.call("ADD", &first, &config).result();
    assert_eq!(result["dns"], config["dns"]);
    assert_eq!(addresses(&result)[0], "10.244.3.77");
    let second = node.pod();
    assert_eq!(node.call("ADD", &second, &config).code(), 11);
    let by_args =
        node.call_with("ADD", &second, &node.config("1.1.0"), &[("CNI_ARGS", "IgnoreUnknown=1;IP=10.244.3.78;X=y")]);
    assert_eq!(addresses(&by_args.result())[0], "10.244.3.78");
}
