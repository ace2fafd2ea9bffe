//! In a list with the reference plugins portmap and bandwidth, called as libcni calls them.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{json, Value};
use support::chain::{Chain, PLUGINS};
use support::{addresses, Node, VERSIONS};

fn chain<'a>(node: &'a Node, version: &'a str) -> Chain<'a> {
    let capabilities = json!({
        "portMappings": [{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }],
        "bandwidth": { "ingressRate": 8_000_000, "ingressBurst": 8_000_000, "egressRate": 8_000_000, "egressBurst": 8_000_000 },
    });
    let plugins = vec![
        node.config(version),
        json!({ "type": "portmap", "capabilities": { "portMappings": true } }),
        json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } }),
    ];
    Chain { node, version, plugins, capabilities }
}

fn need_plugins() {
    for name in ["portmap", "bandwidth"] {
        assert!(
            std::path::Path::new(PLUGINS).join(name).exists(),
            "{name} is missing: install containernetworking-plugins"
        );
    }
}

#[test]
fn host_ports_lead_to_the_pod_and_its_traffic_is_shaped() {
    need_plugins();
    let node = Node::new("routed", "4");
    for version in VERSIONS.into_iter().filter(|version| *version != "1.1.0") {
        let chain = chain(&node, version);
        let pod = node.pod();
        let result = chain.add(&pod).unwrap();
        let address = &addresses(&result)[0];
        let rules = String::from_utf8(node.ns.run("iptables-save -t nat").stdout).unwrap();
        assert!(rules.contains(&format!("--to-destination {address}:80")), "{version}: {rules}");
        let host = result["interfaces"][0]["name"].as_str().unwrap();
        let shaped = String::from_utf8(node.ns.run(&format!("tc qdisc show dev {host}")).stdout).unwrap();
        assert!(shaped.contains("tbf"), "{version}: {shaped}");
        if version != "0.3.1" {
            // Not portmap's: 1.1.1 looks for its IPv4 rules in IPv6's table, whatever is before it in the list.
            chain.check_but("portmap", &pod, &result).unwrap();
        }
        chain.del(&pod, &result).unwrap();
        let rules = String::from_utf8(node.ns.run("iptables-save -t nat").stdout).unwrap();
        assert!(
            !rules.contains("8080") && node.host_links().is_empty() && node.given().is_empty(),
            "{version}: {rules}"
        );
        chain.del(&pod, &Value::Null).unwrap();
    }
}

#[test]
fn a_connection_to_the_host_port_arrives_in_the_pod() {
    need_plugins();
    let node = Node::new("routed", "4");
    let (chain, pod, client) = (chain(&node, "1.0.0"), node.pod(), node.pod());
    let result = chain.add(&pod).unwrap();
    let of_client = node.call("ADD", &client, &node.config("1.0.0")).result();
    let server = pod.ns.on_thread(|| TcpListener::bind("0.0.0.0:80").unwrap()).join().unwrap();
    let sent = client.ns.on_thread(|| TcpStream::connect("10.45.0.4:8080").unwrap().write_all(b"hello").unwrap());
    let (mut stream, from) = server.accept().unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    sent.join().unwrap();
    assert_eq!(
        (text.as_str(), from.ip().to_string()),
        ("hello", addresses(&of_client)[0].clone()),
        "the source is kept"
    );
    chain.del(&pod, &result).unwrap();
}
