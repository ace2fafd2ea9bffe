use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::wire::record::{FLOOD, FLOOD_ACK};

/// SplitMix64: the whole run follows from the seed that a failure prints.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tunnel {
    Alive,
    /// Both ends know.
    Down,
    /// Both ends think it is up, and nothing arrives.
    Silent,
}

struct Parcel {
    from: usize,
    to: usize,
    kind: u8,
    plaintext: Vec<u8>,
}

struct World {
    seed: u64,
    random: Random,
    labels: Vec<Label>,
    tunnels: BTreeMap<(usize, usize), Tunnel>,
    nodes: Vec<Flood>,
    views: Vec<Neighbours>,
    dead: BTreeSet<usize>,
    now: Micros,
    /// By the time it arrives.
    parcels: BTreeMap<(Micros, u64), Parcel>,
    posted: u64,
    floods_sent: usize,
    delivered: Vec<usize>,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl World {
    /// A ring with `successors` each way and `long` harmonic links (Manku, Bawa, Raghavan 2003) a node.
    fn new(seed: u64, n: usize, successors: usize, long: usize) -> World {
        let mut random = Random(seed);
        let mut labels: Vec<Label> = (0..n).map(|_| Label(random.next())).collect();
        labels.sort();
        let mut tunnels = BTreeMap::new();
        for i in 0..n {
            tunnels.extend((1..=successors).map(|k| (pair(i, (i + k) % n), Tunnel::Alive)));
            for _ in 0..long {
                let fraction = ((n as f64).ln() * (random.unit() - 1.0)).exp();
                let target = Label(labels[i].0.wrapping_add((fraction * u64::MAX as f64) as u64));
                let j = (0..n).min_by_key(|&j| target.clockwise_to(labels[j])).expect("a node");
                if j != i {
                    tunnels.insert(pair(i, j), Tunnel::Alive);
                }
            }
        }
        tunnels.retain(|&(a, b), _| a != b);
        let nodes = labels.iter().map(|&label| Flood::new(label, 0xb007)).collect();
        World {
            seed,
            random,
            nodes,
            views: vec![Neighbours::new(); n],
            labels,
            tunnels,
            dead: BTreeSet::new(),
            now: 0,
            parcels: BTreeMap::new(),
            posted: 0,
            floods_sent: 0,
            delivered: vec![0; n],
        }
        .told()
    }

    /// What nodes know: their tunnels, and what their neighbours say about theirs.
    fn told(mut self) -> World {
        let believed = |&(_, &tunnel): &(&(usize, usize), &Tunnel)| tunnel != Tunnel::Down;
        let labels = &self.labels;
        let of = |i: usize| {
            let live = self.tunnels.iter().filter(believed).filter(move |((a, b), _)| *a == i || *b == i);
            live.map(move |(&(a, b), _)| labels[if a == i { b } else { a }]).collect::<Vec<_>>()
        };
        let adjacent: Vec<Vec<Label>> = (0..self.labels.len()).map(of).collect();
        for (&(a, b), &tunnel) in &self.tunnels {
            for (here, there) in [(a, b), (b, a)] {
                let port = there as u32 + 16;
                self.views[here].set(port, self.labels[there], tunnel != Tunnel::Down);
                self.views[here].set_adjacent(port, &adjacent[there]);
            }
        }
        self
    }

    fn break_tunnels(mut self, share: f64, how: &[Tunnel]) -> World {
        let all: Vec<_> = self.tunnels.keys().copied().collect();
        for key in all {
            if self.random.unit() < share {
                let tunnel = how[self.random.below(how.len())];
                self.tunnels.insert(key, tunnel);
            }
        }
        self.told()
    }

    fn kill(mut self, node: usize, known: bool) -> World {
        self.dead.insert(node);
        let state = if known { Tunnel::Down } else { Tunnel::Silent };
        self.tunnels.iter_mut().filter(|((a, b), _)| *a == node || *b == node).for_each(|(_, tunnel)| *tunnel = state);
        self.told()
    }

    fn connected(&self) -> bool {
        let (mut reached, mut open) = (BTreeSet::new(), vec![self.living()[0]]);
        while let Some(i) = open.pop() {
            if reached.insert(i) {
                let alive = self.tunnels.iter().filter(|(_, tunnel)| **tunnel == Tunnel::Alive);
                open.extend(alive.filter_map(|(&(a, b), _)| (a == i).then_some(b).or((b == i).then_some(a))));
            }
        }
        reached.len() == self.living().len()
    }

    fn living(&self) -> Vec<usize> {
        (0..self.labels.len()).filter(|i| !self.dead.contains(i)).collect()
    }

    fn act(&mut self, node: usize, actions: Vec<FloodAction>) {
        for action in actions {
            let (port, kind, plaintext) = match action {
                FloodAction::Deliver { root, frame, .. } => {
                    assert_eq!(frame, b"fourteen bytes");
                    assert!(self.labels.contains(&root));
                    self.delivered[node] += 1;
                    continue;
                }
                FloodAction::Send { port, plaintext } => {
                    self.floods_sent += 1;
                    (port, FLOOD, plaintext)
                }
                FloodAction::Acknowledge { port, plaintext } => (port, FLOOD_ACK, plaintext),
            };
            let to = port as usize - 16;
            assert!(self.views[node].is_up(port), "sent by a tunnel known to be down");
            if self.tunnels[&pair(node, to)] == Tunnel::Alive {
                let at = self.now + 1_000 + self.random.next() % (20 * MILLISECOND);
                self.parcels.insert((at, self.posted), Parcel { from: node, to, kind, plaintext });
                self.posted += 1;
            }
        }
    }

    fn flood_from(&mut self, root: usize) {
        (self.floods_sent, self.delivered) = (0, vec![0; self.labels.len()]);
        let actions = self.nodes[root].originate(b"fourteen bytes", false, &self.views[root], self.now);
        self.act(root, actions);
        loop {
            let parcel = self.parcels.keys().next().map(|&(at, _)| at);
            let timer = (0..self.nodes.len()).filter_map(|i| Some((self.nodes[i].deadline()?, i))).min();
            match (parcel, timer) {
                (Some(at), timer) if timer.is_none_or(|(due, _)| at <= due) => {
                    self.now = at;
                    let (_, Parcel { from, to, kind, plaintext }) = self.parcels.pop_first().expect("a parcel");
                    let port = from as u32 + 16;
                    match kind {
                        FLOOD_ACK => self.nodes[to].acknowledged(port, &plaintext),
                        _ => {
                            let actions =
                                self.nodes[to].received(port, &plaintext, &self.views[to], |_| true, self.now);
                            self.act(to, actions);
                        }
                    }
                }
                (_, Some((due, i))) => {
                    self.now = due;
                    let actions = self.nodes[i].tick(&self.views[i], due);
                    self.act(i, actions);
                }
                (_, None) => break,
            }
        }
    }

    fn missed(&self, root: usize) -> Vec<usize> {
        assert!(self.delivered.iter().all(|&times| times <= 1), "seed {}: delivered twice", self.seed);
        assert_eq!(self.delivered[root], 0, "seed {}: the root got its own flood", self.seed);
        self.living().into_iter().filter(|&i| i != root && self.delivered[i] == 0).collect()
    }
}

fn long_links(n: usize) -> usize {
    (n as f64).log2().ceil() as usize
}

#[test]
fn on_an_intact_ring_everyone_is_reached_once_with_one_record_each() {
    for (n, successors, long) in
        [(2, 1, 0), (3, 1, 0), (7, 1, 0), (7, 2, 2), (32, 1, 0), (50, 2, 3), (200, 2, 8), (200, 1, 8)]
    {
        for seed in 0..3 {
            let mut world = World::new(seed, n, successors, long);
            let root = world.random.below(n);
            world.flood_from(root);
            assert_eq!(world.missed(root), Vec::<usize>::new(), "n {n} seed {seed}");
            assert_eq!(world.floods_sent, n - 1, "n {n} successors {successors} seed {seed}");
        }
    }
}

#[test]
fn with_a_tenth_of_the_tunnels_dead_everyone_is_still_reached() {
    use Tunnel::{Down, Silent};
    for how in [&[Down][..], &[Silent], &[Down, Silent]] {
        for n in [20, 60, 200] {
            let (mut runs, mut sent) = (0, 0);
            for seed in 0..12 {
                let mut world = World::new(seed, n, 2, long_links(n)).break_tunnels(0.1, how);
                if !world.connected() {
                    continue;
                }
                let root = world.random.below(n);
                world.flood_from(root);
                assert_eq!(world.missed(root), Vec::<usize>::new(), "n {n} seed {seed} {how:?}");
                (runs, sent) = (runs + 1, sent + world.floods_sent);
            }
            let average = sent as f64 / f64::from(runs) / (n - 1) as f64;
            println!("n {n}, {how:?}: {runs} runs, {average:.2} records a node");
            assert!(average < 2.5, "n {n} {how:?}: {average} records a node");
        }
    }
}

#[test]
fn in_a_bare_ring_with_one_tunnel_dead_everyone_is_reached_the_other_way_round() {
    for how in [Tunnel::Down, Tunnel::Silent] {
        for dead in 0..7 {
            for root in 0..7 {
                let mut world = World::new(3, 7, 1, 0);
                world.tunnels.insert(pair(dead, (dead + 1) % 7), how);
                let mut world = world.told();
                world.flood_from(root);
                assert_eq!(world.missed(root), Vec::<usize>::new(), "tunnel {dead} {how:?} root {root}");
            }
        }
    }
}

#[test]
fn a_dead_node_costs_a_bounded_search_and_hides_nobody() {
    for known in [true, false] {
        for seed in 0..8 {
            let n = 60;
            let mut world = World::new(seed, n, 2, long_links(n)).kill(17, known);
            let root = 1 + world.random.below(15);
            world.flood_from(root);
            assert_eq!(world.missed(root), Vec::<usize>::new(), "seed {seed} known {known}");
            println!("seed {seed}, dead node known {known}: {} records", world.floods_sent);
            assert!(world.floods_sent < 4 * n, "seed {seed} known {known}: {}", world.floods_sent);
        }
    }
}

#[test]
fn a_tunnel_that_goes_down_gives_its_arc_to_another_at_once() {
    let mut world = World::new(5, 20, 2, 3);
    let actions = world.nodes[0].originate(b"fourteen bytes", false, &world.views[0], 0);
    let Some(FloodAction::Send { port, .. }) = actions.first() else { panic!("{actions:?}") };
    let label = world.views[0].get(*port).expect("a neighbour").label;
    world.views[0].set(*port, label, false);
    let again = world.nodes[0].tunnel_down(*port, &world.views[0], 10);
    assert!(matches!(again.as_slice(), [FloodAction::Send { port: other, .. }] if other != port), "{again:?}");
    assert_eq!(world.nodes[0].counters().reassigned, 1);
    assert_eq!(world.nodes[0].tunnel_down(*port, &world.views[0], 11), vec![]);
}

#[test]
fn an_acknowledged_hop_is_not_repeated() {
    let mut world = World::new(5, 20, 2, 3);
    let actions = world.nodes[0].originate(b"fourteen bytes", true, &world.views[0], 0);
    for action in &actions {
        let FloodAction::Send { port, plaintext } = action else { panic!("{action:?}") };
        world.nodes[0].acknowledged(*port, &plaintext[..31]);
        world.nodes[0].acknowledged(*port + 100, &plaintext[..32]);
        world.nodes[0].acknowledged(*port, &plaintext[..32]);
        assert_eq!(plaintext[33], 1, "PARTIAL goes along");
    }
    assert_eq!(world.nodes[0].deadline(), None);
    assert_eq!(world.nodes[0].counters().malformed, actions.len() as u64);
}

#[test]
fn any_arc_an_adversary_sends_ends() {
    for seed in 0..40 {
        let mut world = World::new(seed, 40, 2, 5);
        let labels = world.labels.clone();
        let point = |world: &mut World| match world.random.below(4) {
            0 => Label(world.random.next()),
            1 => Label(labels[world.random.below(40)].0.wrapping_sub(1)),
            _ => labels[world.random.below(40)],
        };
        for number in 0..20 {
            let (start, bound, root) = (point(&mut world), point(&mut world), point(&mut world));
            let arc = FloodArc { root, sequence: number % 5, start, bound };
            let hop_limit = world.random.next() as u8;
            let plaintext = Record { arc, hop_limit, partial: false, ethernet: b"fourteen bytes" }.encode();
            let ports: Vec<u32> = world.views[0].iter().map(|(port, _)| port).collect();
            let port = ports[world.random.below(ports.len())];
            let actions = world.nodes[0].received(port, &plaintext, &world.views[0], |_| true, world.now);
            let sent = actions.iter().filter(|action| matches!(action, FloodAction::Send { .. })).count();
            assert!(sent <= ports.len(), "seed {seed}");
            world.parcels.clear();
            world.act_unrooted(0, actions);
        }
        assert!(world.floods_sent < 20 * 40 * 3, "seed {seed}: {} records", world.floods_sent);
    }
}

impl World {
    /// Runs what follows from forged records: nothing is asked about who gets them.
    fn act_unrooted(&mut self, node: usize, actions: Vec<FloodAction>) {
        let mut open: VecDeque<(usize, FloodAction)> = actions.into_iter().map(|action| (node, action)).collect();
        while let Some((node, action)) = open.pop_front() {
            if let FloodAction::Send { port, plaintext } = action {
                self.floods_sent += 1;
                assert!(self.floods_sent < 100_000, "seed {}: no end", self.seed);
                let to = port as usize - 16;
                let next = self.nodes[to].received(node as u32 + 16, &plaintext, &self.views[to], |_| true, self.now);
                self.nodes[node].acknowledged(port, &plaintext[..32]);
                open.extend(next.into_iter().map(|action| (to, action)));
            }
        }
    }
}

#[test]
fn a_forged_flood_in_our_own_name_is_not_taken() {
    let mut world = World::new(1, 7, 1, 0);
    let own = world.labels[2];
    let arc = FloodArc { root: own, sequence: 9, start: own, bound: own };
    let plaintext = Record { arc, hop_limit: 32, partial: false, ethernet: b"fourteen bytes" }.encode();
    let actions = world.nodes[2].received(16, &plaintext, &world.views[2], |_| true, 0);
    assert!(matches!(actions.as_slice(), [FloodAction::Acknowledge { .. }]), "{actions:?}");
}

#[test]
fn a_storm_is_cut_to_the_rate() {
    let mut world = World::new(1, 7, 1, 0);
    let sent =
        (0..10_000).filter(|_| !world.nodes[0].originate(b"fourteen bytes", false, &world.views[0], 0).is_empty());
    assert_eq!(sent.count() as u64, RATE.at_once);
    assert_eq!(world.nodes[0].counters().rate_limited, 10_000 - RATE.at_once);
}

#[test]
fn broken_plaintexts_are_counted_and_not_acknowledged() {
    let mut world = World::new(1, 7, 1, 0);
    let arc = FloodArc { root: Label(1), sequence: 9, start: Label(2), bound: Label(3) };
    let plaintext = Record { arc, hop_limit: 32, partial: false, ethernet: b"fourteen bytes" }.encode();
    for cut in 0..plaintext.len() {
        assert_eq!(world.nodes[0].received(16, &plaintext[..cut], &world.views[0], |_| true, 0), vec![], "{cut}");
    }
}

/// Floods of `roots`, each other root's in turn, by two neighbours at once: what is delivered, what is acknowledged.
fn flooded(roots: u64, member: bool) -> (usize, usize) {
    let mut world = World::new(1, 7, 1, 0);
    let arc = |i: u64| FloodArc { root: Label(1_000 + i % roots), sequence: i, start: Label(1), bound: Label(1) };
    let mut counted = (0, 0);
    for i in 0..1_000 {
        let plaintext = Record { arc: arc(i), hop_limit: 1, partial: false, ethernet: &[0; 60] }.encode();
        let port = 16 + (i % 2) as u32;
        for action in world.nodes[0].received(port, &plaintext, &world.views[0], |_| member, 0) {
            match action {
                FloodAction::Deliver { .. } => counted.0 += 1,
                FloodAction::Acknowledge { .. } => counted.1 += 1,
                FloodAction::Send { .. } => {}
            }
        }
    }
    counted
}

#[test]
fn a_root_has_its_rate_by_whatever_neighbours_it_comes() {
    assert_eq!(flooded(1, true), (500, 1_000));
    assert_eq!(flooded(2, true), (1_000, 1_000));
}

#[test]
fn all_strangers_together_have_one_small_rate() {
    assert_eq!(flooded(500, false), (200, 1_000));
}
