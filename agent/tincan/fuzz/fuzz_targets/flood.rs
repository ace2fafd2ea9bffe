//! Floods and acknowledgements of hostile neighbours: nothing is delivered twice, and no record makes more than one each.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use tincan::flood::{Flood, FloodAction};
use tincan::routing::Neighbours;
use tincan::wire::Label;

const OWN: Label = Label(100);

fuzz_target!(|data: &[u8]| {
    let mut neighbours = Neighbours::new();
    for port in 16..24 {
        neighbours.set(port, Label(u64::from(port) * 10), port != 19);
        neighbours.set_adjacent(port, &[OWN, Label(u64::from(port) * 9)]);
    }
    let mut flood = Flood::new(OWN, 7);
    let (mut rest, mut now, mut delivered) = (data, 0, HashSet::new());
    // Kind and port, root, number, start, bound, hop limit: one byte each, so that arcs meet neighbours.
    while let Some((&[kind, root, number, start, bound, hops], tail)) = rest.split_first_chunk::<6>() {
        rest = tail;
        now += u64::from(kind) * 1_000;
        let port = 16 + u32::from(kind >> 5);
        let words = [u64::from(root), u64::from(number), u64::from(start), u64::from(bound)];
        let mut plaintext: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let actions = match kind & 7 {
            0 => flood.originate(&[0; 14], false, &neighbours, now),
            1 => {
                flood.acknowledged(port, &plaintext);
                Vec::new()
            }
            2 => flood.tunnel_down(port, &neighbours, now),
            3 => flood.tick(&neighbours, now),
            4 => flood.received(port, tail, &neighbours, |label| label.0 % 2 == 0, now),
            _ => {
                plaintext.extend([hops, number & 1]);
                plaintext.extend([number; 14]);
                let actions = flood.received(port, &plaintext, &neighbours, |label| label.0 % 2 == 0, now);
                if actions.iter().any(|action| matches!(action, FloodAction::Deliver { .. })) {
                    assert!(root != 100 && delivered.insert((root, number)), "delivered twice");
                }
                let sent = actions.iter().filter(|action| matches!(action, FloodAction::Send { .. })).count();
                assert!(sent <= 8, "{sent} records for one");
                actions
            }
        };
        for action in actions {
            if let FloodAction::Send { port, .. } = action {
                assert!(neighbours.is_up(port));
            }
        }
        flood.deadline();
    }
});
