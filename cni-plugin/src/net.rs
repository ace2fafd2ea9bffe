//! Addresses, prefixes and MACs as values.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The prefix of everything: where the default route goes to.
    pub fn everything(self) -> Cidr {
        let address = match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Cidr { address, prefix: 0 }
    }

    /// Back from [`number`]; what does not fit 32 bits is cut for IPv4.
    pub fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from((number & u128::from(u32::MAX)) as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if *self == Self::V4 { "IPv4" } else { "IPv6" })
    }
}

/// An address as a number, so that pools are ranges.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Cidr {
    /// `10.244.3.7/24`: host bits may be set.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no ADDRESS/PREFIX");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix = prefix.parse().map_err(|_| wrong())?;
        if prefix > Family::of(address).bits() {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }

    /// `10.244.3.0/24`: host bits must not be set.
    pub fn network(text: &str) -> Result<Self, String> {
        let cidr = Self::parse(text)?;
        if number(cidr.address) & cidr.host_mask() != 0 {
            return Err(format!("{text:?} has host bits set, did you mean {}?", cidr.base()));
        }
        Ok(cidr)
    }

    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    fn host_mask(&self) -> u128 {
        let bits = self.family().bits().saturating_sub(self.prefix);
        1u128.checked_shl(u32::from(bits)).map_or(u128::MAX, |above| above - 1)
    }

    /// The same network with the host bits cleared.
    pub fn base(&self) -> Self {
        let address = self.family().address(number(self.address) & !self.host_mask());
        Self { address, prefix: self.prefix }
    }

    /// First and last address as numbers.
    pub fn range(&self) -> (u128, u128) {
        let first = number(self.base().address);
        (first, first | self.host_mask())
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, last) = self.range();
        Family::of(address) == self.family() && (first..=last).contains(&number(address))
    }

    pub fn contains_network(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && self.contains(other.address)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.split(':').map(|part| u8::from_str_radix(part, 16).ok());
        let mut mac = [0; 6];
        for byte in &mut mac {
            *byte = bytes.next()??;
        }
        bytes.next().is_none().then_some(Self(mac))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_covers_its_range_and_nothing_else() {
        let cidr = Cidr::network("10.244.3.0/24").unwrap();
        assert!(cidr.contains([10, 244, 3, 255].into()) && !cidr.contains([10, 244, 4, 0].into()));
        assert!(!cidr.contains("::10.244.3.1".parse().unwrap()));
        assert!(Cidr::network("10.244.0.0/16").unwrap().contains_network(&cidr));
        assert!(!cidr.contains_network(&Cidr::network("10.244.0.0/16").unwrap()));
        assert!(Cidr::network("::/0").unwrap().contains("ffff::1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_prefix_is_named() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129", "x/8", "10.0.0.0/8/8"] {
            assert!(Cidr::network(text).unwrap_err().contains("ADDRESS/PREFIX"), "{text}");
        }
        assert!(Cidr::network("10.0.0.7/24").unwrap_err().contains("10.0.0.0/24"));
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_are_inverse(v4: u32, v6: u128) {
            prop_assert_eq!(number(Family::V4.address(u128::from(v4))), u128::from(v4));
            prop_assert_eq!(number(Family::V6.address(v6)), v6);
        }

        #[test]
        fn a_mac_reads_as_it_prints(bytes: [u8; 6]) {
            prop_assert_eq!(Mac::parse(&Mac(bytes).to_string()), Some(Mac(bytes)));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC*") {
            let _ = (Cidr::network(&text), Mac::parse(&text));
        }
    }
}
