//! What a member may seal: every plaintext, fragments in a row, and payloads of handshakes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tincan::session::fragment::{split, Reassembler};
use tincan::wire::control::Control;
use tincan::wire::flood::{Flood, FloodArc};
use tincan::wire::fragment::Fragment;
use tincan::wire::frame::Frame;
use tincan::wire::handshake::{InitiationPayload, ResponsePayload};
use tincan::wire::probe::Probe;

fuzz_target!(|data: &[u8]| {
    let again = [
        Frame::decode(data).ok().map(|frame| frame.encode()),
        Fragment::decode(data).ok().map(|fragment| fragment.encode()),
        Flood::decode(data).ok().map(|flood| flood.encode()),
        FloodArc::decode_acknowledgement(data).ok().map(|arc| arc.encode()),
        Probe::decode(data).ok().map(|probe| probe.encode()),
        Control::decode(data).ok().map(|control| control.encode()),
        InitiationPayload::decode(data).ok().map(|payload| payload.encode()),
        ResponsePayload::decode(data).ok().map(|payload| payload.encode()),
    ];
    for encoded in again.into_iter().flatten() {
        assert_eq!(encoded, data);
    }

    // Fragments as the bytes cut them: one byte of length, then so many bytes, at growing times.
    let mut reassembler = Reassembler::default();
    let mut rest = data;
    let mut now = 0;
    while let Some((length, tail)) = rest.split_first() {
        let (piece, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let _ = reassembler.push(piece, now);
        now += 1000 * u64::from(*length);
        rest = tail;
    }

    if let Some(pieces) = split(1, 0xc3, data, 97) {
        let mut reassembler = Reassembler::default();
        let whole = pieces.iter().filter_map(|piece| reassembler.push(piece, 0).unwrap()).next();
        assert_eq!(whole, Some((0xc3, data.to_vec())));
    }
});
