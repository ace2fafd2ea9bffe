//! Where records arrive after tunnels died: core flows as the agents made them before, and from there `tincan::routing`.

use serde::{Deserialize, Serialize};

use tincan::routing::Neighbours;
use tincan::time::{Micros, MILLISECOND};

use crate::detect;
use crate::graph::{place_of, port_to, Graph};
use crate::random::Random;

/// The source sets it (wire.md §4.1).
pub const HOP_LIMIT: u32 = 64;
/// Adjacency is told this long after a change at the latest, and under way for a moment.
const TOLD_AFTER: Micros = 250 * MILLISECOND;
/// Deaths that are simulated; each tunnel that died takes one of them.
const SAMPLES: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Places that records are sent to, by everybody.
    targets: Vec<usize>,
    /// For each target and each place, the place of the neighbour that the core flow there names; -1: none.
    hops: Vec<Vec<i64>>,
    /// When records are sent, after the tunnels died at once.
    at_ms: Vec<u64>,
}

#[derive(Serialize)]
pub struct Answer {
    /// Until an end has found a dead tunnel.
    pub found_ms_mean: f64,
    pub found_ms_max: f64,
    pub at: Vec<Moment>,
}

#[derive(Serialize)]
pub struct Moment {
    pub ms: u64,
    /// Pairs that the tunnels that are left connect.
    pub pairs: u64,
    pub arrived: u64,
    pub hops_mean: f64,
    pub hops_max: u32,
    /// Of those that did not arrive: sent into a dead tunnel that was not found yet.
    pub swallowed: u64,
    /// Nowhere to go on.
    pub stuck: u64,
    pub too_many_hops: u64,
    /// A pair that did not arrive.
    pub example: Option<(usize, usize)>,
}

pub fn run(graph: &Graph, request: &Request, seed: u64) -> Result<Answer, String> {
    let n = graph.len();
    if let Some(target) = request.targets.iter().find(|&&target| target >= n) {
        return Err(format!("target {target} of {n} places"));
    }
    if request.hops.len() != request.targets.len() || request.hops.iter().any(|hops| hops.len() != n) {
        return Err("hops are a list of places for each target".to_owned());
    }
    let mut random = Random::new(seed, 3);
    let samples: Vec<[Micros; 2]> = (0..SAMPLES).map(|_| detect::run(&mut random, detect::Traffic::Busy)).collect();
    // When each end of each tunnel finds that it is dead.
    let found: Vec<[Micros; 2]> = graph
        .tunnels
        .iter()
        .map(|tunnel| if tunnel.alive { [Micros::MAX; 2] } else { samples[random.below(SAMPLES as u64) as usize] })
        .collect();
    let finds = |tunnel: usize, place: usize| found[tunnel][usize::from(graph.tunnels[tunnel].ends[1] == place)];
    let parts = graph.parts();
    let at = request.at_ms.iter().map(|&ms| {
        let now = ms * MILLISECOND;
        let views = graph.views(
            |tunnel, place| finds(tunnel, place) > now,
            |tunnel, place| finds(tunnel, place).saturating_add(TOLD_AFTER) > now,
        );
        moment(graph, &views, &parts, request, ms)
    });
    let all: Vec<f64> = found.iter().flatten().filter(|&&f| f != Micros::MAX).map(|&f| f as f64 / 1_000.0).collect();
    Ok(Answer {
        found_ms_mean: all.iter().sum::<f64>() / all.len().max(1) as f64,
        found_ms_max: all.iter().copied().fold(0.0, f64::max),
        at: at.collect(),
    })
}

enum End {
    Arrived(u32),
    Swallowed,
    Stuck,
    TooManyHops,
}

fn moment(graph: &Graph, views: &[Neighbours], parts: &[usize], request: &Request, ms: u64) -> Moment {
    let mut moment = Moment {
        ms,
        pairs: 0,
        arrived: 0,
        hops_mean: 0.0,
        hops_max: 0,
        swallowed: 0,
        stuck: 0,
        too_many_hops: 0,
        example: None,
    };
    let mut hops_sum = 0u64;
    for (&target, flows) in request.targets.iter().zip(&request.hops) {
        for from in (0..graph.len()).filter(|&from| from != target && parts[from] == parts[target]) {
            moment.pairs += 1;
            match walk(graph, views, flows, from, target) {
                End::Arrived(hops) => {
                    moment.arrived += 1;
                    hops_sum += u64::from(hops);
                    moment.hops_max = moment.hops_max.max(hops);
                    continue;
                }
                End::Swallowed => moment.swallowed += 1,
                End::Stuck => moment.stuck += 1,
                End::TooManyHops => moment.too_many_hops += 1,
            }
            moment.example.get_or_insert((from, target));
        }
    }
    moment.hops_mean = hops_sum as f64 / moment.arrived.max(1) as f64;
    moment
}

fn walk(graph: &Graph, views: &[Neighbours], flows: &[i64], from: usize, target: usize) -> End {
    let destination = graph.labels[target];
    let (mut at, mut came_by, mut flagged) = (from, None, false);
    for hops in 1..=HOP_LIMIT {
        let view = &views[at];
        let next = if flagged {
            view.onward(graph.labels[at], destination, came_by)
        } else {
            let named = usize::try_from(flows[at]).ok().map(port_to);
            view.hop(destination, came_by, named).map(|(port, detour)| {
                flagged = detour;
                port
            })
        };
        let Some(next) = next.map(place_of) else { return End::Stuck };
        if !graph.tunnel(at, next).is_some_and(|tunnel| graph.tunnels[tunnel].alive) {
            return End::Swallowed;
        }
        came_by = Some(port_to(at));
        at = next;
        if at == target {
            return End::Arrived(hops);
        }
    }
    End::TooManyHops
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of eight with flows the shorter way round, and one tunnel dead.
    fn moments(at_ms: &[u64]) -> Answer {
        let labels: Vec<String> = (0..8u64).map(|i| format!("{:016x}", i << 61)).collect();
        let tunnels: Vec<_> = (0..8).map(|i| (i, (i + 1) % 8)).collect();
        let graph = Graph::new(&labels, &tunnels, &[0], 1).expect("a graph");
        let toward = |from: i64, to: i64| match (to - from).rem_euclid(8) {
            0 => -1,
            1..=4 => (from + 1) % 8,
            _ => (from + 7) % 8,
        };
        let hops = (0..8).map(|to| (0..8).map(|from| toward(from, to)).collect()).collect();
        run(&graph, &Request { targets: (0..8).collect(), hops, at_ms: at_ms.to_vec() }, 1).expect("an answer")
    }

    #[test]
    fn what_a_dead_tunnel_swallows_goes_the_other_way_round_once_its_ends_know() {
        let answer = moments(&[0, 2_000]);
        let [at_once, later] = answer.at.as_slice() else { panic!("two moments") };
        assert!(at_once.swallowed > 0 && at_once.stuck == 0);
        assert_eq!(at_once.arrived + at_once.swallowed, 56);
        assert_eq!((later.arrived, later.pairs, later.example), (56, 56, None));
        // From 5 to 1: three hops to the dead tunnel, and all the way back.
        assert_eq!(later.hops_max, 10);
        assert!(answer.found_ms_max < 1_500.0);
    }
}
