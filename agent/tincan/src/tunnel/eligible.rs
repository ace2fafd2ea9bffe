//! Which addresses a probe may ever go to (wire.md §6.4): a peer lists its candidates itself, so without this rule any
//! member could make us send datagrams to loopback services, whole links, or the overlay that the tunnel itself carries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address prefix, by the address and the number of leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Subnet {
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32u32.saturating_sub(u32::from(self.prefix));
                (u32::from(net) ^ u32::from(ip)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let shift = 128u32.saturating_sub(u32::from(self.prefix));
                (u128::from(net) ^ u128::from(ip)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// May a probe go to this address? IPv4-mapped addresses are judged as the IPv4 address they stand for.
pub fn eligible(address: SocketAddr, overlay: &[Subnet]) -> bool {
    if address.port() == 0 {
        return false;
    }
    let ip = address.ip().to_canonical();
    let allowed = match ip {
        IpAddr::V4(ip) => eligible_v4(ip),
        IpAddr::V6(ip) => eligible_v6(ip),
    };
    allowed && !overlay.iter().any(|subnet| subnet.contains(ip))
}

fn eligible_v4(ip: Ipv4Addr) -> bool {
    // 0/8 is "this network" (RFC 1122 §3.2.1.3); 240/4 is reserved and ends with limited broadcast.
    !(ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.octets()[0] == 0 || ip.octets()[0] >= 240)
}

fn eligible_v6(ip: Ipv6Addr) -> bool {
    let link_local = ip.segments()[0] & 0xffc0 == 0xfe80;
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local)
}

/// An address of a private network: RFC 1918, RFC 6598 and RFC 4193.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.segments()[0] & 0xfe00 == 0xfc00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> bool {
        let overlay = [
            Subnet { address: "10.10.0.0".parse().unwrap(), prefix: 16 },
            Subnet { address: "fd45::".parse().unwrap(), prefix: 64 },
        ];
        eligible(text.parse().unwrap(), &overlay)
    }

    #[test]
    fn ordinary_addresses_may_be_probed() {
        for address in ["192.168.1.2:20000", "198.51.100.7:1", "100.64.3.3:9", "[2001:db8::1]:20000", "[fd00::1]:5"] {
            assert!(ok(address), "{address}");
        }
    }

    #[test]
    fn addresses_that_must_never_be_probed_are_refused() {
        for address in [
            "127.0.0.1:20000",
            "0.0.0.0:20000",
            "0.1.2.3:20000",
            "169.254.1.1:20000",
            "224.0.0.1:20000",
            "255.255.255.255:20000",
            "240.0.0.1:20000",
            "192.168.1.2:0",
            "10.10.3.4:20000",
            "[::1]:20000",
            "[::]:20000",
            "[fe80::1]:20000",
            "[ff02::1]:20000",
            "[fd45::7]:20000",
            "[::ffff:127.0.0.1]:20000",
            "[::ffff:10.10.0.1]:20000",
        ] {
            assert!(!ok(address), "{address}");
        }
    }

    #[test]
    fn a_prefix_of_zero_holds_every_address_of_its_family_and_none_of_the_other() {
        let all = Subnet { address: "0.0.0.0".parse().unwrap(), prefix: 0 };
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
    }
}
