use super::world::*;
use crate::session::*;
use crate::time::{MILLISECOND, SECOND};
use crate::wire::record::{COOKIE, FRAME, HANDSHAKE};

#[test]
fn a_frame_begins_a_session_and_arrives_once_it_stands() {
    let mut world = World::pair();
    world.frame(0, 1, "hello");
    assert!(!world.usable(0, 1));
    world.run(SECOND);
    assert_eq!(world.texts(1), ["hello"]);
    assert!(world.usable(0, 1) && world.usable(1, 0));
    world.frame(1, 0, "and back");
    world.run(SECOND);
    assert_eq!(world.texts(0), ["and back"]);
    assert_eq!((world.sent_handshakes(0), world.sent_handshakes(1)), (1, 1));
}

#[test]
fn a_responder_uses_a_session_only_when_a_record_under_it_opened() {
    let mut world = World::pair();
    world.carries = Box::new(|flying| flying.record[0] == HANDSHAKE);
    world.start(0, 1);
    world.run(100 * MILLISECOND);
    assert!(world.usable(0, 1));
    assert!(!world.usable(1, 0));
    // The confirmation is repeated, so a lost one costs a quarter of a second.
    world.carries = Box::new(|_| true);
    world.run(300 * MILLISECOND);
    assert!(world.usable(1, 0));
}

#[test]
fn a_confirmation_is_answered_and_then_not_repeated() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(10 * SECOND);
    let sealed = |from: usize| world.seen.iter().filter(|f| f.from == from && f.record[0] != HANDSHAKE).count();
    assert_eq!((sealed(0), sealed(1)), (1, 1));
}

#[test]
fn whoever_initiates_at_the_same_time_both_end_with_one_session() {
    for first in [0, 1] {
        let mut world = World::pair();
        world.frame(first, 1 - first, "from the first");
        world.frame(1 - first, first, "from the second");
        world.run(SECOND);
        assert_eq!(world.texts(1 - first), ["from the first"]);
        assert_eq!(world.texts(first), ["from the second"]);
        assert_eq!((world.established(0), world.established(1)), (1, 1));
        // The initiation of the higher id stands: the second node of the pair.
        let state = |from: usize, to: usize| world.nodes[from].sessions.state(world.nodes[to].label).unwrap();
        assert!(!state(0, 1).initiator && state(1, 0).initiator);
    }
}

#[test]
fn the_higher_id_shows_its_initiation_to_a_peer_that_became_reachable() {
    let mut world = World::pair();
    world.carries = Box::new(|flying| flying.from == 0);
    world.start(1, 0);
    world.run(5200 * MILLISECOND);
    world.carries = Box::new(|_| true);
    world.start(0, 1);
    world.run(4 * world.latency);
    assert!(world.usable(0, 1) && world.usable(1, 0));
}

#[test]
fn an_initiation_without_answer_is_repeated_after_a_quarter_half_and_each_second() {
    let mut world = World::pair();
    world.carries = Box::new(|_| false);
    world.frame(0, 1, "lost");
    world.run(20 * SECOND);
    let times: Vec<_> = world.seen.iter().map(|flying| (flying.at - world.latency) / MILLISECOND).collect();
    assert_eq!(times, [0, 250, 750, 1750, 2750, 3750, 4750, 5750, 6750, 7750, 8750, 9750]);
    let label = world.nodes[1].label;
    assert_eq!(world.nodes[0].events, [Action::Unanswered { label, dropped: 1 }]);
}

#[test]
fn asked_again_it_shows_its_initiation_at_once_but_not_for_every_frame() {
    let mut world = World::pair();
    world.carries = Box::new(|_| false);
    world.start(0, 1);
    world.start(0, 1);
    world.run(2 * SECOND);
    let sent = world.sent_handshakes(0);
    (0..5).for_each(|_| world.frame(0, 1, "waits"));
    assert_eq!(world.sent_handshakes(0), sent);
    world.start(0, 1);
    assert_eq!(world.sent_handshakes(0), sent + 1);
    let first = &world.seen[0].record;
    assert!(world.seen.iter().all(|flying| flying.record == *first), "it is the same initiation each time");
}

#[test]
fn any_of_the_handshakes_messages_may_be_lost() {
    for lost in 0..4 {
        let mut world = World::pair();
        let mut count = 0;
        world.carries = Box::new(move |_| {
            count += 1;
            count - 1 != lost
        });
        world.frame(0, 1, "a");
        world.run(2 * SECOND);
        world.frame(1, 0, "b");
        world.run(2 * SECOND);
        assert!(world.usable(0, 1) && world.usable(1, 0), "lost {lost}");
        assert_eq!(world.texts(0), ["b"]);
    }
}

#[test]
fn a_round_trip_longer_than_the_retries_still_makes_a_session() {
    let mut world = World::pair();
    world.latency = 900 * MILLISECOND;
    world.frame(0, 1, "slow");
    world.run(5 * SECOND);
    assert_eq!(world.texts(1), ["slow"]);
    assert_eq!((world.established(0), world.established(1)), (1, 1));
}

#[test]
fn at_most_64_frames_wait_and_the_oldest_gives_way() {
    let mut world = World::pair();
    for i in 0..70 {
        world.frame(0, 1, &i.to_string());
    }
    world.run(SECOND);
    assert_eq!(world.texts(1), (6..70).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_replayed_initiation_changes_nothing() {
    let mut world = World::pair();
    world.frame(0, 1, "a");
    world.run(SECOND);
    let since = world.since(1, 0);
    let initiation = world.seen.iter().find(|flying| flying.record[0] == HANDSHAKE).unwrap().clone();
    let sent = world.sent_handshakes(1);
    for _ in 0..10 {
        world.deliver(initiation.clone());
        world.run(100 * MILLISECOND);
    }
    assert_eq!(world.since(1, 0), since);
    assert_eq!(world.sent_handshakes(1), sent, "a copy of the present session's initiation is not answered");
    // Nor does it once that session is gone: it is answered, but never confirmed.
    world.run(500 * SECOND);
    assert!(!world.usable(1, 0));
    let (sent, established) = (world.sent_handshakes(1), world.established(1));
    world.deliver(initiation);
    world.run(SECOND);
    assert_eq!(world.sent_handshakes(1), sent + 1);
    assert!(!world.usable(1, 0));
    assert_eq!(world.established(1), established);
}

#[test]
fn replays_do_not_hold_up_a_handshake_by_glare() {
    let mut world = World::pair();
    world.start(1, 0);
    world.run(SECOND);
    let old = world.seen.iter().find(|flying| flying.record[0] == HANDSHAKE).unwrap().clone();
    world.run(400 * SECOND);
    assert!(!world.usable(0, 1));
    // The lower id gives way to the replayed initiation of the higher, but only once.
    world.carries = Box::new(|_| false);
    world.start(0, 1);
    for _ in 0..8 {
        world.deliver(old.clone());
        world.run(500 * MILLISECOND);
    }
    world.carries = Box::new(|_| true);
    world.run(2 * SECOND);
    assert!(world.usable(0, 1) && world.usable(1, 0));
}

#[test]
fn under_load_an_initiation_needs_a_cookie_and_gets_one() {
    let mut world = World::pair();
    world.run(10 * SECOND);
    // Fifty initiations that carry a right mac1 and nothing else of worth.
    world.start(0, 1);
    let mut fake = world.seen[0].record.clone();
    world.flying.clear();
    for _ in 0..50 {
        let last = fake.len() - 40;
        fake[last] ^= 1;
        let key = cookie::mac1_key(&world.nodes[1].sessions.certificate().session_key);
        let end = fake.len() - 32;
        let mac1 = cookie::short_mac(&key, &fake[..end]);
        fake[end..end + 16].copy_from_slice(&mac1);
        world.deliver(Flying { from: 0, to: 1, record: fake.clone(), at: 0 });
    }
    world.frame(0, 1, "through");
    let initiation = world.seen[0].clone();
    world.deliver(initiation);
    world.run(100 * MILLISECOND);
    assert!(world.seen.iter().any(|flying| flying.record[0] == COOKIE));
    assert_eq!(world.texts(1), ["through"]);
}

#[test]
fn the_responder_chooses_by_its_own_order_among_what_all_allow() {
    use Cipher::*;
    let both = vec![Aes128Gcm, ChaCha20Poly1305];
    for (allowed, initiator, responder, chosen) in [
        (vec![1, 2], both.clone(), vec![ChaCha20Poly1305, Aes128Gcm], Some(ChaCha20Poly1305)),
        (vec![1, 2], vec![ChaCha20Poly1305], both.clone(), Some(ChaCha20Poly1305)),
        (vec![1], both.clone(), vec![ChaCha20Poly1305, Aes128Gcm], Some(Aes128Gcm)),
        (vec![1], vec![ChaCha20Poly1305], both.clone(), None),
    ] {
        let a = node_with("ann", 1, "authority", allowed.clone(), initiator);
        let b = node_with("bob", 1, "authority", allowed, responder);
        let mut world = World::new(vec![a, b]);
        world.frame(0, 1, "x");
        world.run(SECOND);
        let state = world.nodes[0].sessions.state(world.nodes[1].label);
        assert_eq!(state.map(|state| state.cipher), chosen);
        assert_eq!(world.texts(1).len(), usize::from(chosen.is_some()));
    }
}

#[test]
fn the_first_message_needs_no_prior_knowledge_of_its_sender() {
    let mut world = World::pair();
    let stranger = world.nodes[0].label;
    world.nodes[1].sessions.forget(stranger);
    world.frame(0, 1, "hello");
    world.run(SECOND);
    assert_eq!(world.texts(1), ["hello"]);
    let raw = world.nodes[0].certificate.clone();
    assert!(world.nodes[1].events.contains(&Action::MemberLearned { label: stranger, raw }));
}

#[test]
fn a_response_goes_back_the_way_the_initiation_came() {
    let mut world = World::pair();
    world.start(0, 1);
    let record = world.seen[0].record.clone();
    let label = world.nodes[0].label;
    let address = Origin::Direct("192.0.2.1:20000".parse().unwrap());
    for (origin, to) in [(address, To::Origin(address)), (Origin::Routed(label), To::Label(label))] {
        let actions = world.nodes[1].sessions.handshake(&record, origin, world.now);
        assert!(matches!(&actions[..], [Action::Send { to: sent, .. }] if *sent == to), "{actions:?}");
    }
}

#[test]
fn a_notice_of_an_unknown_index_begins_a_handshake_once_a_second() {
    let mut world = World::pair();
    world.frame(0, 1, "a");
    world.run(2 * SECOND);
    world.frame(0, 1, "b");
    let record = world.seen.iter().rfind(|flying| flying.record[0] == FRAME).unwrap().record.clone();
    let quote: [u8; 16] = record[..16].try_into().unwrap();
    let label = world.nodes[1].label;
    assert_eq!(world.nodes[0].sessions.quoted(&quote), Some(label));
    let first = world.nodes[0].sessions.notice_unknown_index(&quote, world.now);
    assert!(matches!(&first[..], [Action::Send { .. }]));
    assert_eq!(world.nodes[0].sessions.notice_unknown_index(&quote, world.now), []);
    // The old session serves on until the new one stands.
    assert!(world.usable(0, 1));
    world.take(0, first);
    world.run(SECOND);
    assert_eq!(world.established(0), 2);
}

#[test]
fn a_quote_that_is_not_of_our_last_8192_records_is_not_ours() {
    let mut world = World::pair();
    world.frame(0, 1, "a");
    world.run(SECOND);
    let sent = world.seen.iter().rfind(|flying| flying.from == 0 && flying.record[0] == FRAME).unwrap();
    let quote: [u8; 16] = sent.record[..16].try_into().unwrap();
    let at = |counter: u64| {
        let mut quote = quote;
        quote[8..].copy_from_slice(&counter.to_be_bytes());
        quote
    };
    let quoted = |world: &World, quote| world.nodes[0].sessions.quoted(&quote).is_some();
    assert!(quoted(&world, at(1)) && !quoted(&world, at(2)) && !quoted(&world, at(u64::MAX)));
    for _ in 0..8192 {
        world.frame(0, 1, "x");
    }
    assert!(!quoted(&world, at(1)) && quoted(&world, at(2)));
    let mut other = quote;
    other[4] ^= 1;
    assert!(!quoted(&world, other));
}
