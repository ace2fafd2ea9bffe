//! What the kernel has, as far as it matters here.

use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoData, InfoGre, InfoGre6, InfoIpTunnel,
    InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::frame::Network;
use crate::wire::Mac;

use super::inside::inside;
use super::plan::{Desired, Neighbour};
use super::request::Socket;
use super::routes::KernelRoute;
use super::sysctl::{self, Setting};
use super::NetlinkError;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Option<Mac>,
    pub mtu: u32,
    pub up: bool,
    pub running: bool,
    pub loopback: bool,
    /// The bridge it is a port of.
    pub controller: Option<u32>,
    /// Present when it is a bridge.
    pub bridge: Option<Bridge>,
    /// The link that its frames leave by, where that is fixed: of VLANs and the like, and of tunnels that were given one.
    pub below: Option<u32>,
    /// Of a tunnel: the address its packets leave with.
    pub end: Option<IpAddr>,
    /// Of VXLAN: the families and the port of the sockets by which it receives, if these are of this namespace.
    pub vxlan: Vec<(Network, u16)>,
    /// Whether the kernel makes link-local addresses by itself; None without IPv6.
    pub generates_addresses: Option<bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bridge {
    pub stp: bool,
    pub multicast_snooping: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub index: u32,
    pub address: IpAddr,
    pub prefix: u8,
    /// Duplicate address detection has not finished, or has failed.
    pub unfinished: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
    /// Permanent entries of the bridge.
    pub neighbours: Vec<Neighbour>,
    /// Of the main table.
    pub routes: Vec<KernelRoute>,
    pub sysctls: Vec<Setting>,
    pub has_ipv6: bool,
}

impl Snapshot {
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }
}

/// The machine's own addresses, and which links they tell nothing of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalAddresses {
    /// Those that peers may try, in ascending order.
    pub offered: Vec<LocalAddress>,
    /// Those of excluded links, whatever state these are in.
    pub withheld: Vec<IpAddr>,
    /// Indices of the excluded links and of the ports of excluded bridges.
    pub excluded: Vec<u32>,
    /// Names and indices of our own links.
    pub own: Vec<(String, u32)>,
    /// Indices of our own links and of those upon them, ascending: what comes by one has crossed the overlay already.
    pub inside: Vec<u32>,
    /// Where VXLAN links that are up receive, by family and UDP port.
    pub vxlan: Vec<(Network, u16)>,
    /// All of them, of whatever link.
    pub all: Vec<IpAddr>,
}

/// An address of this machine that peers may try.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalAddress {
    pub address: IpAddr,
    pub prefix: u8,
    pub interface: String,
    pub index: u32,
}

impl Socket {
    pub fn snapshot(&mut self, desired: &Desired) -> Result<Snapshot, NetlinkError> {
        let links = self.links()?;
        let bridge = links.iter().find(|link| link.name == desired.bridge).map(|link| link.index);
        let neighbours = match bridge {
            Some(index) => self.permanent_neighbours(index)?,
            None => vec![],
        };
        Ok(Snapshot {
            links,
            addresses: self.addresses()?,
            neighbours,
            routes: self.routes()?,
            sysctls: sysctl::read(&desired.bridge, &desired.taps),
            has_ipv6: sysctl::has_ipv6(),
        })
    }

    pub fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let answers = self.dump("list the links", RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => Some(link(message)),
                _ => None,
            })
            .collect())
    }

    pub fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        let answers = self.dump("list the addresses", RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewAddress(message) => address(&message),
                _ => None,
            })
            .collect())
    }

    pub fn routes(&mut self) -> Result<Vec<KernelRoute>, NetlinkError> {
        let mut routes = vec![];
        // Asked by family: for none in particular the kernel adds those of multicast routing.
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RouteMessage::default();
            request.header.address_family = family;
            for answer in self.dump("list the routes", RouteNetlinkMessage::GetRoute(request))? {
                if let RouteNetlinkMessage::NewRoute(message) = answer {
                    routes.extend(KernelRoute::of(&message));
                }
            }
        }
        Ok(routes)
    }

    fn permanent_neighbours(&mut self, index: u32) -> Result<Vec<Neighbour>, NetlinkError> {
        let answers =
            self.dump("list the neighbours", RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewNeighbour(message) if message.header.ifindex == index => neighbour(&message),
                _ => None,
            })
            .collect())
    }

    pub fn local_addresses(&mut self, own: &[&str], excluded: &[&str]) -> Result<LocalAddresses, NetlinkError> {
        let links = self.links()?;
        Ok(sort_out(&links, self.addresses()?, own, excluded))
    }

    /// By which link, and from which address, the kernel would send to `to` now; an error where it has no route.
    pub fn egress(&mut self, to: IpAddr) -> Result<Egress, NetlinkError> {
        let mut request = RouteMessage::default();
        let (family, length, address) = match to {
            IpAddr::V4(v4) => (AddressFamily::Inet, 32, RouteAddress::Inet(v4)),
            IpAddr::V6(v6) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(v6)),
        };
        request.header.address_family = family;
        request.header.destination_prefix_length = length;
        request.attributes = vec![RouteAttribute::Destination(address)];
        let what = format!("look up the route to {to}");
        let answers = self.ask(&what, RouteNetlinkMessage::GetRoute(request))?;
        let found = answers.iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => egress(message),
            _ => None,
        });
        found.ok_or(NetlinkError::Unsettled(what))
    }
}

/// The way a datagram leaves by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Egress {
    pub link: u32,
    pub source: Option<IpAddr>,
}

fn egress(message: &RouteMessage) -> Option<Egress> {
    let (mut link, mut source) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => source = Some(IpAddr::V4(*ip)),
            RouteAttribute::PrefSource(RouteAddress::Inet6(ip)) => source = Some(IpAddr::V6(*ip)),
            _ => {}
        }
    }
    Some(Egress { link: link?, source })
}

/// `own`: links of ours, whose addresses are the overlay's. A name of a bridge stands for its ports too.
fn sort_out(links: &[Link], addresses: Vec<Address>, own: &[&str], excluded: &[&str]) -> LocalAddresses {
    let named = |names: &[&str]| -> Vec<u32> {
        let links = links.iter().filter(|link| names.contains(&link.name.as_str()));
        links.map(|link| link.index).collect()
    };
    let with_ports = |bridges: Vec<u32>| -> Vec<u32> {
        let of = |link: &&Link| bridges.contains(&link.index) || link.controller.is_some_and(|b| bridges.contains(&b));
        links.iter().filter(of).map(|link| link.index).collect()
    };
    let ours = links.iter().filter(|link| own.contains(&link.name.as_str()));
    let ours = ours.map(|link| (link.name.clone(), link.index)).collect();
    let (own, excluded) = (inside(links, &addresses, own), with_ports(named(excluded)));
    let usable = |link: &&Link| link.up && link.running && !link.loopback && !own.contains(&link.index);
    let mut sorted = LocalAddresses {
        vxlan: links.iter().filter(|link| link.up).flat_map(|link| link.vxlan.iter().copied()).collect(),
        all: addresses.iter().map(|one| one.address).collect(),
        own: ours,
        ..LocalAddresses::default()
    };
    for entry in addresses {
        if excluded.contains(&entry.index) {
            sorted.withheld.push(entry.address);
            continue;
        }
        let link = links.iter().filter(usable).find(|link| link.index == entry.index);
        if let Some(link) = link.filter(|_| !entry.unfinished && is_global(entry.address)) {
            let Address { address, prefix, index, .. } = entry;
            sorted.offered.push(LocalAddress { address, prefix, interface: link.name.clone(), index });
        }
    }
    sorted.offered.sort();
    sorted.excluded = excluded;
    sorted.inside = own;
    sorted
}

fn link(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        ..Link::default()
    };
    let (mut lower, mut stacked, mut elsewhere) = (None, false, false);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Link(index) => lower = Some(index),
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = mac(&bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::Controller(index) => link.controller = Some(index),
            LinkAttribute::LinkInfo(infos) => {
                link.bridge = bridge(&infos);
                stacked = infos.iter().any(is_stacked);
                (link.below, link.end) = tunnel(&infos);
                link.vxlan = infos.iter().flat_map(vxlan).collect();
            }
            LinkAttribute::AfSpecUnspec(families) => link.generates_addresses = generates_addresses(&families),
            _ => {}
        }
    }
    // Of a veth the number is that of its peer, which may be another namespace's.
    if stacked {
        link.below = lower;
    }
    // Made in another namespace: its sockets stayed there.
    if elsewhere {
        link.vxlan.clear();
    }
    link
}

fn is_stacked(info: &LinkInfo) -> bool {
    use InfoKind::{IpVlan, IpVtap, MacVlan, MacVtap, Vlan};
    matches!(info, LinkInfo::Kind(Vlan | MacVlan | MacVtap | IpVlan | IpVtap))
}

/// The link a tunnel was given, and its own end.
fn tunnel(infos: &[LinkInfo]) -> (Option<u32>, Option<IpAddr>) {
    let (mut below, mut end) = (None, None);
    for info in infos {
        match info {
            LinkInfo::Data(InfoData::Vxlan(attributes)) => {
                for attribute in attributes {
                    match attribute {
                        InfoVxlan::Link(index) => below = Some(*index),
                        InfoVxlan::Local(ip) => end = Some(IpAddr::V4(*ip)),
                        InfoVxlan::Local6(ip) => end = Some(IpAddr::V6(*ip)),
                        _ => {}
                    }
                }
            }
            LinkInfo::Data(InfoData::IpTunnel(attributes)) => {
                end = attributes.iter().find_map(|attribute| match attribute {
                    InfoIpTunnel::Local(ip) => Some(*ip),
                    _ => None,
                });
            }
            LinkInfo::Data(InfoData::GreTap(attributes) | InfoData::GreTun(attributes)) => {
                end = attributes.iter().find_map(|attribute| match attribute {
                    InfoGre::Local(ip) => Some(IpAddr::V4(*ip)),
                    _ => None,
                });
            }
            LinkInfo::Data(InfoData::GreTap6(attributes) | InfoData::GreTun6(attributes)) => {
                end = attributes.iter().find_map(|attribute| match attribute {
                    InfoGre6::Local(ip) => Some(IpAddr::V6(*ip)),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    (below.filter(|&index| index != 0), end.filter(|ip| !ip.is_unspecified()))
}

/// The sockets that the kernel opens for a VXLAN link (`vxlan_open`): of one family, or of both where each packet says where it goes.
fn vxlan(info: &LinkInfo) -> Vec<(Network, u16)> {
    let LinkInfo::Data(InfoData::Vxlan(attributes)) = info else { return vec![] };
    let (mut port, mut v6, mut both) = (None, false, false);
    for attribute in attributes {
        match attribute {
            InfoVxlan::Port(number) => port = Some(*number),
            InfoVxlan::Local6(_) | InfoVxlan::Group6(_) => v6 = true,
            InfoVxlan::CollectMetadata(on) => both = *on,
            _ => {}
        }
    }
    let Some(port) = port else { return vec![] };
    let families = [(Network::Ipv4, both || !v6), (Network::Ipv6, both || v6)];
    families.into_iter().filter(|(_, has)| *has).map(|(family, _)| (family, port)).collect()
}

fn bridge(infos: &[LinkInfo]) -> Option<Bridge> {
    let attributes = infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Bridge(attributes)) => Some(attributes),
        _ => None,
    })?;
    let mut bridge = Bridge::default();
    for attribute in attributes {
        match attribute {
            InfoBridge::StpState(state) => bridge.stp = *state != BridgeStpState::Disabled,
            InfoBridge::MulticastSnooping(on) => bridge.multicast_snooping = *on,
            _ => {}
        }
    }
    Some(bridge)
}

fn generates_addresses(families: &[AfSpecUnspec]) -> Option<bool> {
    let inet6 = families.iter().find_map(|family| match family {
        AfSpecUnspec::Inet6(attributes) => Some(attributes),
        _ => None,
    })?;
    inet6.iter().find_map(|attribute| match attribute {
        AfSpecInet6::AddrGenMode(mode) => Some(*mode != In6AddrGenMode::None),
        _ => None,
    })
}

fn address(message: &AddressMessage) -> Option<Address> {
    // On a point-to-point link `Address` is the other end; `Local` is ours wherever it stands (rtnetlink(7)).
    let (mut local, mut other, mut flags) = (None, None, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => other = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let unfinished = flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed | AddressFlags::Deprecated);
    let optimistic = flags.contains(AddressFlags::Optimistic);
    Some(Address {
        index: message.header.index,
        address: local.or(other)?,
        prefix: message.header.prefix_len,
        unfinished: unfinished && !optimistic,
    })
}

/// A permanent entry.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    if message.header.state != NeighbourState::Permanent {
        return None;
    }
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
        _ => None,
    });
    Some(Neighbour { address: neighbour_address(message)?, mac: mac? })
}

/// Whose entry this is, permanent or not; bridges have entries of MACs besides (bridge(8)).
pub(super) fn neighbour_address(message: &NeighbourMessage) -> Option<IpAddr> {
    if !matches!(message.header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => Some(IpAddr::V4(*ip)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => Some(IpAddr::V6(*ip)),
        _ => None,
    })
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast(),
        IpAddr::V6(v6) => {
            !v6.is_loopback() && !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, controller: Option<u32>) -> Link {
        Link { index, name: name.into(), up: true, running: true, controller, ..Link::default() }
    }

    fn address(index: u32, text: &str) -> Address {
        Address { index, address: text.parse().unwrap(), prefix: 24, unfinished: false }
    }

    fn shown(found: &[LocalAddress]) -> Vec<String> {
        found.iter().map(|one| format!("{} {}", one.address, one.interface)).collect()
    }

    #[test]
    fn addresses_of_excluded_links_and_of_the_ports_of_excluded_bridges_are_withheld_and_the_rest_is_offered() {
        let links = [
            link(2, "eth0", None),
            link(3, "docker0", None),
            link(4, "veth1", Some(3)),
            link(5, "evio0", None),
            link(6, "evc1", Some(5)),
        ];
        let addresses = || {
            vec![
                address(2, "192.0.2.9"),
                address(3, "172.17.0.1"),
                address(4, "172.18.0.1"),
                address(5, "10.69.0.1"),
                address(6, "10.70.0.1"),
            ]
        };
        let found = sort_out(&links, addresses(), &["evio0"], &["docker0", "flannel.1"]);
        assert_eq!(shown(&found.offered), ["192.0.2.9 eth0"]);
        assert_eq!(found.withheld.iter().map(ToString::to_string).collect::<Vec<_>>(), ["172.17.0.1", "172.18.0.1"]);
        assert_eq!(found.excluded, [3, 4]);
        let found = sort_out(&links, addresses(), &["evio0"], &[]);
        assert_eq!(shown(&found.offered), ["172.17.0.1 docker0", "172.18.0.1 veth1", "192.0.2.9 eth0"]);
        assert_eq!((found.withheld.len(), found.excluded.len()), (0, 0));
    }

    #[test]
    fn a_name_excludes_the_link_of_that_name_and_no_other() {
        let links = [link(2, "eth0", None), link(3, "eth01", None), link(4, "Eth0", None), link(5, "eth0.5", None)];
        let addresses = (2..6).map(|index| address(index, &format!("192.0.2.{index}"))).collect();
        let found = sort_out(&links, addresses, &[], &["eth0"]);
        assert_eq!(shown(&found.offered), ["192.0.2.3 eth01", "192.0.2.4 Eth0", "192.0.2.5 eth0.5"]);
    }

    #[test]
    fn an_address_of_an_excluded_link_is_withheld_though_it_cannot_be_used_now() {
        let down = Link { up: false, ..link(3, "docker0", None) };
        let unfinished = Address { unfinished: true, ..address(3, "172.17.0.1") };
        let found = sort_out(&[down], vec![unfinished], &[], &["docker0"]);
        assert_eq!((found.withheld.len(), found.excluded), (1, vec![3]));
    }
}
