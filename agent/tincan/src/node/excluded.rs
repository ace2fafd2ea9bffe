//! Interfaces that this node is not to use (docs/wire.md §10.1, `excludeInterfaces`): none of their addresses is offered, and nothing
//! leaves by them. What leaves by which link is the kernel's to say; what follows from that is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Node;
use crate::io::netlink::{Egress, LocalAddresses};
use crate::log;
use crate::session::Now;
use crate::tunnel::{eligible, Via};

/// Answers of the kernel that are kept until the next look; with more of them all are forgotten (strangers' addresses are asked after
/// too).
const JUDGED_MAX: usize = 1_024;

#[derive(Default)]
pub struct Excluded {
    names: Vec<String>,
    links: Vec<u32>,
    addresses: BTreeSet<IpAddr>,
    /// Whether a datagram to that address may leave, as the routes were at the last look.
    judged: BTreeMap<IpAddr, bool>,
}

impl Excluded {
    pub fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), ..Self::default() }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether anything is excluded at all: who excludes nothing pays for nothing.
    pub fn any(&self) -> bool {
        !self.names.is_empty()
    }

    /// Other names than before? The links behind them are looked for afterwards.
    fn set(&mut self, names: &[String]) -> bool {
        let changed = self.names != names;
        self.names = names.to_vec();
        changed
    }

    /// What the names stand for now. Routes may have changed as well: the kernel is asked anew.
    pub fn found(&mut self, local: &LocalAddresses) {
        self.links = local.excluded.clone();
        self.addresses = local.withheld.iter().map(IpAddr::to_canonical).collect();
        self.judged.clear();
    }

    /// An address of this machine that nobody is told.
    pub fn withholds(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether a datagram to `to` may leave; `egress` asks the kernel by which way it would. What has no way is not ours to refuse.
    pub fn permits(&mut self, to: IpAddr, egress: impl FnOnce(IpAddr) -> Option<Egress>) -> bool {
        if self.links.is_empty() {
            return true;
        }
        if let Some(&permitted) = self.judged.get(&to) {
            return permitted;
        }
        let permitted = egress(to).is_none_or(|egress| !self.is_by_excluded(&egress));
        if self.judged.len() >= JUDGED_MAX {
            self.judged.clear();
        }
        self.judged.insert(to, permitted);
        permitted
    }

    /// By its link; or by its source, where a route by another link names an address of an excluded one.
    fn is_by_excluded(&self, egress: &Egress) -> bool {
        self.links.contains(&egress.link) || egress.source.is_some_and(|source| self.withholds(source))
    }
}

impl Node {
    /// Whether a datagram to this address may leave: by its route it does not leave by an excluded interface.
    pub(super) fn may_send(&mut self, to: SocketAddr) -> bool {
        let Node { excluded, netlink, .. } = self;
        excluded.permits(to.ip().to_canonical(), |ip| netlink.egress(ip).ok())
    }

    /// The same for an answer, which is counted when it stays away.
    pub(super) fn may_answer(&mut self, to: SocketAddr) -> bool {
        let may = self.may_send(to);
        if !may {
            self.counters.add("excludedInterface");
        }
        may
    }

    /// Whether a probe may go to an address that a peer named, or that something of it came from.
    pub(super) fn may_probe(&mut self, address: SocketAddr) -> bool {
        eligible(address, &self.overlay_subnets()) && !self.is_own(address) && self.may_send(address)
    }

    /// From now on these interfaces are not used, and others are again.
    pub(super) fn exclude(&mut self, names: &[String], now: Now) {
        if !self.excluded.set(names) {
            return;
        }
        log!(Info, "excluded interfaces", names = names.join(","));
        self.gather(now);
        // Without a name left the look above had nothing to judge.
        self.judge_ways(now);
    }

    /// Gives up the ways that lead out by an excluded interface, and takes up those that no longer do: of tunnels and to STUN servers.
    pub(super) fn judge_ways(&mut self, now: Now) {
        for port in self.tunnels.ports() {
            let Some(tunnel) = self.tunnels.get(port) else { continue };
            let current = tunnel.paths.current();
            let known: Vec<SocketAddr> = tunnel.paths.candidates().map(|(address, _)| address).collect();
            let barred: Vec<SocketAddr> = known.into_iter().filter(|&address| !self.may_send(address)).collect();
            if !barred.is_empty() {
                self.on_paths(port, now, |paths, now, out| paths.forbid(&barred, now, out));
            }
            self.probe_named(port, now);
            let Some(tunnel) = self.tunnels.get_mut(port) else { continue };
            if barred.iter().any(|&address| current == Some(Via::Direct(address))) {
                // Seen by a way that is none any more.
                tunnel.observed = None;
            }
        }
        self.choose_stun(now);
    }

    /// Hands the tunnel's machine those of the addresses its peer named that may be probed, when these are others than before.
    pub(super) fn probe_named(&mut self, port: u32, now: Now) {
        let Some(tunnel) = self.tunnels.get(port) else { return };
        let named = tunnel.named.clone();
        let allowed: Vec<SocketAddr> = named.into_iter().filter(|&address| self.may_probe(address)).collect();
        let Some(tunnel) = self.tunnels.get_mut(port) else { return };
        if tunnel.allowed != allowed {
            tunnel.allowed = allowed.clone();
            self.on_paths(port, now, |paths, now, out| paths.set_candidates(&allowed, now, out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNDERLAY: u32 = 2;
    const VXLAN: u32 = 7;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn by(link: u32, source: &str) -> Option<Egress> {
        Some(Egress { link, source: Some(ip(source)) })
    }

    fn excluded() -> Excluded {
        let mut excluded = Excluded::new(&["flannel.1".into()]);
        excluded.found(&LocalAddresses {
            offered: vec![],
            withheld: vec![ip("10.42.0.0"), ip("fd42::1")],
            excluded: vec![VXLAN],
            ..LocalAddresses::default()
        });
        excluded
    }

    #[test]
    fn what_would_leave_by_an_excluded_link_or_from_its_address_does_not_leave() {
        let mut excluded = excluded();
        assert!(excluded.permits(ip("192.0.2.1"), |_| by(UNDERLAY, "192.0.2.9")));
        assert!(!excluded.permits(ip("10.42.1.0"), |_| by(VXLAN, "10.42.0.0")));
        assert!(!excluded.permits(ip("10.42.2.0"), |_| by(VXLAN, "192.0.2.9")), "a route with a source of its own");
        assert!(!excluded.permits(ip("10.42.3.0"), |_| by(UNDERLAY, "10.42.0.0")));
        assert!(!excluded.permits(ip("fd42::9"), |_| by(UNDERLAY, "fd42::1")));
    }

    #[test]
    fn what_has_no_route_is_left_to_the_kernel_to_refuse() {
        assert!(excluded().permits(ip("192.0.2.1"), |_| None));
    }

    #[test]
    fn names_without_a_link_bar_nothing_and_ask_nothing() {
        let mut excluded = Excluded::new(&["docker0".into()]);
        assert!(excluded.any());
        excluded.found(&LocalAddresses::default());
        assert!(excluded.permits(ip("192.0.2.1"), |_| panic!("the kernel was asked")));
    }

    #[test]
    fn an_answer_of_the_kernel_holds_until_the_next_look() {
        let mut excluded = excluded();
        let to = ip("192.0.2.1");
        assert!(!excluded.permits(to, |_| by(VXLAN, "10.42.0.0")));
        assert!(!excluded.permits(to, |_| panic!("asked again")));
        excluded.found(&LocalAddresses { excluded: vec![VXLAN], ..LocalAddresses::default() });
        assert!(excluded.permits(to, |_| by(UNDERLAY, "192.0.2.9")));
    }

    #[test]
    fn ever_other_addresses_take_no_more_than_so_much_memory() {
        let mut excluded = excluded();
        for number in 0..10_000u32 {
            excluded.permits(IpAddr::V4(number.into()), |_| by(UNDERLAY, "192.0.2.9"));
            assert!(excluded.judged.len() <= JUDGED_MAX);
        }
    }

    #[test]
    fn the_same_names_again_are_no_change() {
        let mut excluded = excluded();
        assert!(!excluded.set(&["flannel.1".into()]));
        assert!(excluded.set(&["flannel.1".into(), "docker0".into()]));
        assert!(excluded.set(&[]));
        assert!(!excluded.any());
    }
}
