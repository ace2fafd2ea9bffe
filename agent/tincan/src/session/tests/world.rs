//! Two or more nodes, the records between them, and a clock that jumps.

use std::collections::VecDeque;

use ring::digest::{digest, SHA256};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::session::*;
use crate::time::{Micros, MILLISECOND};
use crate::wire::mac::MacRule;
use crate::wire::parameters::Topology;
use crate::wire::record::{COOKIE, FRAME, HANDSHAKE};
use crate::wire::sealed::{SEAL_OVERHEAD, SESSION_HEADER};
use crate::wire::{OverlayId, Parameters};

pub const ISSUED: u64 = 1_790_000_000;
pub const YEAR: u64 = 365 * 86_400;

/// SHA-256 of a seed and a count: as good as random, and the same in each run.
pub struct Seeded {
    pub seed: String,
    pub count: u64,
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.count += 1;
            let block = digest(&SHA256, format!("{} {}", self.seed, self.count).as_bytes());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}

pub fn seed(name: &str) -> [u8; 32] {
    digest(&SHA256, name.as_bytes()).as_ref().try_into().unwrap()
}

pub fn authority(name: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&seed(name)).unwrap()
}

pub fn parameters_of(authority: &Ed25519KeyPair, ciphers: Vec<u8>) -> Parameters {
    let key: [u8; 32] = authority.public_key().as_ref().try_into().unwrap();
    Parameters {
        overlay: OverlayId::of_authority_key(&key),
        authority_key: key,
        name: "lab".into(),
        serial: 1,
        issued: ISSUED,
        mtu: 1400,
        ciphers,
        ipv4: Some((std::net::Ipv4Addr::new(10, 147, 0, 0), 16)),
        ipv6: None,
        topology: Topology { successors: 2, long_distance: 255, on_demand: 8, full_mesh_auto: true },
    }
}

/// A certificate before it is signed: tests change what they are about.
pub fn certificate_of(name: &str, authority: &Ed25519KeyPair, serial: u64) -> Certificate {
    let key: [u8; 32] = authority.public_key().as_ref().try_into().unwrap();
    let identity = Ed25519KeyPair::from_seed_unchecked(&seed(&format!("identity {name}"))).unwrap();
    let [.., host] = seed(name);
    let address = std::net::Ipv4Addr::new(10, 147, 0, host);
    Certificate {
        overlay: OverlayId::of_authority_key(&key),
        identity_key: identity.public_key().as_ref().try_into().unwrap(),
        session_key: noise::public_key(&seed(&format!("session {name}"))).unwrap(),
        name: name.into(),
        ipv4: vec![(address, 16)],
        ipv6: vec![],
        routed_ipv4: vec![],
        routed_ipv6: vec![],
        macs: vec![MacRule::exactly(Mac::of_node(address))],
        serial,
        not_before: ISSUED,
        not_after: ISSUED + YEAR,
    }
}

pub struct Node {
    pub name: &'static str,
    pub sessions: Sessions,
    pub label: Label,
    pub certificate: Vec<u8>,
    /// Frames that were given back or arrived, and events, as a test reads them.
    pub received: Vec<Vec<u8>>,
    pub events: Vec<Action>,
}

pub fn node(name: &'static str, boot: u8) -> Node {
    node_with(name, boot, "authority", vec![1, 2], vec![Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305])
}

pub fn node_with(name: &'static str, boot: u8, by: &str, allowed: Vec<u8>, ciphers: Vec<Cipher>) -> Node {
    let authority = authority(by);
    let certificate = certificate_of(name, &authority, u64::from(seed(name)[0]) + 1).sign(&authority);
    let parameters = parameters_of(&authority, allowed).sign(&authority);
    let private = seed(&format!("session {name}"));
    let local = Local::new(private, &certificate, &parameters, BootId([boot; 8]), ciphers).unwrap();
    let random = Seeded { seed: format!("{name} {boot}"), count: 0 };
    let sessions = Sessions::new(local, Box::new(random), Now { us: 0, unix: ISSUED });
    Node { name, label: sessions.label(), sessions, certificate, received: vec![], events: vec![] }
}

/// A record on its way.
#[derive(Debug, Clone)]
pub struct Flying {
    pub from: usize,
    pub to: usize,
    pub record: Vec<u8>,
    pub at: Micros,
}

/// What becomes of a record; the default carries everything.
pub type Filter = Box<dyn FnMut(&Flying) -> bool>;

pub struct World {
    pub nodes: Vec<Node>,
    pub flying: VecDeque<Flying>,
    /// Every record that was sent, for replays.
    pub seen: Vec<Flying>,
    pub now: Now,
    pub latency: Micros,
    pub carries: Filter,
}

impl World {
    /// All nodes know one another's certificates.
    pub fn new(mut nodes: Vec<Node>) -> Self {
        let now = Now { us: 0, unix: ISSUED + 1000 };
        let certificates: Vec<_> = nodes.iter().map(|node| node.certificate.clone()).collect();
        for node in &mut nodes {
            for certificate in &certificates {
                let _ = node.sessions.add_member(certificate, now);
            }
        }
        World {
            nodes,
            flying: VecDeque::new(),
            seen: vec![],
            now,
            latency: 10 * MILLISECOND,
            carries: Box::new(|_| true),
        }
    }

    /// The lower node id first.
    pub fn pair() -> Self {
        let mut nodes = vec![node("ann", 1), node("bob", 1)];
        nodes.sort_by_key(|node| node.sessions.certificate().node_id());
        Self::new(nodes)
    }

    fn index_of(&self, label: Label) -> usize {
        self.nodes.iter().position(|node| node.label == label).unwrap()
    }

    pub fn take(&mut self, who: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to, record } => {
                    let to = match to {
                        To::Label(label) => self.index_of(label),
                        To::Origin(Origin::Channel(port)) => port as usize,
                        To::Origin(_) => continue,
                    };
                    self.send(who, to, record);
                }
                Action::Flush { label, frames } => {
                    self.nodes[who].events.push(Action::Flush { label, frames: frames.clone() });
                    for (record_type, plaintext) in frames {
                        self.seal(who, label, record_type, &plaintext);
                    }
                }
                other => self.nodes[who].events.push(other),
            }
        }
    }

    pub fn send(&mut self, from: usize, to: usize, record: Vec<u8>) {
        let flying = Flying { from, to, record, at: self.now.us + self.latency };
        self.seen.push(flying.clone());
        if (self.carries)(&flying) {
            self.flying.push_back(flying);
        }
    }

    fn seal(&mut self, who: usize, label: Label, record_type: u8, plaintext: &[u8]) {
        let to = self.index_of(label);
        let mut record = vec![0; plaintext.len() + SEAL_OVERHEAD];
        record[SESSION_HEADER..SESSION_HEADER + plaintext.len()].copy_from_slice(plaintext);
        match self.nodes[who].sessions.seal(label, record_type, &mut record, self.now) {
            Ok(_) => self.send(who, to, record),
            Err(NoSession) => {
                let actions = self.nodes[who].sessions.queue(label, record_type, plaintext.to_vec(), self.now);
                self.take(who, actions);
            }
        }
    }

    /// One frame from a node to another, which waits for a session if there is none.
    pub fn frame(&mut self, from: usize, to: usize, text: &str) {
        let label = self.nodes[to].label;
        self.seal(from, label, FRAME, text.as_bytes());
    }

    pub fn start(&mut self, from: usize, to: usize) {
        let label = self.nodes[to].label;
        let actions = self.nodes[from].sessions.start(label, self.now);
        self.take(from, actions);
    }

    pub fn renew(&mut self, from: usize, to: usize) {
        let label = self.nodes[to].label;
        let actions = self.nodes[from].sessions.renew_now(label, self.now);
        self.take(from, actions);
    }

    pub fn deliver(&mut self, flying: Flying) {
        let Flying { from, to, mut record, .. } = flying;
        let node = &mut self.nodes[to];
        let actions = match record[0] {
            HANDSHAKE => node.sessions.handshake(&record, Origin::Channel(from as u32), self.now),
            COOKIE => node.sessions.cookie(&record, self.now),
            _ => {
                if let Ok(opened) = node.sessions.open(&mut record, self.now) {
                    if opened.record_type == FRAME {
                        let plaintext = opened.plaintext.to_vec();
                        node.received.push(plaintext);
                    }
                }
                node.sessions.take_actions()
            }
        };
        self.take(to, actions);
    }

    /// Lets time pass, with all that happens in it.
    pub fn run(&mut self, duration: Micros) {
        let end = self.now.us + duration;
        let start = self.now;
        loop {
            let flight = self.flying.iter().map(|flying| flying.at).min();
            let deadline = self.nodes.iter().filter_map(|node| node.sessions.deadline()).min();
            let next = flight.into_iter().chain(deadline).min().unwrap_or(end);
            if next > end {
                break;
            }
            self.set_time(start, next.max(self.now.us));
            while let Some(at) = self.flying.iter().position(|flying| flying.at <= self.now.us) {
                let flying = self.flying.remove(at).unwrap();
                self.deliver(flying);
            }
            for who in 0..self.nodes.len() {
                if self.nodes[who].sessions.deadline().is_some_and(|deadline| deadline <= self.now.us) {
                    let actions = self.nodes[who].sessions.tick(self.now);
                    self.take(who, actions);
                }
            }
        }
        self.set_time(start, end);
    }

    fn set_time(&mut self, start: Now, us: Micros) {
        self.now = Now { us, unix: start.unix + (us - start.us) / 1_000_000 };
    }

    pub fn texts(&self, who: usize) -> Vec<String> {
        self.nodes[who].received.iter().map(|bytes| String::from_utf8(bytes.clone()).unwrap()).collect()
    }

    pub fn usable(&self, from: usize, to: usize) -> bool {
        self.nodes[from].sessions.usable(self.nodes[to].label, self.now)
    }

    pub fn since(&self, from: usize, to: usize) -> Option<Micros> {
        Some(self.nodes[from].sessions.state(self.nodes[to].label)?.since)
    }

    pub fn refusals(&self, who: usize) -> Vec<(&'static str, u64)> {
        self.nodes[who].sessions.refusals().collect()
    }

    pub fn established(&self, who: usize) -> usize {
        self.nodes[who].events.iter().filter(|event| matches!(event, Action::Established { .. })).count()
    }

    pub fn sent_handshakes(&self, from: usize) -> usize {
        self.seen.iter().filter(|flying| flying.from == from && flying.record[0] == HANDSHAKE).count()
    }
}
