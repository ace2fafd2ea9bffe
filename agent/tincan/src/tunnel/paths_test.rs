//! Two machines joined by a simulated network: what one asks, the other answers, in simulated time.

use super::*;
use crate::time::MILLISECOND;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

fn draw() -> [u8; 8] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One way through the simulated network, as seen by both ends.
#[derive(Clone, Copy)]
struct Wire {
    a_sees: Via,
    b_sees: Via,
    one_way: Micros,
    open: bool,
    /// What a sends does not arrive.
    deaf_b: bool,
    carries: u16,
}

enum Packet {
    Request { challenge: [u8; 8], proven: bool, size: u16 },
    Response { challenge: [u8; 8], proven: bool, size: u16 },
}

struct World {
    a: Paths,
    b: Paths,
    wires: Vec<Wire>,
    flying: Vec<(Micros, usize, bool, Packet)>,
    now: Micros,
    requests: HashMap<Via, usize>,
    changes: usize,
    asked_by_b: usize,
    padded: usize,
}

impl World {
    fn new(wires: &[Wire]) -> Self {
        let (a, b) = (Paths::new(draw, true), Paths::new(draw, false));
        Self {
            a,
            b,
            wires: wires.to_vec(),
            flying: vec![],
            now: SECOND,
            requests: HashMap::new(),
            changes: 0,
            asked_by_b: 0,
            padded: 0,
        }
    }

    /// Both learn each other's addresses and get a session.
    fn meet(&mut self) {
        let of = |wires: &[Wire], f: fn(&Wire) -> Via| -> Vec<SocketAddr> {
            wires.iter().filter_map(|w| if let Via::Direct(x) = f(w) { Some(x) } else { None }).collect()
        };
        let (to_b, to_a) = (of(&self.wires, |w| w.a_sees), of(&self.wires, |w| w.b_sees));
        let webrtc = self.wires.iter().any(|w| w.a_sees == Via::Webrtc);
        let (mut from_a, mut from_b) = (vec![], vec![]);
        self.a.set_candidates(&to_b, self.now, &mut from_a);
        self.b.set_candidates(&to_a, self.now, &mut from_b);
        if webrtc {
            self.a.set_webrtc(Some(1440), self.now, &mut from_a);
            self.b.set_webrtc(Some(1440), self.now, &mut from_b);
        }
        self.a.session_up(self.now, &mut from_a);
        self.b.session_up(self.now, &mut from_b);
        self.post(true, from_a);
        self.post(false, from_b);
    }

    fn post(&mut self, from_a: bool, actions: Vec<Action>) {
        for action in actions {
            let Action::Request { via, challenge, proven, size } = action else {
                self.changes += usize::from(from_a);
                continue;
            };
            if from_a {
                *self.requests.entry(via).or_default() += 1;
                self.padded += usize::from(size > 0);
            } else {
                self.asked_by_b += 1;
            }
            self.send(from_a, via, size, Packet::Request { challenge, proven, size });
        }
    }

    fn send(&mut self, from_a: bool, via: Via, size: u16, packet: Packet) {
        let found = self.wires.iter().position(|w| via == if from_a { w.a_sees } else { w.b_sees });
        let open = |wire: Wire| wire.open && !(from_a && wire.deaf_b);
        let Some(index) = found.filter(|&i| open(self.wires[i]) && size <= self.wires[i].carries) else { return };
        self.flying.push((self.now + self.wires[index].one_way, index, !from_a, packet));
    }

    fn run(&mut self, for_: Micros) {
        let end = self.now + for_;
        while self.now < end {
            self.now += MILLISECOND;
            let now = self.now;
            let (due, rest): (Vec<_>, Vec<_>) = self.flying.drain(..).partition(|p| p.0 <= now);
            self.flying = rest;
            for (_, index, to_a, packet) in due {
                let wire = self.wires[index];
                let via = if to_a { wire.a_sees } else { wire.b_sees };
                let mut out = vec![];
                let node = if to_a { &mut self.a } else { &mut self.b };
                match packet {
                    Packet::Request { challenge, proven, size } => {
                        let answer = node.request(via, proven, true, now, &mut out);
                        self.send(to_a, via, 0, Packet::Response { challenge, proven: answer.proven, size });
                    }
                    Packet::Response { challenge, proven, size } => {
                        node.response(via, challenge, size, proven, now, &mut out);
                    }
                }
                self.post(to_a, out);
            }
            let (mut from_a, mut from_b) = (vec![], vec![]);
            self.a.tick(now, &mut from_a);
            self.b.tick(now, &mut from_b);
            self.post(true, from_a);
            self.post(false, from_b);
        }
    }
}

fn wire(a_sees: &str, b_sees: &str, one_way: Micros) -> Wire {
    let (a_sees, b_sees) = (Via::Direct(address(a_sees)), Via::Direct(address(b_sees)));
    Wire { a_sees, b_sees, one_way, open: true, deaf_b: false, carries: 1472 }
}

fn relay(one_way: Micros) -> Wire {
    Wire { a_sees: Via::Webrtc, b_sees: Via::Webrtc, one_way, open: true, deaf_b: false, carries: 1410 }
}

const B: &str = "198.51.100.2:20000";
const A: &str = "198.51.100.1:20000";

#[test]
fn a_direct_path_is_used_by_both_within_two_round_trips() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(45 * MILLISECOND);
    assert_eq!(world.a.current(), Some(Via::Direct(address(B))));
    assert_eq!(world.b.current(), Some(Via::Direct(address(A))));
}

#[test]
fn the_path_finds_its_record_size() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(3 * SECOND);
    assert_eq!(world.a.record_size(), 1472);
}

#[test]
fn an_address_that_nobody_answers_is_never_used() {
    let mut world = World::new(&[Wire { open: false, ..wire(B, A, 10 * MILLISECOND) }]);
    world.meet();
    world.run(20 * SECOND);
    assert_eq!(world.a.current(), None);
    assert_eq!(world.changes, 0);
}

#[test]
fn the_direct_path_is_preferred_to_the_relay_although_it_is_slower() {
    let mut world = World::new(&[relay(5 * MILLISECOND), wire(B, A, 40 * MILLISECOND)]);
    world.meet();
    world.run(50 * MILLISECOND);
    assert_eq!(world.a.current(), Some(Via::Webrtc));
    world.run(2 * SECOND);
    assert_eq!(world.a.kind(), PathKind::Direct);
    assert_eq!(world.b.kind(), PathKind::Direct);
}

#[test]
fn what_a_relay_carries_is_found_by_probing_up_to_what_the_agent_allows() {
    for (carries, found) in [(1410, 1400), (1472, 1440), (1250, 1200)] {
        let mut world = World::new(&[Wire { carries, ..relay(5 * MILLISECOND) }]);
        world.meet();
        assert_eq!(world.a.record_size(), 1200);
        world.run(6 * SECOND);
        assert_eq!((world.a.current(), world.a.record_size()), (Some(Via::Webrtc), found));
        let mut out = vec![];
        world.a.set_webrtc(Some(1440), world.now, &mut out);
        assert_eq!(world.a.record_size(), 1200, "another connection may take another way");
    }
}

#[test]
fn a_busy_path_that_dies_is_left_for_the_relay_within_a_little_over_a_second() {
    let mut world = World::new(&[relay(5 * MILLISECOND), wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(3 * SECOND);
    world.wires[1].open = false;
    for _ in 0..115 {
        world.a.used(world.now);
        world.run(10 * MILLISECOND);
    }
    assert_eq!(world.a.current(), Some(Via::Webrtc));
    assert!(!world.a.proven(Via::Direct(address(B))));
    world.wires[1].open = true;
    world.run(SECOND);
    assert_eq!(world.a.kind(), PathKind::Direct, "and it is taken again when it works again");
}

#[test]
fn a_way_that_may_not_be_used_any_more_is_left_at_once_and_forgotten() {
    let mut world = World::new(&[relay(5 * MILLISECOND), wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(3 * SECOND);
    assert_eq!(world.a.current(), Some(Via::Direct(address(B))));
    let mut out = vec![];
    world.a.forbid(&[address(B)], world.now, &mut out);
    assert!(out.contains(&Action::Changed));
    assert_eq!(world.a.current(), Some(Via::Webrtc));
    assert!(!world.a.proven(Via::Direct(address(B))));
    assert_eq!(world.a.candidates().count(), 0);
    out.clear();
    world.a.forbid(&[address(B)], world.now, &mut out);
    assert!(!out.contains(&Action::Changed), "a second time it is no news");
}

#[test]
fn a_process_that_was_not_scheduled_for_two_seconds_asks_before_it_gives_a_path_up() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(3 * SECOND);
    let changes = world.changes;
    world.a.used(world.now);
    world.now += 2 * SECOND;
    world.run(3 * SECOND);
    assert_eq!(world.changes, changes);
    assert_eq!(world.a.kind(), PathKind::Direct);
}

#[test]
fn an_idle_path_that_dies_is_noticed_without_traffic() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(3 * SECOND);
    world.wires[0].open = false;
    world.run(5_500 * MILLISECOND);
    assert_eq!((world.a.current(), world.b.current()), (None, None));
}

#[test]
fn an_idle_path_to_a_near_neighbour_that_dies_is_noticed_within_two_and_a_half_seconds() {
    for later in 0..20 {
        let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
        world.meet();
        world.a.set_near(true, world.now);
        world.b.set_near(true, world.now);
        world.run(5 * SECOND + later * 100 * MILLISECOND);
        world.wires[0].open = false;
        world.run(2_500 * MILLISECOND);
        assert_eq!((world.a.current(), world.b.current()), (None, None), "{later}");
    }
}

#[test]
fn an_idle_path_that_dies_in_one_direction_only_is_noticed_by_both() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(5 * SECOND);
    assert_eq!(world.b.kind(), PathKind::Direct);
    world.wires[0].deaf_b = true;
    world.run(6 * SECOND);
    assert_eq!((world.a.current(), world.b.current()), (None, None));
}

#[test]
fn one_lost_probe_kills_nothing() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(3 * SECOND);
    let changes = world.changes;
    world.wires[0].open = false;
    world.a.used(world.now);
    world.run(700 * MILLISECOND);
    world.wires[0].open = true;
    world.run(5 * SECOND);
    assert_eq!(world.changes, changes);
    assert_eq!(world.a.kind(), PathKind::Direct);
}

#[test]
fn the_private_address_wins_over_the_hairpin_through_the_nat() {
    let hairpin = wire(B, A, 200);
    let lan = wire("192.168.1.3:20001", "192.168.1.2:20000", 100);
    for wires in [[hairpin, lan], [lan, hairpin]] {
        let mut world = World::new(&wires);
        world.meet();
        world.run(8 * SECOND);
        assert_eq!(world.a.current(), Some(lan.a_sees));
        assert_eq!(world.a.remote_type(), Some(RemoteType::Host));
    }
}

#[test]
fn a_faster_path_replaces_a_slower_one_only_when_clearly_better() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(2 * SECOND);
    let mut with = |name: &str, seen_from: &str, one_way| {
        let mut out = vec![];
        world.wires.push(wire(name, seen_from, one_way));
        world.a.set_candidates(&[address(B), address(name)], world.now, &mut out);
        world.post(true, out);
        world.run(10 * SECOND);
        world.a.current()
    };
    assert_eq!(with("198.51.100.3:1", "198.51.100.1:20001", 9 * MILLISECOND), Some(Via::Direct(address(B))));
    assert_eq!(
        with("198.51.100.4:1", "198.51.100.1:20002", 4 * MILLISECOND),
        Some(Via::Direct(address("198.51.100.4:1")))
    );
}

#[test]
fn a_peer_whose_nat_gave_it_another_port_is_learned_from_its_probe_and_challenged_first() {
    let mut world = World::new(&[wire("203.0.113.9:4242", A, 10 * MILLISECOND)]);
    let (mut from_a, mut from_b) = (vec![], vec![]);
    world.b.set_candidates(&[address(A)], world.now, &mut from_b);
    world.a.session_up(world.now, &mut from_a);
    world.b.session_up(world.now, &mut from_b);
    world.post(false, from_b);
    world.run(11 * MILLISECOND);
    assert!(!world.a.proven(Via::Direct(address("203.0.113.9:4242"))), "one request proves nothing");
    world.run(SECOND);
    assert_eq!(world.a.current(), Some(Via::Direct(address("203.0.113.9:4242"))));
    assert_eq!(world.a.remote_type(), Some(RemoteType::Prflx));
}

#[test]
fn a_response_with_a_stranger_s_challenge_or_by_another_way_proves_nothing() {
    let mut paths = Paths::new(draw, true);
    let mut out = vec![];
    paths.set_candidates(&[address(B), address("198.51.100.3:7")], SECOND, &mut out);
    paths.session_up(SECOND, &mut out);
    let Some(&Action::Request { via, challenge, .. }) = out.first() else { panic!("nothing was asked") };
    let other = if via == Via::Direct(address(B)) { "198.51.100.3:7" } else { B };
    assert!(!paths.response(via, [0xee; 8], 0, true, SECOND, &mut out));
    assert!(!paths.response(Via::Direct(address(other)), challenge, 0, true, SECOND, &mut out));
    assert!(!paths.response(via, challenge, 0, true, 7 * SECOND, &mut out), "older than five seconds");
    assert!(!paths.proven(via));
}

#[test]
fn requests_stay_below_five_a_second_and_address_and_forty_a_second_and_peer() {
    let wires: Vec<Wire> =
        (0..20).map(|i| Wire { open: false, ..wire(&format!("198.51.100.9:{}", 100 + i), A, MILLISECOND) }).collect();
    let mut world = World::new(&wires);
    world.meet();
    for _ in 0..5 {
        world.requests.clear();
        world.run(SECOND);
        assert!(world.requests.values().all(|&n| n <= 6), "{:?}", world.requests);
        assert!(world.requests.values().sum::<usize>() <= 80, "{:?}", world.requests);
    }
    assert_eq!(world.requests.len(), MAX_CANDIDATES, "every candidate gets its turn, and no more than sixteen");
}

#[test]
fn nothing_is_asked_before_a_session_stands() {
    let mut paths = Paths::new(draw, true);
    let mut out = vec![];
    paths.set_candidates(&[address(B)], SECOND, &mut out);
    paths.set_webrtc(Some(1200), SECOND, &mut out);
    paths.tick(2 * SECOND, &mut out);
    assert_eq!(out, []);
    assert_eq!(paths.deadline(), None);
    assert_eq!(paths.all_ways().count(), 2, "but a handshake may try every way");
}

#[test]
fn an_unreachable_network_ends_the_path_at_once() {
    let mut world = World::new(&[relay(5 * MILLISECOND), wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.run(2 * SECOND);
    let mut out = vec![];
    world.a.unreachable(Via::Direct(address(B)), world.now, &mut out);
    assert_eq!(world.a.current(), Some(Via::Webrtc));
    assert!(out.contains(&Action::Changed));
}

/// Requests of each end in two minutes of nothing, once the tunnel has come to rest.
fn idle_requests(near: bool, one_way: Micros) -> (usize, usize) {
    let mut world = World::new(&[wire(B, A, one_way)]);
    world.meet();
    world.a.set_near(near, world.now);
    world.b.set_near(near, world.now);
    world.run(20 * SECOND);
    world.requests.clear();
    world.asked_by_b = 0;
    world.run(120 * SECOND);
    (world.requests.values().sum(), world.asked_by_b)
}

#[test]
fn the_ends_of_an_idle_tunnel_ask_by_turns_every_four_seconds_and_near_on_the_ring_every_second() {
    for one_way in [100, 10 * MILLISECOND, 90 * MILLISECOND, 250 * MILLISECOND] {
        for (near, range) in [(false, 13..=16), (true, 38..=61)] {
            let (a, b) = idle_requests(near, one_way);
            assert!(range.contains(&a) && range.contains(&b), "{a} and {b} in two minutes, one way {one_way} us");
        }
    }
}

#[test]
fn who_hears_no_question_any_more_asks_itself_before_its_next_turn() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    world.a.set_near(true, world.now);
    world.run(10 * SECOND);
    world.requests.clear();
    // b takes the tunnel for one that is far away, and asks seldom.
    world.run(60 * SECOND);
    let asked: usize = world.requests.values().sum();
    assert!((38..=60).contains(&asked), "{asked}");
}

#[test]
fn an_address_that_never_answers_is_asked_less_and_less() {
    let mut world =
        World::new(&[wire(B, A, 10 * MILLISECOND), Wire { open: false, ..wire("192.0.2.1:7", A, MILLISECOND) }]);
    world.meet();
    world.run(10 * SECOND);
    let mut asked = |seconds: u64| {
        world.requests.clear();
        world.run(seconds * SECOND);
        world.requests.get(&Via::Direct(address("192.0.2.1:7"))).copied().unwrap_or(0)
    };
    assert!((4..=6).contains(&asked(50)), "every ten seconds at first");
    asked(300);
    assert!((9..=11).contains(&asked(600)), "every minute at last");
}

#[test]
fn what_is_under_way_by_a_relay_that_was_given_up_still_counts_for_two_seconds() {
    let mut world = World::new(&[relay(5 * MILLISECOND)]);
    world.meet();
    world.run(SECOND);
    assert_eq!(world.a.current(), Some(Via::Webrtc));
    let mut out = vec![];
    world.a.set_webrtc(None, world.now, &mut out);
    assert_eq!(world.a.current(), None, "nothing more is sent by it");
    assert!(world.a.proven(Via::Webrtc), "but the peer has not heard of it yet");
    world.run(LINGER + MILLISECOND);
    assert!(!world.a.proven(Via::Webrtc));
}

#[test]
fn a_relay_that_never_worked_does_not_linger() {
    let mut paths = Paths::new(|| [7; 8], true);
    let mut out = vec![];
    paths.set_webrtc(Some(1200), SECOND, &mut out);
    paths.set_webrtc(None, 2 * SECOND, &mut out);
    assert!(!paths.proven(Via::Webrtc));
}

/// Records of others by a path that carries 1,472 bytes, one in 10 ms, each answered.
fn carry(world: &mut World, for_: Micros) {
    let end = world.now + for_;
    while world.now < end {
        world.a.used(world.now);
        world.run(10 * MILLISECOND);
        world.a.passed(Via::Direct(address(B)), world.now);
    }
}

#[test]
fn a_path_that_shrinks_under_what_it_carries_for_others_is_found_out_before_tcp_sends_again_after_three_seconds() {
    for later in 0..30 {
        let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
        world.meet();
        carry(&mut world, 4 * SECOND + later * 100 * MILLISECOND);
        assert_eq!(world.a.record_size(), 1472);
        world.wires[0].carries = 1300;
        for wait in [200, 400, 800, 1_600] {
            world.a.used(world.now);
            world.run(wait * MILLISECOND);
        }
        assert_eq!(world.a.record_size(), BASE_RECORD, "{later}");
    }
}

#[test]
fn what_is_carried_for_others_and_answered_is_no_reason_to_ask_for_the_size_more_often() {
    let mut world = World::new(&[wire(B, A, 10 * MILLISECOND)]);
    world.meet();
    carry(&mut world, 4 * SECOND);
    let before = world.padded;
    carry(&mut world, 30 * SECOND);
    assert!((9..=11).contains(&(world.padded - before)), "{}", world.padded - before);
}

/// Requests of the peer come every second, nothing that we ask is answered but from `answers_from` on. How often the way is told of.
fn told_one_way(leads: bool, seconds: u64, answers_from: u64) -> usize {
    let via = Via::Direct(address(B));
    let mut paths = Paths::new(draw, leads);
    let (mut now, mut told) = (SECOND, 0);
    paths.session_up(now, &mut vec![]);
    for second in 0..seconds {
        let mut out = vec![];
        paths.request(via, false, true, now, &mut out);
        for _ in 0..20 {
            now += 50 * MILLISECOND;
            paths.tick(now, &mut out);
        }
        for action in &out {
            match *action {
                Action::OneWay { via: way } => {
                    assert_eq!(way, via);
                    told += 1;
                }
                Action::Request { challenge, .. } if second >= answers_from => {
                    paths.response(via, challenge, 0, false, now, &mut vec![]);
                }
                _ => {}
            }
        }
    }
    told
}

#[test]
fn a_peer_that_is_heard_and_does_not_hear_us_is_told_of_every_ten_seconds() {
    for leads in [true, false] {
        assert_eq!(told_one_way(leads, 5, u64::MAX), 0);
    }
    for leads in [true, false] {
        assert_eq!(told_one_way(leads, 28, u64::MAX), 3);
    }
}

#[test]
fn a_peer_that_answers_late_is_no_way_in_one_direction() {
    for leads in [true, false] {
        assert_eq!(told_one_way(leads, 30, 0), 0);
    }
    for leads in [true, false] {
        assert_eq!(told_one_way(leads, 30, 3), 0);
    }
}
