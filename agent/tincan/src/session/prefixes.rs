//! Which member has which prefix routed behind it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::prefix::Prefix;
use crate::wire::{Certificate, Label};

#[derive(Default)]
pub struct Prefixes {
    owners: HashMap<Prefix, Label>,
    /// How many there are of each length, by family: few lengths are in use, so few are looked up.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl Prefixes {
    /// Of two members with one prefix the later one has it.
    pub fn insert(&mut self, certificate: &Certificate, label: Label) {
        for prefix in routed(certificate) {
            if self.owners.insert(prefix, label).is_none() {
                *self.lengths.entry(kind(&prefix)).or_default() += 1;
            }
        }
    }

    pub fn remove(&mut self, certificate: &Certificate, label: Label) {
        for prefix in routed(certificate) {
            if self.owners.get(&prefix) != Some(&label) {
                continue;
            }
            self.owners.remove(&prefix);
            if let Some(count) = self.lengths.get_mut(&kind(&prefix)) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&kind(&prefix));
                }
            }
        }
    }

    /// By the longest prefix the address is in.
    pub fn owner(&self, address: IpAddr) -> Option<Label> {
        let mut of_family = self.lengths.keys().rev().filter(|(v4, _)| *v4 == address.is_ipv4());
        of_family.find_map(|&(_, length)| self.owners.get(&Prefix::new(address, length)).copied())
    }
}

fn kind(prefix: &Prefix) -> (bool, u8) {
    (prefix.is_ipv4(), prefix.length())
}

fn routed(certificate: &Certificate) -> impl Iterator<Item = Prefix> + '_ {
    let v4 = certificate.routed_ipv4.iter().map(|&(ip, length)| Prefix::new(ip.into(), length));
    v4.chain(certificate.routed_ipv6.iter().map(|&(ip, length)| Prefix::new(ip.into(), length)))
}

/// Whether an address is one of the node's own, or in a prefix behind it.
pub fn holds(certificate: &Certificate, address: IpAddr) -> bool {
    let own = match address {
        IpAddr::V4(v4) => certificate.ipv4.iter().any(|(ip, _)| *ip == v4),
        IpAddr::V6(v6) => certificate.ipv6.iter().any(|(ip, _)| *ip == v6),
    };
    own || routed(certificate).any(|prefix| prefix.contains(address))
}
