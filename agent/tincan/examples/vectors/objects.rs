//! Identifiers, signed objects and the MAC rule (wire.md §1-§3).

use std::net::{Ipv4Addr, Ipv6Addr};

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{json, Value};
use tincan::wire::mac::MacRule;
use tincan::wire::parameters::Topology;
use tincan::wire::{Certificate, Label, Mac, NodeId, OverlayId, Parameters, Revocations};

use super::{hex, patched, refused, seed};

pub fn key_pair(name: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&seed(name)).expect("a seed of 32 bytes")
}

pub fn public(key: &Ed25519KeyPair) -> [u8; 32] {
    key.public_key().as_ref().try_into().expect("a key of 32 bytes")
}

pub fn identifiers() -> Value {
    let nodes = ["node a", "node b"].map(|name| {
        let key = public(&key_pair(name));
        let id = NodeId::of_identity_key(&key);
        json!({ "name": name, "identityKey": hex(key), "nodeId": id.to_string(), "label": id.label().to_string() })
    });
    let authority = public(&key_pair("authority"));
    let distances = [(10, 12), (12, 10), (5, 5), (u64::MAX, 0), (0, u64::MAX), (1 << 63, 0)].map(|(from, to)| {
        let (from, to) = (Label(from), Label(to));
        json!({ "from": from.to_string(), "to": to.to_string(), "clockwise": Label(from.clockwise_to(to)).to_string() })
    });
    let arcs = [(5, 4, 6), (4, 4, 6), (6, 4, 6), (1, u64::MAX, 2), (3, u64::MAX, 2), (9, 7, 7), (7, 7, 7)].map(
        |(position, start, bound)| {
            let (position, start, bound) = (Label(position), Label(start), Label(bound));
            json!({
                "position": position.to_string(), "start": start.to_string(), "bound": bound.to_string(),
                "inside": position.in_open_arc(start, bound),
            })
        },
    );
    json!({
        "description": "wire.md §1. cases: ids of keys; overlay: the id of an authority key; distances: ring distance clockwise; \
            arcs: whether a position lies in the open arc (start, bound); refused: texts that are no node id.",
        "cases": nodes,
        "overlay": { "authorityKey": hex(authority), "overlayId": OverlayId::of_authority_key(&authority).to_string() },
        "distances": distances,
        "arcs": arcs,
        "refused": [
            { "name": "upper case", "input": "AB".repeat(16), "reason": "hex is lower case" },
            { "name": "a label's length", "input": "ab".repeat(8), "reason": "32 characters" },
            { "name": "no hex", "input": "gg".repeat(16), "reason": "not hex" },
            { "name": "empty", "input": "", "reason": "32 characters" },
        ],
    })
}

/// A certificate with one IPv4 and one IPv6 address and pods behind it, as Kubernetes nodes have it.
pub fn certificate_of(node: &str, session_key: [u8; 32], serial: u64, host: u8) -> Certificate {
    let address = Ipv4Addr::new(10, 147, 0, host);
    Certificate {
        overlay: OverlayId::of_authority_key(&public(&key_pair("authority"))),
        identity_key: public(&key_pair(node)),
        session_key,
        name: node.replace(' ', "-"),
        ipv4: vec![(address, 16)],
        ipv6: vec![(Ipv6Addr::new(0xfd45, 0, 0, 0, 0, 0, 0, host.into()), 64)],
        routed_ipv4: vec![(Ipv4Addr::new(10, 200, host, 0), 24)],
        routed_ipv6: vec![(Ipv6Addr::new(0xfd46, 0, 0, host.into(), 0, 0, 0, 0), 64)],
        macs: vec![
            MacRule::exactly(Mac::of_node(address)),
            MacRule { mac: Mac([2, 0x46, 10, 200, host, 0]), mask: Mac([0xff, 0xff, 0xff, 0xff, 0xff, 0]) },
        ],
        serial,
        not_before: 1_790_000_000,
        not_after: 1_821_536_000,
    }
}

pub fn ipv6_only() -> Certificate {
    let serial = 70_000;
    Certificate {
        name: "v6".into(),
        ipv4: vec![],
        routed_ipv4: vec![],
        routed_ipv6: vec![],
        macs: vec![MacRule::exactly(Mac::of_serial(serial))],
        serial,
        ..certificate_of("node b", seed("any session key"), serial, 2)
    }
}

fn prefixes<A: std::fmt::Display>(list: &[(A, u8)]) -> Vec<String> {
    list.iter().map(|(address, length)| format!("{address}/{length}")).collect()
}

fn rules(list: &[MacRule]) -> Vec<String> {
    list.iter().map(|rule| format!("{}/{}", rule.mac, rule.mask)).collect()
}

fn certificate_case(name: &str, certificate: &Certificate, authority: &Ed25519KeyPair) -> Value {
    json!({
        "name": name,
        "object": hex(certificate.sign(authority)),
        "overlayId": certificate.overlay.to_string(),
        "identityKey": hex(certificate.identity_key),
        "nodeId": certificate.node_id().to_string(),
        "sessionKey": hex(certificate.session_key),
        "nodeName": certificate.name,
        "ipv4": prefixes(&certificate.ipv4),
        "ipv6": prefixes(&certificate.ipv6),
        "routedIpv4": prefixes(&certificate.routed_ipv4),
        "routedIpv6": prefixes(&certificate.routed_ipv6),
        "macs": rules(&certificate.macs),
        "mac": certificate.mac().to_string(),
        "role": 0,
        "serial": certificate.serial.to_string(),
        "notBefore": certificate.not_before,
        "notAfter": certificate.not_after,
    })
}

/// Re-signs an object after its TLVs were edited: what is refused then is the form, not the signature.
fn resigned(object: &[u8], domain: &str, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = object[..object.len() - 64].to_vec();
    edit(&mut body);
    let signature = key_pair("authority").sign(&[domain.as_bytes(), &[0], &body].concat());
    [&body[..], signature.as_ref()].concat()
}

/// Where the TLV of this type begins.
fn tlv(body: &[u8], kind: u8) -> usize {
    let mut at = 4;
    while body[at] != kind {
        at += 3 + usize::from(u16::from_be_bytes([body[at + 1], body[at + 2]]));
    }
    at
}

fn without(body: &mut Vec<u8>, kind: u8) {
    let at = tlv(body, kind);
    let length = usize::from(u16::from_be_bytes([body[at + 1], body[at + 2]]));
    body.drain(at..at + 3 + length);
}

fn duplicate(body: &mut Vec<u8>, kind: u8) {
    let at = tlv(body, kind);
    let length = usize::from(u16::from_be_bytes([body[at + 1], body[at + 2]]));
    let copy = body[at..at + 3 + length].to_vec();
    body.splice(at..at, copy);
}

pub fn certificate() -> Value {
    let authority = key_pair("authority");
    let full = certificate_of("node a", seed("any session key"), 7, 1);
    let object = full.sign(&authority);
    let unknown_high = resigned(&object, "evio/1 certificate", |body| body.extend_from_slice(&[200, 0, 2, 1, 2]));
    let edit = |f: &dyn Fn(&mut Vec<u8>)| resigned(&object, "evio/1 certificate", f);
    let other = certificate_of("node a", seed("any session key"), 7, 1).sign(&key_pair("another authority"));
    let set = |kind: u8, offset: usize, value: u8| {
        edit(&|body: &mut Vec<u8>| {
            let at = tlv(body, kind) + 3 + offset;
            body[at] = value;
        })
    };
    let mut long_name = full.clone();
    long_name.name = "a".repeat(64);
    let mut big = full.clone();
    big.routed_ipv4 = (0..60).map(|i| (Ipv4Addr::new(10, 201, i, 0), 24)).collect();
    let last = object.len() - 1;
    json!({
        "description": "wire.md §2, certificates. authoritySeed: Ed25519 seed that signed them; a case's fields encode to its \
            object. alsoAccepted: objects with types from 128 up, which are ignored.",
        "authoritySeed": hex(seed("authority")),
        "authorityKey": hex(public(&authority)),
        "cases": [
            certificate_case("addresses of both families, and pods", &full, &authority),
            certificate_case("IPv6 only", &ipv6_only(), &authority),
        ],
        "alsoAccepted": [{ "name": "an unknown type above 127", "object": hex(unknown_high) }],
        "refused": refused(&[
            ("another authority", other, "signature"),
            ("changed signature", patched(&object, last, object[last] ^ 1), "signature"),
            ("changed field", patched(&object, 8, object[8] ^ 1), "overlay id"),
            ("wrong magic", patched(&object, 3, b'2'), "magic"),
            ("a parameters object's domain", resigned(&object, "evio/1 parameters", |_| {}), "signature"),
            ("an unknown type below 128", edit(&|body| body.extend_from_slice(&[14, 0, 0])), "unknown type"),
            ("an unrepeatable type twice", edit(&|body| duplicate(body, 4)), "repeated"),
            ("types out of order", edit(&|body| body.extend_from_slice(&[10, 0, 1, 0])), "order"),
            ("no name", edit(&|body| without(body, 4)), "missing"),
            ("no serial", edit(&|body| without(body, 11)), "missing"),
            ("no address", edit(&|body| { without(body, 5); without(body, 6); }), "missing"),
            ("upper case in the name", set(4, 0, b'A'), "name"),
            ("a name that begins with a hyphen", set(4, 0, b'-'), "name"),
            ("a name of 64 bytes", long_name.sign(&authority), "name"),
            ("IPv4 prefix length 33", set(5, 4, 33), "prefix length"),
            ("IPv6 prefix length 129", set(6, 16, 129), "prefix length"),
            ("host bits in a routed IPv4 prefix", set(7, 3, 1), "host bits"),
            ("host bits in a routed IPv6 prefix", set(8, 15, 1), "host bits"),
            ("masked-out bits in a MAC", set(9, 11, 0), "masked-out bits"),
            ("role 1", set(10, 0, 1), "role"),
            ("longer than 640 bytes", big.sign(&authority), "too long"),
            ("trailing byte", [&object[..], &[0]].concat(), "length"),
        ]),
    })
}

pub fn overlay_parameters() -> Parameters {
    let authority = public(&key_pair("authority"));
    Parameters {
        overlay: OverlayId::of_authority_key(&authority),
        authority_key: authority,
        name: "lab".into(),
        serial: 3,
        issued: 1_790_000_000,
        mtu: 1400,
        ciphers: vec![1, 2],
        ipv4: Some((Ipv4Addr::new(10, 147, 0, 0), 16)),
        ipv6: Some((Ipv6Addr::new(0xfd45, 0, 0, 0, 0, 0, 0, 0), 64)),
        topology: Topology { successors: 2, long_distance: 255, on_demand: 8, full_mesh_auto: true },
    }
}

fn parameters_case(name: &str, parameters: &Parameters, authority: &Ed25519KeyPair) -> Value {
    json!({
        "name": name,
        "object": hex(parameters.sign(authority)),
        "overlayId": parameters.overlay.to_string(),
        "authorityKey": hex(parameters.authority_key),
        "overlayName": parameters.name,
        "serial": parameters.serial.to_string(),
        "issued": parameters.issued,
        "mtu": parameters.mtu,
        "ciphers": parameters.ciphers,
        "ipv4": parameters.ipv4.map(|(address, length)| format!("{address}/{length}")),
        "ipv6": parameters.ipv6.map(|(address, length)| format!("{address}/{length}")),
        "successors": parameters.topology.successors,
        "longDistance": parameters.topology.long_distance,
        "onDemand": parameters.topology.on_demand,
        "fullMesh": u8::from(parameters.topology.full_mesh_auto),
    })
}

pub fn parameters() -> Value {
    let authority = key_pair("authority");
    let full = overlay_parameters();
    let small = Parameters {
        ipv4: None,
        ciphers: vec![2],
        mtu: 1280,
        topology: Topology { successors: 1, long_distance: 0, on_demand: 0, full_mesh_auto: false },
        ..full.clone()
    };
    let bounded = Parameters {
        topology: Topology { successors: 2, long_distance: 128 + 8, on_demand: 8, full_mesh_auto: true },
        ..full.clone()
    };
    let object = full.sign(&authority);
    let edit = |f: &dyn Fn(&mut Vec<u8>)| resigned(&object, "evio/1 parameters", f);
    let set = |kind: u8, offset: usize, value: u8| {
        edit(&|body: &mut Vec<u8>| {
            let at = tlv(body, kind) + 3 + offset;
            body[at] = value;
        })
    };
    let last = object.len() - 1;
    json!({
        "description": "wire.md §2, overlay parameters. A case's fields encode to its object.",
        "authoritySeed": hex(seed("authority")),
        "cases": [
            parameters_case("both families, defaults", &full, &authority),
            parameters_case("IPv6 only, a bare ring", &small, &authority),
            parameters_case("auto links, at most eight", &bounded, &authority),
        ],
        "refused": refused(&[
            ("changed signature", patched(&object, last, object[last] ^ 1), "signature"),
            ("the overlay id is not the key's hash", set(1, 0, object[7] ^ 1), "overlay id"),
            ("MTU 1279", Parameters { mtu: 1279, ..full.clone() }.sign(&authority), "MTU"),
            ("MTU 9001", Parameters { mtu: 9001, ..full.clone() }.sign(&authority), "MTU"),
            ("no cipher", Parameters { ciphers: vec![], ..full.clone() }.sign(&authority), "ciphers"),
            ("unknown cipher", Parameters { ciphers: vec![3], ..full.clone() }.sign(&authority), "ciphers"),
            ("a cipher twice", Parameters { ciphers: vec![1, 1], ..full.clone() }.sign(&authority), "ciphers"),
            ("host bits in the IPv4 subnet", set(8, 3, 1), "host bits"),
            ("host bits in the IPv6 subnet", set(9, 15, 1), "host bits"),
            ("full mesh 2", set(10, 3, 2), "full mesh"),
            ("no topology", edit(&|body| without(body, 10)), "missing"),
            ("trailing byte", [&object[..], &[0]].concat(), "length"),
            ("193 long-distance links", set(10, 1, 193), "links"),
        ]),
    })
}

pub fn revocations() -> Value {
    let authority = key_pair("authority");
    let node = |name: &str| NodeId::of_identity_key(&public(&key_pair(name)));
    let list = Revocations {
        overlay: OverlayId::of_authority_key(&public(&authority)),
        serial: 2,
        issued: 1_790_000_100,
        entries: vec![(node("node a"), 7), (node("node b"), 1 << 40)],
    };
    let empty = Revocations { serial: 1, entries: vec![], ..list.clone() };
    let case = |name: &str, list: &Revocations| {
        let entries: Vec<_> = list
            .entries
            .iter()
            .map(|(node, serial)| json!({ "nodeId": node.to_string(), "serial": serial.to_string() }))
            .collect();
        json!({
            "name": name,
            "object": hex(list.sign(&authority)),
            "overlayId": list.overlay.to_string(),
            "serial": list.serial.to_string(),
            "issued": list.issued,
            "entries": entries,
        })
    };
    let object = list.sign(&authority);
    let last = object.len() - 1;
    json!({
        "description": "wire.md §2, revocation lists. A case's fields encode to its object.",
        "authoritySeed": hex(seed("authority")),
        "authorityKey": hex(public(&authority)),
        "cases": [case("two nodes", &list), case("nobody", &empty)],
        "refused": refused(&[
            ("another authority", list.sign(&key_pair("another authority")), "signature"),
            ("changed signature", patched(&object, last, object[last] ^ 1), "signature"),
            ("no serial", resigned(&object, "evio/1 revocations", |body| without(body, 2)), "missing"),
            ("an entry cut", resigned(&object, "evio/1 revocations", |body| {
                body.pop();
                let at = body.len() - 26;
                body[at + 2] = 23;
            }), "length"),
            ("an unknown type below 128", resigned(&object, "evio/1 revocations", |body| {
                body.extend_from_slice(&[5, 0, 0]);
            }), "unknown type"),
        ]),
    })
}

pub fn mac() -> Value {
    let address = Ipv4Addr::new(10, 147, 3, 4);
    let case = |name: &str, mac: Mac, of: Value| {
        json!({
            "name": name, "of": of, "mac": mac.to_string(), "linkLocal": mac.link_local().to_string(),
            "ruled": mac.is_ruled(), "group": mac.is_group(),
        })
    };
    let matches = [
        ("02:46:0a:c8:01:07", "02:46:0a:c8:01:00", "ff:ff:ff:ff:ff:00", true),
        ("02:46:0a:c8:02:07", "02:46:0a:c8:01:00", "ff:ff:ff:ff:ff:00", false),
        ("02:45:0a:93:00:01", "02:45:0a:93:00:01", "ff:ff:ff:ff:ff:ff", true),
        ("02:45:0a:93:00:02", "02:45:0a:93:00:01", "ff:ff:ff:ff:ff:ff", false),
    ];
    json!({
        "description": "wire.md §3. cases: the rule's MACs with their link-local addresses; matches: mac & mask == entry; \
            refused: MAC/mask pairs (12 bytes).",
        "cases": [
            case("node", Mac::of_node(address), json!({ "node": address.to_string() })),
            case("pod", Mac::of_pod(address), json!({ "pod": address.to_string() })),
            case("IPv6 only", Mac::of_serial(70_000), json!({ "serial": "70000" })),
            case("foreign", Mac([0x52, 0x54, 0, 1, 2, 3]), Value::Null),
            case("broadcast", Mac::BROADCAST, Value::Null),
        ],
        "matches": matches.map(|(mac, entry, mask, matches)| {
            json!({ "mac": mac, "entry": entry, "mask": mask, "matches": matches })
        }),
        "refused": refused(&[(
            "masked-out bits",
            vec![2, 0x46, 10, 200, 1, 7, 255, 255, 255, 255, 255, 0],
            "masked-out bits",
        )]),
    })
}
