//! Bytes from outside, against every parser: whatever decodes encodes to the same bytes, and nothing panics.

use proptest::prelude::*;

use super::control::Control;
use super::flood::{Flood, FloodArc};
use super::fragment::Fragment;
use super::frame::Frame;
use super::handshake::{Cookie, Handshake, InitiationPayload, ResponsePayload};
use super::notice::Notice;
use super::probe::Probe;
use super::routing::RoutingHeader;
use super::sealed::SessionHeader;
use super::*;

/// Mostly small numbers, so that kinds, counts and lengths are often right.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![3 => 0u8..4, 1 => 0xc0u8..0xcb, 2 => any::<u8>()], 0..160)
}

/// A signed object's frame around any TLVs.
fn object() -> impl Strategy<Value = Vec<u8>> {
    let tlv = (0u8..16, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, value)| [&[kind, 0, value.len() as u8], &value[..]].concat());
    (prop::sample::select(vec![*b"EVC1", *b"EVP1", *b"EVR1"]), prop::collection::vec(tlv, 0..12), any::<bool>())
        .prop_map(|(magic, mut tlvs, sorted)| {
            if sorted {
                tlvs.sort_by_key(|tlv| tlv.first().copied());
            }
            [&magic[..], &tlvs.concat(), &[0; 64]].concat()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in bytes()) {
        let again = [
            Frame::decode(&bytes).ok().map(|frame| frame.encode()),
            Fragment::decode(&bytes).ok().map(|fragment| fragment.encode()),
            Flood::decode(&bytes).ok().map(|flood| flood.encode()),
            FloodArc::decode_acknowledgement(&bytes).ok().map(|arc| arc.encode()),
            Probe::decode(&bytes).ok().map(|probe| probe.encode()),
            Control::decode(&bytes).ok().map(|control| control.encode()),
            Notice::decode(&bytes).ok().map(|notice| notice.encode()),
            Cookie::decode(&bytes).ok().map(|cookie| cookie.encode()),
            InitiationPayload::decode(&bytes).ok().map(|payload| payload.encode()),
            ResponsePayload::decode(&bytes).ok().map(|payload| payload.encode()),
            RoutingHeader::decode(&bytes).ok().map(|(header, inner)| [&header.encode()[..], inner].concat()),
            SessionHeader::decode(&bytes).ok().map(|header| [&header.encode()[..], &bytes[16..]].concat()),
        ];
        for encoded in again.into_iter().flatten() {
            prop_assert_eq!(&encoded, &bytes);
        }
        let _ = Handshake::decode(&bytes);
    }

    #[test]
    fn objects_of_any_tlvs_are_decoded_or_refused_and_never_verified(bytes in object()) {
        let _ = Certificate::decode(&bytes);
        prop_assert!(Certificate::verify(&bytes, &[1; 32]).is_err());
        prop_assert!(Parameters::verify(&bytes).is_err());
        prop_assert!(Revocations::verify(&bytes, &[1; 32]).is_err());
    }
}
