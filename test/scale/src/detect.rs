//! How long the two ends of a tunnel need to find that it carries nothing: by `tincan::tunnel::Paths`, with more or less traffic both ways.

use std::net::{Ipv4Addr, SocketAddr};

use tincan::time::{Micros, MILLISECOND, SECOND};
use tincan::tunnel::{Action, PathKind, Paths, Via};

use crate::queue::Queue;
use crate::random::Random;

const ONE_WAY: Micros = 20 * MILLISECOND;
/// What both ends send besides probes.
#[derive(Clone, Copy)]
pub enum Traffic {
    Busy,
    /// Nothing, between two that are near on the ring.
    IdleNear,
    /// Nothing, between two others.
    Idle,
}

impl Traffic {
    fn every(self) -> Option<Micros> {
        matches!(self, Traffic::Busy).then_some(100 * MILLISECOND)
    }
}

/// The path is settled by then.
const SETTLED: Micros = 20 * SECOND;
const GIVE_UP: Micros = 60 * SECOND;

enum Packet {
    Request { challenge: [u8; 8], proven: bool, size: u16 },
    Response { challenge: [u8; 8], proven: bool, size: u16 },
    Record,
}

enum Event {
    Arrives(usize, Packet),
    Traffic(usize),
    Tick(usize),
}

/// From the moment at which nothing arrives any more, of each end; at a moment by chance.
pub fn run(random: &mut Random, traffic: Traffic) -> [Micros; 2] {
    let address = |last| SocketAddr::from((Ipv4Addr::new(198, 51, 100, last), 20_000));
    let via = [Via::Direct(address(2)), Via::Direct(address(1))];
    let mut ends = [Paths::new(draw, true), Paths::new(draw, false)];
    let mut queue = Queue::new();
    let dies = SETTLED + random.below(10 * SECOND);
    let mut found = [None; 2];
    let mut timers = [Micros::MAX; 2];
    let begin = SECOND;
    let mut out = [Vec::new(), Vec::new()];
    for (i, end) in ends.iter_mut().enumerate() {
        let Via::Direct(peer) = via[i] else { continue };
        end.set_candidates(&[peer], begin, &mut out[i]);
        end.session_up(begin, &mut out[i]);
        end.set_near(matches!(traffic, Traffic::IdleNear), begin);
        if let Some(every) = traffic.every() {
            queue.push(begin + random.below(every), Event::Traffic(i));
        }
    }
    let mut now = begin;
    loop {
        for i in 0..2 {
            for action in std::mem::take(&mut out[i]) {
                if let Action::Request { challenge, proven, size, .. } = action {
                    if now < dies {
                        queue.push(now + ONE_WAY, Event::Arrives(1 - i, Packet::Request { challenge, proven, size }));
                    }
                }
            }
            let at = ends[i].deadline().map_or(Micros::MAX, |at| at.max(now + MILLISECOND));
            if at < timers[i] {
                timers[i] = at;
                queue.push(at, Event::Tick(i));
            }
            if now >= dies && ends[i].kind() == PathKind::None {
                found[i].get_or_insert(now - dies);
            }
        }
        if let [Some(a), Some(b)] = found {
            return [a, b];
        }
        let Some((at, event)) = queue.pop().filter(|&(at, _)| at < dies + GIVE_UP) else { return [GIVE_UP; 2] };
        now = at;
        match event {
            Event::Arrives(i, Packet::Request { challenge, proven, size }) => {
                let proven = ends[i].request(via[i], proven, true, now, &mut out[i]).proven;
                if now < dies {
                    queue.push(now + ONE_WAY, Event::Arrives(1 - i, Packet::Response { challenge, proven, size }));
                }
            }
            Event::Arrives(i, Packet::Response { challenge, proven, size }) => {
                ends[i].response(via[i], challenge, size, proven, now, &mut out[i]);
            }
            Event::Arrives(i, Packet::Record) => ends[i].heard(via[i]),
            Event::Traffic(i) => {
                ends[i].used(now);
                if now < dies {
                    queue.push(now + ONE_WAY, Event::Arrives(1 - i, Packet::Record));
                }
                queue.push(now + traffic.every().unwrap_or(GIVE_UP), Event::Traffic(i));
            }
            Event::Tick(i) => {
                timers[i] = Micros::MAX;
                ends[i].tick(now, &mut out[i]);
            }
        }
    }
}

/// Nobody guesses them here.
pub fn draw() -> [u8; 8] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_find_a_dead_tunnel_within_little_more_than_a_second_of_traffic() {
        let mut random = Random::new(1, 4);
        for _ in 0..20 {
            for found in run(&mut random, Traffic::Busy) {
                assert!((750 * MILLISECOND..1_300 * MILLISECOND).contains(&found), "{found}");
            }
            for found in run(&mut random, Traffic::IdleNear) {
                assert!((750 * MILLISECOND..2_500 * MILLISECOND).contains(&found), "{found}");
            }
            for found in run(&mut random, Traffic::Idle) {
                assert!((750 * MILLISECOND..5_500 * MILLISECOND).contains(&found), "{found}");
            }
        }
    }
}
