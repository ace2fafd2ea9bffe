//! Routes to the prefixes behind other members, and the one that keeps packets to pods that do not exist from leaving by the default
//! route. What to change is decided here; pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::AddressFamily;

use super::plan::{Change, Desired};
use super::snapshot::Snapshot;
use crate::prefix::Prefix;

/// Who made a route: "E", in no list of such numbers that is known (`rt_protos` of iproute2).
pub const PROTOCOL: u8 = 69;

/// With the protocol it tells the routes of one node's bridge from all others, also of another overlay on the same machine. So high
/// that every route somebody else has to the same prefix goes first.
pub fn metric_of(bridge: &str) -> u32 {
    // FNV-1a, folded; above it stands "EV".
    let hash = bridge.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    0x4556_0000 | ((hash >> 16) ^ (hash & 0xffff))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub to: Prefix,
    /// The member's address on the bridge. None: what has no more specific route (a pod's) is unreachable.
    pub via: Option<IpAddr>,
}

/// A route of the kernel's main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRoute {
    pub to: Prefix,
    pub via: Option<IpAddr>,
    pub link: Option<u32>,
    pub kind: RouteType,
    pub protocol: u8,
    pub metric: u32,
}

impl KernelRoute {
    /// None: in another table, or of a kind that is no route to anywhere (local and broadcast addresses).
    pub(super) fn of(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let any: IpAddr = match header.address_family {
            AddressFamily::Inet => [0; 4].into(),
            AddressFamily::Inet6 => [0; 16].into(),
            _ => return None,
        };
        let routes = [RouteType::Unicast, RouteType::BlackHole, RouteType::Unreachable, RouteType::Prohibit];
        if header.table != RouteHeader::RT_TABLE_MAIN
            || header.flags.contains(RouteFlags::Cloned)
            || !routes.contains(&header.kind)
        {
            return None;
        }
        let (mut to, mut via, mut link, mut metric) = (any, None, None, 0);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => to = ip(address)?,
                RouteAttribute::Gateway(address) => via = ip(address),
                RouteAttribute::Via(RouteVia::Inet(address)) => via = Some(IpAddr::V4(*address)),
                RouteAttribute::Via(RouteVia::Inet6(address)) => via = Some(IpAddr::V6(*address)),
                RouteAttribute::Oif(index) => link = Some(*index),
                RouteAttribute::Priority(priority) => metric = *priority,
                _ => {}
            }
        }
        let to = Prefix::new(to, header.destination_prefix_length);
        Some(Self { to, via, link, kind: header.kind, protocol: header.protocol.into(), metric })
    }

    pub fn is_ours(&self, bridge: &str) -> bool {
        self.protocol == PROTOCOL && self.metric == metric_of(bridge)
    }

    /// Whether it is this route, by the bridge of that number.
    pub fn is(&self, route: &Route, bridge: u32) -> bool {
        let leads = match route.via {
            Some(_) => self.kind == RouteType::Unicast && self.link == Some(bridge),
            None => self.kind == RouteType::Unreachable,
        };
        leads && self.to == route.to && self.via == route.via
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

/// Why a prefix and a route of somebody else do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clash {
    /// The route goes first: it takes packets of the prefix away.
    Takes,
    /// The prefix is part of a network this machine is connected to: hosts there with such addresses are not reached any more.
    Hides,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    pub prefix: Prefix,
    pub clash: Clash,
    /// The other route, as people write it.
    pub route: String,
}

/// What is wanted of the overlay's addresses in the main table: subnets that are on the bridge, and routes.
fn claims(desired: &Desired) -> impl Iterator<Item = (Prefix, bool)> + '_ {
    let subnets = desired.addresses.iter().map(|&(address, length)| (Prefix::new(address, length), true));
    subnets.chain(desired.routes.iter().map(|route| (route.to, route.via.is_some())))
}

/// `elsewhere`: the prefix is not of this node's own pods, of whom others (the CNI plugin) have routes.
fn clash(prefix: &Prefix, elsewhere: bool, foreign: &KernelRoute) -> Option<Clash> {
    // Our routes are more specific than a default route, or one to a larger network by some router: there is nothing to say.
    let connected = foreign.kind == RouteType::Unicast && foreign.via.is_none() && foreign.link.is_some();
    if foreign.to.length() == 0 {
        None
    } else if elsewhere && prefix.covers(&foreign.to) {
        Some(Clash::Takes)
    } else if connected && foreign.to.length() < prefix.length() && foreign.to.covers(prefix) {
        Some(Clash::Hides)
    } else {
        None
    }
}

/// Whether this route, or that it is gone, makes a difference to ours. `bridge`: its number.
pub fn matters(desired: &Desired, bridge: u32, route: &KernelRoute, gone: bool) -> bool {
    if route.is_ours(&desired.bridge) {
        let wanted = desired.routes.iter().find(|wanted| wanted.to == route.to);
        return wanted.map_or(!gone, |wanted| gone || !route.is(wanted, bridge));
    }
    route.link != Some(bridge) && claims(desired).any(|(prefix, elsewhere)| clash(&prefix, elsewhere, route).is_some())
}

pub(super) fn conflicts(desired: &Desired, now: &Snapshot, bridge: u32) -> Vec<Conflict> {
    let foreign = now.routes.iter().filter(|route| !route.is_ours(&desired.bridge) && route.link != Some(bridge));
    let mut found: Vec<Conflict> = foreign
        .flat_map(|route| {
            claims(desired).filter_map(move |(prefix, elsewhere)| {
                let clash = clash(&prefix, elsewhere, route)?;
                Some(Conflict { prefix, clash, route: text(route, now) })
            })
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// As `ip route` writes it, without what does not tell whose it is.
fn text(route: &KernelRoute, now: &Snapshot) -> String {
    let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
    let name = route.link.and_then(|index| now.links.iter().find(|link| link.index == index));
    let dev = name.map(|link| format!(" dev {}", link.name)).unwrap_or_default();
    match route.kind {
        RouteType::Unicast => format!("{}{via}{dev}", route.to),
        kind => format!("{} {}", format!("{kind:?}").to_lowercase(), route.to),
    }
}

/// A prefix of our own that somebody put an address of on the bridge is on that link: pods are ports of the bridge.
fn is_on_link(prefix: &Prefix, now: &Snapshot, bridge: u32) -> bool {
    now.addresses.iter().any(|entry| entry.index == bridge && prefix.contains(entry.address))
}

pub(super) fn plan(desired: &Desired, now: &Snapshot, index: u32, changes: &mut Vec<Change>) {
    let metric = metric_of(&desired.bridge);
    let usable = |route: &&Route| {
        (now.has_ipv6 || route.to.is_ipv4()) && (route.via.is_some() || !is_on_link(&route.to, now, index))
    };
    let wanted: BTreeMap<Prefix, &Route> =
        desired.routes.iter().filter(usable).map(|route| (route.to, route)).collect();
    let ours = now.routes.iter().filter(|route| route.is_ours(&desired.bridge));
    let have: BTreeMap<Prefix, &KernelRoute> = ours.map(|route| (route.to, route)).collect();
    for to in have.keys().filter(|to| !wanted.contains_key(*to)) {
        changes.push(Change::RemoveRoute { to: *to, metric });
    }
    for (to, route) in wanted {
        if !have.get(&to).is_some_and(|there| there.is(route, index)) {
            changes.push(Change::SetRoute { index, route: *route, metric });
        }
    }
}

/// Sets a route. `onlink`: the member's address is on the bridge, whatever addresses the bridge has at this moment.
pub(super) fn set_message(index: u32, route: &Route, metric: u32) -> RouteMessage {
    let mut message = message(&route.to, metric);
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unreachable;
    if let Some(via) = route.via {
        message.header.kind = RouteType::Unicast;
        message.header.flags = RouteFlags::Onlink;
        message.attributes.extend([RouteAttribute::Gateway(via.into()), RouteAttribute::Oif(index)]);
    }
    message
}

/// Removes our route to a prefix, wherever it leads.
pub(super) fn remove_message(to: &Prefix, metric: u32) -> RouteMessage {
    let mut message = message(to, metric);
    message.header.scope = RouteScope::NoWhere;
    message
}

fn message(to: &Prefix, metric: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = to.length();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.attributes = vec![RouteAttribute::Destination(to.address().into()), RouteAttribute::Priority(metric)];
    message
}
