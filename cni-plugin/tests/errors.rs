//! What goes wrong, with the codes of the specification; and that nothing is left then.

mod support;

use serde_json::{json, Value};
use support::{addresses, merged, must, wait, Node, FAMILIES, MODES};

/// Verb, changes of the configuration, other variables, the code, and words of the details.
type Row<'a> = (&'a str, Value, &'a [(&'a str, &'a str)], u64, &'a str);

#[test]
fn every_failure_has_the_specification_s_code_and_leaves_nothing() {
    let node = Node::new("routed", "46");
    let pod = node.pod();
    let file = node.dir.join("boot").to_str().unwrap().to_owned();
    let own = node.ns.path();
    let nothing = json!({});
    let table: [Row; 13] = [
        ("ADD", json!({ "cniVersion": "9.0.0" }), &[], 1, "9.0.0"),
        ("DEL", json!({ "cniVersion": "0.2.0" }), &[], 1, "0.2.0"),
        ("ADD", json!({ "isGateway": true }), &[], 2, "\"isGateway\" is true"),
        ("ADD", nothing.clone(), &[("CNI_NETNS", "/run/netns/evio-cni-none")], 3, "evio-cni-none"),
        ("ADD", nothing.clone(), &[("CNI_NETNS", &file)], 4, "CNI_NETNS"),
        ("ADD", nothing.clone(), &[("CNI_NETNS", &own)], 4, "CNI_NETNS"),
        ("ADD", nothing.clone(), &[("CNI_NETNS", "")], 4, "CNI_NETNS"),
        ("ADD", nothing.clone(), &[("CNI_ARGS", "FOO=BAR")], 4, "CNI_ARGS"),
        ("FROB", nothing.clone(), &[], 4, "CNI_COMMAND"),
        ("ADD", json!({ "subnets": [] }), &[], 7, "subnets"),
        ("CHECK", nothing.clone(), &[], 7, "prevResult"),
        ("ADD", json!({ "attachment": "flat", "bridge": "evio9" }), &[], 11, "evio9"),
        ("ADD", nothing.clone(), &[("CNI_IFNAME", "lo")], 102, "lo"),
    ];
    for (verb, changes, variables, code, words) in table {
        let said = node.call_with(verb, &pod, &node.config_with(&changes), variables);
        assert_eq!(said.code(), code, "{verb} {changes} {variables:?}: {}", said.said);
        assert!(said.said["details"].as_str().unwrap().contains(words), "{}", said.said);
        assert!(said.said["cniVersion"].is_string());
    }
    assert!(node.host_links().is_empty() && node.given().is_empty());
    assert!(node.files("adding").is_empty() && node.files("attached").is_empty());
}

#[test]
fn a_failure_in_the_middle_is_undone() {
    let node = Node::new("routed", "46");
    let pod = node.pod();
    // A multicast address is no next hop: the kernel refuses the last route, when link and addresses are there.
    let config = node.config_with(&json!({ "gateways": ["10.45.0.4", "ff02::1"] }));
    let said = node.call("ADD", &pod, &config);
    assert_eq!(said.code(), 100, "{}", said.said);
    assert!(node.host_links().is_empty() && node.given().is_empty() && node.files("adding").is_empty());
    assert!(!pod.ns.ip("-br link show").contains("eth0"));
    node.call("ADD", &pod, &node.config("1.0.0")).result();
}

#[test]
fn an_interface_of_that_name_in_the_pod_is_an_error_and_stays() {
    for mode in MODES {
        let node = Node::new(mode, "46");
        let pod = node.pod();
        node.call("ADD", &pod, &node.config("1.1.0")).result();
        let (before, given) = (pod.ns.ip("addr show eth0"), node.given());
        assert_eq!(node.call("ADD", &pod, &node.config("1.1.0")).code(), 102);
        assert_eq!((pod.ns.ip("addr show eth0"), node.given()), (before, given));
        let foreign = node.pod();
        foreign.ns.ip("link add eth0 type bridge");
        assert_eq!(node.call("ADD", &foreign, &node.config("1.1.0")).code(), 102);
        assert!(foreign.ns.ip("-d link show eth0").contains("bridge"));
        assert_eq!(node.host_links().len(), 1);
    }
}

#[test]
fn a_second_interface_of_a_pod_keeps_the_default_route_of_the_first() {
    let node = Node::new("routed", "46");
    let pod = node.pod();
    node.call("ADD", &pod, &node.config("1.1.0")).result();
    node.call_with("ADD", &pod, &node.config("1.1.0"), &[("CNI_IFNAME", "net1")]).result();
    assert_eq!(pod.ns.ip("-4 route show default").lines().count(), 1);
    assert_eq!(node.given().len(), 4);
    node.call("DEL", &pod, &node.config("1.1.0")).result();
    assert!(pod.ns.ip("-br link show").contains("net1") && node.given().len() == 2);
}

#[test]
fn del_succeeds_whatever_is_missing() {
    for families in FAMILIES {
        let node = Node::new("routed", families);
        let config = node.config("1.1.0");
        let add = || {
            let pod = node.pod();
            node.call("ADD", &pod, &config).result();
            pod
        };
        let nothing = |what: &str| {
            assert!(
                node.host_links().is_empty() && node.given().is_empty() && node.files("attached").is_empty(),
                "{what}"
            );
        };
        let pod = add();
        node.call_with("DEL", &pod, &config, &[("CNI_NETNS", "")]).result();
        nothing("without CNI_NETNS");
        let pod = add();
        must(&format!("ip netns del {}", pod.ns.name));
        node.call("DEL", &pod, &config).result();
        nothing("with the namespace gone");
        let pod = add();
        let link = node.host_links().remove(0);
        node.ns.ip(&format!("link del {link}"));
        node.call("DEL", &pod, &config).result();
        nothing("with the link gone");
        let pod = add();
        std::fs::remove_dir_all(node.dir.join("data")).unwrap();
        node.call("DEL", &pod, &config).result();
        nothing("with the store gone");
        let pod = add();
        node.call("DEL", &pod, &merged(config.clone(), &json!({ "subnets": [], "newKey": 1, "mtu": "x" }))).result();
        nothing("with another configuration");
        node.call("DEL", &node.pod(), &config).result();
    }
}

#[test]
fn an_exhausted_pool_is_to_be_tried_again_and_shows_in_status() {
    let node = Node::new("routed", "46");
    // Five addresses.
    let config = node.config_with(&json!({ "subnets": ["10.244.3.0/29", "fd00:10:244:3::/64"] }));
    let pods: Vec<_> = (0..5).map(|_| node.pod()).collect();
    let results: Vec<_> = pods.iter().map(|pod| node.call("ADD", pod, &config).result()).collect();
    let late = node.pod();
    let said = node.call("ADD", &late, &config);
    assert_eq!(said.code(), 11);
    assert!(said.said["details"].as_str().unwrap().contains("10.244.3.0/29"));
    assert_eq!(node.call_network("STATUS", &config).code(), 50);
    assert_eq!(node.given().len(), 10);

    node.call("DEL", &pods[3], &config).result();
    node.call_network("STATUS", &config).result();
    let result = node.call("ADD", &late, &config).result();
    assert_eq!(addresses(&result)[0], addresses(&results[3])[0]);

    // A pod whose DEL never came: its namespace is gone, and with it its link.
    must(&format!("ip netns del {}", pods[1].ns.name));
    wait("link to go", 10, || (node.host_links().len() == 4).then_some(()));
    node.call_network("STATUS", &config).result();
    let other = node.call("ADD", &node.pod(), &config).result();
    assert_eq!(addresses(&other)[0], addresses(&results[1])[0]);
}

#[test]
fn status_says_what_the_next_pod_would_miss() {
    let node = Node::new("routed", "46");
    let status = |changes: Value| node.call_network("STATUS", &node.config_with(&changes));
    status(json!({})).result();
    assert_eq!(status(json!({ "subnets": [] })).code(), 50);
    assert_eq!(status(json!({ "dataDir": "/proc/evio" })).code(), 50);
    assert_eq!(status(json!({ "bridge": "evio9" })).code(), 51);
    assert_eq!(status(json!({ "gateways": ["10.45.0.9"] })).code(), 51);
    node.ns.ip("link set evio0 down");
    assert_eq!(status(json!({})).code(), 51);
}

#[test]
fn check_names_what_is_no_longer_as_add_made_it() {
    for mode in MODES {
        let node = Node::new(mode, "46");
        let damages = [
            ("pod", "link set eth0 down", "down"),
            ("pod", "addr del 10.244.3.2 dev eth0", "no address"),
            ("pod", "-6 addr flush dev eth0 scope global", "no address"),
            ("pod", "route del default", "no route"),
            ("pod", "link set eth0 address 02:00:00:00:00:01", "MAC"),
            ("host", "link set HOST down", "down"),
            ("host", if mode == "flat" { "link set HOST nomaster" } else { "route del 10.244.3.2" }, ""),
            ("host", "link del HOST", "no interface"),
            ("store", "attached", "no record"),
        ];
        for (place, damage, words) in damages {
            let pod = node.pod();
            // The same address for each: the table names it.
            let config = node.config_with(&json!({ "args": { "cni": { "ips": ["10.244.3.2"] } } }));
            let result = node.call("ADD", &pod, &config).result();
            let check = merged(config.clone(), &json!({ "prevResult": result }));
            node.call("CHECK", &pod, &check).result();
            let host = result["interfaces"][0]["name"].as_str().unwrap();
            match place {
                "pod" => drop(support::sh(&format!(
                    "ip -n {} {}",
                    pod.ns.name,
                    damage.replace("10.244.3.2 dev", &address_in(&pod, "10.244.3.2"))
                ))),
                "host" => drop(node.ns.ip(&damage.replace("HOST", host))),
                _ => std::fs::remove_dir_all(node.dir.join("data/evio").join(damage)).unwrap(),
            }
            let said = node.call("CHECK", &pod, &check);
            assert_eq!(said.code(), 101, "{mode}: {damage}");
            assert!(said.said["details"].as_str().unwrap().contains(words), "{mode}: {damage}: {}", said.said);
            node.call("DEL", &pod, &check).result();
            node.sweep(&node.config("1.1.0"));
        }
    }
}

/// `ip addr del` wants the prefix too.
fn address_in(pod: &support::Pod, address: &str) -> String {
    let listed = pod.ns.ip("-br -4 addr show eth0");
    let cidr = listed.split_whitespace().find(|word| word.starts_with(address)).unwrap();
    format!("{cidr} dev")
}
