//! A controller's byte stream, frames and records, in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tincan::switch::{PortKind, Switch};
use tincan::wire::Label;

const HELLO: [u8; 8] = [4, 0, 0, 8, 0, 0, 0, 1];

fuzz_target!(|data: &[u8]| {
    let mut switch = Switch::new(Label(0x1000));
    switch.set_port(1, "tap", PortKind::Tap, true);
    switch.set_port(16, "a", PortKind::Tunnel(Label(0x2000)), true);
    switch.set_port(17, "b", PortKind::Tunnel(Label(0x3000)), false);
    let controller = switch.connect();
    switch.receive(controller, &HELLO, 0);
    let (mut rest, mut now) = (data, 0);
    // Kind, length, that many bytes: a whole message (its header is made right, so that the bodies get tried), raw bytes, a frame, a
    // record.
    while let Some((&[kind, length], tail)) = rest.split_first_chunk::<2>() {
        let (bytes, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        now += u64::from(kind) * 10_000;
        match kind % 8 {
            0..=3 => {
                let size = (8 + bytes.len()) as u16;
                let kind = [14, 15, 29, 18, 13, 24, 9, kind][usize::from(kind / 8 % 8)];
                let message = [&[4, kind][..], &size.to_be_bytes(), &[0; 4], bytes].concat();
                switch.receive(controller, &message, now);
            }
            4 => drop(switch.receive(controller, bytes, now)),
            5 => {
                let source = (kind & 8 != 0).then_some(Label(u64::from(kind)));
                let outputs = switch.frame(if source.is_some() { 16 } else { 1 }, source, bytes, now);
                assert!(outputs.len() < 1 << 20);
            }
            6 => drop(switch.transit(Some(16), Label(u64::from(length) << 5), kind >> 7, bytes.len(), now)),
            _ => {
                switch.learn([6, 0, 0, 0, 0, length], Label(u64::from(kind)), kind & 8 != 0, now);
                switch.tick(now);
            }
        }
        switch.outgoing(controller);
        switch.deadline();
    }
});
