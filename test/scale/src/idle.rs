//! What an idle overlay costs: IP bytes that its nodes send while nobody wants anything, by `tincan::tunnel::Paths` on each kind of tunnel,
//! and by the sizes of what else is sent at fixed times (docs/wire.md).

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use tincan::time::{Micros, MILLISECOND, SECOND};
use tincan::tunnel::{Action, Paths, Via};
use tincan::wire::control::Control;
use tincan::wire::probe::PROBE_RECORD_MIN;
use tincan::wire::sealed::SEAL_OVERHEAD;

use crate::graph::Graph;
use crate::queue::Queue;

const ONE_WAY: Micros = 20 * MILLISECOND;
/// IPv4 and UDP.
const HEADERS: usize = 28;
/// What an Ethernet carries in one datagram.
const ETHERNET_RECORD: u16 = 1472;
/// Addresses that never answer are asked seldom by then.
const SETTLED: Micros = 900 * SECOND;
const MEASURED: Micros = 1_200 * SECOND;
/// `routing::Neighbours::beside`, as tincan asks for it.
const WATCHED_EACH_SIDE: usize = 2;
/// Each neighbour is told adjacency again this often (wire.md §6.5).
const ADJACENCY: f64 = 30.0;
/// Sessions live so long (§5); a certificate as in test/vectors, so initiation, response and two confirmations, halved between the ends.
const SESSION: f64 = 120.0;
const HANDSHAKE: usize = (442 + 360) / 2 + SEAL_OVERHEAD + 2;

/// What is sent besides, of every node: measured, or by the agent's own clock.
#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Addresses of a neighbour that never answer, of each end.
    silent: usize,
    /// Bytes a second that do not depend on tunnels.
    besides: f64,
}

#[derive(Serialize)]
pub struct Answer {
    pub mean: f64,
    pub max: f64,
    pub probes_mean: f64,
    pub adjacency_mean: f64,
    pub sessions_mean: f64,
}

pub fn run(graph: &Graph, request: Request) -> Answer {
    let views = graph.views(|_, _| true, |_, _| true);
    let near: Vec<Vec<u32>> =
        views.iter().zip(&graph.labels).map(|(view, &own)| view.beside(own, WATCHED_EACH_SIDE)).collect();
    let is_near = |from: usize, to: usize| near[from].contains(&crate::graph::port_to(to));
    // By what the two ends take it for; both ends' rates.
    let kinds = [(false, false), (false, true), (true, true)].map(|(a, b)| rates([a, b], request.silent));
    let mut probes = vec![0.0; graph.len()];
    let mut degrees = vec![0; graph.len()];
    for tunnel in &graph.tunnels {
        let [a, b] = tunnel.ends;
        let seen = [is_near(a, b), is_near(b, a)];
        let rate = match seen {
            [false, false] => kinds[0],
            [true, true] => kinds[2],
            [false, true] => kinds[1],
            [true, false] => [kinds[1][1], kinds[1][0]],
        };
        for (place, rate) in [(a, rate[0]), (b, rate[1])] {
            probes[place] += rate;
            degrees[place] += 1;
        }
    }
    let adjacency = |degree: usize| degree as f64 * told(graph, degree) as f64 / ADJACENCY;
    let sessions = |degree: usize| degree as f64 * (HANDSHAKE + 2 * HEADERS) as f64 / SESSION;
    let of = |place: usize| probes[place] + adjacency(degrees[place]) + sessions(degrees[place]) + request.besides;
    let mean = |what: &dyn Fn(usize) -> f64| (0..graph.len()).map(what).sum::<f64>() / graph.len().max(1) as f64;
    Answer {
        mean: mean(&of),
        max: (0..graph.len()).map(of).fold(0.0, f64::max),
        probes_mean: mean(&|place| probes[place]),
        adjacency_mean: mean(&|place| adjacency(degrees[place])),
        sessions_mean: mean(&|place| sessions(degrees[place])),
    }
}

/// Bytes of an adjacency record on its way.
fn told(graph: &Graph, degree: usize) -> usize {
    let labels = graph.labels.iter().copied().take(degree).collect();
    HEADERS + SEAL_OVERHEAD + Control::Adjacency { sequence: 0, labels }.encode().len()
}

enum Event {
    Request(usize, [u8; 8], bool, u16),
    Response(usize, [u8; 8], bool, u16),
    /// By the kernel, for its size.
    Refused(usize, u16),
    Tick(usize),
}

/// Bytes a second that each end of an idle tunnel sends for its paths.
fn rates(near: [bool; 2], silent: usize) -> [f64; 2] {
    let address = |net: u8, last: u8| SocketAddr::from((Ipv4Addr::new(198, 51, net, last), 20_000));
    let via = [Via::Direct(address(100, 2)), Via::Direct(address(100, 1))];
    let mut ends = [Paths::new(crate::detect::draw, true), Paths::new(crate::detect::draw, false)];
    let (mut bytes, mut timers) = ([0; 2], [Micros::MAX; 2]);
    let mut queue = Queue::new();
    let mut out = [Vec::new(), Vec::new()];
    let begin = SECOND;
    for (i, end) in ends.iter_mut().enumerate() {
        let Via::Direct(peer) = via[i] else { continue };
        let silent = (0..silent).map(|n| address(101, u8::try_from(n).unwrap_or(u8::MAX)));
        let named: Vec<SocketAddr> = std::iter::once(peer).chain(silent).collect();
        end.set_candidates(&named, begin, &mut out[i]);
        end.session_up(begin, &mut out[i]);
        end.set_near(near[i], begin);
    }
    let mut now = begin;
    loop {
        for i in 0..2 {
            for action in std::mem::take(&mut out[i]) {
                let Action::Request { via: by, challenge, proven, size } = action else { continue };
                if size > ETHERNET_RECORD {
                    queue.push(now, Event::Refused(i, size));
                    continue;
                }
                let record = size.max(PROBE_RECORD_MIN);
                bytes[i] += if now >= SETTLED { HEADERS + usize::from(record) } else { 0 };
                if by == via[i] {
                    queue.push(now + ONE_WAY, Event::Request(1 - i, challenge, proven, size));
                }
            }
            let at = ends[i].deadline().map_or(Micros::MAX, |at| at.max(now + MILLISECOND));
            if at < timers[i] {
                timers[i] = at;
                queue.push(at, Event::Tick(i));
            }
        }
        let Some((at, event)) = queue.pop().filter(|&(at, _)| at < SETTLED + MEASURED) else { break };
        now = at;
        match event {
            Event::Request(i, challenge, proven, size) => {
                let proven = ends[i].request(via[i], proven, true, now, &mut out[i]).proven;
                bytes[i] += if now >= SETTLED { HEADERS + usize::from(PROBE_RECORD_MIN) } else { 0 };
                queue.push(now + ONE_WAY, Event::Response(1 - i, challenge, proven, size));
            }
            Event::Response(i, challenge, proven, size) => {
                ends[i].response(via[i], challenge, size, proven, now, &mut out[i]);
            }
            Event::Refused(i, size) => ends[i].too_big(via[i], size, now, &mut out[i]),
            Event::Tick(i) => {
                timers[i] = Micros::MAX;
                ends[i].tick(now, &mut out[i]);
            }
        }
    }
    bytes.map(|bytes| bytes as f64 * SECOND as f64 / MEASURED as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_costs_less_than_forty_bytes_a_second_and_one_to_a_near_neighbour_less_than_a_hundred_and_twenty() {
        let [far, _] = rates([false, false], 0);
        let [near, _] = rates([true, true], 0);
        assert!((20.0..40.0).contains(&far), "{far}");
        assert!((85.0..120.0).contains(&near), "{near}");
    }

    #[test]
    fn an_address_that_never_answers_costs_less_than_two_bytes_a_second() {
        let with = rates([false, false], 3)[0];
        let without = rates([false, false], 0)[0];
        assert!((3.0..6.0).contains(&(with - without)), "{with} {without}");
    }
}
