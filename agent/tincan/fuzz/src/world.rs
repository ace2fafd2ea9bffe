//! A node with its real tap, bridge and sockets, in a network namespace of its own, and one neighbour by a relay channel. The
//! neighbour is a member with a right session; what it says under that session is the target's to choose.

use std::sync::Once;

use tincan::control::Bridge;
use tincan::log::{set_level, Level};
use tincan::node::{Node, Setup};
use tincan::relay::{encode_records, records_mut, Decoder, Unit};
use tincan::session::{Action, Now, Origin, Sessions};
use tincan::switch::ConnectionId;
use tincan::time::{MILLISECOND, SECOND};
use tincan::wire::probe::Probe;
use tincan::wire::record::{COOKIE, HANDSHAKE, PROBE};
use tincan::wire::routing::{RoutingHeader, ROUTING_HEADER};
use tincan::wire::sealed::{SEAL_OVERHEAD, SESSION_HEADER};
use tincan::wire::{BootId, Certificate, NodeId};

use crate::papers::{papers, Counting, Papers, NOW};

/// The first tunnel port (docs/wire.md §10.2).
pub const CHANNEL: u32 = 16;
/// What may leave towards the neighbour for one step of the target.
const ANSWER_MAX: usize = 256 * 1_024;
const RECORD_SIZE: u16 = 1_200;
/// Rounds in which both sides answer each other: a handshake takes two, a proven path two more.
const ROUNDS: usize = 8;

pub struct World {
    pub papers: &'static Papers,
    pub node: Node,
    pub peer: Sessions,
    pub controller: ConnectionId,
    pub now: Now,
    /// To be read by the node when its turn comes.
    towards: Vec<Vec<u8>>,
}

/// A network without a way out, gone with this process.
fn isolate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_level(Level::Error);
        // SAFETY: no pointers; the calling thread is the one that makes every socket.
        let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        let error = std::io::Error::last_os_error();
        assert!(moved == 0, "this target needs a network namespace of its own, so root: {error}");
    });
}

fn id(certificate: &[u8]) -> NodeId {
    Certificate::decode(certificate).expect("a certificate").node_id()
}

impl World {
    /// Both have proven the path, so that data counts.
    pub fn new() -> Self {
        isolate();
        let papers = papers();
        let now = Now { us: 100 * SECOND, ..NOW };
        let bridge = Bridge { name: "fuzz-br".into(), tap: "fuzz-tap".into(), per_tunnel: None };
        let boot_id = BootId([1; 8]);
        let setup = Setup {
            local: papers.own.local(1),
            bridge,
            udp_port: 0,
            stun: vec![],
            exclude: vec![],
            exclude_routes: vec![],
            boot_id,
        };
        let node = Node::new(setup, now).unwrap_or_else(|failure| panic!("no node: {}", failure.message));
        let mut peer = Sessions::new(papers.peer.local(2), Box::new(Counting(0)), now);
        peer.add_member(&papers.own.certificate, now).expect("a member");
        let mut world = World { papers, node, peer, controller: 0, now, towards: Vec::new() };
        world.configure();
        for _ in 0..3 {
            world.advance(50 * MILLISECOND);
        }
        let tunnels = world.node.tunnels_json(world.now);
        assert_eq!(tunnels["tunnels"][0]["path"], "webrtc", "the neighbours do not find each other: {tunnels}");
        world
    }

    fn call(&mut self, method: &str, params: serde_json::Value) {
        let line = serde_json::json!({ "id": 1, "method": method, "params": params }).to_string();
        let (id, method) = tincan::control::parse(line.as_bytes()).expect("a request");
        let answer = self.node.call(1, id, method, self.now).expect("an answer at once");
        assert!(answer.is_ok(), "{line}: {answer:?}");
    }

    fn configure(&mut self) {
        use base64::prelude::{Engine, BASE64_STANDARD};
        let certificates = [&self.papers.peer.certificate, &self.papers.third.certificate];
        self.call(
            "members",
            serde_json::json!({ "certificates": certificates.map(|raw| BASE64_STANDARD.encode(raw)) }),
        );
        self.node.outlet.outbox.grant(CHANNEL as u16, u32::MAX);
        for certificate in certificates {
            self.call("tunnel-add", serde_json::json!({ "peer": id(certificate).to_string(), "note": "" }));
        }
        let peer = id(&self.papers.peer.certificate).to_string();
        self.call("tunnel-webrtc", serde_json::json!({ "peer": peer, "up": true, "recordSize": RECORD_SIZE }));
        self.controller = self.node.switch.connect();
        self.openflow(0, &[]);
        // Whatever comes goes to the tap, and what leaves goes by the neighbour.
        for (table, port) in [(0, 0xffff_fffbu32), (tincan::switch::CORE_TABLE, CHANNEL)] {
            let mut flow = vec![0; 16];
            flow.extend([table, 0, 0, 0, 0, 0, 0, 0]);
            flow.extend([0xff; 12]);
            flow.extend([0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0, 4, 0, 24, 0, 0, 0, 0, 0, 0, 0, 16]);
            flow.extend(port.to_be_bytes());
            flow.extend([0; 8]);
            self.openflow(14, &flow);
        }
    }

    /// A message of a controller, with a header that fits it.
    pub fn openflow(&mut self, kind: u8, body: &[u8]) {
        let size = u16::try_from(8 + body.len()).unwrap_or(u16::MAX);
        let message = [&[4, kind][..], &size.to_be_bytes(), &[0; 4], body].concat();
        let packets = self.node.switch.receive(self.controller, &message, self.now.us);
        self.node.packets_out(packets, self.now);
        self.node.switch.outgoing(self.controller);
    }

    /// A plaintext of the neighbour under its session, if that still stands.
    pub fn seal(&mut self, record_type: u8, plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut record = vec![0; SEAL_OVERHEAD + plaintext.len()];
        record.get_mut(SESSION_HEADER..SESSION_HEADER + plaintext.len())?.copy_from_slice(plaintext);
        self.peer.seal(self.papers.own.label, record_type, &mut record, self.now).ok()?;
        Some(record)
    }

    pub fn say(&mut self, record_type: u8, plaintext: &[u8]) {
        if let Some(record) = self.seal(record_type, plaintext) {
            self.deliver(&record);
        }
    }

    /// One record by the relay channel.
    pub fn deliver(&mut self, record: &[u8]) {
        let record = record.get(..usize::from(u16::MAX)).unwrap_or(record);
        let mut unit = encode_records(CHANNEL as u16, &[record]);
        self.node.relayed(CHANNEL, unit.get_mut(8..).unwrap_or(&mut []), self.now);
    }

    /// Time passes, both sides do what is due and answer each other.
    pub fn advance(&mut self, us: u64) {
        self.now = Now { us: self.now.us + us, unix: self.now.unix + us / SECOND };
        let actions = self.peer.tick(self.now);
        self.carry_out(actions);
        self.node.tick(self.now);
        for _ in 0..ROUNDS {
            self.settle();
            if self.towards.is_empty() {
                break;
            }
            for record in std::mem::take(&mut self.towards) {
                self.deliver(&record);
            }
        }
    }

    /// Takes what the node has for its neighbour, its agent and its controllers.
    pub fn settle(&mut self) {
        self.node.flush(self.now);
        let mut out = Vec::new();
        self.node.outlet.outbox.take(usize::MAX, self.now.us, &mut out);
        assert!(out.len() <= ANSWER_MAX, "{} bytes for one step", out.len());
        let mut decoder = Decoder::default();
        decoder.push(&out);
        while let Some((unit, payload)) = decoder.next().expect("what tincan writes") {
            if unit != (Unit::Records { port: CHANNEL as u16 }) {
                continue;
            }
            let records: Vec<Vec<u8>> = records_mut(payload).map(|record| record.to_vec()).collect();
            for record in records {
                self.neighbour(&record);
            }
        }
        let events = self.node.take_events();
        assert!(events.len() <= 256, "{} events for one step", events.len());
        self.node.take_pinged();
        self.node.switch.outgoing(self.controller);
    }

    /// The neighbour as an honest one would be: it answers handshakes and probes.
    fn neighbour(&mut self, record: &[u8]) {
        let mut inner = match RoutingHeader::decode(record) {
            Ok((header, _)) if header.destination == self.papers.peer.label => record[ROUTING_HEADER..].to_vec(),
            Ok(_) => return,
            Err(_) => record.to_vec(),
        };
        let actions = match inner.first().copied() {
            Some(HANDSHAKE) => self.peer.handshake(&inner, Origin::Channel(CHANNEL), self.now),
            Some(COOKIE) => self.peer.cookie(&inner, self.now),
            _ => {
                let probe = match self.peer.open(&mut inner, self.now) {
                    Ok(opened) if opened.record_type == PROBE => Probe::decode(opened.plaintext).ok(),
                    _ => None,
                };
                if let Some(probe) = probe.filter(|probe| !probe.response) {
                    let answer = Probe { response: true, proven: true, seen: None, ..probe }.encode();
                    let sealed = self.seal(PROBE, &answer);
                    self.towards.extend(sealed);
                }
                self.peer.take_actions()
            }
        };
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Send { record, .. } = action {
                self.towards.push(record);
            }
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
