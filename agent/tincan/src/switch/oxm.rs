//! Matches: OXM TLVs (clause 7.2.3) to values and masks over the words of a [`Key`], and back.
//!
//! ```text
//! match:  type (2: 1 = OXM) | length (2, without padding) | OXM TLVs | zeros to a multiple of 8
//! OXM:    class (2: 0x8000) | field (7 bits), has mask (1 bit) | payload length (1) | value | mask, if it has one
//! ```

use super::key::{self, Key, Place};
use super::openflow::{error, fill_length, padded, zeros, Error, Result};
use crate::wire::Reader;

const CLASS_BASIC: u16 = 0x8000;
const TYPE_OXM: u16 = 1;

/// What must be matched for a field to have a meaning (table 11 of the specification).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Vlan,
    Ip,
    Ipv4,
    Ipv6,
    Arp,
    Protocol(u8),
    Icmpv4,
    Icmpv6,
    Nd,
    NdType(u8),
}

pub struct Field {
    pub id: u8,
    pub place: Place,
    /// Significant bits; the ones above must be zero.
    bits: u32,
    pub maskable: bool,
    needs: Needs,
}

const fn field(id: u8, place: Place, bits: u32, maskable: bool, needs: Needs) -> Field {
    Field { id, place, bits, maskable, needs }
}

pub const TUNNEL_ID: u8 = 38;

/// The match fields of this switch. Masks on ND targets go beyond the specification, as in Open vSwitch.
pub const FIELDS: [Field; 34] = [
    field(0, key::IN_PORT, 32, false, Needs::Nothing),
    field(2, key::METADATA, 64, true, Needs::Nothing),
    field(3, key::ETH_DST, 48, true, Needs::Nothing),
    field(4, key::ETH_SRC, 48, true, Needs::Nothing),
    field(5, key::ETH_TYPE, 16, false, Needs::Nothing),
    field(6, key::VLAN_VID, 13, true, Needs::Nothing),
    field(7, key::VLAN_PCP, 3, false, Needs::Vlan),
    field(8, key::IP_DSCP, 6, false, Needs::Ip),
    field(9, key::IP_ECN, 2, false, Needs::Ip),
    field(10, key::IP_PROTO, 8, false, Needs::Ip),
    field(11, key::IPV4_SRC, 32, true, Needs::Ipv4),
    field(12, key::IPV4_DST, 32, true, Needs::Ipv4),
    field(13, key::PORT_SRC, 16, true, Needs::Protocol(key::PROTOCOL_TCP)),
    field(14, key::PORT_DST, 16, true, Needs::Protocol(key::PROTOCOL_TCP)),
    field(15, key::PORT_SRC, 16, true, Needs::Protocol(key::PROTOCOL_UDP)),
    field(16, key::PORT_DST, 16, true, Needs::Protocol(key::PROTOCOL_UDP)),
    field(17, key::PORT_SRC, 16, true, Needs::Protocol(key::PROTOCOL_SCTP)),
    field(18, key::PORT_DST, 16, true, Needs::Protocol(key::PROTOCOL_SCTP)),
    field(19, key::ICMP_TYPE, 8, false, Needs::Icmpv4),
    field(20, key::ICMP_CODE, 8, false, Needs::Icmpv4),
    field(21, key::ARP_OP, 16, false, Needs::Arp),
    field(22, key::IPV4_SRC, 32, true, Needs::Arp),
    field(23, key::IPV4_DST, 32, true, Needs::Arp),
    field(24, key::SOURCE_MAC, 48, true, Needs::Arp),
    field(25, key::TARGET_MAC, 48, true, Needs::Arp),
    field(26, key::IPV6_SRC, 128, true, Needs::Ipv6),
    field(27, key::IPV6_DST, 128, true, Needs::Ipv6),
    field(28, key::IPV6_FLABEL, 20, true, Needs::Ipv6),
    field(29, key::ICMP_TYPE, 8, false, Needs::Icmpv6),
    field(30, key::ICMP_CODE, 8, false, Needs::Icmpv6),
    field(31, key::ND_TARGET, 128, true, Needs::Nd),
    field(32, key::SOURCE_MAC, 48, true, Needs::NdType(key::ND_SOLICITATION)),
    field(33, key::TARGET_MAC, 48, true, Needs::NdType(key::ND_ADVERTISEMENT)),
    field(TUNNEL_ID, key::TUNNEL_ID, 64, true, Needs::Nothing),
];

impl Field {
    pub fn by_id(id: u8) -> Option<&'static Field> {
        FIELDS.iter().find(|field| field.id == id)
    }

    /// The four bytes before its value; also what table features list.
    pub fn header(&self, has_mask: bool) -> u32 {
        let length = self.place.bytes * if has_mask { 2 } else { 1 };
        u32::from(CLASS_BASIC) << 16 | u32::from(self.id) << 9 | u32::from(has_mask) << 8 | length as u32
    }

    fn ones(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// Whether the fields it depends on are matched, exactly, with a value that gives it a meaning.
    fn prerequisites_met(&self, of: &Match) -> bool {
        let eth_type = of.exact(key::ETH_TYPE).and_then(|value| u16::try_from(value).ok());
        let protocol = of.exact(key::IP_PROTO);
        let icmpv6_type = of.exact(key::ICMP_TYPE).and_then(|value| u8::try_from(value).ok());
        let ipv4 = eth_type == Some(key::ETH_TYPE_IPV4);
        let ipv6 = eth_type == Some(key::ETH_TYPE_IPV6);
        let icmpv6 = ipv6 && protocol == Some(u128::from(key::PROTOCOL_ICMPV6));
        match self.needs {
            Needs::Nothing => true,
            Needs::Vlan => of.value.number(key::VLAN_VID) & u64::from(key::VLAN_PRESENT) != 0,
            Needs::Ip => ipv4 || ipv6,
            Needs::Ipv4 => ipv4,
            Needs::Ipv6 => ipv6,
            Needs::Arp => eth_type == Some(key::ETH_TYPE_ARP),
            Needs::Protocol(wanted) => (ipv4 || ipv6) && protocol == Some(u128::from(wanted)),
            Needs::Icmpv4 => ipv4 && protocol == Some(u128::from(key::PROTOCOL_ICMP)),
            Needs::Icmpv6 => icmpv6,
            Needs::Nd => icmpv6 && matches!(icmpv6_type, Some(key::ND_SOLICITATION | key::ND_ADVERTISEMENT)),
            Needs::NdType(wanted) => icmpv6 && icmpv6_type == Some(wanted),
        }
    }
}

/// A masked match: `key & mask == value`. A field that is wildcarded as a whole is the same as one that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Match {
    pub value: Key,
    pub mask: Key,
}

impl Match {
    pub fn with(mut self, at: Place, value: u128) -> Self {
        let ones = u128::MAX >> (128 - 8 * at.bytes as u32);
        self.put(at, value, ones);
        self
    }

    fn put(&mut self, at: Place, value: u128, mask: u128) {
        let tail = 16 - at.bytes;
        self.value.set(at, value.to_be_bytes().get(tail..).unwrap_or(&[]));
        self.mask.set(at, mask.to_be_bytes().get(tail..).unwrap_or(&[]));
    }

    /// The value of a field that is matched without a mask.
    fn exact(&self, at: Place) -> Option<u128> {
        let ones = u128::MAX >> (128 - 8 * at.bytes as u32);
        (self.mask.get(at) == ones).then(|| self.value.get(at))
    }

    /// Whether every packet this matches is matched by `other` too (clause 6.4, non-strict modify and delete).
    pub fn is_within(&self, other: &Match) -> bool {
        self.mask.and(&other.mask) == other.mask && self.value.and(&other.mask) == other.value
    }

    /// Whether one packet can match both (OFPFF_CHECK_OVERLAP).
    pub fn overlaps(&self, other: &Match) -> bool {
        let both = self.mask.and(&other.mask);
        self.value.and(&both) == other.value.and(&both)
    }

    /// Reads a match with its padding.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Match> {
        let cut = |_| error::BAD_MATCH_LEN;
        let kind = reader.u16().map_err(cut)?;
        let length = usize::from(reader.u16().map_err(cut)?);
        if kind != TYPE_OXM {
            return Err(error::BAD_MATCH_TYPE);
        }
        let fields = reader.take(length.checked_sub(4).ok_or(error::BAD_MATCH_LEN)?).map_err(cut)?;
        reader.take(padded(length) - length).map_err(cut)?;
        Match::decode_fields(fields)
    }

    pub fn decode_fields(fields: &[u8]) -> Result<Match> {
        let (mut decoded, mut seen, mut reader) = (Match::default(), 0u64, Reader::new(fields));
        while reader.remaining() > 0 {
            let tlv = Tlv::decode(&mut reader, error::BAD_MATCH_LEN)?;
            let field = tlv.field.ok_or(error::BAD_MATCH_FIELD)?;
            let bit = 1u64 << (field.id & 63);
            if seen & bit != 0 {
                return Err(error::BAD_MATCH_DUPLICATE);
            }
            seen |= bit;
            let (value, mask) = tlv.value_and_mask(field, error::BAD_MATCH_LEN)?;
            if value & !field.ones() != 0 {
                return Err(error::BAD_MATCH_VALUE);
            }
            if mask.is_some() && !field.maskable {
                return Err(error::BAD_MATCH_MASK);
            }
            // Without a mask every bit of the place counts, so that `exact` sees a whole field; bits above `bits` are zero in a key.
            let mask = mask.unwrap_or(u128::MAX >> (128 - 8 * field.place.bytes as u32));
            if value & !mask != 0 {
                return Err(error::BAD_MATCH_WILDCARDS);
            }
            if !field.prerequisites_met(&decoded) {
                return Err(error::BAD_MATCH_PREREQUISITE);
            }
            decoded.put(field.place, value, mask);
        }
        Ok(decoded)
    }

    /// Writes the match with its padding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(TYPE_OXM.to_be_bytes());
        zeros(out, 2);
        for field in &FIELDS {
            let mask = self.mask.get(field.place);
            if mask != 0 && field.prerequisites_met(self) {
                let whole = mask & field.ones() == field.ones();
                encode_field(out, field, self.value.get(field.place), (!whole).then_some(mask));
            }
        }
        fill_length(out, start + 2, start);
        let length = out.len() - start;
        zeros(out, padded(length) - length);
    }
}

/// One OXM TLV as it stands in bytes. `field` is None for a class or field this switch does not know.
pub struct Tlv<'a> {
    pub field: Option<&'static Field>,
    has_mask: bool,
    payload: &'a [u8],
}

impl<'a> Tlv<'a> {
    pub fn decode(reader: &mut Reader<'a>, cut: Error) -> Result<Self> {
        let class = reader.u16().map_err(|_| cut)?;
        let id = reader.u8().map_err(|_| cut)?;
        let length = reader.u8().map_err(|_| cut)?;
        let payload = reader.take(usize::from(length)).map_err(|_| cut)?;
        let field = if class == CLASS_BASIC { Field::by_id(id >> 1) } else { None };
        Ok(Tlv { field, has_mask: id & 1 != 0, payload })
    }

    pub fn value_and_mask(&self, field: &Field, wrong_length: Error) -> Result<(u128, Option<u128>)> {
        let number = |bytes: &[u8]| bytes.iter().fold(0u128, |n, &byte| n << 8 | u128::from(byte));
        let bytes = field.place.bytes;
        if self.payload.len() != if self.has_mask { 2 * bytes } else { bytes } {
            return Err(wrong_length);
        }
        let (value, mask) = self.payload.split_at_checked(bytes).ok_or(wrong_length)?;
        Ok((number(value), self.has_mask.then(|| number(mask))))
    }
}

pub fn encode_field(out: &mut Vec<u8>, field: &Field, value: u128, mask: Option<u128>) {
    let bytes = field.place.bytes;
    out.extend(field.header(mask.is_some()).to_be_bytes());
    for number in std::iter::once(value).chain(mask) {
        out.extend(number.to_be_bytes().get(16 - bytes..).unwrap_or(&[]));
    }
}

#[cfg(test)]
mod tests;
