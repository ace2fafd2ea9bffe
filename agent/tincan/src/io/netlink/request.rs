//! Requests and their answers, one at a time.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE,
    NLM_F_REQUEST,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoData, InfoKind, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::prefix::Prefix;
use crate::wire::Mac;

use super::plan::Neighbour;
use super::routes::{self, Route};
use super::snapshot::Link;
use super::NetlinkError;

/// The kernel sends dumps in pieces of at most 32 KB (`linux/netlink.h`, NLMSG_GOODSIZE).
const ANSWER_BYTES: usize = 65_536;
/// The kernel says so when a list changed while it was read; then it is read again.
const NLM_F_DUMP_INTR: u16 = 0x10;
const DUMP_TRIES: usize = 5;

pub struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
    answer: Vec<u8>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "netlink socket, {} requests", self.sequence)
    }
}

enum Answer {
    Part(RouteNetlinkMessage),
    End,
    Failed(io::Error),
    /// Of an older request, or something that does not decode.
    Other,
}

impl Socket {
    pub fn open() -> Result<Self, NetlinkError> {
        let failed = |error| NetlinkError::System("open a netlink socket".to_owned(), error);
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        socket.connect(&netlink_sys::SocketAddr::new(0, 0)).map_err(failed)?;
        Ok(Self { socket, sequence: 0, answer: vec![] })
    }

    /// All parts of a list.
    pub fn dump(&mut self, what: &str, request: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            self.send(what, request.clone(), NLM_F_DUMP)?;
            let (parts, interrupted) = self.collect(what)?;
            if !interrupted {
                return Ok(parts);
            }
        }
        Err(NetlinkError::Unsettled(what.to_owned()))
    }

    /// One question, and what answers it.
    pub fn ask(&mut self, what: &str, request: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        // The answer to a lookup is one message without an end: the acknowledgement behind it is the end.
        self.send(what, request, NLM_F_ACK)?;
        self.collect(what).map(|(parts, _)| parts)
    }

    /// A change, and its acknowledgement.
    pub fn change(&mut self, what: &str, request: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.send(what, request, NLM_F_ACK | flags)?;
        self.collect(what).map(drop)
    }

    fn send(&mut self, what: &str, request: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(|error| NetlinkError::System(what.to_owned(), error))?;
        Ok(())
    }

    /// Everything up to the end of the list or the acknowledgement; whether the list changed meanwhile.
    fn collect(&mut self, what: &str) -> Result<(Vec<RouteNetlinkMessage>, bool), NetlinkError> {
        let mut parts = vec![];
        let mut interrupted = false;
        loop {
            self.answer.clear();
            self.answer.reserve(ANSWER_BYTES);
            match self.socket.recv(&mut self.answer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NetlinkError::System(what.to_owned(), error)),
            }
            let mut rest = self.answer.as_slice();
            while let Some((message, next)) = split_message(rest) {
                rest = next;
                let (answer, flags) = decode(message, self.sequence);
                interrupted |= flags & NLM_F_DUMP_INTR != 0;
                match answer {
                    Answer::Part(part) => parts.push(part),
                    Answer::End => return Ok((parts, interrupted)),
                    Answer::Failed(error) => return Err(refused(what, error)),
                    Answer::Other => {}
                }
            }
        }
    }

    pub fn create_bridge(&mut self, what: &str, name: &str, mac: Mac) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::LinkInfo(bridge_info()),
        ];
        self.change(what, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    pub fn configure_bridge(&mut self, what: &str, index: u32) -> Result<(), NetlinkError> {
        let mut message = link_message(index, vec![LinkAttribute::LinkInfo(bridge_info())]);
        message.header.interface_family = AddressFamily::Unspec;
        // Not SETLINK: the kernel reads IFLA_LINKINFO in NEWLINK only (net/core/rtnetlink.c).
        self.change(what, RouteNetlinkMessage::NewLink(message), 0)
    }

    pub fn set_mac(&mut self, what: &str, index: u32, mac: Mac) -> Result<(), NetlinkError> {
        self.set_link(what, index, LinkAttribute::Address(mac.0.to_vec()))
    }

    pub fn set_mtu(&mut self, what: &str, index: u32, mtu: u16) -> Result<(), NetlinkError> {
        self.set_link(what, index, LinkAttribute::Mtu(u32::from(mtu)))
    }

    pub fn attach(&mut self, what: &str, port: u32, bridge: u32) -> Result<(), NetlinkError> {
        self.set_link(what, port, LinkAttribute::Controller(bridge))
    }

    pub fn no_generated_addresses(&mut self, what: &str, index: u32) -> Result<(), NetlinkError> {
        let inet6 = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        self.set_link(what, index, LinkAttribute::AfSpecUnspec(vec![inet6]))
    }

    pub fn set_up(&mut self, what: &str, index: u32) -> Result<(), NetlinkError> {
        let mut message = link_message(index, vec![]);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.change(what, RouteNetlinkMessage::SetLink(message), 0)
    }

    pub fn delete_link(&mut self, link: &Link) -> Result<(), NetlinkError> {
        let what = format!("remove {}", link.name);
        self.change(&what, RouteNetlinkMessage::DelLink(link_message(link.index, vec![])), 0)
    }

    fn set_link(&mut self, what: &str, index: u32, attribute: LinkAttribute) -> Result<(), NetlinkError> {
        self.change(what, RouteNetlinkMessage::SetLink(link_message(index, vec![attribute])), 0)
    }

    pub fn add_address(&mut self, what: &str, index: u32, address: IpAddr, prefix: u8) -> Result<(), NetlinkError> {
        let message = address_message(index, address, prefix);
        self.change(what, RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    pub fn remove_address(&mut self, what: &str, index: u32, address: IpAddr, prefix: u8) -> Result<(), NetlinkError> {
        self.change(what, RouteNetlinkMessage::DelAddress(address_message(index, address, prefix)), 0)
    }

    pub fn set_neighbour(&mut self, what: &str, index: u32, neighbour: &Neighbour) -> Result<(), NetlinkError> {
        let message = neighbour_message(index, neighbour);
        self.change(what, RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    pub fn remove_neighbour(&mut self, what: &str, index: u32, neighbour: &Neighbour) -> Result<(), NetlinkError> {
        self.change(what, RouteNetlinkMessage::DelNeighbour(neighbour_message(index, neighbour)), 0)
    }

    /// By our metric: no route of anybody else is replaced.
    pub fn set_route(&mut self, what: &str, index: u32, route: &Route, metric: u32) -> Result<(), NetlinkError> {
        let message = routes::set_message(index, route, metric);
        self.change(what, RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    pub fn remove_route(&mut self, what: &str, to: &Prefix, metric: u32) -> Result<(), NetlinkError> {
        let message = routes::remove_message(to, metric);
        match self.change(what, RouteNetlinkMessage::DelRoute(message), 0) {
            // It is gone already.
            Err(NetlinkError::System(_, error)) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            result => result,
        }
    }
}

/// The first message of a datagram and what follows it, padding skipped (netlink(7)).
pub fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    if length < 16 {
        return None;
    }
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some((bytes.get(..length)?, next))
}

fn decode(message: &[u8], sequence: u32) -> (Answer, u16) {
    // A link of a kind this crate cannot read must not hide the others.
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) else { return (Answer::Other, 0) };
    if message.header.sequence_number != sequence {
        return (Answer::Other, 0);
    }
    let answer = match message.payload {
        NetlinkPayload::InnerMessage(part) => Answer::Part(part),
        NetlinkPayload::Done(_) => Answer::End,
        NetlinkPayload::Error(error) => match error.code {
            None => Answer::End,
            Some(code) => Answer::Failed(io::Error::from_raw_os_error(code.get().saturating_abs())),
        },
        _ => Answer::Other,
    };
    (answer, message.header.flags)
}

fn refused(what: &str, error: io::Error) -> NetlinkError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => NetlinkError::NotPermitted(what.to_owned()),
        _ => NetlinkError::System(what.to_owned(), error),
    }
}

/// STP would hold a port back for 30 s and answers nothing here; snooping without a querier loses multicast.
fn bridge_info() -> Vec<LinkInfo> {
    let settings = vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::MulticastSnooping(false)];
    vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(settings))]
}

fn link_message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

fn address_message(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    if address.is_ipv6() {
        // Usable at once: the certificate already says whose address this is.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message
}

fn neighbour_message(index: u32, neighbour: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(neighbour.address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![
        NeighbourAttribute::Destination(neighbour.address.into()),
        NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()),
    ];
    message
}
