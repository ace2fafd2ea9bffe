//! A whole node before a hostile member that is its neighbour: sealed plaintexts of every type, records for others, papers; beside them
//! strangers' datagrams, requests of control clients and messages of controllers. Nothing may end the node, make it hold more and more,
//! answer far more than it got, or hand the kernel a frame that it refuses.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use tincan::control::parse;
use tincan::time::MILLISECOND;
use tincan::wire::control::Control;
use tincan::wire::record::{CONTROL, FRAME};
use tincan::wire::routing::RoutingHeader;
use tincan::wire::{Certificate, Label, Revocations};
use tincan_fuzz::script::head;
use tincan_fuzz::world::World;
use tincan_fuzz::{bounded, Script};

const STEPS_MAX: usize = 64;

fn step(world: &mut World, kind: u8, bytes: &[u8]) {
    let (high, papers, now) = (kind >> 4, world.papers, world.now);
    match kind & 15 {
        sealed @ 0..=5 => world.say(FRAME + sealed, bytes),
        6 => {
            let inner = world.seal(FRAME + high % 6, bytes).unwrap_or_default();
            let header = RoutingHeader::new(papers.peer.label, papers.own.label);
            world.deliver(&[&header.encode()[..], &inner].concat());
        }
        7 => world.deliver(bytes),
        8 => {
            let destination = [papers.third.label, papers.own.label, papers.peer.label, Label(u64::from(high) << 60)];
            let source = [papers.peer.label, papers.third.label][usize::from(high & 1)];
            let header = RoutingHeader {
                detour: high & 2 != 0,
                ..RoutingHeader::new(source, destination[usize::from(high >> 2)])
            };
            world.deliver(&[&header.encode()[..], bytes].concat());
        }
        9 => {
            let ([segment, last], datagrams) = head::<2>(bytes);
            let from = SocketAddr::from(([192, 0, 2, last], 20_000));
            world.node.datagrams(&mut datagrams.to_vec(), usize::from(segment), from, now);
        }
        10 => world.advance(u64::from(high) * u64::from(high) * 10 * MILLISECOND),
        11 => {
            if let Ok((id, method)) = parse(bytes) {
                world.node.call(2, id, method, now);
            }
        }
        12 => world.openflow([14, 15, 29, 18, 13, 24, 9, 2][usize::from(high % 8)], bytes),
        13 => {
            if let Ok(certificate) = Certificate::decode(bytes) {
                let raw = Certificate { overlay: papers.overlay, ..certificate }.sign(&papers.authority);
                world.say(CONTROL, &Control::Certificate(&raw).encode());
            }
        }
        14 => {
            if let Ok(list) = Revocations::decode(bytes) {
                let raw = Revocations { overlay: papers.overlay, ..list }.sign(&papers.authority);
                world.say(CONTROL, &Control::Revocations(&raw).encode());
            }
        }
        _ => world.node.relay_lost(now),
    }
    world.settle();
}

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    bounded(64 * data.len() + 4_096 * 1_024, || {
        for (kind, bytes) in Script::new(data).take(STEPS_MAX) {
            step(&mut world, kind, bytes);
        }
        world.advance(1_000 * MILLISECOND);
    });
    let stats = world.node.stats_json();
    assert!(stats["counters"]["tapWrite"].is_null(), "the kernel refused a frame: {stats}");
});
