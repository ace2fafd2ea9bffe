use super::world::*;
use crate::session::*;
use crate::time::{MILLISECOND, SECOND};
use crate::wire::record::{CONTROL, FRAME, HANDSHAKE};

/// Frames both ways each 100 ms; returns how many went each way.
fn talk(world: &mut World, seconds: u64) -> usize {
    let ticks = seconds * 10;
    for i in 0..ticks {
        world.frame(0, 1, &format!("a{i}"));
        world.frame(1, 0, &format!("b{i}"));
        world.run(100 * MILLISECOND);
    }
    ticks as usize
}

#[test]
fn a_session_in_use_is_renewed_after_120_s_and_no_frame_is_lost() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    let sent = talk(&mut world, 400);
    world.run(SECOND);
    assert_eq!((world.nodes[0].received.len(), world.nodes[1].received.len()), (sent, sent));
    assert_eq!((world.established(0), world.established(1)), (4, 4));
    assert!(world.since(0, 1).is_some_and(|since| since > 360 * SECOND));
    assert!(!world.nodes[0].events.iter().any(|event| matches!(event, Action::Lost { .. })));
}

/// Frames both ways each 5 ms, for so many times 100 ms, and what to do at the beginning of each.
fn talk_fast(world: &mut World, tenths: usize, mut each: impl FnMut(&mut World, usize)) {
    let before = world.nodes[0].received.len();
    for tenth in 0..tenths {
        each(world, tenth);
        for _ in 0..20 {
            world.frame(0, 1, "a");
            world.frame(1, 0, "b");
            world.run(5 * MILLISECOND);
        }
    }
    world.run(SECOND);
    let arrived = |who: usize| world.nodes[who].received.len() - before;
    assert_eq!((arrived(0), arrived(1)), (tenths * 20, tenths * 20), "frames that arrived");
}

#[test]
fn fifty_renewals_asked_for_by_turns_lose_no_frame() {
    for latency in [MILLISECOND, 40 * MILLISECOND, 150 * MILLISECOND] {
        let mut world = World::pair();
        world.latency = latency;
        world.start(0, 1);
        world.run(2 * SECOND);
        talk_fast(&mut world, 250, |world, tenth| {
            if tenth % 5 == 0 {
                world.renew(tenth / 5 % 2, 1 - tenth / 5 % 2);
            }
        });
        assert_eq!((world.established(0), world.established(1)), (51, 51));
    }
}

#[test]
fn renewals_asked_for_by_both_at_once_lose_no_frame() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    talk_fast(&mut world, 50, |world, tenth| {
        if tenth % 5 == 0 {
            world.renew(0, 1);
            world.run(tenth as u64 * MILLISECOND);
            world.renew(1, 0);
        }
    });
    assert!(world.established(0) > 10 && world.established(0) == world.established(1));
}

#[test]
fn a_renewal_under_way_is_not_begun_again() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(2 * SECOND);
    for _ in 0..3 {
        world.renew(0, 1);
    }
    assert_eq!(world.sent_handshakes(0), 2, "the first session's initiation, and one");
    world.run(15 * MILLISECOND);
    // The response is there, and nothing has come under the new session yet: the peer may still use the old one.
    world.run(10 * MILLISECOND);
    world.renew(0, 1);
    assert_eq!((world.established(0), world.sent_handshakes(0)), (2, 2));
    world.run(SECOND);
    world.renew(0, 1);
    world.run(SECOND);
    assert_eq!((world.established(0), world.established(1)), (3, 3));
}

#[test]
fn a_renewal_asked_for_while_the_peer_s_waits_to_be_confirmed_loses_no_frame() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(2 * SECOND);
    let mut dropped = false;
    world.carries = Box::new(move |flying| {
        let confirmation = flying.record[0] == CONTROL && flying.from == 0 && !dropped;
        dropped |= confirmation;
        !confirmation
    });
    world.renew(0, 1);
    world.run(25 * MILLISECOND);
    assert_eq!((world.established(0), world.established(1)), (2, 1));
    talk_fast(&mut world, 20, |world, tenth| {
        if tenth == 0 {
            world.renew(1, 0);
        }
    });
    // The handshake that came too late is forgotten.
    world.run(20 * SECOND);
    assert_eq!(world.nodes[0].sessions.peers.values().next().map(|peer| peer.unconfirmed.len()), Some(0));
}

#[test]
fn without_a_session_one_is_begun() {
    let mut world = World::pair();
    world.renew(0, 1);
    world.run(SECOND);
    assert!(world.usable(0, 1) && world.usable(1, 0));
}

#[test]
fn the_responder_renews_at_130_s_when_the_initiator_does_not() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    world.carries = Box::new(|flying| flying.from == 1 || flying.record[0] != HANDSHAKE || flying.record[1] == 2);
    talk(&mut world, 135);
    let state = world.nodes[1].sessions.state(world.nodes[0].label).unwrap();
    assert!(state.initiator && state.since > 130 * SECOND);
}

#[test]
fn a_session_that_cannot_be_renewed_ends_at_240_s() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    world.carries = Box::new(|flying| flying.record[0] != HANDSHAKE);
    talk(&mut world, 238);
    assert!(world.usable(0, 1));
    world.run(3 * SECOND);
    assert!(!world.usable(0, 1) && !world.usable(1, 0));
    let label = world.nodes[1].label;
    assert!(world.nodes[0].events.contains(&Action::Lost { label, reason: LostReason::Aged }));
    world.carries = Box::new(|_| true);
    talk(&mut world, 12);
    assert!(world.usable(0, 1), "it comes back by itself when the way is open again");
}

#[test]
fn an_idle_session_is_not_renewed_until_somebody_uses_it() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(200 * SECOND);
    assert_eq!(world.established(0), 1);
    world.frame(1, 0, "awake");
    world.run(SECOND);
    assert_eq!(world.texts(0), ["awake"]);
    assert_eq!(world.established(0), 2);
}

#[test]
fn records_under_the_old_session_are_taken_for_30_s_after_the_new_one() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    talk(&mut world, 110);
    // Two frames that are long on their way, while the sessions change.
    world.latency = 20 * SECOND;
    world.frame(0, 1, "late");
    world.latency = 60 * SECOND;
    world.frame(0, 1, "too late");
    world.latency = 10 * MILLISECOND;
    talk(&mut world, 70);
    assert_eq!(world.established(1), 2);
    let texts = world.texts(1);
    assert!(texts.contains(&"late".into()) && !texts.contains(&"too late".into()));
}

#[test]
fn a_new_boot_of_the_peer_ends_its_older_sessions() {
    let mut world = World::pair();
    world.frame(0, 1, "a");
    world.run(SECOND);
    let old = world.seen.iter().rfind(|flying| flying.record[0] == FRAME).unwrap().clone();
    let name = world.nodes[0].name;
    world.nodes[0] = node(name, 2);
    let certificate = world.nodes[1].certificate.clone();
    world.nodes[0].sessions.add_member(&certificate, world.now).unwrap();
    world.frame(0, 1, "b");
    world.run(SECOND);
    assert_eq!(world.texts(1), ["a", "b"]);
    assert!(matches!(world.nodes[1].events.last(), Some(Action::Established { new_boot: true, .. })));
    let count = |world: &World| world.refusals(1).iter().map(|(_, n)| n).sum::<u64>();
    let before = count(&world);
    world.deliver(old);
    assert_eq!(count(&world), before + 1, "nothing is opened with the keys of the earlier life");
}

#[test]
fn a_replayed_initiation_of_an_earlier_boot_ends_nothing() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    let old = world.seen[0].clone();
    let name = world.nodes[0].name;
    world.nodes[0] = node(name, 2);
    let certificate = world.nodes[1].certificate.clone();
    world.nodes[0].sessions.add_member(&certificate, world.now).unwrap();
    world.start(0, 1);
    world.run(SECOND);
    let (since, sent) = (world.since(1, 0), world.sent_handshakes(1));
    world.deliver(old);
    world.run(SECOND);
    assert_eq!((world.since(1, 0), world.sent_handshakes(1)), (since, sent));
    assert_eq!(world.refusals(1), [("replayed", 1)]);
}

#[test]
fn a_record_is_taken_once() {
    let mut world = World::pair();
    world.frame(0, 1, "once");
    world.run(SECOND);
    let record = world.seen.iter().rfind(|flying| flying.record[0] == FRAME).unwrap().clone();
    world.deliver(record);
    assert_eq!(world.texts(1), ["once"]);
    assert_eq!(world.refusals(1), [("replayed", 1)]);
}

#[test]
fn counters_rise_by_one_within_a_sealer() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    let label = world.nodes[1].label;
    let mut sealer = world.nodes[0].sessions.sealer(label, world.now).unwrap();
    let counters: Vec<_> = (0..3).map(|_| sealer.seal(FRAME, &mut [0; 40]).unwrap()).collect();
    assert_eq!(counters, [1, 2, 3]);
    assert_eq!(sealer.seal(FRAME, &mut [0; 31]), Err(NoSession), "no room for the seal");
    assert_eq!(sealer.seal(FRAME, &mut [0; 32]), Ok(5), "and its counter is not used again");
}

#[test]
fn a_session_ends_before_its_counter_would_wrap() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    let label = world.nodes[1].label;
    let slot = world.nodes[0].sessions.peers[&label].current.unwrap();
    world.nodes[0].sessions.table.get_mut(slot).unwrap().send_counter = keys::COUNTER_END - 1;
    world.frame(0, 1, "last");
    assert!(!world.usable(0, 1));
    world.frame(0, 1, "next");
    world.run(SECOND);
    assert_eq!(world.texts(1), ["last", "next"]);
    assert_eq!(world.established(0), 2);
}

#[test]
fn fragments_join_under_the_session_they_came_by() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    let plaintext = vec![9; 3000];
    let (a, b) = (world.nodes[0].label, world.nodes[1].label);
    let id = world.nodes[0].sessions.next_fragment_id(b);
    let mut joined = None;
    for piece in fragment::split(id, FRAME, &plaintext, 1100).unwrap() {
        let mut record = vec![0; piece.len() + 32];
        record[16..16 + piece.len()].copy_from_slice(&piece);
        world.nodes[0].sessions.seal(b, crate::wire::record::FRAGMENT, &mut record, world.now).unwrap();
        let receiver = &mut world.nodes[1].sessions;
        let opened = receiver.open(&mut record, world.now).unwrap();
        assert_eq!(opened.label, a);
        let (session, piece) = (opened.session, opened.plaintext.to_vec());
        joined = receiver.reassemble(session, &piece, world.now).unwrap();
    }
    assert_eq!(joined, Some((FRAME, plaintext)));
}
