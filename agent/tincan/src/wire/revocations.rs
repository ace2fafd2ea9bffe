//! Revocation list (wire.md §2), magic `EVR1`.

use ring::signature::Ed25519KeyPair;

use super::signed::{required, verify_signature, Builder, Kind, ObjectError, Tlvs, Verified, OBJECT_MAX};
use super::{DecodeError, NodeId, OverlayId};

const KIND: Kind = Kind { magic: *b"EVR1", domain: "evio/1 revocations", max: OBJECT_MAX, repeatable: &[4] };

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocations {
    pub overlay: OverlayId,
    pub serial: u64,
    pub issued: u64,
    /// The node's certificates up to this serial are void.
    pub entries: Vec<(NodeId, u64)>,
}

impl Revocations {
    pub fn decode(raw: &[u8]) -> Result<Self, DecodeError> {
        let mut overlay = None;
        let mut serial = None;
        let mut issued = None;
        let mut entries = Vec::new();
        let mut tlvs = Tlvs::of(raw, &KIND)?;
        while let Some((kind, mut value)) = tlvs.read()? {
            match kind {
                1 => overlay = Some(OverlayId(value.array()?)),
                2 => serial = Some(value.u64()?),
                3 => issued = Some(value.u64()?),
                4 => entries.push((NodeId(value.array()?), value.u64()?)),
                _ => return Err(DecodeError("unknown type")),
            }
            value.end()?;
        }
        Ok(Revocations { overlay: required(overlay)?, serial: required(serial)?, issued: required(issued)?, entries })
    }

    pub fn verify(raw: &[u8], authority: &[u8; 32]) -> Result<Verified<Self>, ObjectError> {
        let list = Self::decode(raw)?;
        if list.overlay != OverlayId::of_authority_key(authority) {
            return Err(ObjectError::WrongAuthority);
        }
        verify_signature(raw, &KIND, authority)?;
        Ok(Verified::new(list, raw))
    }

    pub fn voids(&self, node: &NodeId, serial: u64) -> bool {
        self.entries.iter().any(|(id, up_to)| id == node && serial <= *up_to)
    }

    pub fn sign(&self, authority: &Ed25519KeyPair) -> Vec<u8> {
        let mut out = Builder::new(&KIND);
        out.put(1, &self.overlay.0);
        out.put(2, &self.serial.to_be_bytes());
        out.put(3, &self.issued.to_be_bytes());
        for (node, serial) in &self.entries {
            out.put(4, &[&node.0[..], &serial.to_be_bytes()].concat());
        }
        out.sign(&KIND, authority)
    }
}
