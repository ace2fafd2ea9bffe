//! Sealed records and the handshake (wire.md §4.2, §5). mac1, mac2 and cookie are computed here by hand, not by the product.

use ring::digest::{digest, SHA256};
use ring::hmac;
use serde_json::{json, Value};
use tincan::session::keys::{data_key, DirectionKey};
use tincan::session::noise::{public_key, Noise};
use tincan::session::Cipher;
use tincan::wire::handshake::{encode_initiation, encode_response, Cookie, InitiationPayload, ResponsePayload};
use tincan::wire::sealed::{SessionHeader, SESSION_HEADER, TAG};
use tincan::wire::{record, BootId, OverlayId};

use super::objects::{certificate_of, key_pair, public};
use super::{hex, patched, refused, seed};

const CIPHERS: [Cipher; 2] = [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305];

fn sealed(cipher: Cipher, key: &[u8], header: SessionHeader, plaintext: &[u8]) -> Vec<u8> {
    let mut record = [&[0; SESSION_HEADER][..], plaintext, &[0; TAG]].concat();
    let key = DirectionKey::from_data_key(key, cipher).expect("a key of the cipher's length");
    key.seal(header, &mut record).expect("room for the seal");
    record
}

pub fn session() -> Value {
    let key_of = |cipher| match cipher {
        Cipher::Aes128Gcm => seed("aes")[..16].to_vec(),
        Cipher::ChaCha20Poly1305 => seed("chacha").to_vec(),
    };
    let mut cases = Vec::new();
    for cipher in CIPHERS {
        for (name, record_type, counter, plaintext) in [
            ("confirmation, first record", record::CONTROL, 0, vec![0, 0]),
            ("frame, counter above 2^32", record::FRAME, 0x1_0000_0002, [&[1, 0][..], &[0xaa; 60]].concat()),
            ("the last counter", record::FLOOD_ACK, (1 << 60) - 1, vec![7; 32]),
        ] {
            let key = key_of(cipher);
            let header = SessionHeader { record_type, receiver: 0x0a0b_0c0d, counter };
            cases.push(json!({
                "name": format!("{cipher}: {name}"),
                "cipher": cipher.number(),
                "key": hex(&key),
                "type": record_type,
                "receiver": header.receiver,
                "counter": counter.to_string(),
                "header": hex(header.encode()),
                "plaintext": hex(&plaintext),
                "record": hex(sealed(cipher, &key, header, &plaintext)),
            }));
        }
    }
    let header = SessionHeader { record_type: record::FRAME, receiver: 1, counter: 2 };
    let key = key_of(Cipher::Aes128Gcm);
    let good = sealed(Cipher::Aes128Gcm, &key, header, &[0; 20]);
    let last = good.len() - 1;
    json!({
        "description": "wire.md §4.2. record = header, ciphertext, tag under key. refused: records under refusedKey, cipher 1.",
        "cases": cases,
        "refusedKey": hex(&key),
        "refused": refused(&[
            ("reserved byte", patched(&good, 2, 1), "must be zero"),
            ("a type that is not sealed", patched(&good, 0, record::NOTICE), "type"),
            ("another type than was sealed", patched(&good, 0, record::FLOOD), "seal"),
            ("another counter than was sealed", patched(&good, 15, 3), "seal"),
            ("changed ciphertext", patched(&good, 20, good[20] ^ 1), "seal"),
            ("changed tag", patched(&good, last, good[last] ^ 1), "seal"),
        ]),
    })
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref()[..16].to_vec()
}

pub fn handshake() -> Value {
    let authority = key_pair("authority");
    let overlay = OverlayId::of_authority_key(&public(&authority));
    let initiator = seed("initiator session key");
    let responder = seed("responder session key");
    let responder_public = public_key(&responder).expect("any 32 bytes");
    let certificate_a = certificate_of("node a", public_key(&initiator).expect("any 32 bytes"), 7, 1).sign(&authority);
    let certificate_b = certificate_of("node b", responder_public, 8, 2).sign(&authority);
    let (ephemeral_a, ephemeral_b) = (seed("initiator ephemeral"), seed("responder ephemeral"));

    let payload1 =
        InitiationPayload { boot_id: BootId([1; 8]), ciphers: &[1, 2], certificate: &certificate_a }.encode();
    let payload2 = ResponsePayload { boot_id: BootId([2; 8]), cipher: 1, certificate: &certificate_b }.encode();
    let a = Noise::new(initiator, overlay);
    let b = Noise::new(responder, overlay);
    let (mut state, message1) = a.initiate(&responder_public, ephemeral_a, &payload1).expect("noise");
    let (answering, _, _) = b.read_initiation(ephemeral_b, &message1).expect("noise");
    let (message2, split) = answering.respond(&payload2).expect("noise");
    let (read, same) = state.read_response(&message2).expect("noise");
    assert!(read == payload2 && same.k1 == split.k1 && same.k2 == split.k2);

    let (index_a, index_b) = (0x0000_00a1, 0x0000_00b2);
    let bare = encode_initiation(index_a, &message1);
    let mac1_key = digest(&SHA256, &[&b"evio/1 mac1"[..], &responder_public].concat());
    let with_mac1 = [&bare[..], &mac(mac1_key.as_ref(), &bare)].concat();
    let initiation = [&with_mac1[..], &[0; 16]].concat();

    let secret = seed("cookie secret");
    // 203.0.113.9 as IPv4-mapped IPv6 address, port 20001.
    let source = [&[0; 10][..], &[0xff, 0xff, 203, 0, 113, 9], &20001u16.to_be_bytes()].concat();
    let cookie: [u8; 16] = mac(&secret, &source).try_into().expect("16 bytes");
    let cookie_record = Cookie { receiver: index_a, cookie }.encode();
    let again = [&with_mac1[..], &mac(&cookie, &with_mac1)].concat();
    let response = encode_response(index_b, index_a, &message2);
    let data = |k: &[u8; 32]| {
        CIPHERS.map(|cipher| json!({ "cipher": cipher.number(), "key": hex(data_key(k, cipher).expect("a key of the cipher's length")) }))
    };
    json!({
        "description": "wire.md §5. One handshake with fixed keys; initiationWithCookie is the same initiation after the cookie; \
            dataKeys are made of k1 and k2. refused: records that are no handshake and no cookie.",
        "cases": [{
            "name": "node a initiates, node b responds",
            "overlayId": overlay.to_string(),
            "initiatorPrivate": hex(initiator),
            "responderPrivate": hex(responder),
            "responderPublic": hex(responder_public),
            "initiatorEphemeral": hex(ephemeral_a),
            "responderEphemeral": hex(ephemeral_b),
            "payload1": hex(&payload1),
            "payload2": hex(&payload2),
            "message1": hex(&message1),
            "message2": hex(&message2),
            "initiatorIndex": index_a,
            "responderIndex": index_b,
            "initiation": hex(&initiation),
            "response": hex(&response),
            "cookieSecret": hex(secret),
            "cookieSource": hex(source),
            "cookie": hex(&cookie_record),
            "initiationWithCookie": hex(again),
            "k1": hex(split.k1),
            "k2": hex(split.k2),
            "dataKeys1": data(&split.k1),
            "dataKeys2": data(&split.k2),
        }],
        "refused": refused(&[
            ("message 3", patched(&initiation, 1, 3), "kind"),
            ("reserved byte", patched(&initiation, 2, 1), "must be zero"),
            ("a receiver index in an initiation", patched(&initiation, 11, 1), "must be zero"),
            ("reserved byte of a response", patched(&response, 3, 1), "must be zero"),
            ("reserved byte of a cookie", patched(&cookie_record, 1, 1), "must be zero"),
            ("a cookie with a trailing byte", [&cookie_record[..], &[0]].concat(), "trailing bytes"),
        ]),
    })
}
