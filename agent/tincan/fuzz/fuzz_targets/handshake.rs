//! The session layer before strangers, and before a member that makes right Noise messages with wrong contents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ring::digest::{digest, SHA256};
use ring::hmac;
use tincan::session::noise::{public_key, Noise};
use tincan::session::{Action, Now, Origin, Sessions};
use tincan::time::SECOND;
use tincan::wire::handshake::{encode_initiation, encode_response, Handshake};
use tincan_fuzz::papers::{papers, Counting, Papers, NOW};
use tincan_fuzz::{bounded, Script};

/// Answers for one record, whatever it is: it must be no amplifier.
const ANSWERS_MAX: usize = 4;

fn check(papers: &Papers, sessions: &Sessions, actions: &[Action]) {
    let sent = actions.iter().filter(|action| matches!(action, Action::Send { .. })).count();
    assert!(sent <= ANSWERS_MAX, "{sent} records for one");
    for action in actions {
        if let Action::Established { label, .. } | Action::MemberLearned { label, .. } = action {
            assert!(*label == papers.peer.label, "a session with somebody who proved nothing");
            assert!(sessions.member(*label).is_some());
        }
    }
}

/// Message 1 as a member makes it, with these bytes as its payload.
fn initiation(papers: &Papers, count: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let own_public = public_key(&papers.own.private)?;
    let noise = Noise::new(papers.peer.private, papers.overlay);
    let (_, message) = noise.initiate(&own_public, [count; 32], payload)?;
    let mut record = encode_initiation(u32::from(count), &message);
    let key = digest(&SHA256, &[&b"evio/1 mac1"[..], &own_public].concat());
    let mac1 = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), &record);
    record.extend_from_slice(&mac1.as_ref()[..16]);
    record.extend_from_slice(&[0; 16]);
    Some(record)
}

/// Message 2 to the node's own initiation, with these bytes as its payload.
fn response(papers: &Papers, sessions: &mut Sessions, payload: &[u8], now: Now) -> Option<Vec<u8>> {
    let begun = sessions.start(papers.peer.label, now);
    let record = begun.iter().find_map(|action| match action {
        Action::Send { record, .. } => Some(record),
        _ => None,
    })?;
    let Ok(Handshake::Initiation(initiation)) = Handshake::decode(record) else { return None };
    let noise = Noise::new(papers.peer.private, papers.overlay);
    let (responder, _, _) = noise.read_initiation([0x77; 32], initiation.noise)?;
    let (message, _) = responder.respond(payload)?;
    Some(encode_response(9, initiation.sender, &message))
}

fn run(papers: &Papers, data: &[u8]) {
    let mut now = NOW;
    let mut sessions = Sessions::new(papers.own.local(1), Box::new(Counting(0)), now);
    sessions.add_member(&papers.peer.certificate, now).expect("a member");
    let certificate = &papers.peer.certificate;
    let certificate = [&(certificate.len() as u16).to_be_bytes(), &certificate[..]].concat();
    // Noise itself is not what is tried here, and each of its messages costs as much as a hundred of the rest.
    for (count, (kind, bytes)) in Script::new(data).take(6).enumerate() {
        let count = count as u8 + 1;
        now.us += u64::from(kind) * SECOND / 16;
        let origin = [Origin::Routed(papers.peer.label), Origin::Channel(16)][usize::from(kind >> 7)];
        // With the member's own certificate behind them the bytes get further.
        let payload = if kind & 64 == 0 { bytes.to_vec() } else { [bytes, &certificate].concat() };
        let actions = match kind % 6 {
            0 => sessions.handshake(bytes, origin, now),
            1 => sessions.cookie(bytes, now),
            2 => match bytes.first_chunk() {
                Some(quote) => sessions.notice_unknown_index(quote, now),
                None => Vec::new(),
            },
            3 => {
                let opened = sessions.open(&mut bytes.to_vec(), now).is_ok();
                assert!(!opened, "opened without a key");
                Vec::new()
            }
            4 => match initiation(papers, count, &payload) {
                Some(record) => sessions.handshake(&record, origin, now),
                None => Vec::new(),
            },
            _ => match response(papers, &mut sessions, &payload, now) {
                Some(record) => sessions.handshake(&record, origin, now),
                None => Vec::new(),
            },
        };
        check(papers, &sessions, &actions);
        let ticked = sessions.tick(now);
        check(papers, &sessions, &ticked);
        assert!(sessions.deadline().is_some_and(|at| at > now.us), "a deadline that has passed is due for ever");
    }
    sessions.tick(Now { us: now.us + 20 * SECOND, unix: now.unix + 20 });
}

fuzz_target!(|data: &[u8]| {
    let papers = papers();
    bounded(64 * data.len() + 1_024 * 1_024, || run(papers, data));
});
