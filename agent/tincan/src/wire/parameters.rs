//! Overlay parameters (wire.md §2), magic `EVP1`.

use std::net::{Ipv4Addr, Ipv6Addr};

use ring::signature::Ed25519KeyPair;

use super::certificate::{ipv4_prefix, ipv6_prefix};
use super::signed::{dns_label, required, verify_signature, Builder, Kind, ObjectError, Tlvs, Verified, OBJECT_MAX};
use super::{DecodeError, OverlayId, Reader};

const KIND: Kind = Kind { magic: *b"EVP1", domain: "evio/1 parameters", max: OBJECT_MAX, repeatable: &[] };

pub const LONG_DISTANCE_AUTO: u8 = 255;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    pub overlay: OverlayId,
    pub authority_key: [u8; 32],
    pub name: String,
    pub serial: u64,
    pub issued: u64,
    /// Of `evio0`.
    pub mtu: u16,
    /// Cipher numbers in order of preference.
    pub ciphers: Vec<u8>,
    pub ipv4: Option<(Ipv4Addr, u8)>,
    pub ipv6: Option<(Ipv6Addr, u8)>,
    pub topology: Topology,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    pub successors: u8,
    /// 255: as many as the overlay's size asks for; 128 and a number: those, but at most so many.
    pub long_distance: u8,
    pub on_demand: u8,
    pub full_mesh_auto: bool,
}

impl Parameters {
    pub fn decode(raw: &[u8]) -> Result<Self, DecodeError> {
        let mut overlay = None;
        let mut authority_key = None;
        let mut name = None;
        let mut serial = None;
        let mut issued = None;
        let mut mtu = None;
        let mut ciphers = None;
        let mut ipv4 = None;
        let mut ipv6 = None;
        let mut topology = None;
        let mut tlvs = Tlvs::of(raw, &KIND)?;
        while let Some((kind, mut value)) = tlvs.read()? {
            match kind {
                1 => overlay = Some(OverlayId(value.array()?)),
                2 => authority_key = Some(value.array()?),
                3 => name = Some(dns_label(Reader::new(value.rest()))?),
                4 => serial = Some(value.u64()?),
                5 => issued = Some(value.u64()?),
                6 => mtu = Some(value.u16()?),
                7 => ciphers = Some(cipher_list(value.rest())?),
                8 => ipv4 = Some(ipv4_prefix(&mut value)?),
                9 => ipv6 = Some(ipv6_prefix(&mut value)?),
                10 => topology = Some(Topology::decode(&mut value)?),
                _ => return Err(DecodeError("unknown type")),
            }
            value.end()?;
        }
        let parameters = Parameters {
            overlay: required(overlay)?,
            authority_key: required(authority_key)?,
            name: required(name)?,
            serial: required(serial)?,
            issued: required(issued)?,
            mtu: required(mtu)?,
            ciphers: required(ciphers)?,
            ipv4,
            ipv6,
            topology: required(topology)?,
        };
        if !(1280..=9000).contains(&parameters.mtu) {
            return Err(DecodeError("MTU out of range"));
        }
        if OverlayId::of_authority_key(&parameters.authority_key) != parameters.overlay {
            return Err(DecodeError("the authority key is not the overlay's"));
        }
        Ok(parameters)
    }

    /// Form and signature. The key inside is the overlay's because its hash is the overlay id; which overlay one is a member
    /// of stands in one's own certificate.
    pub fn verify(raw: &[u8]) -> Result<Verified<Self>, ObjectError> {
        let parameters = Self::decode(raw)?;
        verify_signature(raw, &KIND, &parameters.authority_key)?;
        Ok(Verified::new(parameters, raw))
    }

    pub fn sign(&self, authority: &Ed25519KeyPair) -> Vec<u8> {
        let mut out = Builder::new(&KIND);
        out.put(1, &self.overlay.0);
        out.put(2, &self.authority_key);
        out.put(3, self.name.as_bytes());
        out.put(4, &self.serial.to_be_bytes());
        out.put(5, &self.issued.to_be_bytes());
        out.put(6, &self.mtu.to_be_bytes());
        out.put(7, &self.ciphers);
        if let Some((address, length)) = self.ipv4 {
            out.put(8, &[&address.octets()[..], &[length]].concat());
        }
        if let Some((address, length)) = self.ipv6 {
            out.put(9, &[&address.octets()[..], &[length]].concat());
        }
        let Topology { successors, long_distance, on_demand, full_mesh_auto } = self.topology;
        out.put(10, &[successors, long_distance, on_demand, u8::from(full_mesh_auto)]);
        out.sign(&KIND, authority)
    }
}

/// What `Topology::long_distance` has no meaning for, up to the last but one.
const LINKS_BOUNDED_END: u8 = 128 + 64 + 1;
const LINKS_AUTO: u8 = 255;

impl Topology {
    fn decode(value: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [successors, long_distance, on_demand, full_mesh] = value.array()?;
        if (LINKS_BOUNDED_END..LINKS_AUTO).contains(&long_distance) {
            return Err(DecodeError("unknown number of long-distance links"));
        }
        match full_mesh {
            0 | 1 => Ok(Topology { successors, long_distance, on_demand, full_mesh_auto: full_mesh == 1 }),
            _ => Err(DecodeError("unknown full mesh setting")),
        }
    }
}

/// At least one, each known and named once: two nodes that read the same list must agree on what it allows.
fn cipher_list(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let known = !bytes.is_empty() && bytes.iter().all(|number| matches!(number, 1 | 2));
    let distinct = bytes.iter().enumerate().all(|(i, number)| !bytes.iter().take(i).any(|other| other == number));
    if known && distinct {
        Ok(bytes.to_vec())
    } else {
        Err(DecodeError("cipher list"))
    }
}
