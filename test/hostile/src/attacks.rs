//! What a member can send to its neighbours that no tincan would.

use std::collections::BTreeMap;
use std::path::Path;

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};
use tincan::node::Node;
use tincan::session::{keys, Action, Cipher, Local, Now, Random, Sessions, SystemRandom};
use tincan::wire::control::Control;
use tincan::wire::flood::{Flood, FloodArc, FLOOD_HOP_LIMIT};
use tincan::wire::probe::{Probe, PROBE_RECORD_MIN};
use tincan::wire::record::{CONTROL, FLOOD, FLOOD_ACK, FRAGMENT, FRAME, PROBE};
use tincan::wire::routing::RoutingHeader;
use tincan::wire::sealed::{SEAL_OVERHEAD, SESSION_HEADER};
use tincan::wire::{BootId, Label};

/// A record that every path takes.
const RECORD: usize = 1_200;
const PIECE: usize = RECORD - SEAL_OVERHEAD - 4;
/// Records kept to be sent again.
const KEPT: usize = 4_096;
/// Handshakes are dear to make: after so many for each neighbour the same come again, which are as dear to it: it remembers fewer.
const INITIATIONS: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    Handshakes,
    Labels,
    Floods,
    Storm,
    Replays,
    Garbage,
    Fragments,
    Probes,
    Messages,
    Adjacency,
    Certificates,
    Macs,
}

pub const ALL: [(Attack, &str); 12] = [
    (Attack::Handshakes, "handshakes"),
    (Attack::Labels, "labels"),
    (Attack::Floods, "floods"),
    (Attack::Storm, "storm"),
    (Attack::Replays, "replays"),
    (Attack::Garbage, "garbage"),
    (Attack::Fragments, "fragments"),
    (Attack::Probes, "probes"),
    (Attack::Messages, "messages"),
    (Attack::Adjacency, "adjacency"),
    (Attack::Certificates, "certificates"),
    (Attack::Macs, "macs"),
];

impl Attack {
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, known)| *known == name).map(|(attack, _)| *attack)
    }

    fn name(self) -> &'static str {
        ALL.iter().find(|(attack, _)| *attack == self).map_or("", |(_, name)| name)
    }
}

/// What handshakes are made of.
pub struct Papers {
    private: [u8; 32],
    certificate: Vec<u8>,
    parameters: Vec<u8>,
}

impl Papers {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let bytes = |object: &str, key: &str| {
            let text = file[object][key].as_str().unwrap_or_default();
            BASE64_STANDARD.decode(text).map_err(|_| format!("{}: no {object}.{key}", path.display()))
        };
        Ok(Papers {
            private: bytes("identity", "sessionKey")?.try_into().map_err(|_| "a session key of another size")?,
            certificate: bytes("identity", "certificate")?,
            parameters: bytes("overlay", "parameters")?,
        })
    }
}

pub struct Striker {
    papers: Papers,
    /// To find out which is the fastest takes time.
    ciphers: Vec<Cipher>,
    state: u64,
    sequence: u32,
    initiations: BTreeMap<Label, Vec<Vec<u8>>>,
    kept: BTreeMap<Label, Vec<Vec<u8>>>,
    sent: BTreeMap<Attack, u64>,
    /// Records sent to a neighbour before they were due: a message goes whole, however many pieces it has.
    ahead: BTreeMap<Label, usize>,
}

impl Striker {
    pub fn new(papers: Papers) -> Self {
        let mut seed = [0; 8];
        SystemRandom::new().fill(&mut seed);
        Striker {
            papers,
            ciphers: keys::preferred_ciphers(),
            state: u64::from_be_bytes(seed) | 1,
            sequence: 0,
            initiations: BTreeMap::new(),
            kept: BTreeMap::new(),
            sent: BTreeMap::new(),
            ahead: BTreeMap::new(),
        }
    }

    /// How many records of which attack have left.
    pub fn tell(&self, path: &Path) {
        let sent: BTreeMap<&str, u64> = self.sent.iter().map(|(attack, sent)| (attack.name(), *sent)).collect();
        let _ = std::fs::write(path, json!(sent).to_string());
    }

    /// So many records of this attack to every neighbour.
    pub fn strike(&mut self, node: &mut Node, attack: Attack, count: u64, now: Now) {
        let neighbours: Vec<_> =
            node.tunnels.iter().filter_map(|tunnel| tunnel.current().map(|way| (tunnel.label, way))).collect();
        for (label, way) in neighbours {
            let (due, mut sent) = (count as usize, self.ahead.remove(&label).unwrap_or(0));
            while sent < due {
                let records = self.records(node, attack, label, now);
                if records.is_empty() {
                    break;
                }
                for record in &records {
                    node.outlet.send(way, record, false, now.us);
                }
                *self.sent.entry(attack).or_default() += records.len() as u64;
                sent += records.len();
            }
            self.ahead.insert(label, sent.saturating_sub(due));
        }
    }

    fn draw(&mut self) -> u64 {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        let mut out: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| self.draw().to_be_bytes()).collect();
        out.truncate(bytes);
        out
    }

    fn records(&mut self, node: &mut Node, attack: Attack, to: Label, now: Now) -> Vec<Vec<u8>> {
        match attack {
            Attack::Handshakes => self.handshake(node, to, now).into_iter().collect(),
            Attack::Labels => vec![self.forged_route(node, to, now)],
            Attack::Floods => {
                let (root, start, bound) = (Label(self.draw()), Label(self.draw()), Label(self.draw()));
                let frame = self.frame(true, 100);
                self.flood(node, to, FloodArc { root, sequence: self.state, start, bound }, &frame, now)
            }
            Attack::Storm => {
                self.sequence = self.sequence.wrapping_add(1);
                let sequence = 0x5707_0000_0000_0000 | u64::from(self.sequence);
                let frame = self.frame(true, 1_000);
                let root = node.label;
                self.flood(node, to, FloodArc { root, sequence, start: root, bound: root }, &frame, now)
            }
            Attack::Replays => self.again(node, to, now).into_iter().collect(),
            Attack::Garbage => {
                let kind = [FRAME, FRAGMENT, FLOOD, FLOOD_ACK, PROBE, CONTROL][(self.draw() % 6) as usize];
                let size = (self.draw() % 1_100) as usize;
                let mut plaintext = self.noise(size);
                // Half of them get past the first look.
                if self.draw() % 2 == 0 {
                    match (kind, plaintext.get_mut(..2)) {
                        (CONTROL, Some(head)) => (head[0], head[1]) = (head[0] % 6, 0),
                        (FRAME, Some(head)) => (head[0], head[1]) = (head[0] % 4, 0),
                        _ => {}
                    }
                }
                seal(node, to, kind, &plaintext, now).into_iter().collect()
            }
            Attack::Fragments => {
                let id = (self.draw() as u16).to_be_bytes();
                let piece = [&[id[0], id[1], 0, 16][..], &self.noise(1_000)].concat();
                seal(node, to, FRAGMENT, &piece, now).into_iter().collect()
            }
            Attack::Probes => {
                let draw = self.draw();
                let probe = Probe {
                    response: draw % 4 == 0,
                    proven: draw % 2 == 0,
                    size: PROBE_RECORD_MIN,
                    challenge: draw.to_be_bytes(),
                    seen: None,
                };
                seal(node, to, PROBE, &probe.encode(), now).into_iter().collect()
            }
            Attack::Messages => {
                let body = self.message();
                say(node, to, &Control::Agent(body.to_string().as_bytes()).encode(), self.draw() as u16, now)
            }
            Attack::Adjacency => {
                // In leaps: the garbage before this has left a sequence behind that counts as newer than half of all (RFC 1982).
                self.sequence = self.sequence.wrapping_add(1 << 27);
                let labels = (0..2_000).map(|_| Label(self.draw())).collect();
                let lie = Control::Adjacency { sequence: self.sequence, labels }.encode();
                say(node, to, &lie, self.draw() as u16, now)
            }
            Attack::Certificates => {
                // Right in everything but the signature, which is the last thing to be looked at and the dearest.
                let mut raw = self.papers.certificate.clone();
                let draw = self.draw();
                let (serial, last) = (raw.len().saturating_sub(64 + 40), raw.len() - 1);
                raw[last] ^= 1 + (draw % 255) as u8;
                raw[serial / 2 + (draw % 8) as usize] ^= 1;
                let plaintext = match draw % 3 {
                    0 => Control::Revocations(&raw).encode(),
                    _ => Control::Certificate(&raw).encode(),
                };
                say(node, to, &plaintext, draw as u16, now)
            }
            Attack::Macs => {
                let frame = self.frame(false, 60);
                seal(node, to, FRAME, &[&[0, 0][..], &frame].concat(), now).into_iter().collect()
            }
        }
    }

    /// From a foreign MAC that nobody has seen before; an experimental ethertype, so that no host answers.
    fn frame(&mut self, broadcast: bool, payload: usize) -> Vec<u8> {
        let source = self.draw().to_be_bytes();
        let destination = if broadcast { [0xff; 6] } else { [6, 1, 2, 3, 4, 5] };
        let source = [0x06, source[1], source[2], source[3], source[4], source[5]];
        [&destination[..], &source, &[0x88, 0xb5], &self.noise(payload)].concat()
    }

    fn flood(&mut self, node: &mut Node, to: Label, arc: FloodArc, frame: &[u8], now: Now) -> Vec<Vec<u8>> {
        let plaintext = Flood { arc, hop_limit: FLOOD_HOP_LIMIT, partial: false, ethernet: frame }.encode();
        seal(node, to, FLOOD, &plaintext, now).into_iter().collect()
    }

    /// Somebody else's label as source, and nobody's or somebody's as destination; inside, what looks like a record.
    fn forged_route(&mut self, node: &mut Node, to: Label, now: Now) -> Vec<u8> {
        let others: Vec<Label> = node.tunnels.iter().map(|tunnel| tunnel.label).collect();
        let draw = self.draw();
        let one = |at: u64| others.get(at as usize % others.len().max(1)).copied().unwrap_or(to);
        let source = if draw % 3 == 0 { Label(draw) } else { one(draw >> 8) };
        let destination = match draw % 5 {
            0 => Label(draw.rotate_left(17)),
            1 => one(draw >> 16),
            _ => to,
        };
        let header = RoutingHeader { detour: draw % 7 == 0, ..RoutingHeader::new(source, destination) };
        let inner = match draw % 4 {
            // Under our own genuine session, as if it had come from afar.
            0 => seal(node, to, FRAME, &[&[0, 0][..], &self.frame(false, 60)].concat(), now).unwrap_or_default(),
            1 => [&[0xc9, 3, 0, 0][..], &self.noise(24)].concat(),
            _ => [&[0xc3 + (draw % 6) as u8, 0, 0, 0][..], &self.noise(100)].concat(),
        };
        [&header.encode()[..], &inner].concat()
    }

    /// A handshake that verifies: our own certificate and keys, another boot and another ephemeral key each time.
    fn handshake(&mut self, node: &mut Node, to: Label, now: Now) -> Option<Vec<u8>> {
        let known = self.initiations.entry(to).or_default();
        if known.len() >= INITIATIONS {
            let at = self.draw() as usize % INITIATIONS;
            return self.initiations.get(&to)?.get(at).cloned();
        }
        let member = node.sessions.member(to)?.certificate.raw().to_vec();
        let boot = BootId(self.draw().to_be_bytes());
        let Papers { private, certificate, parameters } = &self.papers;
        let local = Local::new(*private, certificate, parameters, boot, self.ciphers.clone()).ok()?;
        let mut sessions = Sessions::new(local, Box::new(SystemRandom::new()), now);
        sessions.add_member(&member, now).ok()?;
        let initiation = sessions.start(to, now).into_iter().find_map(|action| match action {
            Action::Send { record, .. } => Some(record),
            _ => None,
        })?;
        self.initiations.get_mut(&to)?.push(initiation.clone());
        Some(initiation)
    }

    /// What was sent before, byte for byte.
    fn again(&mut self, node: &mut Node, to: Label, now: Now) -> Option<Vec<u8>> {
        let full = self.kept.get(&to).is_some_and(|kept| kept.len() >= KEPT);
        if !full {
            let probe = Probe {
                response: false,
                proven: true,
                size: PROBE_RECORD_MIN,
                challenge: self.draw().to_be_bytes(),
                seen: None,
            };
            let record = seal(node, to, PROBE, &probe.encode(), now)?;
            self.kept.entry(to).or_default().push(record.clone());
            return Some(record);
        }
        let at = self.draw() as usize % KEPT;
        self.kept.get(&to)?.get(at).cloned()
    }

    /// What agents say to each other (docs/wire.md §9.3), and what they do not.
    fn message(&mut self) -> Value {
        let draw = self.draw();
        let tunnel = format!("{draw:016x}");
        let address = |n: u64| format!("198.51.{}.{}:{}", 100 + n % 100, n / 100 % 250 + 1, 1_024 + n % 60_000);
        let sixteen = |from: u64| (0..16).map(|n| address(from.wrapping_add(n) % 1_000_000)).collect::<Vec<_>>();
        let ufrag = format!("{:08x}", draw as u32);
        let candidates: String =
            (0..60).map(|n| format!(",{n} 2122317823 198.51.100.{} {} h", n % 250 + 1, 1_024 + n)).collect();
        // 32 bytes in base64.
        let print = "q6ur".repeat(11);
        let sdp = format!("{ufrag} {ufrag}{ufrag}{ufrag} {}{candidates}", &print[..43]);
        match draw % 10 {
            0 | 1 => {
                json!({ "type": "offer", "tunnel": tunnel, "sdp": sdp, "udp": sixteen(draw), "kinds": ["static"] })
            }
            2 => json!({ "type": "answer", "tunnel": tunnel, "sdp": sdp, "udp": [] }),
            3 => {
                json!({ "type": "candidates", "tunnel": tunnel, "candidates": [format!("1 1 198.51.100.{} 9 h", draw % 250)] })
            }
            4 => json!({ "type": "udp", "udp": sixteen(draw) }),
            5 => json!({ "type": "udp", "udp": (0..600).map(address).collect::<Vec<_>>() }),
            6 => {
                json!({ "type": "edge", "kinds": if draw % 3 == 0 { vec![] } else { vec!["long-distance", "on-demand"] } })
            }
            7 => {
                json!({ "type": "members", "certificates": (0..15).map(|_| BASE64_STANDARD.encode(&self.papers.certificate)).collect::<Vec<_>>() })
            }
            8 => json!({ "type": "refuse", "tunnel": tunnel, "reason": "busy" }),
            _ => json!([[[[[[[[{ "type": { "offer": null } }]]]]]]]]),
        }
    }
}

/// One record under the genuine session.
fn seal(node: &mut Node, to: Label, kind: u8, plaintext: &[u8], now: Now) -> Option<Vec<u8>> {
    let mut record = vec![0; SEAL_OVERHEAD + plaintext.len()];
    record.get_mut(SESSION_HEADER..SESSION_HEADER + plaintext.len())?.copy_from_slice(plaintext);
    node.sessions.seal(to, kind, &mut record, now).ok()?;
    Some(record)
}

/// A control plaintext of any length, in fragments where it has to be.
fn say(node: &mut Node, to: Label, plaintext: &[u8], id: u16, now: Now) -> Vec<Vec<u8>> {
    if plaintext.len() <= PIECE {
        return seal(node, to, CONTROL, plaintext, now).into_iter().collect();
    }
    let whole = [&[CONTROL][..], plaintext].concat();
    let count = whole.len().div_ceil(PIECE) as u8;
    let [high, low] = id.to_be_bytes();
    let pieces = whole.chunks(PIECE).zip(0..);
    pieces
        .filter_map(|(piece, index)| seal(node, to, FRAGMENT, &[&[high, low, index, count][..], piece].concat(), now))
        .collect()
}
