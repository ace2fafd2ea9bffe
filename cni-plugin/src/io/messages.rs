//! What is said to the kernel and read from it, as values.

use std::net::IpAddr;
use std::os::fd::RawFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::net::{Cidr, Family, Mac};

use super::netlink::Request;

/// One link as it is.
#[derive(Debug, Clone)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub is_up: bool,
    /// The kernel has seen that the other end is up, and lets packets out.
    pub is_ready: bool,
    pub is_bridge: bool,
    pub is_veth: bool,
    pub mac: Option<Mac>,
    pub alias: Option<String>,
    /// The bridge it is a port of.
    pub controller: Option<u32>,
    /// The index of the other end, in whatever namespace that is.
    pub peer: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Route {
    pub destination: Cidr,
    pub gateway: Option<IpAddr>,
    pub output: Option<u32>,
}

/// Both ends of a pair, the pod's at its place and with its name at once.
pub struct Pair<'a> {
    pub host: &'a str,
    pub host_mac: Mac,
    pub pod: &'a str,
    pub pod_mac: Mac,
    pub netns: RawFd,
    pub mtu: u32,
}

pub fn create_pair(pair: &Pair<'_>) -> Request {
    let end = |name: &str, mac: Mac| {
        vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::Mtu(pair.mtu),
        ]
    };
    let mut pod = LinkMessage::default();
    pod.attributes = end(pair.pod, pair.pod_mac);
    pod.attributes.push(LinkAttribute::NetNsFd(pair.netns));
    let mut host = LinkMessage::default();
    host.attributes = end(pair.host, pair.host_mac);
    host.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(pod))),
    ]));
    let what = format!("make the link pair {} and {} of the pod", pair.host, pair.pod);
    Request { what, message: RouteNetlinkMessage::NewLink(host), flags: NLM_F_CREATE | NLM_F_EXCL, forgiven: 0 }
}

pub fn get_link(name: &str) -> Request {
    let message = RouteNetlinkMessage::GetLink(named(name, vec![]));
    Request { what: format!("look at {name}"), message, flags: 0, forgiven: 0 }
}

pub fn delete_link(name: &str) -> Request {
    let message = RouteNetlinkMessage::DelLink(named(name, vec![]));
    Request { what: format!("remove {name}"), message, flags: 0, forgiven: 0 }
}

/// `ip link` shows the alias.
pub fn set_alias(name: &str, alias: &str) -> Request {
    set(name, "name the owner of", LinkAttribute::IfAlias(alias.to_owned()))
}

/// A host end needs no address of its own: it announces nothing, and waits for no duplicate address detection.
pub fn no_link_local(name: &str) -> Request {
    let inet6 = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    set(name, "keep IPv6 addresses off", LinkAttribute::AfSpecUnspec(vec![inet6]))
}

pub fn attach(name: &str, bridge: u32) -> Request {
    set(name, "put on the bridge", LinkAttribute::Controller(bridge))
}

/// A port of the bridge gives nothing back by where it came in, but for this: a pod that asks a Service is answered by itself at times.
pub fn hairpin(name: &str) -> Request {
    let port = InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)]);
    let info = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(port)];
    // RTM_SETLINK leaves settings of ports alone (net/core/rtnetlink.c).
    let message = RouteNetlinkMessage::NewLink(named(name, vec![LinkAttribute::LinkInfo(info)]));
    Request { what: format!("let packets turn back at {name}"), message, flags: 0, forgiven: 0 }
}

pub fn set_up(name: &str) -> Request {
    let mut message = named(name, vec![]);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    Request { what: format!("set {name} up"), message: RouteNetlinkMessage::SetLink(message), flags: 0, forgiven: 0 }
}

/// Without duplicate address detection: the store says whose the address is (IFA_F_NODAD, `linux/if_addr.h`).
pub fn add_address(index: u32, link: &str, cidr: &Cidr) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = family(cidr.family());
    message.header.prefix_len = cidr.prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(cidr.address), AddressAttribute::Address(cidr.address)];
    if cidr.family() == Family::V6 {
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    let what = format!("add the address {cidr} to {link}");
    Request {
        what,
        message: RouteNetlinkMessage::NewAddress(message),
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        forgiven: 0,
    }
}

pub fn add_neighbour(index: u32, address: IpAddr, mac: Mac) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = family(Family::of(address));
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes =
        vec![NeighbourAttribute::Destination(address.into()), NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
    let what = format!("add the neighbour {address} at {mac}");
    Request {
        what,
        message: RouteNetlinkMessage::NewNeighbour(message),
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        forgiven: 0,
    }
}

/// The pod's default route; on link, where its gateway is in no network of the pod. One by another interface of the pod stays.
pub fn add_default_route(index: u32, gateway: IpAddr, on_link: bool) -> Request {
    let mut message = route_message(&Family::of(gateway).everything(), index);
    message.header.scope = RouteScope::Universe;
    if on_link {
        message.header.flags = RouteFlags::Onlink;
    }
    message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    let what = format!("add the default route via {gateway}");
    Request {
        what,
        message: RouteNetlinkMessage::NewRoute(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        forgiven: libc::EEXIST,
    }
}

/// The node's route to a pod. Without a preferred source: routes that have one go when that address does (fib_sync_down_addr),
/// and the bridge's may come and go. One that a pod before left is replaced.
pub fn add_host_route(index: u32, address: IpAddr) -> Request {
    let cidr = Cidr { address, prefix: Family::of(address).bits() };
    let mut message = route_message(&cidr, index);
    message.header.scope = if address.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    let what = format!("add the route to {address}");
    Request { what, message: RouteNetlinkMessage::NewRoute(message), flags: NLM_F_CREATE | NLM_F_REPLACE, forgiven: 0 }
}

pub fn get_addresses() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetAddress(AddressMessage::default())
}

pub fn get_routes(of: Family) -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(of);
    RouteNetlinkMessage::GetRoute(message)
}

pub fn get_route(address: IpAddr) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family(Family::of(address));
    message.header.destination_prefix_length = Family::of(address).bits();
    message.attributes = vec![RouteAttribute::Destination(address.into())];
    Request {
        what: format!("look up {address}"),
        message: RouteNetlinkMessage::GetRoute(message),
        flags: 0,
        forgiven: 0,
    }
}

pub fn link(part: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = part else { return None };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        is_up: message.header.flags.contains(LinkFlags::Up),
        is_ready: false,
        is_bridge: false,
        is_veth: false,
        mac: None,
        alias: None,
        controller: None,
        peer: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::OperState(state) => link.is_ready = *state == State::Up,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok().map(Mac),
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::Link(index) => link.peer = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                link.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
                link.is_veth = infos.contains(&LinkInfo::Kind(InfoKind::Veth));
            }
            _ => {}
        }
    }
    Some(link)
}

pub fn address_of(part: &RouteNetlinkMessage, index: u32) -> Option<Cidr> {
    let RouteNetlinkMessage::NewAddress(message) = part else { return None };
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => found = Some(*address),
            AddressAttribute::Address(address) if found.is_none() => found = Some(*address),
            _ => {}
        }
    }
    let prefix = message.header.prefix_len;
    found.filter(|_| message.header.index == index).map(|address| Cidr { address, prefix })
}

pub fn route(part: &RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = part else { return None };
    let of = match message.header.address_family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return None,
    };
    if message.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let mut route = Route { destination: of.everything(), gateway: None, output: output_of(part) };
    route.destination.prefix = message.header.destination_prefix_length;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination.address = ip(address)?,
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            _ => {}
        }
    }
    Some(route)
}

pub fn output_of(part: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewRoute(message) = part else { return None };
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn set(name: &str, what: &str, attribute: LinkAttribute) -> Request {
    let message = RouteNetlinkMessage::SetLink(named(name, vec![attribute]));
    Request { what: format!("{what} {name}"), message, flags: 0, forgiven: 0 }
}

/// A message about the link of this name: the kernel looks at the name where the index is 0.
fn named(name: &str, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    message.attributes.extend(attributes);
    message
}

fn route_message(destination: &Cidr, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(destination.family());
    message.header.destination_prefix_length = destination.prefix;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Oif(index)];
    if destination.prefix > 0 {
        message.attributes.push(RouteAttribute::Destination(destination.address.into()));
    }
    message
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

fn family(of: Family) -> AddressFamily {
    match of {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
