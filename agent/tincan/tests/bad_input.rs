//! What strangers, replayers and a hostile member send, fed to a whole node with its real tap and socket: it is dropped and counted by
//! name, nothing reaches the tap, no path moves, and the node answers so seldom that nobody is flooded by it. The time is ours, so a
//! second lasts as long as ten thousand datagrams do.

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};
use support::openflow::{apply, hello_and, output, FlowMod};
use support::overlay::{Overlay, Papers};
use support::{must, need_root};
use tincan::control::{parse, Bridge};
use tincan::node::{Node, Setup};
use tincan::session::{keys, Action, Local, Now, Origin, Sessions, SystemRandom};
use tincan::time::{wall_seconds, MILLISECOND, SECOND};
use tincan::wire::probe::{Probe, PROBE_RECORD_MIN};
use tincan::wire::record::{CONTROL, COOKIE, FRAGMENT, FRAME, HANDSHAKE, NOTICE, PROBE, ROUTED};
use tincan::wire::routing::RoutingHeader;
use tincan::wire::sealed::{SEAL_OVERHEAD, SESSION_HEADER};
use tincan::wire::{BootId, Label};

const TAP: &str = "bad-tap";
const OWN: &str = "192.168.7.1";
/// Of each kind.
const MANY: u64 = 10_000;
/// Of notices to one address (docs/wire.md §7).
const NOTICES: u64 = 10;

/// A node, its one neighbour, and somebody else who reaches its socket.
struct World {
    node: Node,
    papers: Papers,
    address: SocketAddr,
    /// The neighbour's sessions, by which it can seal what it likes, and its socket.
    peer: Sessions,
    peer_papers: Papers,
    friend: UdpSocket,
    stranger: UdpSocket,
    now: Now,
    /// All that the node sent to its neighbour, and all that the neighbour's sessions made.
    heard: Vec<Vec<u8>>,
    said: Vec<Vec<u8>>,
}

/// What must not change by what is dropped, and what must.
struct State {
    counters: BTreeMap<String, u64>,
    delivered: u64,
    tunnels: Value,
}

fn local(papers: &Papers, overlay: &Overlay, boot: u8) -> Local {
    let ciphers = keys::preferred_ciphers();
    Local::new(papers.session_key, &papers.certificate, &overlay.parameters, BootId([boot; 8]), ciphers).unwrap()
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// A file that the kernel shows for this thread's namespace.
fn net(file: &str) -> String {
    std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap()
}

/// Frames that were written to the tap.
fn delivered() -> u64 {
    let devices = net("dev");
    let line = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{TAP}:"))).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Datagrams that left any socket of the namespace by IPv4 (RFC 4113, udpOutDatagrams).
fn left() -> u64 {
    let text = net("snmp");
    let mut lines = text.lines().filter(|line| line.starts_with("Udp: ")).map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    names.zip(values).find(|(name, _)| *name == "OutDatagrams").unwrap().1.parse().unwrap()
}

/// Runs `test` before such a world, in a network of its own.
fn with_world(test: impl FnOnce(&mut World) + Send + 'static) {
    need_root();
    let thread = std::thread::spawn(move || {
        // SAFETY: no pointers; this thread alone gets another network.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        must(&format!(
            "ip link set lo up; ip link add wire type veth peer name end; ip link set wire up; ip link set end up
             for ip in {OWN} 192.168.7.2 192.168.7.3; do ip addr add $ip/24 dev wire; done"
        ));
        tincan::log::set_level(tincan::log::Level::Error);
        test(&mut World::new());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    /// Both have proven the direct path between them.
    fn new() -> Self {
        let overlay = Overlay::new();
        let (papers, peer_papers) = (overlay.node(1), overlay.node(2));
        let now = Now { us: 100 * SECOND, unix: wall_seconds() };
        let bridge = Bridge { name: "bad-br".into(), tap: TAP.into(), per_tunnel: None };
        let setup = Setup {
            local: local(&papers, &overlay, 1),
            bridge,
            udp_port: 0,
            stun: vec![],
            exclude: vec![],
            exclude_routes: vec![],
            boot_id: BootId([1; 8]),
        };
        let node = Node::new(setup, now).unwrap();
        let address = format!("{OWN}:{}", node.udp_port).parse().unwrap();
        let mut peer = Sessions::new(local(&peer_papers, &overlay, 2), Box::new(SystemRandom::new()), now);
        peer.add_member(&papers.certificate, now).unwrap();
        let (friend, stranger) = (socket("192.168.7.2:0"), socket("192.168.7.3:0"));
        let (heard, said) = (vec![], vec![]);
        let mut world = World { node, papers, address, peer, peer_papers, friend, stranger, now, heard, said };
        world.meet();
        world
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let line = json!({ "id": 1, "method": method, "params": params }).to_string();
        let (id, method) = parse(line.as_bytes()).unwrap();
        self.node.call(1, id, method, self.now).unwrap().unwrap()
    }

    fn meet(&mut self) {
        let peer = self.peer_papers.node_id.to_string();
        let certificate = BASE64_STANDARD.encode(&self.peer_papers.certificate);
        self.call("members", json!({ "certificates": [certificate] }));
        self.call("tunnel-add", json!({ "peer": peer, "note": "" }));
        let candidate = self.friend.local_addr().unwrap().to_string();
        self.call("tunnel-candidates", json!({ "peer": peer, "candidates": [candidate] }));
        // What comes by the tunnel goes to the tap.
        let controller = self.node.switch.connect();
        let flow = hello_and(&FlowMod::new(0, 10).then(apply(vec![output(1)])));
        self.node.switch.receive(controller, &flow, self.now.us);
        for _ in 0..20 {
            self.advance(100 * MILLISECOND);
        }
        // Until the size of records is found.
        self.pass(15);
        let tunnels = self.state().tunnels;
        assert_eq!(tunnels[0]["path"], "direct", "the neighbours do not find each other: {tunnels}");
    }

    fn state(&self) -> State {
        let stats = self.node.stats_json();
        let counters = stats["counters"].as_object().unwrap();
        let counters = counters.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect();
        // Round trips and bytes change by themselves.
        let mut tunnels = self.node.tunnels_json(self.now)["tunnels"].clone();
        for tunnel in tunnels.as_array_mut().unwrap() {
            let kept = ["peer", "port", "path", "remote", "local", "recordSize", "observed", "candidates"];
            tunnel.as_object_mut().unwrap().retain(|key, _| kept.contains(&key.as_str()));
        }
        State { counters, delivered: delivered(), tunnels }
    }

    /// One datagram, as the kernel gives it.
    fn deliver(&mut self, record: &[u8], from: SocketAddr) {
        let mut bytes = record.to_vec();
        self.node.datagrams(&mut bytes, record.len(), from, self.now);
    }

    fn friend(&self) -> SocketAddr {
        self.friend.local_addr().unwrap()
    }

    fn stranger(&self) -> SocketAddr {
        self.stranger.local_addr().unwrap()
    }

    /// A plaintext under the neighbour's session with the node.
    fn seal(&mut self, record_type: u8, plaintext: &[u8]) -> Vec<u8> {
        let mut record = vec![0; SEAL_OVERHEAD + plaintext.len()];
        record[SESSION_HEADER..SESSION_HEADER + plaintext.len()].copy_from_slice(plaintext);
        self.peer.seal(Label(self.papers.label), record_type, &mut record, self.now).unwrap();
        record
    }

    /// Time passes; both sides do what is due and answer each other.
    fn advance(&mut self, us: u64) {
        self.now = Now { us: self.now.us + us, unix: self.now.unix };
        let due = self.peer.tick(self.now);
        self.carry_out(due);
        self.node.tick(self.now);
        for _ in 0..8 {
            self.node.flush(self.now);
            let came: Vec<Vec<u8>> = std::iter::from_fn(|| receive(&self.friend)).collect();
            if came.is_empty() {
                break;
            }
            for record in came {
                self.heard.push(record.clone());
                self.neighbour(record);
            }
        }
        self.node.take_events();
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..4 * seconds {
            self.advance(250 * MILLISECOND);
        }
    }

    /// An honest neighbour: it answers handshakes and probes.
    fn neighbour(&mut self, mut record: Vec<u8>) {
        let actions = match record.first().copied() {
            Some(HANDSHAKE) => self.peer.handshake(&record, Origin::Direct(self.address), self.now),
            Some(COOKIE) => self.peer.cookie(&record, self.now),
            Some(ROUTED | NOTICE) => vec![],
            _ => {
                let probe = match self.peer.open(&mut record, self.now) {
                    Ok(opened) if opened.record_type == PROBE => Probe::decode(opened.plaintext).ok(),
                    _ => None,
                };
                if let Some(probe) = probe.filter(|probe| !probe.response) {
                    let seen = Some(self.address);
                    let answer = self.seal(PROBE, &Probe { response: true, proven: true, seen, ..probe }.encode());
                    self.deliver(&answer, self.friend());
                }
                self.peer.take_actions()
            }
        };
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Send { record, .. } = action {
                self.said.push(record.clone());
                self.deliver(&record, self.friend());
            }
        }
    }

    /// Ten thousand datagrams from `from` within a second: each is counted once, by these names and no others, and changes nothing
    /// else. Answers how many were sent in all, to whomever.
    fn flooded(
        &mut self,
        from: impl Fn(&World, u64) -> SocketAddr,
        make: impl Fn(&mut World, u64) -> Vec<u8>,
    ) -> (BTreeMap<String, u64>, u64) {
        // A second of its own, for limits by the second.
        self.pass(2);
        let (before, sent) = (self.state(), left());
        for number in 0..MANY {
            let record = make(self, number);
            let from = from(self, number);
            self.deliver(&record, from);
            self.node.flush(self.now);
        }
        let (after, sent) = (self.state(), left() - sent);
        assert_eq!(after.delivered, before.delivered, "nothing reaches the tap");
        assert_eq!(after.tunnels, before.tunnels, "no path moves");
        assert_eq!(self.node.take_events(), [], "the agent hears nothing of it");
        let old = |name: &String| before.counters.get(name).copied().unwrap_or(0);
        let counted = after.counters.iter().map(|(name, count)| (name.clone(), count - old(name)));
        let counted = counted.filter(|(_, count)| *count > 0).collect();
        while receive(&self.friend).is_some() || receive(&self.stranger).is_some() {}
        // And what is honest still goes through.
        let frame = self.frame(&[1; 46]);
        let (honest, had) = (self.seal(FRAME, &frame), delivered());
        self.deliver(&honest, self.friend());
        assert_eq!(delivered(), had + 1);
        (counted, sent)
    }

    /// The same of one kind: one name, `answers` at most.
    fn dropped(
        &mut self,
        name: &str,
        answers: u64,
        from: impl Fn(&World, u64) -> SocketAddr,
        make: impl Fn(&mut World, u64) -> Vec<u8>,
    ) {
        let (counted, sent) = self.flooded(from, make);
        assert_eq!(counted, BTreeMap::from([(name.to_owned(), MANY)]));
        assert!(sent <= answers, "{sent} answers to {MANY} datagrams counted as {name}, {answers} are allowed");
    }

    /// Plaintext of a frame from the neighbour to the node, of an experimental ethertype.
    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        [&[0, 0][..], &self.papers.mac, &self.peer_papers.mac, &[0x88, 0xb5], payload].concat()
    }

    /// Plaintext of an IPv4 frame whose checksum is said to be missing.
    fn partial(&self, fragment: u16, protocol: u8, packet: u16, behind: &[u8]) -> Vec<u8> {
        let mut header = vec![0x45, 0];
        header.extend(packet.to_be_bytes());
        header.extend([0, 1]);
        header.extend(fragment.to_be_bytes());
        header.extend([64, protocol, 0, 0]);
        header.extend(self.peer_papers.ipv4.octets());
        header.extend(self.papers.ipv4.octets());
        [&[1, 0][..], &self.papers.mac, &self.peer_papers.mac, &[8, 0], &header, behind].concat()
    }

    /// A record that nobody but the neighbour has seen yet.
    fn fresh(&mut self) -> Vec<u8> {
        let frame = self.frame(&[2; 46]);
        self.seal(FRAME, &frame)
    }
}

fn by_stranger(world: &World, _: u64) -> SocketAddr {
    world.stranger()
}

fn by_friend(world: &World, _: u64) -> SocketAddr {
    world.friend()
}

/// As many sources as datagrams; nobody is there.
fn by_everybody(_: &World, number: u64) -> SocketAddr {
    let [.., a, b] = number.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(192, 168, 7, 3), 1_024 + u16::from_be_bytes([a, b])))
}

/// A sealed record's header and noise.
fn unknown(index: u32, number: u64) -> Vec<u8> {
    let mut record = vec![FRAME, 0, 0, 0];
    record.extend(index.to_be_bytes());
    record.extend(number.to_be_bytes());
    record.resize(120, 0x5a);
    record
}

/// All of a folder's text.
fn text_below(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { text_below(&path) } else { std::fs::read_to_string(path).unwrap() }).collect()
}

#[test]
fn every_counter_of_the_documentation_is_counted_under_that_name() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/operations.md")).unwrap();
    let tables = page.split("### Counters").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let cells = tables.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let names: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let code = text_below(&root.join("src"));
    let unknown: Vec<&&str> =
        names.iter().filter(|name| **name != "tincan_..." && !code.contains(&format!("\"{name}\""))).collect();
    assert!(names.len() > 30 && unknown.is_empty(), "{unknown:?} of {names:?}");
}

#[test]
fn what_is_honest_reaches_the_tap_and_answers_are_seen() {
    with_world(|world| {
        let (frame, had) = (world.fresh(), delivered());
        world.deliver(&frame, world.friend());
        assert_eq!(delivered(), had + 1);
        let sent = left();
        world.deliver(&unknown(7, 1), world.stranger());
        world.node.flush(world.now);
        assert_eq!(left(), sent + 1);
        assert_eq!(receive(&world.stranger).map(|notice| (notice[0], notice.len())), Some((NOTICE, 28)));
    });
}

#[test]
fn datagrams_that_are_no_records_are_counted_and_not_answered() {
    with_world(|world| {
        world.dropped("unknownRecord", 0, by_stranger, |_, _| vec![]);
        world.dropped("unknownRecord", 0, by_stranger, |_, number| vec![0x40 + (number % 128) as u8; 100]);
        world.dropped("unknownRecord", 0, by_friend, |_, number| vec![0xca + (number % 54) as u8; 1_200]);
        world.dropped("stunUnasked", 0, by_stranger, |_, number| vec![(number % 4) as u8; 28]);
        world.dropped("malformed", 0, by_stranger, |_, number| vec![0xc0 + (number % 10) as u8]);
    });
}

#[test]
fn an_oversized_datagram_is_counted_and_not_looked_into() {
    with_world(|world| {
        for from in [by_stranger, by_friend] {
            world.dropped("datagramTooBig", 0, from, |_, number| {
                let size = [65_001, 65_507][(number % 2) as usize];
                let mut record = vec![0; size];
                record[0] = 0xc0 + (number % 10) as u8;
                record
            });
        }
        // By the largest that is one, an oversized frame does not get in either.
        let large = world.frame(&[0; 20_000]);
        world.dropped("frameTooLong", 0, by_friend, move |world, _| world.seal(FRAME, &large));
    });
}

#[test]
fn a_frame_too_long_for_any_mtu_does_not_come_in_pieces_either() {
    with_world(|world| {
        let whole = [&[FRAME][..], &world.frame(&[0; 9_009])].concat();
        let pieces: Vec<Vec<u8>> = whole.chunks(1_000).map(<[u8]>::to_vec).collect();
        let count = pieces.len() as u64;
        let (counted, sent) = world.flooded(by_friend, move |world, number| {
            let id = ((number / count) as u16).to_be_bytes();
            let index = (number % count) as usize;
            world.seal(FRAGMENT, &[&[id[0], id[1], index as u8, count as u8][..], &pieces[index]].concat())
        });
        assert_eq!(counted, BTreeMap::from([("frameTooLong".to_owned(), MANY / count)]));
        assert_eq!(sent, 0);
    });
}

#[test]
fn a_frame_whose_headers_contradict_what_is_asked_of_the_kernel_is_counted_by_what_is_wrong() {
    with_world(|world| {
        let tcp = [0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
        let cases: [(&str, Vec<u8>); 8] = [
            // A checksum where there is none: ICMP, and the middle of a packet.
            ("frameNotTransport", world.partial(0, 1, 28, &[8, 0, 0, 0, 0, 0, 0, 0])),
            ("frameNotTransport", world.partial(0x2000, 17, 28, &[0, 80, 0, 80, 0, 8, 0, 0])),
            ("frameNotIp", [&[1, 0][..], &world.frame(&[0; 60])[2..]].concat()),
            // A header that ends behind the packet, a packet that ends behind the frame.
            ("frameShort", world.partial(0, 6, 30, &tcp[..10])),
            ("frameLength", world.partial(0, 6, 1_400, &tcp)),
            ("frameLength", world.partial(0, 6, 10, &tcp)),
            // Flags that are none, and bytes that have to be zero.
            ("malformed", [&[4, 0][..], &world.frame(&tcp)[2..]].concat()),
            ("malformed", [&[0, 1][..], &world.frame(&tcp)[2..]].concat()),
        ];
        for (name, plaintext) in cases {
            // As the next segment of the one before it is no better.
            let continues = [&[plaintext[0] | (u8::from(plaintext[0] == 1) * 2)][..], &plaintext[1..]].concat();
            for plaintext in [plaintext, continues] {
                world.dropped(name, 0, by_friend, move |world, _| world.seal(FRAME, &plaintext));
            }
        }
    });
}

#[test]
fn a_frame_in_somebody_else_s_name_is_counted() {
    with_world(|world| {
        let frame = |source: [u8; 6], to: [u8; 6]| [&[0, 0][..], &to, &source, &[0x88, 0xb5], &[0; 46]].concat();
        let own = world.papers.mac;
        let forged = frame([2, 0x45, 10, 69, 0, 9], own);
        world.dropped("sourceMacRefused", 0, by_friend, move |world, _| world.seal(FRAME, &forged));
        let mut arp = world.frame(&[0, 1, 8, 0, 6, 4, 0, 2]);
        arp[14..16].copy_from_slice(&[8, 6]);
        arp.extend(world.peer_papers.mac);
        arp.extend(world.papers.ipv4.octets());
        arp.extend([0; 10]);
        world.dropped("sourceAddressRefused", 0, by_friend, move |world, _| world.seal(FRAME, &arp));
    });
}

#[test]
fn a_replayed_record_is_counted_whoever_sends_it() {
    with_world(|world| {
        let record = world.fresh();
        world.deliver(&record, world.friend());
        let kept = record.clone();
        world.dropped("replayed", 0, by_friend, move |_, _| kept.clone());
        world.dropped("replayed", 0, by_stranger, move |_, _| record.clone());
        // A probe shows a path: shown again from elsewhere it moves none.
        let (size, seen) = (PROBE_RECORD_MIN, None);
        let probe = Probe { response: false, proven: true, size, challenge: [7; 8], seen };
        let record = world.seal(PROBE, &probe.encode());
        world.deliver(&record, world.friend());
        world.dropped("replayed", 0, by_stranger, move |_, _| record.clone());
    });
}

#[test]
fn records_of_its_own_that_come_back_are_counted_and_nobody_is_told() {
    with_world(|world| {
        let sealed = world.heard.iter().filter(|record| (FRAME..=CONTROL).contains(&record[0]));
        let sealed: Vec<Vec<u8>> = sealed.cloned().collect();
        assert!(sealed.len() > 5);
        for from in [by_friend, by_stranger] {
            let sealed = sealed.clone();
            world.dropped("reflected", 0, from, move |_, number| sealed[number as usize % sealed.len()].clone());
        }
        let initiation = world.heard.iter().find(|record| record[0] == HANDSHAKE).unwrap().clone();
        world.dropped("bad-mac1", 0, by_friend, move |_, _| initiation.clone());
    });
}

#[test]
fn records_of_other_sessions_are_counted_and_answered_ten_times_a_second() {
    with_world(|world| {
        world.dropped("unknown-index", NOTICES, by_stranger, |_, number| unknown(0x1234_5678, number));
        world.dropped("unknown-index", NOTICES, by_stranger, |_, number| unknown(number as u32, 1));
        // Ever other sources are 128 a second.
        world.dropped("unknown-index", 128, by_everybody, |_, number| unknown(number as u32, 1));
        // The right index, and the key of nobody.
        let (counted, sent) = world.flooded(by_friend, |world, number| {
            let mut record = world.fresh();
            let last = record.len() - 1 - (number % 16) as usize;
            record[last] ^= 1;
            record
        });
        assert_eq!((counted, sent), (BTreeMap::from([("not-authentic".to_owned(), MANY)]), 0));
    });
}

#[test]
fn records_of_an_earlier_epoch_are_counted_when_their_time_is_over() {
    with_world(|world| {
        let old: Vec<Vec<u8>> = (0..100).map(|_| world.fresh()).collect();
        let renewed = world.peer.renew_now(Label(world.papers.label), world.now);
        world.carry_out(renewed);
        world.pass(5);
        let had = delivered();
        world.deliver(&old[0], world.friend());
        assert_eq!(delivered(), had + 1, "for half a minute they are good");
        world.pass(30);
        world.dropped("unknown-index", NOTICES, by_friend, move |_, number| old[1 + number as usize % 99].clone());
    });
}

#[test]
fn a_record_in_transit_from_a_stranger_is_counted_and_goes_nowhere() {
    with_world(|world| {
        let (own, friend) = (Label(world.papers.label), Label(world.peer_papers.label));
        let routed =
            move |from: Label, to: Label, inner: &[u8]| [&RoutingHeader::new(from, to).encode()[..], inner].concat();
        let name = "routedByUnprovenPath";
        world.dropped(name, 0, by_stranger, move |_, number| routed(Label(9), friend, &unknown(1, number)));
        world.dropped(name, 0, by_stranger, move |_, number| routed(friend, own, &unknown(1, number)));
        world.dropped(name, 0, by_everybody, move |_, number| routed(Label(9), Label(number << 40), &unknown(1, 1)));
        // Even what the neighbour did seal.
        world.dropped(name, 0, by_stranger, move |world, _| routed(friend, own, &world.fresh()));
    });
}

#[test]
fn a_genuine_record_from_an_address_that_proved_nothing_is_counted_and_moves_no_path() {
    with_world(|world| {
        world.dropped("dataByUnprovenPath", 0, by_stranger, |world, _| world.fresh());
    });
}

#[test]
fn genuine_probes_that_a_stranger_sends_on_move_no_path_and_are_answered_within_the_peer_s_share() {
    with_world(|world| {
        let before = world.state();
        world.pass(2);
        let (sent, stranger) = (left(), world.stranger());
        for number in 0..MANY {
            let (size, challenge) = (PROBE_RECORD_MIN, number.to_be_bytes());
            let probe = Probe { response: false, proven: true, size, challenge, seen: None };
            let record = world.seal(PROBE, &probe.encode());
            world.deliver(&record, stranger);
            world.node.flush(world.now);
        }
        let after = world.state();
        assert_eq!(after.tunnels[0]["remote"], before.tunnels[0]["remote"]);
        assert_eq!(after.tunnels[0]["path"], "direct");
        assert!(after.counters["probeTooMany"] >= MANY - 300, "{:?}", after.counters);
        // 300 answers at once, and the challenges that the address has to prove itself by.
        let sent = left() - sent;
        assert!(sent <= 300 + 5, "{sent} datagrams");
        // It never does, and is forgotten.
        world.pass(20);
        assert_eq!(world.state().tunnels, before.tunnels);
    });
}

#[test]
fn handshakes_of_strangers_cost_no_curve_and_recorded_ones_no_more_than_ten_cookies_a_second() {
    with_world(|world| {
        // The neighbour's own initiation of the session in force, as somebody on the way has seen it.
        let renewed = world.peer.renew_now(Label(world.papers.label), world.now);
        world.carry_out(renewed);
        world.pass(3);
        let recorded = world.said.iter().rfind(|record| record[..2] == [HANDSHAKE, 1]).unwrap().clone();
        let mut noise = recorded.clone();
        let macs = noise.len() - 32;
        noise[macs] ^= 1;
        world.dropped("bad-mac1", 0, by_stranger, move |_, _| noise.clone());
        for (from, cookies) in [(by_stranger as fn(&World, u64) -> SocketAddr, 10), (by_everybody, 10)] {
            let recorded = recorded.clone();
            let (counted, sent) = world.flooded(from, move |_, _| recorded.clone());
            let expected = [("busy", MANY - 50 - cookies), ("cookie-asked", cookies), ("replayed", 50)];
            assert_eq!(counted, expected.map(|(name, count)| (name.to_owned(), count)).into());
            assert_eq!(sent, cookies);
        }
        // Of ever other hosts so many are told: nobody of them hears more than one, and 24 bytes answer ten times as many.
        let forged = |_: &World, number: u64| SocketAddr::from((Ipv4Addr::from(0xc0a8_0000 + number as u32 * 6), 9));
        let (counted, sent) = world.flooded(forged, move |_, _| recorded.clone());
        assert_eq!(counted.get("cookie-asked"), Some(&1_024));
        assert!(sent <= 1_024, "{sent}");
    });
}

#[test]
fn forged_cookies_and_notices_are_counted_and_begin_nothing() {
    with_world(|world| {
        world.dropped("unknown-index", 0, by_stranger, |_, number| {
            let mut cookie = vec![COOKIE, 0, 0, 0];
            cookie.extend((number as u32).to_be_bytes());
            cookie.resize(24, 7);
            cookie
        });
        for kind in [1, 2, 3] {
            world.dropped("noticeForged", 0, by_stranger, move |_, number| {
                let mut notice = vec![NOTICE, kind];
                notice.extend(if kind == 2 { 1_200u16 } else { 0 }.to_be_bytes());
                notice.extend([0; 8]);
                notice.extend(&unknown(number as u32, 1)[..16]);
                notice
            });
        }
    });
}
