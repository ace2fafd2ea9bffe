//! An overlay and its members' papers, made on the spot.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::prelude::{Engine, BASE64_STANDARD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tincan::session::noise::public_key;
use tincan::wire::mac::MacRule;
use tincan::wire::parameters::Topology;
use tincan::wire::{Certificate, Mac, NodeId, OverlayId, Parameters, Revocations};

pub fn b64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub struct Overlay {
    authority: Ed25519KeyPair,
    id: OverlayId,
    pub parameters: Vec<u8>,
}

#[derive(Clone)]
pub struct Papers {
    pub certificate: Vec<u8>,
    pub session_key: [u8; 32],
    pub node_id: NodeId,
    pub label: u64,
    pub mac: [u8; 6],
    pub ipv4: Ipv4Addr,
    pub ipv6: Ipv6Addr,
    /// MACs of pods behind the node.
    pub pods: Option<MacRule>,
}

fn now() -> u64 {
    tincan::time::wall_seconds()
}

impl Overlay {
    pub fn new() -> Self {
        let authority = Ed25519KeyPair::from_seed_unchecked(&[0xa0; 32]).unwrap();
        let authority_key: [u8; 32] = authority.public_key().as_ref().try_into().unwrap();
        let id = OverlayId::of_authority_key(&authority_key);
        let parameters = Parameters {
            overlay: id,
            authority_key,
            name: "test".into(),
            serial: 1,
            issued: now(),
            mtu: 1400,
            ciphers: vec![1, 2],
            ipv4: Some((Ipv4Addr::new(10, 69, 0, 0), 16)),
            ipv6: Some((Ipv6Addr::new(0xfd45, 0, 0, 0, 0, 0, 0, 0), 64)),
            topology: Topology { successors: 2, long_distance: 255, on_demand: 4, full_mesh_auto: true },
        };
        Self { parameters: parameters.sign(&authority), authority, id }
    }

    /// A list that voids a node's certificate.
    pub fn revoke(&self, serial: u64, papers: &Papers) -> Vec<u8> {
        let entries = vec![(papers.node_id, u64::MAX)];
        Revocations { overlay: self.id, serial, issued: now(), entries }.sign(&self.authority)
    }

    /// The papers of node `number`: 10.69.0.number and fd45::number.
    pub fn node(&self, number: u8) -> Papers {
        self.node_until(number, now() + 3600)
    }

    pub fn node_until(&self, number: u8, not_after: u64) -> Papers {
        self.papers(number, not_after, false)
    }

    /// The same with 10.70.number.0/24 and fd70:0:0:number::/64 routed behind it.
    pub fn node_with_pods(&self, number: u8) -> Papers {
        self.papers(number, now() + 3600, true)
    }

    /// One that ends so soon.
    pub fn node_with_pods_for(&self, number: u8, seconds: u64) -> Papers {
        self.papers(number, now() + seconds, true)
    }

    fn papers(&self, number: u8, not_after: u64, with_pods: bool) -> Papers {
        let identity = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        let session_key = [number ^ 0x55; 32];
        let ipv4 = Ipv4Addr::new(10, 69, 0, number);
        let ipv6 = Ipv6Addr::new(0xfd45, 0, 0, 0, 0, 0, 0, u16::from(number));
        let mac = Mac::of_node(ipv4);
        let pod_prefix = Ipv4Addr::new(10, 70, number, 0);
        let pod_prefix6 = Ipv6Addr::new(0xfd70, 0, 0, u16::from(number), 0, 0, 0, 0);
        let pods = MacRule { mac: Mac::of_pod(pod_prefix), mask: Mac([0xff, 0xff, 0xff, 0xff, 0xff, 0]) };
        let pods = with_pods.then_some(pods);
        let certificate = Certificate {
            overlay: self.id,
            identity_key: identity.public_key().as_ref().try_into().unwrap(),
            session_key: public_key(&session_key).unwrap(),
            name: format!("node{number}"),
            ipv4: vec![(ipv4, 16)],
            ipv6: vec![(ipv6, 64)],
            routed_ipv4: if with_pods { vec![(pod_prefix, 24)] } else { vec![] },
            routed_ipv6: if with_pods { vec![(pod_prefix6, 64)] } else { vec![] },
            macs: std::iter::once(MacRule::exactly(mac)).chain(pods).collect(),
            serial: u64::from(number),
            not_before: now() - 60,
            not_after,
        };
        Papers {
            certificate: certificate.sign(&self.authority),
            session_key,
            node_id: certificate.node_id(),
            label: certificate.label().0,
            mac: mac.0,
            ipv4,
            ipv6,
            pods,
        }
    }
}
