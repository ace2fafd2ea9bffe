//! Records and the plaintexts of sealed ones (wire.md §4, §6, §7).

use serde_json::{json, Value};
use tincan::relay::{encode_credit, encode_records};
use tincan::wire::control::Control;
use tincan::wire::flood::{Flood, FloodArc};
use tincan::wire::fragment::Fragment;
use tincan::wire::frame::Frame;
use tincan::wire::notice::{Complaint, Notice};
use tincan::wire::probe::Probe;
use tincan::wire::routing::RoutingHeader;
use tincan::wire::sealed::SessionHeader;
use tincan::wire::{record, Label};

use super::{hex, patched, refused};

const A: Label = Label(0x1111_1111_1111_1111);
const B: Label = Label(0xeeee_eeee_eeee_eeee);

/// An ARP request, as Ethernet carries it.
const ARP: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x45, 0x0a, 0x93, 0x00, 0x01, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06,
    0x04, 0x00, 0x01, 0x02, 0x45, 0x0a, 0x93, 0x00, 0x01, 0x0a, 0x93, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0x0a, 0x93, 0x00,
    0x02,
];

pub fn routing() -> Value {
    let notice = Notice { complaint: Complaint::UnknownIndex, quote: [7; 16] }.encode();
    let case = |name: &str, header: RoutingHeader| {
        json!({
            "name": name,
            "detour": header.detour,
            "hopLimit": header.hop_limit,
            "destination": header.destination.to_string(),
            "source": header.source.to_string(),
            "inner": hex(&notice),
            "record": hex([&header.encode()[..], &notice].concat()),
        })
    };
    let plain = RoutingHeader::new(A, B);
    let good = [&plain.encode()[..], &notice].concat();
    json!({
        "description": "wire.md §4.1. record = routing header and the record it wraps.",
        "cases": [
            case("from the source", plain),
            case("detoured, one hop on", RoutingHeader { detour: true, hop_limit: 63, ..plain }),
        ],
        "refused": refused(&[
            ("unknown flag", patched(&good, 1, 2), "flags"),
            ("reserved byte", patched(&good, 3, 1), "must be zero"),
            ("wraps nothing", plain.encode().to_vec(), "cut short"),
            ("wraps a routing header", patched(&good, 20, record::ROUTED), "inner type"),
            ("wraps an unknown record", patched(&good, 20, 0xca), "inner type"),
            ("not a routing header", patched(&good, 0, record::FRAME), "type"),
        ]),
    })
}

pub fn frame() -> Value {
    let case = |name: &str, partial: bool, continues: bool| {
        let frame = Frame { partial, continues, ethernet: &ARP };
        json!({
            "name": name, "partial": partial, "continues": continues, "ethernet": hex(ARP),
            "plaintext": hex(frame.encode()),
        })
    };
    let good = Frame { partial: false, continues: false, ethernet: &ARP }.encode();
    json!({
        "description": "wire.md §6.1, plaintext of C3.",
        "cases": [case("whole", false, false), case("PARTIAL", true, false), case("PARTIAL, CONTINUES", true, true)],
        "refused": refused(&[
            ("unknown flag", patched(&good, 0, 4), "flags"),
            ("reserved byte", patched(&good, 1, 1), "must be zero"),
            ("shorter than an Ethernet header", good[..15].to_vec(), "cut short"),
        ]),
    })
}

pub fn fragment() -> Value {
    let message: Vec<u8> = [&[record::FRAME, 0, 0][..], &ARP].concat();
    let pieces: Vec<&[u8]> = message.chunks(20).collect();
    let fragments: Vec<String> = pieces
        .iter()
        .enumerate()
        .map(|(i, piece)| hex(Fragment { id: 0x0102, index: i as u8, count: pieces.len() as u8, piece }.encode()))
        .collect();
    let good = Fragment { id: 1, index: 0, count: 2, piece: &[1] }.encode();
    json!({
        "description": "wire.md §6.2, plaintexts of C4. fragments are message, that is type and plaintext, in pieces.",
        "cases": [{
            "name": "a frame in three pieces", "id": 0x0102, "pieceSize": 20, "message": hex(&message),
            "fragments": fragments,
        }],
        "refused": refused(&[
            ("count 1", patched(&good, 3, 1), "count"),
            ("count 65", patched(&good, 3, 65), "count"),
            ("index not below count", patched(&good, 2, 2), "index"),
            ("no piece", good[..4].to_vec(), "cut short"),
        ]),
    })
}

pub fn flood() -> Value {
    let arc = FloodArc { root: A, sequence: 0xcafe_0001_0000_0007, start: A, bound: B };
    let case = |name: &str, partial: bool, hop_limit: u8| {
        let flood = Flood { arc, hop_limit, partial, ethernet: &ARP };
        json!({
            "name": name,
            "root": arc.root.to_string(),
            "sequence": Label(arc.sequence).to_string(),
            "start": arc.start.to_string(),
            "bound": arc.bound.to_string(),
            "hopLimit": hop_limit,
            "partial": partial,
            "ethernet": hex(ARP),
            "plaintext": hex(flood.encode()),
            "acknowledgement": hex(arc.encode()),
        })
    };
    let good = Flood { arc, hop_limit: 32, partial: false, ethernet: &ARP }.encode();
    json!({
        "description": "wire.md §6.3, plaintexts of C5 and, in acknowledgement, of C6.",
        "cases": [case("from the root", false, 32), case("PARTIAL, one hop on", true, 31)],
        "refused": refused(&[
            ("unknown flag", patched(&good, 33, 2), "flags"),
            ("shorter than an Ethernet header", good[..47].to_vec(), "cut short"),
        ]),
    })
}

pub fn probe() -> Value {
    let request = Probe { response: false, proven: false, size: 64, challenge: *b"challeng", seen: None };
    let case = |name: &str, probe: Probe| {
        json!({
            "name": name,
            "kind": if probe.response { "response" } else { "request" },
            "proven": probe.proven,
            "size": probe.size,
            "challenge": hex(probe.challenge),
            "seen": probe.seen.map(|seen| seen.to_string()),
            "plaintext": hex(probe.encode()),
        })
    };
    let v4 = "203.0.113.9:20001".parse().ok();
    let v6 = "[2001:db8::9]:20001".parse().ok();
    let good = request.encode();
    let answer = Probe { response: true, seen: v4, ..request }.encode();
    json!({
        "description": "wire.md §6.4, plaintexts of C7. size: the whole request record with session header and tag.",
        "cases": [
            case("request", request),
            case("padded request on a proven path", Probe { proven: true, size: 100, ..request }),
            case("response, seen from IPv4", Probe { response: true, proven: true, size: 100, seen: v4, ..request }),
            case("response, seen from IPv6", Probe { response: true, seen: v6, ..request }),
            case("response, routed", Probe { response: true, ..request }),
        ],
        "refused": refused(&[
            ("kind 3", patched(&good, 0, 3), "kind"),
            ("unknown flag", patched(&good, 1, 2), "flags"),
            ("family 5", patched(&answer, 12, 5), "family"),
            ("reserved byte", patched(&good, 13, 1), "must be zero"),
            ("bytes behind an IPv4 address", patched(&answer, 31, 1), "must be zero"),
            ("a port without family", patched(&good, 15, 1), "family"),
            ("a request that tells an address", patched(&answer, 0, 1), "family"),
            ("size is not the record's", patched(&good, 3, 65), "size"),
            ("padding that is not zero", patched(&Probe { size: 65, ..request }.encode(), 32, 1), "must be zero"),
            ("a padded response", [&answer[..], &[0]].concat(), "trailing bytes"),
        ]),
    })
}

pub fn control() -> Value {
    let case = |name: &str, control: Control, fields: Value| json!({ "name": name, "fields": fields, "plaintext": hex(control.encode()) });
    let body = br#"{"type":"bye","tunnel":"0123456789abcdef"}"#;
    let adjacency = Control::Adjacency { sequence: 9, labels: vec![A, B] };
    let good = adjacency.encode();
    json!({
        "description": "wire.md §6.5, plaintexts of C8. The bodies of channels 1, 3 and 4 have no length of their own.",
        "cases": [
            case("confirmation", Control::Confirm, json!({ "channel": 0 })),
            case("agent message", Control::Agent(body), json!({ "channel": 1, "body": hex(body) })),
            case("adjacency", adjacency, json!({ "channel": 2, "sequence": 9, "labels": [A.to_string(), B.to_string()] })),
            case("no neighbours", Control::Adjacency { sequence: 10, labels: vec![] },
                json!({ "channel": 2, "sequence": 10, "labels": [] })),
            case("revocation list", Control::Revocations(b"EVR1..."), json!({ "channel": 3, "object": hex(b"EVR1...") })),
            case("certificate", Control::Certificate(b"EVC1..."), json!({ "channel": 4, "object": hex(b"EVC1...") })),
        ],
        "refused": refused(&[
            ("empty", vec![], "cut short"),
            ("channel 5", vec![5, 0], "channel"),
            ("reserved byte", vec![0, 1], "must be zero"),
            ("a confirmation with a body", vec![0, 0, 0], "trailing bytes"),
            ("more labels than it says", patched(&good, 7, 1), "trailing bytes"),
            ("fewer labels than it says", patched(&good, 7, 3), "cut short"),
            ("an agent message of 16 KiB and one byte", [&[1, 0][..], &[b' '; 16385]].concat(), "too long"),
        ]),
    })
}

pub fn notice() -> Value {
    let quote = SessionHeader { record_type: record::FRAME, receiver: 0x0a0b_0c0d, counter: 77 }.encode();
    let case = |name: &str, complaint: Complaint, kind: u8, size: u16, label: Label| {
        json!({
            "name": name, "kind": kind, "size": size, "label": label.to_string(), "quote": hex(quote),
            "record": hex(Notice { complaint, quote }.encode()),
        })
    };
    let unknown = Notice { complaint: Complaint::UnknownLabel(B), quote }.encode();
    let big = Notice { complaint: Complaint::TooBig { label: B, size: 1200 }, quote }.encode();
    let index = Notice { complaint: Complaint::UnknownIndex, quote }.encode();
    json!({
        "description": "wire.md §7.",
        "cases": [
            case("unknown label", Complaint::UnknownLabel(B), 1, 0, B),
            case("too big", Complaint::TooBig { label: B, size: 1280 }, 2, 1280, B),
            case("unknown receiver index", Complaint::UnknownIndex, 3, 0, Label(0)),
        ],
        "refused": refused(&[
            ("kind 4", patched(&unknown, 1, 4), "kind"),
            ("a size where none belongs", patched(&unknown, 3, 1), "must be zero"),
            ("a label where none belongs", patched(&index, 11, 1), "must be zero"),
            ("a size below the floor", patched(&big, 3, 0xaf), "size"),
            ("trailing byte", [&unknown[..], &[0]].concat(), "trailing bytes"),
        ]),
    })
}

pub fn relay() -> Value {
    let two: [&[u8]; 2] = [&[0xc3, 1, 2], &[0xc7]];
    let good = encode_records(16, &two);
    let credit = encode_credit(16, 0x0001_0000);
    json!({
        "description": "wire.md §10.3. unit: one whole unit of the stream, which may be cut anywhere.",
        "cases": [
            { "name": "two records", "port": 16, "kind": 1, "records": two.map(hex), "unit": hex(&good) },
            { "name": "no record", "port": 17, "kind": 1, "records": [], "unit": hex(encode_records(17, &[])) },
            { "name": "credit", "port": 16, "kind": 2, "credit": 0x0001_0000, "unit": hex(&credit) },
        ],
        "refused": refused(&[
            ("kind 3", patched(&good, 6, 3), "kind"),
            ("reserved byte", patched(&good, 7, 1), "must be zero"),
            ("a record that ends behind its unit", patched(&good, 9, 200), "cut short"),
            ("a lone byte behind the records", {
                let mut unit = patched(&good, 3, good[3] + 1);
                unit.push(0);
                unit
            }, "cut short"),
            ("a payload above 65,536 bytes", patched(&good, 1, 2), "too long"),
            ("a credit of five bytes", [&patched(&credit, 3, 5)[..], &[0]].concat(), "length"),
        ]),
    })
}
