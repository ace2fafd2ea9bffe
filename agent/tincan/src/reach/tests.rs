use super::*;

const PEER: Label = Label(9);
const FIRST: u32 = 16;
const SECOND_WAY: u32 = 17;

fn draw() -> [u8; 8] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

/// Two ends that send each other ten records a second by the first hop each of them has; `through(from_a, port)` says what arrives.
struct World {
    a: Reach,
    b: Reach,
    now: Micros,
    asks: usize,
}

impl World {
    fn new() -> Self {
        World { a: Reach::new(draw), b: Reach::new(draw), now: SECOND, asks: 0 }
    }

    fn port(reach: &mut Reach) -> u32 {
        if !reach.avoids(PEER, FIRST) {
            return FIRST;
        }
        if reach.avoids(PEER, SECOND_WAY) {
            reach.pardon(PEER);
        }
        SECOND_WAY
    }

    /// `talks`: whether (a, b) send anything.
    fn run(&mut self, for_: Micros, talks: (bool, bool), through: impl Fn(bool, u32) -> bool) {
        let end = self.now + for_;
        while self.now < end {
            self.now += 100 * MILLISECOND;
            for from_a in [true, false] {
                let (own, other) = if from_a { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
                if if from_a { talks.0 } else { talks.1 } {
                    let port = Self::port(own);
                    own.sent(PEER, port, self.now);
                    if through(from_a, port) {
                        other.heard(PEER);
                    }
                }
                for ask in own.tick(self.now) {
                    self.asks += 1;
                    let port = ask.by.unwrap_or_else(|| Self::port(own));
                    if !through(from_a, port) {
                        continue;
                    }
                    other.heard(PEER);
                    if !ask.heard {
                        other.complained(PEER, self.now);
                    }
                    let back = Self::port(other);
                    other.used(PEER, back, self.now);
                    if through(!from_a, back) {
                        own.answered(PEER, ask.challenge);
                    }
                }
            }
        }
    }
}

#[test]
fn traffic_with_answers_is_never_asked_after() {
    let mut world = World::new();
    world.run(30 * SECOND, (true, true), |_, _| true);
    assert_eq!((world.asks, world.a.take_left()), (0, 0));
}

#[test]
fn one_way_traffic_is_asked_after_about_twice_a_second_and_left_alone() {
    let mut world = World::new();
    world.run(30 * SECOND, (true, false), |_, _| true);
    assert!((40..=61).contains(&world.asks), "{}", world.asks);
    assert!(!world.a.avoids(PEER, FIRST) && !world.b.avoids(PEER, FIRST));
}

#[test]
fn a_first_hop_that_forwards_nothing_is_left_within_four_seconds_and_not_taken_again_before_it_works() {
    let mut world = World::new();
    world.run(2 * SECOND, (true, true), |_, _| true);
    world.run(3_500 * MILLISECOND, (true, true), |from_a, port| !(from_a && port == FIRST));
    assert!(world.a.avoids(PEER, FIRST));
    assert!(!world.b.avoids(PEER, FIRST), "its own way is good");
    world.run(120 * SECOND, (true, true), |from_a, port| !(from_a && port == FIRST));
    assert_eq!(world.a.take_left(), 1, "it was left once and for all");
    world.run(11 * SECOND, (true, true), |_, _| true);
    assert!(!world.a.avoids(PEER, FIRST), "a request got through by it");
}

#[test]
fn a_way_back_that_swallows_everything_is_left_by_the_other_end() {
    let mut world = World::new();
    world.run(2 * SECOND, (true, true), |_, _| true);
    // b's records do not arrive; a only sends and hears nothing.
    world.run(4 * SECOND, (true, true), |from_a, port| from_a || port != FIRST);
    assert!(world.b.avoids(PEER, FIRST));
    world.run(2 * SECOND, (true, true), |from_a, port| from_a || port != FIRST);
    assert!(world.a.by_label[&PEER].unanswered.is_none_or(|at| world.now - at < 200 * MILLISECOND), "a hears b again");
}

#[test]
fn both_directions_through_one_dead_node_come_back_within_six_seconds() {
    let mut world = World::new();
    world.run(2 * SECOND, (true, true), |_, _| true);
    world.run(6 * SECOND, (true, true), |_, port| port != FIRST);
    assert!(world.a.avoids(PEER, FIRST) && world.b.avoids(PEER, FIRST));
    assert!(!world.a.avoids(PEER, SECOND_WAY) && !world.b.avoids(PEER, SECOND_WAY));
}

#[test]
fn a_destination_that_is_dead_is_asked_after_only_while_somebody_sends() {
    let mut world = World::new();
    world.run(20 * SECOND, (true, false), |_, _| false);
    assert!(world.asks > 10, "{} requests", world.asks);
    world.run(60 * SECOND, (false, false), |_, _| false);
    let quiet = world.asks;
    world.run(60 * SECOND, (false, false), |_, _| false);
    assert_eq!(world.asks, quiet, "what was avoided a minute ago is no matter any more");
}

#[test]
fn a_way_that_was_blamed_for_a_node_further_on_is_kept_when_that_is_avoided_there() {
    let mut world = World::new();
    world.run(2 * SECOND, (true, true), |_, _| true);
    // The first way never works; the second one works once somebody further on has found out, which takes five seconds.
    world.run(5 * SECOND, (true, true), |_, _| false);
    world.run(3 * SECOND, (true, true), |_, port| port == SECOND_WAY);
    assert!(world.a.avoids(PEER, FIRST) && !world.a.avoids(PEER, SECOND_WAY));
    world.a.take_left();
    world.run(30 * SECOND, (true, true), |_, port| port == SECOND_WAY);
    assert_eq!(world.a.take_left(), 0);
}

#[test]
fn destinations_that_are_kept_are_bounded() {
    let mut reach = Reach::new(draw);
    for label in 0..5_000 {
        reach.sent(Label(label), FIRST, SECOND);
    }
    assert!(reach.by_label.len() <= KEPT);
    reach.sent(Label(10_000), FIRST, 20 * SECOND);
    assert!(reach.by_label.contains_key(&Label(10_000)), "those that are idle make room");
}
