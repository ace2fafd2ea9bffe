//! Bytes from outside: whatever they are, nothing panics and nothing but a counter changes.

use proptest::prelude::*;

use super::world::*;
use crate::session::*;
use crate::time::SECOND;
use crate::wire::handshake::{InitiationPayload, ResponsePayload};
use crate::wire::record::{FRAME, HANDSHAKE};

fn talking() -> World {
    let mut world = World::pair();
    world.frame(0, 1, "a frame of some length");
    world.run(SECOND);
    world
}

#[test]
fn every_cut_of_every_record_of_a_handshake_is_refused() {
    let records = talking().seen;
    for flying in &records {
        for length in 0..flying.record.len() {
            let mut world = World::pair();
            if flying.to == 0 {
                world.start(0, 1);
                world.flying.clear();
            }
            let before = world.seen.len();
            let node = &mut world.nodes[flying.to];
            let mut record = flying.record[..length].to_vec();
            let actions = match record.first() {
                Some(&HANDSHAKE) => node.sessions.handshake(&record, Origin::Channel(0), world.now),
                _ => {
                    assert!(node.sessions.open(&mut record, world.now).is_err());
                    node.sessions.take_actions()
                }
            };
            assert_eq!(actions, []);
            assert_eq!(world.seen.len(), before);
        }
    }
}

#[test]
fn one_changed_bit_anywhere_in_a_sealed_record_is_refused() {
    let mut world = World::pair();
    world.start(0, 1);
    world.run(SECOND);
    world.carries = Box::new(|_| false);
    world.frame(0, 1, "text");
    let record = world.seen.last().unwrap().record.clone();
    for bit in 0..record.len() * 8 {
        let mut changed = record.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(world.nodes[1].sessions.open(&mut changed, world.now).is_err(), "bit {bit}");
    }
    let mut record = record;
    assert_eq!(world.nodes[1].sessions.open(&mut record, world.now).unwrap().plaintext, b"text");
}

#[test]
fn a_record_of_our_own_that_comes_back_is_known_by_its_seal() {
    let mut world = talking();
    world.carries = Box::new(|_| false);
    world.frame(0, 1, "text");
    let record = world.seen.last().unwrap().record.clone();
    let mut opens =
        |record: &[u8]| world.nodes[0].sessions.open(&mut record.to_vec(), world.now).map(|_| ()).unwrap_err();
    assert_eq!(opens(&record), Refusal::Reflected);
    assert_eq!(opens(&record), Refusal::Reflected, "as often as it comes");
    // Somebody who has only seen its header, and a counter that we have not come to.
    for at in [16, record.len() - 1, 15] {
        let mut forged = record.clone();
        forged[at] ^= 4;
        assert_eq!(opens(&forged), Refusal::UnknownIndex, "byte {at}");
    }
}

#[test]
fn a_forged_response_leaves_the_handshake_to_the_true_one() {
    let mut world = World::pair();
    world.carries = Box::new(|flying| flying.record[0] == HANDSHAKE && flying.record[1] == 1);
    world.frame(0, 1, "a");
    world.run(20 * world.latency / 10);
    let response = world.seen.iter().find(|flying| flying.record[1] == 2).unwrap().clone();
    world.carries = Box::new(|_| true);
    for at in [12, 20, 50, 100, response.record.len() - 1] {
        let mut forged = response.clone();
        forged.record[at] ^= 1;
        world.deliver(forged);
        assert!(!world.usable(0, 1));
    }
    world.deliver(response);
    assert!(world.usable(0, 1));
}

#[test]
fn an_initiation_with_wrong_mac1_costs_no_curve_operation() {
    let mut world = World::pair();
    world.start(0, 1);
    let mut record = world.seen[0].record.clone();
    let at = record.len() - 20;
    record[at] ^= 1;
    assert_eq!(world.nodes[1].sessions.handshake(&record, Origin::Channel(0), world.now), []);
    assert_eq!(world.refusals(1), [("bad-mac1", 1)]);
}

#[test]
fn a_flood_of_fresh_initiations_by_a_member_keeps_a_bounded_state() {
    let mut world = World::pair();
    let certificate = world.nodes[0].certificate.clone();
    let noise = noise::Noise::new(
        seed(&format!("session {}", world.nodes[0].name)),
        world.nodes[0].sessions.certificate().overlay,
    );
    let key = world.nodes[1].sessions.certificate().session_key;
    for i in 0..40u8 {
        let payload = InitiationPayload { boot_id: BootId([i; 8]), ciphers: &[1], certificate: &certificate };
        let (_, message) = noise.initiate(&key, [i; 32], &payload.encode()).unwrap();
        let mut record = crate::wire::handshake::encode_initiation(i.into(), &message);
        let mac1 = cookie::short_mac(&cookie::mac1_key(&key), &record);
        record.extend_from_slice(&mac1);
        record.extend_from_slice(&[0; 16]);
        world.deliver(Flying { from: 0, to: 1, record, at: 0 });
    }
    let label = world.nodes[0].label;
    assert_eq!(world.nodes[1].sessions.peers[&label].unconfirmed.len(), peer::UNCONFIRMED_MAX);
    world.run(20 * SECOND);
    assert!(world.nodes[1].sessions.peers[&label].unconfirmed.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_refused(kind in 0xc0u8..=0xca, mut bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        let mut world = World::pair();
        world.start(0, 1);
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let node = &mut world.nodes[0];
        prop_assert_eq!(node.sessions.handshake(&bytes, Origin::Channel(0), world.now), []);
        prop_assert_eq!(node.sessions.cookie(&bytes, world.now), []);
        prop_assert!(node.sessions.open(&mut bytes, world.now).is_err());
        prop_assert!(node.sessions.add_member(&bytes, world.now).is_err());
        prop_assert!(node.sessions.set_revocations(&bytes).is_err());
    }

    #[test]
    fn payloads_of_any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        if let Ok(payload) = InitiationPayload::decode(&bytes) {
            prop_assert_eq!(payload.encode(), &bytes[..]);
        }
        if let Ok(payload) = ResponsePayload::decode(&bytes) {
            prop_assert_eq!(payload.encode(), &bytes[..]);
        }
    }

    /// Whatever is lost, doubled or late: frames arrive at most once, and the two end with sessions that work.
    #[test]
    fn an_unreliable_network_only_loses_frames(fates in prop::collection::vec(0u8..6, 200)) {
        let mut world = World::pair();
        let mut fates = fates.into_iter().cycle();
        for i in 0..200 {
            world.frame(0, 1, &format!("a{i}"));
            world.frame(1, 0, &format!("b{i}"));
            world.latency = 10_000 * u64::from(fates.next().unwrap_or(1));
            let lose = fates.next() == Some(0);
            world.carries = Box::new(move |flying| !lose || flying.record[0] == FRAME);
            if let Some(last) = world.seen.last().cloned().filter(|_| fates.next() == Some(1)) {
                world.deliver(last);
            }
            world.run(SECOND);
        }
        for who in 0..2 {
            let mut texts = world.texts(who);
            let all = texts.len();
            texts.sort();
            texts.dedup();
            prop_assert_eq!(texts.len(), all);
        }
        world.carries = Box::new(|_| true);
        world.run(12 * SECOND);
        world.frame(0, 1, "end");
        world.frame(1, 0, "end");
        world.run(2 * SECOND);
        prop_assert!(world.texts(0).contains(&"end".to_string()) && world.texts(1).contains(&"end".to_string()));
    }
}
