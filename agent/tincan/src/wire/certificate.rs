//! Membership certificate (wire.md §2), magic `EVC1`.

use std::net::{Ipv4Addr, Ipv6Addr};

use ring::signature::Ed25519KeyPair;

use super::mac::{Mac, MacRule};
use super::signed::{dns_label, required, verify_signature, Builder, Kind, ObjectError, Tlvs, Verified};
use super::{DecodeError, Label, NodeId, OverlayId, Reader};

/// So that a handshake fits one record.
pub const CERTIFICATE_MAX: usize = 640;

const KIND: Kind =
    Kind { magic: *b"EVC1", domain: "evio/1 certificate", max: CERTIFICATE_MAX, repeatable: &[5, 6, 7, 8, 9] };

/// 0 is the only role there is.
pub const ROLE_MEMBER: u8 = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub overlay: OverlayId,
    pub identity_key: [u8; 32],
    pub session_key: [u8; 32],
    pub name: String,
    /// Addresses on `evio0`, with the prefix length of the overlay's subnet.
    pub ipv4: Vec<(Ipv4Addr, u8)>,
    pub ipv6: Vec<(Ipv6Addr, u8)>,
    /// Prefixes routed behind the node (pods).
    pub routed_ipv4: Vec<(Ipv4Addr, u8)>,
    pub routed_ipv6: Vec<(Ipv6Addr, u8)>,
    /// Source MACs the node may use under the MAC rule.
    pub macs: Vec<MacRule>,
    pub serial: u64,
    pub not_before: u64,
    pub not_after: u64,
}

impl Certificate {
    pub fn node_id(&self) -> NodeId {
        NodeId::of_identity_key(&self.identity_key)
    }

    pub fn label(&self) -> Label {
        self.node_id().label()
    }

    /// The MAC of the node's `evio0` (wire.md §3).
    pub fn mac(&self) -> Mac {
        match self.ipv4.first() {
            Some((address, _)) => Mac::of_node(*address),
            None => Mac::of_serial(self.serial),
        }
    }

    /// The form only: nothing is trusted yet.
    pub fn decode(raw: &[u8]) -> Result<Self, DecodeError> {
        let mut overlay = None;
        let mut identity_key = None;
        let mut session_key = None;
        let mut name = None;
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        let (mut routed_ipv4, mut routed_ipv6) = (Vec::new(), Vec::new());
        let mut macs = Vec::new();
        let mut role = None;
        let mut serial = None;
        let mut not_before = None;
        let mut not_after = None;
        let mut tlvs = Tlvs::of(raw, &KIND)?;
        while let Some((kind, mut value)) = tlvs.read()? {
            match kind {
                1 => overlay = Some(OverlayId(value.array()?)),
                2 => identity_key = Some(value.array()?),
                3 => session_key = Some(value.array()?),
                4 => name = Some(dns_label(Reader::new(value.rest()))?),
                5 => ipv4.push(ipv4_with_length(&mut value)?),
                6 => ipv6.push(ipv6_with_length(&mut value)?),
                7 => routed_ipv4.push(ipv4_prefix(&mut value)?),
                8 => routed_ipv6.push(ipv6_prefix(&mut value)?),
                9 => macs.push(MacRule::decode(&mut value)?),
                10 => role = Some(value.u8()?),
                11 => serial = Some(value.u64()?),
                12 => not_before = Some(value.u64()?),
                13 => not_after = Some(value.u64()?),
                _ => return Err(DecodeError("unknown type")),
            }
            value.end()?;
        }
        if required(role)? != ROLE_MEMBER {
            return Err(DecodeError("unknown role"));
        }
        if ipv4.is_empty() && ipv6.is_empty() {
            return Err(DecodeError("a required type is missing"));
        }
        Ok(Certificate {
            overlay: required(overlay)?,
            identity_key: required(identity_key)?,
            session_key: required(session_key)?,
            name: required(name)?,
            ipv4,
            ipv6,
            routed_ipv4,
            routed_ipv6,
            macs,
            serial: required(serial)?,
            not_before: required(not_before)?,
            not_after: required(not_after)?,
        })
    }

    /// Form, overlay and signature; validity in time and revocation are the membership's to judge.
    pub fn verify(raw: &[u8], authority: &[u8; 32]) -> Result<Verified<Self>, ObjectError> {
        let certificate = Self::decode(raw)?;
        if certificate.overlay != OverlayId::of_authority_key(authority) {
            return Err(ObjectError::WrongAuthority);
        }
        verify_signature(raw, &KIND, authority)?;
        Ok(Verified::new(certificate, raw))
    }

    pub fn sign(&self, authority: &Ed25519KeyPair) -> Vec<u8> {
        let mut out = Builder::new(&KIND);
        out.put(1, &self.overlay.0);
        out.put(2, &self.identity_key);
        out.put(3, &self.session_key);
        out.put(4, self.name.as_bytes());
        for (address, length) in &self.ipv4 {
            out.put(5, &[&address.octets()[..], &[*length]].concat());
        }
        for (address, length) in &self.ipv6 {
            out.put(6, &[&address.octets()[..], &[*length]].concat());
        }
        for (address, length) in &self.routed_ipv4 {
            out.put(7, &[&address.octets()[..], &[*length]].concat());
        }
        for (address, length) in &self.routed_ipv6 {
            out.put(8, &[&address.octets()[..], &[*length]].concat());
        }
        for rule in &self.macs {
            out.put(9, &rule.encode());
        }
        out.put(10, &[ROLE_MEMBER]);
        out.put(11, &self.serial.to_be_bytes());
        out.put(12, &self.not_before.to_be_bytes());
        out.put(13, &self.not_after.to_be_bytes());
        out.sign(&KIND, authority)
    }
}

pub(super) fn ipv4_with_length(value: &mut Reader<'_>) -> Result<(Ipv4Addr, u8), DecodeError> {
    let address = Ipv4Addr::from(value.array::<4>()?);
    match value.u8()? {
        length @ 0..=32 => Ok((address, length)),
        _ => Err(DecodeError("prefix length out of range")),
    }
}

pub(super) fn ipv6_with_length(value: &mut Reader<'_>) -> Result<(Ipv6Addr, u8), DecodeError> {
    let address = Ipv6Addr::from(value.array::<16>()?);
    match value.u8()? {
        length @ 0..=128 => Ok((address, length)),
        _ => Err(DecodeError("prefix length out of range")),
    }
}

pub(super) fn ipv4_prefix(value: &mut Reader<'_>) -> Result<(Ipv4Addr, u8), DecodeError> {
    let (address, length) = ipv4_with_length(value)?;
    if u32::from(address).checked_shl(u32::from(length)).unwrap_or(0) != 0 {
        return Err(DecodeError("host bits are not zero"));
    }
    Ok((address, length))
}

pub(super) fn ipv6_prefix(value: &mut Reader<'_>) -> Result<(Ipv6Addr, u8), DecodeError> {
    let (address, length) = ipv6_with_length(value)?;
    if u128::from(address).checked_shl(u32::from(length)).unwrap_or(0) != 0 {
        return Err(DecodeError("host bits are not zero"));
    }
    Ok((address, length))
}
