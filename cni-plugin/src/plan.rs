//! Which addresses a node can give, which one is next, and what a pod gets with them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Mode, Subnet};
use crate::net::{number, Cidr, Family};

/// The next hop of a pod where the node has no overlay address of the family: nobody has it, the neighbour entry leads to the node.
const NO_NODE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const NO_NODE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
/// The highest 128 interface identifiers of a subnet are anycast (RFC 2526).
const ANYCAST: u128 = 128;

/// The addresses pods may have. The network's own, the first one (a gateway by custom, and ours when flat) and IPv4's broadcast stay out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    family: Family,
    first: u128,
    last: u128,
}

impl Pool {
    pub fn of(subnet: &Cidr) -> Result<Self, String> {
        let family = subnet.family();
        let (low, high) = subnet.range();
        let kept = match family {
            Family::V6 if high - low >= 2 * ANYCAST => ANYCAST,
            Family::V6 => 0,
            Family::V4 => 1,
        };
        let (first, last) = (low.saturating_add(2), high.saturating_sub(kept));
        if first > last {
            return Err(format!("{subnet} is too small to have an address for a pod"));
        }
        Ok(Self { family, first, last })
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn size(&self) -> u128 {
        self.last - self.first + 1
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family && (self.first..=self.last).contains(&number(address))
    }

    /// The address after `last`, round about; the first one when there is no last.
    pub fn after(&self, last: Option<IpAddr>) -> IpAddr {
        let next = last.filter(|last| self.contains(*last)).map_or(self.first, |last| self.following(number(last)));
        self.family.address(next)
    }

    /// The first free address from `start` on, round about.
    pub fn free(&self, start: IpAddr, used: &BTreeSet<IpAddr>) -> Option<IpAddr> {
        let mut candidate = if self.contains(start) { number(start) } else { self.first };
        // Among more addresses than are used one is free.
        let tries = self.size().min(used.len() as u128 + 1);
        for _ in 0..tries {
            let address = self.family.address(candidate);
            if !used.contains(&address) {
                return Some(address);
            }
            candidate = self.following(candidate);
        }
        None
    }

    fn following(&self, number: u128) -> u128 {
        if number >= self.last {
            self.first
        } else {
            number + 1
        }
    }
}

/// One address of a pod and where it sends what is not near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodAddress {
    pub cidr: Cidr,
    pub gateway: IpAddr,
}

/// What a pod gets with `addresses`, one per subnet and in that order.
pub fn pod_addresses(mode: Mode, subnets: &[Subnet], addresses: &[IpAddr]) -> Vec<PodAddress> {
    subnets
        .iter()
        .zip(addresses)
        .map(|(subnet, address)| {
            let family = Family::of(*address);
            let (prefix, gateway) = match mode {
                Mode::Routed => (family.bits(), subnet.node.unwrap_or(no_node(family))),
                Mode::Flat => {
                    let bridge = bridge_address(subnet);
                    (bridge.prefix, bridge.address)
                }
            };
            PodAddress { cidr: Cidr { address: *address, prefix }, gateway }
        })
        .collect()
}

fn no_node(family: Family) -> IpAddr {
    match family {
        Family::V4 => NO_NODE_V4,
        Family::V6 => NO_NODE_V6,
    }
}

/// Flat: the bridge has the first address of the node's subnet, in the network of all pods.
pub fn bridge_address(subnet: &Subnet) -> Cidr {
    let (low, _) = subnet.cidr.range();
    let prefix = subnet.pods.map_or(subnet.cidr.prefix, |pods| pods.prefix);
    Cidr { address: subnet.cidr.family().address(low.saturating_add(1)), prefix }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool(text: &str) -> Pool {
        Pool::of(&Cidr::network(text).unwrap()).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_pool_leaves_out_the_network_the_gateway_and_the_broadcast() {
        let v4 = pool("10.244.3.0/24");
        assert_eq!(v4.size(), 253);
        assert_eq!((v4.after(None), v4.after(Some(ip("10.244.3.254")))), (ip("10.244.3.2"), ip("10.244.3.2")));
        assert!(!v4.contains(ip("10.244.3.1")) && !v4.contains(ip("10.244.3.255")) && !v4.contains(ip("::1")));
        let v6 = pool("fd00::/64");
        assert_eq!(v6.after(None), ip("fd00::2"));
        assert!(!v6.contains(ip("fd00::ffff:ffff:ffff:ff80")) && v6.contains(ip("fd00::ffff:ffff:ffff:ff7f")));
        assert_eq!(pool("10.0.0.0/30").size(), 1);
        assert_eq!(pool("fd00::/126").size(), 2);
        for small in ["10.0.0.0/31", "10.0.0.0/32", "fd00::/127", "fd00::/128"] {
            assert!(Pool::of(&Cidr::network(small).unwrap()).is_err(), "{small}");
        }
        assert!(pool("0.0.0.0/0").size() > 1 << 31);
        assert!(pool("::/0").size() > 1 << 100);
    }

    #[test]
    fn an_address_of_another_pool_starts_at_the_beginning() {
        assert_eq!(pool("10.0.0.0/24").after(Some(ip("10.0.1.7"))), ip("10.0.0.2"));
        assert_eq!(pool("10.0.0.0/24").free(ip("fd00::1"), &BTreeSet::new()), Some(ip("10.0.0.2")));
    }

    fn subnet(cidr: &str, node: Option<&str>, pods: Option<&str>) -> Subnet {
        let cidr = Cidr::network(cidr).unwrap();
        let pods = pods.map(|pods| Cidr::network(pods).unwrap());
        Subnet { cidr, node: node.map(ip), pods, pool: Pool::of(&cidr).unwrap(), requested: None }
    }

    #[test]
    fn routed_pods_have_host_addresses_and_the_node_as_next_hop() {
        let subnets = [subnet("10.244.3.0/24", Some("10.45.0.4"), None), subnet("fd00::/64", None, None)];
        let pod = pod_addresses(Mode::Routed, &subnets, &[ip("10.244.3.5"), ip("fd00::5")]);
        assert_eq!((pod[0].cidr.to_string().as_str(), pod[0].gateway), ("10.244.3.5/32", ip("10.45.0.4")));
        assert_eq!((pod[1].cidr.to_string().as_str(), pod[1].gateway), ("fd00::5/128", ip("fe80::1")));
    }

    #[test]
    fn flat_pods_are_in_the_network_of_all_pods() {
        let subnets = [subnet("10.244.3.0/24", Some("10.45.0.4"), Some("10.244.0.0/16"))];
        let pod = pod_addresses(Mode::Flat, &subnets, &[ip("10.244.3.5")]);
        assert_eq!((pod[0].cidr.to_string().as_str(), pod[0].gateway), ("10.244.3.5/16", ip("10.244.3.1")));
        assert_eq!(bridge_address(&subnets[0]).to_string(), "10.244.3.1/16");
    }

    proptest! {
        /// Against the naive way: all addresses in a row.
        #[test]
        fn the_next_free_address_is_the_naive_one(prefix in 26u8..=30, used: Vec<u8>, start: u8) {
            let pool = Pool::of(&Cidr::network(&format!("10.0.0.0/{prefix}")).unwrap()).unwrap();
            let used: BTreeSet<IpAddr> = used.into_iter().map(|low| IpAddr::from([10, 0, 0, low])).collect();
            let start = IpAddr::from([10, 0, 0, start]);
            let all: Vec<IpAddr> = (0..=255).map(|low| IpAddr::from([10, 0, 0, low])).filter(|a| pool.contains(*a)).collect();
            let from = all.iter().position(|address| *address == start).unwrap_or(0);
            let naive = all.iter().cycle().skip(from).take(all.len()).find(|address| !used.contains(*address)).copied();
            prop_assert_eq!(pool.free(start, &used), naive);
        }
    }
}
