//! The overlay of test/vectors: with its keys and papers the vectors themselves are inputs that get far.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::Value;
use tincan::session::noise::public_key;
use tincan::session::{keys, Local, Now, Random};
use tincan::wire::mac::MacRule;
use tincan::wire::{BootId, Certificate, Label, Mac, OverlayId};

/// Within the validity of every certificate of the vectors.
pub const NOW: Now = Now { us: 0, unix: 1_790_000_000 };

pub struct Papers {
    pub authority: Ed25519KeyPair,
    pub authority_key: [u8; 32],
    pub overlay: OverlayId,
    pub parameters: Vec<u8>,
    /// The node under test: the responder of the handshake vectors.
    pub own: Member,
    /// Its hostile neighbour: their initiator.
    pub peer: Member,
    /// Somebody behind the neighbour.
    pub third: Member,
}

pub struct Member {
    pub private: [u8; 32],
    pub certificate: Vec<u8>,
    pub label: Label,
}

impl Member {
    fn new(private: [u8; 32], certificate: Vec<u8>) -> Self {
        let label = Certificate::decode(&certificate).expect("a certificate of the vectors").label();
        Member { private, certificate, label }
    }

    /// What a node is configured with.
    pub fn local(&self, boot: u8) -> Local {
        Local::new(self.private, &self.certificate, &papers().parameters, BootId([boot; 8]), keys::preferred_ciphers())
            .expect("papers that belong together")
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("a vector without {key}"))
}

pub fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn key(value: &Value, name: &str) -> [u8; 32] {
    bytes(text(value, name)).try_into().expect("32 bytes")
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).expect("a file of test/vectors")
}

/// The certificate at the end of a handshake payload (docs/wire.md §5).
fn certificate_in(payload: &[u8]) -> Vec<u8> {
    let at = payload.windows(4).position(|four| four == b"EVC1").expect("a certificate in the payload");
    payload[at..].to_vec()
}

pub fn papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| {
        let objects = read(include_str!("../../../../test/vectors/parameters.json"));
        let handshakes = read(include_str!("../../../../test/vectors/handshake.json"));
        let handshake = &handshakes["cases"][0];
        let authority = Ed25519KeyPair::from_seed_unchecked(&key(&objects, "authoritySeed")).expect("a seed");
        let authority_key: [u8; 32] = authority.public_key().as_ref().try_into().expect("32 bytes");
        let overlay = OverlayId::of_authority_key(&authority_key);
        let member = |private: &str, payload: &str| {
            Member::new(key(handshake, private), certificate_in(&bytes(text(handshake, payload))))
        };
        let third = Certificate {
            overlay,
            identity_key: [3; 32],
            session_key: public_key(&[3; 32]).expect("a key"),
            name: "third".into(),
            ipv4: vec![(Ipv4Addr::new(10, 147, 0, 33), 16)],
            ipv6: vec![(Ipv6Addr::new(0xfd45, 0, 0, 0, 0, 0, 0, 33), 64)],
            routed_ipv4: vec![],
            routed_ipv6: vec![],
            macs: vec![MacRule::exactly(Mac::of_node(Ipv4Addr::new(10, 147, 0, 33)))],
            serial: 33,
            not_before: NOW.unix,
            not_after: NOW.unix + 1_000_000,
        };
        Papers {
            overlay,
            parameters: bytes(text(&objects["cases"][0], "object")),
            own: member("responderPrivate", "payload2"),
            peer: member("initiatorPrivate", "payload1"),
            third: Member::new([3; 32], third.sign(&authority)),
            authority,
            authority_key,
        }
    })
}

/// Not random at all: the same input does the same in each run.
pub struct Counting(pub u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
    }
}
