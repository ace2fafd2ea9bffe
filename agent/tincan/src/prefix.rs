//! A network: an address and how many of its leading bits count. Host bits are zero in every value of this type.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The network that `address` is in. A length longer than the address is the whole address.
    pub fn new(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { address: Ipv4Addr::from(u32::from(v4) & mask).into(), length }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { address: Ipv6Addr::from(u128::from(v6) & mask).into(), length }
            }
        }
    }

    /// "10.244.1.0/24"; None when it is something else, or has host bits.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        // "+8" and "08" are numbers to `parse`, and nobody means them.
        if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) || length.len() > 3 {
            return None;
        }
        let length: u8 = length.parse().ok()?;
        let prefix = Self::new(address, length);
        (prefix.address == address && prefix.length == length).then_some(prefix)
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn length(&self) -> u8 {
        self.length
    }

    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && Self::new(address, self.length) == *self
    }

    /// Whether all of `other` is in it; so is the network itself.
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn a_network_is_read_as_it_is_written() {
        for text in ["10.244.1.0/24", "0.0.0.0/0", "10.9.0.1/32", "fd00:10:244::/48", "::/0", "fe80::1/128"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        for text in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/+8", "10.0.0.0/008 ", "::/129", "x/8"]
        {
            assert_eq!(Prefix::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_network_covers_itself_and_what_is_in_it_of_its_own_family() {
        assert!(prefix("10.244.0.0/16").covers(&prefix("10.244.3.0/24")));
        assert!(prefix("10.244.0.0/16").covers(&prefix("10.244.0.0/16")));
        assert!(!prefix("10.244.0.0/16").covers(&prefix("10.0.0.0/8")));
        assert!(!prefix("0.0.0.0/0").covers(&prefix("fd00::/64")));
        assert!(prefix("::/0").contains("fd00::1".parse().unwrap()));
        assert!(!prefix("::/0").contains([10, 0, 0, 1].into()));
        assert!(prefix("10.9.0.1/32").contains([10, 9, 0, 1].into()));
        assert!(!prefix("10.9.0.1/32").contains([10, 9, 0, 2].into()));
        assert_eq!(Prefix::new([10, 9, 8, 7].into(), 200), prefix("10.9.8.7/32"));
    }
}
