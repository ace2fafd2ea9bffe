//! The vectors of wire.md §11 against the Rust codecs: the files are what the generator writes, every case decodes and encodes
//! to the same bytes, every cut and every refused input is refused.

#[path = "../examples/vectors.rs"]
mod generator;

use serde_json::Value;
use tincan::relay::{encode_credit, encode_records, records_mut, Decoder, Unit};
use tincan::session::keys::{data_key, DirectionKey};
use tincan::session::noise::Noise;
use tincan::session::Cipher;
use tincan::wire::control::Control;
use tincan::wire::flood::{Flood, FloodArc};
use tincan::wire::fragment::Fragment;
use tincan::wire::frame::Frame;
use tincan::wire::handshake::{Cookie, Handshake, InitiationPayload, ResponsePayload};
use tincan::wire::mac::MacRule;
use tincan::wire::notice::Notice;
use tincan::wire::probe::Probe;
use tincan::wire::routing::RoutingHeader;
use tincan::wire::sealed::SessionHeader;
use tincan::wire::{Certificate, NodeId, OverlayId, Parameters, Reader, Revocations};

fn file(name: &str) -> Value {
    let path = format!("{}/../../test/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no {key}"))
}

/// `recode` decodes and encodes again. `cuttable`: from this length on a cut leaves a valid unit, because its last part has
/// no length of its own.
fn check(name: &str, key: &str, cuttable: Option<usize>, recode: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let vectors = file(name);
    for case in list(&vectors, "cases") {
        let bytes = unhex(&case[key]);
        assert_eq!(recode(&bytes).as_deref(), Some(&bytes[..]), "{name}: {}", case["name"]);
        for length in 0..cuttable.unwrap_or(bytes.len()) {
            assert_eq!(recode(&bytes[..length]), None, "{name}: {} cut to {length}", case["name"]);
        }
    }
    for case in list(&vectors, "refused") {
        assert_eq!(recode(&unhex(&case["input"])), None, "{name}: {}", case["name"]);
    }
}

#[test]
fn the_files_are_what_the_generator_writes() {
    for (name, value) in generator::files() {
        let path = format!("{}/../../test/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == generator::text(&value), "{path} differs: cargo run -p tincan --example vectors");
    }
}

#[test]
fn texts_that_are_no_node_id_are_refused() {
    for case in list(&file("identifiers"), "refused") {
        assert_eq!(NodeId::parse(case["input"].as_str().expect("text")), None);
    }
}

#[test]
fn certificates() {
    let authority: [u8; 32] = unhex(&file("certificate")["authorityKey"]).try_into().expect("32 bytes");
    let signer = generator::key_pair("authority");
    check("certificate", "object", None, |bytes| {
        let certificate = Certificate::verify(bytes, &authority).ok()?;
        assert_eq!(certificate.raw(), bytes);
        Some(certificate.sign(&signer))
    });
    for case in list(&file("certificate"), "alsoAccepted") {
        assert!(Certificate::verify(&unhex(&case["object"]), &authority).is_ok());
    }
}

#[test]
fn parameters() {
    let signer = generator::key_pair("authority");
    check("parameters", "object", None, |bytes| Some(Parameters::verify(bytes).ok()?.sign(&signer)));
}

#[test]
fn revocation_lists() {
    let authority: [u8; 32] = unhex(&file("revocations")["authorityKey"]).try_into().expect("32 bytes");
    let signer = generator::key_pair("authority");
    check("revocations", "object", None, |bytes| Some(Revocations::verify(bytes, &authority).ok()?.sign(&signer)));
}

#[test]
fn mac_pairs_with_masked_out_bits_are_refused() {
    for case in list(&file("mac"), "refused") {
        assert!(MacRule::decode(&mut Reader::new(&unhex(&case["input"]))).is_err());
    }
}

#[test]
fn routing_headers() {
    check("routing", "record", Some(21), |bytes| {
        let (header, inner) = RoutingHeader::decode(bytes).ok()?;
        Some([&header.encode()[..], inner].concat())
    });
}

#[test]
fn frames() {
    check("frame", "plaintext", Some(16), |bytes| Some(Frame::decode(bytes).ok()?.encode()));
}

#[test]
fn fragments() {
    let vectors = file("fragment");
    for case in list(&vectors, "cases") {
        let mut message = Vec::new();
        for bytes in list(case, "fragments").iter().map(unhex) {
            let fragment = Fragment::decode(&bytes).expect("a fragment");
            assert_eq!(fragment.encode(), bytes);
            message.extend_from_slice(fragment.piece);
            assert!((0..5).all(|length| Fragment::decode(&bytes[..length]).is_err()));
        }
        assert_eq!(message, unhex(&case["message"]));
    }
    for case in list(&vectors, "refused") {
        assert!(Fragment::decode(&unhex(&case["input"])).is_err(), "{}", case["name"]);
    }
}

#[test]
fn floods_and_their_acknowledgements() {
    check("flood", "plaintext", Some(48), |bytes| Some(Flood::decode(bytes).ok()?.encode()));
    for case in list(&file("flood"), "cases") {
        let bytes = unhex(&case["acknowledgement"]);
        assert_eq!(FloodArc::decode_acknowledgement(&bytes).map(|arc| arc.encode()), Ok(bytes.clone()));
        assert!((0..bytes.len()).all(|length| FloodArc::decode_acknowledgement(&bytes[..length]).is_err()));
    }
}

#[test]
fn probes() {
    check("probe", "plaintext", None, |bytes| Some(Probe::decode(bytes).ok()?.encode()));
}

#[test]
fn control() {
    // The bodies of channels 1, 3 and 4 have no length of their own; an adjacency has.
    check("control", "plaintext", Some(2), |bytes| Some(Control::decode(bytes).ok()?.encode()));
    let adjacency = unhex(&list(&file("control"), "cases")[2]["plaintext"]);
    assert!((0..adjacency.len()).all(|length| Control::decode(&adjacency[..length]).is_err()));
}

#[test]
fn notices() {
    check("notice", "record", None, |bytes| Some(Notice::decode(bytes).ok()?.encode()));
}

fn opened(cipher: Cipher, key: &[u8], record: &[u8]) -> Option<(SessionHeader, Vec<u8>)> {
    let mut record = record.to_vec();
    let header = SessionHeader::decode(&record).ok()?;
    let plaintext = DirectionKey::from_data_key(key, cipher)?.open(header.counter, &mut record)?.to_vec();
    Some((header, plaintext))
}

#[test]
fn sealed_records() {
    let vectors = file("session");
    for case in list(&vectors, "cases") {
        let cipher = Cipher::from_number(case["cipher"].as_u64().expect("a number") as u8).expect("a cipher");
        let (key, record) = (unhex(&case["key"]), unhex(&case["record"]));
        let (header, plaintext) = opened(cipher, &key, &record).expect("it opens");
        assert_eq!((header.encode().to_vec(), &plaintext), (unhex(&case["header"]), &unhex(&case["plaintext"])));
        assert_eq!(header.counter.to_string(), case["counter"].as_str().expect("text"));
        assert!((0..record.len()).all(|length| opened(cipher, &key, &record[..length]).is_none()));
    }
    for case in list(&vectors, "refused") {
        assert_eq!(opened(Cipher::Aes128Gcm, &unhex(&vectors["refusedKey"]), &unhex(&case["input"])), None);
    }
}

#[test]
fn handshakes() {
    let vectors = file("handshake");
    for case in list(&vectors, "cases") {
        let key = |name: &str| -> [u8; 32] { unhex(&case[name]).try_into().expect("32 bytes") };
        let overlay = OverlayId(unhex(&case["overlayId"]).try_into().expect("16 bytes"));
        let (initiator, responder) =
            (Noise::new(key("initiatorPrivate"), overlay), Noise::new(key("responderPrivate"), overlay));
        let (payload1, payload2) = (unhex(&case["payload1"]), unhex(&case["payload2"]));
        let (mut state, message1) =
            initiator.initiate(&key("responderPublic"), key("initiatorEphemeral"), &payload1).expect("noise");
        assert_eq!(message1, unhex(&case["message1"]));
        let (answer, _, read1) = responder.read_initiation(key("responderEphemeral"), &message1).expect("noise");
        assert_eq!(read1, payload1);
        let (message2, split) = answer.respond(&payload2).expect("noise");
        assert_eq!(message2, unhex(&case["message2"]));
        assert_eq!(state.read_response(&message2).expect("noise").0, payload2);
        assert_eq!((split.k1, split.k2), (key("k1"), key("k2")));
        for (k, name) in [(split.k1, "dataKeys1"), (split.k2, "dataKeys2")] {
            for (cipher, data) in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305].into_iter().zip(list(case, name)) {
                assert_eq!(data_key(&k, cipher), Some(unhex(&data["key"])));
            }
        }
        for name in ["initiation", "initiationWithCookie", "response"] {
            let record = unhex(&case[name]);
            match Handshake::decode(&record).expect(name) {
                Handshake::Initiation(initiation) => assert_eq!(initiation.noise, message1),
                Handshake::Response(response) => assert_eq!(response.noise, message2),
            }
            // Noise authenticates the length: here only what is too short for any message is refused.
            assert!((0..60).all(|length| Handshake::decode(&record[..length]).is_err()));
        }
        let cookie = unhex(&case["cookie"]);
        assert_eq!(Cookie::decode(&cookie).expect("a cookie").encode(), cookie);
        assert!((0..cookie.len()).all(|length| Cookie::decode(&cookie[..length]).is_err()));
        assert!((0..payload1.len()).all(|length| InitiationPayload::decode(&payload1[..length]).is_err()));
        assert!((0..payload2.len()).all(|length| ResponsePayload::decode(&payload2[..length]).is_err()));
    }
    for case in list(&vectors, "refused") {
        let input = unhex(&case["input"]);
        assert!(Handshake::decode(&input).is_err() && Cookie::decode(&input).is_err(), "{}", case["name"]);
    }
}

#[test]
fn relay_units() {
    let vectors = file("relay");
    for case in list(&vectors, "cases") {
        let unit = unhex(&case["unit"]);
        // Cut anywhere, it is not refused but waited for.
        for length in 0..unit.len() {
            let mut decoder = Decoder::default();
            decoder.push(&unit[..length]);
            assert_eq!(decoder.next().map(|unit| unit.is_some()), Ok(false));
        }
        let mut decoder = Decoder::default();
        decoder.push(&unit);
        let again = match decoder.next().expect("a unit").expect("whole") {
            (Unit::Credit { port, bytes }, _) => encode_credit(port, bytes),
            (Unit::Records { port }, payload) => {
                let records: Vec<&[u8]> = records_mut(payload).map(|record| &*record).collect();
                encode_records(port, &records)
            }
        };
        assert_eq!(again, unit);
    }
    for case in list(&vectors, "refused") {
        let mut decoder = Decoder::default();
        decoder.push(&unhex(&case["input"]));
        assert!(decoder.next().is_err(), "{}", case["name"]);
    }
}
