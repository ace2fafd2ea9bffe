//! Signed objects: what is accepted encodes to the same TLVs (unless it holds types that are ignored), nothing verifies that the
//! authority did not sign, and whatever it did sign leaves the members consistent.
#![no_main]

use std::collections::HashSet;
use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use tincan::session::{Now, Sessions};
use tincan::time::SECOND;
use tincan::wire::{Certificate, Parameters, Revocations};
use tincan_fuzz::papers::{papers, Counting, Papers, NOW};
use tincan_fuzz::{bounded, Script};

/// The object without its signature, if no ignorable type stands in it.
fn body(data: &[u8]) -> Option<&[u8]> {
    let body = data.split_last_chunk::<64>()?.0;
    let mut at = 4;
    while let Some(kind) = body.get(at) {
        if *kind >= 128 {
            return None;
        }
        at += 3 + usize::from(u16::from_be_bytes([body[at + 1], body[at + 2]]));
    }
    Some(body)
}

fn forms(papers: &Papers, data: &[u8]) {
    let key = &papers.authority;
    let decoded = [
        Certificate::decode(data).ok().map(|object| object.sign(key)),
        Parameters::decode(data).ok().map(|object| object.sign(key)),
        Revocations::decode(data).ok().map(|object| object.sign(key)),
    ];
    for again in decoded.into_iter().flatten() {
        if let Some(body) = body(data) {
            assert_eq!(&again[..again.len() - 64], body);
            // Ed25519 is deterministic (RFC 8032), so there is one signature.
            let signed = again == data;
            let verified = [
                Certificate::verify(data, &papers.authority_key).is_ok(),
                Parameters::verify(data).is_ok_and(|object| object.authority_key == papers.authority_key),
                Revocations::verify(data, &papers.authority_key).is_ok(),
            ];
            assert!(signed || verified == [false; 3], "verified without the authority's signature");
        }
    }
}

/// No two members claim one address, and none is a member whom the list voids or who is out of date.
fn consistent(sessions: &Sessions, now: Now) {
    let mut seen = HashSet::new();
    for member in sessions.members() {
        let certificate = &member.certificate;
        let v4: HashSet<IpAddr> = certificate.ipv4.iter().map(|(ip, _)| IpAddr::V4(*ip)).collect();
        let v6: HashSet<IpAddr> = certificate.ipv6.iter().map(|(ip, _)| IpAddr::V6(*ip)).collect();
        for address in v4.into_iter().chain(v6) {
            assert!(seen.insert(address), "{address} is two members'");
        }
        assert_eq!((member.label, member.node_id), (certificate.label(), certificate.node_id()));
        assert!(member.label != sessions.label(), "a member with our own label");
        assert!(!sessions.revocations().is_some_and(|list| list.voids(&member.node_id, certificate.serial)));
        assert!(certificate.not_after >= now.unix);
    }
}

/// Objects in a row, each taken for signed by the authority of the overlay if it has the right form.
fn membership(papers: &Papers, data: &[u8]) {
    let mut sessions = Sessions::new(papers.own.local(1), Box::new(Counting(0)), NOW);
    let mut now = NOW;
    for (kind, object) in Script::new(data) {
        let overlay = papers.overlay;
        match kind % 4 {
            0 => {
                let Ok(certificate) = Certificate::decode(object) else { continue };
                let raw = Certificate { overlay, ..certificate }.sign(&papers.authority);
                if let Ok(added) = sessions.add_member(&raw, now) {
                    let member = sessions.member(added.label).expect("a member that was added");
                    assert_eq!(member.certificate.raw(), raw);
                }
            }
            1 => {
                let Ok(list) = Revocations::decode(object) else { continue };
                let raw = Revocations { overlay, ..list }.sign(&papers.authority);
                let _ = sessions.set_revocations(&raw);
            }
            2 => {
                let _ = sessions.add_member(object, now);
                let _ = sessions.set_revocations(object);
            }
            // Time passes by both clocks: a wall clock that leaves our own certificate's life alone is not believed (wire.md §2).
            _ => {
                let seconds = u64::from(kind / 4) * 1_000_000;
                now = Now { us: now.us + seconds * SECOND, unix: now.unix + seconds };
            }
        }
        // What has run out is found by the next look at the clock.
        now.us += 20 * SECOND;
        sessions.tick(now);
        consistent(&sessions, now);
    }
}

fuzz_target!(|data: &[u8]| {
    let papers = papers();
    bounded(16 * data.len() + 256 * 1_024, || {
        forms(papers, data);
        membership(papers, data);
    });
});
