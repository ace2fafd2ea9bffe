//! Floods by `tincan::flood`, one after the other, while some tunnels carry nothing and nobody knows yet.

use serde::Serialize;

use tincan::flood::{Flood, FloodAction};
use tincan::routing::Neighbours;
use tincan::time::{Micros, SECOND};

use crate::graph::{place_of, port_to, Graph};
use crate::queue::Queue;
use crate::random::Random;

/// Between two floods, so that no rate is reached.
const PAUSE: Micros = SECOND;
const FRAME: &[u8] = b"fourteen bytes";

#[derive(Serialize, Default)]
pub struct Answer {
    pub floods: usize,
    /// Nodes that are connected with the root, over all floods, and those that got the frame.
    pub expected: u64,
    pub reached: u64,
    /// Floods that reached every node they could.
    pub complete: usize,
    /// Nodes that got a frame twice.
    pub twice: u64,
    /// Flood records, whether they arrived or not.
    pub records: u64,
    /// Tunnels that at least one record was sent by, over all floods; `records / tunnels` is the copies on a tunnel.
    pub tunnels: u64,
    /// Most records on one tunnel in one flood.
    pub most: u32,
    pub last_ms_mean: f64,
    pub last_ms_max: f64,
    pub hunted: u64,
    pub reassigned: u64,
    pub abandoned: u64,
}

enum Event {
    Parcel { from: usize, to: usize, acknowledges: bool, plaintext: Vec<u8> },
    Timer(usize),
}

struct World<'a> {
    graph: &'a Graph,
    nodes: Vec<Flood>,
    views: Vec<Neighbours>,
    queue: Queue<Event>,
    /// When each node's timer is set for.
    timers: Vec<Micros>,
    now: Micros,
    /// Of the flood under way.
    got: Vec<u32>,
    got_last: Micros,
    by_tunnel: Vec<u32>,
    touched: Vec<usize>,
}

pub fn run(graph: &Graph, floods: usize, seed: u64) -> Answer {
    let mut random = Random::new(seed, 2);
    // Whoever has a tunnel that carries nothing takes it to be well, and says so.
    let mut world = World {
        graph,
        nodes: graph.labels.iter().map(|&label| Flood::new(label, 0xb007)).collect(),
        views: graph.views(|_, _| true, |_, _| true),
        queue: Queue::new(),
        timers: vec![Micros::MAX; graph.len()],
        now: SECOND,
        got: vec![0; graph.len()],
        got_last: 0,
        by_tunnel: vec![0; graph.tunnels.len()],
        touched: Vec::new(),
    };
    let parts = graph.parts();
    let mut answer = Answer { floods, ..Answer::default() };
    let mut last_sum = 0.0;
    for _ in 0..floods {
        let root = random.below(graph.len() as u64) as usize;
        let began = world.now;
        world.flood_from(root);
        let expected = (0..graph.len()).filter(|&i| i != root && parts[i] == parts[root]);
        let (all, reached) = expected.fold((0, 0), |(all, got), i| (all + 1, got + u64::from(world.got[i] > 0)));
        answer.expected += all;
        answer.reached += reached;
        answer.complete += usize::from(reached == all);
        answer.twice += world.got.iter().filter(|&&times| times > 1).count() as u64;
        answer.records += world.touched.iter().map(|&tunnel| u64::from(world.by_tunnel[tunnel])).sum::<u64>();
        answer.tunnels += world.touched.len() as u64;
        answer.most = world.touched.iter().map(|&tunnel| world.by_tunnel[tunnel]).fold(answer.most, u32::max);
        let last_ms = world.got_last.saturating_sub(began) as f64 / 1_000.0;
        last_sum += last_ms;
        answer.last_ms_max = answer.last_ms_max.max(last_ms);
        world.now += PAUSE;
    }
    answer.last_ms_mean = last_sum / floods as f64;
    for counters in world.nodes.iter().map(Flood::counters) {
        answer.hunted += counters.hunted;
        answer.reassigned += counters.reassigned;
        answer.abandoned += counters.abandoned;
    }
    answer
}

impl World<'_> {
    fn flood_from(&mut self, root: usize) {
        self.got.fill(0);
        self.got_last = self.now;
        for tunnel in self.touched.drain(..) {
            self.by_tunnel[tunnel] = 0;
        }
        let actions = self.nodes[root].originate(FRAME, false, &self.views[root], self.now);
        self.act(root, actions);
        while let Some((at, event)) = self.queue.pop() {
            self.now = at;
            match event {
                Event::Parcel { from, to, acknowledges, plaintext } => {
                    let port = port_to(from);
                    if acknowledges {
                        self.nodes[to].acknowledged(port, &plaintext);
                    } else {
                        let actions = self.nodes[to].received(port, &plaintext, &self.views[to], |_| true, at);
                        self.act(to, actions);
                    }
                }
                Event::Timer(node) => {
                    self.timers[node] = Micros::MAX;
                    let actions = self.nodes[node].tick(&self.views[node], at);
                    self.act(node, actions);
                }
            }
        }
    }

    fn act(&mut self, node: usize, actions: Vec<FloodAction>) {
        for action in actions {
            match action {
                FloodAction::Deliver { .. } => {
                    self.got[node] += 1;
                    self.got_last = self.now;
                }
                FloodAction::Send { port, plaintext } => self.send(node, port, false, plaintext),
                FloodAction::Acknowledge { port, plaintext } => self.send(node, port, true, plaintext),
            }
        }
        if let Some(due) = self.nodes[node].deadline().filter(|&due| due < self.timers[node]) {
            self.timers[node] = due;
            self.queue.push(due, Event::Timer(node));
        }
    }

    fn send(&mut self, from: usize, port: u32, acknowledges: bool, plaintext: Vec<u8>) {
        let to = place_of(port);
        let Some(tunnel) = self.graph.tunnel(from, to) else { return };
        if !acknowledges {
            if self.by_tunnel[tunnel] == 0 {
                self.touched.push(tunnel);
            }
            self.by_tunnel[tunnel] += 1;
        }
        let way = &self.graph.tunnels[tunnel];
        if way.alive {
            self.queue.push(self.now + way.one_way, Event::Parcel { from, to, acknowledges, plaintext });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(n: usize, dead: &[usize]) -> Graph {
        ring_of(n, 2, dead)
    }

    /// Tunnel `i * successors + k` leads from node i to the one k + 1 places on.
    fn ring_of(n: usize, successors: usize, dead: &[usize]) -> Graph {
        let labels: Vec<String> = (0..n as u64).map(|i| format!("{:016x}", i * (u64::MAX / n as u64))).collect();
        let tunnels: Vec<_> = (0..n).flat_map(|i| (1..=successors).map(move |k| (i, (i + k) % n))).collect();
        Graph::new(&labels, &tunnels, dead, 1).expect("a graph")
    }

    #[test]
    fn on_an_intact_ring_each_used_tunnel_carries_one_record() {
        let answer = run(&ring(16, &[]), 20, 1);
        assert_eq!((answer.expected, answer.reached, answer.complete), (20 * 15, 20 * 15, 20));
        assert_eq!((answer.records, answer.tunnels, answer.most), (20 * 15, 20 * 15, 1));
    }

    #[test]
    fn a_tunnel_that_carries_nothing_is_gone_round_and_costs_copies() {
        let answer = run(&ring(16, &[3]), 50, 1);
        assert_eq!((answer.reached, answer.complete, answer.twice), (answer.expected, 50, 0));
        assert!(answer.reassigned > 0 && answer.records > answer.expected);
    }

    #[test]
    fn a_node_of_whose_eight_tunnels_five_are_silent_reaches_everyone_and_is_reached() {
        // Node 0's: four to its successors, one from each of the four before it.
        let of_zero = [0, 1, 2, 3, 15 * 4, 14 * 4 + 1, 13 * 4 + 2, 12 * 4 + 3];
        for first in 0..of_zero.len() {
            let dead: Vec<usize> = (0..5).map(|i| of_zero[(first + i) % of_zero.len()]).collect();
            let answer = run(&ring_of(16, 4, &dead), 60, 1);
            assert_eq!((answer.reached, answer.complete, answer.twice), (60 * 15, 60, 0), "{dead:?}");
        }
    }

    #[test]
    fn who_cannot_be_reached_is_not_expected_to_be() {
        // Node 5's four tunnels.
        let answer = run(&ring(16, &[10, 11, 8, 7]), 10, 1);
        assert!(answer.expected < 10 * 15);
        assert_eq!(answer.reached, answer.expected);
    }
}
