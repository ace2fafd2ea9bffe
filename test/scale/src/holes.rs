//! A node that answers all its neighbours' probes and forwards nothing: how soon they send round it, by `tincan::forwards` and
//! `tincan::routing`, while everybody sends to everybody.

use serde::{Deserialize, Serialize};

use tincan::forwards::{Forwards, LOOK};
use tincan::routing::Neighbours;
use tincan::time::{Micros, MILLISECOND, SECOND};

use crate::detect::draw;
use crate::graph::{place_of, port_to, Graph};
use crate::random::Random;
use crate::routes::HOP_LIMIT;

/// From when on it forwards nothing.
const BEGINS: Micros = 10 * SECOND;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Nodes that do so, one after the other, by chance.
    holes: usize,
    /// As in `routes::Request`.
    targets: Vec<usize>,
    hops: Vec<Vec<i64>>,
    /// When it is looked at, after that node began.
    at_ms: u64,
}

#[derive(Serialize, Default)]
pub struct Answer {
    /// Pairs without the silent node, over all of those.
    pub pairs: u64,
    pub arrived: u64,
    /// Of those that did not, because it was asked to forward.
    pub swallowed: u64,
    /// Until the last neighbour that sends through it has found it out.
    pub found_ms_max: f64,
}

pub fn run(graph: &Graph, request: &Request, seed: u64) -> Result<Answer, String> {
    if request.hops.len() != request.targets.len() || request.hops.iter().any(|hops| hops.len() != graph.len()) {
        return Err("hops are a list of places for each target".to_owned());
    }
    let mut random = Random::new(seed, 5);
    let mut answer = Answer::default();
    for _ in 0..request.holes {
        let hole = random.below(graph.len() as u64) as usize;
        one(graph, request, hole, &mut answer);
    }
    Ok(answer)
}

fn one(graph: &Graph, request: &Request, hole: usize, answer: &mut Answer) {
    // Who sends through it: a flow of theirs leads there for somebody else.
    let through = |place: usize| {
        let flows = request.targets.iter().zip(&request.hops);
        flows.into_iter().any(|(&target, hops)| target != hole && usize::try_from(hops[place]) == Ok(hole))
    };
    let mut found = vec![None; graph.len()];
    for place in (0..graph.len()).filter(|&place| place != hole && through(place)) {
        found[place] = finds_after(graph.neighbours(hole) > 1);
        answer.found_ms_max = answer.found_ms_max.max(found[place].unwrap_or(Micros::MAX) as f64 / 1_000.0);
    }
    let at = request.at_ms * MILLISECOND;
    let refuses: Vec<bool> = found.iter().map(|found| found.is_some_and(|after| after <= at)).collect();
    let told = |tunnel: usize, place: usize| !(refuses[place] && graph.tunnels[tunnel].ends.contains(&hole));
    let views = graph.views(|_, _| true, told);
    for (&target, flows) in request.targets.iter().zip(&request.hops).filter(|(&target, _)| target != hole) {
        for from in (0..graph.len()).filter(|&from| from != target && from != hole) {
            answer.pairs += 1;
            match walk(graph, &views, &refuses, flows, hole, from, target) {
                Some(true) => answer.arrived += 1,
                Some(false) => answer.swallowed += 1,
                None => {}
            }
        }
    }
}

/// How long a neighbour that sends through it all the time takes to find out, as tincan looks at it.
fn finds_after(somebody_behind: bool) -> Option<Micros> {
    let mut forwards = Forwards::default();
    let mut now = SECOND;
    while now < BEGINS + 60 * SECOND {
        now += LOOK;
        forwards.used(now);
        if now < BEGINS {
            forwards.shown(now);
        }
        if forwards.look(somebody_behind, draw, now).changed {
            return Some(now - BEGINS);
        }
    }
    None
}

/// Whether a record arrives, or falls into the hole; None: it gets lost otherwise.
fn walk(
    graph: &Graph,
    views: &[Neighbours],
    refuses: &[bool],
    flows: &[i64],
    hole: usize,
    from: usize,
    target: usize,
) -> Option<bool> {
    let destination = graph.labels[target];
    let (mut at, mut came_by, mut flagged) = (from, None, false);
    for _ in 0..HOP_LIMIT {
        let view = &views[at];
        let hop = if flagged {
            view.onward(graph.labels[at], destination, came_by).map(|port| (port, true))
        } else {
            view.hop(destination, came_by, usize::try_from(flows[at]).ok().map(port_to))
        };
        let (mut port, detour) = hop?;
        let may_turn = !std::mem::replace(&mut flagged, detour);
        if place_of(port) == hole && refuses[at] {
            // `node::receive::next_hop`: another one, or once back where it came from.
            let other = view.first_hop_avoiding(destination, |port| Some(port) == came_by || place_of(port) == hole);
            port = other.or(came_by.filter(|_| may_turn)).unwrap_or(port);
            flagged = true;
        }
        let next = place_of(port);
        if next == hole {
            return Some(false);
        }
        came_by = Some(port_to(at));
        at = next;
        if at == target {
            return Some(true);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of sixteen with tunnels to the next two on either side, and flows the shorter way round.
    fn after(at_ms: u64) -> Answer {
        let n = 16i64;
        let labels: Vec<String> = (0..16u64).map(|i| format!("{:016x}", i << 60)).collect();
        let tunnels: Vec<_> = (0..16).flat_map(|i| [(i, (i + 1) % 16), (i, (i + 2) % 16)]).collect();
        let graph = Graph::new(&labels, &tunnels, &[], 1).expect("a graph");
        let toward = |from: i64, to: i64| match (to - from).rem_euclid(n) {
            0 => -1,
            1 => (from + 1) % n,
            2..=8 => (from + 2) % n,
            15 => (from + 15) % n,
            _ => (from + 14) % n,
        };
        let hops = (0..n).map(|to| (0..n).map(|from| toward(from, to)).collect()).collect();
        run(&graph, &Request { holes: 5, targets: (0..16).collect(), hops, at_ms }, 1).expect("an answer")
    }

    #[test]
    fn what_a_node_that_forwards_nothing_swallows_goes_round_it_within_three_seconds() {
        let at_once = after(500);
        assert!(at_once.swallowed > 0 && at_once.arrived + at_once.swallowed == at_once.pairs);
        assert!(at_once.found_ms_max <= 2_500.0, "{}", at_once.found_ms_max);
        let later = after(3_000);
        assert_eq!((later.pairs, later.arrived), (5 * 15 * 14, 5 * 15 * 14));
    }
}
