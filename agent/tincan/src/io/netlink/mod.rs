//! The node's place in the kernel by rtnetlink: bridge, tap port, addresses, neighbour entries, routes.
//!
//! [`Netlink::ensure`] compares what should be with what is and changes the difference; first start, restart, renewal and
//! repair are one code path. What to change is decided in [`plan`], which is pure.

mod inside;
mod monitor;
mod plan;
mod request;
mod routes;
mod shortcut;
mod snapshot;
mod summary;
mod sysctl;

use std::fmt;
use std::io;
use std::net::IpAddr;

pub use monitor::{ChangedNeighbour, ChangedRoute, Monitor, Noticed};
pub use plan::{Change, Desired, Neighbour};
pub use routes::{matters, Clash, Conflict, KernelRoute, Route};
pub use shortcut::Shortcut;
pub use snapshot::{Egress, LocalAddress, LocalAddresses};
pub use summary::summary;

use plan::plan;
use request::Socket;
use snapshot::Snapshot;

/// After this many rounds of looking and changing somebody else is changing the same things.
const ROUNDS_MAX: usize = 5;

#[derive(Debug)]
pub enum NetlinkError {
    /// The tap is gone (somebody removed it): open it again, then ensure again.
    NoTap(String),
    /// The bridge that another program makes is not there.
    NoBridge(String),
    /// The configured bridge name belongs to a link of another kind.
    NotABridge(String),
    NotPermitted(String),
    System(String, io::Error),
    /// The kernel never showed what was set.
    Unsettled(String),
}

impl fmt::Display for NetlinkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTap(name) => write!(out, "tap {name} is gone"),
            Self::NoBridge(name) => {
                write!(out, "there is no interface {name}: with a tap for each tunnel the bridge is made by somebody else, first")
            }
            Self::NotABridge(name) => {
                write!(out, "an interface {name} exists and is no bridge: remove it or configure another name")
            }
            Self::NotPermitted(what) => write!(out, "not permitted to {what}: run as root or with CAP_NET_ADMIN"),
            Self::System(what, error) => write!(out, "cannot {what}: {error}"),
            Self::Unsettled(what) => {
                write!(out, "the kernel does not keep this, is another program changing it? {what}")
            }
        }
    }
}

impl std::error::Error for NetlinkError {}

/// What [`Netlink::ensure`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order they were made; empty when all was as it should be.
    pub made: Vec<Change>,
    /// Settings the system did not let us make (a read-only /proc/sys in a container) and that we can live without.
    pub refused: Vec<String>,
    /// Routes that could not be set now, with the reason.
    pub unset: Vec<String>,
    /// Routes of others that meet the overlay's prefixes.
    pub conflicts: Vec<Conflict>,
}

#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    /// The bridge as it was last seen, and the ports others put on it (pods).
    bridge: Option<u32>,
    ports: Vec<u32>,
    /// Ports whose bridge somebody deleted.
    orphans: Vec<u32>,
}

impl Netlink {
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: Socket::open()?, bridge: None, ports: vec![], orphans: vec![] })
    }

    /// Makes bridge, port, addresses and neighbour entries as `desired`; the tap must be open already.
    pub fn ensure(&mut self, desired: &Desired) -> Result<Changes, NetlinkError> {
        let mut changes = Changes::default();
        let mut unset = vec![];
        for _ in 0..ROUNDS_MAX {
            let snapshot = self.socket.snapshot(desired)?;
            let mut todo = plan(desired, &snapshot)?;
            todo.extend(self.foreign_ports(desired, &snapshot));
            todo.retain(|change| !changes.refused.contains(&change.to_string()) && !unset.contains(change));
            if todo.is_empty() {
                changes.conflicts =
                    self.bridge.map(|bridge| routes::conflicts(desired, &snapshot, bridge)).unwrap_or_default();
                return Ok(changes);
            }
            for change in todo {
                match self.apply(&change) {
                    Ok(()) => changes.made.push(change),
                    Err(_) if matches!(change, Change::Sysctl { .. }) => changes.refused.push(change.to_string()),
                    // One member's prefix must not cost the others theirs.
                    Err(error @ NetlinkError::System(..)) if matches!(change, Change::SetRoute { .. }) => {
                        changes.unset.push(error.to_string());
                        unset.push(change);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let last = changes.made.last().map(ToString::to_string).unwrap_or_default();
        Err(NetlinkError::Unsettled(last))
    }

    /// The index of the bridge at the last look.
    pub fn bridge(&self) -> Option<u32> {
        self.bridge
    }

    /// What others put on the bridge is theirs; but when the bridge itself was deleted and stands again, they get their place back.
    fn foreign_ports(&mut self, desired: &Desired, now: &Snapshot) -> Vec<Change> {
        let Some(bridge) = now.link(&desired.bridge).map(|link| link.index) else {
            self.orphans.append(&mut self.ports);
            return vec![];
        };
        self.bridge = Some(bridge);
        if !desired.attach {
            return vec![];
        }
        let orphans = std::mem::take(&mut self.orphans);
        let lost = now.links.iter().filter(|link| orphans.contains(&link.index) && link.controller.is_none());
        let attach: Vec<Change> =
            lost.map(|link| Change::Attach { port: link.index, bridge, name: link.name.clone() }).collect();
        let foreign =
            now.links.iter().filter(|link| link.controller == Some(bridge) && !desired.taps.contains(&link.name));
        self.ports = foreign.map(|link| link.index).collect();
        attach
    }

    /// Removes bridge and tap, whichever of them is there.
    pub fn remove(&mut self, bridge: &str, tap: &str) -> Result<(), NetlinkError> {
        for link in self.socket.links()? {
            if link.name == bridge || link.name == tap {
                self.socket.delete_link(&link)?;
            }
        }
        Ok(())
    }

    /// Removes our routes of this bridge; those by it go with it anyway.
    pub fn remove_routes(&mut self, bridge: &str) -> Result<(), NetlinkError> {
        let ours: Vec<KernelRoute> = self.socket.routes()?.into_iter().filter(|route| route.is_ours(bridge)).collect();
        ours.iter().try_for_each(|route| self.apply(&Change::RemoveRoute { to: route.to, metric: route.metric }))
    }

    /// The names of all links.
    pub fn names(&mut self) -> Result<Vec<String>, NetlinkError> {
        Ok(self.socket.links()?.into_iter().map(|link| link.name).collect())
    }

    /// The link other than `own` that has this address.
    pub fn holder(&mut self, address: IpAddr, own: &str) -> Result<Option<String>, NetlinkError> {
        let holders = self.socket.addresses()?.into_iter().filter(|entry| entry.address == address);
        let indices: Vec<u32> = holders.map(|entry| entry.index).collect();
        let links = self.socket.links()?;
        Ok(links.into_iter().find(|link| indices.contains(&link.index) && link.name != own).map(|link| link.name))
    }

    /// The machine's own addresses, for candidates: of links that are up, without loopback, link-local and unfinished
    /// addresses. Left out are those on our `own` links and all that lie upon them, and on `excluded` ones; both are named beside, and a
    /// bridge stands for its ports too.
    pub fn local_addresses(&mut self, own: &[&str], excluded: &[&str]) -> Result<LocalAddresses, NetlinkError> {
        self.socket.local_addresses(own, excluded)
    }

    /// By which link, and from which address, the kernel would send to `to` now; an error where it has no route.
    pub fn egress(&mut self, to: IpAddr) -> Result<Egress, NetlinkError> {
        self.socket.egress(to)
    }

    /// VXLAN to other nodes goes past the bridge for these ports, and for no others; without ports for none.
    pub fn set_shortcut(&mut self, wanted: &Shortcut) -> Result<(), NetlinkError> {
        self.socket.set_shortcut(wanted)
    }

    fn apply(&mut self, change: &Change) -> Result<(), NetlinkError> {
        let what = change.to_string();
        let socket = &mut self.socket;
        match change {
            Change::Sysctl { link, name, value } => {
                sysctl::write(link, name, value).map_err(|error| NetlinkError::System(what, error))
            }
            Change::CreateBridge { name, mac } => socket.create_bridge(&what, name, *mac),
            Change::ConfigureBridge { index, .. } => socket.configure_bridge(&what, *index),
            Change::SetMac { index, mac, .. } => socket.set_mac(&what, *index, *mac),
            Change::SetMtu { index, mtu, .. } => socket.set_mtu(&what, *index, *mtu),
            Change::NoGeneratedAddresses { index, .. } => socket.no_generated_addresses(&what, *index),
            Change::Attach { port, bridge, .. } => socket.attach(&what, *port, *bridge),
            Change::SetUp { index, .. } => socket.set_up(&what, *index),
            Change::AddAddress { index, address, prefix } => socket.add_address(&what, *index, *address, *prefix),
            Change::RemoveAddress { index, address, prefix } => socket.remove_address(&what, *index, *address, *prefix),
            Change::SetNeighbour { index, neighbour } => socket.set_neighbour(&what, *index, neighbour),
            Change::RemoveNeighbour { index, neighbour } => socket.remove_neighbour(&what, *index, neighbour),
            Change::SetRoute { index, route, metric } => socket.set_route(&what, *index, route, *metric),
            Change::RemoveRoute { to, metric } => socket.remove_route(&what, to, *metric),
        }
    }
}

/// Whether `address` is within the subnet of `network`/`prefix`.
fn within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            (u32::from(a) ^ u32::from(b)) & mask == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            (u128::from(a) ^ u128::from(b)) & mask == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod shortcut_tests;
#[cfg(test)]
mod tests;
