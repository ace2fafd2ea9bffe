//! Tells when links, addresses, neighbour entries or routes changed, so that candidates are gathered and `ensure` is called again.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::request::split_message;
use super::routes::KernelRoute;
use super::snapshot::{neighbour, neighbour_address};
use super::NetlinkError;
use crate::wire::Mac;

/// Multicast groups of rtnetlink(7): links, neighbour entries, IPv4 and IPv6 addresses, IPv4 and IPv6 routes.
const GROUPS: [u32; 6] = [1, 3, 5, 9, 7, 11];

/// What happened since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Links or addresses changed, or a notification was lost (ENOBUFS). What changed is not looked at: the whole picture is
    /// compared anyway.
    pub links: bool,
    /// Neighbour entries that changed, with what they are now. A busy machine's entries change all the time, few are ours.
    pub neighbours: Vec<ChangedNeighbour>,
    /// Routes of the main table: with every pod that comes and goes there is one.
    pub routes: Vec<ChangedRoute>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRoute {
    pub route: KernelRoute,
    pub gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedNeighbour {
    pub link: u32,
    pub address: IpAddr,
    /// None: deleted, or no longer permanent.
    pub permanent: Option<Mac>,
}

pub struct Monitor {
    socket: netlink_sys::Socket,
    buffer: Vec<u8>,
}

impl Monitor {
    pub fn open() -> Result<Self, NetlinkError> {
        let failed = |error| NetlinkError::System("watch links and addresses".to_owned(), error);
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        for group in GROUPS {
            socket.add_membership(group).map_err(failed)?;
        }
        socket.set_non_blocking(true).map_err(failed)?;
        Ok(Self { socket, buffer: vec![] })
    }

    /// Reads all that is there. Call it whenever the descriptor can be read.
    pub fn drain(&mut self) -> io::Result<Noticed> {
        let mut noticed = Noticed::default();
        loop {
            self.buffer.clear();
            self.buffer.reserve(32_768);
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => read(&self.buffer, &mut noticed),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(noticed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => noticed.links = true,
                Err(error) => return Err(error),
            }
        }
    }
}

fn read(mut rest: &[u8], noticed: &mut Noticed) {
    while let Some((message, next)) = split_message(rest) {
        rest = next;
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message);
        let (entry, gone) = match message.map(|message| message.payload) {
            Ok(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry))) => (entry, false),
            Ok(NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelNeighbour(entry))) => (entry, true),
            Ok(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(message))) => {
                noticed.routes.extend(KernelRoute::of(&message).map(|route| ChangedRoute { route, gone: false }));
                continue;
            }
            Ok(NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(message))) => {
                noticed.routes.extend(KernelRoute::of(&message).map(|route| ChangedRoute { route, gone: true }));
                continue;
            }
            // What does not decode changed too.
            _ => {
                noticed.links = true;
                continue;
            }
        };
        if let Some(address) = neighbour_address(&entry) {
            let permanent = neighbour(&entry).filter(|_| !gone).map(|neighbour| neighbour.mac);
            noticed.neighbours.push(ChangedNeighbour { link: entry.header.ifindex, address, permanent });
        }
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
