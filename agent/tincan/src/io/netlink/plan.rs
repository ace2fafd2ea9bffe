//! What to change so that the kernel's picture becomes the wanted one. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::prefix::Prefix;
use crate::wire::Mac;

use super::routes::{self, Route};
use super::snapshot::{Link, Snapshot};
use super::{within, NetlinkError};

/// A permanent neighbour entry: who has this address needs not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    pub address: IpAddr,
    pub mac: Mac,
}

impl Neighbour {
    /// The entries of one member: each of its overlay addresses, and its link-local address (docs/wire.md §3).
    pub fn of_member(addresses: impl IntoIterator<Item = IpAddr>, mac: Mac) -> impl Iterator<Item = Self> {
        let link_local = IpAddr::V6(mac.link_local());
        addresses.into_iter().chain(std::iter::once(link_local)).map(move |address| Self { address, mac })
    }
}

/// How it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub bridge: String,
    /// Open taps.
    pub taps: Vec<String>,
    /// The bridge is a Linux bridge of ours, and the taps are its ports. Otherwise another program makes both of that so, and the
    /// bridge is whatever link has its name.
    pub attach: bool,
    pub mac: Mac,
    pub mtu: u16,
    /// Overlay addresses with the subnet's prefix length. The link-local address comes by itself.
    pub addresses: Vec<(IpAddr, u8)>,
    pub neighbours: Vec<Neighbour>,
    /// In the main table, by protocol and metric of our own.
    pub routes: Vec<Route>,
}

/// One change; as text it completes "cannot ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Sysctl { link: String, name: &'static str, value: &'static str },
    CreateBridge { name: String, mac: Mac },
    ConfigureBridge { index: u32, name: String },
    SetMac { index: u32, name: String, mac: Mac },
    SetMtu { index: u32, name: String, mtu: u16 },
    NoGeneratedAddresses { index: u32, name: String },
    Attach { port: u32, bridge: u32, name: String },
    SetUp { index: u32, name: String },
    AddAddress { index: u32, address: IpAddr, prefix: u8 },
    RemoveAddress { index: u32, address: IpAddr, prefix: u8 },
    SetNeighbour { index: u32, neighbour: Neighbour },
    RemoveNeighbour { index: u32, neighbour: Neighbour },
    SetRoute { index: u32, route: Route, metric: u32 },
    RemoveRoute { to: Prefix, metric: u32 },
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl { link, name, value } => write!(out, "set net.ipv6.conf.{link}.{name} to {value}"),
            Self::CreateBridge { name, .. } => write!(out, "create bridge {name}"),
            Self::ConfigureBridge { name, .. } => write!(out, "switch off STP and multicast snooping of {name}"),
            Self::SetMac { name, mac, .. } => write!(out, "set the MAC of {name} to {mac}"),
            Self::SetMtu { name, mtu, .. } => write!(out, "set the MTU of {name} to {mtu}"),
            Self::NoGeneratedAddresses { name, .. } => write!(out, "stop {name} from making addresses by itself"),
            Self::Attach { name, .. } => write!(out, "attach {name} to the bridge"),
            Self::SetUp { name, .. } => write!(out, "set {name} up"),
            Self::AddAddress { address, prefix, .. } => write!(out, "add address {address}/{prefix}"),
            Self::RemoveAddress { address, prefix, .. } => write!(out, "remove address {address}/{prefix}"),
            Self::SetNeighbour { neighbour, .. } => {
                write!(out, "set neighbour {} to {}", neighbour.address, neighbour.mac)
            }
            Self::RemoveNeighbour { neighbour, .. } => write!(out, "remove neighbour {}", neighbour.address),
            Self::SetRoute { route: Route { to, via: Some(via) }, .. } => write!(out, "set route {to} via {via}"),
            Self::SetRoute { route: Route { to, via: None }, .. } => write!(out, "set route unreachable {to}"),
            Self::RemoveRoute { to, .. } => write!(out, "remove route {to}"),
        }
    }
}

impl Change {
    /// The link by whose name it is told.
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::Sysctl { link: name, .. }
            | Self::CreateBridge { name, .. }
            | Self::ConfigureBridge { name, .. }
            | Self::SetMac { name, .. }
            | Self::SetMtu { name, .. }
            | Self::NoGeneratedAddresses { name, .. }
            | Self::Attach { name, .. }
            | Self::SetUp { name, .. } => Some(name),
            Self::AddAddress { .. }
            | Self::RemoveAddress { .. }
            | Self::SetNeighbour { .. }
            | Self::RemoveNeighbour { .. }
            | Self::SetRoute { .. }
            | Self::RemoveRoute { .. } => None,
        }
    }

    /// Whether this never follows from what members and certificates say: then somebody changed it behind our back.
    pub fn is_structure(&self) -> bool {
        !matches!(
            self,
            Self::SetMtu { .. }
                | Self::SetMac { .. }
                | Self::AddAddress { .. }
                | Self::RemoveAddress { .. }
                | Self::SetNeighbour { .. }
                | Self::RemoveNeighbour { .. }
                | Self::SetRoute { .. }
                | Self::RemoveRoute { .. }
        )
    }
}

/// The changes of one round. What needs something that is not there yet comes in the next round.
pub(super) fn plan(desired: &Desired, now: &Snapshot) -> Result<Vec<Change>, NetlinkError> {
    let taps = desired.taps.iter().map(|name| now.link(name).ok_or_else(|| NetlinkError::NoTap(name.clone())));
    let taps = taps.collect::<Result<Vec<&Link>, NetlinkError>>()?;
    let Some(bridge) = now.link(&desired.bridge) else {
        if !desired.attach {
            return Err(NetlinkError::NoBridge(desired.bridge.clone()));
        }
        return Ok(vec![Change::CreateBridge { name: desired.bridge.clone(), mac: desired.mac }]);
    };
    if desired.attach && bridge.bridge.is_none() {
        return Err(NetlinkError::NotABridge(desired.bridge.clone()));
    }
    let mut changes = vec![];
    links(desired, now, bridge, &taps, &mut changes);
    addresses(desired, now, bridge.index, &mut changes);
    neighbours(desired, now, bridge.index, &mut changes);
    // Last: by then the bridge is up and has its addresses.
    routes::plan(desired, now, bridge.index, &mut changes);
    Ok(changes)
}

fn links(desired: &Desired, now: &Snapshot, bridge: &Link, taps: &[&Link], changes: &mut Vec<Change>) {
    for setting in &now.sysctls {
        if setting.is != setting.wanted {
            changes.push(Change::Sysctl { link: setting.link.clone(), name: setting.name, value: setting.wanted });
        }
    }
    let (index, name) = (bridge.index, bridge.name.clone());
    if desired.attach && bridge.bridge.is_some_and(|bridge| bridge.stp || bridge.multicast_snooping) {
        changes.push(Change::ConfigureBridge { index, name: name.clone() });
    }
    if bridge.generates_addresses == Some(true) {
        changes.push(Change::NoGeneratedAddresses { index, name: name.clone() });
    }
    if bridge.mac != Some(desired.mac) {
        changes.push(Change::SetMac { index, name: name.clone(), mac: desired.mac });
    }
    // The ports first: a bridge whose MTU was never set takes the smallest of its ports.
    for link in taps.iter().copied().chain(std::iter::once(bridge)) {
        if link.mtu != u32::from(desired.mtu) {
            changes.push(Change::SetMtu { index: link.index, name: link.name.clone(), mtu: desired.mtu });
        }
    }
    for tap in taps.iter().filter(|tap| desired.attach && tap.controller != Some(index)) {
        changes.push(Change::Attach { port: tap.index, bridge: index, name: tap.name.clone() });
    }
    for link in taps.iter().copied().chain(std::iter::once(bridge)) {
        if !link.up {
            changes.push(Change::SetUp { index: link.index, name: link.name.clone() });
        }
    }
}

fn addresses(desired: &Desired, now: &Snapshot, index: u32, changes: &mut Vec<Change>) {
    let link_local = IpAddr::V6(desired.mac.link_local());
    let wanted: Vec<(IpAddr, u8)> = desired
        .addresses
        .iter()
        .copied()
        .chain(std::iter::once((link_local, 64)))
        .filter(|(address, _)| now.has_ipv6 || address.is_ipv4())
        .collect();
    let have: Vec<(IpAddr, u8)> =
        now.addresses.iter().filter(|entry| entry.index == index).map(|entry| (entry.address, entry.prefix)).collect();
    for &(address, prefix) in have.iter().filter(|entry| !wanted.contains(entry)) {
        // Only what an earlier certificate or the kernel put there; an administrator's other addresses stay.
        let of_overlay = desired.addresses.iter().any(|&(network, length)| within(address, network, length));
        if of_overlay || matches!(address, IpAddr::V6(v6) if is_link_local(v6)) {
            changes.push(Change::RemoveAddress { index, address, prefix });
        }
    }
    for &(address, prefix) in wanted.iter().filter(|entry| !have.contains(entry)) {
        changes.push(Change::AddAddress { index, address, prefix });
    }
}

fn neighbours(desired: &Desired, now: &Snapshot, index: u32, changes: &mut Vec<Change>) {
    let usable = |neighbour: &&Neighbour| now.has_ipv6 || neighbour.address.is_ipv4();
    let wanted: BTreeSet<&Neighbour> = desired.neighbours.iter().filter(usable).collect();
    let wanted_addresses: BTreeSet<IpAddr> = wanted.iter().map(|neighbour| neighbour.address).collect();
    let have: BTreeSet<&Neighbour> = now.neighbours.iter().collect();
    for neighbour in have.difference(&wanted) {
        // A ruled MAC was set by us (docs/wire.md §3); any other entry is the administrator's.
        if neighbour.mac.is_ruled() && !wanted_addresses.contains(&neighbour.address) {
            changes.push(Change::RemoveNeighbour { index, neighbour: **neighbour });
        }
    }
    for neighbour in wanted.difference(&have) {
        changes.push(Change::SetNeighbour { index, neighbour: **neighbour });
    }
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80)
}
