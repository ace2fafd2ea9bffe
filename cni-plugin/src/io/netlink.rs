//! Requests to the kernel and its answers, several in one go.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::error::{Code, Error};
use crate::net::{Cidr, Family};

use super::messages::{self, Link, Route};

/// The kernel sends dumps in pieces of at most 32 KB (`linux/netlink.h`, NLMSG_GOODSIZE).
const ANSWER_BYTES: usize = 65_536;
/// The kernel says so when a list changed while it was read.
const NLM_F_DUMP_INTR: u16 = 0x10;
const DUMP_TRIES: usize = 5;

/// One change or question, with words for the person who reads that it failed.
#[derive(Debug)]
pub struct Request {
    pub what: String,
    pub message: RouteNetlinkMessage,
    pub flags: u16,
    /// The one error that is none here; 0 for no such.
    pub forgiven: i32,
}

/// The first request that the kernel refused.
#[derive(Debug)]
pub struct Refused {
    pub what: String,
    pub error: io::Error,
}

impl Refused {
    pub fn errno(&self) -> i32 {
        self.error.raw_os_error().unwrap_or(0)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let hint = match refused.errno() {
            libc::EPERM | libc::EACCES => ": the plugin needs CAP_NET_ADMIN",
            _ => "",
        };
        Self::new(Code::Kernel, format!("cannot {}: {}{hint}", refused.what, refused.error))
    }
}

/// A socket of the namespace it was opened in.
#[derive(Debug)]
pub struct Netlink {
    socket: netlink_sys::Socket,
    sequence: u32,
    answer: Vec<u8>,
}

impl Netlink {
    pub fn open() -> Result<Self, Error> {
        let failed = |error| Error::new(Code::Kernel, format!("cannot open a netlink socket: {error}"));
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        socket.connect(&netlink_sys::SocketAddr::new(0, 0)).map_err(failed)?;
        Ok(Self { socket, sequence: 0, answer: vec![] })
    }

    /// All requests in one message to the kernel, which carries them out in order and does not stop at one it refuses.
    pub fn batch(&mut self, requests: Vec<Request>) -> Result<Vec<RouteNetlinkMessage>, Refused> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = vec![];
        let mut asked = vec![];
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            append(&mut bytes, self.sequence, NLM_F_REQUEST | NLM_F_ACK | request.flags, request.message);
            asked.push((request.what, request.forgiven));
        }
        let of = |sequence: u32| asked.get(sequence.wrapping_sub(first) as usize);
        let what_of = |sequence: u32| of(sequence).map(|(what, _)| what.clone()).unwrap_or_default();
        self.socket.send(&bytes, 0).map_err(|error| Refused { what: what_of(first), error })?;
        let mut parts = vec![];
        let mut refused = None;
        let mut open = asked.len();
        while open > 0 {
            let failed = |error| Refused { what: what_of(first), error };
            for message in receive(&self.socket, &mut self.answer).map_err(failed)? {
                let sequence = message.header.sequence_number;
                let Some((_, forgiven)) = of(sequence) else { continue };
                match message.payload {
                    NetlinkPayload::InnerMessage(part) => parts.push(part),
                    NetlinkPayload::Error(error) => {
                        open -= 1;
                        let errno = error.code.map_or(0, |code| code.get().saturating_abs());
                        if errno != 0 && errno != *forgiven && refused.is_none() {
                            let error = io::Error::from_raw_os_error(errno);
                            refused = Some(Refused { what: what_of(sequence), error });
                        }
                    }
                    _ => {}
                }
            }
        }
        refused.map_or(Ok(parts), Err)
    }

    /// All parts of a list.
    fn dump(&mut self, what: &str, request: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, Refused> {
        let failed = |error| Refused { what: what.to_owned(), error };
        for _ in 0..DUMP_TRIES {
            self.sequence = self.sequence.wrapping_add(1);
            let mut bytes = vec![];
            append(&mut bytes, self.sequence, NLM_F_REQUEST | NLM_F_DUMP, request.clone());
            self.socket.send(&bytes, 0).map_err(failed)?;
            let (mut parts, mut interrupted, mut done) = (vec![], false, false);
            while !done {
                for message in receive(&self.socket, &mut self.answer).map_err(failed)? {
                    if message.header.sequence_number != self.sequence {
                        continue;
                    }
                    interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                    match message.payload {
                        NetlinkPayload::InnerMessage(part) => parts.push(part),
                        NetlinkPayload::Done(_) => done = true,
                        NetlinkPayload::Error(error) => {
                            let code = error.code.map_or(0, |code| code.get().saturating_abs());
                            return Err(failed(io::Error::from_raw_os_error(code)));
                        }
                        _ => {}
                    }
                }
            }
            if !interrupted {
                return Ok(parts);
            }
        }
        Err(failed(io::Error::other("the list changes faster than it can be read")))
    }

    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        match self.batch(vec![messages::get_link(name)]) {
            // An answer that cannot be read must not pass for a link that is not there.
            Ok(parts) => parts.iter().find_map(messages::link).map(Some).ok_or_else(|| {
                Error::new(Code::Kernel, format!("cannot read what the kernel says of the link {name}"))
            }),
            Err(refused) if refused.errno() == libc::ENODEV => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    /// All links of the namespace.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let parts = self.dump("list the links", &RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(parts.iter().filter_map(messages::link).collect())
    }

    /// Removes a link, and its other end with it; false when there was none.
    pub fn delete_link(&mut self, name: &str) -> Result<bool, Error> {
        match self.batch(vec![messages::delete_link(name)]) {
            Ok(_) => Ok(true),
            Err(refused) if refused.errno() == libc::ENODEV => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }

    /// The addresses of one link.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<Cidr>, Error> {
        let parts = self.dump("list the addresses", &messages::get_addresses())?;
        Ok(parts.iter().filter_map(|part| messages::address_of(part, index)).collect())
    }

    /// The main table's routes of one family.
    pub fn routes(&mut self, family: Family) -> Result<Vec<Route>, Error> {
        let parts = self.dump("list the routes", &messages::get_routes(family))?;
        Ok(parts.iter().filter_map(messages::route).collect())
    }

    /// The link by which the kernel would reach `address`.
    pub fn link_towards(&mut self, address: IpAddr) -> Result<Option<u32>, Error> {
        match self.batch(vec![messages::get_route(address)]) {
            Ok(parts) => Ok(parts.iter().find_map(messages::output_of)),
            Err(refused) if matches!(refused.errno(), libc::ENETUNREACH | libc::EHOSTUNREACH) => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }
}

/// Whether this namespace has a link of this name; without reading anything about it, since a pod's life may hang on it.
pub fn link_exists(name: &str) -> bool {
    let Ok(name) = std::ffi::CString::new(name) else { return false };
    // SAFETY: a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    index != 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENODEV)
}

fn append(bytes: &mut Vec<u8>, sequence: u32, flags: u16, message: RouteNetlinkMessage) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    if let Some(room) = bytes.get_mut(start..) {
        message.serialize(room);
    }
}

/// The messages of one datagram; what does not decode must not hide the others.
fn receive(socket: &netlink_sys::Socket, buffer: &mut Vec<u8>) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    loop {
        buffer.clear();
        buffer.reserve(ANSWER_BYTES);
        match socket.recv(buffer, 0) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut messages = vec![];
    let mut rest = buffer.as_slice();
    while let Some((message, next)) = split(rest) {
        rest = next;
        messages.extend(NetlinkMessage::<RouteNetlinkMessage>::deserialize(message).ok());
    }
    Ok(messages)
}

/// The first message of a datagram and what follows it, padding skipped (netlink(7)).
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    if length < 16 {
        return None;
    }
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some((bytes.get(..length)?, next))
}
