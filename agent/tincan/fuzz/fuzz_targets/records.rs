//! What comes from the network before anything is proven: what decodes must encode to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tincan::wire::handshake::{encode_response, Cookie, Handshake};
use tincan::wire::notice::{Complaint, Notice, RECORD_SIZE_FLOOR};
use tincan::wire::routing::RoutingHeader;
use tincan::wire::sealed::SessionHeader;
use tincan_fuzz::bounded;

fuzz_target!(|data: &[u8]| bounded(4 * data.len() + 4_096, || {
    if let Ok((header, inner)) = RoutingHeader::decode(data) {
        assert_eq!([&header.encode()[..], inner].concat(), data);
        // Every hop takes from the limit, or nothing goes on: no record goes round for ever.
        match header.forwarded() {
            Some(onward) => assert_eq!(RoutingHeader { hop_limit: onward.hop_limit + 1, ..onward }, header),
            None => assert!(header.hop_limit <= 1),
        }
    }
    if let Ok(header) = SessionHeader::decode(data) {
        assert_eq!(header.encode(), data[..16]);
    }
    if let Ok(cookie) = Cookie::decode(data) {
        assert_eq!(cookie.encode(), data);
    }
    if let Ok(notice) = Notice::decode(data) {
        assert_eq!(notice.encode(), data);
        if let Complaint::TooBig { size, .. } = notice.complaint {
            assert!(size >= RECORD_SIZE_FLOOR, "a forged notice makes records smaller than every path takes");
        }
    }
    match Handshake::decode(data) {
        Ok(Handshake::Initiation(initiation)) => {
            assert_eq!([initiation.before_mac2, initiation.mac2].concat(), data);
            assert_eq!([initiation.before_mac1, initiation.mac1].concat(), initiation.before_mac2);
        }
        Ok(Handshake::Response(response)) => {
            assert_eq!(encode_response(response.sender, response.receiver, response.noise), data);
        }
        Err(_) => {}
    }
}));
