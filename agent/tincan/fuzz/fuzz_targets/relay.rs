//! The relay socket: the agent's stream cut anywhere, and what is written to it under any credit.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use tincan::relay::{encode_credit, encode_records, records_mut, Decoder, Outbox, Unit, PAYLOAD_MAX};
use tincan::time::MILLISECOND;
use tincan_fuzz::{bounded, Script};

/// What the decoder gives, encoded again, and whether the stream can be followed to its end.
fn decode(parts: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut decoder = Decoder::default();
    let mut again = Vec::new();
    for part in parts {
        decoder.push(part);
        loop {
            match decoder.next() {
                Ok(Some((Unit::Credit { port, bytes }, payload))) => {
                    assert_eq!(payload.len(), 4);
                    again.extend(encode_credit(port, bytes));
                }
                Ok(Some((Unit::Records { port }, payload))) => {
                    assert!(payload.len() <= PAYLOAD_MAX);
                    let records: Vec<&[u8]> = records_mut(payload).map(|record| &*record).collect();
                    again.extend(encode_records(port, &records));
                }
                Ok(None) => break,
                Err(_) => return (again, false),
            }
        }
    }
    (again, true)
}

fn outbox(data: &[u8]) {
    let mut outbox = Outbox::default();
    let (mut now, mut out, mut granted) = (0, Vec::new(), HashMap::<u16, u64>::new());
    for (kind, bytes) in Script::new(data) {
        let port = 16 + u16::from(kind >> 5);
        match kind % 8 {
            0 => {
                let credit = u32::from(bytes.first().copied().unwrap_or(0)) * 64;
                outbox.grant(port, credit);
                *granted.entry(port).or_default() += u64::from(credit);
            }
            1 => now += u64::from(kind) * MILLISECOND,
            2 => {
                outbox.forget(port);
                granted.remove(&port);
            }
            3 => {
                out.clear();
                let room = bytes.len() * 16;
                outbox.take(room, now, &mut out);
                let (again, whole) = decode(&[&out]);
                assert!(whole && again == out, "what is written is not what is read");
                for (port, used) in used(&out) {
                    let left = granted.entry(port).or_default();
                    *left = left.checked_sub(used).expect("no more than was granted leaves");
                }
            }
            kind => outbox.push(port, bytes, kind == 4, now),
        }
    }
    outbox.take_dropped();
}

/// Bytes of payload by port.
fn used(out: &[u8]) -> Vec<(u16, u64)> {
    let mut decoder = Decoder::default();
    decoder.push(out);
    let mut sums = Vec::new();
    while let Ok(Some((Unit::Records { port }, payload))) = decoder.next() {
        sums.push((port, payload.len() as u64));
    }
    sums
}

fuzz_target!(|data: &[u8]| bounded(16 * data.len() + 16 * 1_024, || {
    // The first byte says where the stream is cut.
    if let Some((&cut, stream)) = data.split_first() {
        let (head, tail) = stream.split_at(usize::from(cut).min(stream.len()));
        let (again, whole) = decode(&[head, tail]);
        assert!(stream.starts_with(&again));
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&single), (again, whole), "where it is cut changes what is read");
    }
    outbox(data);
}));
